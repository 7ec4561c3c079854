"""The grader around the sandbox: what is handed in, what comes out, resuming, nbgrader's gradebook, a cluster."""

from __future__ import annotations

import ast
import contextlib
import csv
import datetime
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hostile_submissions import SUBMISSIONS, code_cell
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from utils import checks
from utils.grading import needed, notebook, report, run, sandbox, submissions, wire
from utils.grading.grade import Entries, Settings, _value, grade_one

ROOT = Path(__file__).resolve().parent.parent
SOLVED = ROOT / "solutions/03_convolution_layer.ipynb"
BLANK = ROOT / "exercises/03_convolution_layer.ipynb"


@pytest.fixture(scope="session")
def bwrap() -> None:
    try:
        sandbox.probe("bwrap")
    except sandbox.SandboxError as error:
        if os.environ.get("CONVNETS_REQUIRE_SANDBOX"):
            raise
        pytest.skip(str(error))


def command(*words: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "utils.grading", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


# ------------------------------------------------------------------ what crosses the wall


numbers = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_, np.complex128]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(max_size=5) | numbers,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(plain)
def test_what_is_sent_arrives(value):
    buffers: list[bytes] = []
    tree = wire.encode(value, buffers)
    frame = wire.pack(tree, buffers)
    back = wire.decode(*wire.unpack(frame[8:]))
    np.testing.assert_equal(back, value)


@given(st.binary(max_size=200))
def test_noise_is_refused_without_a_crash(noise):
    try:
        tree, buffers = wire.unpack(noise)
        wire.decode(tree, buffers)
    except wire.WireError:
        pass


@pytest.mark.parametrize(
    "tree",
    [
        {"array": ["<f8", [10**12], 0]},
        {"array": ["|O", [1], 0]},
        {"array": ["<U4", [1], 0]},
        {"array": ["<f8", [-1], 0]},
        {"array": ["<f8", [1], -1]},
        {"array": ["<f8", [2], 0]},
        {"array": "x"},
        {"call": "os.system"},
        {"tuple": 3},
        [],
        None,
    ],
)
def test_lies_about_arrays_are_refused(tree):
    with pytest.raises(wire.WireError):
        wire.decode(tree, [bytes(8)])


def test_objects_do_not_pass():
    for value in (object(), {1, 2}, {1: 2}, np.array([object()]), np.array(["a"]), lambda: 0):
        with pytest.raises(TypeError):
            wire.encode(value, [])


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ok", "blank", "value", "array", "tuple", "list", "dict"]), inner, max_size=2
        )
    ),
    max_leaves=10,
)


@given(trees)
def test_any_reply_is_a_value_or_refused(tree):
    """Whatever JSON a submission sends: a plain value, or an error in words for the student."""
    reply = tree if isinstance(tree, dict) else {"ok": tree}
    with contextlib.suppress(checks.StudentError):
        _value(reply, [bytes(8)])
    with contextlib.suppress(checks.StudentError, KeyError):
        Entries([["a", tree], tree], [bytes(8)])["a"]


def test_a_small_frame_cannot_ask_for_a_large_memory():
    twice = {"tuple": [{"array": ["<f8", [1], 0]}] * 2}
    with pytest.raises(wire.WireError):
        wire.decode(twice, [bytes(8)])
    with pytest.raises(wire.WireError):
        wire.unpack(wire.pack({"value": "x" * 100})[8:], most_text=50)
    assert wire.decode({"list": [{"value": 1}]}, [], lists=False) == (1,)


# ------------------------------------------------------------------ which statements are needed


NOTEBOOK = {
    0: "import numpy as np, torch\nfrom utils import plot, data",
    1: "scale = 2\nunused = slow()\nplot.show(unused)",
    2: "def helper(x):\n    unused = x\n    return np.sum(unused) * scale",
    3: "def answer(x):\n    return helper(x)",
    4: "answer(3)\nscale += 1\nprint(torch.zeros(3))",
    5: "table = {}\nfor key in [1]:\n    table[key] = helper(key)\nother = {}\nother[1] = slow()",
    6: "np.random.seed(3)\nassert slow()\nrng.shuffle(table)",
}


