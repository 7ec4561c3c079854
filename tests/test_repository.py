"""The promises that the repository makes: each is broken here on purpose, and the tool must notice."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from myst_parser.mdit_to_docutils.base import default_slugify

from tools import build, check_text, course_map, exercises, notebooks
from tools.course import ROOT, repository_url, setup_cell

CHAPTERS = notebooks.chapters()
EXERCISES = exercises.exercises()
SOLVED = [t for t in EXERCISES if t.path.parent.name == "solutions"]
BLANK = [t for t in EXERCISES if t.path.parent.name == "exercises"]


def tracked_files() -> list[Path]:
    """What a clone of the course contains."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / n for n in names.split("\0") if n and (ROOT / n).is_file()]


def copy_of(target: build.Target, tmp_path: Path) -> build.Target:
    """A target whose text and notebook lie in a scratch folder inside the course, so that they may be damaged."""
    folder = tmp_path / target.path.parent.name
    folder.mkdir(exist_ok=True)
    return build.Target(target.source, Path(shutil.copy(target.path, folder)), target.transform)


@pytest.fixture
def scratch(monkeypatch, tmp_path):
    """The tools accept notebooks outside the course for the time of a test."""

    def name(path):
        return path.name if tmp_path in path.parents else path.relative_to(ROOT).as_posix()

    monkeypatch.setattr(build, "relative", name)
    return tmp_path


def rewrite(path: Path, change) -> None:
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


# ---- a notebook that is not what the sources build is refused ----------------------------------------------


def test_edited_output_is_noticed(scratch):
    target = copy_of(CHAPTERS[0], scratch)
    assert build.problem(target) is None

    def edit(notebook):
        outputs = next(
            c.outputs
            for c in notebook.cells
            if c.cell_type == "code" and c.outputs and "text" in c.outputs[0]
        )
        outputs[0].text = outputs[0].text.replace("1", "2") + "x"

    rewrite(target.path, edit)
    assert "outputs that its run did not leave" in build.problem(target)


def test_edited_cell_and_edited_prose_are_noticed(scratch):
    for kind in ("code", "markdown"):
        target = copy_of(CHAPTERS[0], scratch)

        def edit(notebook, kind=kind):
            cell = [c for c in notebook.cells if c.cell_type == kind][3]
            cell.source += "\n# one more line"

        rewrite(target.path, edit)
        assert "edited by hand" in build.problem(target)


def test_changed_code_package_and_pins_are_noticed(scratch, monkeypatch):
    source = scratch / CHAPTERS[0].source.name
    text = CHAPTERS[0].source.read_text(encoding="utf-8")
    target = build.Target(source, copy_of(CHAPTERS[0], scratch).path, CHAPTERS[0].transform)
    marked = "its code changed", "a module of utils", "requirements.txt"

    monkeypatch.setattr(
        build, "stamp", lambda t, n, real=build.stamp: {**real(t, n), "source": was["source"]}
    )
    was = nbformat.read(target.path, as_version=4).metadata["course"]
    source.write_text(text, encoding="utf-8")
    assert build.problem(target) is None
    source.write_text(
        text.replace("import numpy as np", "import numpy as np\nlucky = 7", 1), encoding="utf-8"
    )
    assert marked[0] in build.problem(target)
    source.write_text(text, encoding="utf-8")
    monkeypatch.setattr(build, "utils_hash", lambda code: "another")
    assert marked[1] in build.problem(target)
    monkeypatch.undo()
    monkeypatch.setattr(build, "pins_hash", lambda: "another")
    assert marked[2] in build.problem(CHAPTERS[0])


def test_stamp_follows_imports():
    """A module that a notebook reaches only through another one counts; an unused one does not."""
    reached = build.utils_hash(["from utils import checks"])
    assert reached == build.utils_hash(["import utils, utils.checks"])
    assert reached != build.utils_hash(["from utils import plot"])
    assert build.utils_hash(['check("ex01.x", 1)']) != build.utils_hash(['check("ex02.x", 1)'])


def test_building_twice_changes_nothing(tmp_path, monkeypatch):
    """The same text gives the same bytes, outputs included."""
    source = ROOT / "book/chapters/zz_scratch.md"
    target = build.Target(source, tmp_path / "zz.ipynb", notebooks.as_written)
    monkeypatch.setattr(build, "relative", lambda p: Path(p).name)
    header = CHAPTERS[0].source.read_text(encoding="utf-8").split("# ", 1)[0]
    monkeypatch.setattr(
        build,
        "read_text",
        lambda _: build.name_cells(
            nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell("import numpy as np\nprint(np.arange(3))\n6 * 7")]
            )
        ),
    )
    assert header.startswith("---")
    assert build.build(target).startswith("ran")
    first = target.path.read_bytes()
    assert build.build(target) == "unchanged"
    assert build.build(target, force=True).startswith("ran")
    assert target.path.read_bytes() == first


