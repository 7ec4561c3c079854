"""The notebooks in the browser: what is written for JupyterLite, and one exercise run there as a reader would.

The run needs `make lite`, Chromium, Pyodide's runtime (from npm) and the wheels that CONVNETS_PYODIDE_WHEELS names,
which take the place of Pyodide's public address.
"""

import json
import os
from pathlib import Path

import pytest

from tests import live_site
from tools import lite, live
from tools.course import ROOT, setup_cell

PLACES = (Path(os.environ.get("CONVNETS_SITE", ROOT / "_build/html")), ROOT / "_build/html")
STARTS = 180_000  # milliseconds that JupyterLite and its Python may take to come up on a busy machine
CHAPTER, EXERCISE = "notebooks/03_convolution_layer.ipynb", "exercises/03_convolution_layer.ipynb"


def code(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", live.live_notebooks(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_notebook_for_the_browser(path):
    """The kernel that is there, no outputs, the same cells but for the set-up."""
    before, after = json.loads(path.read_text(encoding="utf-8")), lite.notebook(path)
    assert after["metadata"]["kernelspec"]["name"] == "python"
    first, *others = code(after)
    assert "".join(first["source"]).startswith(setup_cell())
    assert "live_runner.prepare()" in "".join(first["source"])
    assert [c["source"] for c in others] == [c["source"] for c in code(before)[1:]]
    for cell in code(after):
        assert cell["outputs"] == []


def test_a_notebook_without_set_up_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lite, "relative", lambda path: path.name)
    cell = {"cell_type": "code", "metadata": {}, "source": ["1 + 1"], "outputs": [], "execution_count": 1}
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}}))
    with pytest.raises(ValueError, match=r"a\.ipynb: expected the set-up cell .* got '1 \+ 1'"):
        lite.notebook(tmp_path / "a.ipynb")


def test_what_is_staged(tmp_path):
    """The notebooks, and beside them what the set-up cell and the pages' runner look for."""
    (tmp_path / "_course").mkdir()
    (tmp_path / "_course/photograph.png").write_bytes(b"a picture")
    lite.stage(tmp_path / "course", tmp_path)
    files = {p.relative_to(tmp_path / "course").as_posix() for p in (tmp_path / "course").rglob("*.*")}
    assert {EXERCISE, "utils/checks/ex03.py", "utils/checks/__init__.py", "utils/data.py"} <= files
    assert {"live_runner.py", "photograph.png", "utils/figures/built/conv-explorer.js"} <= files
    assert not any("figures/scripts" in name for name in files)
    assert any(name.endswith("-ubyte.gz") for name in files)
    assert not any(name.startswith("solutions") for name in files)


def test_python_comes_from_where_the_pages_fetch_it():
    def kernel(where):
        return lite.settings(where)["jupyter-config-data"]["litePluginSettings"][lite.KERNEL]

    assert kernel("https://example.org/full/")["pyodideUrl"] == "https://example.org/full/pyodide.js"
    assert kernel("site") == {"pyodideUrl": "./../_pyodide/pyodide.js", "disablePyPIFallback": True}


def test_the_link_is_added_once_and_only_where_there_is_a_notebook(tmp_path):
    menu = '<div class="dropdown dropdown-launch-buttons">\n<ul class="dropdown-menu">\n<li>Colab</li>\n</ul></div>'
    for name in ("exercises/03_convolution_layer", "exercises/04_backpropagation"):
        (tmp_path / f"{name}.html").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.html").write_text(menu)
    (tmp_path / "lite/files/exercises").mkdir(parents=True)
    (tmp_path / "lite/files" / EXERCISE).write_text("{}")
    assert lite.link(tmp_path) == 1
    first = (tmp_path / "exercises/03_convolution_layer.html").read_text()
    assert f'href="../lite/lab/index.html?path={EXERCISE}"' in first
    assert lite.link(tmp_path) == 1
    assert (tmp_path / "exercises/03_convolution_layer.html").read_text() == first
    assert (tmp_path / "exercises/04_backpropagation.html").read_text() == menu
    (tmp_path / "exercises/03_convolution_layer.html").write_text("<p>No menu.</p>")
    with pytest.raises(RuntimeError, match="has no menu"):
        lite.link(tmp_path)


# ---- in a browser --------------------------------------------------------------------------------------------