def chosen(cells: dict[int, str], *answers: str) -> list[str]:
    trees = {number: ast.parse(text) for number, text in cells.items()}
    return [ast.unparse(s.node).splitlines()[0] for s in needed.needed(trees, set(answers))[0]]


def test_what_an_answer_needs_runs_and_nothing_else():
    assert chosen(NOTEBOOK, "answer") == [
        *("import numpy as np", "scale = 2", "def helper(x):", "def answer(x):", "answer(3)", "scale += 1"),
        "np.random.seed(3)",
    ]
    rest = chosen(NOTEBOOK, "table")
    assert {"table = {}", "for key in [1]:", "def helper(x):", "rng.shuffle(table)"} <= set(rest)
    assert not {"def answer(x):", "other = {}", "import torch", "from utils import plot"} & set(rest)


@pytest.mark.parametrize(
    "text",
    [
        "from numpy import *",
        "exec('answer = 3')",
        "globals()['answer'] = 3",
        "def f():\n    global answer\n    answer = 3",
        "get_ipython().run_cell_magic('time', '', 'answer = 3')",
    ],
)
def test_unclear_notebooks_run_as_a_whole(text):
    with pytest.raises(needed.UnclearError):
        chosen({0: text}, "answer")


def with_cells(tmp_path: Path, *texts: str, source: Path = SOLVED) -> Path:
    document = json.loads(source.read_text(encoding="utf-8"))
    document["cells"] += [code_cell(text) for text in texts]
    path = tmp_path / "made.ipynb"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_cells_that_no_answer_needs_are_left_out_only_while_nothing_is_lost(bwrap, tmp_path: Path):
    """An answer that a cell makes in a way that nobody can see still counts."""
    loop = with_cells(tmp_path, "while True: pass")
    assert grade_one(loop, Settings())["points"] == 10
    right = "lambda size, k, stride=1: ((o := -(-size // stride)), "
    right += "(t := max(0, (o - 1) * stride + k - size)) // 2, t - t // 2)"
    for hidden in (
        f"import sys\nsys.modules['__main__'].__dict__.update(same_padding={right})",
        f"import __main__\nvars(__main__)['same_padding'] = {right}",
    ):
        assert grade_one(with_cells(tmp_path, hidden, source=BLANK), Settings())["points"] == 1.5
    alias = "same = answers\nsame['side'] = 55\n"
    assert grade_one(with_cells(tmp_path, alias, source=BLANK), Settings())["points"] == 0.4
    call = "def put(key, value):\n    answers[key] = value\n\nput('side', 55)"
    assert grade_one(with_cells(tmp_path, call, source=BLANK), Settings())["points"] == 0.4
    assert grade_one(BLANK, Settings())["points"] == 0


# ------------------------------------------------------------------ who handed in what


@pytest.mark.parametrize(
    ("path", "student", "late"),
    [
        ("ada.ipynb", "ada", False),
        ("ada_03_convolution_layer.ipynb", "ada", False),
        ("03_convolution_layer_ada.ipynb", "ada", False),
        ("03_convolution_layer - ada (2).ipynb", "ada", False),
        ("ada/03_convolution_layer.ipynb", "ada", False),
        ("ada/ex03/03_convolution_layer (1).ipynb", "ada", False),
        ("submitted/ada/03_convolution_layer/03_convolution_layer.ipynb", "ada", False),
        ("Ada Lovelace_1234_assignsubmission_file_/03_convolution_layer.ipynb", "Ada Lovelace", False),
        ("lovelaceada_1234_5678_03_convolution_layer.ipynb", "lovelaceada", False),
        ("lovelaceada_LATE_1234_5678_03_convolution_layer-1.ipynb", "lovelaceada", True),
        ("03_convolution_layer.ipynb", "03_convolution_layer", False),
        ("Zoë Ångström.ipynb", "Zoë Ångström", False),
    ],
)
def test_the_student_is_found_in_the_path(path, student, late):
    assert submissions.student_of(path) == (student, late)


