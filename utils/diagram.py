"""A drawing of any network, made from the network: boxes with shapes, branches and shortcuts, as SVG.

`diagram` runs the model once (`utils.graph.trace`), keeps one box for each layer or block, and lays them out
as one would by hand: the longest path straight, branches beside each other, shortcuts around the boxes.
"""

from __future__ import annotations

import dataclasses
import html
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from utils.boxes import Box, Edge, boxes_of, keep
from utils.layered import Item, layout
from utils.plot import BACKGROUND, INK, MUTED, PALETTE

__all__ = ["Box", "Diagram", "Edge", "diagram"]

MOST = 400  # boxes; a larger drawing can be neither read nor printed
MARGIN = 14.0
FONT, SMALL = 13.0, 11.0
LINE, STRIPE = 17.0, 17.0  # heights of a line of text in a box, and of a stripe
SOFT = "#55555b"  # second lines in a box: readable on every fill
FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
COLORS = {  # kind of box -> (color of its frame, share of the color in its fill)
    "convolution": ("blue", 0.14),
    "linear": ("purple", 0.20),
    "pool": ("green", 0.15),
    "norm": ("gray", 0.14),
    "activation": ("orange", 0.20),
    "join": ("gray", 0.0),
    "block": ("sky", 0.10),
    "reshape": ("gray", 0.06),
    "other": ("red", 0.09),
    "end": ("gray", 0.0),
}


@dataclasses.dataclass
class Text:
    """A written line: its place, its size and what it belongs to ("box", "shape" or "note")."""

    x: float
    y: float  # of the base line
    text: str
    size: float = FONT
    anchor: str = "middle"
    color: str = INK
    bold: bool = False
    box: int = -1  # the box that it stands in, -1 for a shape beside a line


class Diagram:
    """A finished drawing: `svg` is its text, `boxes` and `edges` are what it shows.

    In a notebook end the cell with `plot.show(drawing, alt="...")`; for a paper `drawing.save("figure.svg")`.
    """

    def __init__(self, title: str, boxes: list[Box], edges: list[Edge], texts: list[Text], size, body: str):
        self.title, self.boxes, self.edges, self.texts = title, boxes, edges, texts
        self.width, self.height = size
        self._body = body

    @property
    def svg(self) -> str:
        """The drawing as SVG, on an opaque light ground."""
        return self.to_svg()

    def to_svg(self, alt: str | None = None, width: float | None = None) -> str:
        """The drawing with another alternative text, and shown `width` pixels wide."""
        alt = html.escape(alt or self.title, quote=True)
        w = width or self.width
        h = self.height * w / self.width
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{alt}" width="{_n(w)}" '
            f'height="{_n(h)}" viewBox="0 0 {_n(self.width)} {_n(self.height)}" '
            f'font-family="{FONTS}" style="max-width:100%;height:auto">\n<title>{alt}</title>\n'
            f'<rect class="ground" width="{_n(self.width)}" height="{_n(self.height)}" rx="6" '
            f'fill="{BACKGROUND}"/>\n{self._body}\n</svg>\n'
        )

    def save(self, path: str | Path) -> Path:
        """Write the drawing to a file that ends with .svg."""
        path = Path(path)
        if path.suffix != ".svg":
            raise ValueError(f"path: expected a name that ends with .svg, got {str(path)!r}")
        path.write_text(self.svg, encoding="utf-8")
        return path

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}, {}

    def __repr__(self) -> str:
        return f"<{self.title}: {len(self.boxes)} boxes, {len(self.edges)} lines>"


