"""Receptive fields: which pixels of the input can change a unit of a network, and how much they do.

    receptive_field(model, (1, 3, 224, 224)).table()    every layer of any network: size, jump, start, padding
    sequence([(3, 1, 1), (2, 2), ...])                  the recursion behind it, for plain numbers
    measured(model, (1, 3, 224, 224), layer="layer1")   the region that back-propagated gradients reach
    effective(model, (1, 3, 224, 224))                  how strongly each pixel acts, as a map
    fit_gaussian(map)                                   the bell that describes such a map

`receptive_field` reads the operations of the network as they were run (`utils.graph.trace`). Rows and columns
are treated apart. About each operation it asks one question: *which positions of its input does position i of
its output read?* The answer is a `Taps`. Following the taps back to the picture gives two things:

* what unit i sees in *this* run: its first and last pixel, exactly, borders included;
* what a unit sees in general, on a picture that goes on forever: its window. A window moves by `jump` pixels
  from one unit to the next, and after transposed convolutions or interpolation its size may alternate.

Only positions count, not channels: each output channel is taken to read every input channel of its
position. An operation that this module has no rule for is taken to see everything, and the table says so;
the same where positions are regrouped (the windows of a Swin transformer). What a unit sees in a run is a
rectangle, the rows that reach it times the columns. Where branches meet and one of them sees only padding
along one axis, it still counts along the other: there the rectangle may be larger than the truth, never
smaller.

Sources: Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019,
doi:10.23915/distill.00021. Luo, Li, Urtasun and Zemel, "Understanding the effective receptive field in deep
convolutional neural networks", NeurIPS 2016, arXiv:1701.04128.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from utils.graph import Graph, Op, Source, trace
from utils.table import Table

__all__ = [
    "Gaussian",
    "Layer",
    "ReceptiveFields",
    "Region",
    "Step",
    "effective",
    "fit_gaussian",
    "measured",
    "receptive_field",
    "sequence",
]

# --------------------------------------------------------------------------- one axis, plain numbers


class Step(NamedTuple):
    """One layer of `sequence`, and the receptive field of its units along one axis.

    size    pixels that a unit sees
    jump    pixels between neighboring units
    start   center of the first unit, in pixels (the first pixel has its center at 0)
    """

    kernel: int
    stride: int
    padding: int
    dilation: int
    size: int
    jump: int
    start: float

    @property
    def effective_padding(self) -> int:
        """How many pixels the window of the first unit reaches over the edge of the picture."""
        return round((self.size - 1) / 2 - self.start)


def sequence(layers: Sequence[Sequence[int] | int]) -> list[Step]:
    """Receptive fields along a chain of convolutions or poolings, one axis.

    layers  (kernel, stride, padding, dilation) of each; what is left out is 1, 0 and 1, and a plain number is
            a kernel

    A window grows by (kernel - 1) · dilation steps of the jump so far; the jump is multiplied by the stride.
    Returns one `Step` for each layer.
    """
    size, jump, start = 1, 1, 0.0  # a pixel sees itself
    steps = []
    for i, layer in enumerate(layers):
        kernel, stride, padding, dilation = _checked_layer(i, layer)
        reach = (kernel - 1) * dilation
        size += reach * jump
        start += (reach / 2 - padding) * jump
        jump *= stride
        steps.append(Step(kernel, stride, padding, dilation, size, jump, start))
    return steps


def _checked_layer(i: int, layer) -> tuple[int, int, int, int]:
    """(kernel, stride, padding, dilation), with what was left out."""
    given = (layer,) if isinstance(layer, int) else tuple(layer)
    full = given + (1, 1, 0, 1)[len(given) :]
    if not (1 <= len(given) <= 4 and all(isinstance(n, (int, np.integer)) for n in given)):
        raise ValueError(f"layers[{i}]: expected (kernel, stride, padding, dilation), got {layer!r}")
    if min(full[0], full[1], full[3]) < 1 or full[2] < 0:
        raise ValueError(
            f"layers[{i}]: expected kernel, stride, dilation >= 1 and padding >= 0, got {layer!r}"
        )
    return full


# --------------------------------------------------------------------------- what an operation reads


@dataclasses.dataclass(frozen=True)
class Taps:
    """Which positions of its input an operation reads, along one axis.

    Output q·period + r reads the inputs q·step + o for o in offsets[r]; the period is len(offsets).
    A convolution has period 1 and step = stride; a transposed one has period = stride and step 1.
    border      what stands beyond the edge: "zero", or input positions again: "replicate", "reflect", "wrap"
    """

    offsets: tuple[tuple[int, ...], ...]
    step: int
    border: str = "zero"


def window_taps(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Taps:
    """Convolution and pooling: output i reads i·stride - padding + t·dilation for t < kernel."""
    return Taps((tuple(t * dilation - padding for t in range(kernel)),), stride)


def transposed_taps(kernel: int, stride: int, padding: int, dilation: int) -> Taps:
    """Transposed convolution: input j writes to j·stride - padding + t·dilation; solved for j."""
    phases = [[r + padding - t * dilation for t in range(kernel)] for r in range(stride)]
    return Taps(tuple(tuple(o // stride for o in phase if o % stride == 0) for phase in phases), 1)


def adaptive_taps(n_in: int, n_out: int) -> Taps:
    """Adaptive pooling: output i reads from floor(i·n_in/n_out) to before ceil((i + 1)·n_in/n_out)."""
    ratio = Fraction(n_in, n_out)
    phases = range(ratio.denominator)
    return Taps(tuple(tuple(range(math.floor(r * ratio), math.ceil((r + 1) * ratio))) for r in phases),
                ratio.numerator)  # fmt: skip


def interpolation_taps(mode: str, ratio: Fraction, align_corners: bool = False) -> Taps:
    """Resizing: output i stands at i·ratio of the input (at (i + 1/2)·ratio - 1/2 without aligned corners).

    ratio is input positions per output position; mode "nearest" reads one input, "linear" two, "cubic" four.
    """

    def read(i: int) -> tuple[int, ...]:
        if mode.startswith("nearest"):
            return (math.floor((i + Fraction(mode.endswith("exact")) / 2) * ratio),)
        half = Fraction(0 if align_corners else 1, 2)
        position = (i + half) * ratio - half
        floor = math.floor(position)
        if position == floor:
            return (floor,)  # exactly on an input: the others have weight 0
        return tuple(range(floor, floor + 2) if mode == "linear" else range(floor - 1, floor + 3))

    return Taps(tuple(read(i) for i in range(ratio.denominator)), ratio.numerator, "replicate")


# --------------------------------------------------------------------------- what its units see


@dataclasses.dataclass(frozen=True)
class Windows:
    """The windows of the units along one axis, on a picture that goes on forever.

    Unit q·period + r sees the pixels lo[r] + q·step to hi[r] + q·step; the period is len(lo).
    """

    lo: tuple[float, ...]
    hi: tuple[float, ...]
    step: int

    def at(self, i: int) -> tuple[float, float]:
        """First and last pixel of unit i; (inf, -inf) for a unit that sees nothing."""
        q, r = divmod(i, len(self.lo))
        return self.lo[r] + q * self.step, self.hi[r] + q * self.step

    @property
    def size(self) -> int:
        """Pixels in the largest window."""
        return int(max((h - a + 1 for a, h in zip(self.lo, self.hi, strict=True) if h >= a), default=0))

    @property
    def jump(self) -> Fraction:
        """Pixels between neighboring units, on average."""
        return Fraction(self.step, len(self.lo))

    @property
    def start(self) -> float:
        """Center of the first unit (where it would be, if the first unit sees nothing)."""
        for i in range(len(self.lo)):
            a, b = self.at(i)
            if a <= b:
                return (a + b) / 2 - i * float(self.jump)
        return 0.0

    def read(self, taps: Taps) -> Windows:
        """The windows behind an operation: from the first to the last pixel that any of its taps sees."""
        repeats = len(self.lo) // math.gcd(len(self.lo), taps.step)
        period = len(taps.offsets) * repeats
        lo, hi = [], []
        for i in range(period):
            q, r = divmod(i, len(taps.offsets))
            seen = [self.at(q * taps.step + o) for o in taps.offsets[r]]
            lo.append(min((a for a, _ in seen), default=math.inf))
            hi.append(max((b for _, b in seen), default=-math.inf))
        return Windows(tuple(lo), tuple(hi), self.step * taps.step * repeats // len(self.lo))

    def union(self, other: Windows) -> Windows | None:
        """From the first to the last pixel of either; None where the two move at different speeds."""
        if self.jump != other.jump:
            return None
        period = math.lcm(len(self.lo), len(other.lo))
        pairs = [(self.at(i), other.at(i)) for i in range(period)]
        lo, hi = zip(*((min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs), strict=True)
        return Windows(lo, hi, self.step * period // len(self.lo))


@dataclasses.dataclass(frozen=True)
class Line:
    """What the units of one tensor see along one axis of the picture.

    first, last     first and last pixel that reaches each unit in this run (inf, -inf: none does)
    padded          whether padding reaches it
    local, small    the windows over all paths that look at a neighborhood, and over the narrowest path
    whole           whether some path sees everything

    A tensor that has no such axis any more (after global pooling, say) has lines of length 1.
    """

    first: np.ndarray
    last: np.ndarray
    padded: np.ndarray
    local: Windows | None
    small: Windows | None
    whole: bool = False

    def __len__(self) -> int:
        return len(self.first)

    def read(self, taps: Taps, n_out: int) -> Line:
        """What the n_out units of an operation with these taps see."""
        inside, index, missing = _indices(taps, len(self), n_out)
        return Line(
            first=np.where(inside, self.first[index], np.inf).min(axis=1, initial=np.inf),
            last=np.where(inside, self.last[index], -np.inf).max(axis=1, initial=-np.inf),
            padded=(missing | (inside & self.padded[index])).any(axis=1),
            local=self.local and self.local.read(taps),
            small=self.small and self.small.read(taps),
            whole=self.whole,
        )

    def everything(self) -> Line:
        """One unit that sees what all of them see."""
        first, last, padded = self.first.min(), self.last.max(), self.padded.any()
        return Line(np.array([first]), np.array([last]), np.array([padded]), None, None, True)


def _indices(taps: Taps, n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every output and tap: whether it reads an input, which one, whether it reads padding."""
    width = max(map(len, taps.offsets))
    filled = [list(phase) + [0] * (width - len(phase)) for phase in taps.offsets]
    valid = np.array([[t < len(phase) for t in range(width)] for phase in taps.offsets])
    i, period = np.arange(n_out), len(taps.offsets)
    index = (i // period * taps.step)[:, None] + np.array(filled, dtype=int)[i % period]  # (n_out, width)
    if taps.border == "wrap":
        index = index % n_in
    elif taps.border == "replicate":
        index = index.clip(0, n_in - 1)
    elif taps.border == "reflect":
        index = (n_in - 1) - np.abs((n_in - 1) - np.abs(index))
    valid, inside = valid[i % period], (index >= 0) & (index < n_in)
    return inside & valid, index.clip(0, n_in - 1), valid & ~inside


def _join(lines: Sequence[Line]) -> Line:
    """The line of a sum or concatenation: each unit sees what either of its sources sees."""
    n = max(map(len, lines))
    lines = [line.everything() if len(line) < n and line.local else line for line in lines]  # one for all
    local, whole = None, any(line.whole for line in lines)
    for windows in (line.local for line in lines if line.local):
        local = windows if local is None else local.union(windows)
        if local is None:  # units that drift apart: no window of a fixed size holds both
            whole = True
            break
    return Line(
        first=np.min([np.broadcast_to(line.first, n) for line in lines], axis=0),
        last=np.max([np.broadcast_to(line.last, n) for line in lines], axis=0),
        padded=np.any([np.broadcast_to(line.padded, n) for line in lines], axis=0),
        local=local,
        small=min((s.small for s in lines if s.small), key=lambda w: w.size, default=None) if local else None,
        whole=whole,
    )


# --------------------------------------------------------------------------- which axis is where

Factor = tuple[int | None, int]  # (axis of the picture or None, how many entries)


@dataclasses.dataclass(frozen=True)
class Field:
    """What the entries of a tensor see: one line for each axis of the picture, and where the axes are.

    dims[d] lists what dimension d runs over, slowest first: [(None, 64)] is 64 channels, [(0, 7), (1, 7)]
    are 7×7 positions flattened into one dimension. Views and permutations only rearrange the factors.
    """

    dims: tuple[tuple[Factor, ...], ...]
    lines: tuple[Line, ...]

    def axes(self, dims: Sequence[int] | None = None) -> set[int]:
        """The axes of the picture that run along these dimensions (all dimensions if not given)."""
        chosen = self.dims if dims is None else [self.dims[d] for d in dims]
        return {axis for dim in chosen for axis, _ in dim if axis is not None}

    def everything(self, axes: Sequence[int] | set[int]) -> Field:
        """Every unit sees everything along these axes; the dimensions only count entries from here on."""
        if not axes:
            return self
        lines = tuple(line.everything() if axis in axes else line for axis, line in enumerate(self.lines))
        dims = tuple(tuple((None if a in axes else a, n) for a, n in dim) for dim in self.dims)
        return Field(dims, lines)

    def read(self, dim: int, taps: Taps, n_out: int) -> Field:
        """An operation with these taps along one dimension."""
        labels = self.axes([dim])
        if not labels:
            return self._resized(dim, ((None, n_out),))
        if len(self.dims[dim]) > 1 or len(labels) > 1:  # flattened positions: neighbors are no neighbors
            return self.everything(labels)._resized(dim, ((None, n_out),))
        (axis,) = labels
        lines = tuple(x.read(taps, n_out) if a == axis else x for a, x in enumerate(self.lines))
        return Field(self.dims, lines)._resized(dim, ((axis, n_out),))

    def _resized(self, dim: int, factors: tuple[Factor, ...]) -> Field:
        return Field((*self.dims[:dim], factors, *self.dims[dim + 1 :]), self.lines)

    def reduced(self, dims: Sequence[int], keepdim: bool) -> Field:
        """A mean, maximum, ... over these dimensions."""
        dims = [d % len(self.dims) for d in dims]
        new = self.everything(self.axes(dims))
        kept = ((() if d in dims else dim) for d, dim in enumerate(new.dims) if keepdim or d not in dims)
        return Field(tuple(kept), new.lines)

    def dropped(self, dim: int, index: int) -> Field:
        """One entry of a dimension."""
        one = self.read(dim, Taps(((index,),), 1), 1)
        return Field((*one.dims[:dim], *one.dims[dim + 1 :]), one.lines)

    def permuted(self, order: Sequence[int]) -> Field:
        """Dimensions in another order."""
        return Field(tuple(self.dims[d] for d in order), self.lines)

    def viewed(self, shape: Sequence[int]) -> Field:
        """The same entries in another shape. An axis that is cut into pieces sees everything from here on."""
        factors = [f for dim in self.dims for f in dim if f[1] != 1 or f[0] is not None]
        cut: set[int] = set()
        dims = []
        for size in shape:
            dim: list[Factor] = []
            while (left := size // math.prod(n for _, n in dim)) > 1 or (factors and factors[0][1] == 1):
                if not factors or (factors[0][1] == 1 and dim and left == 1):
                    break
                axis, n = factors.pop(0)
                if n > left:  # the rest of the factor belongs to the next dimension
                    cut |= set() if axis is None else {axis}
                    factors.insert(0, (axis, max(1, n // left)))
                    n = left
                dim.append((axis, n))
            dims.append(tuple(dim))
        if any(math.prod(n for _, n in dim) != size for dim, size in zip(dims, shape, strict=True)):
            return Field(tuple(((None, n),) for n in shape), self.everything(self.axes()).lines)
        field = Field(tuple(dims), self.lines)
        return field.everything(cut) if cut else field


def _joined(fields: Sequence[Field | None], shape: Sequence[int], along: int | None = None) -> Field | None:
    """Tensors that meet by broadcasting, or (along=d) side by side in dimension d."""
    known = [f for f in fields if f is not None]
    if not known:
        return None
    known = [Field(((),) * (len(shape) - len(f.dims)) + f.dims, f.lines) for f in known]
    if along is not None:  # positions of different tensors one behind the other
        axes = set().union(*(f.axes([along]) for f in known))
        known = [f.everything(axes)._resized(along, ((None, shape[along]),)) for f in known]
    dims = tuple(_broadcast([f.dims[d] for f in known], n) for d, n in enumerate(shape))
    clash = {
        axis
        for f in known
        for axis in f.axes()
        if len(f.lines[axis]) > 1
        and any(axis in f.axes([d]) and f.dims[d] != dims[d] for d in range(len(dims)))
    }
    clash |= {a for a in range(len(known[0].lines)) if sum(a in {x for x, _ in dim} for dim in dims) > 1}
    known = [f.everything(clash & set(range(len(f.lines)))) for f in known]
    lines = tuple(_join([f.lines[axis] for f in known]) for axis in range(len(known[0].lines)))
    return Field(dims, lines).everything(clash) if clash else Field(dims, lines)


def _broadcast(candidates: list[tuple[Factor, ...]], size: int) -> tuple[Factor, ...]:
    """The factors of one dimension of the result: those of a tensor that fills it, positions first."""
    full = [dim for dim in candidates if math.prod(n for _, n in dim) == size]
    labeled = [dim for dim in full if any(axis is not None for axis, _ in dim)]
    return (labeled or full or [((None, size),)])[0]


# --------------------------------------------------------------------------- one rule for each operation

Of = Callable[[Source], Field | None]  # what a source sees; None: nothing of the picture


def _pointwise(op: Op, of: Of) -> Field | None:
    """Each unit reads its own position in every operand."""
    return _joined([of(s) for s in op.inputs], op.shape)


def _copy(op: Op, of: Of) -> Field | None:
    """The second argument, broadcast."""
    return _joined([of(op.args["src"])], op.shape)


def _same(op: Op, of: Of) -> Field | None:
    """The first argument, unchanged."""
    return of(op.inputs[0])


def _convolution(op: Op, of: Of) -> Field | None:
    """Convolution of any dimension, grouped or not, transposed or not."""
    field, weight = of(op.args["input"]), op.args["weight"]
    if field is None:
        return None
    k = len(weight.shape) - 2
    stride, padding, dilation = (_spread(op.args[name], k) for name in ("stride", "padding", "dilation"))
    field = field.everything(field.axes([1]))  # channels are mixed
    for t in range(k):
        make = transposed_taps if op.args["transposed"] else window_taps
        taps = make(weight.shape[2 + t], stride[t], padding[t], dilation[t])
        field = _window(field, 2 + t, taps, op.shape[2 + t])
    field = field._resized(1, ((None, op.shape[1]),))
    made = of(weight)
    if made is None:
        return field
    return _joined(
        [field, made.reduced(range(k + 2), keepdim=True)], op.shape
    )  # a kernel made from the picture


def _pool(op: Op, of: Of) -> Field | None:
    """Maximum and average pooling over a window."""
    field, kernel = of(op.args["self"]), op.args["kernel_size"]
    if field is None:
        return None
    k = int(op.function.split("pool")[1][0])
    kernel = _spread(kernel, k)
    stride = _spread(op.args.get("stride") or kernel, k)
    padding, dilation = _spread(op.args.get("padding", 0), k), _spread(op.args.get("dilation", 1), k)
    for t in range(k):
        taps = window_taps(kernel[t], stride[t], padding[t], dilation[t])
        field = _window(field, t - k + len(op.shape), taps, op.shape[t - k])
    return field


def _window(field: Field, dim: int, taps: Taps, n_out: int) -> Field:
    """Taps along one dimension; a window of one unit changes nothing."""
    return field if taps == window_taps(1) else field.read(dim, taps, n_out)


def _adaptive_pool(op: Op, of: Of) -> Field | None:
    """Adaptive pooling; one output position is global pooling."""
    field, k = of(op.args["self"]), len(op.args["output_size"])
    for d in range(len(op.shape) - k, len(op.shape)):
        n_in, n_out = op.args["self"].shape[d], op.shape[d]
        if field is not None and n_out == 1:
            field = field.reduced([d], True)
        elif field is not None:
            field = field.read(d, adaptive_taps(n_in, n_out), n_out)
    return field


def _upsample(op: Op, of: Of) -> Field | None:
    """Resizing, nearest to bicubic, with the scale that was asked for or the one of the shapes."""
    name, field = op.function, of(op.inputs[0])
    if field is None:
        return None
    mode = "cubic" if "cubic" in name else "linear" if "linear" in name else "nearest"
    mode += "-exact" if "exact" in name else ""
    align = bool(op.args.get("align_corners", False))
    k = len(op.shape) - 2
    given = op.args.get("scale_factors") or [
        op.args.get(f"scales_{x}", op.args.get("scales")) for x in "dhw"[-k:]
    ]
    for t in range(k):
        n_in, n_out = op.inputs[0].shape[2 + t], op.shape[2 + t]
        ratio = Fraction(n_in, n_out)
        if align:
            ratio = Fraction(n_in - 1, n_out - 1) if n_out > 1 else Fraction(0)
        elif given[t]:
            ratio = 1 / Fraction(given[t]).limit_denominator(10_000)
        field = field.read(2 + t, interpolation_taps(mode, ratio, align), n_out)
    return field


def _pixel_shuffle(op: Op, of: Of) -> Field | None:
    """r² channels become r×r positions: output i reads i // r."""
    r = op.args["upscale_factor"]
    return _last_two(op, of, Taps(((0,),) * r, 1))


def _pixel_unshuffle(op: Op, of: Of) -> Field | None:
    """r×r positions become r² channels: output i reads i·r to i·r + r - 1."""
    r = op.args["downscale_factor"]
    return _last_two(op, of, window_taps(r, r))


def _last_two(op: Op, of: Of, taps: Taps) -> Field | None:
    """The same taps along the last two dimensions, and another number of channels."""
    field = of(op.inputs[0])
    if field is None:
        return None
    c, h, w = (len(op.shape) - 3 + i for i in range(3))
    field = field.everything(field.axes([c]))
    return field.read(h, taps, op.shape[h]).read(w, taps, op.shape[w])._resized(c, ((None, op.shape[c]),))


def _pad(op: Op, of: Of) -> Field | None:
    """Padding (or cropping, where negative): output i reads i - before."""
    field, pad = of(op.args["self"]), op.args.get("pad") or op.args["padding"]
    border = next((b for b in ("reflect", "replicat") if b in op.function), "zero")
    border = {"replicat": "replicate"}.get(border, border)
    for i, before in enumerate(pad[::2]):
        d = len(op.shape) - 1 - i
        if field is not None and (before or pad[2 * i + 1]):
            field = field.read(d, Taps(((-before,),), 1, border), op.shape[d])
    return field


def _slice(op: Op, of: Of) -> Field | None:
    """x[start:end:step] along one dimension: output i reads start + i·step."""
    field, d = of(op.args["self"]), op.args["dim"] % len(op.shape)
    n, start = op.args["self"].shape[d], op.args["start"] or 0
    start = min(max(start + n if start < 0 else start, 0), n)
    if field is None or op.shape[d] == n:
        return field
    return field.read(d, Taps(((start,),), op.args["step"]), op.shape[d])


def _select(op: Op, of: Of) -> Field | None:
    """x[index] along one dimension, which goes."""
    field, shape = of(op.args["self"]), op.args["self"].shape
    d = op.args["dim"] % len(shape)
    return field and field.dropped(d, op.args["index"] % shape[d])


def _split(op: Op, of: Of) -> list[Field | None]:
    """Pieces one behind the other along one dimension."""
    field = of(op.args["self"])
    d = op.args["dim"] % len(op.shape)
    starts = np.cumsum([0] + [shape[d] for shape in op.outputs])
    return [
        field and field.read(d, Taps(((int(a),),), 1), shape[d])
        for a, shape in zip(starts, op.outputs, strict=False)
    ]


def _unbind(op: Op, of: Of) -> list[Field | None]:
    """Every entry of one dimension by itself."""
    field, d = of(op.args["self"]), op.args["dim"] % len(op.args["self"].shape)
    return [field and field.dropped(d, i) for i in range(len(op.outputs))]


def _roll(op: Op, of: Of) -> Field | None:
    """Shifted around: output i reads i - shift, and what leaves on one side returns on the other."""
    field = of(op.args["self"])
    if field is None or not op.args["dims"]:
        return field and field.everything(field.axes())
    for shift, dim in zip(op.args["shifts"], op.args["dims"], strict=True):
        d = dim % len(op.shape)
        field = field.read(d, Taps(((-shift,),), 1, "wrap"), op.shape[d])
    return field


def _flip(op: Op, of: Of) -> Field | None:
    """Mirrored: output i reads n - 1 - i."""
    field = of(op.args["self"])
    for dim in op.args["dims"]:
        d = dim % len(op.shape)
        field = field and field.read(d, Taps(((op.shape[d] - 1,),), -1), op.shape[d])
    return field


def _view(op: Op, of: Of) -> Field | None:
    """The same entries in another shape."""
    field = of(op.inputs[0])
    return field and field.viewed(op.shape)


def _permute(op: Op, of: Of) -> Field | None:
    """Dimensions in another order."""
    field, order = of(op.inputs[0]), list(range(len(op.shape)))
    if op.function == "permute":
        order = [d % len(op.shape) for d in op.args["dims"]]
    elif len(order) > 1:  # transpose, t
        a, b = op.args.get("dim0", 0), op.args.get("dim1", 1)
        order[a], order[b] = order[b], order[a]
    return field and field.permuted(order)


def _expand(op: Op, of: Of) -> Field | None:
    """Broadcast to a larger shape."""
    return _joined([of(op.inputs[0])], op.shape)


def _cat(op: Op, of: Of) -> Field | None:
    """Side by side: along the channels each unit sees what either tensor sees, along an axis everything."""
    return _joined([of(s) for s in op.args["tensors"]], op.shape, op.args["dim"] % len(op.shape))


def _stack(op: Op, of: Of) -> Field | None:
    """Side by side in a new dimension."""
    d = op.args["dim"] % len(op.shape)
    fields = [f and Field((*f.dims[:d], (), *f.dims[d:]), f.lines) for f in map(of, op.args["tensors"])]
    return _joined(fields, op.shape, d)


def _reduce(op: Op, of: Of) -> Field | None:
    """Mean, sum, maximum, norm, ... over some dimensions, or over all."""
    if "other" in op.args:  # max(a, b)
        return _pointwise(op, of)
    field, shape = of(op.inputs[0]), op.inputs[0].shape
    dims = op.args.get("dim")
    dims = range(len(shape)) if dims in (None, ()) else [dims] if isinstance(dims, int) else dims
    return field and field.reduced(dims, len(op.shape) == len(shape) and len(shape) > 0)


def _along(op: Op, of: Of) -> Field | None:
    """Softmax, cumulative sums, ...: an entry reads all entries of its dimension."""
    field = of(op.inputs[0])
    return field and field.everything(field.axes([op.args["dim"]]))


def _batch_norm(op: Op, of: Of) -> Field | None:
    """In evaluation each pixel by itself; in training (and as instance norm) with all positions."""
    field = of(op.args["input"])
    return field and (field.everything(field.axes()) if op.args.get("training") else field)


def _layer_norm(op: Op, of: Of) -> Field | None:
    """Normalized over the last dimensions: whatever runs along them is mixed."""
    field, shape = of(op.args["input"]), op.args["normalized_shape"]
    return field and field.everything(field.axes(range(-len(shape), 0)))


def _everywhere(op: Op, of: Of) -> Field | None:
    """Each unit reads all positions: group norm, attention."""
    fields = [of(s) for s in op.inputs]
    known = [f.everything(f.axes()) for f in fields if f is not None]
    if not known:
        return None
    lines = tuple(_join([f.lines[axis] for f in known]) for axis in range(len(known[0].lines)))
    return Field(tuple(((None, n),) for n in op.shape), lines).everything(range(len(lines)))


def _matmul(op: Op, of: Of) -> Field | None:
    """Matrix product with a parameter: the summed dimension is mixed. Of two activations: attention."""
    matrices = [s for s in op.sources if len(s.shape) >= 2][-2:]
    fields = [of(s) for s in matrices]
    if None not in fields:
        return _everywhere(op, of)
    left, right = fields
    field, summed = (left, -1) if left is not None else (right, -2)
    if field is None:
        return _pointwise(op, of)
    field = field.everything(field.axes([summed]))
    new = len(op.shape) + summed
    return field._resized(new, ((None, op.shape[new]),))


def _written(op: Op, of: Of) -> Field | None:
    """A part was overwritten: some channels, or, where positions were chosen, everything."""
    whole, part = of(op.args["self"]), of(op.args["part"])
    if part is None:
        return whole
    shape, spot = op.args["self"].shape, op.args["part"].shape
    chosen = (
        set(range(len(spot))) if len(shape) != len(spot) else {d for d, n in enumerate(spot) if n != shape[d]}
    )
    part = part.everything(part.axes(chosen))
    dims = tuple(
        part.dims[d] if len(shape) == len(spot) and d not in chosen else ((None, n),)
        for d, n in enumerate(shape)
    )
    return _joined([whole, Field(dims, part.lines)], shape)


def _nothing(op: Op, of: Of) -> None:
    """A new tensor that only takes its shape from another: sees nothing of the picture."""


def _table(*groups: tuple[Callable, str]) -> dict[str, Callable]:
    return {name: rule for rule, names in groups for name in names.split()}


RULES: dict[str, Callable[[Op, Of], Field | list[Field | None] | None]] = _table(
    (_convolution, "convolution convolution_overrideable mkldnn_convolution conv2d conv1d conv3d"),
    (_pool, "avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d max_pool1d_with_indices "
            "max_pool2d_with_indices max_pool3d_with_indices"),
    (_adaptive_pool, "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
                     "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"),
    (_upsample, "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d "
                "_upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d "
                "upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d"),
    (_pixel_shuffle, "pixel_shuffle"),
    (_pixel_unshuffle, "pixel_unshuffle"),
    (_pad, "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
           "replication_pad2d replication_pad3d"),
    (_slice, "slice"),
    (_select, "select"),
    (_unbind, "unbind"),
    (_split, "split split_with_sizes"),
    (_roll, "roll"),
    (_flip, "flip"),
    (_view, "view _unsafe_view reshape _reshape_alias flatten unflatten squeeze unsqueeze"),
    (_permute, "permute transpose t numpy_T"),
    (_expand, "expand"),
    (_copy, "copy"),
    (_cat, "cat"),
    (_stack, "stack"),
    (_reduce, "mean sum amax amin max min prod var std norm linalg_vector_norm logsumexp argmax argmin "
              "any all var_mean std_mean median"),
    (_along, "_softmax _log_softmax _safe_softmax softmax log_softmax cumsum cumprod sort"),
    (_batch_norm, "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
                  "batch_norm cudnn_batch_norm _batch_norm_no_update"),
    (_layer_norm, "native_layer_norm"),
    (_everywhere, "native_group_norm _scaled_dot_product_flash_attention_for_cpu fft_rfft2 fft_irfft2 "
                  "_scaled_dot_product_attention_math scaled_dot_product_attention grid_sampler_2d "
                  "grid_sampler_3d _fft_r2c _fft_c2r _fft_c2c"),
    (_matmul, "mm bmm addmm baddbmm"),
    (_written, "written"),
    (_nothing, "new_zeros new_empty new_ones new_full zeros_like ones_like empty_like full_like "
               "new_empty_strided rand_like randn_like fill zero"),
    (_same, "clone contiguous _to_copy to alias detach dropout native_dropout lift_fresh channel_shuffle "
            "positive native_channel_shuffle"),
    (_pointwise, "add sub rsub mul div pow sqrt rsqrt exp exp2 expm1 log log2 log1p neg abs sign sgn "
                 "square reciprocal sin cos tan tanh sinh cosh atan asin acos erf relu relu6 leaky_relu "
                 "elu selu celu gelu silu mish sigmoid log_sigmoid_forward softplus softshrink hardshrink "
                 "threshold hardtanh hardswish hardsigmoid _prelu_kernel prelu rrelu rrelu_with_noise "
                 "clamp clamp_min clamp_max maximum minimum fmax fmin where masked_fill eq ne lt le gt ge "
                 "logical_and logical_or logical_not bitwise_and bitwise_or bitwise_not addcmul addcdiv "
                 "lerp floor ceil round trunc frac fmod remainder bernoulli isnan isinf nan_to_num _conj "
                 "real imag floor_divide xlogy atan2 hypot glu_jvp"),
)  # fmt: skip
"""PyTorch's name of an operation -> what its output sees, from what its inputs see."""


def _fields(graph: Graph) -> tuple[Of, dict[int, str]]:
    """What each tensor sees, and operation -> why its output sees everything from here on."""
    size = graph.inputs[0].shape
    pixels = size[2:]
    start = Field(
        ((), ((None, size[1]),), *(((a, n),) for a, n in enumerate(pixels))),
        tuple(_picture(n) for n in pixels),
    )
    fields: dict[tuple[int, int], Field | None] = {}
    notes: dict[int, str] = {}

    def of(source: Source) -> Field | None:
        if source.kind == "op":
            return fields[source.index, source.output]
        return start if source.kind == "input" and source.index == 0 else None

    for op in graph.ops:
        result = RULES.get(op.function, _everywhere)(op, of)
        for number, shape in enumerate(op.outputs):
            fields[op.index, number] = (
                result[number] if isinstance(result, list) else _fitting(result, op.shape, shape)
            )
        if _turned_global([of(s) for s in op.inputs], fields[op.index, 0]):
            notes[op.index] = _reason(op)
    return of, notes


def _reason(op: Op) -> str:
    """Why the output of this operation sees everything."""
    if op.function not in RULES:
        return f"unknown operation {op.function!r}: taken to see everything"
    if RULES[op.function] in (
        _view,
        _cat,
        _written,
        _pointwise,
    ):  # true of some positions, or a guess upwards
        return f"{op.function}: positions regrouped, taken to see everything"
    return f"{op.function}: sees all positions"


def _picture(n: int) -> Line:
    """One axis of the input: each pixel sees itself."""
    pixel, itself = np.arange(n, dtype=float), Windows((0,), (0,), 1)
    return Line(pixel, pixel, np.zeros(n, dtype=bool), itself, itself)


def _fitting(field: Field | None, shape: Sequence[int], other: Sequence[int]) -> Field | None:
    """The field of a second output: as the first where the shapes agree, everything where they do not."""
    if field is None or tuple(shape) == tuple(other):
        return field
    return Field(tuple(((None, n),) for n in other), field.everything(range(len(field.lines))).lines)


def _turned_global(before: Sequence[Field | None], after: Field | None) -> bool:
    """Whether an axis sees everything now and did not before."""
    return after is not None and any(
        after.lines[axis].whole and not any(f.lines[axis].whole for f in before if f is not None)
        for axis in range(len(after.lines))
    )


# --------------------------------------------------------------------------- the answer


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
        """The last layer whose units still look at a neighborhood."""
        local = [layer for layer in self.layers if layer.local is not None]
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
    of, notes = _fields(graph)
    layers, modules = [], {}

    def layer(name: str, kind: str, source: Source, given: Sequence[Source], inside: Sequence[int]):
        note = "; ".join(dict.fromkeys(notes[i] for i in inside if i in notes))
        return _layer(name, kind, of(source), [of(s) for s in given], note, size[2:])

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


# --------------------------------------------------------------------------- measured by gradients


def measured(
    model: nn.Module,
    input_size: Sequence[int] = (1, 3, 224, 224),
    layer: str | None = None,
    unit: Sequence[int] | None = None,
) -> Region | None:
    """The rectangle of input pixels that a unit's back-propagated gradient reaches.

    layer       path of a module; the network's output if left out
    unit        (row, column) of the unit; the center one if left out

    A gradient says which pixels a unit depends on, if nothing cancels and nothing is switched off by chance.
    So the run takes a copy of the model in double precision, with every weight replaced by a positive random
    number, rectifiers by the identity, and maximum pooling by the mean over its window. `model` is left as
    it was. Returns a `Region`, or None where no pixel reaches the unit. Raises ValueError for an unknown
    layer, a unit outside the layer's map, or an input without two axes.
    """
    size = _two_axes(input_size)
    generator = torch.Generator().manual_seed(0)
    positive = _positive(model, generator)
    x = torch.rand(size, generator=generator, dtype=torch.float64) + 0.5
    rng = np.random.default_rng(0)
    with _Smooth():
        gradient = _gradient(positive, x.requires_grad_(), layer, unit, lambda shape: 1 + rng.random(shape))
    reached = (gradient != 0).any(dim=0).any(dim=0)
    rows, columns = reached.any(dim=1).nonzero().flatten(), reached.any(dim=0).nonzero().flatten()
    if len(rows) == 0:
        return None
    return Region(int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1]))


def effective(
    model: nn.Module,
    input_size: Sequence[int] = (1, 3, 224, 224),
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    samples: int = 16,
    rng: np.random.Generator | None = None,
    images: Tensor | None = None,
) -> np.ndarray:
    """How strongly each input pixel acts on a unit: the mean squared gradient, as shares that sum to 1.

    model       as it is: its own weights, in evaluation mode, on the device and in the dtype of its weights
    layer, unit as in `measured`
    samples     how many inputs the mean runs over, drawn from a normal distribution
    rng         draws the inputs and signs; a fresh generator with seed 0 if left out
    images      inputs to use instead, shape (samples, C, H, W); they set the size

    For each input, the unit's channels are added with random signs and the sum is differentiated with respect
    to the pixels; the squares are summed over the input channels. On average this is the sum over all pairs
    of channels of the squared derivative (after Luo et al. 2016). Returns shape (H, W), float64.
    """
    if images is None:
        size = _two_axes(input_size)
        if not isinstance(samples, int) or samples < 1:
            raise ValueError(f"samples: expected a whole number of at least 1, got {samples!r}")
    elif images.ndim != 4 or len(images) == 0:
        raise ValueError(f"images: expected shape (samples, C, H, W), got {tuple(images.shape)}")
    rng = np.random.default_rng(0) if rng is None else rng
    signs = functools.partial(rng.choice, (-1.0, 1.0))
    like = next(model.parameters(), torch.zeros(()))
    total = 0.0
    with _evaluating(model):
        for i in range(samples if images is None else len(images)):
            x = torch.from_numpy(rng.normal(size=(1, *size[1:]))) if images is None else images[i : i + 1]
            x = x.detach().to(like.device, like.dtype).requires_grad_()
            gradient = _gradient(model, x, layer, unit, signs)
            total = total + gradient.double().square().sum(dim=(0, 1)).cpu().numpy()
    if not total.sum() > 0:
        raise ValueError(f"layer: no gradient of {layer or 'the output'!r} reaches the input at this unit")
    return total / total.sum()


def _two_axes(input_size: Sequence[int]) -> tuple[int, ...]:
    size = tuple(input_size)
    if len(size) != 4 or not all(isinstance(n, int) and n >= 1 for n in size):
        raise ValueError(f"input_size: expected (N, C, H, W), got {input_size!r}")
    return size


def _gradient(
    model: nn.Module,
    x: Tensor,
    layer: str | None,
    unit: Sequence[int] | None,
    weigh: Callable[[Sequence[int]], np.ndarray],
) -> Tensor:
    """Gradient of one unit with respect to the input; `weigh` draws weights for its channels."""
    found: list[Tensor] = []
    handle = _module(model, layer).register_forward_hook(lambda m, given, made: found.append(made))
    try:
        with torch.enable_grad():
            model(x)
            made = found[-1] if found else None
            if not isinstance(made, Tensor):
                raise ValueError(f"layer: {layer!r} did not run, or returns no single tensor")
            values = made[0][(slice(None), *_center(made, unit))]  # (channels,)
            signs = torch.from_numpy(weigh(values.shape)).to(values)
            (gradient,) = torch.autograd.grad((values * signs).sum(), x, allow_unused=True)
    finally:
        handle.remove()
    return torch.zeros_like(x) if gradient is None else gradient


def _module(model: nn.Module, layer: str | None) -> nn.Module:
    """The module of this path; names that are close if there is none."""
    modules = dict(model.named_modules())
    if layer is None or layer in modules:
        return modules[layer or ""]
    close = difflib.get_close_matches(str(layer), [n for n in modules if n], n=4, cutoff=0.4)
    hint = f"; close names: {', '.join(map(repr, close))}" if close else ""
    raise ValueError(f"layer: {type(model).__name__} has no module called {layer!r}{hint}")


def _center(made: Tensor, unit: Sequence[int] | None) -> tuple[int, ...]:
    """The position asked for in the map of a layer, or its center; () for a layer without positions."""
    shape = tuple(made.shape[2:])
    if unit is None:
        return tuple(n // 2 for n in shape)
    if len(unit) != len(shape) or not all(0 <= i < n for i, n in zip(unit, shape, strict=True)):
        raise ValueError(f"unit: expected a position in a map of {shape} units, got {tuple(unit)}")
    return tuple(unit)


@contextlib.contextmanager
def _evaluating(model: nn.Module):
    """Evaluation mode; afterwards each module is back in the mode it had."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, mode in modes.items():
            module.training = mode


def _positive(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy whose weights are all positive and small, so that no gradient cancels, vanishes or explodes."""
    meta = any(tensor.is_meta for tensor in model.parameters())
    twin = copy.deepcopy(model)
    twin = (twin.to_empty(device="cpu") if meta else twin.cpu()).double().eval()
    with torch.no_grad():
        for tensor in twin.parameters():
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
            tensor.copy_((torch.rand(tensor.shape, generator=generator) + 0.5) / fan_in)
        for module in twin.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_var is not None:
                module.reset_running_stats()
    return twin


class _Smooth(TorchFunctionMode):
    """Rectifiers become the identity, maximum pooling the mean: what can switch off cannot hide a path."""

    RECTIFIERS = ("relu", "relu_", "relu6", "hardtanh", "hardtanh_", "hardswish", "hardsigmoid", "threshold")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in self.RECTIFIERS:
            return args[0]
        made = func(*args, **kwargs)
        if name == "max_pool2d" and isinstance(made, Tensor):
            return _mean_pool(made.shape[-2:], *args, **kwargs)
        return made


def _mean_pool(output, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, **_) -> Tensor:
    """The mean over the windows of a maximum pooling, zeros beyond the edge."""
    k = _spread(kernel_size, 2)
    s, p, d = _spread(stride or k, 2), _spread(padding, 2), _spread(dilation, 2)
    behind = [(output[a] - 1) * s[a] + d[a] * (k[a] - 1) + 1 - x.shape[-2 + a] - p[a] for a in range(2)]
    x = nn.functional.pad(x, (p[1], behind[1], p[0], behind[0]))  # negative: not read by any window
    weight = torch.full((x.shape[-3], 1, *k), 1 / math.prod(k), dtype=x.dtype)
    return nn.functional.conv2d(x, weight, stride=s, dilation=d, groups=x.shape[-3])


def _spread(value: int | Sequence[int], k: int) -> tuple[int, ...]:
    """One number for all k axes, or one for each."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * k if len(values) == 1 else values


# --------------------------------------------------------------------------- the bell


class Gaussian(NamedTuple):
    """height · exp(-(y - center y)² / (2 sigma_y²) - (x - center x)² / (2 sigma_x²)), in pixels.

    explained   the share of the map's variance that the bell accounts for (R²)
    """

    sigma_y: float
    sigma_x: float
    center: tuple[float, float]
    height: float
    explained: float

    def map(self, shape: Sequence[int]) -> np.ndarray:
        """The bell on a grid of this shape (H, W)."""
        return _bell(np.array([self.height, *self.center, self.sigma_y, self.sigma_x]), shape)[0]


def fit_gaussian(map: np.ndarray, steps: int = 100) -> Gaussian:
    """The bell with the least squared distance from a map, by the Levenberg-Marquardt method.

    map     shape (H, W), finite, nowhere negative and not flat: for instance a result of `effective`

    Raises ValueError for any other map.
    """
    map = np.asarray(map, dtype=float)
    if map.ndim != 2 or not np.isfinite(map).all() or map.min() < 0 or np.ptp(map) == 0:
        raise ValueError(f"map: expected (H, W) finite values >= 0 that differ, got shape {map.shape}")
    parameters, damping = _moments(map), 1e-3
    bell, slopes = _bell(parameters, map.shape)
    error = ((map - bell) ** 2).sum()
    for _ in range(steps):
        J, residual = slopes.reshape(5, -1), (map - bell).ravel()  # (5, H·W)
        normal = J @ J.T
        move = np.linalg.lstsq(normal + damping * np.diag(np.diag(normal)), J @ residual, rcond=None)[0]
        trial = parameters + move
        trial[3:] = np.abs(trial[3:])
        bell_there, slopes_there = _bell(trial, map.shape)
        error_there = ((map - bell_there) ** 2).sum()
        if error_there >= error:
            damping *= 10
            continue
        done = error - error_there < 1e-12 * error
        parameters, bell, slopes, error = trial, bell_there, slopes_there, error_there
        damping /= 10
        if done:
            break
    height, y, x, sigma_y, sigma_x = parameters.tolist()
    explained = 1 - error / ((map - map.mean()) ** 2).sum()
    return Gaussian(sigma_y, sigma_x, (y, x), height, float(explained))


def _moments(map: np.ndarray) -> np.ndarray:
    """Height, center and standard deviations of the map itself: where the fit begins."""
    total, (y, x) = map.sum(), np.indices(map.shape)
    center = (map * y).sum() / total, (map * x).sum() / total
    spread = [math.sqrt((map * (a - c) ** 2).sum() / total) for a, c in zip((y, x), center, strict=True)]
    return np.array([map.max(), *center, *(max(s, 0.3) for s in spread)])


def _bell(parameters: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The bell, shape (H, W), and its derivatives by height, center and widths, shape (5, H, W)."""
    height, cy, cx, sy, sx = parameters
    y, x = np.indices(shape)
    sy, sx = max(sy, 1e-3), max(sx, 1e-3)
    unit = np.exp(-((y - cy) ** 2) / (2 * sy**2) - (x - cx) ** 2 / (2 * sx**2))
    bell = height * unit
    by = [unit, bell * (y - cy) / sy**2, bell * (x - cx) / sx**2]
    return bell, np.array([*by, bell * (y - cy) ** 2 / sy**3, bell * (x - cx) ** 2 / sx**3])
