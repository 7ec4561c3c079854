"""Figures of the course: one palette, one style, and pictures that carry their alternative text.

The drawing functions return a matplotlib Figure. `show(fig, alt)` turns it into the value of a notebook cell:
a small PNG on an opaque light card, readable on light and dark pages and on a phone.
"""

import base64
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

BACKGROUND = "#fcfcfa"  # opaque, so that a figure stays a light card on a dark page
INK = "#1c1c1e"  # text, axes, frames
MUTED = "#6f6f75"  # the zeros of a grid, so that the other numbers stand out
PALETTE = {
    # The order of hues of Okabe and Ito (2008), "Color Universal Design", darkened for thin lines on a light
    # background (contrast of at least 3 : 1) and spread in lightness, so that every pair stays apart for
    # readers with any of the three color-vision deficiencies. tests/test_plot.py measures both.
    "blue": "#0a4ba8",
    "orange": "#cf7200",
    "green": "#04824c",
    "red": "#a01a10",
    "purple": "#ba74b6",
    "sky": "#2092f4",
    "gray": "#58525a",
}
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#9c3a00", "#d97a33", "#f8d3b4", "#ffffff", "#bcdaf3", "#4790d3", "#0a4ba8"]
)
"""Diverging colormap: orange below 0, white at 0, blue above 0."""

WIDTH = 6.4  # inches: the full width of the text
DPI = 160  # pixels an inch in the file
DISPLAY_DPI = 100  # CSS pixels an inch on the page: a figure of full width is shown 640 wide
LARGE = 40_000  # bytes: a PNG above this is reduced to 256 colors
HUGE = 300_000  # bytes: a PNG that is still above this is stored at DISPLAY_DPI
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))


def style() -> None:
    """Set matplotlib's defaults to the course's: light background, 12-point text, few lines, our colors."""
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.6),
            "figure.dpi": DISPLAY_DPI,
            "figure.facecolor": BACKGROUND,
            "figure.constrained_layout.use": True,
            "savefig.facecolor": BACKGROUND,
            "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters on every machine
            "font.size": 12,
            "axes.titlesize": 12,
            "axes.labelsize": 12,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
            "legend.fontsize": 11,
            "axes.facecolor": BACKGROUND,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.prop_cycle": mpl.cycler(color=list(PALETTE.values()), linestyle=list(LINE_STYLES)),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#dcdcd8",
            "grid.linewidth": 0.8,
            "lines.linewidth": 2.2,
            "image.cmap": "gray",
            "legend.frameon": False,
        }
    )


@dataclass(frozen=True)
class Picture:
    """A finished figure with its alternative text: the value of a notebook cell."""

    png: bytes
    alt: str
    width: int  # CSS pixels on the page

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """What Jupyter stores: the data by MIME type, and the metadata by MIME type."""
        data = {"image/png": base64.b64encode(self.png).decode("ascii"), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt, "width": self.width}}

    def __repr__(self) -> str:
        return self.alt


@dataclass(frozen=True)
class Drawing:
    """A finished drawing in SVG with its alternative text: the value of a notebook cell."""

    svg: str
    alt: str
    width: int  # CSS pixels on the page

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """What Jupyter stores: the data by MIME type, and the metadata by MIME type."""
        data = {"image/svg+xml": self.svg, "text/plain": self.alt}
        return data, {"image/svg+xml": {"alt": self.alt, "width": self.width}}

    def __repr__(self) -> str:
        return self.alt


def show(fig, alt: str, *, width: int | None = None) -> Picture | Drawing:
    """Render a figure for the page and close it; `alt` says in a sentence or two what the figure shows.

    `fig` is a matplotlib Figure, or a drawing of `utils.diagram`, which stays SVG. `width` is the width on
    the page in CSS pixels (default: 100 for each inch of a figure, the drawing's own width).
    """
    if not isinstance(fig, Figure) and not hasattr(fig, "to_svg"):
        raise ValueError(f"fig: expected a matplotlib Figure or a Diagram, got {type(fig).__name__}")
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt: expected a sentence that says what the figure shows, got {alt!r}")
    if not isinstance(fig, Figure):
        alt, width = " ".join(alt.split()), width or round(fig.width)
        return Drawing(fig.to_svg(alt, width), alt, width)
    image = _render(fig, DPI)
    width = width or round(image.width * DISPLAY_DPI / DPI)
    png = _png_bytes(image)
    if len(png) > LARGE:
        png = _png_bytes(_few_colors(image))
    if len(png) > HUGE:
        png = _png_bytes(_few_colors(_render(fig, DISPLAY_DPI)))
    plt.close(fig)
    return Picture(png, " ".join(alt.split()), width)


