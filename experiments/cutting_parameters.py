"""Several ways to make a 5×5 layer cheaper: what do they save, and what do they cost in accuracy?

    python -m experiments.cutting_parameters              train and print, about thirteen minutes on one core
    python -m experiments.cutting_parameters --record     and write results/cutting_parameters.json

A small network with two 5×5 layers is trained on Fashion-MNIST as it is, and with both layers replaced by
something cheaper. As a control, a network keeps its 5×5 layers and has fewer channels instead. The budget is
the same for all: pictures, batches, optimizer, learning rates. A seed sets the initial weights and the order
of the pictures. Times are CPU seconds of the training. Chapter 8 plots the record.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from experiments.provenance import ROOT, provenance, write
from utils import data
from utils.loop import to_input

EPOCHS, BATCH_SIZE, PEAK = 2, 128, 4e-3
WIDTH = 24  # channels in and out of the layers that are replaced


def conv(C: int, K: int, k, **options) -> list[nn.Module]:
    """A convolution of kernel k that keeps the size, batch normalization, ReLU. k may be a pair."""
    kh, kw = (k, k) if isinstance(k, int) else k
    layer = nn.Conv2d(C, K, (kh, kw), padding=(kh // 2, kw // 2), bias=False, **options)
    return [layer, nn.BatchNorm2d(K), nn.ReLU()]


WAYS: dict[str, Callable[[int], list[nn.Module]]] = {
    "5×5": lambda C: conv(C, C, 5),
    "two 3×3": lambda C: [*conv(C, C, 3), *conv(C, C, 3)],
    "bottleneck": lambda C: [*conv(C, C // 4, 1), *conv(C // 4, C // 4, 5), *conv(C // 4, C, 1)],
    "4 groups": lambda C: conv(C, C, 5, groups=4),
    "depthwise-separable": lambda C: [*conv(C, C, 5, groups=C), *conv(C, C, 1)],
    "5×1 and 1×5": lambda C: [*conv(C, C, (5, 1)), *conv(C, C, (1, 5))],
    "fewer channels": lambda C: conv(C, C, 5),
}


def network(way: str) -> nn.Sequential:
    """Stem, layer, pooling, layer, global average pooling, dense layer."""
    C = 8 if way == "fewer channels" else WIDTH
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, C, 4, stride=2, padding=1), nn.ReLU()),  # 28×28 to 14×14
        nn.Sequential(*WAYS[way](C), nn.MaxPool2d(2)),
        nn.Sequential(*WAYS[way](C)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, 10)),
    )


def tensors(dataset: data.Dataset) -> tuple[Tensor, Tensor]:
    """Pictures and labels as PyTorch wants them."""
    return torch.from_numpy(to_input(dataset.images)), torch.from_numpy(dataset.labels).long()


def train(way: str, seed: int, pictures: Tensor, labels: Tensor) -> tuple[nn.Module, float]:
    """A trained network and the CPU seconds that it took."""
    torch.manual_seed(seed)
    model, order = network(way).to(memory_format=torch.channels_last), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters())
    steps = EPOCHS * (len(pictures) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
    began = time.process_time()
    for _ in range(EPOCHS):
        shuffled = torch.randperm(len(pictures), generator=order)
        for batch in shuffled[: len(shuffled) // BATCH_SIZE * BATCH_SIZE].split(BATCH_SIZE):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(pictures[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return model.eval(), time.process_time() - began


@torch.inference_mode()
def accuracy(model: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    """The share of pictures whose class is right."""
    right = [
        (model(x).argmax(1) == t).sum() for x, t in zip(pictures.split(500), labels.split(500), strict=True)
    ]
    return float(sum(right)) / len(pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--record", action="store_true", help="write the record")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    full, test = data.load(), data.load(split="test")
    if len(full) != 60_000:
        raise SystemExit(f"needs all of Fashion-MNIST, found {len(full):,} images from {full.source}")
    pictures, unseen = tensors(full), tensors(test)
    runs = {way: {"test accuracy": [], "cpu seconds": []} for way in WAYS}
    for seed in range(arguments.seeds):
        for way, run in runs.items():
            model, seconds = train(way, seed, *pictures)
            run["test accuracy"].append(accuracy(model, *unseen))
            run["cpu seconds"].append(round(seconds, 1))
            print(f"{way}, seed {seed}: {run['test accuracy'][-1]:.2%}, {seconds:.0f} s", flush=True)
    for way, run in runs.items():
        run["parameters"] = sum(p.numel() for p in network(way).parameters())
        mean, spread = statistics.mean(run["test accuracy"]), statistics.stdev(run["test accuracy"])
        print(f"{way:20} {run['parameters']:7,} parameters, {mean:.2%} ± {spread:.2%}")
    if arguments.record:
        command = f"python -m experiments.cutting_parameters --seeds {arguments.seeds} --record"
        record = provenance(command, packages=("torch", "numpy")) | {
            "data": f"Fashion-MNIST, {len(full):,} training and {len(test):,} test images",
            "settings": {
                "epochs": EPOCHS,
                "batch size": BATCH_SIZE,
                "optimizer": f"Adam, one cycle, highest rate {PEAK:g}",
                "width": WIDTH,
            },
            "seeds": list(range(arguments.seeds)),
            "runs": runs,
        }
        print(f"written to {write('cutting_parameters', record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
