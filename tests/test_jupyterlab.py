"""A notebook as its reader runs it: JupyterLab in a real browser, Run All Cells, save, look at what is there."""

import shutil
import time

import nbformat
import pytest

from tests.lab import choose, open_notebook, serving
from tools.course import ROOT

pytestmark = [pytest.mark.site, pytest.mark.browser]
NOTEBOOKS = ["notebooks/03_convolution_layer.ipynb", "exercises/03_convolution_layer.ipynb"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab, serving a copy of the course with the outputs of the notebooks removed."""
    course = tmp_path_factory.mktemp("lab") / "course"
    shutil.copytree(ROOT / "utils", course / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    for name in NOTEBOOKS:
        notebook = nbformat.read(ROOT / name, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        (course / name).parent.mkdir(exist_ok=True)
        nbformat.write(notebook, course / name)
    with serving(course) as address:
        yield address, course


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_in_jupyterlab(browser, lab, name):
    address, course = lab
    tab = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    open_notebook(tab, address, name)
    choose(tab, "Run", "Run All Cells")

    def all_ran() -> bool:
        tab.keyboard.press("Control+s")
        time.sleep(1)
        cells = [c for c in nbformat.read(course / name, as_version=4).cells if c.cell_type == "code"]
        return all(c.execution_count for c in cells)

    deadline = time.monotonic() + 300
    while not all_ran():
        assert time.monotonic() < deadline, "the cells did not all run within five minutes"
    ran = nbformat.read(course / name, as_version=4)
    outputs = [o for c in ran.cells if c.cell_type == "code" for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    stored = nbformat.read(ROOT / name, as_version=4)
    assert len(outputs) == sum(len(c.outputs) for c in stored.cells if c.cell_type == "code")
    if name.startswith("notebooks"):
        assert sum("image/png" in o.get("data", {}) for o in outputs) >= 5
    tab.context.close()
