"""What do the branches of an Inception module, its reductions and the auxiliary heads buy?

    python -m experiments.inception_branches             train what is not trained yet, print the table
    python -m experiments.inception_branches --record    and write experiments/results/inception_branches.json
    python -m experiments.inception_branches --full      the same, larger, on all images: for a GPU

Two questions on Fashion-MNIST. *Branches*: a small network with three Inception modules; then each module
has one branch alone (widened until the network has as many parameters again), or all branches without the
1×1 layers that reduce (and narrower, for the same reason). *Heads*: GoogLeNet itself, 22 layers deep and an
eighth as wide (57 convolutions), with and without its two auxiliary heads, for two ways to start, PyTorch's
own initial weights and He's, and with --full for He's with batch normalization, too; response normalization
and dropout left out.

Within a question everything else is alike: images, batches, optimizer, learning rates. The seed sets initial
weights and the order of the images. The test set is looked at once, after the training.

Each finished run is one line of _build/experiments/inception_branches.jsonl: a run that was broken off goes
on where it was. About four minutes of CPU time on one core; with --full some minutes on a GPU. --images and
--epochs make it smaller to try it out; what they change is said in the record. Chapter 14 plots the record.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from experiments import runlog
from experiments.provenance import ROOT, provenance, write
from utils import train
from utils.cost import cost
from utils.models import build
from utils.models.googlenet import ConvUnit, Inception, NaiveInception

LOG = ROOT / "_build" / "experiments" / "inception_branches.jsonl"
CHANNELS = (16, 24, 32, 8, 16, 16)  # 1×1; 1×1, 3×3; 1×1, 5×5; 1×1 behind the pooling
STARTS = ("PyTorch's start", "He's start", "batch normalization")
BRANCHES = ("all branches", "1×1 alone", "3×3 alone", "5×5 alone", "pooling alone", "no reductions")


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the experiment is."""

    images: int = 5_000
    epochs: int = 2
    width: float = 1.0  # of the network with three modules
    deep_images: int = 4_000
    deep_epochs: int = 2
    deep_width: float = 0.125  # of GoogLeNet
    deep_side: int = 14  # pictures are made smaller for it
    starts: tuple[str, ...] = STARTS[:2]


SMALL = Size()
FULL = Size(60_000, 20, 4.0, 60_000, 20, 0.25, 28, STARTS)


# --- networks ----------------------------------------------------------------------------------------


