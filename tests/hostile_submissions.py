"""What students hand in, from right to hostile, each with the points that it must get.

Every submission is exercise 3 with full marks, changed in one way. `SUBMISSIONS` maps a name to what is done to
it, the points it must get, and words that the student must read.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FULL = 10.0
SAME = 1.5  # points of the task that most of these break: same_padding


@dataclass(frozen=True)
class Handed:
    """One submission: its content, the points it must get, and what the student must be told."""

    make: Callable[[], bytes]
    points: float
    words: str = ""
    slow: bool = False  # runs into a limit
    clean: bool = False  # no cell may fail
    big: bool = False  # the grader itself must stay small and quick


@cache
def solved() -> str:
    return (ROOT / "solutions/03_convolution_layer.ipynb").read_text(encoding="utf-8")


def document() -> dict:
    return json.loads(solved())


def packed(notebook: dict) -> bytes:
    return json.dumps(notebook).encode()


def source(cell: dict) -> str:
    return "".join(cell["source"])


def code_cell(text: str) -> dict:
    return {
        "cell_type": "code",
        "metadata": {},
        "source": text,
        "outputs": [],
        "execution_count": None,
        "id": "new",
    }


def with_cell(text: str, at: int = 3) -> Callable[[], bytes]:
    """Full marks, and a cell of the student's own after the imports."""

    def make() -> bytes:
        notebook = document()
        notebook["cells"].insert(at, code_cell(text))
        return packed(notebook)

    return make