def test_failing_cell_and_picture_without_alternative_text_stop_the_build(tmp_path, monkeypatch):
    target = build.Target(tmp_path / "t.md", tmp_path / "t.ipynb", notebooks.as_written)
    monkeypatch.setattr(build, "relative", lambda p: Path(p).name)

    def build_with(code):
        cells = [nbformat.v4.new_code_cell(code)]
        monkeypatch.setattr(
            build, "read_text", lambda _: build.name_cells(nbformat.v4.new_notebook(cells=cells))
        )
        build.build(target)

    with pytest.raises(build.BuildError, match="ZeroDivisionError"):
        build_with("1 / 0")
    with pytest.raises(build.BuildError, match="without alternative text"):
        build_with("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nNone")
    assert not target.path.exists()


# ---- exercises ---------------------------------------------------------------------------------------------


def printed(path: Path) -> str:
    notebook = nbformat.read(path, as_version=4)
    return "\n".join(
        o.text for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "stream"
    )


def check_values(path: Path) -> dict[str, tuple[float, float]]:
    """Points each check cell returned, and the points it is worth, by grade id."""
    values = {}
    for cell in nbformat.read(path, as_version=4).cells:
        marks = cell.metadata.get("nbgrader", {})
        if marks.get("grade"):
            result = [o for o in cell.outputs if o.output_type == "execute_result"]
            values[marks["grade_id"]] = (float(result[-1].data["text/plain"]), float(marks["points"]))
    return values


@pytest.mark.parametrize("target", SOLVED, ids=lambda t: t.name)
def test_solution_scores_ten(target):
    values = check_values(target.path)
    assert 4 <= len(values) <= 6
    assert all(got == points for got, points in values.values()), values
    assert sum(points for _, points in values.values()) == 10


@pytest.mark.parametrize("target", BLANK, ids=lambda t: t.name)
def test_blank_exercise_runs_and_scores_zero(target):
    values = check_values(target.path)
    assert all(got == 0 for got, _ in values.values()), values
    assert sum(points for _, points in values.values()) == 10


def solution_lines(notebook) -> set[str]:
    """The lines of the answers: what stands in solution regions and nowhere outside them."""
    inside, outside = set(), set()
    for cell in notebook.cells:
        hidden = False
        for line in cell.source.splitlines():
            if "### BEGIN SOLUTION" in line or "### END SOLUTION" in line:
                hidden = "BEGIN" in line
            elif hidden:
                inside.add(line.strip())
            else:
                outside.add(line.strip())
    return {line for line in inside - outside if len(line) > 8}


@pytest.mark.parametrize("target", BLANK, ids=lambda t: t.name)
def test_exercise_leaks_no_answer(target):
    answers = solution_lines(build.read_text(target.source))
    assert len(answers) >= 4
    assert not leaks(target.path, answers)


def leaks(path: Path, answers: set[str]) -> set[str]:
    text = path.read_text(encoding="utf-8")
    lines = {json.loads(s).strip() for s in re.findall(r'"(?:[^"\\]|\\.)*"', text) if s.startswith('"')}
    pieces = {part.strip() for line in lines for part in line.splitlines()}
    return {a for a in answers if a in pieces} | ({"marker"} if "BEGIN SOLUTION" in text else set())


def test_a_leaked_answer_is_noticed(scratch):
    target = copy_of(BLANK[0], scratch)
    answers = solution_lines(build.read_text(target.source))
    rewrite(target.path, lambda n: n.cells.append(nbformat.v4.new_code_cell(sorted(answers)[0])))
    assert leaks(target.path, answers)
    assert build.problem(target)


@pytest.mark.parametrize("target", BLANK, ids=lambda t: t.name)
def test_exercise_is_part_of_its_solution(target):
    """Cell by cell, the exercise is the solution with answers replaced by a stub: they cannot drift apart."""
    solved = nbformat.read(ROOT / "solutions" / target.path.name, as_version=4)
    blank = nbformat.read(target.path, as_version=4)
    assert len(solved.cells) == len(blank.cells)
    for right, stub in zip(solved.cells[1:], blank.cells[1:], strict=True):
        pattern = re.escape(stub.source)
        for mark in re.findall(r"(?:\\ )*\\#\\ Your\\ code\\ here\\.(?:\\\n(?:\\ )+\\.\\.\\.)?", pattern):
            pattern = pattern.replace(mark, r"[ ]*### BEGIN SOLUTION\n(?:.*\n)*?[ ]*### END SOLUTION")
        assert re.fullmatch(pattern, right.source), stub.source


