"""Runs the cells of a live page, inside the browser's Python (`live-worker.mjs` calls it).

What a cell prints or shows goes to `emit(kind, text, metadata)`, three strings. The kind is "stdout",
"stderr", "error" (JSON: the short and the full traceback) or the MIME type of what is shown.
"""

from __future__ import annotations

import ast
import base64
import builtins
import functools
import importlib.machinery
import importlib.util
import io
import json
import linecache
import logging
import operator
import re
import sys
import time
import traceback
import types
import warnings
from pathlib import Path

COURSE = Path("/course")  # utils, and the files that pages read
TYPES = ("text/html", "image/svg+xml", "image/png", "text/plain")  # the richest first
MOST = 400_000  # characters that one cell may print
NO_TORCH = "PyTorch does not run in a browser. Run this page in Colab, or on your own machine."

namespace: dict = {"__name__": "__main__", "__builtins__": __builtins__}
_seen: dict[str, object] = {}  # the results of checks that the page has heard of


class Stream(io.TextIOBase):
    """Standard output or error of a cell: lines are passed on at once, many of them ten times a second."""

    def __init__(self, kind: str, emit):
        self.kind, self.emit = kind, emit
        self.parts: list[str] = []
        self.count, self.sent, self.last = 0, 0, 0.0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        before, self.count = self.count, self.count + len(text)
        if before < MOST:
            self.parts.append(text)
            if self.count >= MOST:
                self.parts.append("\n[more was printed than a page can show; the rest is left out]\n")
            if text.endswith(("\n", "\r")) and (self.sent < 100 or time.monotonic() - self.last > 0.1):
                self.send()
        return len(text)

    def send(self) -> None:
        """Pass on what was written since the last time."""
        if self.parts:
            self.emit(self.kind, "".join(self.parts), "{}")
            self.parts, self.sent, self.last = [], self.sent + 1, time.monotonic()


def show(value: object, emit) -> None:
    """Send the richest form that a value has."""
    bundle, metadata = {}, {}
    if isinstance(value, type):  # a class shows no object
        pass
    elif hasattr(value, "_repr_mimebundle_"):
        bundle = value._repr_mimebundle_()
        if isinstance(bundle, tuple):
            bundle, metadata = bundle
    else:
        for kind, method in (("text/html", "_repr_html_"), ("image/svg+xml", "_repr_svg_")):
            data = getattr(value, method)() if hasattr(value, method) else None
            if data:
                bundle[kind] = data
        if hasattr(value, "savefig"):
            bundle["image/png"] = _png(value)
            _close(value)
    kind = next((kind for kind in TYPES if bundle.get(kind)), "text/plain")
    data = bundle.get(kind) or repr(value)
    emit(
        kind,
        data if isinstance(data, str) else base64.b64encode(data).decode(),
        json.dumps(metadata.get(kind, {})),
    )


def _png(figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, bbox_inches="tight")
    return base64.b64encode(file.getvalue()).decode()


def _close(figure) -> None:
    sys.modules["matplotlib.pyplot"].close(figure)


def _show_open_figures(emit) -> None:
    """What a notebook does with figures that a cell drew and did not return."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    for number in pyplot.get_fignums() if pyplot else ():
        emit("image/png", _png(pyplot.figure(number)), "{}")
    if pyplot:
        pyplot.close("all")


def run(code: str, name: str, emit) -> bool:
    """Run a cell; `name` such as "cell 3" stands in tracebacks. Returns whether it ran to its end."""
    out, err = Stream("stdout", emit), Stream("stderr", emit)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    file = f"<{name}>"

    def display(*values):
        out.send(), err.send()
        for value in values:
            show(value, emit)

    namespace["display"] = display
    try:
        linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
        tree = Products().visit(ast.parse(code, file))
        last = tree.body.pop().value if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, file, "exec"), namespace)
        value = eval(compile(ast.Expression(last), file, "eval"), namespace) if last else None
        if value is not None:
            namespace["_"] = value
            display(value)
        out.send(), err.send()
        _show_open_figures(emit)
        return True
    except BaseException as error:
        out.send(), err.send()
        emit("error", json.dumps(describe(error, file)), "{}")
        return False
    finally:
        out.send(), err.send()
        sys.stdout, sys.stderr = before


def describe(error: BaseException, file: str) -> dict[str, str]:
    """An exception in words: `short`, with the lines that the reader wrote, and all of it in `full`."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    if isinstance(error, KeyboardInterrupt):
        return {"short": "Stopped. What the cells above computed is still there.", "full": ""}
    full = "".join(traceback.format_exception(type(error), error, trace))
    lines = ["".join(traceback.format_exception_only(error)).strip()]
    if isinstance(error, SyntaxError):
        return {"short": re.sub(r'^ *File "<(.*?)>"', r"\1", lines[0]), "full": ""}
    if isinstance(error, ModuleNotFoundError) and str(error.name).split(".")[0] in ("torch", "torchvision"):
        lines.append(NO_TORCH)
    elif isinstance(error, ModuleNotFoundError) and str(error.name).startswith("utils."):
        lines.append(f"This part of the course needs PyTorch. {NO_TORCH}")
    elif isinstance(error, NameError):
        lines.append("Names are made by the cells above: is one of them changed, or not run?")
    for frame in traceback.extract_tb(trace):
        if frame.filename.startswith("<cell"):
            where = "" if frame.name == "<module>" else f", in {frame.name}"
            lines.append(f"{frame.filename[1:-1]}, line {frame.lineno}{where}:\n    {frame.line}")
    return {"short": "\n".join(lines), "full": full}


