"""The receptive fields of a network, layer by layer, and the table that shows them."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from torch import nn

from utils.graph import Source, trace
from utils.receptive_field.axes import Field, Line
from utils.receptive_field.rules import (
    RULES,
    _copy,
    _expand,
    _nothing,
    _permute,
    _same,
    _select,
    _slice,
    _split,
    _unbind,
    _view,
    fields_of,
)
from utils.table import Table


class Region(NamedTuple):
    """Rows top to bottom and columns left to right of a picture, first and last included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top + 1

    @property
    def width(self) -> int:
        return self.right - self.left + 1


@dataclasses.dataclass(frozen=True)
class Layer:
    """What the units of one layer see. Tuples have one entry for each axis of the picture: (rows, columns).

    name        the module's path; "path.function" for an operation that no layer module ran; " (2)" for the
                second call of the same module. kind: class of the module, or name of the operation
    output      units along each axis (1 where the axis is gone)
    size        pixels in the window of a unit, over all paths; inf where a path sees everything
    local       the same over the paths that look at a neighborhood; None if there is none left
    smallest    pixels in the window of the narrowest path; None as for `local`
    jump        pixels between neighboring units
    start       center of the first unit, in pixels: 0 is the center of the first pixel
    changed     whether it differs from what the layer was given
    note        why it sees everything, at the layer where that begins
    """

    name: str
    kind: str
    output: tuple[int, ...]
    size: tuple[float, ...]
    local: tuple[int, ...] | None
    smallest: tuple[int, ...] | None
    jump: tuple[float, ...] | None
    start: tuple[float, ...] | None
    changed: bool
    note: str
    pixels: tuple[int, ...] = dataclasses.field(repr=False)
    lines: tuple[Line, ...] = dataclasses.field(repr=False)
    grid: bool = dataclasses.field(default=True, repr=False)  # whether its results still have all axes

    @property
    def everything(self) -> bool:
        """Whether some path sees the whole picture."""
        return math.inf in self.size

    @property
    def effective_padding(self) -> tuple[int, ...] | None:
        """How many pixels the window of the first unit reaches over the edge of the picture."""
        if self.start is None:
            return None
        return tuple(round((n - 1) / 2 - s) for n, s in zip(self.local, self.start, strict=True))

    def window(self, *unit: int) -> Region | tuple[tuple[int, int], ...] | None:
        """The window of a unit (of the center one if none is given), edges of the picture ignored."""
        if self.local is None:
            raise ValueError(f"unit: every unit of {self.name!r} sees everything; see region()")
        unit = self._unit(unit)
        return _region([line.local.at(i) for line, i in zip(self.lines, unit, strict=True)])

    def region(self, *unit: int) -> Region | tuple[tuple[int, int], ...] | None:
        """The pixels that reach a unit in a picture of this size, exactly; None if no pixel does."""
        unit = self._unit(unit)
        return _region([(line.first[i], line.last[i]) for line, i in zip(self.lines, unit, strict=True)])

    def outside(self, *unit: int) -> float | None:
        """Share of the window of a unit that lies outside the picture."""
        if self.local is None:
            return None
        ends = [line.local.at(i) for line, i in zip(self.lines, self._unit(unit), strict=True)]
        inside = [
            max(0, min(b, n - 1) - max(a, 0) + 1) / (b - a + 1) if b >= a else 1
            for (a, b), n in zip(ends, self.pixels, strict=True)
        ]
        return 1 - math.prod(inside)

    @property
    def padded(self) -> tuple[int, ...]:
        """Along each axis, how many of the units are reached by padding."""
        return tuple(
            int(np.broadcast_to(line.padded, n).sum())
            for line, n in zip(self.lines, self.output, strict=True)
        )

    @property
    def padded_share(self) -> float:
        """The share of all units that padding reaches, along either axis."""
        return 1 - math.prod(1 - k / n for k, n in zip(self.padded, self.output, strict=True))

    def _unit(self, unit: Sequence[int]) -> tuple[int, ...]:
        unit = tuple(unit) or tuple(n // 2 for n in self.output)
        if len(unit) != len(self.output) or not all(
            0 <= i < n for i, n in zip(unit, self.output, strict=True)
        ):
            raise ValueError(f"unit: expected a position in {self.output} units, got {unit}")
        return unit


def _region(ends: Sequence[tuple[float, float]]) -> Region | tuple[tuple[int, int], ...] | None:
    """First and last pixel along each axis; a Region where there are two axes; None where nothing is seen."""
    if any(a > b for a, b in ends):
        return None
    ends = tuple((int(a), int(b)) for a, b in ends)
    return Region(*ends[0], *ends[1]) if len(ends) == 2 else ends


@dataclasses.dataclass(frozen=True)
class ReceptiveFields:
    """The receptive fields of all layers of a network, in the order in which they ran.

    layers      one entry for each call of a layer module, and for each operation that no layer module ran
    `fields["layer1.0"]` finds a module, with or without modules inside; of several calls, the last one.
    """

    model: str
    input_size: tuple[int, ...]
    layers: tuple[Layer, ...]
    modules: dict[str, Layer] = dataclasses.field(repr=False)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, name: str) -> Layer:
        named = self.modules | {layer.name: layer for layer in self.layers}
        if name in named:
            return named[name]
        close = difflib.get_close_matches(str(name), [n for n in named if n], n=4, cutoff=0.4)
        hint = f"; close names: {', '.join(map(repr, close))}" if close else ""
        raise ValueError(f"name: {self.model} has no layer called {name!r}{hint}")

    @property
    def last(self) -> Layer:
        """The last layer that makes a map, with the axes of the picture, whose units look at a neighborhood.

        What comes behind, a flattening, dense layers, scores, makes no map. Of a map of one unit these see no
        more than the unit did, but are not the layer that one asks for.
        """
        local = [layer for layer in self.layers if layer.local is not None and layer.grid]
        if not local:
            raise ValueError(f"{self.model} has no layer that looks at a neighborhood: all see everything")
        return local[-1]

    @property
    def notes(self) -> dict[str, str]:
        """Layer -> why it sees everything, for the layers where that begins."""
        return {layer.name: layer.note for layer in self.layers if layer.note}

    def table(self, changes: bool = False) -> Table:
        """One row for each layer; with `changes`, only those that change the receptive field.

        size        the window over all paths; "everything (99)" if one path sees everything, and 99 pixels
                    the window over the others. smallest: the window over the narrowest path
        border, center      share of the window of the corner unit and of the center unit outside the picture
        padded      share of the units that padding reaches
        """
        chosen = [layer for layer in self.layers if layer.changed or not changes]
        columns = [
            "layer",
            "type",
            "output",
            "size",
            "smallest",
            "jump",
            "start",
            "border",
            "center",
            "padded",
        ]
        rows = [_row(layer) for layer in chosen]
        dull = {"smallest"} if all(layer.smallest in (layer.local, None) for layer in chosen) else set()
        if notes := [layer.note for layer in chosen]:
            columns, rows = [*columns, "note"], [[*r, n] for r, n in zip(rows, notes, strict=True)]
            dull |= set() if any(notes) else {"note"}
        kept = [j for j, column in enumerate(columns) if column not in dull]
        return Table(
            [columns[j] for j in kept],
            [[row[j] for j in kept] for row in rows],
            caption=f"Receptive fields of {self.model}, input {'×'.join(map(str, self.input_size))} (pixels)",
            formats={"border": ".0%", "center": ".0%", "padded": ".0%"},
        )

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _row(layer: Layer) -> list:
    """The cells of one layer."""
    size = _short(layer.size)
    if layer.everything:
        size = "everything" + (f" ({_short(layer.local)})" if layer.local else "")
    corner = (0,) * len(layer.output)
    return [
        layer.name,
        layer.kind,
        "×".join(map(str, layer.output)),
        size,
        _short(layer.smallest),
        _short(layer.jump),
        _short(layer.start),
        layer.outside(*corner),
        layer.outside(),
        layer.padded_share,
    ]