def diagram(
    model: nn.Module,
    input_size: Sequence[int] | Sequence[Sequence[int]] = (1, 3, 224, 224),
    depth: int | None = None,
    *,
    style: str = "boxes",
    direction: str = "down",
    shapes: bool | str = True,
    parameters: bool = False,
    fuse: bool = True,
    collapse: bool = True,
    highlight: str | Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
    title: str = "",
) -> Diagram:
    """Draw a network.

    model       any `nn.Module` that `utils.graph.trace` can run
    input_size  shape of its input with the batch, or several shapes
    depth       None draws every layer; 1 one box for each child of the model, 2 for their children, ...
    style       "boxes", or "volumes": what each layer puts out as a block, high and deep like the picture and
                wide like the number of channels (not to scale: the last feature maps would vanish); for
                chains of layers or blocks, with shortcuts drawn above
    direction   "down" or "right", of boxes
    shapes      write the shape (channels × height × width) where it changes; "all": after every box
    parameters  write the number of parameters into each box
    fuse        draw normalization and activation as stripes of the layer's box
    collapse    draw equal blocks in a row once, with "× 3"
    highlight   names of modules to be framed strongly
    notes       name of a module -> a line written into its box, such as its cost
    title       what the drawing shows, for readers who cannot see it (default: "Diagram of" and the class)

    Blue are convolutions, purple linear layers, green pooling, gray normalization, orange activations, sky
    blue blocks that stand for several layers. Raises ValueError for bad arguments, for a model that does not
    run on `input_size`, and for a drawing of more than 400 boxes.
    """
    _check(depth, style, direction, shapes)
    highlight = [highlight] if isinstance(highlight, str) else list(highlight)
    known = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    for argument, names in (("highlight", highlight), ("notes", list(notes or {}))):
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"{argument}: no module is called {unknown[0]!r}")
    boxes, edges = boxes_of(model, input_size, depth, fuse, collapse)
    if len(boxes) > MOST:
        raise ValueError(
            f"depth: {len(boxes)} boxes are more than {MOST}; a smaller depth draws whole blocks"
        )
    for box in boxes:
        box.highlighted = any(m == h or m.startswith(h + ".") for h in highlight for m in box.modules)
        box.notes += [note for name, note in (notes or {}).items() if name in (box.name, *box.modules)]
        if parameters and box.kind not in ("end", "join", "reshape") and box.parameters:
            each = " each" if box.repeats > 1 else ""
            box.notes.append(f"{box.parameters:,} parameters{each}")
    title = title or f"Diagram of {type(model).__name__}"
    if style == "volumes":
        return _draw_volumes(title, boxes, edges)
    return _draw(title, boxes, edges, direction, shapes)


def _check(depth, style, direction, shapes) -> None:
    if style not in ("boxes", "volumes"):
        raise ValueError(f'style: expected "boxes" or "volumes", got {style!r}')
    if depth is not None and (not isinstance(depth, int) or isinstance(depth, bool) or depth < 1):
        raise ValueError(f"depth: expected None or a whole number of at least 1, got {depth!r}")
    if direction not in ("down", "right"):
        raise ValueError(f'direction: expected "down" or "right", got {direction!r}')
    if shapes not in (True, False, "all"):
        raise ValueError(f'shapes: expected True, False or "all", got {shapes!r}')


# ---- the drawing -----------------------------------------------------------------------------------------

WIDTHS = dict(zip(map(chr, range(32, 127)), [  # of Helvetica, Arial and Liberation Sans, in 1/1000
    278, 278, 355, 556, 556, 889, 667, 222, 333, 333, 389, 584, 278, 333, 278, 278,
    *[556] * 10, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667,
    556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 222,
    556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556,
    500, 722, 500, 500, 500, 334, 260, 334, 584,
], strict=True))  # fmt: skip


def text_width(text: str, size: float = FONT, bold: bool = False) -> float:
    """Width of a line of text in pixels."""
    return sum(WIDTHS.get(c, 584) for c in text) * size / 1000 * (1.08 if bold else 1.0)