def test_nothing_is_dropped_silently(tmp_path: Path):
    folder = tmp_path / "in"
    for name in ("ada.ipynb", "ada (1).ipynb", "bob/03_convolution_layer.ipynb", "eve.pdf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints/ada.ipynb").write_text("{}")
    roster = {"ada": "s1", "cleo": "s3"}
    found = submissions.collect(folder, tmp_path / "out", roster, datetime.datetime(2000, 1, 1))
    assert sorted(s.original for s in found.submissions) == [
        "ada (1).ipynb",
        "ada.ipynb",
        "bob/03_convolution_layer.ipynb",
    ]
    assert {s.student for s in found.submissions} == {"s1", "bob"}
    assert all(s.late for s in found.submissions)
    said = "\n".join(found.remarks)
    for words in (
        "eve.pdf: not a notebook",
        "link.ipynb: a link",
        "'bob' is not on the roster",
        "s3: nothing",
    ):
        assert words in said
    assert found.missing == ["s3"]


def test_a_zip_cannot_reach_outside(tmp_path: Path):
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("ada/03_convolution_layer.ipynb", "{}")
        for name in ("../out.ipynb", "/abs.ipynb", "a/../../b.ipynb", "C:\\x.ipynb", "a\\..\\..\\c.ipynb"):
            z.writestr(name, "evil")
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = (0o120777) << 16
        z.writestr(link, "/etc/passwd")
    inside = tmp_path / "deep/er"
    found = submissions.collect(archive, inside)
    assert [s.original for s in found.submissions] == ["ada/03_convolution_layer.ipynb"]
    assert len(found.remarks) == 6
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {"in.zip", "03_convolution_layer.ipynb"}


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_FILE", 10**6)
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("ada.ipynb", bytes(10**7))
    found = submissions.collect(archive, tmp_path / "out")
    assert not found.submissions
    assert "too large" in found.remarks[0]


def test_broken_zips_are_explained(tmp_path: Path):
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.ipynb/b.ipynb", "{}")
        for name in (".", "a.ipynb", "x" * 300 + ".ipynb", "bob.ipynb"):
            z.writestr(name, "{}" * 100)
        with pytest.warns(UserWarning, match="Duplicate name"):
            z.writestr("bob.ipynb", "{}")
    content = archive.read_bytes()
    found = submissions.collect(archive, tmp_path / "out")
    assert {s.original for s in found.submissions} <= {"a.ipynb/b.ipynb", "a.ipynb", "bob.ipynb"}
    assert len(found.submissions) + len(found.remarks) == 6
    for cut in (30, 60, len(content) // 2, len(content) - 30):  # damaged somewhere
        archive.write_bytes(content[:cut] + bytes(20) + content[cut + 20 :])
        with contextlib.suppress(ValueError):
            submissions.collect(archive, tmp_path / f"out{cut}")


ODD_NAMES = (b"new\nline", b"\xff\xfe", b"\x1b[31mred", "\u202eadb".encode(), b"=1+1", b"back\\n")


def test_odd_names_stop_nothing(bwrap, tmp_path: Path):
    folder = os.fsencode(tmp_path / "in")
    os.mkdir(folder)
    for name in ODD_NAMES:
        Path(os.fsdecode(folder + b"/" + name + b".ipynb")).write_text("{")
    os.mkfifo(folder + b"/pipe.ipynb")
    os.utime(folder + b"/=1+1.ipynb", (2**40, 2**40))
    ran = command(tmp_path / "in", "-o", tmp_path / "out", "--due", "2027-03-01T23:59Z", "--verbose")
    assert ran.returncode == 1, ran.stderr
    assert len(grades(tmp_path / "out")) == len(ODD_NAMES)
    assert "pipe.ipynb: no regular file" in (tmp_path / "out/remarks.txt").read_text()
    assert all(letter.isprintable() or letter == "\n" for letter in ran.stdout)
    names = [submissions.printable(os.fsdecode(name)) for name in (*ODD_NAMES, b"new\\nline")]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\nada\n", "expected a column `student`"),
        ("submission,student\nada,\n", "line 2"),
        ("submission,student\nada,s1\nada,s2\n", "line 3"),
    ],
)
def test_a_wrong_roster_is_explained(tmp_path: Path, text, words):
    path = tmp_path / "roster.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        submissions.read_roster(path)