# ---- matrix products ---------------------------------------------------------------------------------------


def product(a, b, /, **settings):
    """a @ b, by einsum where that is faster.

    NumPy has no BLAS in a browser. There the loops of `einsum` take half as long as those of `matmul`, and a
    tenth where a matrix is transposed. Everything small, unusual or wrong is left to `matmul`.
    """
    numpy = sys.modules.get("numpy")
    arrays = numpy and type(a) is type(b) is numpy.ndarray and not settings.keys() - {"out"}
    if arrays and a.ndim > 1 < b.ndim and a.dtype == b.dtype and a.dtype.kind == "f":
        stacked = a.ndim == 2 or b.ndim == 2 or a.shape[:-2] == b.shape[:-2]
        count = max(a.size * b.shape[-1], b.size * a.shape[-2])  # multiplications
        if stacked and a.shape[-1] == b.shape[-2] and count > 50_000:
            if a.ndim == b.ndim == 2 and not settings and count > 2**24:
                return _in_tiles(numpy, a, b)
            if count < 2**30:  # the counters of einsum have 32 bits in a browser
                return numpy.einsum("...ij,...jk->...ik", a, b, order="C", **settings)
    return numpy.matmul(a, b, **settings) if settings else operator.matmul(a, b)


def _in_tiles(numpy, a, b):
    """The product of two large matrices, in parts that stay in the processor's cache."""
    out = numpy.zeros((len(a), b.shape[1]), a.dtype)
    side = max(16, 2**17 // (b.shape[1] * b.itemsize))
    for i in range(0, len(a), side):
        for j in range(0, len(b), side):
            out[i : i + side] += numpy.einsum("ij,jk->ik", a[i : i + side, j : j + side], b[j : j + side])
    return out


namespace["_product_"] = product


class Products(ast.NodeTransformer):
    """Replaces `a @ b` and `np.matmul(a, b)` in a syntax tree by `_product_(a, b)`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.MatMult):
            return node
        call = ast.Call(ast.Name("_product_", ast.Load()), [node.left, node.right], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(value=ast.Name(id="np"), attr="matmul"):
                node.func = ast.copy_location(ast.Name("_product_", ast.Load()), node.func)
        return node


class _Loader(importlib.machinery.SourceFileLoader):
    """Reads a module of the course with `Products`."""

    def source_to_code(self, data, path, *, _optimize=-1):
        tree = ast.parse(data, path)
        if b" @ " in data or b"np.matmul" in data:  # going through a tree takes time
            tree = Products().visit(tree)
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)


def _finder(path: str) -> importlib.machinery.FileFinder:
    if not Path(path).is_relative_to(COURSE):
        raise ImportError(f"{path} is no folder of the course")
    return importlib.machinery.FileFinder(path, (_Loader, [".py"]))


def points() -> list[dict]:
    """The results of checks since the last time, for the page to keep."""
    session = sys.modules.get("utils.checks._session")
    found = []
    for name, result in session._latest.items() if session else ():
        if _seen.get(name) is not result:
            _seen[name] = result
            exercise = name.partition(".")[0]
            found.append(
                {"exercise": exercise, "task": name, "points": result.points, "of": result.max_points}
            )
    return found


# ---- what a cell needs before it can run -------------------------------------------------------------------


def imports(code: str, package: str = "", inside: bool = True) -> set[str]:
    """Full names of the modules that some code may import. `inside`: in functions, too."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return set()
    names: set[str] = set()
    for node in ast.walk(tree) if inside else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: 1 - node.level or None] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names |= {start} | {f"{start}.{alias.name}" for alias in node.names}
    return names