def _short(values: Sequence[float] | None):
    """One number where all axes agree, else "7×3"; None stays an empty cell."""
    if values is None:
        return None
    values = [int(v) if v == int(v) else float(v) for v in values if v != math.inf] if values else []
    return values[0] if len(set(values)) == 1 else "×".join(f"{v:g}" for v in values)


REARRANGING = (_view, _permute, _expand, _same, _copy, _slice, _select, _split, _unbind, _nothing)
"""Their operations get no row where no layer module runs them, unless the field changes."""


def receptive_field(
    model: nn.Module, input_size: Sequence[int] | Sequence[Sequence[int]] = (1, 3, 224, 224)
) -> ReceptiveFields:
    """What the units of every layer of a network see of its input.

    model       any `nn.Module` whose forward can be run; it is left as it was, and read in evaluation mode
    input_size  (N, C, H, W), or with one or three axes instead of H, W; of several inputs, the first is the
                picture

    Returns `ReceptiveFields`. Raises ValueError when the input has no axis to see along, or does not fit.
    """
    graph = trace(model, input_size)
    size = graph.inputs[0].shape
    if len(size) < 3:
        raise ValueError(f"input_size: expected (N, C, H, W) or (N, C, L), got {size}")
    of, notes = fields_of(graph)
    layers, modules = [], {}

    def layer(name: str, kind: str, source: Source, given: Sequence[Source], inside: Sequence[int]):
        note = "; ".join(dict.fromkeys(notes[i] for i in inside if i in notes))
        made = _layer(name, kind, of(source), [of(s) for s in given], note, size[2:])
        return dataclasses.replace(made, grid=len(source.shape) == len(size))

    inner = {op.index: (op.module, op.call) for op in graph.ops}
    leaves = {}  # (module, call) -> Call, for modules that ran no other module
    for call in graph.calls:
        ran = range(call.first, call.last)
        if call.outputs and all(inner[i] == (call.module, call.call) for i in ran) and call.module and ran:
            leaves[call.module, call.call] = call
        if call.outputs:
            modules[call.module] = layer(call.module, call.kind, call.outputs[0], call.inputs, ran)
    done = set()
    for op in graph.ops:
        key = inner[op.index]
        if call := leaves.get(key):
            if key not in done:
                done.add(key)
                ran = range(call.first, call.last)
                layers.append(layer(op.module, op.kind, call.outputs[0], call.inputs, ran))
        else:
            name = f"{op.module}.{op.function}".lstrip(".")
            made = layer(name, op.function, Source("op", op.shape, op.index), op.inputs, [op.index])
            if RULES.get(op.function) not in REARRANGING or made.changed:
                layers.append(made)
    return ReceptiveFields(graph.model, size, tuple(_numbered(layers)), modules)


