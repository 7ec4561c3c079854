"""VGG's two questions in small: small kernels or large ones, and how deep?

    python -m experiments.vgg_depth              train and print, about nine minutes of CPU time on one core
    python -m experiments.vgg_depth --record     and keep results/vgg_depth.json, run by run
    python -m experiments.vgg_depth --full       28×28, all pictures, 20 epochs: for a GPU; own record

Part one, kernels: a network of two stages with three 3×3 layers each; with one 7×7 layer in place of the
three, narrower so that the parameters are as many, or as wide; and with the three 3×3 layers but without the
ReLUs between them. Part two, depth: columns A to E of VGG at an eighth of the width, without and with batch
normalization. Training and test accuracy over three seeds on Fashion-MNIST; a seed sets the initial weights
and the order of the pictures. Everything else is alike for all. A run that was broken off goes on.
Chapter 13 plots the record.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import json
import statistics
import time

import torch
from torch import nn

from experiments.provenance import RESULTS, ROOT, provenance, write
from utils import train
from utils.models import vgg

SIZES = {  # side of the pictures, training pictures (None: all), epochs
    "small": {"side": 14, "pictures": 6_000, "epochs": 5},
    "full": {"side": 28, "pictures": None, "epochs": 20},
}
PEAK = 2e-3  # the highest learning rate
WIDTH = 16  # channels of the 3×3 layers of part one
NARROW = 12  # of the 7×7 layers with as many parameters
COLUMNS = ("A", "B", "C", "D", "E")


def block(C: int, K: int, kernels: tuple[int, ...], bend: bool = True) -> list[nn.Module]:
    """Layers that keep the size, each with batch normalization; a ReLU after each, or after the last one."""
    layers: list[nn.Module] = []
    for i, k in enumerate(kernels):
        layers += [nn.Conv2d(C if i == 0 else K, K, k, padding=k // 2, bias=False), nn.BatchNorm2d(K)]
        if bend or i == len(kernels) - 1:
            layers.append(nn.ReLU())
    return layers


def kernel_network(kernels: tuple[int, ...], width: int, bend: bool = True) -> nn.Sequential:
    """A 3×3 layer to begin with, two stages with a pooling between them, global average pooling, dense."""
    return nn.Sequential(
        *block(1, width, (3,)),
        *block(width, width, kernels, bend),
        nn.MaxPool2d(2, ceil_mode=True),
        *block(width, width, kernels, bend),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 10),
    )


KERNELS = {
    "three 3×3": lambda: kernel_network((3, 3, 3), WIDTH),
    "one 7×7, as many parameters": lambda: kernel_network((7,), NARROW),
    "one 7×7, as wide": lambda: kernel_network((7,), WIDTH),
    "three 3×3, no ReLU between": lambda: kernel_network((3, 3, 3), WIDTH, bend=False),
}


def column_network(column: str, batch_norm: bool) -> nn.Module:
    """A column of VGG at an eighth of the width, for small pictures, without dropout."""
    return vgg.vgg(column, batch_norm, num_classes=10, in_channels=1, small=True, width=1 / 8, dropout=0.0)


def all_runs() -> dict[str, tuple]:
    """name -> a function that makes the network."""
    runs = {f"kernels, {name}": make for name, make in KERNELS.items()}
    for batch_norm in (False, True):
        for column in COLUMNS:
            name = f"depth, {column}{' with batch norm' if batch_norm else ''}"
            runs[name] = lambda column=column, batch_norm=batch_norm: column_network(column, batch_norm)
    return runs


def one_run(make, seed: int, train_set, test_set, epochs: int) -> dict:
    """Trained once: shares of right answers on the training and the test pictures, CPU seconds."""
    torch.manual_seed(seed)
    model = make()
    settings = train.Settings(epochs=epochs, batch_size=64, lr=PEAK, seed=seed)
    began = time.process_time()
    train.fit(model, train_set, None, settings, progress=False)
    seconds = time.process_time() - began
    return {
        "training accuracy": round(train.evaluate(model, train_set)[1], 5),
        "test accuracy": round(train.evaluate(model, test_set)[1], 5),
        "training loss": round(train.evaluate(model, train_set)[0], 5),
        "cpu seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many (3)")
    parser.add_argument("--only", default="", help="only the runs whose names begin so, such as 'depth'")
    parser.add_argument("--full", action="store_true", help="28×28, all pictures, 20 epochs: for a GPU")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is with --full, else cpu)")
    parser.add_argument("--record", action="store_true", help="write the record, and go on from it")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    size = SIZES["full" if arguments.full else "small"]
    name = "vgg_depth_full" if arguments.full else "vgg_depth"
    device = arguments.device or (None if arguments.full else "cpu")
    sets = train.load("fashion-mnist", limit=size["pictures"], device=device)
    train_set, test_set = (part.resize(size["side"]) for part in sets)
    if len(test_set) != 10_000:
        raise SystemExit(f"needs all of Fashion-MNIST, found {len(test_set):,} test images")
    settings = size | {
        "pictures": len(train_set),
        "peak": PEAK,
        "batch size": 64,
        "optimizer": "Adam, one cycle",
    }

    path, results = RESULTS / f"{name}.json", {}
    if arguments.record and path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["settings"] == settings:
            results = before["runs"]
    for seed in range(arguments.seeds):
        for run, make in all_runs().items():
            done = results.setdefault(run, {"parameters": count(make()), "seeds": {}})["seeds"]
            if not run.startswith(arguments.only) or str(seed) in done:
                continue
            done[str(seed)] = one_run(make, seed, train_set, test_set, size["epochs"])
            print(f"{run}, seed {seed}: {done[str(seed)]}", flush=True)
            if arguments.record:
                keep(name, arguments, settings, device, results)
    for run, result in results.items():
        shares = [100 * one["test accuracy"] for one in result["seeds"].values()]
        if len(shares) > 1:
            spread = statistics.stdev(shares)
            print(
                f"{run:45} {result['parameters']:8,} parameters, {statistics.mean(shares):.1f} ± {spread:.1f}"
            )
    if arguments.record:
        print(f"written to {path.relative_to(ROOT)}")


def count(model: nn.Module) -> int:
    """Parameters."""
    return sum(p.numel() for p in model.parameters())


def keep(name: str, arguments, settings: dict, device, results: dict) -> None:
    """Write what there is, after every run."""
    full = " --full" if arguments.full else ""
    record = provenance(f"python -m experiments.vgg_depth{full} --record", packages=("torch", "numpy"))
    record |= {"device": str(train.pick_device(device)), "settings": settings, "runs": results}
    write(name, record)


if __name__ == "__main__":
    main()
