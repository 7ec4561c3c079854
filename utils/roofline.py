"""The roofline: how fast a layer can be on this machine, from its arithmetic and its traffic.

A layer needs at least the time of its multiply-adds at the machine's peak, and at least the time of its bytes
at the bandwidth of the memory; the longer of the two is a lower bound. Source: Williams, Waterman and
Patterson (2009), "Roofline: an insightful visual performance model for multicore architectures". A layer can
be faster than the roof where its data come out of a cache.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from utils import plot

if TYPE_CHECKING:
    from utils.cost import Cost, Costs

__all__ = ["Peaks", "format_bytes", "format_count", "measure_peaks", "measure_seconds", "roofline"]

# --- units ---


def format_count(n: float) -> str:
    """A count in three digits: 9408 -> "9.41 k", 25557032 -> "25.6 M"; whole below 1000."""
    return _in_units(n, 1000, ("", "k", "M", "G", "T", "P"))


def format_bytes(n: float) -> str:
    """Bytes in three digits: 3211264 -> "3.06 MiB" (1 MiB = 1024 · 1024 bytes)."""
    return _in_units(n, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def _in_units(n: float, step: int, units: Sequence[str]) -> str:
    power = 0
    while abs(n) >= step - 0.5 and power < len(units) - 1:
        n, power = n / step, power + 1
    digits = 0 if power == 0 or abs(n) >= 99.95 else 1 if abs(n) >= 9.995 else 2
    return f"{n:.{digits}f} {units[power]}".rstrip()


# --- this machine, and the roofline ---


@dataclasses.dataclass(frozen=True)
class Peaks:
    """What a machine reaches at most: multiply-adds a second, and bytes a second to and from memory."""

    multiply_adds: float
    bandwidth: float
    threads: int = 1

    @property
    def ridge(self) -> float:
        """Multiply-adds for each byte from which on arithmetic, and no longer memory, sets the time."""
        return self.multiply_adds / self.bandwidth

    def __str__(self) -> str:
        return (
            f"{format_count(self.multiply_adds)} multiply-adds a second, "
            f"{self.bandwidth / 1e9:.1f} GB/s ({self.threads} thread{'s' * (self.threads > 1)}): "
            f"ridge at {self.ridge:.1f} multiply-adds a byte"
        )


def measure_peaks(threads: int | None = None, seconds: float = 1.0) -> Peaks:
    """Measure this machine's peaks in float32: the best of what fits into about `seconds` for each.

    The arithmetic is a product of two 1024 × 1024 matrices; the memory a copy, a = b, and the triad of
    McCalpin's STREAM (1995), a = b + 3c, on arrays of 64 MiB, more than the caches of most machines hold.
    `threads` is the number PyTorch uses meanwhile (default: as it is set).
    """
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads: expected a whole number from 1 on, or None, got {threads!r}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with torch.no_grad():
            side, length = 1024, 2**24
            x, y, z = (torch.rand(side, side) for _ in range(3))
            arithmetic = side**3 / _best_time(lambda: torch.mm(x, y, out=z), seconds)
            a, b, c = (torch.rand(length) for _ in range(3))
            copy = 2 * 4 * length / _best_time(lambda: a.copy_(b), seconds / 2)
            triad = 3 * 4 * length / _best_time(lambda: torch.add(b, c, alpha=3, out=a), seconds / 2)
    finally:
        torch.set_num_threads(before)
    return Peaks(arithmetic, max(copy, triad), threads or before)


def _stopwatch() -> Callable[[], float]:
    """A clock: of this thread where PyTorch uses one, so that waiting for other programs does not count."""
    return time.thread_time if torch.get_num_threads() == 1 else time.perf_counter


def _best_time(action: Callable[[], object], seconds: float) -> float:
    """The shortest time in seconds of one call, after a first one that does not count."""
    clock = _stopwatch()
    action()
    best, end = math.inf, time.perf_counter() + seconds
    while math.isinf(best) or time.perf_counter() < end:
        start = clock()
        action()
        best = min(best, clock() - start)
    return best


def measure_seconds(costs: Costs, repeats: int = 5) -> dict[str, float]:
    """The shortest time of every leaf module over several inferences on random input, by the name of its row.

    Of the network that `costs` counts, at the input size it was counted for, on the CPU.
    """
    if not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"repeats: expected a whole number from 1 on, got {repeats!r}")
    model, paths = costs.model, {row.path for row in costs}
    if any(p.is_meta for p in model.parameters()):
        raise ValueError(
            "costs: expected those of a network with weights, got one that was made without numbers"
        )
    clock = _Clock()
    modes = {module: module.training for module in model.modules()}
    inputs = [torch.rand(source.shape) for source in costs.graph.inputs]
    with contextlib.ExitStack() as stack, torch.no_grad():
        for path, module in model.named_modules():
            if path in paths:
                for handle in clock.watch(path, module):
                    stack.callback(handle.remove)
        try:
            model.eval()
            for _ in range(repeats + 1):
                clock.calls.clear()
                model(*inputs)
        finally:
            for module, mode in modes.items():
                module.training = mode
    return {name: min(times[1:]) for name, times in clock.times.items()}


class _Clock:
    """Notes how long each call of a module takes."""

    def __init__(self):
        self.times: dict[str, list[float]] = {}  # name of a row -> seconds
        self.calls: dict[str, int] = {}  # path -> calls so far in this run
        self.started: dict[str, float] = {}
        self.now = _stopwatch()

    def watch(self, path: str, module: nn.Module) -> tuple:
        """Hooks at the beginning and at the end."""
        return (
            module.register_forward_pre_hook(lambda m, x: self.begin(path)),
            module.register_forward_hook(lambda m, x, y: self.end(path)),
        )

    def begin(self, path: str) -> None:
        self.calls[path] = self.calls.get(path, 0) + 1
        self.started[path] = self.now()

    def end(self, path: str) -> None:
        seconds = self.now() - self.started[path]
        name = path + (f":{self.calls[path]}" if self.calls[path] > 1 else "")
        self.times.setdefault(name, []).append(seconds)


MARKERS = {  # what a row computes -> (color of utils.plot.PALETTE, marker)
    "convolution": ("blue", "o"),
    "1×1 convolution": ("orange", "s"),
    "depthwise convolution": ("green", "^"),
    "dense": ("red", "D"),
    "other": ("purple", "P"),
}


def _family(row: Cost) -> str:
    """The key in MARKERS."""
    if "depthwise" in row.detail:
        return "depthwise convolution"
    kernel = row.detail.split(" ")[0]
    if "Conv" in row.kind or row.kind == "convolution":
        return "1×1 convolution" if kernel and set(kernel) <= set("1×") else "convolution"
    return "dense" if row.kind in ("Linear", "addmm", "mm") else "other"


def roofline(costs: Costs, peaks: Peaks, seconds: Mapping[str, float] | None = None) -> Figure:
    """The roofline of a machine with the layers of a network on it.

    costs       of the network; rows without multiply-adds have no place here
    peaks       of the machine, as from `measure_peaks`
    seconds     time of each row by its name, as from `measure_seconds`; without it the layers stand on the
                roof: the best that is possible

    Horizontal: intensity, multiply-adds for each byte moved. Vertical: multiply-adds a second. Left of the
    ridge the roof is bandwidth times intensity, right of it the arithmetic peak. A larger marker stands for
    more multiply-adds.
    """
    rows = [r for r in costs if r.multiply_adds and (seconds is None or r.name in seconds)]
    if not rows:
        raise ValueError("costs: expected at least one layer with multiply-adds, got none")
    low = min(0.5 * min(r.intensity for r in rows), 0.1 * peaks.ridge)
    high = max(2 * max(r.intensity for r in rows), 10 * peaks.ridge)
    fig, ax = plt.subplots(figsize=(plot.WIDTH, 4.4))
    ax.set(xscale="log", yscale="log", xlim=(low, high))
    _draw_roof(ax, peaks, low, high)
    slowest, fastest = _draw_layers(ax, rows, peaks, seconds)
    ax.set_ylim(0.4 * min(slowest, low * peaks.bandwidth), max(4 * peaks.multiply_adds, 1.6 * fastest))
    ax.set_xlabel("intensity: multiply-adds a byte")
    ax.set_ylabel("multiply-adds a second")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.yaxis.set_major_formatter(lambda y, _: format_count(y).replace(".00", "").replace(".0", ""))
    title = "best possible" if seconds is None else "measured"
    box = {"frameon": True, "facecolor": plot.BACKGROUND, "edgecolor": "none", "framealpha": 1}
    ax.legend(loc="lower right", title=title, alignment="left", **box)
    return fig


def _draw_roof(ax: Axes, peaks: Peaks, low: float, high: float) -> None:
    """The two limits, and the ridge where they meet."""
    ridge, top = peaks.ridge, peaks.multiply_adds
    ax.plot([low, ridge, high], [low * peaks.bandwidth, top, top], "-", color=plot.INK, zorder=2)
    ax.plot([ridge, ridge], [0, top], ":", color=plot.MUTED, linewidth=1.6, zorder=1)
    middle = math.sqrt(low * ridge)
    for text, point, shift, align in (
        (f"{peaks.bandwidth / 1e9:.1f} GB/s", (middle, middle * peaks.bandwidth), (-10, 6), "right"),
        (f"ridge: {ridge:.1f} multiply-adds a byte", (ridge, top), (0, 30), "center"),
        (f"{format_count(top)} multiply-adds a second", (high, top), (-4, 9), "right"),
    ):
        box = {"boxstyle": "square,pad=0.15", "facecolor": plot.BACKGROUND, "edgecolor": "none"}
        ax.annotate(text, point, shift, textcoords="offset points", ha=align, fontsize=11, bbox=box, zorder=5)
    ax.plot([ridge], [top], "o", color=plot.INK, markersize=6, zorder=4)


def _draw_layers(
    ax: Axes, rows: Sequence[Cost], peaks: Peaks, seconds: Mapping[str, float] | None
) -> tuple[float, float]:
    """One marker a row; returns the lowest and the highest speed drawn."""
    largest = max(r.multiply_adds for r in rows)
    least = {r.name: r.least_seconds(peaks) for r in rows}
    speeds = {r.name: r.multiply_adds / (seconds or least)[r.name] for r in rows}
    for family, (color, marker) in MARKERS.items():
        if members := [r for r in rows if _family(r) == family]:
            ax.scatter(
                [r.intensity for r in members],
                [speeds[r.name] for r in members],
                s=[36 + 130 * r.multiply_adds / largest for r in members],
                c=plot.PALETTE[color],
                marker=marker,
                edgecolors=plot.BACKGROUND,
                linewidths=0.8,
                alpha=0.85,
                label=family,
                zorder=3,
            )
    return min(speeds.values()), max(speeds.values())