def test_every_task_has_its_answer_in_the_released_exercise():
    for exercise in checks.exercises():
        assert set(notebook.answers(exercise)) == {task.name for task in checks.tasks(exercise)}


# ------------------------------------------------------------------ the command


@pytest.fixture
def classroom(tmp_path: Path) -> Path:
    """Three students in nbgrader's layout: full marks, nothing, a broken file."""
    for student, source in {"ada": SOLVED, "bob": BLANK}.items():
        place = tmp_path / "submitted" / student / "ex03"
        place.mkdir(parents=True)
        shutil.copy(source, place / "03_convolution_layer.ipynb")
    (tmp_path / "submitted/eve/ex03").mkdir(parents=True)
    (tmp_path / "submitted/eve/ex03/03_convolution_layer.ipynb").write_text("{broken")
    return tmp_path


def grades(folder: Path) -> dict[str, dict]:
    with (folder / "grades.csv").open(encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_a_class_is_graded_resumed_and_written_to_the_gradebook(bwrap, classroom: Path):
    """One long test, because each step needs the one before it."""
    results, database = classroom / "results", classroom / "gradebook.db"
    words = (classroom / "submitted", "-o", results, "--seed", 5, "--jobs", 2)
    first = command(*words, "--gradebook", database)
    assert first.returncode == 1, first.stderr  # one could not be read
    table = grades(results)
    assert {name: float(row["points"]) for name, row in table.items()} == {"ada": 10, "bob": 0, "eve": 0}
    assert "damaged" in table["eve"]["status"]
    assert float(table["ada"]["ex03.conv2d"]) == 2.5

    # feedback says what to do and never what was expected
    pages = {p.name.split("_")[0]: p.read_text(encoding="utf-8") for p in (results / "feedback").iterdir()}
    assert "10 of 10 points" in pages["ada"]
    assert "Not answered yet" in pages["bob"]
    shown = set(re.findall(r"[\d,]+", html.unescape(pages["bob"])))
    for case in checks.find("ex03.layer").make_cases(5):
        assert str(checks.find("ex03.layer").reference(*case.args)) not in shown

    # nothing changed: nothing is graded again; one changed: one is
    records = {p: p.stat().st_mtime_ns for p in (results / "records").iterdir()}
    again = command(*words)
    assert "3 graded before and unchanged" in again.stdout
    assert {p: p.stat().st_mtime_ns for p in (results / "records").iterdir()} == records
    shutil.copy(SOLVED, classroom / "submitted/bob/ex03/03_convolution_layer.ipynb")
    command(*words)
    assert float(grades(results)["bob"]["points"]) == 10
    changed = [p for p, stamp in records.items() if p.stat().st_mtime_ns != stamp]
    assert [p.name.split("_")[0] for p in changed] == ["bob"]

    # an appeal: the whole report of one student, nothing else touched
    appeal = command(*words, "--student", "ada", "--verbose")
    assert "10.00/10" in appeal.stdout
    assert "[ok]" in appeal.stdout
    assert set(grades(results)) == {"ada", "bob", "eve"}

    # the gradebook, read by nbgrader's own exporter
    program = Path(sys.executable).parent / "nbgrader"
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    subprocess.run(
        [program, "export", f"--db=sqlite:///{database}", "--to=out.csv"],
        cwd=classroom, check=True, capture_output=True, env={**os.environ, "PATH": path},
    )  # fmt: skip
    with (classroom / "out.csv").open(encoding="utf-8") as file:
        exported = {
            row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)
        }
    assert exported["ada"] == (10, 10)
    assert exported["bob"] == (0, 10)


