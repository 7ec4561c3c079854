"""One small residual network, its blocks exchanged for the ideas of chapter 16: who pays for what?

    python -m experiments.after_resnet                train what is not trained yet, print the table
    python -m experiments.after_resnet --record       and write experiments/results/after_resnet.json
    python -m experiments.after_resnet --full         pictures of 28×28, all of them, longer: for a GPU
    python -m experiments.after_resnet --full --tiny  a trial of --full in miniature: does it run?

The body is the same for all: a 3×3 stem of stride 2, a stage, a 3×3 convolution of stride 2 that doubles
the channels, a stage, global average pooling, a dense layer. A stage is two blocks that keep the shape, and
the block is what changes. As controls, the plain residual network also comes narrower and wider: with their
points as a line, one sees whether a block gives more than its parameters or multiply-adds do anyway.

Budget, the same for all: 6,000 images of Fashion-MNIST, averaged to 14×14, three epochs in batches of 64,
Adam with one cycle. A seed sets the initial weights and the order of the images. Each network is tested
once, at the end, on the 10,000 test images. Nothing was tuned for any of the blocks. The last network came
after the others had been seen: is it the scale of its branches, which starts at a millionth, that holds
ConvNeXt back?

Each finished run is one line of _build/experiments/after_resnet.jsonl, so that what was broken off goes on
where it was. About eight minutes of CPU time on one core; --full some hours of a GPU at most.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments import runlog
from experiments.provenance import ROOT, provenance, write
from utils import train
from utils.cost import cost
from utils.models.attention import CBAM, SqueezeExcitation
from utils.models.convnext import Block as ConvNeXtBlock
from utils.models.densenet import DenseBlock
from utils.models.ghostnet import GhostBottleneck
from utils.models.mobilenet_v1 import separable
from utils.models.mobilenet_v2 import InvertedResidual
from utils.models.parts import conv_norm
from utils.models.resnet import StochasticDepth

LOG = ROOT / "_build" / "experiments" / "after_resnet.jsonl"


@dataclass(frozen=True)
class Size:
    """How large the experiment is."""

    name: str = "small"
    images: int | None = 6_000  # None: all
    side: int = 14
    width: int = 24  # channels of the first stage
    blocks: int = 2  # in each stage
    epochs: int = 3
    batch_size: int = 64
    lr: float = 4e-3


SMALL = Size()
FULL = Size("full", None, 28, 64, 3, 20, 256, 4e-3)
TINY = Size("tiny", 512, 28, 8, 1, 1, 128, 4e-3)


class Residual(nn.Module):
    """relu(x + branch(x))."""

    def __init__(self, *branch: nn.Module):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.branch(x))


def two(C: int) -> tuple[nn.Module, nn.Module]:
    """The branch of a basic block: 3×3, ReLU, 3×3, each with batch normalization."""
    return conv_norm(C, C), conv_norm(C, C, activation=None)


def dense_stage(C: int, blocks: int) -> nn.Sequential:
    """Two dense layers for each block, C/2 new maps each, then a 1×1 convolution back to C maps."""
    block = DenseBlock(2 * blocks, C, C // 2, bottleneck=False, dropout=0.0)
    return nn.Sequential(
        block, nn.BatchNorm2d(block.out_channels), nn.ReLU(), conv_norm(block.out_channels, C, 1)
    )


def stochastic_stage(C: int, blocks: int) -> nn.Sequential:
    """Each branch survives a training step with probability 0.8."""
    return nn.Sequential(*(Residual(*two(C), StochasticDepth(0.8)) for _ in range(blocks)))


BLOCKS: dict[str, Callable[[int], nn.Module]] = {
    "residual": lambda C: Residual(*two(C)),
    "+ SE": lambda C: Residual(*two(C), SqueezeExcitation(C, reduction=4)),
    "+ CBAM": lambda C: Residual(*two(C), CBAM(C, reduction=4)),
    "grouped": lambda C: Residual(
        conv_norm(C, 3 * C, 1), conv_norm(3 * C, 3 * C, groups=8), conv_norm(3 * C, C, 1, activation=None)
    ),
    "separable": lambda C: Residual(
        *separable(C, C), conv_norm(C, C, groups=C), conv_norm(C, C, 1, activation=None)
    ),
    "inverted": lambda C: InvertedResidual(C, C, stride=1, expansion=6),
    "ghost": lambda C: GhostBottleneck(C, 6 * C, C, kernel_size=3, stride=1, squeeze=False),
    "ConvNeXt": lambda C: ConvNeXtBlock(C),
    "ConvNeXt, scale 1": lambda C: ConvNeXtBlock(C, layer_scale=1.0),
}
STAGES = {"stochastic depth": stochastic_stage, "dense": dense_stage}

# name -> (kind of stage, width relative to the others')
NETWORKS: dict[str, tuple[str, float]] = {
    "residual": ("residual", 1),
    "residual, narrow": ("residual", 1 / 2),
    "residual, wide": ("residual", 3 / 2),
    **{name: (name, 1) for name in ("+ SE", "+ CBAM", "stochastic depth", "dense", "grouped")},
    **{name: (name, 1) for name in ("separable", "inverted", "ghost", "ConvNeXt")},
    "ConvNeXt, scale 1": ("ConvNeXt, scale 1", 1),  # branches that count from the first step
}


def network(name: str, size: Size = SMALL) -> nn.Sequential:
    """Stem, stage, half the size with twice the channels, stage, global average pooling, dense layer."""
    kind, factor = NETWORKS[name]
    C = int(size.width * factor)

    def stage(C: int) -> nn.Sequential:
        if kind in STAGES:
            return STAGES[kind](C, size.blocks)
        return nn.Sequential(*(BLOCKS[kind](C) for _ in range(size.blocks)))

    return nn.Sequential(
        conv_norm(1, C, stride=2),
        stage(C),
        conv_norm(C, 2 * C, stride=2),
        stage(2 * C),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * C, 10)),
    )


def run(name: str, seed: int, size: Size, sets: tuple) -> dict:
    """One training: test accuracy and CPU seconds."""
    torch.manual_seed(seed)
    model = network(name, size).to(sets[0].images.device)
    settings = train.Settings(epochs=size.epochs, batch_size=size.batch_size, lr=size.lr, seed=seed)
    began = time.process_time()
    train.fit(model, sets[0], settings=settings, progress=False)
    seconds = time.process_time() - began
    loss, accuracy = train.evaluate(model, sets[1])
    return {"test accuracy": accuracy, "test loss": round(loss, 4), "cpu seconds": round(seconds, 1)}


def finished(size: Size) -> dict[tuple[str, int], dict]:
    """The runs that the log has for this size."""
    done = {}
    for entry in runlog.entries(LOG):
        if entry["size"] == str(size):
            done[entry["name"], entry["seed"]] = entry["run"]
    return done


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--full", action="store_true", help="full size, for a GPU")
    parser.add_argument("--tiny", action="store_true", help="the smallest size, to try whether it runs")
    parser.add_argument("--record", action="store_true", help="write the record")
    arguments = parser.parse_args()
    size = TINY if arguments.tiny else FULL if arguments.full else SMALL
    device = train.pick_device() if arguments.full else torch.device("cpu")
    if device.type == "cpu":
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sets = train.load("fashion-mnist", limit=size.images, device=device)
    if len(sets[1]) != 10_000 and not arguments.tiny:
        raise SystemExit(f"needs all of Fashion-MNIST, found {len(sets[1]):,} test images")
    if size.side != 28:
        sets = tuple(part.resize(size.side) for part in sets)
    done, table = finished(size), {}
    for seed in range(arguments.seeds):
        for name in NETWORKS:
            if (name, seed) in done:
                continue
            done[name, seed] = run(name, seed, size, sets)
            entry = {"size": str(size), "name": name, "seed": seed, "run": done[name, seed]}
            runlog.append(LOG, entry)
            print(f"{name}, seed {seed}: {done[name, seed]}", flush=True)
    for name in NETWORKS:
        runs = [done[name, seed] for seed in range(arguments.seeds)]
        total = cost(network(name, size), (1, 1, size.side, size.side)).total
        table[name] = {key: [run[key] for run in runs] for key in runs[0]}
        table[name] |= {"parameters": total.parameters, "multiply-adds": total.multiply_adds}
        right = table[name]["test accuracy"]
        spread = statistics.stdev(right) if len(right) > 1 else 0.0
        print(
            f"{name:18}{total.parameters:9,} parameters {total.multiply_adds / 1e6:7.2f} M multiply-adds"
            f"  {statistics.mean(right):.2%} ± {spread:.2%}"
        )
    if arguments.record:
        full = " --full" if arguments.full else ""
        record = provenance(
            f"python -m experiments.after_resnet{full} --seeds {arguments.seeds} --record",
            packages=("torch", "numpy"),
        ) | {
            "data": f"Fashion-MNIST, {len(sets[0]):,} training and {len(sets[1]):,} test images, "
            f"{size.side}×{size.side}",
            "device": str(device),
            "settings": {
                "epochs": size.epochs,
                "batch size": size.batch_size,
                "optimizer": f"Adam, one cycle, highest rate {size.lr:g}",
                "width": size.width,
                "blocks in a stage": size.blocks,
            },
            "seeds": list(range(arguments.seeds)),
            "runs": table,
        }
        name = "after_resnet" if size is SMALL else f"after_resnet_{size.name}"
        print(f"written to {write(name, record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
