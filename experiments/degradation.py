"""Deeper and worse: plain-20 and plain-56, ResNet-20 and ResNet-56, trained alike.

    python -m experiments.degradation                     train what is not trained yet, print the table
    python -m experiments.degradation --seeds 0 --part depth     a part; two processes can share
    python -m experiments.degradation --record            and write experiments/results/degradation.json
    python -m experiments.degradation --full --record     full size, for a GPU: degradation_full.json

The question of He, Zhang, Ren and Sun (2015), section 4.2, at a size for one CPU core: their networks with 8
channels instead of 16, on 12,800 images of Fashion-MNIST of 14×14, 8 epochs of SGD with momentum. Recorded
for every run: training and test error after each epoch, the norms of gradients and weights in every layer
before and during training, and the test error when a block of the trained network is taken out. 800 steps
show how fast networks learn, not how well they do in the end; `--full` is for that.

Two more parts can be asked for, and have records of their own (`--part options --record` writes
degradation_options.json). `clip` trains plain-56 with the norm of the gradient limited to 1: is it the large
gradients of the first steps that harm it? `options` trains ResNet-20 with the shortcuts B and C (A is in
`depth`).

Each finished run is one line of _build/experiments/degradation.jsonl, so that a run that was broken off goes
on where it was. About 9 minutes of CPU time for each seed, 4 for the clipped network, 3 for the options.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import copy
import statistics
import time

import torch
from torch import nn

from experiments import runlog
from experiments.provenance import ROOT, provenance, write
from utils import train
from utils.models import build

DEPTH = ("plain20", "plain56", "resnet20", "resnet56")
PARTS = {"depth": DEPTH, "clip": ("plain56 clip",), "options": ("resnet20 B", "resnet20 C")}
CLIP = 1.0  # norm of all gradients together, at most
PROBE = 256  # training images on which gradients are measured
DELETED = (2, 4, 8)  # blocks taken out at once
SMALL = {"width": 8, "side": 14, "images": 12_800, "epochs": 8, "curve": 2_000, "probes": (1, 2, 4, 8)}
FULL = {"width": 16, "side": 28, "images": None, "epochs": 30, "curve": 10_000, "probes": (1, 5, 15, 30)}
SETTINGS = {"batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
SCHEDULE = {"schedule": "one-cycle", "warmup": 0.1}


def network(name: str, seed: int, width: int) -> nn.Module:
    """One of the networks of PARTS for gray pictures, with the initial weights of that seed."""
    torch.manual_seed(seed)
    kind, _, option = name.partition(" ")
    shortcut = {"shortcut": option} if option in ("B", "C") else {}
    return build(kind, in_channels=1, width=width, **shortcut)


def blocks(model: nn.Module) -> list[nn.Module]:
    """The blocks of all stages, from the input to the output."""
    return [block for stage in model.stages for block in stage]


def gradients(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, list[float]]:
    """Norms by depth: of the gradient of every convolution's weight, of the weight, and of the gradient with
    respect to the output of the stem and of every block (Frobenius norms; the loss is the mean of the batch).
    """
    model = copy.deepcopy(model).train()  # the running averages of the model itself stay as they are
    outputs: list[torch.Tensor] = []

    def keep(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    for module in (model.stem, *blocks(model)):
        module.register_forward_hook(keep)
    nn.functional.cross_entropy(model(images), labels).backward()
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
    return {
        "gradient": [rounded(weight.grad.norm()) for weight in weights],
        "weight": [rounded(weight.detach().norm()) for weight in weights],
        "signal": [rounded(output.grad.norm()) for output in outputs],
    }


def rounded(value) -> float:
    """Four digits."""
    return float(f"{float(value):.4g}")


def deletions(model: nn.Module, test_set, seed: int) -> dict[str, list]:
    """Test error when one block is replaced by the identity, for every block that keeps the shape; then when
    several are, drawn at random, three draws each.

    In a residual block the branch is taken out and the shortcut stays: max(0, 0 + x) = x, as x ≥ 0.
    """
    model = copy.deepcopy(model)
    places = [(s, b) for s, stage in enumerate(model.stages) for b in range(len(stage)) if s == 0 or b > 0]

    def without(chosen: list[tuple[int, int]]) -> float:
        kept = [(s, b, model.stages[s][b]) for s, b in chosen]
        for s, b in chosen:
            model.stages[s][b] = nn.Identity()
        error = 1 - train.evaluate(model, test_set)[1]
        for s, b, block in kept:
            model.stages[s][b] = block
        return rounded(error)

    draw = torch.Generator().manual_seed(seed)
    several = {}
    for count in DELETED:
        if count <= len(places):
            picks = [torch.randperm(len(places), generator=draw)[:count].tolist() for _ in range(3)]
            several[str(count)] = [without([places[i] for i in pick]) for pick in picks]
    return {
        "nothing": without([]),
        "block": [[s, b] for s, b in places],
        "one": [without([place]) for place in places],
        "several": several,
    }


def run(name: str, seed: int, size: dict, device: torch.device) -> dict:
    """Train one network and measure it."""
    began, began_cpu = time.perf_counter(), time.process_time()
    train_set, test_set = train.load("fashion-mnist", limit=size["images"], device=device)
    if size["side"] != 28:
        train_set, test_set = train_set.resize(size["side"]), test_set.resize(size["side"])
    model = network(name, seed, size["width"]).to(device)
    probe = train_set.normalize(train_set.images[:PROBE]), train_set.labels[:PROBE]
    norms = {"0": gradients(model, *probe)}

    def after_epoch(epoch: int, model: nn.Module, history: train.History) -> None:
        if epoch + 1 in size["probes"]:
            norms[str(epoch + 1)] = gradients(model, *probe)

    clip = {"clip": CLIP} if name.endswith("clip") else {}
    settings = train.Settings(epochs=size["epochs"], seed=seed, **SETTINGS, **SCHEDULE, **clip)
    history = train.fit(
        model, train_set, test_set[: size["curve"]], settings, after_epoch=after_epoch, progress=False
    )
    seen, unseen = train.evaluate(model, train_set), train.evaluate(model, test_set)
    return {
        "network": name,
        "seed": seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "train error": rounded(1 - seen[1]),
        "test error": rounded(1 - unseen[1]),
        "train loss": rounded(seen[0]),
        "curves": {  # by epoch: running training error, error on the first test images
            "train error": [rounded(1 - a) for a in history.train_accuracy],
            "test error": [rounded(1 - a) for a in history.test_accuracy],
            "train loss": [rounded(loss) for loss in history.train_loss],
        },
        "norms": norms,
        "deleted": deletions(model, test_set[:1000], seed),
        "cpu seconds": round(time.process_time() - began_cpu, 1),
        "seconds": round(time.perf_counter() - began, 1),
    }


def finished(log) -> dict[tuple[str, int], dict]:
    """The runs that the log holds, by network and seed."""
    return {(entry["network"], entry["seed"]): entry for entry in runlog.entries(log)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which ones")
    parser.add_argument("--part", choices=tuple(PARTS), nargs="+", default=["depth"])
    parser.add_argument("--full", action="store_true", help="16 channels, 28×28, all images, 30 epochs")
    parser.add_argument("--tiny", action="store_true", help="one epoch on 640 images, to try the program")
    parser.add_argument("--finished", action="store_true", help="train no more, use what the log has")
    parser.add_argument("--record", action="store_true", help="write experiments/results/")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    title = "degradation" + "_full" * arguments.full + "_tiny" * arguments.tiny
    size = FULL if arguments.full else SMALL
    if arguments.tiny:
        size = size | {"images": 640, "epochs": 1, "probes": (1,)}
    log = ROOT / "_build" / "experiments" / f"{title}.jsonl"
    device = train.pick_device()
    names = [name for part in arguments.part for name in PARTS[part]]
    for seed in arguments.seeds:
        for name in names:
            if (name, seed) in finished(log) or arguments.finished:
                continue
            result = run(name, seed, size, device)
            runlog.append(log, result)
            print(
                f"{name:13} seed {seed}: training error {result['train error']:.2%}, "
                f"test error {result['test error']:.2%}, {result['cpu seconds']:.0f} CPU seconds",
                flush=True,
            )
    runs = finished(log)
    for name in names:
        tests = [run["test error"] for (kind, seed), run in runs.items() if kind == name]
        trains = [run["train error"] for (kind, seed), run in runs.items() if kind == name]
        if tests:
            spread = statistics.stdev(tests) if len(tests) > 1 else 0
            print(f"{name:13} training {statistics.mean(trains):.2%}, ", end="")
            print(f"test {statistics.mean(tests):.2%} ± {spread:.2%} over {len(tests)} seeds")
    if arguments.record:
        parts = arguments.part
        command = "python -m experiments.degradation"
        command += f" --part {' '.join(parts)}" * (parts != ["depth"])
        command += " --full" * arguments.full + " --record"
        record = provenance(command, packages=("torch", "numpy")) | {
            "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
            "data": "Fashion-MNIST",
            "settings": {key: list(v) if isinstance(v, tuple) else v for key, v in size.items()}
            | SETTINGS
            | SCHEDULE,
            "runs": [runs[name, seed] for name in names for seed in arguments.seeds if (name, seed) in runs],
        }
        path = write(title if "depth" in parts else "_".join([title, *parts]), record)
        print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
