"""How fast is pooling in NumPy? Beside PyTorch, in one process, on one thread.

    python -m benchmarks.pooling              measure and print
    python -m benchmarks.pooling --record     and write benchmarks/results/pooling.json

Forward and backward, float32. The competitors take turns; a number is the median of the CPU time. Our arrays
have the memory order that our layers return, PyTorch's the usual one.
"""

import argparse
import json

from benchmarks.conv_backward import check, inner, interleaved  # sets one thread before NumPy is imported
from benchmarks.conv_forward import RESULTS as FORWARD_RESULTS
from benchmarks.conv_forward import ROOT, processor, provenance

# isort: split
import numpy as np
import torch
import torch.nn.functional as F

from utils.functional import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward

RESULTS = FORWARD_RESULTS.with_name("pooling.json")
SHAPES = {
    "LeNet-5, layer 1": (128, 6, 28, 28),
    "LeNet-5, layer 2": (128, 16, 10, 10),
    "32 channels": (64, 32, 28, 28),
}
POOLS = {
    "max 2×2": ("max", {"kernel_size": 2}),
    "max 3×3, stride 2": ("max", {"kernel_size": 3, "stride": 2, "padding": 1}),
    "average 2×2": ("average", {"kernel_size": 2}),
}


def competitors(kind: str, shape: tuple, keywords: dict) -> dict:
    """(forward, backward), each a dict of name -> function of no arguments."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal(shape, dtype=np.float32), 0)  # behind a ReLU: many ties at 0
    tensor, size = torch.from_numpy(x), shape[2:]
    theirs = F.max_pool2d if kind == "max" else F.avg_pool2d
    stride = keywords.get("stride", keywords["kernel_size"])
    numbers = [[keywords["kernel_size"]] * 2, [stride] * 2, [keywords.get("padding", 0)] * 2]
    y = theirs(tensor, **keywords)
    delta = rng.standard_normal(tuple(y.shape), dtype=np.float32)
    delta_tensor, x, delta = torch.from_numpy(delta), inner(x), inner(delta)
    if kind == "max":
        indices = F.max_pool2d(tensor, **keywords, return_indices=True)[1]
        winner = max_pool2d(x, **keywords)[1]
        aten = torch.ops.aten.max_pool2d_with_indices_backward
        return (
            {
                "torch": lambda: theirs(tensor, **keywords).numpy(),
                "ours": lambda: max_pool2d(x, **keywords)[0],
            },
            {
                "torch": lambda: aten(delta_tensor, tensor, *numbers, [1, 1], False, indices).numpy(),
                "ours": lambda: max_pool2d_backward(delta, winner, size, **keywords),
            },
        )
    aten = torch.ops.aten.avg_pool2d_backward
    return (
        {"torch": lambda: theirs(tensor, **keywords).numpy(), "ours": lambda: avg_pool2d(x, **keywords)},
        {
            "torch": lambda: aten(delta_tensor, tensor, *numbers, False, True, None).numpy(),
            "ours": lambda: avg_pool2d_backward(delta, size, **keywords),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25, help="how often each competitor has its turn")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    record = provenance(arguments.rounds) | {"cases": {}}
    record["command"] = f"python -m benchmarks.pooling --rounds {arguments.rounds} --record"
    print(f"{processor()}, one thread, float32. Ratios to PyTorch: 2.00 takes twice its time.\n")
    print(f"{'pooling':<20}{'input':<18}{'forward':>9}{'backward':>10}{'both':>7}   PyTorch's ms")
    for pool, (kind, keywords) in POOLS.items():
        for name, shape in SHAPES.items():
            times = []
            for functions in competitors(kind, shape, keywords):
                check(functions)
                times.append(interleaved(functions, arguments.rounds))
            times.append({key: times[0][key] + times[1][key] for key in times[0]})
            ratios = [part["ours"] / part["torch"] for part in times]
            milliseconds = f"{times[0]['torch']:.2f} and {times[1]['torch']:.2f}"
            print(f"{pool:<20}{name:<18}{ratios[0]:9.2f}{ratios[1]:10.2f}{ratios[2]:7.2f}   {milliseconds}")
            record["cases"][f"{pool}, {name}"] = {
                part: {"milliseconds": time, "ratio to torch": round(ratio, 3)}
                for part, time, ratio in zip(("forward", "backward", "both"), times, ratios, strict=True)
            }
    if arguments.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nwritten to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