@pytest.mark.slow
def test_nbgrader_gives_honest_submissions_the_same_points(bwrap, tmp_path: Path):
    """Stock nbgrader on the released notebook, and our grader: right, blank, and partly right."""
    name = BLANK.stem
    honest = {
        "right": SOLVED.read_bytes(),
        "blank": BLANK.read_bytes(),
        "partly": SUBMISSIONS["subtly wrong"].make(),
    }
    (tmp_path / "source" / name).mkdir(parents=True)
    shutil.copy(BLANK, tmp_path / "source" / name)
    for student, content in honest.items():
        (tmp_path / "submitted" / student / name).mkdir(parents=True)
        (tmp_path / "submitted" / student / name / f"{name}.ipynb").write_bytes(content)
    program = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(program), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    for verb in (["generate_assignment", name, "--force"], ["autograde", name], ["export"]):
        ran = subprocess.run(
            [program / "nbgrader", *verb],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
    with (tmp_path / "grades.csv").open(encoding="utf-8") as file:
        theirs = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    for student in honest:
        path = tmp_path / "submitted" / student / name / f"{name}.ipynb"
        assert grade_one(path, Settings(seed=0))["points"] == pytest.approx(theirs[student])


def test_interrupted_runs_go_on(bwrap, tmp_path: Path):
    """Ctrl-C in the middle: what is graded is kept, the rest follows in the next run."""
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(16):
        shutil.copy(BLANK, folder / f"student{i}.ipynb")
    words = [sys.executable, "-m", "utils.grading", str(folder), "-o", str(tmp_path / "out"), "--jobs", "1"]
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    end = time.monotonic() + 120
    while len(list((tmp_path / "out/records").glob("*.json"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    kept = len(list((tmp_path / "out/records").glob("*.json")))
    assert process.returncode not in (0, None)
    assert kept >= 2
    second = command(folder, "-o", tmp_path / "out", "--jobs", 1)
    assert second.returncode == 0, second.stderr
    assert f"{kept} graded before and unchanged" in second.stdout
    assert len(list((tmp_path / "out/records").glob("*.json"))) == 16


@pytest.mark.slow
def test_a_cluster_loses_nothing_when_a_worker_is_killed(bwrap, tmp_path: Path):
    """A real Dask cluster of two processes; one of them is killed while it grades."""
    distributed = pytest.importorskip("distributed")
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(8):
        shutil.copy(SOLVED if i % 2 else BLANK, folder / f"student{i}.ipynb")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        words = [sys.executable, "-m", "utils.grading", str(folder), "-o", str(tmp_path / "out")]
        process = subprocess.Popen(
            [*words, "--dask", cluster.scheduler_address], cwd=ROOT, stdout=subprocess.PIPE
        )
        end = time.monotonic() + 120
        while not list((tmp_path / "out/records").glob("*.json")) and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        process.communicate(timeout=200)
        assert process.returncode == 0
    table = grades(tmp_path / "out")
    assert {name: float(row["points"]) for name, row in table.items()} == {
        f"student{i}": 10.0 * (i % 2) for i in range(8)
    }


def test_answers_in_pytorch_get_their_points(bwrap):
    """Tasks whose functions take tensors: these are made inside, numbers alone cross the wall."""
    assert any(task.tensors for task in checks.tasks("ex15"))
    record = grade_one(ROOT / "solutions/15_resnet.ipynb", Settings())
    assert record["points"] == record["max_points"] == 10
    record = grade_one(ROOT / "exercises/15_resnet.ipynb", Settings())
    assert record["points"] == 0


def test_private_cases_take_the_place_of_the_published(bwrap, tmp_path: Path):
    cases = tmp_path / "mine.py"
    cases.write_text(
        "from utils.checks import Case\n"
        "CASES = {'ex03.same_padding': lambda rng: [Case('a private one', 4.0, (int(rng.integers(20, 30)), 3, 2))]}\n"
    )
    record = grade_one(SOLVED, Settings(cases=str(cases)))
    assert record["points"] == record["max_points"] == 12.5
    assert "a private one" in json.dumps(record)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "no file or folder"),
        ([ROOT / "README.md"], "expected a folder"),
        ([ROOT / "solutions", "--exercise", "ex99"], "ex99"),
        ([ROOT / "solutions", "--cases", "nowhere.py"], "nowhere.py"),
        ([ROOT / "solutions", "--due", "yesterday"], "yesterday"),
        ([ROOT / "solutions", "--limit-call", "-1"], "call: expected a number above 0"),
        ([ROOT / "solutions", "--jobs", "0"], "--jobs"),
        ([ROOT / "solutions", "--dask", "tcp://127.0.0.1:1"], "no scheduler answers"),
    ],
)
def test_mistakes_in_the_command_are_named(bwrap, tmp_path: Path, words, said):
    ran = command(*words, "-o", tmp_path / "out")
    assert ran.returncode == 2, ran.stdout
    assert said in ran.stderr


def test_without_bubblewrap_it_refuses_and_says_what_else_there_is(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sandbox.SandboxError, match=r"(?s)not installed.*--sandbox docker.*--sandbox rlimit"):
        sandbox.probe("bwrap")


def test_rlimit_warns_and_grades(tmp_path: Path):
    shutil.copy(BLANK, tmp_path / "ada.ipynb")
    ran = command(tmp_path, "-o", tmp_path / "out", "--sandbox", "rlimit")
    assert ran.returncode == 0, ran.stderr
    assert "Warning" in ran.stderr
    assert not list((tmp_path / "out").rglob("*.part"))


def test_file_names_are_safe_and_formulas_harmless(tmp_path: Path):
    record = run.failed("no") | {
        "student": "../../=cmd|' /C calc'!A0", "key": "0123", "counts": True, "late": False,
        "original": "=1+1", "modified": "", "known": True,
    }  # fmt: skip
    assert "/" not in report.file_name(record)
    report.write_grades(tmp_path / "grades.csv", [record | {"student": "=1+1"}], [])
    assert "\n\"'=1+1" in (tmp_path / "grades.csv").read_text()
    page = report.feedback(record | {"student": "<script>alert(1)</script>"})
    assert "<script>" not in page


def test_the_guide_states_what_was_measured():
    """Every number of the table of costs comes from the record of the benchmark."""
    record = json.loads((ROOT / "benchmarks/results/grading.json").read_text(encoding="utf-8"))
    page = (ROOT / "book/front/instructors.md").read_text(encoding="utf-8")
    honest, growth = record["CPU seconds, honest"], record["CPU seconds each, as the class grows"]
    against = record["against nbgrader, CPU seconds each"]
    rows = {
        "submissions": record["submissions"],
        "CPU seconds of an honest one, median": honest["median"],
        "CPU seconds of an honest one, 95th percentile": honest["95th percentile"],
        **{f"CPU seconds each, the first {count}": value for count, value in growth.items()},
        "submissions a minute and core": record["submissions a minute and core, by CPU"],
        "memory of the grading processes, at most": f"{record['peak memory of the grader, MiB']} MiB",
        "nbgrader's autograde on the same notebooks, CPU seconds": f"{against['nbgrader']}, ours {against['ours']}",
    }
    for label, value in rows.items():
        assert f"| {label} | {value} |" in page


def test_docker_gets_the_course_without_answers_and_is_stopped_by_name(tmp_path: Path, monkeypatch):
    """A program named docker that does what `docker run` would do to the worker, and notes what it was asked."""
    stand_in = tmp_path / "bin/docker"
    stand_in.parent.mkdir()
    stand_in.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        f"open({str(tmp_path / 'asked')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "if sys.argv[1] == 'run':\n"
        "    course = next(a for a in sys.argv if a.startswith('--volume=')).split('=', 1)[1].split(':')[0]\n"
        "    words = [w.replace('/course', course) for w in sys.argv[sys.argv.index('convnets-grading') + 2 :]]\n"
        f"    os.execv({sys.executable!r}, [{sys.executable!r}, *words])\n"
    )
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(stand_in.parent), os.environ["PATH"]]))
    record = grade_one(SOLVED, Settings(sandbox="docker"))
    assert record["points"] == 10
    run_line, *_, kill_line = (tmp_path / "asked").read_text().splitlines()
    for wall in ("--network=none", "--read-only", "--cap-drop=ALL", "--rm", ":/course:ro"):
        assert wall in run_line
    assert "--workdir=/course/work" in run_line  # the first cell finds the course around it
    assert "--env=PATH=/usr/local/bin:" in run_line  # where Python's own images have it
    name = re.search(r"--name=(\S+)", run_line)[1]
    assert kill_line == f"kill {name}"
    hidden = sandbox.command("docker", sandbox.Limits(), tmp_path)
    assert hidden
    assert not list((tmp_path / "course").rglob("ex0*.py"))
    assert not list((tmp_path / "course").rglob("grade.py"))
