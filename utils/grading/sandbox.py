"""Walls around a submission: bubblewrap, Docker, or (a fence, no wall) resource limits alone.

What stands inside: Python and its packages, `utils` without checks and grader, `/usr`, an empty working
folder in memory. What does not: the network, other processes, the home folder, the course's notebooks and
solutions, the submissions, the results. `probe` tries the walls before anything is graded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from utils.grading import syscalls

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# Of utils/checks: how answers are read.
SHARED = ("__init__.py", "_compare.py", "_grading.py", "_tasks.py", "_tensors.py")
INSIDE = "/course"  # where `utils` stands in the sandbox
NOBODY = "65534"

KINDS = ("bwrap", "docker", "rlimit")
IMAGE = "convnets-grading"  # the image that --sandbox docker expects


class SandboxError(Exception):
    """The sandbox cannot be had on this machine; the message says why and what else there is."""


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    cell, call      seconds of wall time for one cell, for one call of an answer
    total           seconds of wall time for everything; twice as many of CPU time
    memory          MiB of all its processes together
    processes       threads and child processes
    file            MiB of the largest file, and of all files together
    """

    cell: float = 60
    call: float = 10
    total: float = 180
    memory: int = 3072
    processes: int = 64
    file: int = 64

    def __post_init__(self):
        for name, value in vars(self).items():
            if not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{name}: expected a number above 0, got {value!r}")

    def resources(self) -> dict[str, int]:
        """The limits that the process sets on itself, by their names in `resource`."""
        return {
            "AS": max(self.memory, 8192) * 2**20,  # PyTorch reserves several GB that it never touches
            "CPU": int(2 * self.total) + 1,
            "FSIZE": self.file * 2**20,
            "CORE": 0,
            "NOFILE": 256,
            "NPROC": self.processes,
        }


def environment() -> dict[str, str]:
    """All that the submission sees of the environment."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
    }


@contextlib.contextmanager
def call_filter(kind: str, folder: Path) -> Iterator[int | None]:
    """The number of an open file with the filter of system calls, None where this kind has none of ours."""
    program = syscalls.program(os.uname().machine) if kind == "bwrap" else b""
    if not program:
        yield None
        return
    path = folder / "calls"
    path.write_bytes(program)
    with path.open("rb") as file:
        yield file.fileno()


def outside_environment(kind: str) -> dict[str, str]:
    """The environment of the command that starts the worker: docker's own needs ours, to find its daemon.

    bwrap gets no more than the submission: it is process 1 inside, where /proc shows what it was given.
    """
    return dict(os.environ) if kind == "docker" else environment()


def command(kind: str, limits: Limits, folder: Path, calls: int | None = None) -> list[str]:
    """The command that starts the worker behind the walls of this kind; `folder` is an empty one outside."""
    if kind == "bwrap":
        return _bubblewrap(limits, calls)
    if kind == "docker":
        return _docker(limits, _copy(folder))
    if kind == "rlimit":
        return [sys.executable, "-I", str(HERE / "worker.py"), str(_copy(folder))]
    raise ValueError(f"sandbox: expected one of {', '.join(KINDS)}, got {kind!r}")


def _bubblewrap(limits: Limits, calls: int | None = None) -> list[str]:
    """bwrap: namespaces of its own for users, processes, network, mounts; everything read-only."""
    program = shutil.which("bwrap") or "bwrap"  # by its path: it is started without ours
    words = [program, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv"]
    words += ["--seccomp", str(calls)] if calls is not None else []
    words += ["--uid", NOBODY, "--gid", NOBODY, "--cap-drop", "ALL", "--hostname", "course"]
    for name, value in environment().items():
        words += ["--setenv", name, value]
    for path in ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache"):
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            words += ["--ro-bind", path, path]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", str(2**20), "--tmpfs", "/dev/shm"]
    words += ["--remount-ro", "/dev", "--size", str(limits.file * 2**20), "--tmpfs", "/tmp"]
    for path in _python_folders():  # after /tmp: the course may stand there
        words += ["--ro-bind", path, path]
    for path in _font_list():
        words += ["--ro-bind", str(path), f"/tmp/matplotlib/{path.name}"]
    words += ["--ro-bind", str(ROOT / "utils"), f"{INSIDE}/utils"]
    for hidden, shown in _replaced().items():
        words += ["--size", str(2**20), "--tmpfs", f"{INSIDE}/utils/{hidden}"]
        for name, source in shown.items():
            words += ["--ro-bind", str(source), f"{INSIDE}/utils/{hidden}/{name}"]
        words += ["--remount-ro", f"{INSIDE}/utils/{hidden}"]
    words += ["--dir", f"{INSIDE}/work", "--size", str(limits.file * 2**20), "--tmpfs", f"{INSIDE}/work"]
    words += ["--remount-ro", "/", "--chdir", f"{INSIDE}/work", "--"]
    return [*words, sys.executable, "-I", f"{INSIDE}/utils/grading/worker.py", INSIDE]


@cache
def _font_list() -> list[Path]:
    """Matplotlib's list of fonts. It takes a second to make; every submission would make it anew."""
    script = "import matplotlib, matplotlib.font_manager; print(matplotlib.get_cachedir())"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return sorted(Path(made.stdout.strip() or "-").glob("fontlist-*.json"))


def _replaced() -> dict[str, dict[str, Path]]:
    """Folders of `utils` that are hidden, and what stands in their place: file name -> source."""
    checks = ROOT / "utils/checks"
    return {
        "checks": {name: checks / name for name in SHARED if name != "__init__.py"}
        | {"__init__.py": HERE / "stand_in.py"},
        "grading": {name: HERE / name for name in ("wire.py", "worker.py", "needed.py")}
        | {"__init__.py": HERE / "stand_in.py"},
    }