def images(
    pictures: Sequence,
    titles: Sequence[str] | None = None,
    columns: int = 3,
    cmap: Colormap | str | None = None,
    size: float | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> Figure:
    """A grid of pictures without ticks: each (H, W), drawn in gray or `cmap`, or (H, W, 3).

    `size` is the width of one picture in inches (default: what fills the text, at most 3.1).
    Brightness: uint8 runs from 0 to 255; with `cmap=SIGNED` the colors are symmetric around 0 and saturate at
    the largest half percent of the magnitudes; other values run from the picture's smallest to its largest.
    `vmin` and `vmax` set other ends; for SIGNED, vmax sets both.
    """
    pictures = _list_of_pictures(pictures)
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    size = size or min(3.1, WIDTH / columns - 0.1)
    titles = [_wrap(title, size) for title in _one_each("titles", titles, pictures)]
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures)
    title_height = 0.28 * max(title.count("\n") + (title > "") for title in titles)
    figsize = (columns * (size + 0.1), rows * (size * tallest + title_height + 0.08))
    fig, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, picture, title in zip(axes.flat, pictures, titles, strict=False):
        ax.imshow(picture, cmap=cmap or "gray", norm=_norm(picture, cmap, vmin, vmax))
        ax.set_title(title, fontsize=11)
    return fig


def number_grid(
    array,
    title: str | None = None,
    ax: Axes | None = None,
    highlight=None,
    fmt: str | Callable[[float], str] = "g",
    cmap: Colormap | str = SIGNED,
    vmax: float | None = None,
) -> Figure | Axes:
    """A small matrix with its numbers written in its cells.

    `highlight` frames a window (row, column, height, width), or each of a list of windows. `fmt` is a format
    such as ".2f", or a function from a value to its text. NaN leaves a cell empty and hatched.
    Returns the Figure, or `ax` if one was given to draw into.
    """
    if ax is None:
        return number_grids([array], [title], [highlight], fmt=fmt, cmap=cmap, vmax=vmax)
    return _draw_grid(ax, _matrix(array), title, _windows(highlight), fmt, cmap, vmax, fontsize=12)


def number_grids(
    arrays: Sequence,
    titles: Sequence[str | None] | None = None,
    highlights: Sequence | None = None,
    symbols: Sequence[str] | None = None,
    *,
    fmt: str | Callable[[float], str] = "g",
    cmap: Colormap | str = SIGNED,
    vmax: float | None = None,
    cell: float | None = None,
) -> Figure:
    """Small matrices side by side in cells of one size, for instance input ∗ kernel = output.

    `symbols` stand between the matrices (one fewer than there are). `titles` and `highlights` hold one entry
    or None for each matrix. `cell` is the side of a cell in inches (default: 0.5, less where it must fit).
    """
    arrays = [_matrix(array) for array in arrays]
    titles = _one_each("titles", titles, arrays)
    highlights = _one_each("highlights", highlights, arrays)
    if symbols is not None and len(symbols) != len(arrays) - 1:
        raise ValueError(f"symbols: expected {len(arrays) - 1} for {len(arrays)} arrays, got {len(symbols)}")
    gap = 1.1 if symbols else 0.7  # between matrices, in cells, as all lengths below
    columns = sum(array.shape[1] for array in arrays) + gap * (len(arrays) - 1)
    rows = max(array.shape[0] for array in arrays)
    cell = cell or min(0.5, WIDTH / columns)
    fontsize = _cell_font(arrays, fmt, cell)

    fig = plt.figure(figsize=(columns * cell, rows * cell), layout="none")  # tight cropping adds the titles
    left = 0.0
    for i, (array, title, highlight) in enumerate(zip(arrays, titles, highlights, strict=True)):
        height, width = array.shape
        bottom = (rows - height) / 2
        ax = fig.add_axes((left / columns, bottom / rows, width / columns, height / rows))
        _draw_grid(ax, array, title, _windows(highlight), fmt, cmap, vmax, fontsize)
        left += width
        if symbols and i < len(symbols):
            fig.text((left + gap / 2) / columns, 0.5, symbols[i], fontsize=20, ha="center", va="center")
        left += gap
    return fig


