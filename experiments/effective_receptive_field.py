"""The effective receptive field: how much of its window does a unit use, before and after training?

    python -m experiments.effective_receptive_field            train and print, about two minutes of CPU time
    python -m experiments.effective_receptive_field --record   and write the numbers to experiments/results/

Two measurements, each over several seeds. First a small convolutional network on Fashion-MNIST: the mean
squared gradient of the center unit of its last convolution with respect to the pixels of some test images,
with the initial weights and after training, and the Gaussian that fits the map best. Second, stacks of 3×3
convolutions of growing depth with initial weights. There the squares of the weights convolve with each other;
three equal pixels have the variance 2/3, so the standard deviation should be the square root of 2/3 times the
depth (Luo et al. 2016, arXiv:1701.04128), while the window grows as the depth. Chapter 7 plots the record.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import math
import statistics
import time

import numpy as np
import torch
from torch import nn

from experiments.provenance import ROOT, provenance, write
from utils import data
from utils.receptive_field import Gaussian, effective, fit_gaussian, receptive_field

SIZE = (1, 1, 28, 28)
EPOCHS, BATCH_SIZE, PEAK = 1, 128, 4e-3  # Adam, one cycle
IMAGES = 128  # of the test set, to average the gradients over
DEPTHS, CHANNELS = (1, 2, 4, 8, 16, 32), 16
NETWORKS = 8  # of the same depth, whose maps are averaged: the theory is about the mean over initial weights


def network() -> nn.Sequential:
    """A convolution, a pooling, five convolutions, and a linear layer on all their outputs."""

    def convolution(given: int, made: int) -> list[nn.Module]:
        return [nn.Conv2d(given, made, 3, padding=1), nn.ReLU()]

    layers = [*convolution(1, 16), nn.MaxPool2d(2)]
    for _ in range(5):
        layers += convolution(16, 16)
    head = nn.Sequential(nn.Flatten(), nn.Linear(16 * 14 * 14, 10))
    model = nn.Sequential(nn.Sequential(*layers), head)
    return model.to(memory_format=torch.channels_last)  # a quarter faster on a CPU


def stack(depth: int, rectified: bool) -> nn.Sequential:
    """3×3 convolutions with He's initial weights, with or without rectifiers between them."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layer = nn.Conv2d(1 if i == 0 else CHANNELS, CHANNELS, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if rectified else "linear")
        layers += [layer, nn.ReLU()] if rectified else [layer]
    return nn.Sequential(*layers)


def tensors(dataset: data.Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as (N, 1, 28, 28) with mean about 0 and standard deviation about 1, and labels."""
    images = (dataset.images[:, None].astype(np.float32) / 255 - 0.286) / 0.353
    return torch.from_numpy(images), torch.from_numpy(dataset.labels)


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, seed: int) -> None:
    """Adam with one cycle of the learning rate; the seed sets the order of the samples."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters())
    steps = EPOCHS * math.ceil(len(images) / BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images), generator=generator).split(BATCH_SIZE):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        answers = torch.cat([model(part).argmax(dim=1) for part in images.split(1000)])
    return float((answers == labels).double().mean())


def look(model: nn.Module, images: torch.Tensor) -> dict:
    """The map of the center unit of the last convolution, and its bell."""
    map = effective(model, SIZE, layer="0", images=images, rng=np.random.default_rng(0))
    return {"map": [[round(float(v), 6) for v in row] for row in map], **bell(fit_gaussian(map))}


def bell(fit: Gaussian) -> dict:
    return {
        "sigma y": round(fit.sigma_y, 3),
        "sigma x": round(fit.sigma_x, 3),
        "center": [round(c, 2) for c in fit.center],
        "explained": round(fit.explained, 4),
    }


def before_and_after(seeds: range, full: data.Dataset, test: data.Dataset) -> list[dict]:
    """For each seed: map and bell with the initial and the trained weights, test accuracy, CPU seconds."""
    images, labels = tensors(full)
    test_images, test_labels = tensors(test)
    runs = []
    for seed in seeds:
        torch.manual_seed(seed)
        model, began = network(), time.process_time()
        run = {"seed": seed, "initial": look(model, test_images[:IMAGES])}
        train(model, images, labels, seed)
        run["trained"] = look(model, test_images[:IMAGES])
        run["test accuracy"] = round(accuracy(model, test_images, test_labels), 4)
        run["cpu seconds"] = round(time.process_time() - began, 1)
        runs.append(run)
        sigmas = [
            f"{run[when]['sigma y']:.2f} × {run[when]['sigma x']:.2f}" for when in ("initial", "trained")
        ]
        print(f"seed {seed}: sigma {sigmas[0]} -> {sigmas[1]}, {run['test accuracy']:.2%}", flush=True)
    return runs


def over_depth(seeds: range, rectified: bool) -> list[dict]:
    """For each depth: the window, sigma predicted, sigma of each seed (mean of rows and columns)."""
    rows = []
    for depth in DEPTHS:
        window, sigmas, explained = 2 * depth + 1, [], []
        for seed in seeds:
            torch.manual_seed(seed)
            size = (1, 1, window + 2, window + 2)
            rng = np.random.default_rng(seed)
            maps = [effective(stack(depth, rectified), size, samples=1, rng=rng) for _ in range(NETWORKS)]
            fit = fit_gaussian(np.mean(maps, axis=0))
            sigmas.append(round((fit.sigma_y + fit.sigma_x) / 2, 3))
            explained.append(round(fit.explained, 4))
        predicted = round(math.sqrt(2 * depth / 3), 3)
        rows.append(
            {
                "depth": depth,
                "window": window,
                "predicted": predicted,
                "sigma": sigmas,
                "explained": explained,
            }
        )
        print(f"depth {depth}: window {window}, predicted {predicted}, measured {sigmas}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--record", action="store_true", help="write the record")
    arguments = parser.parse_args()
    full, test = data.load(), data.load(split="test")
    if len(full) != 60_000:
        raise SystemExit(f"needs all of Fashion-MNIST, found {len(full):,} images from {full.source}")
    torch.set_num_threads(1)
    seeds = range(arguments.seeds)
    theory = receptive_field(network(), SIZE)["0"]
    stacks = {name: over_depth(seeds, name == "rectified") for name in ("linear", "rectified")}
    runs = before_and_after(seeds, full, test)
    for when in ("initial", "trained"):
        sigma = statistics.mean((run[when]["sigma y"] + run[when]["sigma x"]) / 2 for run in runs)
        share = 4 * sigma / theory.size[0]
        print(f"{when}: mean sigma {sigma:.2f} pixels, 4 sigma are {share:.0%} of the window")
    if arguments.record:
        record = provenance(
            f"python -m experiments.effective_receptive_field --seeds {arguments.seeds} --record",
            ("numpy", "torch"),
        )
        record |= {
            "data": f"Fashion-MNIST, {len(full):,} training images; maps averaged over {IMAGES} test images",
            "settings": {
                "epochs": EPOCHS,
                "batch size": BATCH_SIZE,
                "optimizer": f"Adam, one cycle to {PEAK:g}",
            },
            "window": {"size": theory.size[0], "jump": theory.jump[0], "units": theory.output[0]},
            "region": list(theory.window()),
            "runs": runs,
            "depth": {"channels": CHANNELS, "networks": NETWORKS, **stacks},
        }
        print(f"written to {write('effective_receptive_field', record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