def _python_folders() -> list[str]:
    """The folders that hold Python and its packages."""
    places = {
        os.path.realpath(sys.base_prefix),
        sys.prefix,
        os.path.dirname(os.path.realpath(sys.executable)),
    }
    outside = [p for p in places if not any(Path(p).is_relative_to(q) for q in ("/usr", "/bin", "/lib"))]
    return sorted(p for p in outside if not any(p != q and Path(p).is_relative_to(q) for q in outside))


def _copy(folder: Path) -> Path:
    """A copy of `utils` without checks and grader, for walls that cannot hide a part of a folder."""
    target = folder / "course"
    hidden = shutil.ignore_patterns("__pycache__", "checks", "grading")
    shutil.copytree(ROOT / "utils", target / "utils", ignore=hidden, dirs_exist_ok=True)
    for name, shown in _replaced().items():
        (target / "utils" / name).mkdir()
        for file, source in shown.items():
            shutil.copy(source, target / "utils" / name / file)
    (target / "work").mkdir()  # where the submission stands: inside the course, as its first cell expects
    return target


def _docker(limits: Limits, course: Path) -> list[str]:
    """docker run: no network, no capabilities, a read-only root; the daemon limits memory and processes."""
    options = {
        "name": course.parent.name,
        "network": "none",
        "cap-drop": "ALL",
        "security-opt": "no-new-privileges",
        "user": f"{NOBODY}:{NOBODY}",
        "cpus": "1",
        "memory": f"{limits.memory}m",
        "memory-swap": f"{limits.memory}m",
        "pids-limit": str(limits.processes),
        "workdir": f"{INSIDE}/work",
        "volume": f"{course}:{INSIDE}:ro",
    }
    words = ["docker", "run", "--rm", "--interactive", "--read-only"]
    words += [f"--{name}={value}" for name, value in options.items()]
    words += [f"--tmpfs={place}:size={limits.file}m" for place in ("/tmp", f"{INSIDE}/work")]
    inside = environment() | {"PATH": "/usr/local/bin:/usr/bin:/bin"}  # python:3.11-slim has it in the first
    words += [f"--env={name}={value}" for name, value in inside.items()]
    return [*words, IMAGE, "python", "-I", f"{INSIDE}/utils/grading/worker.py", INSIDE]


def stop(kind: str, folder: Path) -> None:
    """End what outlives the command that started it: a container goes on when `docker run` is killed."""
    if kind == "docker":
        subprocess.run(["docker", "kill", folder.name], capture_output=True, timeout=60, check=False)


def probe(kind: str) -> None:
    """Raise SandboxError unless the sandbox of this kind starts here and holds."""
    if kind not in KINDS:
        raise ValueError(f"sandbox: expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "rlimit":
        return
    program = {"bwrap": "bwrap", "docker": "docker"}[kind]
    if shutil.which(program) is None:
        raise SandboxError(f"sandbox: {program} is not installed. {_other_ways(kind)}")
    with tempfile.TemporaryDirectory() as folder:
        words = command(kind, Limits(), Path(folder))
        start = len(words) - 1 - words[::-1].index("-I")  # up to the interpreter, then our own few lines
        words = [*words[:start], "-I", "-c", _TRY, str(ROOT)]
        answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode or answer.stdout.strip() != "walls":
        said = (answer.stderr or answer.stdout).strip().splitlines()
        raise SandboxError(
            f"sandbox: {program} does not hold on this machine ({said[-1] if said else answer.returncode}). "
            + _other_ways(kind)
        )


_TRY = """
import os, socket, sys
assert not os.path.exists(os.path.join(sys.argv[1], "solutions")), "the course is visible inside"
try:
    socket.create_connection(("192.0.2.1", 80), timeout=0.2)
except OSError:
    print("walls")
"""


def _other_ways(kind: str) -> str:
    """What else there is."""
    first = (
        "Install it (Debian, Ubuntu: apt install bubblewrap; kernels may need "
        "kernel.unprivileged_userns_clone=1, Ubuntu 24.04 kernel.apparmor_restrict_unprivileged_userns=0)"
        if kind == "bwrap"
        else f"Build the image {IMAGE} as the instructor's guide shows"
    )
    other = "docker" if kind == "bwrap" else "bwrap"
    return (
        f"{first}; or use --sandbox {other}; or, for submissions that you trust, --sandbox rlimit, which "
        "limits time and memory but neither the network nor the files that a submission reads and writes."
    )


def descendants(pid: int) -> Iterator[int]:
    """The process and all its children, their children and so on (Linux)."""
    waiting = [pid]
    while waiting:
        yield (each := waiting.pop())
        try:
            tasks = os.listdir(f"/proc/{each}/task")
            children = " ".join(Path(f"/proc/{each}/task/{t}/children").read_text() for t in tasks)
        except OSError:
            continue
        waiting += map(int, children.split())


def cpu_used(pid: int) -> float:
    """CPU seconds that a process, its living descendants and their ended children have taken so far."""
    ticks = 0
    for each in descendants(pid):
        try:
            after_name = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, after_name[11:15]))  # user, system, and both of the ended children
        except (OSError, IndexError, ValueError):
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def held(pid: int) -> tuple[float, int]:
    """MiB of memory that a process and its descendants hold, and how many processes and threads they are."""
    pages = count = 0
    for each in descendants(pid):
        try:
            pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
            count += len(os.listdir(f"/proc/{each}/task"))
        except (OSError, IndexError, ValueError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, count
