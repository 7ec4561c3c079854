"""How fast is a convolution layer in NumPy? Our four forms beside PyTorch, in one process, on one thread.

    python -m benchmarks.conv_forward              measure and print
    python -m benchmarks.conv_forward --record     and write benchmarks/results/conv_forward.json

All competitors take turns, round after round, so that a busy machine slows all of them alike. A number is
the median over the rounds of the CPU time of the process (`time.process_time`), which other programs on
the machine disturb less than they disturb the clock on the wall. What counts is the ratio to PyTorch.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

# Before NumPy and PyTorch start their threads.
os.environ.update(
    OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", VECLIB_MAXIMUM_THREADS="1"
)

import numpy as np
import torch

from experiments.provenance import processor
from experiments.provenance import provenance as recorded
from utils.functional import conv2d, conv2d_im2col, conv2d_naive, conv2d_shifted

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results" / "conv_forward.json"

CASES = {  # name: shape of x, shape of weight, keywords
    "tiny, for the loops": ((2, 3, 8, 8), (4, 3, 3, 3), {"padding": 1}),
    "LeNet-5, layer 1": ((128, 1, 28, 28), (6, 1, 5, 5), {"padding": 2}),
    "LeNet-5, layer 2": ((128, 6, 14, 14), (16, 6, 5, 5), {}),
    "3×3, 32 to 64": ((64, 32, 28, 28), (64, 32, 3, 3), {"padding": 1}),
    "3×3, 64 to 64": ((16, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    "3×3, stride 2": ((64, 32, 28, 28), (64, 32, 3, 3), {"padding": 1, "stride": 2}),
    "3×3, depthwise": ((64, 32, 28, 28), (32, 1, 3, 3), {"padding": 1, "groups": 32}),
}
COLUMNS = {
    "torch": "torch.nn.functional.conv2d, the unit of the ratios",
    "naive": "conv2d_naive, seven loops (the tiny case only)",
    "im2col": "conv2d_im2col",
    "shifted": "conv2d_shifted",
    "conv2d": "conv2d on an (N, C, H, W) array as it comes from a file",
    "chained": "conv2d on an array in the memory order that conv2d returns, as inside a network",
    "matmul": "one NumPy matrix product with as many multiplications, operands and result ready in memory",
}


def competitors(x_shape: tuple, weight_shape: tuple, keywords: dict) -> dict:
    """Name -> function of no arguments, all for the same float32 layer."""
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape, dtype=np.float32) for shape in (x_shape, weight_shape))
    bias = rng.standard_normal(weight_shape[0], dtype=np.float32)
    tensors = [torch.from_numpy(array) for array in (x, weight, bias)]
    chained = np.ascontiguousarray(x.transpose(2, 1, 3, 0)).transpose(3, 1, 0, 2)

    def torch_conv2d():
        with torch.inference_mode():
            return torch.nn.functional.conv2d(*tensors, **keywords)

    outputs = torch_conv2d().shape
    groups = keywords.get("groups", 1)
    rows = weight.reshape(groups, weight_shape[0] // groups, -1)  # (g, K/g, C/g kh kw)
    columns = rng.standard_normal(
        (groups, rows.shape[2], outputs[0] * outputs[2] * outputs[3]), dtype=np.float32
    )
    result = np.matmul(rows, columns)
    functions = {
        "torch": torch_conv2d,
        "naive": lambda: conv2d_naive(x, weight, bias, **keywords),
        "im2col": lambda: conv2d_im2col(x, weight, bias, **keywords),
        "shifted": lambda: conv2d_shifted(x, weight, bias, **keywords),
        "conv2d": lambda: conv2d(x, weight, bias, **keywords),
        "chained": lambda: conv2d(chained, weight, bias, **keywords),
        "matmul": lambda: np.matmul(rows, columns, out=result),
    }
    if x.size > 1000:
        del functions["naive"]
    return functions


def measure(functions: dict, rounds: int) -> dict:
    """Name -> median CPU milliseconds of a call, after one call that is checked and not timed."""
    expected = functions["torch"]().numpy()
    for name in functions.keys() - {"torch", "matmul"}:
        np.testing.assert_allclose(functions[name](), expected, rtol=1e-3, atol=1e-3, err_msg=name)
    repeats = {name: repeats_for(function) for name, function in functions.items()}
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                function()
            times[name].append((time.process_time() - start) / repeats[name] * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def repeats_for(function, at_least: float = 0.005) -> int:
    """How often to call a fast function so that a measurement takes a few milliseconds."""
    function()
    start = time.process_time()
    function()
    return max(1, round(at_least / max(time.process_time() - start, 1e-6)))


def provenance(rounds: int) -> dict:
    """Where the numbers come from: the entries of `experiments.provenance`, the clock and the dtype."""
    command = f"python -m benchmarks.conv_forward --rounds {rounds} --record"
    return recorded(command, ("numpy", "torch"), watched=("utils", "benchmarks")) | {
        "clock": f"time.process_time, median of {rounds} interleaved rounds, milliseconds a call",
        "dtype": "float32",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each competitor has its turn")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    print(f"{processor()}, one thread, float32. Ratios to PyTorch: 2.00 takes twice its time.\n")
    print(f"{'layer':<22}{'torch ms':>10}" + "".join(f"{name:>9}" for name in list(COLUMNS)[1:]))
    record = provenance(arguments.rounds) | {"columns": COLUMNS, "cases": {}}
    for case, (x_shape, weight_shape, keywords) in CASES.items():
        times = measure(competitors(x_shape, weight_shape, keywords), arguments.rounds)
        ratios = {name: times[name] / times["torch"] for name in times}
        cells = [f"{ratios[name]:9.2f}" if name in ratios else f"{'':>9}" for name in list(COLUMNS)[1:]]
        print(f"{case:<22}{times['torch']:10.3f}" + "".join(cells), flush=True)
        record["cases"][case] = {
            "x": x_shape,
            "weight": weight_shape,
            "arguments": keywords,
            "milliseconds": {name: round(value, 4) for name, value in times.items()},
            "ratio to torch": {name: round(value, 3) for name, value in ratios.items()},
        }
    if arguments.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nwritten to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
