"""What helps a small network on little data? One controlled experiment for each technique.

    python -m experiments.generalization              train what is not trained yet, print the table
    python -m experiments.generalization --record     and write experiments/results/generalization.json

LeNet-5 in NumPy, 2,000 images of Fashion-MNIST, 15 epochs in batches of 50: 600 steps, 30,000 images seen.
SGD with momentum 0.9, learning rate falling along a cosine. Each setting changes one thing and keeps the
budget: the same number of steps, and of images seen, where the thing itself does not change it. The highest
learning rate is chosen beforehand on 5,000 other training images. A seed sets which 2,000 images, the initial
weights, and the order of the samples, the same for all settings: so settings are compared seed by seed. Every
network is tested once, at the end, on the 10,000 test images; its curves come from the first 1,000 of them.
Learning rates are chosen on held-out training images. Not everything was fixed beforehand: a pilot with more
epochs had been seen when the budget was set, and the rows of "three times the epochs" came after the first
seed.

Each finished run is one line of _build/experiments/generalization.jsonl, so that a run that was broken off
goes on where it was. About 8 minutes of CPU time for each seed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy starts its threads

import argparse
import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from experiments import runlog
from experiments.provenance import ROOT, provenance, write
from utils import augment, data, init, layers, loop, optim

IMAGES, EPOCHS, BATCH_SIZE, MOMENTUM = 2_000, 15, 50, 0.9  # the base recipe
SEEN = IMAGES * EPOCHS  # images a training looks at, counted with repetition
POOL = 55_000  # the training images that may be trained on; the last 5,000 choose learning rates
PEAKS = (0.02, 0.04, 0.08)  # learning rates to choose from
ADAM_PEAKS = (0.001, 0.002, 0.004)
CHOOSING_SEEDS = (100, 101)
CURVE = 5  # points of a curve
LATER = (  # trained last: groups that take long, and settings that lie between others
    *("augmentation: shift by up to 1", "augmentation: rotate by up to 10°", "augmentation: noise 0.1"),
    *("weight decay: L1 0.0003", "weight decay: Adam", "weight decay: Adam, L2 0.01"),
    *("weight decay: AdamW, decoupled 1", "dropout: p = 0.8", "initialization: He × 4"),
    *("augmentation: brightness and contrast", "augmentation: crop, side 0.8 to 1"),
    *("schedule: step decay", "schedule: warm-up, then cosine", "schedule: one cycle, lr × 3"),
    *("initialization: Glorot", "learning rate: lr × 10", "data: 1,000 images", "data: 5,000 images"),
    *("data: 10,000 images", "batch normalization: lr × 0.1", "batch normalization: lr × 10"),
    *("weight decay: L2 0.0005", "batch size, same images seen: 10", "batch size, same images seen: 1000"),
    *("batch size, same images seen: 1000, lr × 20", "width", "depth", "batch size, same steps"),
)
LOG = ROOT / "_build" / "experiments" / "generalization.jsonl"
SGD = partial(optim.SGD, momentum=MOMENTUM)
BLACK = float(loop.to_input(np.zeros((1, 1, 1), np.uint8)).item())


# --- a setting, and its network ----------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """One line of the table: what is different from the base recipe. `lr` is a multiple of the chosen one."""

    group: str
    name: str
    images: int = IMAGES
    seen: int = SEEN
    batch_size: int = BATCH_SIZE
    lr: float = 1.0
    schedule: Callable[[float], optim.Schedule] = optim.cosine
    optimizer: Callable = SGD
    adam: bool = False
    initialize: Callable = init.pytorch_default
    width: float = 1.0
    depth: int = 0  # convolutions more or less than two
    batch_norm: bool = False
    drift: float = 0.0
    dropout: float = 0.0
    hold_out: int = 0  # images of the 2,000 that are kept back
    stop: bool = False  # early, by those
    training: dict = field(default_factory=dict)  # further arguments of `loop.fit`


class Drift(layers.Module):
    """Behind batch normalization, undo it: in every training step each channel gets a new scale and mean."""

    def __init__(self, strength: float, rng: np.random.Generator):
        self.strength, self.rng = strength, rng

    def forward(self, x):
        self.saved = None
        if not self.training:
            return x
        C = x.shape[1]
        shape = (1, C) + (1,) * (x.ndim - 2)
        shift = self.rng.uniform(-self.strength, self.strength, shape).astype(x.dtype)
        self.saved = np.exp(self.rng.uniform(-self.strength, self.strength, shape)).astype(x.dtype)
        return x * self.saved + shift

    def backward(self, grad_output):
        return grad_output if self.saved is None else grad_output * self.saved


def network(setting: Setting, seed: int) -> layers.Sequential:
    """LeNet-5 with the changes that the setting asks for."""
    rng = np.random.default_rng([seed, 1])
    options = {"rng": rng, "initialize": setting.initialize}
    parts, wide = [], lambda channels: round(channels * setting.width)

    def after(channels, dropout=0.0):
        if setting.batch_norm:
            parts.append(layers.BatchNorm2d(channels))
        if setting.drift:
            parts.append(Drift(setting.drift, np.random.default_rng([seed, 2, len(parts)])))
        parts.append(layers.ReLU())
        if dropout:
            parts.append(layers.Dropout(dropout, np.random.default_rng([seed, 3, len(parts)])))

    parts.append(layers.Conv2d(1, wide(6), 5, padding=2, **options))
    parts[0].needs_input_grad = False
    after(wide(6))
    parts.append(layers.MaxPool2d(2))
    channels, side = wide(6), 14
    if setting.depth >= 0:
        parts.append(layers.Conv2d(channels, wide(16), 5, **options))
        channels, side = wide(16), 10
        after(channels)
    for _ in range(setting.depth):
        parts.append(layers.Conv2d(channels, channels, 3, padding=1, **options))
        after(channels)
    parts += [layers.MaxPool2d(2), layers.Flatten()]
    features = channels * (side // 2) ** 2
    for units in (wide(120), wide(84)):
        parts.append(layers.Linear(features, units, **options))
        after(units, setting.dropout)
        features = units
    return layers.Sequential(*parts, layers.Linear(features, 10, **options))


def scaled(initialize: Callable, factor: float) -> Callable:
    """Another initialization: the same random numbers, `factor` times as large."""
    return lambda shape, rng: (factor * initialize(shape, rng)).astype(np.float32)


# --- the settings ------------------------------------------------------------------------------------


def settings() -> list[Setting]:
    """All of them, the base recipe first."""
    S, A = Setting, augment
    adam = {"adam": True, "optimizer": optim.Adam}
    rows = [S("base", "base recipe")]
    for n in (500, 1_000, 5_000, 10_000, 30_000):
        rows.append(S("data", f"{n:,} images", images=n))
    changes = {
        "flip": A.flip,
        "shift by up to 1": partial(A.shift, pixels=1, fill=BLACK),
        "crop, side 0.8 to 1": partial(A.crop, smallest=0.8),
        "rotate by up to 10°": partial(A.rotate, degrees=10, fill=BLACK),
        "brightness and contrast": partial(A.brightness_contrast, brightness=0.3, contrast=0.3),
        "noise 0.1": partial(A.noise, scale=0.1),
        "upside down, half of them": partial(A.flip, vertical=True),
        "quarter turns": A.quarter_turns,
        "flip and shift by up to 1": A.compose(A.flip, partial(A.shift, pixels=1, fill=BLACK)),
    }
    rows += [S("augmentation", name, training={"augment": change}) for name, change in changes.items()]
    for strength in (5e-4, 5e-3):
        decay = partial(optim.SGD, momentum=MOMENTUM, weight_decay=strength)
        rows.append(S("weight decay", f"L2 {strength:g}", optimizer=decay))
    for strength in (3e-4,):
        penalty = {"regularizer": loop.l1_penalty(strength)}
        rows.append(S("weight decay", f"L1 {strength:g}", training=penalty))
    rows.append(S("weight decay", "Adam", **adam))
    for name, decay in (
        ("Adam, L2 0.01", partial(optim.Adam, weight_decay=0.01)),
        ("AdamW, decoupled 1", partial(optim.AdamW, weight_decay=1.0)),
    ):
        rows.append(S("weight decay", name, adam=True, optimizer=decay))
    rows += [S("dropout", f"p = {p}", dropout=p) for p in (0.2, 0.5, 0.8)]
    for lr in (0.1, 1, 3, 10):
        rows.append(S("batch normalization", f"lr × {lr:.2g}", batch_norm=True, lr=lr))
    rows.append(S("batch normalization", "and then drift", batch_norm=True, drift=0.5))
    starts = {"He / 10": scaled(init.he_normal, 0.1), "Glorot": init.glorot_normal, "He": init.he_normal}
    starts["He × 4"] = scaled(init.he_normal, 4)
    rows += [S("initialization", name, initialize=start) for name, start in starts.items()]
    rows += [S("learning rate", f"lr × {lr:.2g}", lr=lr) for lr in (0.1, 3, 10)]
    steps = SEEN // BATCH_SIZE
    schedules = {
        "constant": optim.constant,
        "step decay": lambda lr: optim.step_decay(lr, every=steps // 3),
        "warm-up, then cosine": lambda lr: optim.one_cycle(lr, warm_up=0.1, shape="cosine"),
        "one cycle": optim.one_cycle,
        "one cycle, lr × 3": lambda lr: optim.one_cycle(3 * lr),
    }
    rows += [S("schedule", name, schedule=schedule) for name, schedule in schedules.items()]
    for size in (10, 200, 1_000):
        rows.append(S("batch size, same images seen", f"{size}", batch_size=size))
        if (factor := size / BATCH_SIZE) > 1:
            rows.append(
                S("batch size, same images seen", f"{size}, lr × {factor:g}", batch_size=size, lr=factor)
            )
    for size in (10, 100):
        rows.append(S("batch size, same steps", f"{size}", batch_size=size, seen=size * steps))
    rows += [S("width", f"× {width:g}", width=width) for width in (0.5, 2)]
    rows += [
        S("depth", name, depth=depth) for name, depth in (("one convolution", -1), ("three convolutions", 1))
    ]
    rows.append(S("early stopping", "1,600 images, all epochs", hold_out=400))
    rows.append(S("early stopping", "1,600 images, stopped by 400", hold_out=400, stop=True))
    rows += [
        S("label smoothing", f"{smoothing}", training={"label_smoothing": smoothing}) for smoothing in (0.1,)
    ]
    rows += [
        S("mixup", f"alpha {alpha}", training={"mix": partial(A.mixup, alpha=alpha)}) for alpha in (0.2,)
    ]
    longer = {
        "base recipe": {},
        "flip and shift by up to 1": {"augment": changes["flip and shift by up to 1"]},
    }
    for name, training in longer.items():
        rows.append(S("three times the epochs", name, seen=3 * SEEN, training=training))
    together = {"augment": changes["flip and shift by up to 1"], "label_smoothing": 0.1}
    decay = partial(optim.SGD, momentum=MOMENTUM, weight_decay=5e-4)
    rows.append(
        S(
            "together",
            "flip, shift, L2, dropout, norm, smoothing",
            optimizer=decay,
            dropout=0.2,
            training=together,
            batch_norm=True,
        )
    )
    return rows


# --- one run -----------------------------------------------------------------------------------------


def train(
    setting: Setting, seed: int, peak: float, full: data.Dataset, test: data.Dataset, probe: data.Dataset
) -> dict:
    """Train one network and say all about it. `probe` gives the curves, `test` the last word."""
    order = np.random.default_rng([seed, 0]).permutation(POOL)
    images = full[order[: setting.images]]  # nested: the 500 are among the 1,000, and so on
    model = network(setting, seed)
    kept = images[setting.hold_out :] if setting.hold_out else images
    epochs = round(setting.seen / len(kept)) if setting.seen >= len(kept) else 1
    watch = _Watch(kept, probe, images[: setting.hold_out] if setting.stop else None, epochs)
    began, result = time.process_time(), {"diverged": None}
    try:
        history = loop.fit(
            model,
            kept,
            epochs=epochs,
            optimizer=setting.optimizer(model.parameters()),
            batch_size=setting.batch_size,
            schedule=setting.schedule(peak * setting.lr),
            seed=seed,
            after_epoch=watch,
            progress=False,
            **setting.training,
        )
        watch.take_back(model)
        result["step loss"] = [_short(part.mean()) for part in np.array_split(history.step_loss, 2 * CURVE)]
        result["steps"] = len(history.step_loss)
    except loop.NotFiniteError as error:
        result["diverged"] = str(error)
    seconds = time.process_time() - began
    if result["diverged"]:  # its answers are all the same class: NaN
        result |= {"train loss": None, "train accuracy": 0.1, "test loss": None, "test accuracy": 0.1}
    else:
        for part, pictures in (("train", kept[:5_000]), ("test", test)):
            loss, accuracy = loop.evaluate(model, pictures)
            result |= {f"{part} loss": _short(loss), f"{part} accuracy": round(accuracy, 4)}
    return result | {"curves": watch.curves, "parameters": model.count(), "seconds": round(seconds, 1)}


class _Watch:
    """What happens after an epoch: a point of the curves, and perhaps a look at the images kept back."""

    def __init__(self, kept, probe, held_out, epochs):
        self.kept, self.probe, self.held_out = kept[:1_000], probe, held_out
        self.points = {round(share * epochs) - 1 for share in np.arange(1, CURVE + 1) / CURVE}
        names = ("epoch", "train loss", "train accuracy", "test loss", "test accuracy")
        self.curves: dict[str, list] = {name: [] for name in names}
        self.best, self.state, self.best_epoch = math.inf, None, None

    def __call__(self, epoch, model, history):
        if epoch in self.points:
            self.curves["epoch"].append(epoch + 1)
            for part, pictures in (("train", self.kept), ("test", self.probe)):
                loss, accuracy = loop.evaluate(model, pictures)
                self.curves[f"{part} loss"].append(_short(loss))
                self.curves[f"{part} accuracy"].append(round(accuracy, 4))
        if self.held_out is not None:
            loss = loop.evaluate(model, self.held_out)[0]
            if loss < self.best:
                self.best, self.best_epoch, self.state = loss, epoch, model.state_dict()
            return epoch - self.best_epoch >= 5  # patience
        return False

    def take_back(self, model):
        """With early stopping, the weights of the best epoch."""
        if self.state is not None:
            model.load_state_dict(self.state)
            self.curves["stopped at"] = [self.best_epoch + 1]


def _short(number: float) -> float:
    return float(f"{number:.4g}")


# --- many runs ---------------------------------------------------------------------------------------

_shared: dict = {}  # the data, once a process


def _start():
    full, test = data.load(quiet=True), data.load(split="test", quiet=True)
    _shared.update(full=full, test=test, held_out=full[POOL:], probe=test[:1_000])


def _job(job: tuple) -> dict:
    """One run: ("choose", optimizer, peak, seed) or ("run", number of the setting, peak, seed)."""
    kind, what, peak, seed = job
    if kind == "choose":
        base = settings()[0]
        setting = Setting("", "", adam=True, optimizer=optim.Adam) if what == "Adam" else base
        result = train(setting, seed, peak, _shared["full"], _shared["held_out"], _shared["held_out"][:500])
    else:
        setting = settings()[what]
        result = train(setting, seed, peak, _shared["full"], _shared["test"], _shared["probe"])
    return result


def _key(job: tuple) -> str:
    kind, what, peak, seed = job
    name = what if kind == "choose" else "{0.group}: {0.name}".format(settings()[what])
    return json.dumps([kind, name, peak, seed, SEEN], ensure_ascii=False)


def run_all(jobs: list[tuple], processes: int, train: bool = True) -> dict[str, dict]:
    """The results of the jobs by key; those in the log are not run again, and no others if not `train`."""
    done = {entry["key"]: entry["result"] for entry in runlog.entries(LOG)}
    todo = [job for job in jobs if _key(job) not in done]
    if todo and train:
        with multiprocessing.Pool(processes, _start) as pool:
            for i, (key, result) in enumerate(pool.imap_unordered(_keyed, todo)):
                done[key] = result
                runlog.append(LOG, {"key": key, "result": result})
                print(
                    f"{i + 1}/{len(todo)}  {key}: train {result['train accuracy']:.2%}, "
                    f"test {result['test accuracy']:.2%}, {result['seconds']:.1f} s",
                    flush=True,
                )
    return {_key(job): done[_key(job)] for job in jobs if _key(job) in done}


def _keyed(job):
    return _key(job), _job(job)


def choose(processes: int) -> tuple[dict, dict]:
    """The learning rates of SGD and of Adam, by accuracy on 5,000 training images that nobody trains on."""
    peaks = {"SGD": PEAKS, "Adam": ADAM_PEAKS}
    seeds = {"SGD": CHOOSING_SEEDS, "Adam": CHOOSING_SEEDS[:1]}
    jobs = [("choose", name, peak, seed) for name in peaks for peak in peaks[name] for seed in seeds[name]]
    done = run_all(jobs, processes)
    table = {name: {peak: [] for peak in row} for name, row in peaks.items()}
    for job in jobs:
        table[job[1]][job[2]].append(done[_key(job)]["test accuracy"])
    best = {name: max(row, key=lambda peak: statistics.mean(row[peak])) for name, row in table.items()}
    return best, {name: {f"{peak:g}": row[peak] for peak in row} for name, row in table.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--processes", type=int, default=2, help="how many, each with one thread")
    parser.add_argument("--finished", action="store_true", help="train no more, use what the log has")
    parser.add_argument("--record", action="store_true", help="write experiments/results/generalization.json")
    arguments = parser.parse_args()
    full = data.load()
    if len(full) != 60_000:
        raise SystemExit(f"needs all of Fashion-MNIST, found {len(full):,} images from {full.source}")
    best, held_out = choose(arguments.processes)
    print("chosen learning rates:", best, flush=True)
    rows, seeds = settings(), range(arguments.seeds)
    late = [row.group in LATER or f"{row.group}: {row.name}" in LATER for row in rows]
    jobs = [
        ("run", i, best["Adam" if row.adam else "SGD"], seed)
        for turn in (False, True)
        for seed in seeds
        for i, row in enumerate(rows)
        if late[i] == turn
    ]
    done = run_all(jobs, arguments.processes, train=not arguments.finished)
    table = []
    for i, row in enumerate(rows):
        runs = [done[_key(job)] for job in jobs if job[1] == i and _key(job) in done]
        if len(runs) < len(seeds):
            continue
        accuracies = [run["test accuracy"] for run in runs]
        table.append({"group": row.group, "name": row.name, "images": row.images, "runs": runs})
        spread = statistics.stdev(accuracies) if len(runs) > 1 else 0
        print(f"{row.group:30}{row.name:32}{statistics.mean(accuracies):.2%} ± {spread:.2%}")
    if arguments.record:
        record = provenance(
            f"python -m experiments.generalization --seeds {arguments.seeds} --record",
            watched=("utils/*.py", "utils/functional", "experiments/*.py"),
        )
        record |= {
            "data": f"Fashion-MNIST: {IMAGES:,} of the first {POOL:,} training images, 10,000 test images",
            "base": {
                "network": "LeNet-5, NumPy",
                "images": IMAGES,
                "epochs": EPOCHS,
                "batch size": BATCH_SIZE,
                "optimizer": f"SGD, momentum {MOMENTUM}",
                "schedule": "cosine",
                "initialization": "PyTorch's",
            },
            "seeds": list(seeds),
            "learning rate": best,
            "held-out accuracy": held_out,
            "settings": table,
        }
        print(f"written to {write('generalization', record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
