"""The untrusted side: runs the cells of a submission once, then answers the grader's questions about it.

Runs inside the sandbox as `python -I worker.py FOLDER`, where FOLDER holds `utils` without the answers. It
talks in frames (`wire.py`) over the pipes that it was started with and knows neither cases nor references.
Everything here may be overwritten by the code it runs: the grader trusts nothing that it says.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import linecache
import os
import resource
import struct
import sys
import types
from typing import Any

OUTPUT_KEPT = 20_000  # characters of what a submission prints


class Printed(io.TextIOBase):
    """Takes what a submission prints, and forgets all but the beginning."""

    def __init__(self):
        self.left = OUTPUT_KEPT

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.left -= min(self.left, len(text))
        return len(text)


class NoShell:
    """Stands in for IPython's shell: takes every call, does nothing; code that is only timed runs."""

    def __init__(self, run):
        self._run = run  # runs the text of a cell

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None

    def run_cell_magic(self, name: str, line: str, body: str) -> None:
        if name in ("time", "capture", "prun"):
            self._run(body)

    def run_line_magic(self, name: str, line: str, *rest) -> None:
        if name in ("time", "prun"):
            self._run(line)


class Colab(types.ModuleType):
    """Stands in for `google.colab`: whatever is imported from it takes every call and does nothing."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return NoShell(lambda text: None)


def set_limits(limits: dict[str, int]) -> None:
    """Limit this process and its children; they cannot be raised again."""
    for name, most in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))


def parsed(source: str, name: str) -> ast.Module:
    """A cell's statements. Notebook syntax (%magic, !command, name?) is turned into calls of the shell."""
    lines = source.splitlines(keepends=True)
    linecache.cache[name] = (len(source), None, lines, name)  # so that messages can quote the line
    try:
        return ast.parse(source, name)
    except SyntaxError:
        if not any(line.lstrip().startswith(("%", "!")) or line.rstrip().endswith("?") for line in lines):
            raise
        from IPython.core.inputtransformer2 import TransformerManager

        return ast.parse(TransformerManager().transform_cell(source), name)