def lines(
    x: Sequence[float],
    ys: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    log: str | bool = False,
) -> Figure:
    """One line for each entry label -> values. `log` names the logarithmic axes: "x", "y" (or True), "xy"."""
    if log not in (False, None, True, "", "x", "y", "xy"):
        raise ValueError(f'log: expected "x", "y", "xy", True or False, got {log!r}')
    log_axes = "y" if log is True else log or ""
    fig, ax = plt.subplots(layout="constrained")
    for label, y in ys.items():
        ax.plot(x, y, label=label, marker="o" if len(x) <= 20 else None, markersize=5)
    ax.set(
        xlabel=xlabel,
        ylabel=ylabel,
        xscale="log" if "x" in log_axes else "linear",
        yscale="log" if "y" in log_axes else "linear",
    )
    ax.set_title(title or "", loc="left")
    if len(ys) > 1:
        ax.legend(handlelength=3)
    return fig


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    xlabel: str,
    ylabel: str = "",
    log: bool = False,
    title: str | None = None,
    fmt: str | Callable[[float], str] | None = None,
) -> Figure:
    """Horizontal bars, the first label on top, each with its value at its end (`fmt`, or 1,234 or 0.123)."""
    fig, ax = plt.subplots(figsize=(WIDTH, 0.9 + 0.42 * len(labels)), layout="constrained")
    drawn = ax.barh(range(len(labels)), values, color=PALETTE["blue"], height=0.66)
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    if log:
        ax.set_xscale("log")
    texts = [_text(v, fmt or (",d" if isinstance(v, (int, np.integer)) else ",.3g")) for v in values]
    ax.bar_label(drawn, texts, padding=4, fontsize=11)
    _leave_room_for_values(ax, values, longest=max(len(text) for text in texts), log=log)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if title:
        ax.set_title(title, loc="left")
    return fig


def strips(rows: Sequence[tuple], cell: float = 0.52) -> Figure:
    """Lists drawn as paper strips below each other; a row is (label, values, offset) or also a color's name.

    The offset is the column of the strip's first cell; columns below 0 stand left of the first one. The color
    is a name in PALETTE. `cell` is the side of a cell in inches.
    """
    first = min(row[2] for row in rows)
    last = max(row[2] + len(row[1]) for row in rows)
    labels = 0.095 * max(len(row[0]) for row in rows) + 0.2  # inches for the labels
    columns, pitch = last - first, 1.25  # pitch: from strip to strip, in cells
    fig, ax = plt.subplots(figsize=(labels + columns * cell, len(rows) * pitch * cell), layout="none")
    ax.set_position((labels / (labels + columns * cell), 0, columns * cell / (labels + columns * cell), 1))
    for i, (label, values, offset, *color) in enumerate(rows):
        y, paint = i * pitch, PALETTE[color[0] if color else "gray"]
        ax.text(first - 0.25, y + 0.5, label, ha="right", va="center")
        for j, value in enumerate(values, start=offset):
            ax.add_patch(Rectangle((j, y), 1, 1, facecolor=paint, alpha=0.16))
            ax.add_patch(Rectangle((j, y), 1, 1, fill=False, edgecolor=paint, linewidth=1.2))
            ax.text(j + 0.5, y + 0.5, _text(value, "g"), ha="center", va="center")
    ax.set(xlim=(first - 0.03, last + 0.03), ylim=(len(rows) * pitch - 0.2, -0.05))
    ax.set_axis_off()
    return fig


def tap_rows(layers: Sequence[Mapping], titles: Sequence[str]) -> Figure:
    """Which columns each window of a layer reads, along one axis; one panel for each layer, side by side.

    Each layer is a dict with `size` and `kernel_size`, and where wanted `stride`, `dilation` and `padding`, a
    number or (before, after). On top the input: its columns numbered, zeros of the padding dotted, what no
    window reads crossed out. Below, one row for each window, its taps filled.
    """
    panels = [_taps(**layer) for layer in layers]
    gap = 1.2  # in cells
    columns = sum(len(names) for names, _ in panels) + gap * (len(panels) - 1)
    rows = max(len(reads) for _, reads in panels) + 1.5
    cell = min(0.36, WIDTH / columns)  # inches
    height = rows * cell + 0.3
    fig = plt.figure(figsize=(columns * cell, height), layout="none")
    x = 0.0
    for (names, reads), title in zip(panels, titles, strict=True):
        ax = fig.add_axes((x / columns, 0, len(names) / columns, rows * cell / height))
        ax.set(xlim=(-0.05, len(names) + 0.05), ylim=(rows + 0.02, -0.05))
        ax.set_axis_off()
        ax.set_title(title, pad=5)
        for column, name in enumerate(names):
            look = {"facecolor": "#e9e9e4", "edgecolor": INK} if name else {"fill": False, "linestyle": ":"}
            ax.add_patch(Rectangle((column, 0), 1, 1, linewidth=1, **look))
            ax.text(column + 0.5, 0.5, name, ha="center", va="center", fontsize=10)
            if not any(column in window for window in reads):
                ax.plot([column, column + 1], [1, 0], "-", color=PALETTE["red"], linewidth=2.2)
                ax.plot([column, column + 1], [0, 1], "-", color=PALETTE["red"], linewidth=2.2)
        for row, window in enumerate(reads):
            for column in range(len(names)):
                paint = PALETTE["blue"] if column in window else "none"
                ax.add_patch(
                    Rectangle(
                        (column, row + 1.5), 1, 0.9, facecolor=paint, edgecolor="#c9c9c4", linewidth=0.8
                    )
                )
        x += len(names) + gap
    return fig