@functools.cache
def module_file(name: str, root: Path) -> Path | None:
    """The file of a module of the course; None where there is none."""
    path = root.joinpath(*name.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)


@functools.cache
def _imports_of(file: Path, package: str) -> frozenset[str]:
    """What a module of the course imports when it is imported."""
    return frozenset(imports(file.read_text(encoding="utf-8"), package, inside=False))


@functools.cache
def closure(code: str, root: Path = COURSE) -> frozenset[str]:
    """The modules that some code imports, and those that they import, as far as they are the course's."""
    todo = imports(code) | {f"utils.checks.{name}" for name in re.findall(r"\bex\d\d\b", code)}
    done: set[str] = set()
    while todo:
        name = todo.pop()
        done.add(name)
        parents = {name.rpartition(".")[0]} - {""}
        file = module_file(name, root) if name.startswith("utils") else None
        if file:
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            parents |= _imports_of(file, package)
        todo |= parents - done
    return frozenset(done)


def needs(code: str) -> str:
    """What the cell's code wants to be there, as JSON: packages of Pyodide, and archives of the course."""
    names = closure(code)
    tops = {name.partition(".")[0] for name in names}
    packages = {p for p in ("numpy", "matplotlib") if p in tops}
    if "photograph" in code:
        packages |= {"matplotlib"}
    if "PIL" in tops or "_folder" in code:
        packages |= {"pillow"}
    archives = [
        a for a, module in (("sample", "utils.data"), ("figures", "utils.figures")) if module in names
    ]
    archives += ["photograph"] if "photograph" in code else []
    return json.dumps({"packages": sorted(packages), "archives": archives})


# ---- a stand-in for tqdm -----------------------------------------------------------------------------------


class _Bar:
    """The part of tqdm that the course uses: one line of progress, written over itself."""

    def __init__(self, iterable=None, total=None, initial=0, disable=False, file=None, **ignored):
        self.iterable, self.disable, self.file = iterable, disable, file
        self.total = total if total is not None or iterable is None else len(iterable)
        self.n, self.label, self.note, self.drawn = initial, "", "", 0.0

    def __iter__(self):
        for item in self.iterable:
            yield item
            self.update()
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def set_description(self, text="", refresh=True):
        self.label = text

    def set_postfix_str(self, text="", refresh=True):
        self.note = text

    def update(self, count=1):
        self.n += count
        if time.monotonic() - self.drawn > 0.3:
            self.draw()

    def draw(self, end="\r"):
        self.drawn = time.monotonic()
        if not self.disable:
            share = f"{self.n / self.total:4.0%}" if self.total else str(self.n)
            print(f"{self.label} {share} {self.note}  ", end=end, file=self.file or sys.stderr)

    def close(self):
        self.draw("\n")
        self.disable = True


def place_photograph() -> None:
    """Let Matplotlib's photograph be the one that the course was built with, pixel for pixel.

    The JPEG decoder of the browser's Pillow is another one, whose colors differ a little. The course's file
    is a PNG by the name of the JPEG: Pillow looks at the content.
    """
    matplotlib = Path(importlib.util.find_spec("matplotlib").origin).parent
    target = matplotlib / "mpl-data/sample_data/grace_hopper.jpg"
    target.write_bytes((COURSE / "photograph.png").read_bytes())


def prepare() -> None:
    """Make Python what the pages expect: quiet about fonts, and with something in the place of tqdm."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # it says that it looks for fonts
    module = types.ModuleType("tqdm")
    module.tqdm = _Bar
    sys.modules.setdefault("tqdm", module)
    warnings.filterwarnings("ignore", ".* was not downloaded", UserWarning)  # the sample is what is there
    builtins._product_ = product
    sys.path_hooks.insert(0, _finder)
    sys.path_importer_cache.clear()
