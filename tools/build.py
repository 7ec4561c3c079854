"""From text to an executed notebook that says where its outputs came from.

A notebook is a pure function of its text, plus the outputs of one run. The run is repeated only when
something that can change an output changed: the code cells, the modules of `utils` that they import, or the
pinned versions. These three hashes, and one of the outputs, are stamped into the notebook's metadata.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from tools.course import ROOT, relative, setup_cell

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
TIMEOUT = 1200  # seconds a cell may take
# The pinned packages that can change what a notebook shows; with another version of one, it must run again.
IN_OUTPUTS = {
    "numpy",
    "matplotlib",
    "pillow",
    "tqdm",
    "torch",
    "torchvision",
    "ipykernel",
    "nbclient",
    "jupytext",
}


class BuildError(Exception):
    """A source that cannot become a notebook; the message says what to change."""


@dataclass(frozen=True)
class Target:
    """One notebook to build: its text, where it goes, and what happens to the cells before they run."""

    source: Path
    path: Path
    transform: Callable[[NotebookNode], NotebookNode]

    @property
    def name(self) -> str:
        return relative(self.path)


def digest(*parts: str) -> str:
    """A short hash of some strings."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


# ---- the text --------------------------------------------------------------------------------------------


def read_text(source: Path) -> NotebookNode:
    """The notebook that a MyST text describes: cells without outputs, ids that depend on the text alone."""
    text = jupytext.read(source, fmt="md:myst")
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    for cell in text.cells:
        tags = cell.metadata.get("tags", [])
        content = cell.source.strip("\n")
        if "setup" in tags:
            content, tags = setup_cell(), [*tags, "hide-cell"]  # the site folds it: a reader need not see it
        make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        if content:
            notebook.cells.append(make(content, metadata={"tags": tags} if tags else {}))
    return name_cells(notebook)


def name_cells(notebook: NotebookNode) -> NotebookNode:
    """Give each cell an id made from its content, so that building twice gives the same file."""
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        key = digest(cell.cell_type, cell.source)[:8]
        seen[key] = seen.get(key, 0) + 1
        cell["id"] = key if seen[key] == 1 else f"{key}-{seen[key]}"
    return notebook


# ---- the stamp -------------------------------------------------------------------------------------------


def imported_modules(code: str) -> set[str]:
    """The `utils` modules that some code imports (`from utils import plot` gives `utils.plot`)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "utils"}


def module_files(name: str) -> list[Path]:
    """The files behind a module name: a package counts with everything in it."""
    path = ROOT.joinpath(*name.split("."))
    if path.is_dir() and name != "utils":
        files = sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        return [
            f for f in files if not re.fullmatch(r"ex\d+\.py", f.name)
        ]  # tasks count by name, see utils_hash
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]


def utils_hash(code: list[str]) -> str:
    """A hash of every `utils` file that the code imports, of the shipped data and the records it reads."""
    todo: set[str] = set()
    for text in code:
        todo |= imported_modules(text)
        todo |= {f"utils.checks.{name}" for name in re.findall(r"\bex\d\d\b", text)}
    done: set[str] = set()
    files: set[Path] = set()
    while todo:
        name = todo.pop()
        done.add(name)
        for file in module_files(name):
            files.add(file)
            if file.suffix == ".py":
                todo |= imported_modules(file.read_text(encoding="utf-8")) - done
    if "utils.data" in done:
        files |= set(module_files("utils.datasets"))
    if "utils.figures" in done:
        files -= set((ROOT / "utils/figures/scripts").iterdir())  # a figure shows what is built from them
    for record in [*ROOT.glob("benchmarks/results/*.json"), *ROOT.glob("experiments/results/*.json")]:
        if any(record.name in text for text in code):
            files.add(record)
    return digest(*(relative(f) + hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(files)))


def pins_hash() -> str:
    """A hash of the pinned versions of what can change an output."""
    pins = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    return digest(*sorted(pin for pin in pins if re.split(r"[=<>]", pin)[0] in IN_OUTPUTS))


def outputs_hash(notebook: NotebookNode) -> str:
    """A hash of everything that the run left in the notebook."""
    return digest(json.dumps([c.get("outputs") for c in notebook.cells], sort_keys=True, ensure_ascii=False))


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells but the first one, which leaves no output and changes with the course's address."""
    return [c for c in notebook.cells if c.cell_type == "code" and "setup" not in c.metadata.get("tags", [])]


def stamp(target: Target, notebook: NotebookNode) -> dict[str, str]:
    """What the outputs of a notebook depend on."""
    cells = code_cells(notebook)
    code = [c.source for c in cells]
    tags = [",".join(c.metadata.get("tags", [])) for c in cells]
    runnable = [re.sub(r"^\s*[%!].*$", "pass", text, flags=re.M) for text in code]
    return {
        "source": relative(target.source),
        "code": digest(*code, *tags),
        "utils": utils_hash(runnable),
        "pins": pins_hash(),
    }


# ---- the run ---------------------------------------------------------------------------------------------


def execute(target: Target, notebook: NotebookNode) -> None:
    """Run the notebook from top to bottom in its own folder, in a new kernel."""
    environment = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    os.environ.update(environment)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(target.path.parent)}},
        record_timing=False,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise BuildError(f"{relative(target.source)}: a cell fails.\n{error}") from None


def tidy(notebook: NotebookNode) -> None:
    """Keep of a run what the reader sees, and nothing that changes from one run to the next."""
    notebook.metadata = NotebookNode({"kernelspec": KERNEL})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighboring pieces of one stream: how a kernel cuts them is chance."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.output_type == "stream":  # of a progress bar, keep the last state
            output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
    return merged