def side_views(stacks: Sequence[Mapping], titles: Sequence[str]) -> Figure:
    """Stacks of layers seen from the side, along one axis: what the chosen unit on top sees, layer by layer.

    A stack is a dict with `size`, the columns of the input, and `layers`, one (kernel, stride, padding,
    dilation) each, in the order of the data; what is left out is 1, 0, 1. `unit` is the index of the unit on
    top (default: the middle one). The input is the lowest row. Every unit stands above the middle of what it
    sees; filled: what the chosen unit sees; dotted: zeros of the padding that it sees.
    """
    levels = [_seen_from_above(**stack) for stack in stacks]
    spans = [(min(x[0] for x, _ in rows) - 0.6, max(x[-1] for x, _ in rows) + 0.6) for rows in levels]
    gap = 1.5  # in columns of the input
    columns = sum(right - left for left, right in spans) + gap * (len(stacks) - 1)
    cell = min(0.34, WIDTH / columns)  # inches
    pitch = max(1.7, 0.34 / cell)  # from row to row
    tall = (max(len(rows) for rows in levels) - 1) * pitch + 1.2
    fig = plt.figure(figsize=(columns * cell, tall * cell + 0.3), layout="none")
    height, done = tall * cell + 0.3, 0.0
    for rows, (left, right), title in zip(levels, spans, titles, strict=True):
        ax = fig.add_axes((done / columns, 0, (right - left) / columns, tall * cell / height))
        for level, (places, seen) in enumerate(rows):
            for x, kind in zip(places, seen, strict=True):
                _draw_unit(ax, x, level * pitch, kind)
            if level:
                _draw_cone(ax, rows[level - 1], rows[level], level * pitch, pitch)
        ax.set(xlim=(left, right), ylim=(-0.6, tall - 0.6), aspect="equal")
        ax.set_axis_off()
        ax.set_title(title, pad=5, fontsize=11)
        done += right - left + gap
    return fig


def layer_shapes(x_shape: tuple, weight_shape: tuple, y_shape: tuple, at: tuple[int, int] = (0, 0)) -> Figure:
    """The volumes of a convolution layer: input (C, H, W), filters (K, C, kh, kw), output (K, H', W').

    Each filter has the color of the output plane that it makes. The output position `at` is filled in the
    output, and its window is framed in the input. Stride 1, no padding.
    """
    (C, H, W), (K, _, kh, kw), (_, OH, OW) = x_shape, weight_shape, y_shape
    step = 0.55  # how far each plane stands behind the one before it, in cells
    paints = [PALETTE[name] for name in ("orange", "purple", "green", "sky")]
    fig, ax = plt.subplots(figsize=(WIDTH, 3.3), layout="none")
    ax.set_position((0, 0, 1, 1))
    ax.set_aspect("equal")
    ax.set_axis_off()
    left, base = 0.0, max(H + (C - 1) * step, OH + (K - 1) * step)
    _draw_planes(ax, (left, base - H), (H, W), [PALETTE[c] for c in ("red", "green", "blue")][:C], step)
    _frame_window(ax, (left, base - H), (at[0], at[1], kh, kw), C, step)
    _caption(ax, left, W + (C - 1) * step, base, "input", f"({C}, {H}, {W})")
    left += W + (C - 1) * step + 1.6
    width, tall = kw + (C - 1) * step, kh + (C - 1) * step
    pitch = tall + 0.7
    for k in range(K):
        bottom = base - (K - 1 - k) * pitch
        _draw_planes(ax, (left, bottom - kh), (kh, kw), [paints[k % 4]] * C, step)
    _caption(ax, left, width, base, f"{K} filters", f"({K}, {C}, {kh}, {kw})")
    left += width + 1.9
    _draw_planes(ax, (left, base - OH), (OH, OW), [paints[k % 4] for k in range(K)], step, at)
    _caption(ax, left, OW + (K - 1) * step, base, "output", f"({K}, {OH}, {OW})")
    ax.set(xlim=(-0.2, left + OW + (K - 1) * step + 0.4), ylim=(base + 2.3, min(0, base - K * pitch) - 0.2))
    return fig


