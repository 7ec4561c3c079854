"""The training loop for the NumPy networks of `utils.layers`.

    sample      one picture with its label
    batch       the samples whose mean gradient makes one step
    iteration   one step: forward, loss, backward, update
    epoch       all samples once: N / batch_size iterations, rounded up

`train_step` is one iteration, `fit` is all of them, with a progress bar, learning curves, checkpoints, and a
stop that says which layer it was when numbers are no longer finite.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from utils.data import Dataset
from utils.functional import cross_entropy, cross_entropy_backward
from utils.functional.shapes import as_integer
from utils.layers import Module
from utils.optim import Optimizer, Schedule
from utils.threads import blas_threads

__all__ = [
    "History",
    "NotFiniteError",
    "confusion_matrix",
    "evaluate",
    "first_not_finite",
    "fit",
    "l1_penalty",
    "predict",
    "to_input",
    "train_step",
]

Data = Dataset | tuple[np.ndarray, np.ndarray]  # (images, labels)
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Mix = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
Regularizer = Callable[[Module], float]


class NotFiniteError(FloatingPointError):
    """Training met a NaN or an infinity; the text says where first, and what to try."""


@dataclass
class History:
    """The learning curves. One number a step in the first two lists, one an epoch in the others."""

    step_loss: list[float] = field(default_factory=list)
    step_lr: list[float] = field(default_factory=list)
    train_loss: list[float] = field(
        default_factory=list
    )  # the mean over the epoch, while the network changed
    train_accuracy: list[float] = field(default_factory=list)  # shares, 0 to 1
    test_loss: list[float] = field(default_factory=list)  # after the epoch
    test_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of training, without testing
    stopped: bool = False  # by `after_epoch`, before all epochs were done

    def __len__(self) -> int:
        return len(self.train_loss)  # epochs

    def __str__(self) -> str:
        lines = [
            f"{'epoch':>5}{'loss':>9}{'accuracy':>10}{'test loss':>11}{'test accuracy':>15}{'seconds':>9}"
        ]
        for e in range(len(self)):
            train = f"{e + 1:5}{self.train_loss[e]:9.4f}{self.train_accuracy[e]:10.2%}"
            test = f"{self.test_loss[e]:11.4f}{self.test_accuracy[e]:15.2%}" if self.test_loss else 26 * " "
            lines.append(f"{train}{test}{self.seconds[e]:9.1f}")
        return "\n".join(lines)


# --- data --------------------------------------------------------------------------------------------


def to_input(images: np.ndarray, mean: float = 0.2860, std: float = 0.3530) -> np.ndarray:
    """Pictures as a network wants them: (N, C, H, W) float32, near 0, standard deviation near 1.

    images      uint8 (N, H, W) or (N, H, W, C); arrays of floats are taken to be ready and returned as
    float32 mean, std   of the pixels divided by 255; the defaults are those of the training set of
    Fashion-MNIST
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        return images.astype(np.float32, copy=False)
    if images.ndim not in (3, 4):
        raise ValueError(f"images must have the shape (N, H, W) or (N, H, W, C), got {images.shape}")
    x = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return (x.astype(np.float32) - np.float32(255 * mean)) * np.float32(1 / (255 * std))