def picture_type(output: NotebookNode) -> str | None:
    """The MIME type of the picture in an output, if it has one."""
    return next((kind for kind in output.get("data", {}) if kind.startswith("image/")), None)


def copy_alternative_text(target: Target, notebook: NotebookNode) -> None:
    """Tell the site the alternative text and width that `plot.show` left in each figure's metadata."""
    for cell in notebook.cells:
        cell.metadata.pop("mystnb", None)
        pictures = [o for o in cell.get("outputs", []) if picture_type(o)]
        if len(pictures) > 1:
            raise BuildError(
                f"{relative(target.source)}: a cell shows {len(pictures)} figures; one a cell.\n{cell.source}"
            )
        for picture in pictures:
            about = picture.metadata.get(picture_type(picture), {})
            if not about.get("alt"):
                raise BuildError(
                    f"{relative(target.source)}: a figure without alternative text. End the cell with "
                    f"plot.show(fig, alt=...).\n{cell.source}"
                )
            image = {"alt": about["alt"]}
            if about.get("width"):
                image["width"] = f"{about['width']}px"
            cell.metadata["mystnb"] = {"image": image}


# ---- building and checking -------------------------------------------------------------------------------


def skeleton(target: Target) -> NotebookNode:
    """The notebook as its text describes it, not yet run."""
    return name_cells(target.transform(read_text(target.source)))


def load(path: Path) -> NotebookNode | None:
    """A notebook that was built before, or None."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return None


def bare(notebook: NotebookNode) -> list[dict]:
    """The cells of a notebook without what a run adds."""
    cells = []
    for cell in notebook.cells:
        metadata = {k: v for k, v in cell.metadata.items() if k != "mystnb"}
        cells.append(
            {"id": cell.get("id"), "type": cell.cell_type, "source": cell.source, "metadata": metadata}
        )
    return cells


def problem(target: Target) -> str | None:
    """Why a committed notebook is not what its sources build; None where it is."""
    try:
        fresh = skeleton(target)
    except BuildError as error:
        return str(error)
    old = load(target.path)
    if old is None:
        return "is missing or unreadable"
    marks = old.metadata.get("course", {})
    for key, value in stamp(target, fresh).items():
        if marks.get(key) != value:
            what = {
                "code": "its code",
                "utils": "a module of utils or a record that it uses",
                "pins": "requirements.txt",
            }
            return f"is stale: {what.get(key, key)} changed since it was run"
    if marks.get("outputs") != outputs_hash(old):
        return "has outputs that its run did not leave there (edited by hand?)"
    if bare(fresh) != bare(old):
        return f"is not what {relative(target.source)} says: text changed, or notebook edited by hand"
    return None


def build(target: Target, force: bool = False) -> str:
    """Bring one notebook up to date. Returns what was done: 'unchanged', 'text only' or 'ran in N s'."""
    if not force and problem(target) is None:
        return "unchanged"
    notebook = skeleton(target)
    marks = stamp(target, notebook)
    old = None if force else load(target.path)
    if old and reuse_outputs(notebook, old, marks):
        done = "text only, outputs kept"
    else:
        started = time.perf_counter()
        target.path.parent.mkdir(exist_ok=True)
        execute(target, notebook)
        done = f"ran in {time.perf_counter() - started:.0f} s"
    tidy(notebook)
    copy_alternative_text(target, notebook)
    notebook.metadata["course"] = {**marks, "outputs": outputs_hash(notebook)}
    nbformat.validate(notebook)
    part = target.path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.replace(target.path)
    return done


def reuse_outputs(notebook: NotebookNode, old: NotebookNode, marks: dict[str, str]) -> bool:
    """Take the outputs of an earlier run of the very same code, if there are any."""
    was = old.metadata.get("course", {})
    if any(was.get(key) != marks[key] for key in ("code", "utils", "pins")) or was.get(
        "outputs"
    ) != outputs_hash(old):
        return False
    code, ran = code_cells(notebook), code_cells(old)
    if [c.source for c in code] != [c.source for c in ran]:
        return False
    for cell, source in zip(code, ran, strict=True):
        cell.outputs, cell.execution_count = source.outputs, source.execution_count
    for cell in notebook.cells:
        if "setup" in cell.metadata.get("tags", []):
            cell.execution_count = 1
    return True


def build_all(targets: list[Target], force: bool = False, jobs: int | None = None) -> int:
    """Build several notebooks at once and print one line for each. Returns how many failed."""
    failed = 0
    todo = [t for t in targets if force or problem(t) is not None]
    for target in targets:
        if target not in todo:
            print(f"  {target.name}: unchanged")
    with ProcessPoolExecutor(max_workers=max(1, min(jobs or os.cpu_count() or 1, len(todo)))) as pool:
        runs = {pool.submit(build, target, force): target for target in todo}
        for run in as_completed(runs):
            try:
                print(f"  {runs[run].name}: {run.result()}", flush=True)
            except BuildError as error:
                failed += 1
                print(f"  {runs[run].name}: FAILED. {error}", flush=True)
    return failed


def check_all(targets: list[Target], folders: list[Path]) -> int:
    """Print which notebooks are not what their sources build, or have no source. Returns how many."""
    known = {t.path for t in targets}
    strays = [p for folder in folders for p in sorted(folder.glob("*.ipynb")) if p not in known]
    wrong = {relative(p): "has no source in book/" for p in strays}
    wrong |= {t.name: why for t in targets if (why := problem(t))}
    for name, why in wrong.items():
        print(f"  {name} {why}")
    return len(wrong)
