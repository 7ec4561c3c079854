"""Exercise 11, from NumPy to PyTorch: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. By hand ------------------------------------------------------------------------------------------

# A bfloat16 tensor (16, 24, 30, 20), channels_last. The reference network for 3×32×32 pictures and 100
# classes. 50,000 pictures in batches of 384, 12 epochs. 5.83 in bfloat16.
_BY_HAND = {
    "bytes": 16 * 24 * 30 * 20 * 2,
    "stride": 20 * 24,
    "parameters": 16 * (3 * 25 + 1) + 2 * 16 + 32 * (16 * 25 + 1) + 2 * 32 + 100 * (32 * 8 * 8 + 1),
    "steps": 12 * -(-50_000 // 384),
    "rounded": round(5.83 * 32) / 32,
}


def _hand(**wrong) -> Callable[[str], float]:
    changed = _BY_HAND | wrong
    return lambda key: changed[key]


_PARAMETERS = _BY_HAND["parameters"]

by_hand = Task(
    name="ex11.by_hand",
    title="1 · By hand",
    section="11.1 An array that knows where it lies; 11.8 Half of the bits; "
    "11.9 The order in memory, and a compiler; 11.12 The reference network",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the bytes of the tensor", 0.5, ("bytes",)),
        Case("the stride of the rows", 0.5, ("stride",)),
        Case("the parameters", 0.5, ("parameters",)),
        Case("the steps", 0.5, ("steps",)),
        Case("5.83 in bfloat16", 0.5, ("rounded",)),
    ],
    misconceptions={
        "float32 bytes": Misconception(
            _hand(bytes=16 * 24 * 30 * 20 * 4),
            "Twice too many bytes: the 16 in bfloat16 counts bits, and a byte has 8.",
        ),
        "numbers, not bytes": Misconception(
            _hand(bytes=16 * 24 * 30 * 20), "That is how many numbers there are. How many bytes is each?"
        ),
        "bits": Misconception(_hand(bytes=16 * 24 * 30 * 20 * 16), "Those are bits. A byte has 8 of them."),
        "contiguous stride": Misconception(
            _hand(stride=20),
            "That is the stride of the rows where one channel follows the other. In channels_last each "
            "pixel of the row takes as many places as there are channels.",
        ),
        "stride of a pixel": Misconception(
            _hand(stride=24), "That leads to the pixel on the right. The next row is a whole row further."
        ),
        "stride in bytes": Misconception(
            _hand(stride=2 * 20 * 24), "Strides of a tensor count places, not bytes."
        ),
        "height for width": Misconception(
            _hand(stride=30 * 24), "You multiplied by the height. A row is as long as the picture is wide."
        ),
        "gray pictures": Misconception(
            _hand(parameters=_PARAMETERS - 16 * 2 * 25),
            "The first layer reads three channels now, so its filters are three times as deep.",
        ),
        "28×28": Misconception(
            _hand(parameters=_PARAMETERS - 100 * 32 * (64 - 49)),
            "A picture of 32×32 is 8×8 after two poolings, not 7×7.",
        ),
        "one pooling": Misconception(
            _hand(parameters=_PARAMETERS + 100 * 32 * (256 - 64)),
            "Each of the two blocks ends with a pooling: the dense layer sees the picture after both.",
        ),
        "ten classes": Misconception(
            _hand(parameters=_PARAMETERS - 90 * (32 * 64 + 1)), "There are 100 classes: 100 scores."
        ),
        "the chapter's network": Misconception(
            _hand(parameters=29_034),
            "That is the network of section 11.12 as it stands. Here three things change: the channels that "
            "come in, the size of the pictures, the classes.",
        ),
        "no batch norm": Misconception(
            _hand(parameters=_PARAMETERS - 2 * 16 - 2 * 32),
            "Batch normalization has two parameters a channel, a scale and a shift.",
        ),
        "running statistics": Misconception(
            _hand(parameters=_PARAMETERS + 2 * 16 + 2 * 32),
            "Running mean and variance are not learned by gradients: they are buffers, no parameters.",
        ),
        "no biases": Misconception(
            _hand(parameters=_PARAMETERS - 16 - 32 - 100), "Convolutions and the dense layer have biases."
        ),
        "short batch dropped": Misconception(
            _hand(steps=12 * (50_000 // 384)),
            "The last batch of each epoch is shorter, and it is a step as well.",
        ),
        "rounded once": Misconception(
            _hand(steps=-(-12 * 50_000 // 384)),
            "Batches do not reach from one epoch into the next: round up in each epoch, then multiply.",
        ),
        "one epoch": Misconception(
            _hand(steps=-(-50_000 // 384)), "Those are the steps of one epoch. There are 12."
        ),
        "not whole": Misconception(
            _hand(steps=12 * 50_000 / 384), "There is no part of a step: a short batch is a whole one."
        ),
        "rounded down": Misconception(
            _hand(rounded=math.floor(5.83 * 32) / 32),
            "That is the number below 5.83. The one above it is nearer.",
        ),
        "spacing at 1": Misconception(
            _hand(rounded=round(5.83 * 128) / 128),
            "Rounded too finely. Numbers are 1/128 apart between 1 and 2, and each power of two further up "
            "doubles the distance.",
        ),
        "not rounded": Misconception(
            _hand(rounded=5.83), "5.83 is no multiple of 1/32: which multiple is nearest?"
        ),
    },
    rtol=1e-9,
)


# ---- 2. A large batch in small pieces --------------------------------------------------------------------


def _loss(x, weight, labels):
    from torch.nn.functional import cross_entropy

    return cross_entropy(x @ weight.T, labels)


def _parts(labels, size: int) -> tuple:
    """The positions of the samples, cut into pieces of `size`."""
    import torch

    return torch.arange(len(labels)).split(size)


def _gradient_in_pieces(weight, x, labels, micro):
    w = weight.clone().requires_grad_()
    for part in _parts(labels, micro):
        (_loss(x[part], w, labels[part]) * len(part) / len(labels)).backward()
    return w.grad


def _at_once(weight, x, labels, micro):
    w = weight.clone().requires_grad_()
    _loss(x, w, labels).backward()
    return w.grad


def _by_formula(weight, x, labels, micro):
    p = (x @ weight.T).softmax(1)
    p[range(len(labels)), labels] -= 1
    return p.T @ x / len(labels)


def _pieces_with(scale: Callable[[int, int, int], float], drop: bool = False) -> Callable:
    """The mean loss of each piece of n samples times scale(n, N, number of pieces)."""

    def function(weight, x, labels, micro):
        w = weight.clone().requires_grad_()
        pieces = list(zip(x.split(micro), labels.split(micro), strict=True))
        if drop and len(pieces[-1][1]) < micro and len(pieces) > 1:
            pieces.pop()
        for xs, ys in pieces:
            (_loss(xs, w, ys) * scale(len(ys), len(labels), len(pieces))).backward()
        return w.grad

    return function


def _last_piece(weight, x, labels, micro):
    w = weight.clone().requires_grad_()
    for xs, ys in zip(x.split(micro), labels.split(micro), strict=True):
        w.grad = None
        (_loss(xs, w, ys) * len(ys) / len(labels)).backward()
    return w.grad


def _stepping(weight, x, labels, micro):
    w = weight.clone().requires_grad_()
    total = 0
    for xs, ys in zip(x.split(micro), labels.split(micro), strict=True):
        w.grad = None
        (_loss(xs, w, ys) * len(ys) / len(labels)).backward()
        total = total + w.grad
        w.data -= w.grad
    return total


def _running_sum(weight, x, labels, micro):
    w = weight.clone().requires_grad_()
    total = 0
    for part in _parts(labels, micro):
        (_loss(x[part], w, labels[part]) * len(part) / len(labels)).backward()
        total = total + w.grad
    return total


def _batch(rng, N: int, K: int, D: int) -> tuple:
    labels = rng.integers(0, K, N)
    labels[:K] = np.arange(K)
    return rng.normal(size=(K, D)), rng.normal(size=(N, D)), labels


gradient_in_pieces = Task(
    name="ex11.gradient_in_pieces",
    title="2 · A large batch in small pieces",
    section="11.3 The tape of PyTorch; 11.11 Several devices",
    reference=_gradient_in_pieces,
    cases=lambda rng: [
        Case("11 samples, 4 at a time", 1.0, (*_batch(rng, 11, 3, 5), 4)),
        Case("12 samples, 4 at a time", 0.4, (*_batch(rng, 12, 4, 6), 4)),
        Case("7 samples, one at a time", 0.3, (*_batch(rng, 7, 3, 4), 1)),
        Case("5 samples, 8 at a time", 0.2, (*_batch(rng, 5, 4, 3), 8)),
        Case("the weight stays as it was", 0.1, (*_batch(rng, 9, 3, 4), 5), keeps_inputs=True),
    ],
    misconceptions={
        "mean of means": Misconception(
            _pieces_with(lambda n, N, pieces: 1 / pieces),
            "Right where all pieces are equally long. A shorter piece counts less: weight each by its share "
            "of the samples, by (11.2).",
        ),
        "sum of means": Misconception(
            _pieces_with(lambda n, N, pieces: 1.0),
            "The gradients of all pieces add up; each of them is a mean already, so the sum is too large.",
        ),
        "sum of sums": Misconception(
            _pieces_with(lambda n, N, pieces: n),
            "That is the gradient of the sum over the samples. The loss is their mean.",
        ),
        "divided twice": Misconception(
            _pieces_with(lambda n, N, pieces: 1 / N),
            "`cross_entropy` is a mean over the piece already. A piece of n samples counts n times as much "
            "as a single one.",
        ),
        "running sum added": Misconception(
            _running_sum,
            "`backward` adds to what is in .grad: whoever adds up .grad after each piece counts the first "
            "pieces several times.",
        ),
        "share of micro": Misconception(
            lambda weight, x, labels, micro: _pieces_with(lambda n, N, pieces: micro / N)(
                weight, x, labels, micro
            ),
            "You weight each piece by micro. The last piece may have fewer samples than that.",
        ),
        "sums over micro": Misconception(
            lambda weight, x, labels, micro: _pieces_with(lambda n, N, pieces: n / micro)(
                weight, x, labels, micro
            ),
            "You divide the sum of each piece by micro. The loss is a mean over the whole batch: divide by "
            "the number of all samples.",
        ),
        "short piece dropped": Misconception(
            _pieces_with(lambda n, N, pieces: n / N, drop=True),
            "The last, shorter piece is missing: its samples belong to the batch.",
        ),
        "last piece only": Misconception(
            _last_piece, "Only the last piece is left: do not clear the gradients between the pieces."
        ),
        "steps between": Misconception(
            _stepping,
            "The weight moves between the pieces. All of them must be computed with the same weight.",
        ),
        "ascent": Misconception(
            lambda weight, x, labels, micro: -_at_once(weight, x, labels, micro),
            "The sign is turned around: asked for is the gradient, not the step.",
        ),
    },
    alternatives={"at once": _at_once, "by formula": _by_formula},
    tensors=True,
)


# ---- 3. The rule of the loss scaler ----------------------------------------------------------------------


def _loss_scale(finite, factor, interval):
    good = updates = 0
    for fine in finite:
        if not fine:
            factor, good = factor / 2, 0
            continue
        updates, good = updates + 1, good + 1
        if good == interval:
            factor, good = 2 * factor, 0
    return factor, updates


def _scale_by_runs(finite, factor, interval):
    """The same, from the lengths of the rows of good steps."""
    runs = "".join("1" if fine else "0" for fine in finite).split("0")
    return factor * 2.0 ** (sum(len(run) // interval for run in runs) - (len(runs) - 1)), sum(map(len, runs))


def _scale_variant(
    again: bool = True,
    reset: bool = True,
    skip: bool = True,
    halve: float = 0.5,
    grow: float = 2.0,
    late: int = 0,
    back: bool = False,
    once: bool = False,
) -> Callable:
    def function(finite, factor, interval):
        good = updates = 0
        first = factor
        for fine in finite:
            updates += bool(fine) or not skip
            if not fine:
                factor, good = first if back else factor * halve, 0 if reset else good
                continue
            good += 1
            if good == interval + late or (not again and good > interval):
                factor, good = factor * grow, 0 if again and not once else good
        return factor, updates

    return function


def _scale_cases(rng) -> list[Case]:
    def steps(text: str) -> list[bool]:
        return [letter == "g" for letter in text]

    few = int(rng.integers(2, 4))
    return [
        Case("one overflow", 0.25, (steps("gg" + "b" + "g" * few), 1024.0, 7)),
        Case("growth, again and again", 0.5, (steps("g" * (7 + few)), 2.0**few, 3)),
        Case("overflows between good steps", 0.5, (steps("ggbggbgggb" + "g" * few), 4096.0, 3)),
        Case("overflows only", 0.25, (steps("b" * (few + 1)), 65536.0, 2)),
    ]


loss_scale = Task(
    name="ex11.loss_scale",
    title="3 · The rule of the loss scaler",
    section="11.8 Half of the bits",
    reference=_loss_scale,
    cases=_scale_cases,
    misconceptions={
        "skipped steps counted": Misconception(
            _scale_variant(skip=False),
            "A step whose gradients are not finite is skipped: it updates no weight.",
        ),
        "count goes on": Misconception(
            _scale_variant(reset=False),
            "The good steps have to follow each other: after an overflow the count begins anew.",
        ),
        "grows every step": Misconception(
            _scale_variant(again=False),
            "Having grown once, the factor waits for `interval` more good steps: the count begins anew.",
        ),
        "grows once in a row": Misconception(
            _scale_variant(once=True),
            "A long row of good steps doubles the factor several times: after each doubling the count begins "
            "anew.",
        ),
        "one too late": Misconception(
            _scale_variant(late=1), "The factor doubles with the good step number `interval`, not after it."
        ),
        "no halving": Misconception(
            _scale_variant(halve=1.0), "An overflow says that the factor is too large: halve it."
        ),
        "no growth": Misconception(
            _scale_variant(grow=1.0), "The factor never grows. After a row of good steps it is doubled."
        ),
        "grows by one": Misconception(
            _scale_variant(grow=1.5), "The factor is doubled after the row of good steps."
        ),
        "back to the first": Misconception(
            _scale_variant(back=True), "An overflow halves the factor; it does not set it back to the first."
        ),
        "halves wrongly": Misconception(
            _scale_variant(halve=2.0),
            "The factor grows with an overflow, and the next one overflows even more: halve it.",
        ),
        "swapped": Misconception(
            lambda finite, factor, interval: _loss_scale(finite, factor, interval)[::-1],
            "The two numbers are in the wrong order: first the factor, then the updates.",
        ),
    },
    alternatives={"rows of good steps": _scale_by_runs},
)


# ---- 4. Find the bug: a training that runs away ----------------------------------------------------------


def _train(weight, x, labels, lr, batch_size, epochs):
    import torch

    weight = weight.clone().requires_grad_()
    optimizer = torch.optim.SGD([weight], lr=lr)
    for _ in range(epochs):
        for part in _parts(labels, batch_size):
            optimizer.zero_grad()
            _loss(x[part], weight, labels[part]).backward()
            optimizer.step()
    return weight.detach()


def _train_by_formula(weight, x, labels, lr, batch_size, epochs):
    for _ in range(epochs):
        for xs, ys in zip(x.split(batch_size), labels.split(batch_size), strict=True):
            weight = weight - lr * _by_formula(weight, xs, ys, None)
    return weight


def _train_variant(
    clear: str = "step", step: str = "batch", drop: bool = False, total: bool = False, divide: bool = False
) -> Callable:
    """clear: before each "step", once an "epoch", "never", or "late"; step: after each "batch" or "epoch"."""

    def function(weight, x, labels, lr, batch_size, epochs):
        import torch

        weight = weight.clone().requires_grad_()
        optimizer = torch.optim.SGD([weight], lr=lr)
        batches = list(zip(x.split(batch_size), labels.split(batch_size), strict=True))
        batches = [b for b in batches if len(b[1]) == batch_size or len(batches) == 1] if drop else batches
        for _ in range(epochs):
            if clear == "epoch":
                optimizer.zero_grad()
            for xs, ys in batches:
                if clear == "step":
                    optimizer.zero_grad()
                factor = len(ys) if total else 1 / len(ys) if divide else 1
                (_loss(xs, weight, ys) * factor).backward()
                if clear == "late":
                    optimizer.zero_grad()
                if step == "batch":
                    optimizer.step()
            if step == "epoch":
                optimizer.step()
        return weight.detach()

    return function


def _train_cases(rng) -> list[Case]:
    return [
        Case("several batches, one epoch", 0.5, (*_batch(rng, 12, 3, 5), 0.3, 4, 1)),
        Case("a shorter last batch, three epochs", 0.75, (*_batch(rng, 11, 4, 3), 0.2, 4, 3)),
        Case("one batch an epoch", 0.25, (*_batch(rng, 6, 3, 4), 0.5, 6, 4)),
        Case("batches of one", 0.4, (*_batch(rng, 7, 3, 4), 0.1, 1, 2)),
        Case("the weight stays as it was", 0.1, (*_batch(rng, 8, 3, 4), 0.3, 5, 2), {}, False, True),
    ]


train = Task(
    name="ex11.train",
    title="4 · Find the bug: a training that runs away",
    section="11.5 Training in ten lines",
    reference=_train,
    cases=_train_cases,
    misconceptions={
        "cleared once an epoch": Misconception(
            _train_variant(clear="epoch"),
            "The bug is still there: within an epoch each step follows the sum of all gradients so far.",
        ),
        "never cleared": Misconception(
            _train_variant(clear="never"),
            "Now the gradients are never cleared: `backward` adds to what is in .grad.",
        ),
        "cleared before the step": Misconception(
            _train_variant(clear="late"),
            "The weight does not move: the gradients are cleared between `backward` and `step`.",
        ),
        "one step an epoch": Misconception(
            _train_variant(clear="epoch", step="epoch"),
            "That makes one step an epoch, along the sum of the gradients of its batches. Each batch makes "
            "a step.",
        ),
        "last gradient of an epoch": Misconception(
            _train_variant(step="epoch"),
            "The step is made once an epoch, along the gradient of its last batch. Each batch makes a step.",
        ),
        "short batch dropped": Misconception(
            _train_variant(drop=True), "The shorter batch at the end of the epoch is missing."
        ),
        "sum of the losses": Misconception(
            _train_variant(total=True), "You sum the loss over the batch. It is the mean."
        ),
        "divided twice": Misconception(
            _train_variant(divide=True),
            "The steps are too short: `cross_entropy` is a mean over the batch already.",
        ),
        "one epoch": Misconception(
            lambda weight, x, labels, lr, batch_size, epochs: _train(weight, x, labels, lr, batch_size, 1),
            "That is one epoch, however many are asked for.",
        ),
        "ascent": Misconception(
            lambda weight, x, labels, lr, batch_size, epochs: _train_by_formula(
                weight, x, labels, -lr, batch_size, epochs
            ),
            "The steps go uphill: along the gradient instead of against it.",
        ),
    },
    alternatives={"by formula": _train_by_formula},
    tensors=True,
)


# ---- 5. A larger batch -----------------------------------------------------------------------------------


@cache
def _garments() -> tuple[np.ndarray, ...]:
    from utils import data

    sample, unseen = (data.load(split=split, sample=True, quiet=True) for split in ("train", "test"))
    x, new = (np.reshape(d.images, (len(d), -1)) / 255 for d in (sample, unseen))
    return x - x.mean(0), sample.labels, new - x.mean(0), unseen.labels


@cache
def _test_loss(batch_size: int, lr: float, epochs: int = 4, on_training: bool = False) -> float:
    """The loss of one dense layer, trained from zeros by plain gradient descent, in NumPy."""
    from utils.functional import cross_entropy, cross_entropy_backward

    x, labels, new, new_labels = _garments()
    w, b = np.zeros((10, 784)), np.zeros(10)
    for _ in range(epochs):
        for start in range(0, len(x), batch_size):
            xs, ys = x[start : start + batch_size], labels[start : start + batch_size]
            delta = cross_entropy_backward(1.0, xs @ w.T + b, ys)
            w, b = w - lr * (delta.T @ xs), b - lr * delta.sum(0)
    new, new_labels = (x, labels) if on_training else (new, new_labels)
    return float(cross_entropy(new @ w.T + b, new_labels))


_RUNS = {"small": (25, 0.02), "large": (200, 0.02), "scaled": (200, 0.16), "whole": (3000, 2.4)}


def _larger_batch(key: str) -> float | str:
    return "d" if key == "rule" else _test_loss(*_RUNS[key])


def _other_runs(rule: str = "d", **runs) -> Callable[[str], float | str]:
    return lambda key: rule if key == "rule" else _test_loss(*runs.get(key, _RUNS[key]))


larger_batch = Task(
    name="ex11.larger_batch",
    title="5 · Experiment: a larger batch",
    section="11.11 Several devices; 11.12 The reference network",
    reference=_larger_batch,
    cases=lambda rng: [
        Case("batches of 25", 0.3, ("small",)),
        Case("batches of 200, same rate", 0.4, ("large",)),
        Case("batches of 200, scaled rate", 0.4, ("scaled",)),
        Case("one batch, scaled rate", 0.4, ("whole",)),
        Case("the rule", 0.5, ("rule",)),
    ],
    misconceptions={
        "scaled by the root": Misconception(
            _other_runs(scaled=(200, 0.02 * 8**0.5), whole=(3000, 0.02 * 120**0.5)),
            "You took the square root of the factor. Here the rate grows by the same factor as the batch.",
        ),
        "rate divided": Misconception(
            _other_runs(scaled=(200, 0.02 / 8), whole=(3000, 0.02 / 120)),
            "You divided the rate. It grows with the batch.",
        ),
        "whole at the small rate": Misconception(
            _other_runs(whole=(3000, 0.02)),
            "That is one batch of all pictures at the small rate. Scale it by 3,000 / 25.",
        ),
        "whole at the rate of 200": Misconception(
            _other_runs(whole=(3000, 0.16)), "The factor for `whole` is 3,000 / 25, not 200 / 25."
        ),
        "same number of steps": Misconception(
            _other_runs(large=(200, 0.02, 32)),
            "You gave the larger batch more epochs, so that it makes as many steps. All make four epochs.",
        ),
        "training loss": Misconception(
            lambda key: "d" if key == "rule" else _test_loss(*_RUNS[key], on_training=True),
            "Those are losses on the training pictures. Asked for are those on new ones.",
        ),
        "one epoch": Misconception(
            lambda key: "d" if key == "rule" else _test_loss(*_RUNS[key], 1),
            "Those are the losses after one epoch. Train for four.",
        ),
        "large scaled as well": Misconception(
            _other_runs(large=(200, 0.16)), "`large` is at the rate of the small batch."
        ),
        "not scaled": Misconception(
            _other_runs(scaled=(200, 0.02)), "`scaled` is at a rate that is larger by 200 / 25."
        ),
        "rule a": Misconception(_other_runs(rule="a"), "Compare `small` with `large` again: which is lower?"),
        "rule b": Misconception(
            _other_runs(rule="b"), "Compare `small` with `large`: is the difference small?"
        ),
        "rule c": Misconception(
            _other_runs(rule="c"), "Look at `whole`: did the scaled rate make up for the fewer steps there?"
        ),
    },
    rtol=5e-4,
)

TASKS = (by_hand, gradient_in_pieces, loss_scale, train, larger_batch)