def graph(nodes: Mapping[str, tuple], edges: Sequence[tuple] = ()) -> Figure:
    """A computational graph: boxes with the value and the gradient of each node, and arrows between them.

    `nodes` maps a label such as "y = w x" to (column, row, value, gradient). Column and row, fractions
    allowed, say where the box stands, counted to the right and downwards. Values stand left, in blue,
    gradients right, in orange; None leaves its half empty. An edge is (from label, to label), or has a third
    entry, the local derivative, which is written on the arrow.
    """
    rows = 1 + max(row for _, row, *_ in nodes.values())
    last = max(column for column, *_ in nodes.values())
    width, tall = 1.1, 1.05  # inches: of a box, and from box to box downwards
    pitch = min(2.2, (WIDTH - width - 0.04) / max(last, 1))  # from box to box to the right
    total = pitch * last + width + 0.04
    fig, ax = plt.subplots(figsize=(total, rows * tall + 0.3), layout="none")
    ax.set_position((0, 0, 1, 1))
    centers = {}
    for label, (column, row, value, gradient) in nodes.items():
        x, y = column * pitch + width / 2 + 0.02, (row + 0.5) * tall + 0.3
        centers[label] = x, y
        for left, number, name in ((x - width / 2, value, "blue"), (x, gradient, "orange")):
            half = Rectangle((left, y - 0.02), width / 2, 0.36, facecolor=PALETTE[name], alpha=0.18)
            ax.add_patch(half)
            text = "" if number is None else _text(number, "g")
            ax.text(left + width / 4, y + 0.16, text, ha="center", va="center", fontweight="bold")
        ax.add_patch(Rectangle((x - width / 2, y - 0.34), width, 0.68, fill=False, linewidth=1.3))
        ax.text(x, y - 0.18, label, ha="center", va="center")
    for start, end, *derivative in edges:
        (x0, y0), (x1, y1) = centers[start], centers[end]
        x0, x1 = x0 + width / 2 + 0.02, x1 - width / 2 - 0.02
        ax.annotate("", (x1, y1), (x0, y0), arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.3})
        for text in derivative:
            note = {"facecolor": BACKGROUND, "edgecolor": "none", "pad": 1}
            y = (y0 + y1) / 2 - (0.16 if y0 == y1 else 0)  # above an arrow that is level, on one that is not
            ax.text((x0 + x1) / 2, y, text, ha="center", va="center", fontsize=10.5, bbox=note)
    for x, text, name in ((0.02, "value, forward", "blue"), (1.9, "gradient, backward", "orange")):
        ax.add_patch(Rectangle((x, 0.03), 0.2, 0.2, facecolor=PALETTE[name], alpha=0.3))
        ax.text(x + 0.28, 0.13, text, va="center", fontsize=11)
    ax.set(xlim=(0, total), ylim=(rows * tall + 0.3, 0), aspect="equal")
    ax.set_axis_off()
    return fig


def product_table(
    cells: Mapping[tuple[int, int], tuple[str, float]],
    rows: Sequence[str],
    columns: Sequence[str],
    highlight=None,
) -> Figure:
    """A table of named products, with the sums of its columns below.

    `cells` maps (row, column) to a label and a value; other cells stay empty. `highlight` frames a window
    (row, column, height, width), or each of a list of windows.
    """
    sums = [0.0] * len(columns)
    for (_, column), (_, value) in cells.items():
        sums[column] += value
    fig, ax = plt.subplots(figsize=(0.95 * len(columns) + 0.6, 0.68 * len(rows) + 0.9), layout="none")
    ax.set_position((0, 0, 1, 1))
    for (row, column), (label, value) in cells.items():
        square = Rectangle((column - 0.5, row - 0.5), 1, 1, edgecolor="#b4b4b0", linewidth=0.8)
        square.set_facecolor(SIGNED(0.5 + 0.1 * np.sign(value)))
        ax.add_patch(square)
        ax.text(column, row - 0.17, label, ha="center", va="center", fontsize=11, color=MUTED)
        ax.text(column, row + 0.2, _text(value, "g"), ha="center", va="center", fontsize=13)
    for column, (name, total) in enumerate(zip(columns, sums, strict=True)):
        ax.text(column, -0.75, name, ha="center", va="center")
        ax.text(column, len(rows) - 0.1, _text(total, "g"), ha="center", va="center", weight="bold")
    for row, name in enumerate(rows):
        ax.text(-0.7, row, name, ha="right", va="center")
    ax.text(-0.7, len(rows) - 0.1, "sum", ha="right", va="center", weight="bold")
    for row, column, height, width in _windows(highlight):
        frame = Rectangle((column - 0.5, row - 0.5), width, height, fill=False, edgecolor=INK, linewidth=3)
        ax.add_patch(frame)
    ax.set(xlim=(-1.2, len(columns) - 0.45), ylim=(len(rows) + 0.25, -1.0))
    ax.set_axis_off()
    return fig


