"""What does an epoch cost? `utils.train` beside the d2l package's trainer and the usual DataLoader loop.

    python -m benchmarks.training                 measure and print, about ten minutes on one core
    python -m benchmarks.training --record        and write benchmarks/results/training.json
    python -m benchmarks.training --full          on a GPU: ResNet-18 in bf16, samples a second

Three ways to train the same LeNet (sigmoids, average pooling, as in d2l) for one epoch of Fashion-MNIST with
SGD in batches of 128 and to test it, in turns in one process. Then the pieces, each against its alternative,
in milliseconds a batch: these decide what "auto" means in `utils.train`. The clock is CPU time, that of
worker processes included; the clock on the wall is recorded beside it. A number is the median over the
rounds.

The peer: pip install --no-deps --target SOMEWHERE d2l==1.0.3, then PYTHONPATH=SOMEWHERE before the command.
Without it, the two others are measured. Packages that d2l imports and its trainer does not use (gym, pandas,
scipy) are replaced by empty ones where they are missing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import io
import json
import os
import resource
import statistics
import struct
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Subset

from experiments.provenance import processor
from experiments.provenance import provenance as recorded
from utils import data, train
from utils.cost import cost
from utils.models import build
from utils.table import Table
from utils.train.loop import Run

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results" / "training.json"
PLAIN = train.Settings(epochs=1, batch_size=128, optimizer="sgd", momentum=0.0, lr=0.1, schedule="constant")
Clock = tuple[float, float]  # CPU seconds, wall seconds


def now() -> Clock:
    """CPU time of this process and of its finished workers, and the clock on the wall."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage), time.perf_counter()


def timed(function: Callable[[], object]) -> Clock:
    """CPU and wall seconds of one call."""
    start = now()
    function()
    end = now()
    return end[0] - start[0], end[1] - start[1]


def in_turns(functions: dict[str, Callable], rounds: int, seconds: float = 0.0) -> dict[str, Clock]:
    """Name -> median (CPU, wall) seconds of a call; each round calls all, at least `seconds` long each."""
    once = {name: timed(function) for name, function in functions.items()} if seconds else {}
    repeats = {
        name: max(1, round(seconds / max(once[name][1], 1e-6))) if seconds else 1 for name in functions
    }
    times: dict[str, list[Clock]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            cpu, wall = timed(lambda f=function, n=name: [f() for _ in range(repeats[n])])
            times[name].append((cpu / repeats[name], wall / repeats[name]))
    return {
        name: tuple(map(statistics.median, zip(*of_name, strict=True))) for name, of_name in times.items()
    }


# --- a whole epoch -----------------------------------------------------------------------------------


def lenet() -> nn.Sequential:
    """The LeNet of d2l, with its first weights (Xavier's)."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)),
    )
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    return model


def raw_folder(root: Path) -> None:
    """Fashion-MNIST as torchvision wants to find it under `root`, from the files that `data.load` found."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "test"):
        dataset = data.load("fashion-mnist", split, quiet=True)
        arrays = (dataset.images, dataset.labels.astype(np.uint8))
        for name, array in zip(data.file_names("fashion-mnist", split), arrays, strict=True):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (raw / name.removesuffix(".gz")).write_bytes(header + array.tobytes())


def usual_sets(root: Path, limit: int | None):
    """torchvision's data sets with the usual transform."""
    from torchvision import datasets, transforms

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.2860,), (0.3530,))])
    sets = [datasets.FashionMNIST(root, train=split, transform=transform) for split in (True, False)]
    return [Subset(one, range(limit)) if limit else one for one in sets]


def usual_epoch(model, sets, batch_size=128, workers=2, device="cpu", test=True, lr=0.1) -> None:
    """The loop that stands in most tutorials: a DataLoader, `.item()` at every step."""
    optimizer = torch.optim.SGD(model.parameters(), lr)
    loaders = [DataLoader(one, batch_size, shuffle=k == 0, num_workers=workers) for k, one in enumerate(sets)]
    model.train()
    running = 0.0
    for images, labels in loaders[0]:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in loaders[1] if test else ():
            right += (model(images.to(device)).argmax(1) == labels.to(device)).sum().item()


def peer():
    """The module d2l.torch, or None with a line that says how to get it."""
    if importlib.util.find_spec("d2l") is None:
        print(f"d2l is not here. {__doc__.split(chr(10) * 2)[-1].strip()}\n")
        return None
    unused = {"gym": ("gym",), "pandas": ("pandas",), "scipy": ("scipy", "scipy.spatial")}
    for package in unused:
        if importlib.util.find_spec(package) is None:
            sys.modules |= {name: types.ModuleType(name) for name in unused[package]}
            sys.modules[unused[package][-1]].distance_matrix = None  # d2l imports it by name
    import matplotlib

    matplotlib.use("Agg")
    from d2l import torch as d2l

    return d2l


