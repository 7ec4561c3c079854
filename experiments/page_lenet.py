"""The LeNet-5 that chapter 6 puts into the page: trained in NumPy, stored in int8. What does that cost?

    python -m experiments.page_lenet              train and print, about a minute of CPU time
    python -m experiments.page_lenet --record     and write the two files below

Trains one network with the settings that `experiments.numpy_lenet` chose, rounds every filter to 8 bits with
a scale of its own, and tests both on all 10,000 test pictures. Then it collects, for the confusion matrix of
the rounded network, some pictures of every cell: of the mistakes those that it was surest of, of the right
answers those that it was least sure of.

    utils/figures/data/lenet5.npz          weights, scales, biases; counts; what is in the cells
    utils/figures/data/mix_ups.png         the pictures of the cells, 16 in a row
    experiments/results/page_lenet.json    where they come from, and the accuracies
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy starts its threads

import argparse
import json

import numpy as np
from PIL import Image

from experiments.numpy_lenet import BATCH_SIZE, EPOCHS, train
from experiments.provenance import RESULTS, ROOT, provenance, write
from utils import data, functional
from utils.layers import LeNet5
from utils.loop import confusion_matrix, predict

SEED = 0
LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")
MISTAKES, RIGHT_ONES = 6, 3  # pictures of a cell off and on the diagonal, at most
SHADES = 16  # of gray in these pictures, so that they are small
ACROSS = 16  # pictures in a row of the PNG
DATA = ROOT / "utils" / "figures" / "data"
WATCHED = tuple(f"utils/{name}.py" for name in ("data", "init", "layers", "loop", "optim"))
WATCHED += ("utils/functional", "experiments/numpy_lenet.py")  # what the numbers depend on


def quantize(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights and one float32 scale a filter (the first axis): weight is about scale times int8."""
    rows = np.abs(weight).reshape(len(weight), -1)
    scale = (rows.max(1) / 127).astype(np.float32)
    steps = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
    return steps.astype(np.int8), scale


def dequantize(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state of a LeNet-5 from the arrays of the file."""
    state = {}
    for name in LAYERS:
        steps, scale = stored[f"{name}.weight"], stored[f"{name}.scale"]
        state[f"{name}.weight"] = steps.astype(np.float32) * scale.reshape(-1, *[1] * (steps.ndim - 1))
        state[f"{name}.bias"] = stored[f"{name}.bias"]
    return state


def coarse(images: np.ndarray) -> np.ndarray:
    """Pictures in a few shades of gray: (N, 28, 28) uint8 from 0 to SHADES - 1."""
    return np.rint(images.astype(float) / 255 * (SHADES - 1)).astype(np.uint8)


def sheet(pictures: np.ndarray) -> Image.Image:
    """Coarse pictures side by side, ACROSS in a row, as a PNG with a palette of grays."""
    rows = -(-len(pictures) // ACROSS)
    grid = np.zeros((rows * ACROSS, 28, 28), np.uint8)
    grid[: len(pictures)] = pictures
    image = Image.fromarray(grid.reshape(rows, ACROSS, 28, 28).swapaxes(1, 2).reshape(rows * 28, -1), "P")
    image.putpalette(np.repeat(np.arange(SHADES) * (255 // (SHADES - 1)), 3).tolist())
    return image


def pictures_of_cells(
    model: LeNet5, test: data.Dataset, logits: np.ndarray
) -> tuple[dict[str, np.ndarray], Image.Image]:
    """Some pictures of every cell of the confusion matrix, with the probabilities of each.

    Only pictures that get the same answer in a few shades of gray. The probabilities, in whole per cent, are
    those of the picture in a few shades, so that the page computes the same.
    """
    answers, sure = logits.argmax(1), functional.softmax(logits).max(1)
    again = predict(model, (coarse(test.images) * (255 // (SHADES - 1))).astype(np.uint8))
    kept = []
    for cell in range(100):
        right, answer = divmod(cell, 10)
        those = np.flatnonzero((test.labels == right) & (answers == answer) & (again.argmax(1) == answer))
        order = np.argsort(sure[those] if right == answer else -sure[those], kind="stable")
        kept.extend(those[order[: RIGHT_ONES if right == answer else MISTAKES]])
    arrays = {
        "cells.index": np.array(kept, np.uint16),
        "cells.right": test.labels[kept].astype(np.uint8),
        "cells.answer": answers[kept].astype(np.uint8),
        "cells.percent": np.rint(100 * functional.softmax(again[kept])).astype(np.uint8),
    }
    return arrays, sheet(coarse(test.images[kept]))


def without_filters(state: dict[str, np.ndarray], layer: str, test: data.Dataset) -> list[int]:
    """How many answers are right when one filter of the layer after the other is silent."""
    right = []
    for filter in range(len(state[f"{layer}.weight"])):
        silent = {name: array.copy() for name, array in state.items()}
        silent[f"{layer}.weight"][filter] = silent[f"{layer}.bias"][filter] = 0
        model = LeNet5(rng=np.random.default_rng(0)).load_state_dict(silent)
        right.append(int((predict(model, test).argmax(1) == test.labels).sum()))
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the weights and the record")
    arguments = parser.parse_args()
    full, test = data.load(), data.load(split="test")
    if len(full) != 60_000:
        raise SystemExit(f"needs all of Fashion-MNIST, found {len(full):,} images from {full.source}")
    chosen = json.loads((RESULTS / "numpy_lenet.json").read_text(encoding="utf-8"))
    start, peak = chosen["initialization"], chosen["learning rate"]
    model, _, seconds = train(full, start, peak, SEED)
    before = predict(model, test)
    stored = {}
    for name in LAYERS:
        layer = getattr(model, name)
        stored[f"{name}.weight"], stored[f"{name}.scale"] = quantize(layer.weight.value)
        stored[f"{name}.bias"] = layer.bias.value.astype(np.float32)
    rounded = LeNet5(rng=np.random.default_rng(0)).load_state_dict(dequantize(stored))
    after = predict(rounded, test)
    confusion = confusion_matrix(test.labels, after, 10)
    cells, pictures = pictures_of_cells(rounded, test, after)
    stored |= {"confusion": confusion.astype(np.uint16)} | cells
    record = provenance("python -m experiments.page_lenet --record", watched=WATCHED) | {
        "data": f"Fashion-MNIST (MIT license), {len(full):,} training and {len(test):,} test images",
        "settings": {
            "seed": SEED,
            "epochs": EPOCHS,
            "batch size": BATCH_SIZE,
            "optimizer": "Adam, one cycle",
            "initialization": start,
            "learning rate": peak,
        },
        "cpu seconds": round(seconds, 1),
        "right answers": {
            "float32": int((before.argmax(1) == test.labels).sum()),
            "int8": int((after.argmax(1) == test.labels).sum()),
        },
        "answers that differ": int((before.argmax(1) != after.argmax(1)).sum()),
        "largest difference of a logit": round(float(np.abs(before - after).max()), 3),
        "right answers, int8, without one filter of conv1": without_filters(
            dequantize(stored), "conv1", test
        ),
        "pictures of cells": len(stored["cells.index"]),
    }
    print(json.dumps(record, indent=1))
    if arguments.record:
        DATA.mkdir(exist_ok=True)
        np.savez_compressed(DATA / "lenet5.npz", **stored)
        pictures.save(DATA / "mix_ups.png", optimize=True, bits=4)
        for path in (DATA / "lenet5.npz", DATA / "mix_ups.png"):
            print(f"written to {path.relative_to(ROOT)}, {path.stat().st_size:,} bytes")
        print(f"written to {write('page_lenet', record).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