def _n(value: float) -> str:
    """A number as short as it can be written."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _shape_text(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _mix(color: str, share: float) -> str:
    """A light fill: some of the color on white."""
    channels = [int(PALETTE[color][i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + share * (c - 255)):02x}" for c in channels)


def _lines(box: Box, direction: str) -> list[str]:
    """The label, broken into lines."""
    if box.kind in ("block", "other", "end") or box.pill or box.kind == "join":
        return box.label
    if direction == "right":
        return box.label
    whole = ", ".join(box.label)
    if text_width(whole) <= 190 or len(box.label) < 2:
        return [whole]
    half = max(1, len(box.label) - 1) if len(box.label) < 4 else 2
    return [", ".join(box.label[:half]), ", ".join(box.label[half:])]


def _draw(title: str, boxes: list[Box], edges: list[Edge], direction: str, shapes) -> Diagram:
    """Measure, lay out and write down."""
    labels = [_lines(box, direction) for box in boxes]
    written = [_shape_label(k, boxes, edges, shapes) for k in range(len(boxes))]
    for box, lines in zip(boxes, labels, strict=True):
        box.width, box.height = _size(box, lines)
    common = [b.width for b in boxes if not (b.pill or b.symbol or b.kind in ("end", "join"))]
    common = max((w for w in common if w <= 215), default=0)
    for box in boxes:
        if not (box.pill or box.symbol or box.kind in ("end", "join")):
            box.width = max(box.width, common)
    down = direction == "down"
    pairs = [(e.source, e.target) for e in edges]
    beside: set[int] = (
        set()
    )  # in a drawing to the right: boxes that lines enter from above, where shapes stand
    plan = layout(_items(boxes, written, down, beside), pairs)
    if not down:
        beside = {k for k, sides in enumerate(plan.sides) if "left" in sides}
        plan = layout(_items(boxes, written, down, beside), pairs) if beside else plan
    for box, (a, b), (w, h) in zip(boxes, plan.centers, plan.sizes, strict=True):
        box.x, box.y = (a, b) if down else (b, a)
        box.width, box.height = (w, h) if down else (h, w)
        box.x, box.y = box.x + MARGIN, box.y + MARGIN
    for edge, route in zip(edges, plan.routes, strict=True):
        edge.points = [((x, y) if down else (y, x)) for x, y in route]
        edge.points = [(x + MARGIN, y + MARGIN) for x, y in edge.points]
    size = (plan.width, plan.height) if down else (plan.height, plan.width)
    rows = [b + MARGIN for b in plan.bottoms]
    texts = _texts(boxes, labels, written, rows, down, beside)
    body = [_path(edge) for edge in edges]
    for k, box in enumerate(boxes):
        body.append(_box_svg(box))
        body += [_text_svg(t) for t in texts if t.box == k]
    body += [_text_svg(t) for t in texts if t.box < 0]
    full = (size[0] + 2 * MARGIN, size[1] + 2 * MARGIN)
    return Diagram(title, boxes, edges, texts, full, "\n".join(body))


def _shape_label(k: int, boxes: list[Box], edges: list[Edge], shapes) -> str:
    """The shape written beside what leaves a box, where it is new."""
    box = boxes[k]
    if not shapes or not box.shape or not any(e.source == k for e in edges):
        return ""
    entering = [shape for e in edges if e.target == k for shape in (e.shape, boxes[e.source].shape)]
    if box.name.startswith("input") and box.kind == "end":
        return _shape_text(box.shape)
    if shapes != "all" and entering and box.shape in entering:
        return ""
    return _shape_text(box.shape)


def _size(box: Box, lines: list[str]) -> tuple[float, float]:
    """Width and height of a box from its text."""
    if box.symbol:
        return (26.0, 26.0) if len(box.symbol) == 1 else (40.0, 26.0)
    size = SMALL + 1 if box.pill or box.kind in ("end", "join") else FONT
    widths = [text_width(t, size) for t in lines] + [text_width(n, SMALL) for n in box.notes]
    widths += [text_width(s[0], SMALL) for s in box.stripes]
    wide = max(widths, default=0) + (_repeat_width(box))
    if box.pill or box.kind in ("end", "join"):
        return math.ceil(wide) + 26.0, 24.0 + 15.0 * len(box.notes)
    return max(100.0, math.ceil(wide) + 28.0), 16.0 + LINE * len(lines) + 14.0 * len(
        box.notes
    ) + STRIPE * len(box.stripes)


def _repeat_width(box: Box) -> float:
    return text_width(f"× {box.repeats}", FONT, bold=True) + 22 if box.repeats > 1 else 0.0


def _items(boxes: list[Box], written: list[str], down: bool, beside: set[int]) -> list[Item]:
    """What the layout has to know of each box; it always draws downwards."""
    items = []
    for k, (box, text) in enumerate(zip(boxes, written, strict=True)):
        w, h = (box.width, box.height) if down else (box.height, box.width)
        item = Item(w, h, symbol=bool(box.symbol), stretch=box.kind == "join" and not box.symbol)
        if text and down:  # right of the line that leaves the box
            item.label, item.below = text_width(text, SMALL) + 8, 17
        elif text and k in beside:  # above the line that leaves the box
            item.below = text_width(text, SMALL) + 8
        elif text:  # above the box
            item.left = w / 2 + 17
            item.below = max(0.0, (text_width(text, SMALL) - h) / 2 + 6)
        items.append(item)
    return items


def _texts(boxes, labels, written, rows: list[float], down: bool, beside: set[int]) -> list[Text]:
    """Every line of text with its place; `rows` are the ends of the rows that the boxes stand in."""
    texts = []
    for k, (box, lines, shape) in enumerate(zip(boxes, labels, written, strict=True)):
        _, top, right, bottom = box.corners
        if box.symbol:
            texts.append(Text(box.x, box.y + 6, box.symbol, 18 if len(box.symbol) == 1 else SMALL, box=k))
        elif box.pill or box.kind in ("end", "join"):
            color = MUTED if box.kind == "end" else INK
            base = box.y - 7.5 * len(box.notes) + 4.3
            texts.append(Text(box.x, base, lines[0], SMALL + 1, color=color, box=k))
            texts += [
                Text(box.x, base + 14 * (i + 1), n, SMALL, color=SOFT, box=k) for i, n in enumerate(box.notes)
            ]
        else:
            middle = box.x - _repeat_width(box) / 2
            before = sum(s[2] for s in box.stripes)
            start, end = top + STRIPE * before, bottom - STRIPE * (len(box.stripes) - before)
            used = LINE * len(lines) + 14 * len(box.notes)
            y = (start + end - used) / 2 + 13
            for i, line in enumerate(lines):
                block = box.kind == "block" and len(lines) > 1
                look = {"color": SOFT, "size": SMALL + 1} if block and i else {}
                texts.append(Text(middle, y + LINE * i, line, bold=block and not i, box=k, **look))
            for i, note in enumerate(box.notes):
                texts.append(Text(middle, y + LINE * len(lines) + 14 * i - 2, note, SMALL, color=SOFT, box=k))
            if box.repeats > 1:
                texts.append(Text(right - 12, box.y + 4.5, f"× {box.repeats}", FONT, "end", bold=True, box=k))
            for y, (stripe, _, _) in _stripe_places(box):
                texts.append(Text(box.x, y + STRIPE / 2 + 3.9, stripe, SMALL, box=k))
        if shape and k in beside:
            texts.append(Text(rows[k] + 5, box.y - 5, shape, SMALL, "start", MUTED))
        elif shape and down:
            texts.append(Text(box.x + 6, rows[k] + 13, shape, SMALL, "start", MUTED))
        elif shape:
            texts.append(Text(box.x, top - 5, shape, SMALL, "middle", MUTED))
    return texts


def _stripe_places(box: Box) -> list[tuple[float, tuple[str, str, bool]]]:
    """The upper edge of each stripe."""
    _, top, _, bottom = box.corners
    before = [s for s in box.stripes if s[2]]
    after = [s for s in box.stripes if not s[2]]
    places = [(top + STRIPE * i, s) for i, s in enumerate(before)]
    return places + [(bottom - STRIPE * (len(after) - i), s) for i, s in enumerate(after)]


def _box_svg(box: Box) -> str:
    """Frame, fill and stripes of a box."""
    left, top, right, bottom = box.corners
    color, share = COLORS[box.kind]
    stroke = INK if box.kind == "join" else PALETTE[color]
    wide = 3.2 if box.highlighted else 1.3
    if box.kind == "end":
        return ""
    radius = min(box.width, box.height) / 2 if box.pill or box.symbol else 5.0
    fill = "#ffffff" if box.kind == "join" else _mix(color, share)
    frame = (
        f'x="{_n(left)}" y="{_n(top)}" width="{_n(box.width)}" height="{_n(box.height)}" rx="{_n(radius)}"'
    )
    parts = []
    if box.repeats > 1:
        for d in (6, 3):
            parts.append(
                f'<rect x="{_n(left + d)}" y="{_n(top + d)}" width="{_n(box.width)}" '
                f'height="{_n(box.height)}" rx="5" fill="{fill}" stroke="{stroke}" stroke-width="1"/>'
            )
    parts.append(f'<rect {frame} fill="{fill}"/>')
    for y, (_, kind, first) in _stripe_places(box):
        tint = _mix(*COLORS[kind])
        parts.append(
            _stripe(
                left,
                y,
                right,
                y + STRIPE,
                radius if y == top else 0,
                radius if y + STRIPE == bottom else 0,
                tint,
            )
        )
        edge = y + STRIPE if first else y
        parts.append(
            f'<path d="M{_n(left)} {_n(edge)}H{_n(right)}" stroke="{stroke}" stroke-width="0.6" fill="none"/>'
        )
    parts.append(f'<rect class="box" {frame} fill="none" stroke="{stroke}" stroke-width="{wide}"/>')
    return "\n".join(parts)


def _stripe(left, top, right, bottom, upper: float, lower: float, fill: str) -> str:
    """A band with rounded corners where it meets the end of its box."""
    n = _n
    return (
        f'<path d="M{n(left)} {n(bottom - lower)}V{n(top + upper)}'
        f"Q{n(left)} {n(top)} {n(left + upper)} {n(top)}"
        f"H{n(right - upper)}Q{n(right)} {n(top)} {n(right)} {n(top + upper)}V{n(bottom - lower)}"
        f"Q{n(right)} {n(bottom)} {n(right - lower)} {n(bottom)}H{n(left + lower)}"
        f'Q{n(left)} {n(bottom)} {n(left)} {n(bottom - lower)}Z" fill="{fill}"/>'
    )


def _path(edge: Edge, radius: float = 7.0, head: float = 7.0) -> str:
    """A line with rounded corners and an arrow head."""
    points = edge.points
    (x0, y0), (x1, y1) = points[-2], points[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    stop = (x1 - dx * head * 0.8, y1 - dy * head * 0.8)
    d = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, p, after in zip(points, points[1:], points[2:], strict=False):
        r1 = min(radius, math.dist(before, p) / 2, math.dist(p, after) / 2)
        a = _toward(p, before, r1)
        b = _toward(p, after, r1)
        d.append(f"L{_n(a[0])} {_n(a[1])}Q{_n(p[0])} {_n(p[1])} {_n(b[0])} {_n(b[1])}")
    d.append(f"L{_n(stop[0])} {_n(stop[1])}")
    wing = head * 0.48
    back = (x1 - dx * head, y1 - dy * head)
    tip = (
        f"M{_n(x1)} {_n(y1)}L{_n(back[0] - dy * wing)} {_n(back[1] + dx * wing)}"
        f"L{_n(back[0] + dy * wing)} {_n(back[1] - dx * wing)}Z"
    )
    return (
        f'<path class="edge" d="{"".join(d)}" fill="none" stroke="{INK}" stroke-width="1.3"/>'
        f'<path d="{tip}" fill="{INK}"/>'
    )


def _toward(p, q, distance: float):
    """The point at some distance from p on the way to q."""
    length = math.dist(p, q) or 1.0
    return p[0] + (q[0] - p[0]) * distance / length, p[1] + (q[1] - p[1]) * distance / length


def _text_svg(text: Text) -> str:
    bold = ' font-weight="bold"' if text.bold else ""
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    return (
        f'<text x="{_n(text.x)}" y="{_n(text.y)}" font-size="{_n(text.size)}"{anchor}{bold} '
        f'fill="{text.color}">{html.escape(text.text)}</text>'
    )


# ---- volumes ---------------------------------------------------------------------------------------------

TALLEST = 190.0  # pixels, of the largest feature map
SLANT = 0.28  # pixels to the right and up for each pixel of depth
BAND = 3.0  # width of the band of an activation


@dataclasses.dataclass
class _Volume:
    """A block: its front face, and how far it reaches to the back."""

    box: int
    width: float
    height: float
    back: float
    x: float = 0.0  # left edge of the front face


def _volume(k: int, box: Box, largest: int) -> _Volume:
    """The size of a block in pixels: roots, or the last feature maps of a network could not be seen."""
    channels, rest = box.shape[0], box.shape[1:]
    if not rest:
        return _Volume(k, 9.0, min(TALLEST, max(10.0, 3.0 * math.sqrt(channels))), 4.0)
    sides = [
        max(8.0, TALLEST * (n / largest) ** 0.55) for n in (rest[-2] if len(rest) > 1 else rest[0], rest[-1])
    ]
    return _Volume(
        k, min(60.0, max(5.0, 1.15 * math.sqrt(channels))), sides[0], sides[1] * SLANT if rest[1:] else 4.0
    )


def _draw_volumes(title: str, boxes: list[Box], edges: list[Edge]) -> Diagram:
    """A row of blocks, those of one height and width side by side."""
    for box in boxes:  # a sign, a reshape and an activation put out nothing of another size
        if box.name.startswith("input") or box.kind in ("convolution", "linear", "pool", "block", "other"):
            continue
        if box.kind != "end" and not (box.kind == "join" and not box.symbol):
            box.width = -1.0
    shown = [k for k, b in enumerate(boxes) if b.width == 0.0 and b.shape and not b.name.startswith("output")]
    edges = _around_hidden(edges, set(shown))
    pairs = {(e.source, e.target) for e in edges}
    if missing := next((p for p in itertools.pairwise(shown) if p not in pairs), None):
        raise ValueError(
            f"depth: {boxes[missing[1]].name} does not follow {boxes[missing[0]].name}; volumes are drawn "
            f'for chains, so choose a depth that draws each block with branches as one, or style="boxes"'
        )
    boxes, edges = keep(boxes, edges, shown)
    largest = max((max(b.shape[1:]) for b in boxes if b.shape[1:]), default=1)
    volumes = [_volume(k, box, largest) for k, box in enumerate(boxes)]

    def group_of(v: _Volume):
        return (
            v.height,
            v.back,
            boxes[v.box].kind == "end",
            boxes[v.box].kind == "linear" and boxes[v.box].shape,
        )

    groups = [list(g) for _, g in itertools.groupby(volumes, key=group_of)]
    texts: list[Text] = []
    skips = [e for e in edges if e.target != e.source + 1]
    top = MARGIN + 13.0 * len(skips) + max(v.back for v in volumes)
    middle = top + max(v.height for v in volumes) / 2
    base = middle + max(v.height for v in volumes) / 2 + 18
    x, lowest = MARGIN, base
    for group in groups:
        lines = _group_lines([boxes[v.box] for v in group])
        solid = sum(v.width for v in group)
        whole = solid + group[-1].back
        wide = max(whole, *(text_width(t, SMALL) for t, _ in lines))
        at = x + (wide - whole) / 2
        for v in group:
            v.x = at
            at += v.width
            box = boxes[v.box]
            box.x, box.y, box.width, box.height = v.x + v.width / 2, middle, v.width, v.height
        for i, (line, color) in enumerate(lines):
            texts.append(Text(x + wide / 2, base + 14 * i, line, SMALL, color=color))
        lowest = max(lowest, base + 14 * len(lines))
        x += wide + 12
    right = x - 12
    body = [_volume_svg(v, boxes[v.box], middle) for v in volumes]
    for level, edge in enumerate(sorted(skips, key=lambda e: e.target - e.source, reverse=True)):
        a, b = volumes[edge.source], volumes[edge.target]
        y = MARGIN + 13.0 * level
        starts = [(v.x + v.width / 2 + v.back / 2, middle - v.height / 2 - v.back / 2) for v in (a, b)]
        edge.points = [starts[0], (starts[0][0], y), (starts[1][0], y), starts[1]]
        body.append(_path(edge))
    legend, right = _legend(boxes, lowest + 12, right)
    body += legend[0]
    texts += legend[1]
    body += [_text_svg(t) for t in texts]
    return Diagram(title, boxes, edges, texts, (right + MARGIN, lowest + 32 + MARGIN), "\n".join(body))


def _around_hidden(edges: list[Edge], shown: set[int]) -> list[Edge]:
    """Lines between the boxes that are drawn, through those that are not."""
    following: dict[int, list[int]] = {}
    for e in edges:
        following.setdefault(e.source, []).append(e.target)
    found: dict[tuple[int, int], Edge] = {}
    for e in edges:
        if e.source in shown:
            todo = [e.target]
            while todo:
                k = todo.pop()
                if k in shown:
                    found.setdefault((e.source, k), dataclasses.replace(e, target=k))
                else:
                    todo += following.get(k, [])
    return list(found.values())


def _group_lines(group: list[Box]) -> list[tuple[str, str]]:
    """What stands below blocks of one size: the shape, then what made them."""
    channels, *rest = group[-1].shape
    lines = [(f"{channels} ×" if rest else str(channels), INK)]
    if rest:
        lines.append((_shape_text(rest), INK))
    named = [b for b in group if b.kind != "pool"] or group
    for label, run in itertools.groupby(named, key=lambda b: b.label[0].removeprefix("adaptive ")):
        run = list(run)
        count = sum(b.repeats for b in run)
        lines.append((f"{count} × {label}" if count > 1 else label, MUTED))
        if run[0].kind == "block" and count == 1 and len(run[0].label) > 1 and label == run[0].name:
            lines.append((run[0].label[1], MUTED))
    return lines


def _volume_svg(v: _Volume, box: Box, middle: float) -> str:
    """Front, top and right face of a block, with a band for an activation."""
    left, right = v.x, v.x + v.width
    top, bottom, d = middle - v.height / 2, middle + v.height / 2, v.back
    color, share = COLORS[box.kind]
    stroke, wide = (INK if box.kind == "join" else PALETTE[color]), 2.6 if box.highlighted else 1.0
    share = max(share, 0.06)

    def face(points, fill: str, edge: bool = True) -> str:
        path = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        line = f'stroke="{stroke}" stroke-width="{wide}" stroke-linejoin="round"' if edge else ""
        return f'<path d="M{path}Z" fill="{fill}" {line}/>'

    upper = [(left, top), (left + d, top - d), (right + d, top - d), (right, top)]
    side = [(right, top), (right + d, top - d), (right + d, bottom - d), (right, bottom)]
    parts = [face(upper, _mix(color, share * 0.7)), face(side, _mix(color, min(1.0, share * 2.1)))]
    frame = f'x="{_n(left)}" y="{_n(top)}" width="{_n(v.width)}" height="{_n(v.height)}"'
    parts.append(f'<rect {frame} fill="{_mix(color, share * 1.3)}"/>')
    if any(kind == "activation" for _, kind, _ in box.stripes) and v.width >= 2 * BAND:
        band, tint = right - BAND, _mix("orange", 0.55)
        parts.append(
            face([(band, top), (band + d, top - d), (right + d, top - d), (right, top)], tint, False)
        )
        parts.append(
            f'<rect x="{_n(band)}" y="{_n(top)}" width="{_n(BAND)}" height="{_n(v.height)}" fill="{tint}"/>'
        )
        parts.append(face(upper, "none"))
    parts.append(f'<rect class="box" {frame} fill="none" stroke="{stroke}" stroke-width="{wide}"/>')
    return "\n".join(parts)


def _legend(boxes: list[Box], y: float, right: float):
    """What the colors mean: squares and texts in one line, and how far the drawing now reaches."""
    kinds = dict.fromkeys(b.kind for b in boxes if b.kind != "end")
    names = {"pool": "pooling", "linear": "linear layer", "other": "other layer", "join": "concatenation"}
    squares, texts, x = [], [], MARGIN
    entries = [(names.get(kind, kind), *COLORS[kind]) for kind in kinds]
    if any(kind == "activation" for b in boxes for _, kind, _ in b.stripes):
        entries.append(("activation", "orange", 0.4))
    for name, color, share in entries:
        fill = _mix(color, share * 1.3)
        squares.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="11" height="11" rx="2" fill="{fill}" '
            f'stroke="{PALETTE[color]}"/>'
        )
        texts.append(Text(x + 16, y + 9.5, name, SMALL, "start"))
        x += 16 + text_width(name, SMALL) + 16
    return (squares, texts), max(right, x - 16)
