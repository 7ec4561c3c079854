"""The live chapters and exercises as notebooks in the browser: JupyterLite, in `lite/` of the built site.

python -m tools.lite [--output DIR]

JupyterLite is built in an environment of its own, `.venv-lite` (tools/lite-requirements.txt), because it
takes up every extension of JupyterLab that it finds. Its Python is the Pyodide of the live pages. Pages whose
notebook is there get a link to it; a page that the site builds again has none until this has run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools import live
from tools.course import ROOT, config, relative, setup_cell

ENVIRONMENT = ROOT / ".venv-lite"
REQUIREMENTS = Path(__file__).with_name("lite-requirements.txt")
WHEELS = Path(__file__).with_name("lite-wheels.txt")
KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"
# What the kernel and the notebooks load, with what these need (not ssl: the kernel does without it).
NEEDS = (*live.PACKAGES, "ipython", "matplotlib-pyodide", "micropip", "sqlite3")
IN_BROWSER = """
# In the browser: the packages that the course's modules import, and the course's photograph.
import numpy, matplotlib, PIL
sys.dont_write_bytecode = True
import live_runner
live_runner.COURSE = root
live_runner.prepare()
live_runner.place_photograph()
get_ipython().ast_transformers.append(live_runner.Products())   # faster matrix products
def missing(shell, kind, error, trace, tb_offset=None):      # a cell without PyTorch says so; Run All goes on
    if str(error.name).partition(".")[0] in ("torch", "torchvision"):
        return print(live_runner.NO_TORCH)
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
get_ipython().set_custom_exc((ModuleNotFoundError, NameError), missing)"""
START = re.compile(
    r'(<div class="dropdown dropdown-launch-buttons">.*?<ul class="dropdown-menu">)', re.DOTALL
)
OLD_LINK = re.compile(r'\n *<li class="course-lite">.*?</li>', re.DOTALL)


def run(*command: str | Path, **settings: object) -> None:
    """Run a program of the environment. RuntimeError, with what it printed, if it fails."""
    words = [str(word) for word in command]
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTHONPATH"))
    }
    done = subprocess.run(
        words, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **settings
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout[-3000:]}")


def program() -> Path:
    """The Python of `.venv-lite`, which is made if it is not there or older than what it installs."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + WHEELS.read_bytes()).hexdigest()
    stamp = ENVIRONMENT / ".installed"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"Installing JupyterLite into {ENVIRONMENT.name} (once)")
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        run(sys.executable, "-m", "venv", ENVIRONMENT)
        pip = (python, "-m", "pip", "--disable-pip-version-check")
        run(*pip, "install", "-r", REQUIREMENTS)
        run(*pip, "download", "--no-deps", "--require-hashes", "-r", WHEELS, "-d", ENVIRONMENT / "wheels")
        stamp.write_text(wanted, encoding="utf-8")
    return python


def notebook(path: Path) -> dict:
    """A notebook as the browser gets it: without outputs, for the browser's kernel, with its set-up."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["metadata"]["kernelspec"] = {
        "display_name": "Python (Pyodide)",
        "language": "python",
        "name": "python",
    }
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for cell in code:
        cell["outputs"], cell["execution_count"] = [], None
    first = "".join(code[0]["source"])
    if first.strip() != setup_cell().strip():
        raise ValueError(f"{relative(path)}: expected the set-up cell as first code cell, got {first[:60]!r}")
    code[0]["source"] = (setup_cell().rstrip() + "\n" + IN_BROWSER).splitlines(keepends=True)
    return content


def stage(folder: Path, html: Path) -> None:
    """Write the course's folders as the browser gets them."""
    for path in live.live_notebooks():
        target = folder / relative(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(notebook(path), ensure_ascii=False, indent=1), encoding="utf-8")
    for file in sorted({file for files in live.archives().values() for file in files}):
        target = folder / relative(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    shutil.copyfile(live.RUNNER, folder / live.RUNNER.name)
    shutil.copyfile(html / "_course/photograph.png", folder / "photograph.png")


def wheels(folder: Path, lock: dict) -> list[Path]:
    """The wheels of NEEDS and of what they need, compared with the hashes in Pyodide's lock file."""
    todo, done = list(NEEDS), {}
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name not in done:
            done[name] = lock["packages"][name]
            todo += done[name]["depends"]
    found = []
    for package in done.values():
        file = folder / package["file_name"]
        if not file.is_file():
            raise FileNotFoundError(f"{live.WHEELS}: {folder} has no {file.name}")
        if hashlib.sha256(file.read_bytes()).hexdigest() != package["sha256"]:
            raise ValueError(f"{live.WHEELS}: {file.name} is not the file that pyodide-lock.json describes")
        found.append(file)
    return sorted(found)


def serve_packages(folder: Path) -> None:
    """Where the site serves Pyodide itself: add what the kernel needs."""
    source = live.wheel_folder()
    if source is None:
        raise FileNotFoundError(f'pyodide = "site" needs the wheels: name their folder in {live.WHEELS}')
    shutil.copyfile(live.runtime() / "pyodide.js", folder / "pyodide.js")  # not the module: see `settings`
    lock = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))
    for file in wheels(source, lock):
        shutil.copyfile(file, folder / file.name)


