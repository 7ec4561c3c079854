"""Where the tests find a browser and Node, and how they ask Node to run a test of ours."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tools.browser import FLAGS, find_browser
from tools.course import ROOT

__all__ = ["FLAGS", "REQUIRED", "find_browser", "find_node", "numbers", "press", "run_in_node"]

REQUIRED = bool(os.environ.get("CONVNETS_REQUIRE_BROWSER"))


def find_node() -> str:
    """The Node that playwright brings along, else the one of the machine."""
    playwright = pytest.importorskip("playwright")
    bundled = Path(playwright.__file__).parent / "driver" / "node"
    found = str(bundled) if bundled.is_file() else shutil.which("node")
    if not found:
        pytest.skip("no Node on this machine")
    return found


def run_in_node(file: str, fixtures: object, folder: Path) -> str:
    """Run tests/figures/FILE with the fixtures in the file that CONVNETS_FIXTURES names; what Node printed."""
    path = folder / "fixtures.json"
    path.write_text(json.dumps(fixtures))
    ran = subprocess.run(
        [find_node(), "--test", f"tests/figures/{file}"],
        cwd=ROOT,
        env={**os.environ, "CONVNETS_FIXTURES": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert "pass 0" not in ran.stdout, ran.stdout[-3000:]
    return ran.stdout


def numbers(element, part: str) -> np.ndarray:
    """The numbers that stand in the tables of one part of a figure, a grid for each: (grids, rows, columns)."""
    read = """tables => tables.map(t => [...t.rows].map(r => [...r.cells].map(c =>
        Number((c.firstElementChild.value ?? c.firstElementChild.textContent).replace('−', '-')))))"""
    return np.array(element.locator(f"[data-part={part}] table").evaluate_all(read))


def press(tab, *keys: str) -> None:
    """Press keys, one after the other, where the focus is."""
    for key in keys:
        tab.keyboard.press(key)
