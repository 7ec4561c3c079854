"""Every hostile, broken or odd submission gets the points it must get, and harms nobody."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hostile_submissions import FULL, SUBMISSIONS

from utils.grading import sandbox
from utils.grading.grade import Settings, grade_one
from utils.grading.sandbox import Limits

LIMITS = Limits(cell=12, call=4, total=100, memory=1500)  # for those that run into one
PATIENT = replace(LIMITS, cell=60, call=30, total=300)  # for the others, which a busy machine may not stop


@pytest.fixture(scope="session")
def walls() -> Settings:
    """Settings with bubblewrap, which continuous integration must have; or with the sandbox that was asked for:

    CONVNETS_TEST_SANDBOX=docker pytest tests/test_grading_hostile.py    (needs a daemon and the image)
    """
    kind = os.environ.get("CONVNETS_TEST_SANDBOX", "bwrap")
    try:
        sandbox.probe(kind)
    except sandbox.SandboxError as error:
        if os.environ.get("CONVNETS_REQUIRE_SANDBOX"):
            raise
        pytest.skip(str(error))
    return Settings(seed=11, sandbox=kind, limits=PATIENT, all_cells=True)  # so that every attack takes place


def processes_with(word: str) -> list[str]:
    lines = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in lines if word in line]


def gone(word: str, seconds: float) -> bool:
    """Whether no process with this word is left; the one of a test that runs beside this one ends in time."""
    end = time.monotonic() + seconds
    while found := processes_with(word):
        if time.monotonic() > end:
            print(found)
            return False
        time.sleep(0.5)
    return True


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_submission_gets_its_points(name: str, walls: Settings, tmp_path: Path, monkeypatch):
    handed = SUBMISSIONS[name]
    home, temporary = tmp_path / "in", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))  # of its own: other tests run beside this one
    path = home / "submission.ipynb"
    path.write_bytes(handed.make())
    before = sorted(p.name for p in home.iterdir())

    cpu, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record = grade_one(path, replace(walls, limits=LIMITS) if handed.slow else walls)
    if handed.big:  # what it sends must not make the grader work or grow
        assert time.process_time() - cpu < 10
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 500_000  # KiB
    assert_can_be_written(record)

    said = "\n".join(
        [record["status"], *(c["message"] for c in record["cells"]), *(t["text"] for t in record["tasks"])]
    )
    assert record["points"] == pytest.approx(handed.points), said
    assert record["max_points"] in (0, FULL)
    if walls.sandbox == "bwrap":  # other walls stop the same things, and say so in other words
        assert handed.words in said
    if walls.sandbox == "bwrap" and handed.clean:
        assert record["cells"] == []
    # nobody else is affected: nothing written beside the submission, nothing left running or lying about
    assert sorted(p.name for p in home.iterdir()) == before
    assert gone("sleep 98765", PATIENT.total)
    assert list(temporary.iterdir()) == []


def assert_can_be_written(value) -> None:
    """No half characters, no terminal commands, no marks that turn the direction of the text."""
    if isinstance(value, str):
        assert all(letter.isprintable() or letter == "\n" for letter in value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_can_be_written(item)


def test_same_seed_same_record_other_seed_same_points(walls: Settings, tmp_path: Path):
    path = tmp_path / "submission.ipynb"
    path.write_bytes(SUBMISSIONS["subtly wrong"].make())
    first, second = grade_one(path, walls), grade_one(path, walls)
    for record in (first, second):
        assert record.pop("seconds") > 0
        assert record.pop("cpu_seconds") > 0
    assert first == second


def test_alternatives_get_full_marks_in_the_sandbox(walls: Settings, tmp_path: Path):
    shutil.copy(Path("solutions/06_numpy_network.ipynb").resolve(), tmp_path / "a.ipynb")
    assert grade_one(tmp_path / "a.ipynb", walls)["points"] == FULL
