"""Does ReLU train six times faster than tanh? What do response normalization and overlapping pooling buy?

    python -m experiments.early_networks                  train what is not trained yet, print the tables
    python -m experiments.early_networks --part ablation  one of the two parts (activations, ablation)
    python -m experiments.early_networks --record         and write experiments/results/early_networks.json
    python -m experiments.early_networks --full --record  full size, for a GPU: early_networks_full.json

Two claims of Krizhevsky, Sutskever and Hinton (2012), redone in small on Fashion-MNIST.

activations   Section 3.1 of the paper: a network of four layers (three convolutions, each with overlapping
              max pooling, and a dense layer) with ReLU, tanh or sigmoid, SGD with momentum, constant learning
              rate, no regularization. For each activation the rate whose training error falls fastest
              is chosen on a seed of its own, then three other seeds are trained. Twice: with initial weights
              scaled to the activation, and with a standard deviation of 0.01 (and biases of 0).
ablation      Sections 3.3 and 3.4: two convolutions and two dense layers, with or without local response
              normalization and overlapping pooling. "as printed" is the paper's alpha of 1e-4 on inputs of
              standard deviation 1, where the sum of squares is small; "strong" is an alpha 10,000 times
              larger: the same as inputs and activations 100 times larger, as with pixels from 0 to 255.

In small: 6,400 images of 14×14, 8 epochs (activations) or 6 (ablation). Each finished run is one line of
_build/experiments/early_networks.jsonl, so that a run that was broken off goes on where it was. About 5
minutes of CPU time in all; --full takes hours on a processor, and minutes on a GPU.
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

from experiments import runlog
from experiments.provenance import ROOT, provenance, write
from utils import train

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
GAINS = {"relu": 2**0.5, "tanh": 1.0, "sigmoid": 4.0}  # standard deviation · sqrt(fan-in)
RATES = {  # learning rates to choose from: start -> activation -> rates
    "scaled": {
        "relu": (0.003, 0.01, 0.03, 0.1),
        "tanh": (0.03, 0.1, 0.3),
        "sigmoid": (0.03, 0.1, 0.3),
    },
    "0.01": {"relu": (0.05, 0.1, 0.2), "tanh": (0.05, 0.1, 0.2)},
}
THRESHOLDS = (0.25, 0.20, 0.15)  # training errors to reach
CHOOSING_SEED = 100
VARIANTS = {  # response normalization (alpha, or None), overlapping pooling
    "neither": (None, False),
    "overlapping pooling": (None, True),
    "normalization as printed": (1e-4, False),
    "normalization, strong": (1.0, False),
}
SMALL = {"side": 14, "images": (6_400, 6_400), "epochs": (8, 6)}
FULL = {"side": 28, "images": (None, None), "epochs": (15, 20)}


class ResponseNorm(nn.Module):
    """x / (2 + alpha · sum of x² over 5 neighboring channels)^0.75, several times faster than PyTorch's.

    The sum over the channels is a 1×1 convolution of the squares with a matrix of zeros and ones.
    """

    def __init__(self, channels: int, alpha: float):
        super().__init__()
        self.alpha, distance = alpha, torch.arange(channels)[:, None] - torch.arange(channels)
        self.register_buffer("band", (distance.abs() <= 2).float()[:, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        root = torch.rsqrt(2 + self.alpha * nn.functional.conv2d(x * x, self.band))  # power -1/2
        return x * root * root.sqrt()


def four_layers(activation: str, start: str, seed: int, side: int) -> nn.Sequential:
    """Three convolutions with overlapping pooling, and a dense layer; `start`: how the weights are drawn."""
    act, last = ACTIVATIONS[activation], -(-side // 8)  # each pooling rounds up
    layers: list[nn.Module] = []
    for C, K, k in ((1, 16, 5), (16, 32, 5), (32, 32, 3)):
        layers += [nn.Conv2d(C, K, k, padding=k // 2), act(), nn.MaxPool2d(3, stride=2, padding=1)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * last**2, 10))
    torch.manual_seed(seed)
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            fan_in = layer.weight[0].numel()
            std = 0.01 if start == "0.01" else GAINS[activation] / fan_in**0.5
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
    return model


def small_alexnet(variant: str, seed: int, side: int) -> nn.Sequential:
    """Two convolutions, each with ReLU, normalization if any and pooling, and two dense layers."""
    alpha, overlapping = VARIANTS[variant]
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for C, K in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(C, K, 5, padding=2), nn.ReLU()]
        if alpha is not None:
            layers.append(ResponseNorm(K, alpha))
        kernel_size, padding = (3, 1) if overlapping else (2, 0)
        layers.append(nn.MaxPool2d(kernel_size, stride=2, padding=padding, ceil_mode=not overlapping))
        side = -(-side // 2)
    layers += [nn.Flatten(), nn.Linear(32 * side**2, 64), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*layers)


def activation_run(activation: str, start: str, lr: float, seed: int, size: dict, device) -> dict:
    """The training error after each epoch: the mean over the epoch, while it is trained."""
    train_set, _ = train.load(limit=size["images"][0], device=device)
    model = four_layers(activation, start, seed, size["side"]).to(device)
    settings = train.Settings(
        epochs=size["epochs"][0],
        optimizer="sgd",
        lr=lr,
        momentum=0.9,
        schedule="constant",
        warmup=0,
        seed=seed,
    )
    try:
        history = train.fit(model, train_set.resize(size["side"]), settings=settings, progress=False)
    except train.NotFiniteError:
        return {"train error": None}
    return {"train error": [round(1 - a, 4) for a in history.train_accuracy]}


def ablation_run(variant: str, seed: int, size: dict, device) -> dict:
    """Train one variant, and test it once, at the end, on all test images."""
    train_set, test_set = train.load(limit=size["images"][1], device=device)
    train_set, test_set = train_set.resize(size["side"]), test_set.resize(size["side"])
    model = small_alexnet(variant, seed, size["side"]).to(device)
    settings = train.Settings(epochs=size["epochs"][1], optimizer="sgd", lr=0.05, momentum=0.9, seed=seed)
    train.fit(model, train_set, settings=settings, progress=False)
    seen, unseen = train.evaluate(model, train_set)[1], train.evaluate(model, test_set)[1]
    return {"train error": round(1 - seen, 4), "test error": round(1 - unseen, 4)}


def epochs_to(curve: list[float] | None, threshold: float) -> float | None:
    """Epochs until the training error falls below the threshold, between epochs on a straight line.

    The mean over an epoch stands for its middle. None: not reached.
    """
    if curve is None:
        return None
    before = (0.0, 0.9)  # ten classes, nothing learned
    for epoch, error in enumerate(curve):
        after = (epoch + 0.5, error)
        if error <= threshold:
            share = (before[1] - threshold) / (before[1] - error)
            return round(before[0] + share * (after[0] - before[0]), 2)
        before = after
    return None


# --- many runs ---------------------------------------------------------------------------------------


class Log:
    """Finished runs, one a line, by a key that says all about them."""

    def __init__(self, name: str):
        self.path = ROOT / "_build" / "experiments" / f"{name}.jsonl"
        self.done = {entry["key"]: entry["result"] for entry in runlog.entries(self.path)}

    def run(self, function, *what) -> dict:
        """The result from the log, or a new one, which is written there. `what` ends with size and device."""
        key = json.dumps([function.__name__, *what[:-1]])
        if key not in self.done:
            start = time.process_time()
            result = function(*what) | {"seconds": round(time.process_time() - start, 1)}
            self.done[key] = result
            runlog.append(self.path, {"key": key, "result": result})
            print(*what[:-2], result, flush=True)
        return self.done[key]


def speed(result: dict) -> tuple[float, float]:
    """How a learning rate is judged, smaller is better: epochs to the hardest threshold, then the error."""
    epochs = epochs_to(result["train error"], THRESHOLDS[-1])
    return (epochs or float("inf"), (result["train error"] or [1.0])[-1])


def activations(log: Log, seeds: range, size: dict, device) -> dict:
    """start -> activation -> chosen learning rate, what the others gave, curves, epochs to the thresholds."""
    table: dict = {}
    for start, rows in RATES.items():
        for activation, rates in rows.items():
            tried = {
                lr: log.run(activation_run, activation, start, lr, CHOOSING_SEED, size, device)
                for lr in rates
            }
            best = min(rates, key=lambda lr: speed(tried[lr]))
            runs = [log.run(activation_run, activation, start, best, seed, size, device) for seed in seeds]
            curves = [run["train error"] for run in runs]
            reached = {str(t): [epochs_to(curve, t) for curve in curves] for t in THRESHOLDS}
            table.setdefault(start, {})[activation] = {
                "lr": best,
                "tried": {str(lr): result["train error"] for lr, result in tried.items()},
                "train error": curves,
                "epochs to": reached,
                "seconds": [run["seconds"] for run in runs],
            }
            print(f"{start:7}{activation:8} lr {best}: epochs to", reached, flush=True)
    return table


def ablation(log: Log, seeds: range, size: dict, device) -> dict:
    """variant -> training and test errors, one for each seed."""
    runs = {
        (variant, seed): log.run(ablation_run, variant, seed, size, device)
        for seed in seeds
        for variant in VARIANTS
    }
    table = {}
    for variant in VARIANTS:
        row = {
            key: [runs[variant, seed][key] for seed in seeds]
            for key in ("train error", "test error", "seconds")
        }
        table[variant] = row
        mean, spread = statistics.mean(row["test error"]), statistics.pstdev(row["test error"])
        print(f"{variant:26} test error {mean:.2%} ± {spread:.2%}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    parser.add_argument("--part", choices=("activations", "ablation"), help="only this part")
    parser.add_argument("--full", action="store_true", help="28×28, all 60,000 images: for a GPU")
    parser.add_argument("--quick", action="store_true", help="one epoch of few images, to see that it runs")
    parser.add_argument("--record", action="store_true", help="write the results")
    arguments = parser.parse_args()
    if arguments.record and (arguments.part or arguments.quick):
        parser.error("--record needs both parts at full length: leave out --part and --quick")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    size, name = (FULL, "early_networks_full") if arguments.full else (SMALL, "early_networks")
    if arguments.quick:
        size, name = size | {"images": (640, 640), "epochs": (1, 1)}, f"{name}_quick"
    device, seeds, log = train.pick_device(), range(arguments.seeds), Log(name)
    parts = {"activations": activations, "ablation": ablation}
    wanted = [arguments.part] if arguments.part else list(parts)
    results = {part: parts[part](log, seeds, size, device) for part in wanted}
    if arguments.record:
        watched = ("utils/*.py", "utils/train", "experiments/*.py")
        flags = " --full" if arguments.full else ""
        command = f"python -m experiments.early_networks --seeds {arguments.seeds}{flags} --record"
        record = provenance(command, packages=("torch", "numpy"), watched=watched)
        record |= {
            "device": str(device),
            "data": "Fashion-MNIST",
            "size": size,
            "seeds": list(seeds),
            **results,
        }
        print(f"written to {write(name, record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