def with_answer(
    body: str, head: str = "def same_padding(size, kernel_size, stride=1):\n"
) -> Callable[[], bytes]:
    """The answer to task 2 replaced; the rest has full marks."""

    def make() -> bytes:
        notebook = document()
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code" and "def same_padding(" in source(cell):
                cell["source"] = head + "\n".join("    " + line for line in body.splitlines())
        return packed(notebook)

    return make


def with_all_answers(body: str, before: str = "") -> Callable[[], bytes]:
    """Every function of the submission replaced by one that does `body`, every value by 0."""

    def make() -> bytes:
        notebook = document()
        notebook["cells"].insert(3, code_cell(before))
        for cell in notebook["cells"]:
            if "solution" in cell["metadata"].get("tags", []):
                names = re.findall(r"^def (\w+)\(", source(cell), re.M)
                values = re.findall(r"^(\w+) = ", source(cell), re.M)
                lines = [f"def {name}(*args, **kwargs):\n    {body}" for name in names]
                cell["source"] = "\n".join(lines or [f"{name} = 0" for name in values])
        return packed(notebook)

    return make


def changed(change: Callable[[dict], None]) -> Callable[[], bytes]:
    def make() -> bytes:
        notebook = document()
        change(notebook)
        return packed(notebook)

    return make


def without_metadata(notebook: dict) -> None:
    notebook["metadata"] = {}
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def without_checks(notebook: dict) -> None:
    notebook["cells"] = [c for c in notebook["cells"] if not source(c).startswith(("check(", "summary("))]


def checks_edited(notebook: dict) -> None:
    for cell in notebook["cells"]:
        if source(cell).startswith("check("):
            cell["source"] = 'print("10 of 10 points")'


def all_twice(notebook: dict) -> None:
    notebook["cells"] += copy.deepcopy(notebook["cells"])


def checks_first(notebook: dict) -> None:
    """Each check before the answer it checks: reordered, as after a careless drag."""
    cells = notebook["cells"]
    checks = [c for c in cells if source(c).startswith("check(")]
    notebook["cells"] = [*cells[:3], *checks, *[c for c in cells[3:] if c not in checks]]


def one_missing(notebook: dict) -> None:
    notebook["cells"] = [c for c in notebook["cells"] if "def same_padding(" not in source(c)]


def one_renamed(notebook: dict) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            text = source(cell).replace("def same_padding", "def my_padding")
            cell["source"] = text.replace(", same_padding)", ", my_padding)")


VISIBLE = """
from utils.checks import find
answers = {}
for case in find("ex03.same_padding").make_cases(0):
    answers[case.args] = find("ex03.same_padding").reference(*case.args)
"""

READ_ALL = """
import os
found = []
for folder, _, files in os.walk("/"):
    if not folder.startswith(("/proc", "/sys", "/usr", "/lib")) and "site-packages" not in folder:
        found += [f for f in files if "solution" in f or f.endswith(".ipynb") or f.startswith(("ex0", "ex1"))]
assert not found, found
assert not [n for n in os.environ if n.upper().startswith(("SECRET", "CONVNETS", "GITHUB"))]
"""

WRITE_ALL = """
import os
wrote = []
for place in ["/", "/course", "/course/utils", "/course/utils/checks", "/course/utils/grading", "/usr", "/etc", "/dev",
              os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(np.__file__))]:
    try:
        open(os.path.join(place, "written"), "w").write("x")
        wrote.append(place)
    except OSError:
        pass
assert not wrote, wrote
"""

FILL = """
for place in ["/tmp", "/dev/shm", "."]:
    try:
        for i in range(10_000):
            open(f"{place}/{i}", "wb").write(bytes(10**7))
    except OSError:
        pass
"""

FRAMES = """
    import sys, gc
    frame, found = sys._getframe(), []
    while frame:
        found += [v for k, v in frame.f_locals.items() if k in ("want", "wants", "reference", "expected", "task")]
        frame = frame.f_back
    found += [o for o in gc.get_objects() if type(o).__name__ in ("Task", "Case")]
    assert not [o for o in found if callable(getattr(o, "reference", None))]
    return found[0] if found else (0, 0, 0)
"""

HOSTILE_CLASS = """
class Sly(np.ndarray):
    def __eq__(self, other): return True
    def __array__(self, *args, **kwargs): return np.zeros(3)
    def __array_function__(self, *args, **kwargs): return True
    def __array_ufunc__(self, *args, **kwargs): return np.True_
    def __sub__(self, other): return 0
    __class__ = float
"""

LYING = """
class Lying:
    def __init__(self): self.calls = 0
    def __array__(self, *args, **kwargs):
        self.calls += 1
        return np.arange(3) + self.calls
    def __eq__(self, other): return True
    __hash__ = None
    @property
    def __class__(self): return tuple
"""

RIGHT = "out = -(-size // stride)\ntotal = max(0, (out - 1) * stride + kernel_size - size)\n"
RIGHT += "values = out, total // 2, total - total // 2\n"

PATCH = """
import builtins, json, numpy.testing, utils.checks
for name in dir(np.testing):
    if name.startswith("assert"):
        setattr(np.testing, name, lambda *a, **k: None)
np.isclose = np.allclose = lambda *a, **k: True
np.array_equal = lambda *a, **k: True
utils.checks.check = lambda *a: 10.0
utils.checks.grade = lambda *a: None
builtins.isinstance, kept = (lambda *a: True), builtins.isinstance
builtins.isinstance = kept
"""

TRANSFORM = """
shell = get_ipython()
shell.input_transformers_cleanup.append(lambda lines: ["pass\\n"])
shell.ast_transformers.append(None)
"""

# The worker sends what `pack` makes of a reply: this sends a reply of the submission's own making.
FORGE = """
import json, struct
from utils.grading import wire
def frame(text, *buffers):
    body = struct.pack("<I", len(text)) + text + b"".join(buffers)
    return struct.pack("<Q", len(body)) + body
def whole(reply, *buffers):
    return frame(json.dumps([reply, [len(b) for b in buffers]]).encode(), *buffers)
"""
FORGED = {
    "deep": 'frame(b"[" * 10**6)',
    "a deep word": 'frame(b\'[{"id": %d, "words": \' % tree["id"] + b"[" * 900 + b"]" * 900 + b", \\"raised\\": 1}, []]")',
    "a broken dict": 'whole({"id": tree["id"], "ok": {"dict": [1, 2]}})',
    "a broken answer": 'whole({"id": tree["id"], "ok": {"tuple": [{"dict": 3}, {"array": [[], {}, None]}]}})',
    "one buffer, many arrays": """whole({"id": tree["id"], "ok": {"tuple":
        [{"array": ["|b1", [2**21], 0]}] * 20_000}}, bytes(2**21))""",
    "wide texts": """whole({"id": tree["id"], "ok": {"list":
        [{"value": "x" * 500_000}] + [{"value": "x"}] * 15_000}})""",
    "a million values": 'whole({"id": tree["id"], "ok": {"tuple": [{"value": 1}] * 10**6}})',
    "a large number": 'frame(b\'[{"id": %d, "ok": {"value": \' % tree["id"] + b"9" * 4000 + b"}}, []]")',
    "odd words": 'whole({"id": tree["id"], "raised": ["x"], "words": {"y": "\\ud800"}})',
    "entries": 'whole({"id": tree["id"], "entries": [["side", {"ok": {"dict": [1]}}], [[], 1], 3]})',
    "no number": 'whole({"ok": {"value": 1}})',
}

REFUSED = ("deep", "a million values", "no number")  # at once: the cell that does it is left out

# Answers the grader's next questions before they are asked; the numbers are in the frames above.
EARLY = """
import gc, io, json, struct, sys
frame = sys._getframe()
while "writer" not in frame.f_locals:
    frame = frame.f_back
first = frame.f_locals["message"]["id"]
for i in range(first, first + 300):
    text = json.dumps([{"id": i, "error": "", "ok": {"value": 4}}, []]).encode()
    frame.f_locals["writer"].write(struct.pack("<QI", len(text) + 4, len(text)) + text)
frame.f_locals["writer"].flush()
"""

DRIP = """
import sys, time
frame = sys._getframe()
while "writer" not in frame.f_locals:
    frame = frame.f_back
writer, kept = frame.f_locals["writer"], []
writer.write((10**6).to_bytes(8, "little"))
while True:
    writer.write(b"x"); writer.flush(); time.sleep(0.02)
    kept.append(np.ones(2**21))
"""

KERNEL = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
done = []
for name, arguments in {
    "memfd_create": (b"x", 0), "shmget": (0, 2**30, 0o1600), "unshare": (0x10000000,), "ptrace": (16, 1, 0, 0),
    "mount": (b"none", b"/tmp", b"tmpfs", 0, None), "setns": (0, 0), "chroot": (b"/tmp",),
}.items():
    if getattr(libc, name)(*arguments) != -1:
        done.append(name)
pid = libc.syscall(56 if os.uname().machine == "x86_64" else 220, 0x10000000 | 17, 0, 0, 0, 0)
if pid == 0:
    os._exit(0)
done += ["clone with a namespace"] * (pid != -1)
import threading
thread = threading.Thread(target=lambda: None)   # threads and children of honest code still start
thread.start(); thread.join()
os.waitpid(os.fork() or os._exit(0), 0)
assert not done, done
"""

LOOK_AROUND = """
import glob, os
for pid in os.listdir("/proc"):
    if pid.isdigit():
        for place in ("environ", "cmdline", "maps"):
            try:
                text = open(f"/proc/{pid}/{place}", "rb").read()
            except OSError:
                continue
            assert b"--seed" not in text and b"SECRET" not in text, (pid, place)
        for depth in ("*", "*/*", "*/*/*"):
            found = glob.glob(f"/proc/{pid}/root/{depth}/solutions") + glob.glob(f"/proc/{pid}/cwd/{depth}.ipynb")
            assert not found, found
os.symlink("/proc/1/root", "link")
os.symlink("/course/utils/checks/ex03.py", "checks.py")
assert not os.path.exists("checks.py")
"""


def forged(reply: str) -> Callable[[], bytes]:
    """A submission whose process answers every question with `reply`."""
    return with_cell(f"{FORGE}\nwire.pack = lambda tree, buffers=(): {reply}")


def redefined_helper(notebook: dict) -> None:
    """A helper of an answer whose name a later cell gives to something else, after the check."""
    for place, cell in enumerate(notebook["cells"]):
        if "def same_padding(" in source(cell):
            cell["source"] = (
                "def side(size, stride):\n    return -(-size // stride)\n\n"
                "def same_padding(size, kernel_size, stride=1):\n"
                "    total = max(0, (side(size, stride) - 1) * stride + kernel_size - size)\n"
                "    return side(size, stride), total // 2, total - total // 2"
            )
            notebook["cells"].insert(place + 2, code_cell("def side(a, b, c):\n    return 'another one'"))
            return


def from_colab(notebook: dict) -> None:
    notebook["metadata"] |= {"colab": {"provenance": [], "toc_visible": True}, "accelerator": "GPU"}
    notebook["metadata"]["kernelspec"] = {"name": "my_env_3_12", "display_name": "My kernel"}
    first = "from google.colab import drive, files\ndrive.mount('/content/drive')\n!pip install -q tqdm\n"
    notebook["cells"][2]["source"] = first + source(notebook["cells"][2])
    for cell in notebook["cells"]:
        cell["metadata"] = {"id": "Ab3", "vscode": {"languageId": "python"}, "outputId": "x"}


def magics_on_cells(notebook: dict) -> None:
    for cell in notebook["cells"]:
        if "def same_padding(" in source(cell):
            cell["source"] = "%%capture out\n" + source(cell)
        if "def conv2d(" in source(cell):
            cell["source"] = "%%time\n" + source(cell)


def version_3(notebook: dict) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
    notebook["worksheets"] = [{"cells": notebook.pop("cells")}]
    notebook["nbformat"] = 3


def blank_lines(notebook: dict) -> None:
    """A search that tries every start of a run of blank lines takes the square of their number."""
    notebook["cells"].insert(3, code_cell("\n" * 3_000_000 + "raise ValueError('lines')"))
    one_missing(notebook)


def checks_of(exercise: str) -> Callable[[], bytes]:
    return lambda: solved().replace("ex03", exercise).replace("03_convolution_layer", "x").encode()


SUBMISSIONS: dict[str, Handed] = {
    "right": Handed(lambda: packed(document()), FULL),
    "blank": Handed(lambda: (ROOT / "exercises/03_convolution_layer.ipynb").read_bytes(), 0, "Not answered yet"),
    "subtly wrong": Handed(
        with_answer(RIGHT + "return values[0], values[2], values[1]"), FULL - SAME + 0.5, "To reread"
    ),
    # files
    "syntax error": Handed(
        with_answer("return (", head="def same_padding(size, kernel_size, stride=1:\n"), FULL - SAME, "SyntaxError"
    ),
    "cut off": Handed(lambda: solved()[:4000].encode(), 0, "damaged or cut off"),
    "empty": Handed(lambda: b"", 0, "empty"),
    "wrong encoding": Handed(lambda: solved().replace("×", "é").encode("latin-1", "replace"), 0, "UTF-8"),
    "binary": Handed(lambda: bytes(range(256)) * 40, 0, "UTF-8"),
    "a list": Handed(lambda: b"[1, 2, 3]", 0, "no list of cells"),
    "deep": Handed(lambda: b"[" * 200_000 + b"]" * 200_000, 0, "damaged"),
    "cells of the wrong kind": Handed(
        lambda: json.dumps({"cells": [1, None, {"cell_type": "code", "source": 3}]}).encode(), 0
    ),
    "byte order mark": Handed(lambda: b"\xef\xbb\xbf" + solved().encode(), FULL),
    "huge": Handed(lambda: b'{"cells": "' + b"x" * 200 * 2**20 + b'"}', 0, "Clear the outputs"),
    # cells
    "a cell is missing": Handed(changed(one_missing), FULL - SAME, "Not answered yet"),
    "a function is renamed": Handed(changed(one_renamed), FULL, ""),
    "no metadata": Handed(changed(without_metadata), FULL),
    "no checks": Handed(changed(without_checks), FULL),
    "checks edited": Handed(changed(checks_edited), FULL),
    "checks before the answers": Handed(changed(checks_first), FULL),
    "everything twice": Handed(changed(all_twice), FULL),
    "magics and help": Handed(
        with_cell("%matplotlib inline\n!pip install nothing\n%%time\nx = 3\nnp.dot?\ninput()\ndisplay(x)"), FULL
    ),
    # time and memory
    "endless loop": Handed(with_answer("while True: pass"), FULL - SAME, "never end", slow=True),
    "endless loop in a cell": Handed(with_cell("while True: pass"), FULL, "never end", slow=True),
    "loop that swallows interrupts": Handed(
        with_answer("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
        FULL - SAME, "never end", slow=True,
    ),
    "sleeps": Handed(with_answer("import time\ntime.sleep(1000)"), FULL - SAME, "never end", slow=True),
    "recursion": Handed(with_answer("return same_padding(size, kernel_size)"), FULL - SAME, "RecursionError"),
    "100 GB at once": Handed(with_answer("return np.ones(100 * 2**27)"), FULL - SAME, "MemoryError"),
    "memory grows": Handed(
        with_cell("kept = []\nwhile True: kept.append(np.ones(2**24))"), FULL, "More memory than allowed", slow=True
    ),
    "prints 100 MB": Handed(with_cell("for _ in range(1000): print('y' * 100_000)"), FULL),
    "fills the disks": Handed(with_cell(FILL), FULL),
    "huge result": Handed(with_answer("return np.zeros(2 * 10**7)"), FULL - SAME, "too large"),
    # processes
    "sys.exit": Handed(with_cell("import sys\nsys.exit(0)"), FULL, "SystemExit"),
    "sys.exit in a function": Handed(with_answer("import sys\nsys.exit(0)"), FULL - SAME, "SystemExit"),
    "os._exit": Handed(with_answer("import os\nos._exit(0)"), FULL - SAME, "process ended"),
    "os._exit in a cell": Handed(with_cell("import os\nos._exit(0)"), FULL, "process ended"),
    "os.abort": Handed(with_answer("import os\nos.abort()"), FULL - SAME, "process ended"),
    "segmentation fault": Handed(with_answer("import ctypes\nctypes.string_at(0)"), FULL - SAME, "process ended"),
    "fork bomb": Handed(with_cell("import os\nwhile True: os.fork()"), FULL, "cell was left out", slow=True),
    "leaves a process": Handed(
        with_cell("import subprocess\nsubprocess.Popen(['sleep', '98765'], start_new_session=True)"), FULL
    ),
    "a thread that never ends": Handed(
        with_cell("import threading, time\nthreading.Thread(target=lambda: time.sleep(10**6)).start()"), FULL
    ),
    "kills its parent": Handed(
        with_cell(
            "import os, signal\nfor pid in (os.getppid(), 1, -1):\n"
            "    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass"
        ),
        FULL,
    ),
    # tricks
    "patches numpy and builtins": Handed(with_all_answers("return 0", PATCH), 0),
    "patches json": Handed(with_cell("import json\njson.dumps = lambda *a, **k: '{}'"), FULL, "left out"),
    "input transformers": Handed(with_all_answers("return 0", TRANSFORM), 0),
    "asks the package for the answers": Handed(
        with_all_answers("from utils.checks.ex03 import TASKS\n    return TASKS[0].reference()"), 0, "ModuleNotFound"
    ),
    "reads what it should not": Handed(with_cell(READ_ALL), FULL, clean=True),
    "writes where it should not": Handed(with_cell(WRITE_ALL), FULL, clean=True),
    "opens a socket": Handed(
        with_cell("import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)"), FULL, "unreachable"
    ),
    "looks through the frames": Handed(with_all_answers("\n" + FRAMES.strip("\n")), 0),
    "hard-codes the visible cases": Handed(with_answer("return (5, 1, 1)"), FULL - SAME),
    # results
    "sly array": Handed(with_all_answers("return np.zeros((2, 3)).view(Sly)", HOSTILE_CLASS), 0),
    "lying object": Handed(with_all_answers("return Lying()", LYING), 0),
    "nan": Handed(with_all_answers("return np.nan"), 0, "nan"),
    "inf": Handed(with_answer("return np.inf, np.inf, np.inf"), FULL - SAME),
    "objects": Handed(with_answer("return np.array([object(), None])"), FULL - SAME, "dtype object"),
    "generator": Handed(with_answer("yield from (1, 2, 3)"), FULL - SAME, "list or an array"),
    "contains itself": Handed(with_answer("x = []\nx.append(x)\nreturn x"), FULL - SAME),
    "wrong shape": Handed(with_answer(RIGHT + "return np.array(values)[:, None, None]"), FULL - SAME),
    "float32": Handed(with_answer(RIGHT + "return np.array(values, np.float32)"), FULL),
    "a list of floats": Handed(with_answer(RIGHT + "return [float(v) for v in values]"), FULL),
    "not contiguous": Handed(with_answer(RIGHT + "return np.array(list(zip(values, values)))[:, 0]"), FULL),
    "prints, plots, warns": Handed(
        with_answer(
            "import sys, warnings\nimport matplotlib.pyplot as plt\nfrom tqdm import tqdm\n"
            "print('debug', file=sys.stderr)\nwarnings.warn('careful')\nplt.plot([1, 2]); plt.show()\n"
            "for _ in tqdm(range(3)): pass\n" + RIGHT + "return values"
        ),
        FULL, clean=True,
    ),
    # replies of its own making
    **{
        f"forges {name}": Handed(forged(reply), FULL if name in REFUSED else 0, big=True)
        for name, reply in FORGED.items()
    },
    "answers before it is asked": Handed(with_cell(EARLY), 0),
    "sends byte by byte while memory grows": Handed(with_cell(DRIP), FULL, "More memory than allowed", slow=True),
    "writes noise into the pipe": Handed(
        with_cell("import os\nfor n in range(3, 20):\n    try: os.write(n, b'noise' * 100)\n    except OSError: pass"),
        FULL, "could not be read",
    ),
    "closes the pipes": Handed(with_cell("import os\nos.closerange(3, 256)"), FULL, "left out"),
    "a child keeps the pipe": Handed(
        with_cell("import os, time\nif os.fork(): os._exit(0)\ntime.sleep(98765)"), FULL, "process ended"
    ),
    "stops itself": Handed(
        with_answer("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"), FULL - SAME, "never end", slow=True
    ),
    "asks the kernel for more": Handed(with_cell(KERNEL), FULL, clean=True),
    "looks around in /proc": Handed(with_cell(LOOK_AROUND), FULL, clean=True),
    "an error that cannot be written": Handed(
        with_cell("raise ValueError('\\ud800 \\x1b[31m\\u202e<script>alert(1)</script>')"), FULL, "The cell raised"
    ),
    "an import that cannot be written": Handed(with_cell("from utils import x  # \ud800\u202e"), FULL),
    "millions of blank lines": Handed(changed(blank_lines), FULL - SAME, "lines"),
    "a million cells": Handed(
        lambda: b'{"cells": [' + b"{}," * 10**6 + b"{}]}", 0, "1,000,001 cells"
    ),
    "an exercise that there is not": Handed(checks_of("ex99"), 0, "no exercise 99"),
    "exercise zero": Handed(checks_of("ex00"), 0, "no exercise 00"),
    "digits of another script": Handed(checks_of("ex\u0660\u0663"), 0, "not clear which exercise"),
    # honest, and odd
    "a helper is redefined later": Handed(changed(redefined_helper), FULL),
    "from Colab and VS Code": Handed(changed(from_colab), FULL, clean=True),
    "magics on cells": Handed(changed(magics_on_cells), FULL, clean=True),
    "version 3": Handed(changed(version_3), FULL),
    "a tensor": Handed(with_answer(
            RIGHT + "return torch.tensor(values)",
            head="import torch\n\ndef same_padding(size, kernel_size, stride=1):\n",
        ), FULL),
    "a matrix": Handed(with_answer(RIGHT + "return tuple(np.asmatrix(v).A1[0] for v in values)"), FULL),
}  # fmt: skip