def module(kind: str, C: int, width: float) -> tuple[nn.Module, int]:
    """One module of a kind for C channels, and the channels that come out."""
    c1, r3, c3, r5, c5, pool = (max(1, round(width * c)) for c in CHANNELS)
    K = max(1, round(width * (CHANNELS[0] + CHANNELS[2] + CHANNELS[4] + CHANNELS[5])))
    if kind == "all branches":
        return Inception(C, c1, r3, c3, r5, c5, pool), c1 + c3 + c5 + pool
    if kind == "no reductions":
        return NaiveInception(C, c1, c3, c5, batch_norm=True), c1 + c3 + c5 + C
    one = {"kernel_size": 1}
    if kind == "1×1 alone":
        return ConvUnit(C, K, **one), K
    if kind == "pooling alone":
        return nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), ConvUnit(C, K, **one)), K
    reduce, kernel = {"3×3 alone": (round(K * 24 / 32), 3), "5×5 alone": (round(K * 8 / 16), 5)}[kind]
    inside = max(1, reduce)
    large = ConvUnit(inside, K, kernel_size=kernel, padding=kernel // 2)
    return nn.Sequential(ConvUnit(C, inside, **one), large), K


class ThreeModules(nn.Module):
    """Stem to 16 maps of 7×7, three modules, global average pooling, dense layer."""

    def __init__(self, kind: str, width: float, stem: int = 16):
        super().__init__()
        self.stem = nn.Sequential(ConvUnit(1, stem, kernel_size=5, stride=2, padding=2), nn.MaxPool2d(2))
        modules, C = [], stem
        for _ in range(3):
            made, C = module(kind, C, width)
            modules.append(made)
        self.modules3 = nn.Sequential(*modules)
        self.fc = nn.Linear(C, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.modules3(self.stem(x)).mean(dim=(2, 3)))


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def of_equal_size(kind: str, width: float) -> ThreeModules:
    """The network of that kind whose parameters are nearest to those of `all branches` at this width."""
    if kind == "all branches":
        return ThreeModules(kind, width)
    with torch.device("meta"):
        goal = count(ThreeModules("all branches", width))
        widths = [width * i / 200 for i in range(20, 800)]
        best = min(widths, key=lambda w: abs(count(ThreeModules(kind, w)) - goal))
    return ThreeModules(kind, best)


def deep(start: str, heads: bool, width: float) -> nn.Module:
    """GoogLeNet of 2014, narrow, without response normalization and dropout."""
    norm = start == "batch normalization"
    options = {"batch_norm": norm, "dropout": 0.0, "aux_dropout": 0.0, "aux": heads, "width": width}
    model = build("googlenet2014", num_classes=10, in_channels=1, small=True, **options)
    model.norm1 = model.norm2 = nn.Identity()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if start == "PyTorch's start":
                layer.reset_parameters()
            elif norm:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model


# --- runs --------------------------------------------------------------------------------------------


def settings(size: Size) -> dict[str, tuple[str, Callable[[], nn.Module]]]:
    """name -> (question, what makes the network)."""
    rows = {kind: ("branches", lambda kind=kind: of_equal_size(kind, size.width)) for kind in BRANCHES}
    for start in size.starts:
        for heads, word in ((False, "no heads"), (True, "heads")):
            make = lambda s=start, h=heads: deep(s, h, size.deep_width)  # noqa: E731
            rows[f"{start}, {word}"] = ("heads", make)
    return rows


def recipe(question: str, size: Size, seed: int) -> train.Settings:
    if question == "branches":
        return train.Settings(epochs=size.epochs, batch_size=100, optimizer="adam", lr=4e-3, seed=seed)
    return train.Settings(epochs=size.deep_epochs, batch_size=50, optimizer="adam", lr=2e-3, seed=seed)


def run(name: str, size: Size, seed: int, data: dict) -> dict:
    """Train one network; what came out."""
    question, make = settings(size)[name]
    training, test = data[question]
    torch.manual_seed(seed)
    model = make().to(training.images.device)
    began = time.process_time()
    history = train.fit(model, training, settings=recipe(question, size, seed), progress=False)
    seconds = time.process_time() - began
    loss, accuracy = train.evaluate(model, test)
    return {
        "test accuracy": round(accuracy, 4),
        "test loss": round(loss, 4),
        "train loss": [round(x, 4) for x in history.train_loss],
        "cpu seconds": round(seconds, 1),
    }


def finished() -> dict[str, dict]:
    """The results of the log, by key."""
    return {entry["key"]: entry["result"] for entry in runlog.entries(LOG)}


def load(size: Size, device: torch.device) -> dict:
    """question -> (training images, test images)."""
    data = {}
    for question, images, side in (
        ("branches", size.images, 28),
        ("heads", size.deep_images, size.deep_side),
    ):
        parts = train.load("fashion-mnist", limit=None if images >= 60_000 else images, device=device)
        data[question] = tuple(part if side == 28 else part.resize(side) for part in parts)
    return data


def summarize(name: str, size: Size, results: list[dict]) -> dict:
    question, make = settings(size)[name]
    side = 28 if question == "branches" else size.deep_side
    with torch.device("meta"):
        model = make().eval()  # without heads: what the network is in use
    if getattr(model, "aux1", None) is not None:
        model.aux1 = model.aux2 = None
    total = cost(model, (1, 1, side, side)).total
    return {
        "parameters": total.parameters,
        "multiply-adds": total.multiply_adds,
        **{key: [result[key] for result in results] for key in results[0]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="all images, wider networks: for a GPU")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    parser.add_argument("--images", type=int, help="training images, instead of the size's own number")
    parser.add_argument("--epochs", type=int, help="epochs, instead of the size's own number")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one, with --full)")
    parser.add_argument("--record", action="store_true", help="write the record")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    size = FULL if arguments.full else SMALL
    for name in ("images", "epochs"):
        if (value := getattr(arguments, name)) is not None:
            size = dataclasses.replace(size, **{name: value, f"deep_{name}": value})
    device = train.pick_device(arguments.device or (None if arguments.full else "cpu"))
    data, done = load(size, device), finished()
    runs = {name: [] for name in settings(size)}
    for seed in range(arguments.seeds):
        for name, results in runs.items():
            key = f"{name}, seed {seed}, {size}"
            if key not in done:
                done[key] = run(name, size, seed, data)
                runlog.append(LOG, {"key": key, "result": done[key]})
            results.append(done[key])
            got = done[key]
            print(
                f"{name:32} seed {seed}: {got['test accuracy']:.2%}, {got['cpu seconds']:.0f} s", flush=True
            )
    summary = {name: summarize(name, size, results) for name, results in runs.items()}
    for name, row in summary.items():
        mean, spread = statistics.mean(row["test accuracy"]), 0.0
        if arguments.seeds > 1:
            spread = statistics.stdev(row["test accuracy"])
        print(
            f"{name:32} {row['parameters']:8,} parameters {row['multiply-adds']:11,} multiply-adds,",
            f"{mean:.2%} ± {spread:.2%}",
        )
    if arguments.record:
        options = "".join(
            f" --{name} {value}"
            for name in ("images", "epochs")
            if (value := getattr(arguments, name)) is not None
        )
        command = f"python -m experiments.inception_branches{' --full' * arguments.full}{options}"
        record = provenance(f"{command} --seeds {arguments.seeds} --record", packages=("torch", "numpy")) | {
            "data": ", ".join(
                f"{question}: {len(parts[0]):,} training and {len(parts[1]):,} test images of Fashion-MNIST"
                for question, parts in data.items()
            ),
            "device": str(device),
            "size": dataclasses.asdict(size),
            "settings": {
                question: dataclasses.asdict(recipe(question, size, 0)) for question in ("branches", "heads")
            },
            "seeds": list(range(arguments.seeds)),
            "branches": {name: summary[name] for name in BRANCHES},
            "heads": {name: row for name, row in summary.items() if name not in BRANCHES},
        }
        name = "inception_branches_full" if arguments.full else "inception_branches"
        print(f"written to {write(name, record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
