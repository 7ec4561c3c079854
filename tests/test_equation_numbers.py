"""The numbers of formulas: each chapter counts 1, 2, 3 ..., and what `utils` cites exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TAG = re.compile(r"\\tag\{(\d+)\.(\d+)\}")
CITED = re.compile(r"(?<!\w)\((\d{1,2})\.(\d{1,2})\)")
CHAPTER_AND_CITED = re.compile(r"[Cc]hapter\s+(\d+),\s+\((\d{1,2})\.\d{1,2}\)")
CHAPTERS = {int(path.name[:2]): path for path in sorted((ROOT / "book/chapters").glob("[0-9][0-9]_*.md"))}
MODULES = sorted((ROOT / "utils").rglob("*.py"))
DERIVED = {  # modules of formulas that a chapter derives: functions whose docstrings must say where
    "functional/convolution.py": ["conv2d", "conv2d_naive", "conv2d_im2col", "conv2d_shifted"],
    "functional/convolution_backward.py": ["conv2d_backward", "conv2d_grad_weight", "conv2d_grad_input"],
    "functional/shapes.py": ["conv_output_size", "conv_output_size_ceil", "same_padding"],
    "functional/signals.py": ["correlate", "convolve", "fft_convolve"],
    "functional/dense.py": ["linear", "linear_backward"],
    "functional/pooling.py": ["max_pool2d_backward", "avg_pool2d_backward", "lp_pool2d_backward"],
    "functional/activations.py": ["softmax", "log_softmax", "relu_backward"],
    "functional/losses.py": ["cross_entropy", "cross_entropy_backward"],
    "optim.py": ["SGD", "Adam"],
    "init.py": ["glorot_normal", "he_normal"],
    "gradcheck.py": ["gradcheck", "numerical_gradient"],
}


def tags(text: str) -> list[tuple[int, int]]:
    """The numbers of the formulas of a page, (3, 1), (3, 2), ..., in their order."""
    return [(int(chapter), int(number)) for chapter, number in TAG.findall(text)]


def texts(source: str) -> list[str]:
    """All strings of a module: its docstrings, and what it says to the reader, such as hints."""
    return [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def docstrings(source: str) -> dict[str, str]:
    """The docstrings of the functions and classes of a module, by name."""
    nodes = [n for n in ast.parse(source).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return {n.name: ast.get_docstring(n) or "" for n in nodes}


def missing(text: str, existing: set[tuple[int, int]]) -> list[str]:
    """What a text cites and no chapter has, and chapters that are named beside a number of another one."""
    numbers = [(int(chapter), int(number)) for chapter, number in CITED.findall(text)]
    unknown = [f"({chapter}.{number})" for chapter, number in numbers if (chapter, number) not in existing]
    other = [m.group() for m in CHAPTER_AND_CITED.finditer(text) if m.group(1) != m.group(2)]
    return unknown + other


EXISTING = {tag for path in CHAPTERS.values() for tag in tags(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_formulas_of_a_chapter_are_numbered_from_1_without_gaps(chapter):
    numbers = tags(CHAPTERS[chapter].read_text(encoding="utf-8"))
    assert numbers == [(chapter, i + 1) for i in range(len(numbers))]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_cites_formulas_that_exist(chapter):
    assert not missing(CHAPTERS[chapter].read_text(encoding="utf-8"), EXISTING)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_utils_cite_formulas_that_exist(path):
    assert not [m for text in texts(path.read_text(encoding="utf-8")) for m in missing(text, EXISTING)]


@pytest.mark.parametrize("module", DERIVED)
def test_docstrings_say_where_their_formula_is_derived(module):
    found = docstrings((ROOT / "utils" / module).read_text(encoding="utf-8"))
    assert not [name for name in DERIVED[module] if not CITED.search(found[name])]


def test_a_wrong_number_is_noticed():
    existing = {(4, 1), (4, 2)}
    assert not missing("By chapter 4, (4.1) to (4.2). A call, f(4.9), is no citation.", existing)
    assert missing("By (4.3).", existing) == ["(4.3)"]
    assert missing("Chapter 5,\n    (4.1).", existing) == ["Chapter 5,\n    (4.1)"]
    assert texts('def f():\n    """By (4.3)."""') == ["By (4.3)."]
    assert tags(r"a \tag{4.1} b \tag{4.10}") == [(4, 1), (4, 10)]
