"""LeNet-5 in pure NumPy on Fashion-MNIST: which settings, and what test accuracy over several seeds?

    python -m experiments.numpy_lenet              train and print, about twelve minutes of CPU time
    python -m experiments.numpy_lenet --record     and write experiments/results/numpy_lenet.json

First the choice: for each initialization and each learning rate, train on 55,000 of the training images and
look at the other 5,000. The test set plays no part in it. Then, with the best pair, train on all 60,000 from
several seeds and test each network once. A seed sets the initial weights and the order of the samples.
Times are CPU seconds of the process, without testing. Chapter 6 plots the record beside the run that the
reader sees.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy starts its threads

import argparse
import statistics
import time

import numpy as np

from experiments.provenance import ROOT, provenance, write
from utils import data, init
from utils.layers import LeNet5
from utils.loop import confusion_matrix, evaluate, fit, predict
from utils.optim import Adam, one_cycle

EPOCHS, BATCH_SIZE = 5, 128
INITIALIZATIONS = {"He": init.he_normal, "PyTorch": init.pytorch_default}  # to choose from
PEAKS = (1e-3, 2e-3, 4e-3, 8e-3, 16e-3)  # learning rates to choose from
HELD_OUT = 5_000  # images, the last ones of the training set


def train(dataset: data.Dataset, start: str, peak: float, seed: int) -> tuple[LeNet5, list, float]:
    """A trained network, its loss in every step, and the CPU seconds that it took.

    start names the initialization, peak is the highest learning rate.
    """
    model = LeNet5(rng=np.random.default_rng(seed), initialize=INITIALIZATIONS[start])
    began = time.process_time()
    history = fit(
        model,
        dataset,
        epochs=EPOCHS,
        optimizer=Adam(model.parameters()),
        batch_size=BATCH_SIZE,
        schedule=one_cycle(peak),
        seed=seed,
        progress=False,
    )
    return model, history.step_loss, time.process_time() - began


def choose(full: data.Dataset) -> dict[str, dict[float, float]]:
    """Initialization -> learning rate -> accuracy on the held-out images, after training on the others."""
    kept, held_out = full[:-HELD_OUT], full[-HELD_OUT:]
    table = {start: {} for start in INITIALIZATIONS}
    for start, row in table.items():
        for peak in PEAKS:
            model, _, seconds = train(kept, start, peak, seed=0)
            row[peak] = evaluate(model, held_out)[1]
            print(f"{start}, learning rate {peak:g}: {row[peak]:.2%} held out, {seconds:.0f} s", flush=True)
    return table


def report(full: data.Dataset, test: data.Dataset, start: str, peak: float, seeds: range) -> dict:
    """What several seeds give: test accuracies, CPU seconds, smoothed losses, mix-ups."""
    runs = {"seeds": list(seeds), "test accuracy": [], "test loss": [], "cpu seconds": [], "loss": []}
    confusion = 0  # rows: the right class, columns: the answer; all seeds together
    for seed in seeds:
        model, losses, seconds = train(full, start, peak, seed)
        loss, accuracy = evaluate(model, test)
        confusion = confusion + confusion_matrix(test.labels, predict(model, test))
        runs["test accuracy"].append(accuracy)
        runs["test loss"].append(round(loss, 4))
        runs["cpu seconds"].append(round(seconds, 1))
        runs["loss"].append([round(float(part.mean()), 4) for part in np.array_split(losses, 50)])
        print(f"seed {seed}: test accuracy {accuracy:.2%}, {seconds:.0f} s", flush=True)
    return runs | {"confusion": confusion.tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--record", action="store_true", help="write experiments/results/numpy_lenet.json")
    arguments = parser.parse_args()
    full, test = data.load(), data.load(split="test")
    if len(full) != 60_000:
        raise SystemExit(f"needs all of Fashion-MNIST, found {len(full):,} images from {full.source}")
    table = choose(full)
    start, peak = max(((s, p) for s in table for p in table[s]), key=lambda pair: table[pair[0]][pair[1]])
    runs = report(full, test, start, peak, range(arguments.seeds))
    accuracies = runs["test accuracy"]
    print(
        f"test accuracy over {len(accuracies)} seeds: mean {statistics.mean(accuracies):.2%}, "
        f"standard deviation {statistics.stdev(accuracies):.2%}"
    )
    if arguments.record:
        record = provenance(f"python -m experiments.numpy_lenet --seeds {arguments.seeds} --record")
        record |= {
            "data": f"Fashion-MNIST, {len(full):,} training and {len(test):,} test images",
            "settings": {"epochs": EPOCHS, "batch size": BATCH_SIZE, "optimizer": "Adam, one cycle"},
            "held-out accuracy": {
                s: {f"{p:g}": share for p, share in row.items()} for s, row in table.items()
            },
            "initialization": start,
            "learning rate": peak,
            "runs": runs,
        }
        print(f"written to {write('numpy_lenet', record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
