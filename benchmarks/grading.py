"""What does grading a class cost? 500 generated submissions in one run, and nbgrader on a few of the same.

    python -m benchmarks.grading              measure and print
    python -m benchmarks.grading --record     and write benchmarks/results/grading.json

The submissions go round all exercises: right, partly right, blank, broken, always the same ones. CPU seconds
are those of the sandboxed process and of the grader around it. The class grows in three steps, 100, 200 and
500, and each step goes on where the one before stopped: if the cost were not linear, CPU seconds for each
submission would grow. Memory is that of the grading processes alone, without what runs in the sandbox.
"""

import argparse
import contextlib
import io
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from experiments.provenance import processor
from experiments.provenance import provenance as recorded
from utils.grading import run

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results" / "grading.json"
KINDS = {"right": 8, "partly right": 7, "blank": 3, "broken": 2}  # in 20 submissions
HONEST = ("right", "partly right", "blank")
AGAINST_NBGRADER = "03_convolution_layer"
SEED = 4711


def exercises() -> list[str]:
    return sorted(path.stem for path in (ROOT / "exercises").glob("[0-9]*.ipynb"))


def generate(number: int) -> tuple[str, str, bytes]:
    """(exercise, kind, content) of a submission; the same number always gives the same one."""
    rng = random.Random(number)
    names = exercises()
    name = names[number % len(names)]
    order = [kind for kind, count in KINDS.items() for _ in range(count)]
    kind = order[(7 * (number // len(names)) + 3 * (number % len(names))) % len(order)]
    blank = json.loads((ROOT / "exercises" / f"{name}.ipynb").read_text(encoding="utf-8"))
    made = json.loads((ROOT / "solutions" / f"{name}.ipynb").read_text(encoding="utf-8"))
    answered = [i for i, cell in enumerate(made["cells"]) if "solution" in cell["metadata"].get("tags", [])]
    if kind == "blank":
        made = blank
    if kind == "partly right":
        for place in rng.sample(answered, min(2, len(answered))):
            made["cells"][place]["source"] = weaker("".join(made["cells"][place]["source"]), rng)
    if kind == "broken" and rng.random() < 0.5:
        made["cells"][rng.choice(answered)]["source"] = "def answer(:\n    return"
    content = json.dumps(made).encode()
    if kind == "broken" and rng.random() < 0.5:
        content = content[: len(content) // 2]
    return name, kind, content


def weaker(source: str, rng: random.Random) -> str:
    """An answer with a mistake: a sign, a number off by one, an axis."""
    changes = [(" + ", " - "), ("// 2", "// 3"), (" * ", " + "), ("- 1", "- 2"), ("axis=", "axis=-")]
    possible = [(old, new) for old, new in changes if old in source]
    old, new = rng.choice(possible) if possible else ("return ", "return 0 * ")
    return source.replace(old, new, 1)


def fill(folder: Path, numbers: range) -> None:
    """Write submissions as nbgrader keeps them: one folder a student, one folder an assignment."""
    for number in numbers:
        name, _, content = generate(number)
        place = folder / f"student{number:03}" / name
        place.mkdir(parents=True)
        (place / f"{name}.ipynb").write_bytes(content)


class Watch:
    """The most memory, in MiB, that this process and the grading processes held at once."""

    def __init__(self):
        self.peak, self.over = 0.0, threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self) -> None:
        while not self.over.wait(0.25):
            self.peak = max(self.peak, sum(map(held, [os.getpid(), *graders()])))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.over.set()
        self.thread.join()


def graders() -> list[int]:
    """The processes of the pool: children of this one that Python started."""
    me = os.getpid()
    words = [Path(f"/proc/{me}/task/{task}/children") for task in os.listdir(f"/proc/{me}/task")]
    with contextlib.suppress(OSError):
        return [int(pid) for path in words for pid in path.read_text().split()]
    return []


def held(pid: int) -> float:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def grade_class(folder: Path, results: Path, jobs: int) -> tuple[float, float]:
    """Run the command. Returns its seconds on the clock, and the CPU seconds of its own process."""
    clock, cpu = time.monotonic(), time.process_time()
    words = [str(folder), "-o", str(results), "--seed", str(SEED), "--jobs", str(jobs)]
    with contextlib.redirect_stdout(io.StringIO()):
        status = run.main(words)
    if status == 2:
        raise SystemExit("The grader refused; its message stands above.")
    return time.monotonic() - clock, time.process_time() - cpu


def records_in(results: Path) -> dict[int, dict]:
    """Number of the submission -> its record."""
    found = [json.loads(p.read_text(encoding="utf-8")) for p in (results / "records").glob("*.json")]
    return {int(record["student"].removeprefix("student")): record for record in found}


def measure(steps: list[int], jobs: int) -> dict:
    """Grade the growing class; the entries of the record."""
    with tempfile.TemporaryDirectory() as place, Watch() as watch:
        folder, results = Path(place) / "submitted", Path(place) / "results"
        clock = own = 0.0
        growth, before = {}, 0
        for count in steps:
            fill(folder, range(before, count))
            seconds, cpu = grade_class(folder, results, jobs)
            clock, own, before = clock + seconds, own + cpu, count
            records = records_in(results)
            growth[str(count)] = round((sum(r["cpu_seconds"] for r in records.values()) + own) / count, 3)
            print(f"{count} submissions: {growth[str(count)]:.2f} CPU seconds each", flush=True)
    cpu = {number: record["cpu_seconds"] for number, record in records.items()}
    kinds = {number: generate(number)[1] for number in cpu}
    return {
        "submissions": len(cpu),
        "kinds": {kind: list(kinds.values()).count(kind) for kind in KINDS},
        "jobs": jobs,
        "minutes": round(clock / 60, 1),
        "submissions a minute and core, by CPU": round(60 * len(cpu) / (sum(cpu.values()) + own), 1),
        "CPU seconds, honest": summary([cpu[n] for n in cpu if kinds[n] in HONEST]),
        "CPU seconds, right": summary([cpu[n] for n in cpu if kinds[n] == "right"]),
        "CPU seconds by exercise, right": by_exercise(cpu, kinds),
        "CPU seconds each, as the class grows": growth,
        "peak memory of the grader, MiB": round(watch.peak),
    }


def summary(values: list[float]) -> dict:
    return {
        "median": round(statistics.median(values), 2),
        "95th percentile": round(statistics.quantiles(values, n=20)[-1], 2),
        "mean": round(statistics.mean(values), 2),
    }


def by_exercise(cpu: dict[int, float], kinds: dict[int, str]) -> dict[str, float]:
    """Median of the right submissions of each exercise."""
    groups: dict[str, list[float]] = {}
    for number in cpu:
        if kinds[number] == "right":
            groups.setdefault(generate(number)[0][:2], []).append(cpu[number])
    return {name: round(statistics.median(values), 2) for name, values in sorted(groups.items())}


def against_nbgrader(count: int) -> dict:
    """CPU seconds of `nbgrader autograde` and of our command for the same submissions of one exercise."""
    name = AGAINST_NBGRADER
    numbers = [n for n in range(500) if generate(n)[0] == name and generate(n)[1] in HONEST][:count]
    with tempfile.TemporaryDirectory() as place:
        course = Path(place)
        (course / "source" / name).mkdir(parents=True)
        shutil.copy(ROOT / "exercises" / f"{name}.ipynb", course / "source" / name)
        for number in numbers:
            home = course / "submitted" / f"student{number:03}" / name
            home.mkdir(parents=True)
            (home / f"{name}.ipynb").write_bytes(generate(number)[2])
        nbgrader(course, "generate_assignment", name, "--force")
        theirs = nbgrader(course, "autograde", name) / len(numbers)
        grade_class(course / "submitted", course / "results", 1)
        ours = statistics.mean(r["cpu_seconds"] for r in records_in(course / "results").values())
    return {
        "exercise": name,
        "submissions": len(numbers),
        "nbgrader": round(theirs, 2),
        "ours": round(ours, 2),
        "ratio": round(theirs / ours, 1),
    }


def nbgrader(course: Path, *words: str) -> float:
    """Run a command of nbgrader. Returns the CPU seconds that it and its kernels took."""
    program = Path(sys.executable).parent
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    paths = os.pathsep.join([str(program), os.environ["PATH"]])
    subprocess.run(
        [program / "nbgrader", *words],
        cwd=course,
        env=os.environ | {"PATH": paths, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=500, help="how many (default: 500)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once (default: one a core)")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    arguments = parser.parse_args()
    steps = sorted({max(1, arguments.submissions * share // 5) for share in (1, 2, 5)})
    command = f"python -m benchmarks.grading --submissions {arguments.submissions} --jobs {arguments.jobs}"
    record = recorded(f"{command} --record", ("numpy", "nbgrader"), watched=("utils", "benchmarks"))
    print(processor())
    record["against nbgrader, CPU seconds each"] = against_nbgrader(8)
    print(record["against nbgrader, CPU seconds each"], flush=True)
    record |= measure(steps, arguments.jobs)
    print(json.dumps(record, indent=1, ensure_ascii=False))
    if arguments.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nwritten to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
