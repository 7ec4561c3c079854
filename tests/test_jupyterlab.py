"""A notebook as its reader runs it: JupyterLab in a real browser, Run All Cells, save, look at what is there."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        f"--port={port}",
        "--ServerApp.port_retries=0",
    ]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={course}", "--allow-root"]
    environment = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(course / ".settings"), "HOME": str(course)}
    environment |= {"JUPYTERLAB_WORKSPACES_DIR": str(course / ".workspaces")}
    environment.pop("PYTHONPATH", None)  # the set-up cell alone must find the course
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=2)
                break
            except OSError:
                assert server.poll() is None, "JupyterLab did not start"
                time.sleep(0.5)
        yield address, course
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_in_jupyterlab(browser, lab, name):
    address, course = lab
    tab = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    tab.goto(f"{address}/lab/tree/{name}?reset")
    tab.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    tab.wait_for_function(
        "document.querySelector('#jp-main-statusbar').innerText.includes('| Idle')", timeout=60_000
    )
    if tab.locator(
        ".jp-Dialog"
    ).count():  # the kernel was slow to start, and JupyterLab asks which one to use
        tab.get_by_role("button", name="Select").click()
    tab.get_by_role("menuitem", name="Run", exact=True).click()
    tab.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def all_ran() -> bool:
        tab.keyboard.press("Control+s")
        time.sleep(1)
        cells = [c for c in nbformat.read(course / name, as_version=4).cells if c.cell_type == "code"]
        return all(c.execution_count for c in cells)

    deadline = time.monotonic() + 180
    while not all_ran():
        assert time.monotonic() < deadline, "the cells did not all run within three minutes"
    ran = nbformat.read(course / name, as_version=4)
    outputs = [o for c in ran.cells if c.cell_type == "code" for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    stored = nbformat.read(ROOT / name, as_version=4)
    assert len(outputs) == sum(len(c.outputs) for c in stored.cells if c.cell_type == "code")
    if name.startswith("notebooks"):
        assert sum("image/png" in o.get("data", {}) for o in outputs) >= 5
    tab.context.close()