def peer_epoch(d2l, module, limit: int | None) -> Callable[[], None]:
    """One epoch with d2l's trainer and LeNet, its plot switched off."""
    dataset = module.train if limit is None else Subset(module.train, range(limit))

    def epoch() -> None:
        model = d2l.LeNet(lr=0.1)
        model.board.display = False
        model.apply_init([next(iter(DataLoader(dataset, module.batch_size)))[0]], d2l.init_cnn)
        with contextlib.redirect_stdout(io.StringIO()):
            d2l.Trainer(max_epochs=1).fit(model, module)

    return epoch


def epochs(rounds: int, limit: int | None) -> dict:
    """One epoch of training and testing, three ways."""
    train_set, test_set = train.load(device="cpu")
    if limit:
        train_set, test_set = train_set[:limit], test_set[:limit]
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        root = Path(folder) / "data"
        raw_folder(root)
        sets, d2l = usual_sets(root, limit), peer()
        functions = {}
        if d2l:
            (Path(folder) / "here").mkdir()
            os.chdir(Path(folder) / "here")  # d2l reads ../data
            stack.callback(os.chdir, here)
            module = d2l.FashionMNIST(batch_size=128)
            if limit:
                module.train, module.val = (Subset(one, range(limit)) for one in (module.train, module.val))
            functions["d2l"] = peer_epoch(d2l, module, None)
        functions["DataLoader loop"] = lambda: usual_epoch(lenet(), sets)
        options = {"progress": False}
        functions["utils.train"] = lambda: train.fit(lenet(), train_set, test_set, PLAIN, **options)
        contiguous = replace(PLAIN, channels_last=False)
        functions["utils.train, channels first"] = lambda: train.fit(
            lenet(), train_set, test_set, contiguous, **options
        )
        times = in_turns(functions, rounds)
        versions = {"d2l": importlib.metadata.version("d2l")} if d2l else {}
    ours = times["utils.train"]
    return (
        versions
        | {"training images": len(train_set), "test images": len(test_set)}
        | {
            name: {
                "cpu seconds": round(cpu, 2),
                "wall seconds": round(wall, 2),
                "cpu ratio to utils.train": round(cpu / ours[0], 2),
                "wall ratio to utils.train": round(wall / ours[1], 2),
            }
            for name, (cpu, wall) in times.items()
        }
    )


# --- the pieces --------------------------------------------------------------------------------------


def stepper(run: Run) -> Callable[[], object]:
    """One step after another of a training run."""
    batches, generator = run.begin(0)
    return lambda: run.guarded_step(batches[0], 1e-3, generator)


def steps_of(name: str, train_set, settings: dict[str, dict], **options) -> dict[str, Callable]:
    """Label -> function of one step, of the same network under different settings."""
    functions = {}
    for label, changed in settings.items():
        torch.manual_seed(0)
        model = build(name, num_classes=10, in_channels=1, small=True, **options)
        functions[label] = stepper(Run(model, train_set, replace(train.Settings(), **changed)))
    return functions


def updates() -> dict[str, Callable]:
    """Adam's update of ResNet-20 alone: parameter by parameter, many at a time, fused."""
    functions = {}
    for label, options in {
        "one by one": {"foreach": False},
        "foreach": {"foreach": True},
        "fused": {"fused": True},
    }.items():
        model = build("resnet20", in_channels=1)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        functions[label] = torch.optim.Adam(model.parameters(), **options).step
    return functions


def batches(train_set, sets) -> dict[str, Callable]:
    """A batch of 128, ready for the network: indexed on the device, and from a DataLoader without workers."""
    order, loader = torch.randperm(len(train_set)), DataLoader(sets[0], 128, shuffle=True)

    def indexed():
        chosen = order[:128]
        return train_set.normalize(train_set.images[chosen]), train_set.labels[chosen]

    return {"indexed": indexed, "DataLoader": lambda: next(iter(loader))}


def pieces(rounds: int, seconds: float, compiled: bool) -> dict:
    """Each choice against its alternative, in milliseconds a batch of 128."""
    train_set, _ = train.load(limit=2000, device="cpu")
    layouts = {"channels last": {"channels_last": True}, "channels first": {"channels_last": False}}
    precisions = {"float32": {"precision": "float32"}, "bf16": {"precision": "bf16"}}
    cases = {
        "memory order, two_layer": steps_of("two_layer", train_set, layouts),
        "memory order, VGG-11 at a quarter of its width": steps_of(
            "vgg11_bn", train_set, layouts, width=0.25
        ),
        "memory order, ResNet-20": steps_of("resnet20", train_set, layouts),
        "memory order, MobileNet v2": steps_of("mobilenet_v2", train_set, layouts, width=0.5),
        "precision, two_layer": steps_of("two_layer", train_set, precisions),
        "Adam's update of ResNet-20": updates(),
    }
    if compiled:
        choices = {"eager": {}, "compiled": {"compile": True}}
        cases["torch.compile, two_layer"] = steps_of("two_layer", train_set, choices)
    with tempfile.TemporaryDirectory() as folder:
        raw_folder(Path(folder))
        functions = {"a batch": batches(train_set, usual_sets(Path(folder), None))} | cases
        found = {}
        for name, competitors in functions.items():
            first = {label: timed(function)[1] for label, function in competitors.items()}
            times = in_turns(competitors, rounds, seconds)
            found[name] = {label: round(1000 * cpu, 3) for label, (cpu, _) in times.items()}
            if "compiled" in first:
                found[name]["seconds to compile"] = round(first["compiled"], 1)
            print(
                f"  {name}: {', '.join(f'{label} {value:g}' for label, value in found[name].items())}",
                flush=True,
            )
    return found