def descent(
    height: Callable[[np.ndarray, np.ndarray], np.ndarray],
    paths: Mapping[str, np.ndarray],
    span: tuple[float, float, float, float],
    minimum: tuple[float, float] = (0.0, 0.0),
) -> Figure:
    """Paths of a descent over the contour lines of `height(x, y)`, one panel a path, below each other.

    `paths` maps a title to an array (steps + 1, 2) of the places visited. `span` is (left, right, bottom,
    top). The start is a circle, the lowest place of the landscape, `minimum`, a cross.
    """
    left, right, bottom, top = span
    x, y = np.meshgrid(np.linspace(left, right, 200), np.linspace(bottom, top, 100))
    z = height(x, y)
    levels = z.min() + (z.max() - z.min()) * np.linspace(0, 1, 12) ** 2  # denser near the bottom
    panel = min(2.6, WIDTH * (top - bottom) / (right - left))
    fig, axes = plt.subplots(
        len(paths), 1, figsize=(WIDTH, len(paths) * (panel + 0.3) + 0.4), sharex=True, squeeze=False
    )
    for ax, (title, path) in zip(axes[:, 0], paths.items(), strict=True):
        path = np.asarray(path, float)
        ax.contour(x, y, z, levels[1:], colors="#b4b4b0", linewidths=0.9)
        ax.plot(*path.T, "-o", color=PALETTE["blue"], markersize=4, linewidth=1.6)
        ax.plot(*path[0], "o", color=PALETTE["blue"], markersize=10, fillstyle="none")
        ax.plot(*minimum, "x", color=PALETTE["red"], markersize=11, markeredgewidth=2.6)
        ax.set(xlim=(left, right), ylim=(bottom, top), ylabel="w1")
        ax.set_title(title, loc="left", fontsize=11)
        ax.grid(visible=False)
    axes[-1, 0].set_xlabel("w0")
    return fig