class Handler(live_site.Handler):
    """The site, but its notebooks fetch Pyodide from `_pyodide/`."""

    def do_GET(self):
        if self.path.partition("?")[0] != "/lite/jupyter-lite.json":
            return super().do_GET()
        facts = json.loads((self.site / "lite/jupyter-lite.json").read_text(encoding="utf-8"))
        kernel = facts["jupyter-config-data"]["litePluginSettings"][lite.KERNEL]
        kernel["pyodideUrl"] = "./../_pyodide/pyodide.js"
        body = json.dumps(facts).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    site = next((place for place in PLACES if (place / "lite/files" / EXERCISE).is_file()), None)
    if site is None:
        pytest.skip("no notebooks in the site: `make lite` builds them")
    try:
        runtime = live.runtime()
    except (RuntimeError, FileNotFoundError) as error:
        pytest.skip(f"Pyodide's runtime cannot be had from npm: {error}")
    folder = live.wheel_folder()
    if folder is None:
        pytest.skip(f"no wheels for Pyodide: {live.WHEELS} names no folder, and none lies beside the course")
    try:
        lite.wheels(folder, json.loads((runtime / "pyodide-lock.json").read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        pytest.skip(f"the notebook's kernel needs more wheels than are there: {error}")
    monkeypatch.setattr(live_site, "Handler", Handler)
    with live_site.serve(site, runtime, folder) as served:
        yield served


@pytest.fixture
def open_notebook(browser, server):
    """A function that follows the link of a page to its notebook, and waits until Python is there."""
    address, _ = server
    context = browser.new_context(viewport={"width": 1280, "height": 900})

    def open_notebook(name):
        foreign = []
        context.on(
            "request",
            lambda r: foreign.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None,
        )
        page = context.new_page()
        page.goto(f"{address}/{name.replace('.ipynb', '.html')}")
        page.locator(".dropdown-launch-buttons button").first.click()
        with context.expect_page() as opened:
            page.get_by_role("link", name="Open as notebook").click()
        tab = opened.value
        tab.foreign = foreign
        tab.wait_for_selector(".jp-Notebook .jp-Cell", timeout=STARTS)
        tab.wait_for_function(
            "document.querySelector('#jp-main-statusbar').innerText.includes('| Idle')", timeout=STARTS
        )
        tab.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
        return tab

    yield open_notebook
    context.close()


@pytest.mark.site
@pytest.mark.browser
@pytest.mark.slow
def test_the_first_cells_of_a_chapter_print_what_they_printed_at_home(open_notebook):
    tab = open_notebook(CHAPTER)
    first = code(json.loads((ROOT / CHAPTER).read_text(encoding="utf-8")))[:7]
    for i in range(len(first)):
        tab.locator(".jp-Notebook .jp-CodeCell").nth(i).locator(".cm-content").click()
        tab.keyboard.press("Shift+Enter")
    printed = 0
    for i, cell in enumerate(first):
        texts = ["".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream"]
        if texts and i:  # the set-up says what is true here
            printed += 1
            output = tab.locator(".jp-Notebook .jp-CodeCell").nth(i).locator(".jp-OutputArea-output pre")
            output.first.wait_for(timeout=STARTS)
            assert "".join(output.all_inner_texts()).strip() == "".join(texts).strip()
    assert printed > 1
    assert tab.foreign == []


@pytest.mark.site
@pytest.mark.browser
@pytest.mark.slow
def test_an_exercise_opened_from_its_page_runs(open_notebook):
    """From the link on the page to points: run the first cells, answer one task, check it."""
    tab = open_notebook(EXERCISE)
    cells = tab.locator(".jp-Notebook .jp-CodeCell")
    for _ in range(2):  # the set-up, the imports
        tab.keyboard.press("Shift+Enter")
    answer = cells.filter(has_text="def same_padding").locator(".cm-content")
    answer.click()
    tab.keyboard.press("ControlOrMeta+a")
    tab.keyboard.insert_text(
        "def same_padding(size, kernel_size, stride=1):\n"
        "    outputs = -(-size // stride)\n"
        "    total = max((outputs - 1) * stride + kernel_size - size, 0)\n"
        "    return outputs, total // 2, total - total // 2"
    )
    tab.keyboard.press("Shift+Enter")
    checked = cells.filter(has_text="ex03.same_padding")
    checked.locator(".cm-content").click()
    tab.keyboard.press("Shift+Enter")
    checked.locator(".jp-OutputArea-output", has_text="1.5 of 1.5 points").wait_for(timeout=STARTS)
    first = cells.first  # a cell that wants PyTorch says so, and is no error: "Run All" goes on after it
    first.locator(".cm-content").click()
    tab.keyboard.press("ControlOrMeta+a")
    tab.keyboard.insert_text("torch.zeros(3)")
    tab.keyboard.press("Shift+Enter")
    first.locator(".jp-OutputArea-output", has_text="PyTorch does not run in a browser").wait_for(
        timeout=STARTS
    )
    assert tab.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert tab.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert tab.foreign == []