def _arrays(data: Data, name: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = (data.images, data.labels) if isinstance(data, Dataset) else data
    if len(images) != len(labels) or not len(images):
        raise ValueError(
            f"{name} must hold as many labels as images, and some, got {len(labels)} and {len(images)}"
        )
    return np.asarray(images), np.asarray(labels)


# --- training ----------------------------------------------------------------------------------------


def train_step(
    model: Module,
    optimizer: Optimizer,
    x: np.ndarray,
    labels: np.ndarray,
    label_smoothing: float = 0.0,
    regularizer: Regularizer | None = None,
) -> tuple[float, int]:
    """One iteration: forward, loss, backward, update. Returns the loss and how many were right before it.

    The loss is chapter 6, (6.5), the first delta on the way back (6.6); labels may be probabilities
    (N, classes), whose largest then counts as right. regularizer as for `fit`. Raises NotFiniteError before
    the update when the loss or a gradient is not finite.
    """
    logits = model(x)
    loss = cross_entropy(logits, labels, label_smoothing)
    model.zero_grad()
    model.backward(cross_entropy_backward(1.0, logits, labels, label_smoothing))
    if regularizer is not None:
        loss += regularizer(model)
    total = sum(float(p.grad.sum()) for p in model.parameters())  # finite only if all of its terms are
    if not math.isfinite(loss + total):
        raise NotFiniteError(first_not_finite(model, x, labels) or "the loss")
    optimizer.step()
    right = labels.argmax(1) if labels.ndim == 2 else labels
    return loss, int((logits.argmax(1) == right).sum())


def l1_penalty(strength: float) -> Regularizer:
    """strength times the sum of |w| over all weights (not biases), for `fit`: chapter 10, (10.4).

    Adds its gradient, strength sign(w), to the gradients of the model, and returns its value.
    """

    def regularizer(model: Module) -> float:
        weights = [p for p in model.parameters() if p.value.ndim > 1]
        for p in weights:
            p.add_grad(p.value.dtype.type(strength) * np.sign(p.value))
        return strength * sum(float(abs(p.value).sum()) for p in weights)

    return regularizer


def fit(
    model: Module,
    train: Data,
    test: Data | None = None,
    *,
    epochs: int,
    optimizer: Optimizer,
    batch_size: int = 128,
    schedule: Schedule | None = None,
    label_smoothing: float = 0.0,
    augment: Augment | None = None,
    mix: Mix | None = None,
    regularizer: Regularizer | None = None,
    after_epoch: Callable[[int, Module, History], bool | None] | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    threads: int | None = 1,
) -> History:
    """Train `model` and return its learning curves.

    train, test    a `utils.data.Dataset`, or (images, labels); uint8 images go through `to_input`. The test
    set
                is looked at after each epoch, and chooses nothing
    optimizer   holds the parameters of the model
    schedule    sets the learning rate of every step, see `utils.optim`; None leaves that of the optimizer
    augment     changes the inputs of a batch: augment(x, rng) returns new ones, see `utils.augment`
    mix         changes inputs and labels of a batch: mix(x, labels, rng) returns new inputs and targets, the
                latter perhaps probabilities (N, classes). Comes after augment
    regularizer    a term of the loss that depends on the weights: regularizer(model) adds its gradient to
                those of the parameters and returns its value, see `l1_penalty`
    after_epoch    after_epoch(epoch, model, history), epochs from 0, may look at the model; training ends
                where it returns True
    seed        of the order of the samples, of augment and mix; the same seed gives the same numbers
    checkpoint    a file .npz, written after each epoch. When it exists already, training goes on from it, and
                ends with the same bits as if it had never stopped
    progress    show a bar: loss and accuracy of the epoch so far, samples a second, time left
    threads     of NumPy's matrix products; for a small network one is the fastest. None leaves the number

    Raises NotFiniteError that names the layer when numbers are no longer finite, and ValueError for arguments
    that do not fit, or do not fit the checkpoint.
    """
    epochs, batch_size = as_integer(epochs, "epochs"), as_integer(batch_size, "batch_size")
    images, labels = _arrays(train, "train")
    N, steps = len(images), -(-len(images) // batch_size)  # steps of an epoch
    settings = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "samples": N}
    history = _resume(checkpoint, model, optimizer, settings) if checkpoint else History()
    bar = tqdm(
        total=epochs * N,
        initial=len(history) * N,
        disable=not progress,
        file=sys.stdout,  # on stderr a notebook shows it in red, as if something were wrong
        unit=" samples",
        unit_scale=True,
    )
    quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # train_step looks for itself
    with bar, quiet, blas_threads(threads):
        for epoch in range(len(history), 0 if history.stopped else epochs):
            rng = np.random.default_rng([seed, epoch])
            order, start = rng.permutation(N), time.perf_counter()
            losses, right, seen = 0.0, 0, 0
            model.train()
            for step in range(steps):
                batch = order[step * batch_size : (step + 1) * batch_size]
                x = to_input(images[batch])
                x = x if augment is None else augment(x, rng)
                x, targets = (x, labels[batch]) if mix is None else mix(x, labels[batch], rng)
                if schedule is not None:
                    optimizer.lr = schedule(epoch * steps + step, epochs * steps)
                try:
                    loss, correct = train_step(model, optimizer, x, targets, label_smoothing, regularizer)
                except NotFiniteError as error:
                    raise NotFiniteError(_advice(error, epoch, step, optimizer.lr)) from None
                losses, right, seen = losses + loss * len(batch), right + correct, seen + len(batch)
                history.step_loss.append(loss)
                history.step_lr.append(optimizer.lr)
                bar.set_description(f"epoch {epoch + 1}/{epochs}", refresh=False)
                bar.set_postfix_str(f"loss {losses / seen:.3f}, accuracy {right / seen:.1%}", refresh=False)
                bar.update(len(batch))
            history.seconds.append(time.perf_counter() - start)
            history.train_loss.append(losses / N)
            history.train_accuracy.append(right / N)
            if test is not None:
                loss, accuracy = evaluate(model, test)
                history.test_loss.append(loss)
                history.test_accuracy.append(accuracy)
            history.stopped = bool(after_epoch is not None and after_epoch(epoch, model, history))
            if checkpoint:
                _save(checkpoint, model, optimizer, settings, history)
            if history.stopped:
                break
    return history


# --- testing -----------------------------------------------------------------------------------------


def predict(model: Module, images: Data | np.ndarray, batch_size: int = 500) -> np.ndarray:
    """The scores of the model in evaluation mode, (N, classes). `argmax(1)` are the predicted classes.

    images      as for `to_input`, or a Dataset. The model is left in the mode it was in.
    """
    images = images.images if isinstance(images, Dataset) else np.asarray(images)
    training = model.training
    model.eval()
    logits = [model(to_input(images[i : i + batch_size])) for i in range(0, len(images), batch_size)]
    model.train(training)
    return np.concatenate(logits)


def evaluate(model: Module, data: Data, batch_size: int = 500) -> tuple[float, float]:
    """(mean cross-entropy (6.5), share of right answers) of the model in evaluation mode."""
    images, labels = _arrays(data, "data")
    logits = predict(model, images, batch_size)
    return cross_entropy(logits, labels), float((logits.argmax(1) == labels).mean())


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int | None = None) -> np.ndarray:
    """How often each class (row) was taken for each class (column): (classes, classes) int64.

    labels, predictions    (N,) integers; predictions may be scores (N, classes)
    classes     by default one more than the largest number
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    predictions = predictions.argmax(1) if predictions.ndim == 2 else predictions
    if labels.shape != predictions.shape:
        raise ValueError(f"predictions must be {labels.shape}, one a label, got {predictions.shape}")
    top = int(max(labels.max(initial=-1), predictions.max(initial=-1))) + 1
    classes = top if classes is None else as_integer(classes, "classes")
    if top > classes:
        raise ValueError(f"classes must be at least {top}, as class {top - 1} occurs, got {classes}")
    pairs = (labels * classes + predictions).astype(np.intp)  # 32 bits in a browser
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


# --- numbers that are not finite ---------------------------------------------------------------------


def first_not_finite(model: Module, x: np.ndarray, labels: np.ndarray) -> str | None:
    """Go through the network once more and say what is the first thing that holds a NaN or an infinity.

    In the order of the computation: the input, then layer by layer parameters and output, then from the last
    layer to the first the gradients. None when all is finite. Gradients of the model are replaced.
    """
    found: list[str] = []

    def look(what, array):
        if not found and array is not None and not np.isfinite(array).all():
            found.append(what)

    def watch(name, layer):
        forward, backward, label = layer.forward, layer.backward, f"{name} ({type(layer).__name__})"

        def watched_forward(x):
            for part, parameter in layer.named_parameters():
                look(f"the {part} of {label}", parameter.value)
            y = forward(x)
            look(f"the output of {label}", y)
            return y

        def watched_backward(grad_output):
            look(f"the gradient at the output of {label}", grad_output)
            grad = backward(grad_output)
            for part, parameter in layer.named_parameters():
                look(f"the gradient at the {part} of {label}", parameter.grad)
            look(f"the gradient at the input of {label}", grad)
            return grad

        layer.forward, layer.backward = watched_forward, watched_backward

    leaves = [(name or "model", m) for name, m in model.named_modules() if not list(m.children())]
    look("the input", x)
    try:
        for name, layer in leaves:
            watch(name, layer)
        model.zero_grad()
        logits = model(x)
        model.backward(cross_entropy_backward(1.0, logits, labels))
    finally:
        for _, layer in leaves:
            del layer.forward, layer.backward  # the methods of the class appear again
    return found[0] if found else None


def _advice(where, epoch, step, lr):
    return (
        f"training stopped in step {step + 1} of epoch {epoch + 1}: {where} is not finite. "
        f"The learning rate was {lr:.3g}; try a smaller one, or a slower warm-up"
    )


# --- checkpoints -------------------------------------------------------------------------------------


def _save(path, model, optimizer, settings, history):
    """Everything that the rest of the training depends on, in one file, replaced in one go."""
    generators = {name: m.rng.bit_generator.state for name, m in model.named_modules() if hasattr(m, "rng")}
    text = json.dumps({"settings": settings, "history": asdict(history), "generators": generators})
    arrays = {f"model/{name}": a for name, a in model.state_dict().items()}
    arrays |= {f"optimizer/{name}": a for name, a in optimizer.state_dict().items()}
    unfinished = Path(f"{path}.part")
    with open(unfinished, "wb") as file:
        np.savez(file, loop=np.array(text), **arrays)
    os.replace(unfinished, path)  # a crash while writing leaves the last checkpoint whole


def _resume(path, model, optimizer, settings) -> History:
    """Take over the state of a checkpoint where there is one; returns its history."""
    if not Path(path).exists():
        return History()
    with np.load(path, allow_pickle=False) as arrays:
        loop = json.loads(arrays["loop"].item())
        state = {
            part: {
                name.split("/", 1)[1]: arrays[name] for name in arrays.files if name.startswith(f"{part}/")
            }
            for part in ("model", "optimizer")
        }
    if loop["settings"] != settings:
        raise ValueError(
            f"checkpoint {path} was written with {loop['settings']}, got {settings}; "
            "train with the same settings, or remove the file"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    for name, module in model.named_modules():
        if hasattr(module, "rng"):
            module.rng.bit_generator.state = loop["generators"][name]
    return History(**loop["history"])