# --- a GPU -------------------------------------------------------------------------------------------


def matmul_peak(device: torch.device, size: int) -> float:
    """Multiply-adds a second of a large matrix product, the best of twelve: bf16 on a GPU, else float32."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(12):
        train.device.synchronize(device)
        start = time.perf_counter()
        a @ b
        train.device.synchronize(device)
        best = max(best, size**3 / (time.perf_counter() - start))
    return best


def resnet18_speed(limit: int | None, batch_size: int, workers: int) -> dict:
    """ResNet-18 (64 to 512 channels) on 32×32 pictures: samples a second, ours and the usual float32 loop."""
    device = train.pick_device()
    train_set = train.load(limit=limit)[0].resize(32)
    torch.manual_seed(0)
    model = build("resnet18", num_classes=10, in_channels=1, small=True)
    settings = train.Settings(
        epochs=4, batch_size=batch_size, lr=0.1, optimizer="sgd", augment=("flip",), compile="auto"
    )
    history = train.fit(model, train_set, None, settings, progress=False)
    ours = len(train_set) / min(history.seconds[1:])  # the first epoch compiles
    with torch.device("meta"):
        counted = build("resnet18", num_classes=10, in_channels=1, small=True)
    multiply_adds = cost(counted, (1, 1, 32, 32)).total.multiply_adds
    peak = matmul_peak(device, 8192 if device.type == "cuda" else 512)

    class Resized(torch.utils.data.Dataset):
        """The same pictures one by one, as floats: what a DataLoader reads."""

        images, labels = train_set.images.cpu(), train_set.labels.cpu()

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, i):
            return (self.images[i].float() / 255 - 0.286) / 0.353, int(self.labels[i])

    torch.manual_seed(0)
    eager = build("resnet18", num_classes=10, in_channels=1, small=True).to(device)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        usual_epoch(eager, [Resized(), Resized()], batch_size, workers, device, test=False)
        train.device.synchronize(device)
        seconds.append(time.perf_counter() - start)
    usual = len(train_set) / min(seconds)
    return {
        "device": train.device.describe(device),
        "choices": history.choices,
        "batch size": batch_size,
        "samples a second": round(ours, 1),
        "share of the matrix-product peak": round(3 * multiply_adds * ours / peak, 4),
        "peak, multiply-adds a second": float(f"{peak:.4g}"),
        "multiply-adds of a picture, forward": multiply_adds,
        "usual loop, float32, samples a second": round(usual, 1),
        "ratio": round(ours / usual, 2),
    }


# --- all of it ---------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each competitor has its turn")
    parser.add_argument("--limit", type=int, help="only so many pictures in an epoch, of either set")
    parser.add_argument(
        "--no-compile", action="store_true", help="leave torch.compile out: it takes a minute"
    )
    parser.add_argument("--full", action="store_true", help="the measurement for a GPU instead")
    parser.add_argument(
        "--small", action="store_true", help="with --full: 128 pictures, a rehearsal without a GPU"
    )
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/training.json")
    arguments = parser.parse_args()
    command = "python -m benchmarks.training" + f" --rounds {arguments.rounds}" * (not arguments.full)
    command += f" --limit {arguments.limit}" * (arguments.limit is not None)
    command += " --full" * arguments.full + " --record"
    record = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    about = recorded(command, ("torch", "torchvision", "numpy"), watched=("utils", "benchmarks/*.py"))
    if arguments.full:
        limit, size = (128, 32) if arguments.small else (None, 512)
        found = resnet18_speed(limit, size, workers=0 if arguments.small else 8)
        print("\n".join(f"{name}: {value}" for name, value in found.items()))
        record["gpu"] = about | found
    else:
        torch.set_num_threads(1)
        print(f"{processor()}, one thread. CPU milliseconds a batch of 128:")
        about["pieces, cpu milliseconds a batch of 128"] = pieces(
            2 * arguments.rounds + 1, 0.5, not arguments.no_compile
        )
        print("\nOne epoch of LeNet and its test:")
        about["an epoch"] = epochs(arguments.rounds, arguments.limit)
        rows = [[name, *row.values()] for name, row in about["an epoch"].items() if isinstance(row, dict)]
        print(Table(["", *next(row for row in about["an epoch"].values() if isinstance(row, dict))], rows))
        record |= about | {"clock": f"medians of {arguments.rounds} rounds in turns, one thread"}
    if arguments.record:
        RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nwritten to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