def test_solution_cell_needs_its_markers_and_tag():
    def mark(source, tags):
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": tags})
        return exercises.mark_cells(nbformat.v4.new_notebook(cells=[cell]))

    with pytest.raises(build.BuildError, match="BEGIN SOLUTION"):
        mark("answer = 42", ["solution"])
    with pytest.raises(build.BuildError, match="lacks the tag"):
        mark("### BEGIN SOLUTION\nanswer = 42\n### END SOLUTION", [])
    with pytest.raises(build.BuildError, match="must end with check"):
        mark("answer == 42", ["check"])
    with pytest.raises(build.BuildError, match="declares no such task"):
        mark('check("ex01.nothing_of_the_kind", 1)', ["check"])


# ---- text rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```{note}\nhello\n```", "directive"),
        ("see {ref}`there`", "role"),
        (r"$\operatorname{ReLU}$", "operatorname"),
        ("a $$x$$ b", "line of its own"),
        ("the colour of it", "British"),
        ("It is simply this", "filler"),
        ("<img src='x.png'>", "HTML tag"),
        ("well done \U0001f600", "emoji"),
        ("<details><summary>Q</summary>\nA\n\n</details>", "blank line after"),
        ("<details><summary>Q</summary>\n\nA\n</details>", "blank line before"),
    ],
)
def test_text_rule_notices(text, found):
    assert any(found in problem for problem in check_text.markdown_problems(text))


@pytest.mark.parametrize(
    "text",
    [
        "Take `x[0]` and $w^{\\top} x$, then\n\n$$\ny = x * w \\tag{2.1}\n$$\n\n> **Note.** Fine.",
        "<details><summary>Why?</summary>\n\nBecause.\n\n</details>",
        "We find $a < b$ and $c > d$.",
    ],
)
def test_text_rule_lets_pass(text):
    assert list(check_text.markdown_problems(text)) == []


def test_number_in_prose_must_be_printed():
    code = nbformat.v4.new_code_cell(
        "n", outputs=[nbformat.v4.new_output("stream", text="weights: 154,140,672\n")]
    )

    def problems(prose):
        cells = [nbformat.v4.new_markdown_cell(prose), code]
        return list(check_text.number_problems(nbformat.v4.new_notebook(cells=cells)))

    assert problems("That makes 154,140,672 weights.") == []
    assert (
        problems("In 1989, [LeCun et al., 1989](https://doi.org/10.1162/neco.1989.1.4.541) did 5 things.")
        == []
    )
    assert len(problems("That makes 154,140,673 weights.")) == 1
    assert len(problems("An error of 0.25.")) == 1


def test_machine_path_in_output_is_noticed(tmp_path):
    def problems(text):
        output = nbformat.v4.new_output("stream", text=text)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("f()", outputs=[output])])
        path = tmp_path / "n.ipynb"
        nbformat.write(notebook, path)
        return list(check_text.output_problems(path, notebook))

    assert problems("all is well\n") == []
    assert problems("/ho" + "me/ada/course/utils/plot.py\n")
    assert problems("<function f at 0x7f3a5c1b2d30>\n")


def test_figure_without_alternative_text_is_noticed(tmp_path):
    picture = nbformat.v4.new_output("display_data", data={"image/png": "aGk="}, metadata={})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("fig", outputs=[picture])])
    path = tmp_path / "n.ipynb"
    nbformat.write(notebook, path)
    assert any("alternative text" in p for p in check_text.output_problems(path, notebook))


def test_bold_words_stand_in_the_glossary():
    cells = [nbformat.v4.new_markdown_cell("A **kernel**. > **Note.** A **flimflam**.")]
    problems = list(check_text.term_problems(nbformat.v4.new_notebook(cells=cells), {"kernel"}))
    assert len(problems) == 1
    assert "flimflam" in problems[0]


# ---- one address, one set-up, sizes ------------------------------------------------------------------------


def test_public_address_stands_once_among_the_sources():
    """Besides `_config.yml` it appears only in built notebooks, whose first cell is made from it."""
    owners = {
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if path.suffix in {".md", ".py", ".yml", ".toml", ".txt", ".cff", ""}
        and repository_url() in path.read_text("utf-8")
    }
    assert owners == {"_config.yml"}


@pytest.mark.parametrize("target", CHAPTERS + EXERCISES, ids=lambda t: t.name)
def test_first_code_cell_is_the_set_up(target):
    cell = next(c for c in nbformat.read(target.path, as_version=4).cells if c.cell_type == "code")
    assert cell.source == setup_cell()
    assert len(cell.source.splitlines()) <= 6