def _layer(
    name: str, kind: str, field: Field | None, before: list, note: str, pixels: tuple[int, ...]
) -> Layer:
    """The numbers of one layer from what its units see."""
    if field is None:  # made from no picture at all
        nothing = Line(np.array([np.inf]), np.array([-np.inf]), np.array([False]), None, None)
        field = Field((), (nothing,) * len(pixels))
    lines = field.lines
    local = all(line.local is not None for line in lines)
    summary = [_essence(f) for f in before if f is not None]
    return Layer(
        name=name,
        kind=kind,
        output=tuple(map(len, lines)),
        size=tuple(math.inf if s.whole else s.local.size if s.local else 0 for s in lines),
        local=tuple(line.local.size for line in lines) if local else None,
        smallest=tuple(line.small.size for line in lines) if local else None,
        jump=tuple(_number(line.local.jump) for line in lines) if local else None,
        start=tuple(line.local.start for line in lines) if local else None,
        changed=summary != [_essence(field)] * len(summary) if summary else True,
        note=note,
        pixels=pixels,
        lines=lines,
    )


def _essence(field: Field) -> list:
    """What has to differ for a layer to count as one that changes the field."""
    return [(s.local, s.small, s.whole) for s in field.lines]


def _number(value: Fraction) -> float:
    return int(value) if value.denominator == 1 else float(value)


def _numbered(layers: list[Layer]) -> Iterator[Layer]:
    """ " (1)", " (2)", ... behind names that occur several times."""
    names = [layer.name for layer in layers]
    seen: dict[str, int] = {}
    for layer in layers:
        seen[layer.name] = seen.get(layer.name, 0) + 1
        many = names.count(layer.name) > 1
        yield dataclasses.replace(layer, name=f"{layer.name} ({seen[layer.name]})") if many else layer
