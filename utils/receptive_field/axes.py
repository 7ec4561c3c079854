"""One axis of a picture: the recursion for plain numbers, and what units see along the axis.

`sequence` needs nothing but integers. The rest is what `receptive_field` computes with: which positions an
operation reads (`Taps`), what its units see in general (`Windows`), in this run (`Line`), and which axis of a
tensor is which axis of the picture (`Field`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np


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


def join(lines: Sequence[Line]) -> Line:
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
        regrouped = Field(tuple(((None, n),) for n in shape), self.everything(self.axes()).lines)
        if 0 in shape:  # a detector that has found nothing
            return regrouped
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
            return regrouped
        field = Field(tuple(dims), self.lines)
        return field.everything(cut) if cut else field


def joined(fields: Sequence[Field | None], shape: Sequence[int], along: int | None = None) -> Field | None:
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
    lines = tuple(join([f.lines[axis] for f in known]) for axis in range(len(known[0].lines)))
    return Field(dims, lines).everything(clash) if clash else Field(dims, lines)


def _broadcast(candidates: list[tuple[Factor, ...]], size: int) -> tuple[Factor, ...]:
    """The factors of one dimension of the result: those of a tensor that fills it, positions first."""
    full = [dim for dim in candidates if math.prod(n for _, n in dim) == size]
    labeled = [dim for dim in full if any(axis is not None for axis, _ in dim)]
    return (labeled or full or [((None, size),)])[0]


def spread(value: int | Sequence[int], k: int) -> tuple[int, ...]:
    """One number for all k axes, or one for each."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * k if len(values) == 1 else values
