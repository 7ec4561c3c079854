"""Figures that the reader moves: custom elements without dependencies, shown from a cell.

    from utils import figures
    figures.conv_explorer(stride=2, padding=1)

A figure is the value of the last line of its cell. It carries all it needs (at most 20 KB of script), so
that it works on the website, in JupyterLab, in VS Code and in Colab, without a network; where scripts do not
run (GitHub, print), its picture and its alternative text stand in. The scripts lie in `scripts/`: the
mathematics of each figure in a module of its own, which the tests run in Node beside PyTorch.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["CHANNELS", "MODES", "Figure", "conv_explorer", "script"]

HERE = Path(__file__).resolve().parent
MODES = ("zeros", "reflect", "replicate", "circular")
CHANNELS = ("1 → 1", "2 → 2", "2 → 2, groups=2")
_IMPORT = re.compile(r'^import \{.*?\} from "\./([\w-]+\.js)";\n', re.MULTILINE | re.DOTALL)


class Figure:
    """A custom element with its attributes: what Jupyter shows for it, with script and without."""

    def __init__(self, name: str, alt: str, **attributes: object):
        self.name, self.alt = name, alt
        self.attributes = {key: value for key, value in attributes.items() if value not in (None, False)}

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def words(self) -> str:
        """The attributes as HTML writes them."""
        return "".join(f' {key}="{html.escape(_text(value))}"' for key, value in self.attributes.items())

    def element(self) -> str:
        """The element in HTML, with its picture inside, which shows until the script runs."""
        picture = f"data:image/png;base64,{base64.b64encode(self.picture()).decode()}"
        stand_in = f'<img alt="{html.escape(self.alt)}" src="{picture}" style="max-width:100%">'
        return f"<{self.name}{self.words()}>{stand_in}</{self.name}>"

    def picture(self) -> bytes:
        """The PNG that stands in where scripts do not run."""
        return (HERE / "pictures" / f"{self.name}.png").read_bytes()

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict[str, str], dict[str, dict]]:
        shown = {
            "text/html": f"{self.element()}<script>{script(self.name)}</script>",
            "image/png": base64.b64encode(self.picture()).decode(),
            "text/plain": repr(self),
        }
        return shown, {"image/png": {"alt": self.alt}}


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is True else json.dumps(value)


@functools.cache
def script(name: str) -> str:
    """The script of a figure: its modules one after the other, without comments, in a scope of their own."""
    return "(() => {\n" + "".join(_modules(f"{name}.js", [])) + "})();\n"


def _modules(file: str, done: list[str]) -> list[str]:
    """The text of a module after those that it imports, each once."""
    text = (HERE / "scripts" / file).read_text(encoding="utf-8")
    parts = [part for name in _IMPORT.findall(text) if name not in done for part in _modules(name, done)]
    done.append(file)
    body = re.sub(r"^export ", "", _IMPORT.sub("", text), flags=re.MULTILINE)
    lines = [re.sub(r"\s+// .*$", "", line).strip() for line in body.splitlines()]
    lines = [re.sub(r" ?(?<!\$)\{ ", "{", line).replace(" }", "}") for line in lines]
    return [*parts, "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))]


def conv_explorer(
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    *,
    mode: str = "zeros",
    flip: bool = False,
    channels: str = "1 → 1",
    input: Sequence[Sequence[float]] | None = None,
    kernel: Sequence[Sequence[float]] | None = None,
    predict: bool = False,
) -> Figure:
    """A convolution to play with: every number can be typed, every option moved, every output looked into.

    stride, dilation from 1 to 3, padding from 0 to 3. mode is one of MODES, channels one of CHANNELS. flip
    turns the kernel by 180 degrees. input and kernel are the numbers to begin with: at most 8 rows and 8
    columns of input, 5 of kernel. predict=True begins with the question how large the output is.

    Raises ValueError for anything else.
    """
    for name, value, low in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        if not isinstance(value, int) or not low <= value <= 3:
            raise ValueError(f"{name}: got {value!r}, expected an integer from {low} to 3")
    for name, value, known in (("mode", mode, MODES), ("channels", channels, CHANNELS)):
        if value not in known:
            raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(known)}")
    return Figure(
        "conv-explorer",
        "A convolution to move: a grid of input numbers, a kernel, and the output; the window of the chosen "
        "output is framed, and its sum is written below with the line of PyTorch that computes it.",
        stride=stride,
        padding=padding,
        dilation=dilation,
        mode=mode,
        flip=flip,
        channels=channels,
        input=_grid("input", input, 8),
        kernel=_grid("kernel", kernel, 5),
        predict=predict,
    )


def _grid(name: str, rows: Sequence[Sequence[float]] | None, most: int) -> list[list[float]] | None:
    """Numbers in rows of equal length, as JSON takes them."""
    if rows is None:
        return None
    try:
        numbers = [[float(value) for value in row] for row in rows]
    except (TypeError, ValueError):
        raise ValueError(f"{name}: got {rows!r}, expected rows of numbers") from None
    sizes = {len(numbers), *map(len, numbers)}
    if len({len(row) for row in numbers}) != 1 or min(sizes) < 1 or max(sizes) > most:
        raise ValueError(
            f"{name}: expected rows of equal length, 1 to {most} of them and in them, got {rows!r}"
        )
    return [[int(value) if value.is_integer() else value for value in row] for row in numbers]