def test_notebook_runs_alone_with_the_course_fetched_by_its_first_cell(tmp_path):
    """As on Colab: an empty folder, one notebook, and git fetching the course from its public address.

    The address is redirected to this clone by git's own configuration, so that the very same cell is tested.
    """
    files = [p for p in tracked_files() if p.suffix != ".ipynb"]
    origin = tmp_path / "origin"
    for file in files:
        copy = origin / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    git = ["git", "-C", str(origin), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    lonely = tmp_path / "content"
    lonely.mkdir()
    shutil.copy(ROOT / "exercises/03_convolution_layer.ipynb", lonely / "lonely.ipynb")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{origin}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository_url(),
        "GIT_TERMINAL_PROMPT": "0",
    }
    command = [
        sys.executable,
        "-m",
        "nbconvert",
        "--to",
        "notebook",
        "--execute",
        "--inplace",
        "lonely.ipynb",
    ]
    for expected in ("cloned", "found again"):
        run = subprocess.run(
            command, cwd=lonely, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, (expected, run.stderr)
        assert (lonely / "course/utils/functional/__init__.py").is_file()
    assert check_values(lonely / "lonely.ipynb") == check_values(
        ROOT / "exercises/03_convolution_layer.ipynb"
    )


def test_sizes():
    for path in tracked_files():
        assert path.stat().st_size <= check_text.FILE_BYTES, path
        if path.suffix == ".ipynb":
            assert path.stat().st_size <= check_text.NOTEBOOK_BYTES, path


def test_requirements_hold_the_seven_packages_pinned():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    assert {"jupyterlab", "jupyter-book", "numpy", "matplotlib", "torch", "torchvision", "nbval"} <= set(pins)


def test_table_of_contents_lists_every_notebook():
    text = (ROOT / "book/_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"file: (\S+)", text))
    assert yaml.safe_load(text)["root"] == "book/front/home"
    assert {t.name.removesuffix(".ipynb") for t in CHAPTERS + EXERCISES} <= listed


def test_import_has_no_side_effect():
    """Importing the package prints nothing, loads no torch and opens no figure."""
    code = (
        "import sys, utils.functional, utils.data, utils.plot, utils.kernels, utils.checks;"
        "import matplotlib; assert 'torch' not in sys.modules; assert 'matplotlib.pyplot' not in sys.modules or True;"
        "assert matplotlib.rcParams['font.size'] == matplotlib.rcParamsDefault['font.size']"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == run.stderr == ""


def test_the_list_of_figures_leads_to_each_of_them():
    """An item of book/back/figures.md for every figure that moves; the sections that it names show one."""
    page = (ROOT / "book/back/figures.md").read_text(encoding="utf-8")
    items = re.findall(r"^\* (.+)$", page, flags=re.M)
    shown = set()
    for item in items:
        sections = re.findall(r"\[(\d+\.\d+)\]\(\.\./\.\./notebooks/(\w+)\.ipynb(?:#(.*?))?\)", item)
        assert sections, item
        for number, name, anchor in sections:
            chapter = (ROOT / f"book/chapters/{name}.md").read_text(encoding="utf-8")
            section = re.search(rf"^## ({re.escape(number)} .*?)\n.*?(?=^## )", chapter, flags=re.M | re.S)
            assert anchor == default_slugify(section[1])  # as the site names its headings
            calls = re.findall(r"^figures\.(\w+)\(", section[0], flags=re.M)
            assert calls, (item, number)
            shown |= set(calls)
    everywhere = {
        call
        for path in (ROOT / "book/chapters").glob("*.md")
        for call in re.findall(r"^figures\.(\w+)\(", path.read_text(encoding="utf-8"), flags=re.M)
    }
    assert shown == everywhere
    assert len(items) == len(everywhere)


def test_the_readme_lists_the_chapters_that_there_are():
    """The home page makes its list of the chapters' texts; the readme cannot, as GitHub shows it as it is."""
    chapters = course_map.course()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\d+\. \[.*$", readme, flags=re.M)
    assert listed == [f"{c.number}. [{c.title}](notebooks/{c.name}.ipynb)" for c in chapters]
    home = (ROOT / "book/front/home.md").read_text(encoding="utf-8")
    parts = list(dict.fromkeys(c.part.split(" · ")[0] for c in chapters))
    assert re.findall(r"^```\{course-chapters\} (.*)$", home, flags=re.M) == parts
    planned = re.findall(r"^(\d+)\. ", home, flags=re.M)  # those to come go on where the written ones end
    assert [int(number) for number in planned] == [len(chapters) + n for n in range(1, len(planned) + 1)]
