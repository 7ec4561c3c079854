"""Draw the picture of the home page from the code that the home page shows.

    python -m tools.draw_home            write book/assets/home.svg
    python -m tools.draw_home --check    fail when the page's output or the picture is not what the code gives

The home page holds one block of Python and, under it, what the block prints. This program runs the
block, compares what it printed, and draws the block's `boot`, `kernel` and `y`: the picture, the
code and the output cannot drift apart. The SVG brings its own light card, so it reads the same on a
light page, on a dark page and on GitHub.
"""

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex

from utils import plot

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "book" / "front" / "home.md"
PICTURE = ROOT / "book" / "assets" / "home.svg"

CELL = 9  # side of a pixel in the drawing
WIDTH, HEIGHT = 960, 350
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
TOP = 34  # of the input picture
LEVELS = 25  # gray and color steps, so that equal neighbors share one rectangle

INK, FRAME, CARD = plot.INK, "#dedbd3", plot.BACKGROUND
MARK = "#0c8f45"  # the window and the number that it gives
GRAYS = LinearSegmentedColormap.from_list("night", ["#0b1624", "#47617c", "#b9c6cf", "#fffdf6"])  # 0 to 255


def run_page(page: Path) -> tuple[dict, str, str]:
    """Run a page's Python block: (its variables, what it printed, what the page says it prints)."""
    found = re.search(r"```python\n(.*?)```\s+```text\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if not found:
        raise SystemExit(f"{page.name}: no ```python block followed by a ```text block")
    code, promised = found.groups()
    variables: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, variables)
    return variables, printed.getvalue(), promised


def pixels(values: np.ndarray, colors: Colormap, left: float, top: float) -> list[str]:
    """A matrix with entries from 0 to 1 as colored squares, one path for each color."""
    steps = np.rint(values * (LEVELS - 1)).astype(int)
    height, width = steps.shape
    runs: dict[int, list[str]] = {}
    for i, row in enumerate(steps):
        j = 0
        while j < width:
            end = j
            while end < width and row[end] == row[j]:
                end += 1
            run = f"M{left + j * CELL:g} {top + i * CELL:g}h{(end - j) * CELL}v{CELL}h{(j - end) * CELL}z"
            runs.setdefault(int(row[j]), []).append(run)
            j = end
    paths = [
        f'<path fill="{to_hex(colors(step / (LEVELS - 1)))}" d="{"".join(run)}"/>'
        for step, run in sorted(runs.items())
    ]
    lines = "".join(f"M{left + j * CELL:g} {top:g}v{height * CELL}" for j in range(1, width))
    lines += "".join(f"M{left:g} {top + i * CELL:g}h{width * CELL}" for i in range(1, height))
    return [*paths, f'<path d="{lines}" stroke="#fff" stroke-opacity=".13" fill="none"/>']


def text(x: float, y: float, words: str, size: int = 24, color: str = INK, weight: int = 400) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{color}" '
        f'text-anchor="middle">{words}</text>'
    )


def signed(value: float, spec: str) -> str:
    return format(value, spec).replace("-", "−")


def draw(boot: np.ndarray, kernel: np.ndarray, outputs: np.ndarray) -> str:
    """The picture: input (H, W) of 0 to 255, kernel (k, k), output (1, 1, H', W') of the home page's code."""
    out = outputs[0, 0]
    size, window = kernel.shape[0], kernel.shape[0] * CELL
    row, col = np.unravel_index(np.argmax(np.abs(out)), out.shape)  # mark the strongest response

    x0, x1, box = 36, 414, 44
    x2 = WIDTH - 36 - out.shape[1] * CELL
    y1 = TOP + (boot.shape[0] * CELL - size * box) / 2
    y2 = TOP + (boot.shape[0] - out.shape[0]) * CELL / 2
    mark = (x0 + col * CELL, TOP + row * CELL)
    dot = (x2 + col * CELL, y2 + row * CELL)
    bottom = TOP + boot.shape[0] * CELL

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="{FONT}">',
        "<title>A picture of 28 by 28 pixels, a kernel of 3 by 3 numbers, and the 26 by 26 responses</title>",
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="14" '
        f'fill="{CARD}" stroke="{FRAME}"/>',
        *pixels(boot / 255, GRAYS, x0, TOP),
        *pixels(0.5 + 0.5 * out / np.abs(out).max(), plot.SIGNED, x2, y2),
        f'<rect x="{x2}" y="{y2:g}" width="{out.shape[1] * CELL}" height="{out.shape[0] * CELL}" '
        f'fill="none" stroke="{FRAME}"/>',
        # From the window to the kernel, from the kernel to the number that it gives.
        f'<g stroke="{MARK}" stroke-width="1.6" fill="none">'
        f'<path stroke-dasharray="5 4" d="M{mark[0] + window} {mark[1]}L{x1} {y1:g}'
        f"M{mark[0] + window} {mark[1] + window}L{x1} {y1 + size * box:g}"
        f"M{x1 + size * box} {y1:g}L{dot[0]} {dot[1]:g}"
        f'M{x1 + size * box} {y1 + size * box:g}L{dot[0]} {dot[1] + CELL:g}"/>'
        f'<rect x="{mark[0]}" y="{mark[1]}" width="{window}" height="{window}" stroke-width="3"/>'
        f'<rect x="{dot[0] - 1}" y="{dot[1] - 1:g}" width="{CELL + 2}" height="{CELL + 2}" stroke-width="3"/>'
        "</g>",
    ]
    strongest = np.abs(kernel).max()
    for i in range(size):
        for j in range(size):
            fill = to_hex(plot.SIGNED(0.5 + 0.3 * kernel[i, j] / strongest))
            parts.append(
                f'<rect x="{x1 + j * box}" y="{y1 + i * box:g}" width="{box}" height="{box}" '
                f'fill="{fill}" stroke="{INK}" stroke-opacity=".35"/>'
            )
            x, y = x1 + (j + 0.5) * box, y1 + (i + 0.5) * box + 8
            parts.append(text(x, y, signed(kernel[i, j], "g"), 23, INK, 600))
    parts += [
        text(
            (x1 + size * box + x2) / 2, y1 + size * box / 2 + 8, signed(out[row, col], ".2f"), 24, MARK, 600
        ),
        text(x0 + boot.shape[1] * CELL / 2, bottom + 42, f"{boot.shape[0]} × {boot.shape[1]} pixels"),
        text(x1 + size * box / 2, bottom + 42, f"{size * size} numbers"),
        text(x2 + out.shape[1] * CELL / 2, bottom + 42, f"{out.shape[0]} × {out.shape[1]} responses"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the home page's picture from the home page's code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something differs")
    options = parser.parse_args(arguments)

    variables, printed, promised = run_page(PAGE)
    if printed != promised:
        print(f"{PAGE.name}: the code prints\n{printed}\nand the page says\n{promised}")
        return 1
    picture = draw(variables["boot"], variables["kernel"], variables["y"])
    if options.check:
        if not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != picture:
            print(f"{PICTURE.name} is not what the page's code gives: run python -m tools.draw_home")
            return 1
        return 0
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"{PICTURE.name}: {len(picture.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