class Submission:
    """The namespace of a submission, and the questions that can be asked about it."""

    def __init__(self):
        from utils import checks  # the stand-in: it keeps what `check` is given
        from utils.checks import _compare, _grading, _tasks, _tensors
        from utils.grading import wire

        self.wire, self.read = wire, _compare.read
        self.describe, self.missing = _grading._describe_error, _compare.Missing
        self.trouble, self.on_tensors = _tasks.StudentError, _tensors.on_tensors
        self.checked: dict[str, Any] = checks.CHECKED
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        self.names = vars(main)
        shell = NoShell(lambda text: self.execute(parsed(text, "<magic>"), "<magic>"))
        self.names.update(get_ipython=lambda: shell, display=lambda *args, **kwargs: None)
        self.planned: dict[int, ast.Module] = {}  # cells of which only a part is needed
        self.colab()

    def colab(self) -> None:
        """Let imports of `google.colab` pass: many notebooks come from there."""
        if importlib.util.find_spec("google") is None:
            sys.modules["google"] = Colab("google")
            sys.modules["google"].__path__ = []
        sys.modules["google.colab"] = Colab("google.colab")

    def plan(self, cells: list, answers: list[str]) -> dict:
        """Find out which statements the answers need; `run` then leaves out the others.

        The reply: the cells that are to run, and those of which something doubtful is left out.
        """
        from utils.grading import needed

        trees: dict[int, ast.Module] = {}
        broken = set()
        for number, source in cells:
            try:
                trees[number] = parsed(source, f"<cell {number + 1}>")
            except Exception:
                broken.add(number)  # runs, so that its error is told
        try:
            chosen, rest = needed.needed(trees, set(answers))
        except needed.UnclearError:
            return {"run": [number for number, _ in cells], "left out": []}
        self.planned = {number: ast.Module([], []) for number in trees}
        for statement in chosen:
            self.planned[statement.cell].body.append(statement.node)
        run = broken | {number for number, tree in self.planned.items() if tree.body}
        return {"run": sorted(run), "left out": sorted(needed.doubtful(chosen, rest))}

    def execute(self, tree: ast.Module, name: str) -> None:
        exec(compile(tree, name, "exec"), self.names)

    def run(self, source: str, number: int) -> str:
        """Run one cell. Returns "" or, in words, what it raised."""
        name = f"<cell {number + 1}>"
        try:
            self.execute(self.planned.get(number) or parsed(source, name), name)
        except BaseException as error:
            return self.describe(error).replace("Your code raised", "The cell raised", 1)
        return ""

    def find(self, name: str, which: str, task: str) -> Any:
        """The answer to a task: the variable at the end of the notebook, or what `check` was given."""
        if which == "checked":
            return self.checked[task]
        return self.names[name]

    def differs(self, checked: Any, variable: Any) -> bool:
        """Was something else given to `check` than there is at the end, or with other helpers around it?"""
        if not isinstance(checked, types.FunctionType) or not isinstance(variable, types.FunctionType):
            return checked is not variable
        if checked.__code__ is not variable.__code__ or variable.__globals__ is not self.names:
            return True
        helpers = {k: v for k, v in checked.__globals__.items() if isinstance(v, types.FunctionType)}
        return any(getattr(self.names.get(k), "__code__", None) is not v.__code__ for k, v in helpers.items())

    def look(self, name: str, which: str, task: str) -> tuple[dict, list[bytes]]:
        """What kind of answer is there? Values come at once, functions are called later."""
        try:
            answer = self.find(name, which, task)
        except KeyError:
            return {"undefined": True}, []
        if which == "checked" and not self.differs(answer, self.names.get(name)):
            return {"undefined": True}, []  # nothing else than the variable
        if callable(answer):
            return {"function": True}, []
        if isinstance(answer, dict):
            entries, buffers = [], []
            for key, value in list(dict.items(answer))[:1000]:
                if type(key) is str:
                    entries.append([key, self.plain(lambda value=value: value, buffers)])
            return {"entries": entries}, buffers
        buffers: list[bytes] = []
        return self.plain(lambda: answer, buffers), buffers

    def call(self, message: dict, buffers: list[bytes]) -> tuple[dict, list[bytes]]:
        """Call the answer with the arguments that the grader sent."""
        function = self.find(message["name"], message["which"], message["task"])
        args = self.wire.decode(message["args"], buffers)
        kwargs = self.wire.decode(message["kwargs"], buffers)
        if message["tensors"]:
            function = self.on_tensors(function)
        results: list[bytes] = []
        reply = self.plain(lambda: function(*args, **kwargs), results)
        after: list[bytes] = []
        self.wire.encode(args, after)
        self.wire.encode(kwargs, after)
        reply["changed"] = after != buffers
        return reply, results

    def plain(self, make, buffers: list[bytes]) -> dict:
        """A value as a tree, or in words why there is none."""
        kept = len(buffers)
        try:
            return {"ok": self.wire.encode(self.unmarked(self.read(make())), buffers)}
        except BaseException as error:
            del buffers[kept:]
            kind = "StudentError" if isinstance(error, self.trouble) else type(error).__name__
            return {"raised": str(kind)[:60], "words": str(self.describe(error))[:400]}

    def unmarked(self, value: Any) -> Any:
        """Plain values with None and `...` where `read` marks that something is missing."""
        if isinstance(value, self.missing):
            return None if value.word == "None" else ...
        if isinstance(value, tuple):
            return tuple(self.unmarked(item) for item in value)
        if isinstance(value, dict):
            return {str(key): self.unmarked(item) for key, item in value.items()}
        return value


def serve(reader, writer) -> None:
    """Answer frame after frame, until the grader closes the pipe."""

    def receive() -> tuple[dict, list[bytes]] | None:
        head = reader.read(8)
        return wire.unpack(reader.read(struct.unpack("<Q", head)[0])) if len(head) == 8 else None

    process = os.getpid()

    def send(tree: dict, buffers: list[bytes] = ()) -> None:
        if os.getpid() != process:
            os._exit(0)  # a child that came back from `os.fork` must not answer beside its parent
        number = {"id": message["id"]}
        try:
            frame = wire.pack(tree | number, buffers)
        except wire.WireError as error:
            words = f"The result is too large: {error}."
            frame = wire.pack({"raised": "StudentError", "words": words} | number)
        writer.write(frame)
        writer.flush()

    from utils.grading import wire

    submission = None
    while (got := receive()) is not None:
        message, buffers = got
        if message["do"] == "start":
            set_limits(message["limits"])
            submission = Submission()
            send({"ready": True})
        elif message["do"] == "run":
            send({"error": submission.run(message["source"], message["number"])})
        elif message["do"] == "plan":
            send(submission.plan(message["cells"], message["names"]))
        elif message["do"] == "look":
            send(*submission.look(message["name"], message["which"], message["task"]))
        elif message["do"] == "call":
            send(*submission.call(message, buffers))


def main() -> None:
    """Keep the two pipes for the grader; the submission's own input and output lead nowhere."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    sys.stdout = sys.stderr = Printed()
    sys.path.insert(0, sys.argv[1])
    sys.argv = [""]
    serve(reader, writer)


if __name__ == "__main__":
    main()
