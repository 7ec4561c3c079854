"""Reading what was handed in: a notebook that may be broken, renamed, reordered, or no notebook at all."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from utils.grading.sandbox import ROOT

MAX_BYTES = 20 * 2**20
MAX_CELLS = 2000
_CHECK = re.compile(r"""check\(\s*["'](ex\d\d)\.\w+["']""", re.ASCII)


class UnreadableError(Exception):
    """The file is no notebook that can be graded; the message says why, for the student."""


@dataclass(frozen=True)
class Submitted:
    """The code cells of a notebook, in order, with their numbers, and which exercise it seems to be."""

    cells: tuple[tuple[int, str], ...]
    exercise: str | None


def read(path: Path) -> Submitted:
    """The cells of a submitted notebook. Raises UnreadableError, which says what is wrong with the file."""
    if path.is_symlink() or not path.is_file():
        raise UnreadableError("This is not a regular file.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise UnreadableError(
            f"The file has {size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20} MiB. "
            "Clear the outputs (Edit, Clear Outputs of All Cells), save, and hand it in again."
        )
    content = path.read_bytes()
    if not content.strip():
        raise UnreadableError("The file is empty.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError("The file is not UTF-8 text: was it saved by another program?") from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("The file is no notebook: it is damaged or cut off.") from error
    cells = _cells(document) if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise UnreadableError("The file holds no list of cells: is it a notebook?")
    if len(cells) > MAX_CELLS:
        raise UnreadableError(f"The notebook has {len(cells):,} cells, more than {MAX_CELLS:,}.")
    code = tuple((i, _source(cell)) for i, cell in enumerate(cells) if _is_code(cell))
    return Submitted(code, _exercise(code, document, path))


def _cells(document: dict) -> object:
    """The list of cells; notebooks of version 3 keep it in the first of their worksheets."""
    sheets = document.get("worksheets")
    if "cells" not in document and isinstance(sheets, list) and sheets and isinstance(sheets[0], dict):
        return sheets[0].get("cells")
    return document.get("cells")


def _is_code(cell) -> bool:
    return isinstance(cell, dict) and cell.get("cell_type") == "code"


def _source(cell: dict) -> str:
    """A cell's text: a string, or a list of lines."""
    source = cell.get("source", cell.get("input", ""))  # "input": version 3
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str))


def _exercise(code, document: dict, path: Path) -> str | None:
    """Which exercise this is, by what its checks say, then by its metadata, then by the file's name."""
    named = Counter(name for _, source in code for name in _CHECK.findall(source))
    if named:
        return named.most_common(1)[0][0]
    metadata = document.get("metadata")
    course = metadata.get("course") if isinstance(metadata, dict) else None
    source = course.get("source") if isinstance(course, dict) else ""
    for text, pattern in ((str(source), r"exercises/(\d\d)_"), (path.name, r"(?<!\d)(\d\d)_[a-z]")):
        if found := re.search(pattern, text, re.ASCII):
            return f"ex{found[1]}"
    return None


@cache
def released_cells(exercise: str) -> frozenset[str]:
    """The texts of the code cells of an exercise as it was released."""
    number = exercise.removeprefix("ex")
    released = sorted((ROOT / "exercises").glob(f"{number}_*.ipynb"))
    if not released:
        raise ValueError(f"exercise: there is no exercises/{number}_*.ipynb for {exercise!r}")
    return frozenset(source.strip() for _, source in read(released[0]).cells)


@cache
def answers(exercise: str) -> dict[str, str]:
    """Task -> name of the variable that holds its answer, read from the exercise as it was released."""
    names = {}
    for source in released_cells(exercise):
        if "check(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(ast.Name("check"), [ast.Constant(str(task)), ast.Name(name)]):
                    names[task] = name
    return names
