"""Where a recorded result comes from: the command, the commit, the machine, the versions, the date."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


def provenance(
    command: str,
    packages: tuple[str, ...] = ("numpy",),
    watched: tuple[str, ...] = ("utils", "experiments/*.py"),
) -> dict:
    """The entries that every recorded result begins with; `watched` are the paths that must be committed."""

    def git(*words: str) -> str | None:
        answer = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return answer.stdout.strip() if answer.returncode == 0 else None

    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": git("rev-parse", "HEAD"),
        "uncommitted changes": bool(git("status", "--porcelain", "--", *watched)),
        "hardware": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "threads used": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
    }


def processor() -> str:
    """The model name of the processor, as well as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write(name: str, record: dict) -> Path:
    """Write a record to `experiments/results/NAME.json`."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
