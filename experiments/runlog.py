"""The log of an experiment: a line of JSON for each finished run, from which a broken-off one goes on."""

from __future__ import annotations

import json
from pathlib import Path


def entries(path: Path) -> list[dict]:
    """The entries of a log, oldest first, without a line that was being written when the run was killed."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def append(path: Path, entry: dict) -> None:
    """Write one entry on a line of its own, also behind a line that was never finished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.tell() and not _ends_a_line(path):
            file.write(b"\n")
        file.write((json.dumps(entry, ensure_ascii=False) + "\n").encode())


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