def settings(where: str) -> dict:
    """JupyterLite's settings: the name of the page, and Pyodide from the same place as the live pages."""
    # pyodide.js, as the kernel cannot load pyodide.mjs; "./" is where these settings lie
    pyodide = "./../_pyodide/" if where == "site" else where
    kernel = {"pyodideUrl": f"{pyodide}pyodide.js", "disablePyPIFallback": where == "site"}
    data = {
        "appName": config()["title"],
        "litePluginSettings": {KERNEL: kernel},
        # all cells are on the page, so that the browser's search finds them
        "settingsOverrides": {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "defer"}},
    }
    return {"jupyter-lite-schema-version": 0, "jupyter-config-data": data}


def build(html: Path) -> None:
    """Write `lite/` into a built site."""
    python, target = program(), html / "lite"
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        stage(work / "course", html)
        (work / "jupyter-lite.json").write_text(json.dumps(settings(live.setting())), encoding="utf-8")
        options = {
            "LiteBuildConfig": {
                "apps": ["lab"],
                "contents": ["course"],
                "no_sourcemaps": True,
                "no_unused_shared_packages": True,
                "output_dir": "built",
            },
            "PipliteAddon": {"piplite_urls": [str(path) for path in (ENVIRONMENT / "wheels").glob("*.whl")]},
        }
        (work / "jupyter_lite_config.json").write_text(json.dumps(options), encoding="utf-8")
        run(python, "-m", "jupyterlite_core", "build", cwd=work)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(work / "built", target)
    if live.setting() == "site":
        serve_packages(html / "_pyodide")


def link(html: Path) -> int:
    """Add "Open as notebook" to the menu of each live page that has a notebook in `lite/`; count them."""
    count = 0
    for path in live.live_notebooks():
        name = relative(path)
        page = html / name.replace(".ipynb", ".html")
        if not page.is_file() or not (html / "lite/files" / name).is_file():
            continue
        address = f"../lite/lab/index.html?path={name}"
        entry = (
            f'\n      <li class="course-lite"><a href="{address}" target="_blank" rel="noopener" '
            'class="btn btn-sm dropdown-item" title="Run it as a notebook, in this browser">'
            '<span class="btn__text-container">Open as notebook</span></a></li>'
        )
        text = page.read_text(encoding="utf-8")
        new, found = START.subn(lambda match, e=entry: match[1] + e, OLD_LINK.sub("", text), count=1)
        if not found:
            raise RuntimeError(f"{page}: the page has no menu for the link to its notebook")
        if new != text:
            page.write_text(new, encoding="utf-8")
        count += 1
    return count


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT, help="folder with _build/html (default: the course)"
    )
    html = parser.parse_args().output.resolve() / "_build/html"
    if not (html / "_course/live.json").is_file():
        parser.error(f"--output: no website in {html}; `python -m tools.site` builds it")
    started = time.perf_counter()
    try:
        build(html)
        pages = link(html)
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in (html / "lite").rglob("*") if path.is_file())
    print(f"{html / 'lite'}: {size / 1e6:.0f} MB in {time.perf_counter() - started:.0f} s")
    print(f"{pages} pages link to their notebook")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