def half_planes(panels: Sequence[tuple]) -> Figure:
    """Points of two classes and lines between them, side by side; a panel is (title, points, targets, lines).

    points (n, 2), targets 0 or 1 for each of them, lines a list of (w0, w1, b) for w0 x0 + w1 x1 + b = 0.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 2.6), sharex=True, sharey=True, squeeze=False)
    ends = np.array([-1.0, 2.0])
    for ax, (title, points, targets, lines) in zip(axes[0], panels, strict=True):
        for w0, w1, b in lines:
            ax.plot(ends, -(w0 * ends + b) / w1, "-", color=PALETTE["gray"])
        for (x0, x1), target in zip(points, targets, strict=True):
            color = PALETTE["blue" if target else "orange"]
            ax.plot(x0, x1, "o" if target else "s", color=color, markersize=13)
        ax.set(xlim=(-0.4, 1.4), ylim=(-0.4, 1.4), xticks=[0, 1], yticks=[0, 1], aspect="equal")
        ax.set_title(title, fontsize=11)
    return fig


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """A confusion matrix with its counts: rows are the right classes, columns the answers, zeros stay empty.

    The color follows the square root of the share of the row, so that rare mistakes show; right answers, on
    the diagonal, are gray.
    """
    matrix = np.asarray(matrix)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    diagonal = np.eye(len(matrix), dtype=bool)
    fig, ax = plt.subplots(figsize=(WIDTH, 5.9), layout="constrained")
    ax.imshow(np.sqrt(np.where(diagonal, np.nan, shares)), cmap="Oranges", vmin=0, vmax=0.55)
    for (i, j), count in np.ndenumerate(matrix):
        if i == j:
            ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor="#dcdcd8", edgecolor="none"))
        if count:
            ax.text(j, i, f"{count}", ha="center", va="center", fontsize=11)
    ax.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="answer of the network", ylabel="right class")
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return fig


def _leave_room_for_values(ax: Axes, values: Sequence[float], longest: int, log: bool) -> None:
    """Let the axis of bars end where the longest text behind a bar fits."""
    share = 1.02 + 0.024 * longest  # of the length of the longest bar
    if log:
        low = np.floor(np.log10(min(values))) - 0.5
        ax.set_xlim(10**low, 10 ** (low + share * (np.log10(max(values)) - low)))
    else:
        ax.set_xlim(min(0, share * min(values)), max(0, share * max(values)))


def _draw_grid(
    ax: Axes, array: np.ndarray, title: str | None, windows: list, fmt, cmap, vmax, fontsize: float
) -> Axes:
    """Color the cells, write the numbers, frame the windows."""
    height, width = array.shape
    colors = mpl.colormaps[cmap] if isinstance(cmap, str) else cmap
    strongest = vmax if vmax is not None else float(np.nanmax(np.abs(array), initial=0)) or 1.0
    norm = _norm(array, cmap, None, 1.15 * strongest if _is_signed(cmap) else vmax)
    ax.imshow(array, cmap=colors, norm=norm, aspect="equal", interpolation="nearest")
    for (row, column), value in np.ndenumerate(array):
        empty = not np.isfinite(value)
        square = Rectangle((column - 0.5, row - 0.5), 1, 1, hatch="////" if empty else None)
        square.set(fill=False, edgecolor="#d4d4d0" if empty else "#b4b4b0", linewidth=0.8, clip_on=False)
        ax.add_patch(square)
        if not empty:
            text = _text(value, fmt)
            color = "white" if _luminance(colors(norm(value))) < 0.2 else INK if value else MUTED
            ax.text(column, row, text, ha="center", va="center", color=color, fontsize=fontsize)
    for row, column, h, w in windows:
        frame = Rectangle((column - 0.5, row - 0.5), w, h, fill=False, edgecolor=INK, clip_on=False)
        frame.set_linewidth(3)
        ax.add_patch(frame)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    ax.set_axis_off()
    ax.set_title(title or "", pad=7)
    return ax


def _norm(array: np.ndarray, cmap, vmin: float | None, vmax: float | None) -> Normalize:
    """The range of values that the colors cover."""
    if _is_signed(cmap):
        top = vmax or float(np.nanquantile(np.abs(array), 0.995)) or float(np.nanmax(np.abs(array))) or 1.0
        return Normalize(-top, top)
    if array.dtype == np.uint8:
        return Normalize(0 if vmin is None else vmin, 255 if vmax is None else vmax)
    return Normalize(np.nanmin(array) if vmin is None else vmin, np.nanmax(array) if vmax is None else vmax)


def _wrap(title: str | None, width: float) -> str:
    """Break a title of 11 points into lines of `width` inches."""
    return "\n".join(textwrap.fill(line, max(6, int(width * 11))) for line in (title or "").split("\n"))


def _is_signed(cmap) -> bool:
    return cmap is SIGNED or cmap == SIGNED.name


def _text(value: float, fmt: str | Callable[[float], str]) -> str:
    """A number as it stands in a figure: no negative zero, a real minus sign."""
    value = 0 if value == 0 else value
    text = fmt(value) if callable(fmt) else format(value, fmt)
    return text.replace("-", "−")


def _cell_font(arrays: Sequence[np.ndarray], fmt, cell: float) -> float:
    """The largest size up to 13 points in which the longest number fits into a cell of `cell` inches."""
    longest = max((len(_text(v, fmt)) for a in arrays for v in a.flat if np.isfinite(v)), default=1)
    return min(13.0, cell * 72 * 0.9 / (0.64 * longest))


def _matrix(array) -> np.ndarray:
    """A 2-D float array of what a grid can show: a 1-D array becomes one row."""
    matrix = np.atleast_2d(np.asarray(array, float))
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"array: expected one or two axes, with values, got shape {np.shape(array)}")
    return matrix


def _windows(highlight) -> list[tuple]:
    """None, one window (row, column, height, width) or a list of windows, as a list."""
    if highlight is None:
        return []
    return [highlight] if np.ndim(highlight) == 1 else list(highlight)


def _one_each(name: str, values: Sequence | None, items: Sequence) -> Sequence:
    """One value for each item: those given, or None for all."""
    if values is None:
        return [None] * len(items)
    if len(values) != len(items):
        raise ValueError(f"{name}: expected {len(items)}, one for each picture, got {len(values)}")
    return values


def _is_picture(array: np.ndarray) -> bool:
    return array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)


def _list_of_pictures(pictures) -> list[np.ndarray]:
    """A sequence of pictures, or a single one, as a list of arrays (H, W) or (H, W, 3)."""
    if isinstance(pictures, np.ndarray) and _is_picture(pictures):
        pictures = [pictures]
    pictures = [np.asarray(picture) for picture in pictures]
    for picture in pictures:
        if not _is_picture(picture):
            raise ValueError(f"pictures: expected shapes (H, W) or (H, W, 3), got {picture.shape}")
    if not pictures:
        raise ValueError("pictures: expected at least one picture, got none")
    return pictures


def _render(fig: Figure, dpi: int) -> Image.Image:
    """The figure as pixels, cropped to what is drawn and a narrow margin."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, facecolor=BACKGROUND, bbox_inches="tight", pad_inches=0.08)
    with Image.open(buffer) as image:
        return image.convert("RGB")


