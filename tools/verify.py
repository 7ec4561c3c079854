"""Run every check of the course, one after the other, and say at the end what failed: `make test`.

python -m tools.verify [STEP ...]     only these steps; `--list` names them
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.course import ROOT

PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
SHARED = ["-n2", "--dist=worksteal"]  # two processes; one that has nothing left takes over from the other
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "-n2", "--dist=loadfile"]
STRICT_SITE = Path("_build/strict")
FIRST = ("lint", "text", "notebooks", "exercises")  # one process each; the website is built beside them

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
    "unit": ("Tests of the package and the tools", [*PYTEST, *SHARED, "-m", "not site", "tests"]),
    "site": (
        "The website builds from nothing without a warning",
        ["-m", "tools.site", "--strict", "--output", str(STRICT_SITE)],
    ),
    "pages": ("The website works in a browser", [*PYTEST, *SHARED, "-m", "site", "-rs", "tests"]),
}


def run(name: str, aside: bool = False) -> tuple[bool, str]:
    """Run one step. Returns whether it passed, and what it printed, where it runs `aside` of other steps."""
    title, arguments = STEPS[name]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1" if aside or "-n2" in arguments else "2",
    }
    environment["CONVNETS_SITE"] = str(ROOT / STRICT_SITE / "_build/html")
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} if aside else {}
    head = f"\n=== {name}: {title} {'=' * max(3, 90 - len(name) - len(title))}"
    if not aside:
        print(head, flush=True)
    started = time.perf_counter()
    ran = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=False, **output)
    passed, seconds = ran.returncode == 0, time.perf_counter() - started
    tail = f"--- {name}: {'passed' if passed else 'FAILED'} in {seconds:.0f} s"
    if aside:
        return passed, f"{head}\n{ran.stdout}{tail}"
    print(tail, flush=True)
    return passed, ""


def run_all(names: list[str]) -> dict[str, bool]:
    """Run steps in order; the website is built beside the first ones, which need one core as it does."""
    results = {}
    with ThreadPoolExecutor(1) as aside:
        building = aside.submit(run, "site", aside=True) if "site" in names and {*FIRST} & {*names} else None
        for name in sorted(names, key=lambda name: (name not in FIRST, [*STEPS].index(name))):
            if building and name not in FIRST and "site" not in results:
                results["site"], said = building.result()
                print(said, flush=True)
            if name not in results:
                results[name], _ = run(name)
    return {name: results[name] for name in names}


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
    results = run_all(list(dict.fromkeys(arguments.steps or STEPS)))
    print(f"\nAll steps, {time.perf_counter() - started:.0f} s:")
    for name, passed in results.items():
        print(f"  {'passed' if passed else 'FAILED'}  {name:10} {STEPS[name][0]}")
    print(f"{sum(results.values())} passed, {len(results) - sum(results.values())} failed")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
