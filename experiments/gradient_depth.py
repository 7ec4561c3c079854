"""Gradients before the first step, by depth: plain and residual networks of 8 to 110 layers.

    python -m experiments.gradient_depth              measure and print, about a minute of CPU time
    python -m experiments.gradient_depth --record     and write experiments/results/gradient_depth.json

The networks, pictures and seeds are those of `experiments.degradation` at its small size, at depths that were
not trained as well. Recorded for each: the norm of the gradient in the weight of every convolution, from the
input on, and the norm of the weight.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse

import torch

from experiments.degradation import PROBE, SMALL, gradients
from experiments.provenance import ROOT, provenance, write
from utils import train
from utils.models.resnet import cifar_resnet

DEPTHS = (8, 14, 20, 32, 44, 56, 110)
KINDS = {"plain": None, "resnet": "A"}  # name -> shortcut
SEEDS = (0, 1, 2)


def measure(kind: str, depth: int, seed: int, images: torch.Tensor, labels: torch.Tensor) -> dict:
    """The norms in one untrained network."""
    torch.manual_seed(seed)
    model = cifar_resnet(depth, in_channels=1, width=SMALL["width"], shortcut=KINDS[kind])
    norms = gradients(model, images, labels)
    return {
        "network": f"{kind}{depth}",
        "seed": seed,
        "gradient": norms["gradient"],
        "weight": norms["weight"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write experiments/results/")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    train_set, _ = train.load("fashion-mnist", limit=SMALL["images"], device=torch.device("cpu"))
    train_set = train_set.resize(SMALL["side"])
    probe = train_set.normalize(train_set.images[:PROBE]), train_set.labels[:PROBE]
    runs = []
    for depth in DEPTHS:
        for kind in KINDS:
            for seed in SEEDS:
                runs.append(measure(kind, depth, seed, *probe))
                norms = runs[-1]["gradient"]
                ratio = sum(norms[:3]) / sum(norms[-3:])
                print(f"{kind:6} {depth:3} seed {seed}: first three layers / last three {ratio:,.1f}")
    if arguments.record:
        record = provenance("python -m experiments.gradient_depth --record", packages=("torch", "numpy")) | {
            "data": "Fashion-MNIST",
            "settings": {"width": SMALL["width"], "side": SMALL["side"], "images": PROBE},
            "runs": runs,
        }
        print(f"written to {write('gradient_depth', record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
