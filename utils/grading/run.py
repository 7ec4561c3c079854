"""Grade a folder of submissions.

    python -m utils.grading SUBMISSIONS -o RESULTS --seed 7

SUBMISSIONS is a folder of notebooks, a folder with one folder a student, or a zip file of either, as
nbgrader, Moodle and Canvas export them. RESULTS gets records/*.json and feedback/*.html for each submission,
grades.csv for all, remarks.txt for what needs a look. What is graded and unchanged is not graded again, so a
run that was interrupted goes on where it stopped. The exit status is 0 when every submission was graded, 1
when some could not be read, 2 for a mistake in the command or a sandbox that cannot be had, 130 when
interrupted.
"""

from __future__ import annotations

import argparse
import concurrent.futures as futures
import contextlib
import datetime
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from utils.checks import tasks
from utils.grading import report, sandbox
from utils.grading.grade import Settings, clean, grade_one, own_cases
from utils.grading.submissions import Collection, Submission, collect, duplicates, read_roster

ATTEMPTS = 2  # of a submission whose grading process died


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.grading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("submissions", metavar="SUBMISSIONS", type=Path, help="folder, zip file or notebook")
    add("-o", "--output", metavar="RESULTS", type=Path, default=Path("results"), help="default: results")
    add("--seed", type=int, default=0, help="of the hidden cases; keep it to yourself until grades are out")
    add("--jobs", type=int, default=os.cpu_count(), help="submissions at once (default: one a core)")
    add("--exercise", metavar="exNN", help="default: read from each notebook")
    add("--cases", metavar="FILE", help="a Python file with CASES of your own")
    add("--roster", metavar="CSV", type=Path, help="columns `submission` and `student`")
    add("--due", metavar="DATE", help="deadline, such as 2027-03-01T23:59; later ones are marked late")
    add("--keep", choices=["latest", "best"], default="latest", help="which of several copies counts")
    add("--sandbox", choices=sandbox.KINDS, default="bwrap", help="default: bwrap")
    add("--dask", metavar="ADDRESS", help="grade on the workers of this Dask scheduler")
    add("--gradebook", metavar="DB", type=Path, help="also write nbgrader's gradebook.db")
    add("--student", metavar="NAME", help="only this one, again, even if graded")
    add("--verbose", action="store_true", help="print the whole report of each submission")
    add("--all-cells", action="store_true", help="run every cell, also those that no answer needs")
    add("--again", action="store_true", help="grade everything again")
    for name, unit in (("cell", "s"), ("call", "s"), ("total", "s"), ("memory", "MiB"), ("processes", "")):
        default = getattr(sandbox.Limits(), name)
        add(
            f"--limit-{name}",
            type=type(default),
            default=default,
            metavar=unit or "N",
            help=f"default: {default}",
        )
    chosen = parser.parse_args(words)
    if chosen.jobs is not None and chosen.jobs < 1:
        parser.error(f"--jobs: expected at least 1, got {chosen.jobs}")
    return chosen


def settings_of(chosen: argparse.Namespace) -> Settings:
    """The settings that every submission is graded with."""
    names = ("cell", "call", "total", "memory", "processes")
    limits = sandbox.Limits(**{name: getattr(chosen, f"limit_{name}") for name in names})
    cases = str(Path(chosen.cases).resolve()) if chosen.cases else None
    return Settings(chosen.seed, chosen.sandbox, limits, chosen.exercise, cases, chosen.all_cells)


@cache
def fingerprint(settings: Settings, exercise: str | None) -> str:
    """A hash of what decides the points besides the notebook: settings, the exercise's checks, grader."""
    state = hashlib.sha256(repr(settings).encode())
    utils = sandbox.ROOT / "utils"
    files = sorted(utils.glob("grading/*.py")) + sorted(utils.glob("checks/_*.py"))
    files += sorted(utils.glob(f"checks/{exercise}.py"))
    for path in [*files, *([Path(settings.cases)] if settings.cases else [])]:
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


def key_of(submission: Submission) -> str:
    """A short name for one file that was handed in."""
    return hashlib.sha256(submission.original.encode(errors="surrogateescape")).hexdigest()[:12]


def known_records(folder: Path, settings: Settings) -> dict[str, dict[str, Any]]:
    """Records of earlier runs with the same fingerprint: key -> record. Damaged files count as none."""
    records = {}
    for path in folder.glob("*.json"):
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["fingerprint"] == fingerprint(settings, record["exercise"]):
                records[record["key"]] = record
    return records


def completed(
    todo: list[Submission], grader: Callable[[str], dict], jobs: int
) -> Iterator[tuple[Submission, dict[str, Any]]]:
    """Grade in several processes; yield each record when it is there.

    Should a grading process itself be killed, the submissions in hand are tried once more, one at a time.
    """
    context = multiprocessing.get_context("spawn")
    waiting, tried = list(todo), dict.fromkeys((s.original for s in todo), 0)
    while waiting:
        careful = any(tried.values())
        batch, left = waiting, []
        with futures.ProcessPoolExecutor(1 if careful else jobs, mp_context=context) as pool:
            handed = {pool.submit(grader, str(s.path)): s for s in batch}
            try:
                for future in futures.as_completed(handed):
                    submission = handed[future]
                    try:
                        yield submission, future.result()
                    except futures.process.BrokenProcessPool:
                        left.append(submission)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        waiting = []
        for number, submission in enumerate(left):
            tried[submission.original] += number == 0 or not careful
            if tried[submission.original] > ATTEMPTS:
                yield submission, failed("The grading process was killed.")
            else:
                waiting.append(submission)


