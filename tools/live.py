"""The live pages: which pages run in the reader's browser, and the files that their Python reads.

python -m tools.live [--output DIR]    write those files into a built site (`tools.site` does so itself)

A page is live where no cell needs PyTorch, but for those with the tag `torch`. Its Python is Pyodide, fetched
at the first Run from the address under [tool.course] in pyproject.toml; "site" there means that the site
serves Pyodide itself, from `_pyodide/`.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib.util
import io
import json
import os
import shutil
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

from tools.course import ROOT, relative
from tools.site_node import install

RUNNER = ROOT / "book/site/live_runner.py"
RUNTIME = ROOT / "tools/pyodide"  # package.json and package-lock.json of the npm package
RUNTIME_FILES = (
    "pyodide.mjs",
    "pyodide.asm.js",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
PACKAGES = ("numpy", "matplotlib", "pillow")  # what live pages load, with what these need
WHEELS = "CONVNETS_PYODIDE_WHEELS"  # names a folder with their wheels
TORCH = {"torch", "torchvision"}


@functools.cache
def runner() -> ModuleType:
    """The runner's own analysis of imports, so that the build and the page agree."""
    spec = importlib.util.spec_from_file_location("live_runner", RUNNER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_of(notebook: Path) -> list[str]:
    """The code cells of a notebook that do without PyTorch."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    return ["".join(c["source"]) for c in code if "torch" not in c["metadata"].get("tags", [])]


def needs_torch(modules: set[str]) -> bool:
    """Does one of these modules, or a module of the course that it is, import PyTorch when it is imported?"""
    return bool(TORCH & {name.partition(".")[0] for name in modules})


@functools.cache
def closure(notebook: Path) -> frozenset[str]:
    """All modules that the cells of a notebook import, with what those import."""
    return frozenset().union(*(runner().closure(code, ROOT) for code in code_of(notebook)))


@functools.cache
def live_notebooks() -> tuple[Path, ...]:
    """The chapters and exercises whose cells run without PyTorch."""
    found = [*sorted((ROOT / "notebooks").glob("*.ipynb")), *sorted((ROOT / "exercises").glob("*.ipynb"))]
    return tuple(path for path in found if not needs_torch(closure(path)))


def live(page: str) -> bool:
    """Is this page of the site (such as "notebooks/03_convolution_layer.html") live?"""
    return page.removesuffix(".html") in {relative(path).removesuffix(".ipynb") for path in live_notebooks()}


# ---- the files ---------------------------------------------------------------------------------------------


def archives() -> dict[str, list[Path]]:
    """What the pages read, in three parts: the code, the sample of pictures, the interactive figures."""
    modules = frozenset().union(*map(closure, live_notebooks()))
    files = {
        file for name in modules if name.startswith("utils") and (file := runner().module_file(name, ROOT))
    }
    code = "\n".join(text for path in live_notebooks() for text in code_of(path))
    records = [*ROOT.glob("benchmarks/results/*.json"), *ROOT.glob("experiments/results/*.json")]
    kinds = ("*.js", "*.png", "*.npz", "*.json")
    folders = ("built", "data", "pictures")
    figures = [f for name in folders for kind in kinds for f in (ROOT / "utils/figures" / name).glob(kind)]
    return {
        "utils": sorted(files | {record for record in records if record.name in code}),
        "sample": sorted((ROOT / "utils/datasets").rglob("*.gz")),
        "figures": sorted(figures) if "utils.figures" in modules else [],
    }


def pack(files: list[Path], path: Path) -> None:
    """A zip file of files of the course: the same files give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in files:
            entry = zipfile.ZipInfo(relative(file), date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


def photograph() -> bytes:
    """Matplotlib's photograph of Grace Hopper, decoded here: other decoders give other colors."""
    from matplotlib import cbook
    from PIL import Image

    file = io.BytesIO()
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as picture:
        picture.convert("RGB").save(file, "png", optimize=True)
    return file.getvalue()


def setting() -> str:
    """Where pages fetch Pyodide: an address that ends with a slash, or "site"."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    value = settings.get("tool", {}).get("course", {}).get("pyodide")
    if value != "site" and not (
        isinstance(value, str) and value.startswith("https://") and value.endswith("/")
    ):
        raise ValueError(
            '[tool.course] pyodide in pyproject.toml: expected "site" or an address that begins with '
            f"https:// and ends with a slash, got {value!r}"
        )
    return value


def add(html: Path) -> None:
    """Write what the live pages fetch into `_course/` of a built site, and Pyodide if the site serves it."""
    folder = html / "_course"
    folder.mkdir(parents=True, exist_ok=True)
    where, parts = setting(), archives()
    for name, files in parts.items():
        pack(files, folder / f"{name}.zip")
    (folder / "photograph.png").write_bytes(photograph())
    names = {}
    for file in [*(f"{name}.zip" for name in parts), "photograph.png"]:
        mark = hashlib.sha256((folder / file).read_bytes()).hexdigest()[:8]
        names[file.partition(".")[0]] = f"{file}?v={mark}"
    if where == "site":
        serve_pyodide(html / "_pyodide")
    facts = {"pyodide": "../_pyodide/" if where == "site" else where, "archives": names}
    (folder / "live.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


# ---- Pyodide -----------------------------------------------------------------------------------------------


def runtime() -> Path:
    """The folder of Pyodide's runtime, installed from npm by its lock file. RuntimeError where npm cannot."""
    install(RUNTIME)
    return RUNTIME / "node_modules/pyodide"


def wheels(folder: Path, lock: dict) -> list[Path]:
    """The wheels of PACKAGES and of what they need, compared with the hashes in Pyodide's lock file."""
    todo, done = list(PACKAGES), {}
    while todo:
        name = todo.pop()
        if name not in done:
            done[name] = lock["packages"][name]
            todo += done[name]["depends"]
    files = [folder / package["file_name"] for package in done.values()]
    for file, package in zip(files, done.values(), strict=True):
        if not file.is_file():
            raise FileNotFoundError(f"{WHEELS}: {folder} has no {file.name}")
        if hashlib.sha256(file.read_bytes()).hexdigest() != package["sha256"]:
            raise ValueError(f"{WHEELS}: {file.name} is not the file that pyodide-lock.json describes")
    return sorted(files)


def wheel_folder() -> Path | None:
    """The folder that CONVNETS_PYODIDE_WHEELS names; without it one beside the checkout, if it is there."""
    beside = ROOT.parent / "shared/pyodide-wheels"
    named = os.environ.get(WHEELS)
    return Path(named) if named else beside if beside.is_dir() else None


def serve_pyodide(folder: Path) -> None:
    """Copy Pyodide and the wheels into a folder of the site."""
    source, wheel_source = runtime(), wheel_folder()
    if wheel_source is None:
        raise FileNotFoundError(
            f'pyodide = "site" needs the wheels of {", ".join(PACKAGES)} and what these need: '
            f"download them from Pyodide's release, and name their folder in {WHEELS}"
        )
    lock = json.loads((source / "pyodide-lock.json").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*(source / name for name in RUNTIME_FILES), *wheels(wheel_source, lock)]:
        shutil.copyfile(file, folder / file.name)


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT, help="folder with _build/html (default: the course)"
    )
    html = parser.parse_args().output / "_build/html"
    if not html.is_dir():
        parser.error(f"--output: {html} is not there; `python -m tools.site` builds it")
    add(html)
    for path in live_notebooks():
        print(f"live: {relative(path).replace('.ipynb', '.html')}")
    for name in archives():
        print(f"{name}.zip: {(html / '_course' / f'{name}.zip').stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
