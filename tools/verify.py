"""Run every check of the course, one after the other, and say at the end what failed: `make test`.

python -m tools.verify [STEP ...]     only these steps; `--list` names them
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tools.course import ROOT

PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "-n2", "--dist=loadfile"]
STRICT_SITE = Path("_build/strict")

# In this order: what is quick and likely to fail comes first. Each step is a list of Python arguments.
STEPS: dict[str, tuple[str, list[str]]] = {
    "lint": ("Code style", ["-m", "ruff", "check", "."]),
    "text": ("Text rules", ["-m", "tools.check_text"]),
    "notebooks": ("Notebooks are what the sources build", ["-m", "tools.notebooks", "check"]),
    "exercises": ("Exercises are what the sources build", ["-m", "tools.exercises", "check"]),
    "nbval": (
        "Notebooks give the stored outputs",
        [*PYTEST, *NBVAL, "notebooks", "solutions", "exercises"],
    ),
    "unit": ("Tests of the package and the tools", [*PYTEST, "-n2", "-m", "not site", "tests"]),
    "site": (
        "The website builds from nothing without a warning",
        ["-m", "tools.site", "--strict", "--output", str(STRICT_SITE)],
    ),
    "pages": ("The website works in a browser", [*PYTEST, "-n2", "-m", "site", "-rs", "tests"]),
}


def run(name: str) -> bool:
    """Run one step. Returns whether it passed."""
    title, arguments = STEPS[name]
    print(f"\n=== {name}: {title} {'=' * max(3, 90 - len(name) - len(title))}", flush=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1" if "-n2" in arguments else "2",
    }
    environment["CONVNETS_SITE"] = str(ROOT / STRICT_SITE / "_build/html")
    started = time.perf_counter()
    status = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=False).returncode
    print(
        f"--- {name}: {'passed' if status == 0 else 'FAILED'} in {time.perf_counter() - started:.0f} s",
        flush=True,
    )
    return status == 0


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"some of {', '.join(STEPS)}")
    parser.add_argument("--list", action="store_true", help="name the steps")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.steps) - set(STEPS)):
        parser.error(f"STEP: got {', '.join(unknown)}, expected some of {', '.join(STEPS)}")
    if arguments.list:
        print("\n".join(f"{name:10} {title}" for name, (title, _) in STEPS.items()))
        return 0
    started = time.perf_counter()
    results = {name: run(name) for name in arguments.steps or STEPS}
    print(f"\nAll steps, {time.perf_counter() - started:.0f} s:")
    for name, passed in results.items():
        print(f"  {'passed' if passed else 'FAILED'}  {name:10} {STEPS[name][0]}")
    print(f"{sum(results.values())} passed, {len(results) - sum(results.values())} failed")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