def failed(reason: str) -> dict[str, Any]:
    """The record of a submission that could not be graded at all."""
    return {
        "exercise": None, "status": reason, "cells": [], "flags": [], "tasks": [], "sha256": "",
        "points": 0.0, "max_points": 0.0, "seconds": 0.0, "cpu_seconds": 0.0, "seed": None,
    }  # fmt: skip


class Grader:
    """`grade_one` with its settings; a class, so that it travels to other processes and machines."""

    def __init__(self, settings: Settings):
        self.settings = settings

    def __call__(self, path: str) -> dict[str, Any]:
        try:
            return grade_one(path, self.settings)
        except Exception as error:  # a mistake of ours must not stop the others
            return clean(failed(f"The grader failed: {type(error).__name__}: {error}"))


def choose(records: list[dict[str, Any]], keep: str) -> None:
    """Mark which of several copies counts."""
    for record in records:
        record["counts"] = True
    for group in duplicates(records):
        order = (lambda r: (r["points"], r["modified"])) if keep == "best" else (lambda r: r["modified"])
        last = max(group, key=lambda r: (order(r), r["original"]))
        for record in group:
            record["counts"] = record is last


def main(words: list[str] | None = None) -> int:
    """The command. Returns the exit status."""
    chosen = arguments(words)
    try:
        settings = settings_of(chosen)
        roster = read_roster(chosen.roster) if chosen.roster else None
        due = datetime.datetime.fromisoformat(chosen.due) if chosen.due else None
        due = due.astimezone().replace(tzinfo=None) if due and due.tzinfo else due  # in local time
        sandbox.probe(chosen.sandbox)
        if settings.exercise:
            tasks(settings.exercise)
        if settings.cases:
            own_cases(settings.cases)
    except (ValueError, sandbox.SandboxError) as error:
        print(error, file=sys.stderr)
        return 2
    if chosen.sandbox == "rlimit":
        print(
            "Warning: --sandbox rlimit does not keep submissions from the network or your files.",
            file=sys.stderr,
        )
    with tempfile.TemporaryDirectory(prefix="submissions-") as folder:
        try:
            found = collect(chosen.submissions, Path(folder), roster, due)
            return grade_all(found, settings, chosen)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("Interrupted. The same command goes on where it stopped.", file=sys.stderr)
            return 130


def grade_all(found: Collection, settings: Settings, chosen: argparse.Namespace) -> int:
    """Grade what is new, write everything, print the table."""
    records_folder, pages = chosen.output / "records", chosen.output / "feedback"
    for place in (records_folder, pages):
        place.mkdir(parents=True, exist_ok=True)
    known = {} if chosen.again else known_records(records_folder, settings)
    wanted = [s for s in found.submissions if chosen.student in (None, s.student)]
    if chosen.student and not wanted:
        raise ValueError(f"--student: nothing was handed in by {chosen.student!r}")
    done, todo = [], []
    for submission in wanted:
        record = known.get(key_of(submission))
        same = record is not None and record["sha256"] == _hash(submission.path) and not chosen.student
        (done if same else todo).append(submission)
    records = [known[key_of(s)] | _facts(s) for s in done]
    if done:
        print(f"{len(done)} graded before and unchanged")
    run = (
        completed(todo, Grader(settings), chosen.jobs)
        if not chosen.dask
        else _on_cluster(todo, settings, chosen)
    )
    for submission, result in tqdm(run, total=len(todo), unit="notebook", disable=not todo, file=sys.stderr):
        record = result | _facts(submission)
        record["fingerprint"] = fingerprint(settings, record["exercise"])
        records.append(record)
        report.write_json(records_folder / f"{report.file_name(record)}.json", record)
        (pages / f"{report.file_name(record)}.html").write_text(report.feedback(record), encoding="utf-8")
    choose(records, chosen.keep)
    records.sort(key=lambda r: (r["student"].lower(), r["exercise"] or "", r["original"]))
    if not chosen.student:
        report.write_grades(chosen.output / "grades.csv", records, found.missing)
        remarks = found.remarks + [f"{r['original']}: {flag}" for r in records for flag in r["flags"]]
        (chosen.output / "remarks.txt").write_text("".join(f"{line}\n" for line in remarks), encoding="utf-8")
    if chosen.verbose:
        for record in records:
            print(f"\n{record['student']}, {record['original']}, seed {record['seed']}")
            print("\n".join(f"  cell {c['cell'] + 1}: {c['message']}" for c in record["cells"]))
            print("\n\n".join(task["text"] for task in record["tasks"]))
    print(report.table(records))
    print("".join(f"note: {line}\n" for line in found.remarks), end="")
    if chosen.gradebook:
        from utils.grading.gradebook import write

        write(chosen.gradebook, records)
    return 0 if all(r["status"] == "graded" for r in records) else 1


def _facts(submission: Submission) -> dict[str, Any]:
    """What the record holds besides what `grade_one` found out."""
    return {
        "student": submission.student,
        "original": submission.original,
        "modified": submission.modified.isoformat(timespec="seconds"),
        "late": submission.late,
        "known": submission.known,
        "key": key_of(submission),
    }


def _hash(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _on_cluster(todo: list[Submission], settings: Settings, chosen: argparse.Namespace):
    from utils.grading.cluster import completed_on

    return completed_on(chosen.dask, todo, settings)
