"""JupyterLab for the tests: a server over a folder, a notebook open in a tab, its cells run."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request


@contextlib.contextmanager
def serving(course):
    """JupyterLab over the folder `course`, with settings of its own; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={course}"]
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
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def open_notebook(tab, address, name):
    """Show a notebook in the tab, and wait until its kernel is there."""
    tab.goto(f"{address}/lab/tree/{name}?reset")
    tab.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    tab.wait_for_function(
        "document.querySelector('#jp-main-statusbar').innerText.includes('| Idle')", timeout=60_000
    )
    if tab.locator(".jp-Dialog").count():  # the kernel was slow to start, and JupyterLab asks which to use
        tab.get_by_role("button", name="Select").click()


def choose(tab, menu, *names):
    """Open one of JupyterLab's menus and choose an item, or a menu and an item in it."""
    tab.get_by_role("menuitem", name=menu, exact=True).click()
    for name in names:
        tab.locator(".lm-Menu").get_by_text(name, exact=True).click()
