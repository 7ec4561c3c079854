"""Comparing networks: which are worth a look, which are better than chance, how long they take.

`pareto_front` and `mcnemar` need NumPy only; `measure_latency` times PyTorch networks side by side, and
`energy_counter` finds a counter of energy, where the machine has one that may be read. Source: chapter 17.
"""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["McNemar", "energy_counter", "mcnemar", "measure_latency", "pareto_front"]


def pareto_front(costs, values) -> np.ndarray:
    """Which points no other point beats: bool (n,).

    costs    (n,) or (n, kinds of cost): less is better
    values   (n,): more is better

    A point beats another if it is nowhere worse and somewhere better. Equal points do not beat each other.
    """
    costs, values = np.asarray(costs, float), np.asarray(values, float)
    if values.ndim != 1 or len(costs) != len(values) or costs.ndim not in (1, 2):
        raise ValueError(
            f"costs must be (n,) or (n, kinds) and values (n,), got {costs.shape} and {values.shape}"
        )
    if np.isnan(costs).any() or np.isnan(values).any():
        raise ValueError("costs and values must be numbers, got NaN, which no point beats")
    scores = np.column_stack([costs, -values])  # less is better in every column
    no_worse = (scores[:, None] <= scores[None]).all(2)  # [i, j]: i is nowhere worse than j
    better = (scores[:, None] < scores[None]).any(2)
    return ~(no_worse & better).any(0)


@dataclass(frozen=True)
class McNemar:
    """Two networks on the same pictures: what only one of them gets right, and how likely that is by chance.

    z   (only_a - only_b) / sqrt(only_a + only_b): standard deviations from "equally good"
    p   the probability of a split at least this uneven if both were equally good: exact, two-sided
    """

    only_a: int
    only_b: int
    z: float
    p: float


def mcnemar(right_a, right_b) -> McNemar:
    """McNemar's test (1947) of two networks: did each get picture i right? Two bool arrays (N,)."""
    a, b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"right_a and right_b must say it for the same pictures, got shapes {a.shape} and {b.shape}"
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n = only_a + only_b
    if n == 0:
        return McNemar(0, 0, 0.0, 1.0)
    log_half = -n * math.log(2)
    terms = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + log_half
        for k in range(min(only_a, only_b) + 1)
    )
    tail = math.fsum(math.exp(term) for term in terms)
    return McNemar(only_a, only_b, (only_a - only_b) / math.sqrt(n), min(1.0, 2 * tail))


def measure_latency(
    calls: Mapping[str, Callable[[], object]],
    rounds: int = 20,
    warm_up: int = 3,
    synchronize: Callable[[], object] | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Seconds of every call in every round: name -> (rounds,).

    calls        name -> function of no arguments, for instance `lambda: model(x)`
    warm_up      calls of each that do not count: they load, allocate, choose algorithms
    synchronize  called before the clock is read, each time: `torch.cuda.synchronize` for a GPU, which returns
                 before it is done

    In each round every call has its turn, in an order drawn anew, so what disturbs the machine for a while
    disturbs all of them. Divide the rounds of two calls by each other and take the median. The clock is
    that of the processor for this thread where PyTorch computes with one thread, on the CPU: other programs
    count for little then. Otherwise, and on Windows, where that clock moves every 16 milliseconds only, it is
    the clock on the wall.
    """
    if rounds < 1 or not calls:
        raise ValueError(f"expected calls and at least one round, got {len(calls)} calls, {rounds} rounds")
    import torch

    alone = synchronize is None and torch.get_num_threads() == 1 and sys.platform != "win32"
    clock = time.thread_time if alone else time.perf_counter
    synchronize = synchronize or (lambda: None)
    rng, names = np.random.default_rng(seed), list(calls)
    times = {name: np.empty(rounds) for name in names}
    with torch.inference_mode():
        for name in names:
            for _ in range(warm_up):
                calls[name]()
        for turn in range(rounds):
            for place in rng.permutation(len(names)):
                call = calls[names[place]]
                synchronize()
                start = clock()
                call()
                synchronize()
                times[names[place]][turn] = clock() - start
    return times


def energy_counter(powercap: str = "/sys/class/powercap") -> tuple[Callable[[], float] | None, str]:
    """A function that reads the joules used so far, and what it reads, in words.

    Call it before and after; the difference is the energy of the whole device in between, other programs
    included. NVIDIA's library counts for GPUs since 2017. Linux shows the counters of Intel's and AMD's
    processors (RAPL), mostly to the administrator alone, and not in most virtual machines. None where nothing
    can be read: then the words say why.
    """
    if counter := _nvidia():
        return counter, "the GPU, counted by NVIDIA's management library"
    packages = [
        folder
        for folder in sorted(Path(powercap).glob("*-rapl:*"))
        if folder.name.count(":") == 1 and not _is_platform(folder)
    ]  # "intel-rapl:0" is a package, "intel-rapl:0:1" a part of it
    if not packages:
        return None, "no counter of energy on this machine (no RAPL, no NVIDIA GPU)"
    try:
        read = _Rapl(packages)
        read()
    except (OSError, ValueError) as error:
        return None, f"the processor counts its energy (RAPL), but it cannot be read: {type(error).__name__}"
    return read, f"the processor's {len(packages)} package{'s' * (len(packages) > 1)}, counted by RAPL"


def _is_platform(folder: Path) -> bool:
    """Is this the counter "psys" of a whole laptop? It counts the packages once more."""
    name = folder / "name"
    return name.is_file() and name.read_text().strip() == "psys"


class _Rapl:
    """Joules of the packages since this object was made; the counters begin again at a largest value."""

    def __init__(self, packages: list[Path]):
        self.files = [folder / "energy_uj" for folder in packages]
        self.ranges = [int((folder / "max_energy_range_uj").read_text()) for folder in packages]
        self.last = self._counts()
        self.joules = 0.0

    def _counts(self) -> list[int]:
        return [int(file.read_text()) for file in self.files]

    def __call__(self) -> float:
        counts = self._counts()
        for now, before, range_ in zip(counts, self.last, self.ranges, strict=True):
            self.joules += (now - before) % (range_ + 1) / 1e6
        self.last = counts
        return self.joules


def _nvidia() -> Callable[[], float] | None:
    """Joules of the first NVIDIA GPU, or None."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()

    def read() -> float:
        if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
            raise OSError("NVIDIA's management library gives no energy")
        return millijoules.value / 1e3

    try:
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)):
            return None
        read()
    except (OSError, AttributeError):
        return None
    return read
