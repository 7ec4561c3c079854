"""How far do two convolutions come in about a minute, and a narrow VGG in eight? The recipe decides.

    python -m experiments.reference_network                train what is not trained yet, print the table
    python -m experiments.reference_network --record       and write results/reference_network.json
    python -m experiments.reference_network --full         the recipes for a GPU, too: see FULL below
    python -m experiments.reference_network --small        all of them on 64 pictures, one epoch: a rehearsal

The two-layer network (`two_layer`, 29,034 parameters) with one cycle up to 0.006 in three epochs; a VGG-11
with batch normalization at a quarter of its width, with mirrored pictures and label smoothing; and the
two-layer network as tutorials train it: Adam, 0.001, ten epochs.

For scale, the list of results in the readme of Fashion-MNIST (github.com/zalandoresearch/fashion-mnist), sent
in and not checked there: two convolutions with max pooling have 87.6 % (Keras), 91.6 % (TensorFlow, more than
300 epochs) and 90.3 % (PyTorch, with ELU); three convolutions with pooling and batch normalization have
90.3 % as well; other networks with two convolutions have 91.9 to 93.2 %.

All 60,000 training images; the 10,000 test images are looked at once, after the last epoch. The recipe of the
VGG was chosen on 10,000 training images held out; that of the two layers on earlier runs that looked at the
same test images, so its figures are slightly flattering. A network that saw mirrored pictures in training is
also asked twice about each test picture, as it is and mirrored ("two views"). A seed sets the first weights,
the order and the augmentation. `cpu seconds` is the CPU time of training, all threads together, without
loading and testing; `seconds` is the clock on the wall. One thread, unless OMP_NUM_THREADS says more.

Each finished run is one line of _build/experiments/reference_network.jsonl, so that an experiment that was
broken off goes on where it was. About 35 minutes of CPU time; with --full, on one GPU, some hours, nearly all
of it for the 200 epochs of WRN-40-4.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import dataclasses
import statistics
import time
from dataclasses import dataclass, field

import torch

from experiments import runlog
from experiments.provenance import ROOT, provenance, write
from utils import train
from utils.models import build
from utils.table import Table
from utils.train import Settings, Shift

LOG = ROOT / "_build" / "experiments" / "reference_network.jsonl"
FIGURES = ("test accuracy", "test loss", "train loss", "cpu seconds", "seconds")


@dataclass(frozen=True)
class Recipe:
    """A network and how to train it."""

    model: str
    settings: Settings
    seeds: int = 3
    options: dict = field(default_factory=dict)  # of the network
    published: str = ""

    def trained(self, seed: int, data, small: bool = False) -> dict:
        """Train once; the figures of the run."""
        settings = dataclasses.replace(self.settings, seed=seed)
        train_set, test_set = data
        if small:
            train_set, test_set = train_set[:64], test_set[:64]
            settings = dataclasses.replace(settings, epochs=1, batch_size=32)
        torch.manual_seed(seed)
        model = build(self.model, num_classes=10, in_channels=1, small=True, **self.options)
        start = time.process_time()
        history = train.fit(model, train_set, None, settings, progress=False)
        cpu = time.process_time() - start
        loss, accuracy = train.evaluate(history.ema or model, test_set)
        figures = (accuracy, round(loss, 4), round(history.train_loss[-1], 4), round(cpu, 1))
        both = {"test accuracy, two views": two_views(history.ema or model, test_set)}
        values = dict(zip(FIGURES, (*figures, round(sum(history.seconds), 1)), strict=True))
        parameters = sum(p.numel() for p in model.parameters())
        epochs = [round(s, 2) for s in history.seconds]  # on a GPU the first one compiles
        about = {"parameters": parameters, "epoch seconds": epochs, "choices": history.choices}
        return {"seed": seed, **values, **(both if "flip" in settings.augment else {}), **about}


def two_views(model: torch.nn.Module, data: train.DeviceData) -> float:
    """The accuracy of the mean of two probabilities: for each picture, and for its mirror image."""
    about = data.labels, data.classes, data.mean, data.std, data.name
    views = data, train.DeviceData(data.images.flip(-1), *about)
    probability = sum(train.predict(model, view).softmax(1) for view in views)
    return (probability.argmax(1) == data.labels.cpu()).double().mean().item()


RECIPES = {
    "two layers, one cycle, 3 epochs": Recipe("two_layer", Settings(epochs=3, lr=6e-3)),
    "narrow VGG, 8 epochs": Recipe(
        "vgg11_bn",
        Settings(
            epochs=8,
            batch_size=256,
            lr=8e-3,
            optimizer="adamw",
            weight_decay=0.05,
            label_smoothing=0.1,
            augment=("flip",),
        ),
        options={"width": 0.25, "dropout": 0.0},
    ),
    "two layers, Adam 0.001, 10 epochs": Recipe(
        "two_layer", Settings(epochs=10, lr=1e-3, schedule="constant"), seeds=1
    ),
}
SGD = {"optimizer": "sgd", "nesterov": True, "weight_decay": 5e-4, "compile": "auto"}
FULL = {
    "ResNet-18, to 94 % in seconds": Recipe(
        "resnet18",
        Settings(epochs=8, batch_size=512, lr=0.2, label_smoothing=0.1, augment=("flip",), **SGD),
        published="94.9 %",
    ),
    "ResNet-20, random erasing": Recipe(
        "resnet20",
        Settings(
            epochs=200, lr=0.1, schedule="cosine", warmup=0.02, augment=("flip", Shift(4), "erase"), **SGD
        ),
        published="96.0 % (Zhong et al. 2020)",
    ),
    "WRN-40-4": Recipe(
        "wrn40_4",
        Settings(
            epochs=200, lr=0.1, schedule="cosine", warmup=0.02, augment=("flip", Shift(4), "erase"), **SGD
        ),
        seeds=1,
        published="96.7 %",
    ),
}


def finished() -> dict[tuple[str, int], dict]:
    """The runs of the log."""
    return {(run["recipe"], run["seed"]): run for run in runlog.entries(LOG)}


def described(recipe: Recipe) -> dict:
    """What a reader needs to repeat the recipe: its settings that are not the defaults."""
    plain = Settings().as_dict()
    changed = {name: value for name, value in recipe.settings.as_dict().items() if value != plain[name]}
    about = {"model": recipe.model, "options": recipe.options, "settings": changed}
    return about | ({"published": recipe.published} if recipe.published else {})


def summary(runs: dict[str, list[dict]]) -> Table:
    """One row a recipe, means over its seeds."""
    rows = [
        [
            name,
            len(of_recipe),
            statistics.fmean(run["test accuracy"] for run in of_recipe),
            min(run["test accuracy"] for run in of_recipe),
            statistics.fmean(run["cpu seconds"] for run in of_recipe),
            statistics.fmean(run["seconds"] for run in of_recipe),
        ]
        for name, of_recipe in runs.items()
    ]
    columns = ["recipe", "seeds", "test accuracy", "lowest", "cpu seconds", "seconds"]
    percent, seconds = dict.fromkeys(columns[2:4], ".2%"), dict.fromkeys(columns[4:], ".0f")
    return Table(columns, rows, "", percent | seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--record", action="store_true", help="write experiments/results/reference_network.json"
    )
    parser.add_argument("--full", action="store_true", help="the recipes for a GPU, too")
    parser.add_argument(
        "--small", action="store_true", help="rehearse all recipes on 64 pictures; keeps nothing"
    )
    parser.add_argument("--seeds", type=int, help="of each recipe, instead of its own number")
    parser.add_argument("--finished", action="store_true", help="train nothing, take what is finished")
    arguments = parser.parse_args()
    if arguments.small and arguments.record:
        parser.error("--small is a rehearsal: it cannot be recorded")
    recipes = RECIPES | (FULL if arguments.full or arguments.small else {})
    data, done = train.load(sample=arguments.small), {} if arguments.small else finished()
    runs: dict[str, list[dict]] = {}
    for name, recipe in recipes.items():
        seeds = 1 if arguments.small else arguments.seeds or recipe.seeds
        for seed in range(seeds):
            if arguments.finished and (name, seed) not in done:
                continue
            run = done.get((name, seed)) or {"recipe": name} | recipe.trained(seed, data, arguments.small)
            if (name, seed) not in done and not arguments.small:
                runlog.append(LOG, run)
            print(
                f"{name}, seed {seed}: {run['test accuracy']:.2%}, {run['cpu seconds']:.0f} s of CPU",
                flush=True,
            )
            runs.setdefault(name, []).append(run)
    print(f"\n{summary(runs)}")
    if arguments.record:
        path = write("reference_network", record(recipes, runs, data))
        print(f"\nwritten to {path.relative_to(ROOT)}")


def record(recipes: dict[str, Recipe], runs: dict[str, list[dict]], data) -> dict:
    """The finished runs with their settings and where they come from."""
    about = provenance("python -m experiments.reference_network --record", ("torch", "numpy"))
    return about | {
        "training images": len(data[0]),
        "test images": len(data[1]),
        "recipes": {
            name: described(recipes[name]) | {"runs": [trimmed(run) for run in of_recipe]}
            for name, of_recipe in runs.items()
        },
    }


def trimmed(run: dict) -> dict:
    """A run without the name of its recipe."""
    return {name: value for name, value in run.items() if name != "recipe"}


if __name__ == "__main__":
    main()