def _few_colors(image: Image.Image) -> Image.Image:
    return image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _png_bytes(image: Image.Image) -> bytes:
    """The PNG without metadata: no date and no program version, so the same figure has the same bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _luminance(rgba: Sequence[float]) -> float:
    """Relative luminance of an sRGB color (WCAG 2): 0 for black, 1 for white."""
    channels = np.asarray(rgba[:3], float)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _taps(size: int, kernel_size: int, stride: int = 1, dilation: int = 1, padding=0) -> tuple[list, list]:
    """The names of the padded columns, "" for a zero of the padding; for each window the columns it reads."""
    before, after = padding if isinstance(padding, tuple) else (padding, padding)
    names = [""] * before + [str(i) for i in range(size)] + [""] * after
    starts = range(0, len(names) - dilation * (kernel_size - 1), stride)
    return names, [{start + dilation * tap for tap in range(kernel_size)} for start in starts]


def _seen_from_above(size: int, layers: Sequence[tuple], unit: int | None = None) -> list[tuple]:
    """For the input and each layer: where its units stand, and whether each is seen: 1, 0, -1 for a zero."""
    layers = [(*layer, *(1, 0, 1)[len(layer) - 1 :]) for layer in layers]
    sizes, starts, jumps = [size], [0.0], [1]
    for k, s, p, d in layers:
        sizes.append((sizes[-1] + 2 * p - d * (k - 1) - 1) // s + 1)
        starts.append(starts[-1] + (d * (k - 1) / 2 - p) * jumps[-1])
        jumps.append(jumps[-1] * s)
    marked = [{sizes[-1] // 2 if unit is None else unit}]
    for k, s, p, d in reversed(layers):
        inside = [i for i in marked[0] if 0 <= i < sizes[len(layers) + 1 - len(marked)]]
        marked.insert(0, {i * s - p + d * tap for i in inside for tap in range(k)})
    rows = []
    for n, start, jump, seen in zip(sizes, starts, jumps, marked, strict=True):
        units = sorted(set(range(n)) | seen)
        kinds = [(1 if 0 <= i < n else -1) if i in seen else 0 for i in units]
        rows.append(([start + i * jump for i in units], kinds))
    return rows


def _draw_unit(ax: Axes, x: float, y: float, kind: int) -> None:
    """A square: filled where it is seen (kind 1), dotted for a zero (-1), pale otherwise (0)."""
    look = {
        1: {"facecolor": PALETTE["blue"], "edgecolor": PALETTE["blue"]},
        0: {"facecolor": "#e9e9e4", "edgecolor": "#b4b4b0"},
        -1: {"facecolor": "none", "edgecolor": INK, "linestyle": ":"},
    }[kind]
    ax.add_patch(Rectangle((x - 0.4, y - 0.4), 0.8, 0.8, linewidth=0.9, **look))


def _draw_cone(ax: Axes, below: tuple, above: tuple, y: float, pitch: float) -> None:
    """Lines from the outermost units that are seen in one row to those in the row below."""
    ends = [[x for x, kind in zip(*row, strict=True) if kind] for row in (below, above)]
    for pick, side in ((min, -0.4), (max, 0.4)):
        x0, x1 = pick(ends[0]) + side, pick(ends[1]) + side
        ax.plot([x0, x1], [y - pitch + 0.4, y - 0.4], "-", color=PALETTE["blue"], linewidth=0.9)


def _draw_planes(ax: Axes, corner, shape, paints, step: float, filled=None) -> None:
    """Planes of cells, the last one at the back; the cell `filled` is painted solid in each."""
    (x0, y0), (height, width) = corner, shape
    for depth in reversed(range(len(paints))):
        x, y = x0 + depth * step, y0 - depth * step
        ax.add_patch(Rectangle((x, y), width, height, facecolor=BACKGROUND, edgecolor="none"))
        for i, j in np.ndindex(height, width):
            alpha = 1.0 if filled == (i, j) else 0.22
            ax.add_patch(
                Rectangle((x + j, y + i), 1, 1, facecolor=paints[depth], alpha=alpha, edgecolor="none")
            )
            ax.add_patch(Rectangle((x + j, y + i), 1, 1, fill=False, edgecolor=paints[depth], linewidth=0.9))


def _frame_window(ax: Axes, corner, window, planes: int, step: float) -> None:
    """The outline of a box that reaches through all planes."""
    (x0, y0), (i, j, height, width) = corner, window
    x, y, back = x0 + j, y0 + i, (planes - 1) * step
    ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=INK, linewidth=2.6))
    for dx, dy in ((0, 0), (width, 0), (width, height)):
        ax.plot([x + dx, x + dx + back], [y + dy, y + dy - back], "-", color=INK, linewidth=1.6)
    corners = [x + back, x + back + width, x + back + width], [y - back, y - back, y - back + height]
    ax.plot(*corners, "-", color=INK, linewidth=1.6)


def _caption(ax: Axes, left: float, width: float, base: float, name: str, shape: str) -> None:
    ax.text(left + width / 2, base + 0.45, f"{name}\n{shape}", ha="center", va="top", linespacing=1.35)
