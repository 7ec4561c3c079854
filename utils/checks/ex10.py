"""Exercise 10, training that generalizes: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. By hand ------------------------------------------------------------------------------------------

# A channel holds 2, 4, 4, 10: mean 5, variance 9. Its running variance was 1. Differences 1.2, 0.6, 0.9.
_BY_HAND = {
    "normalized": 2 * (10 - 5) / 3 + 1,
    "running": 0.9 * 1 + 0.1 * 9 * 4 / 3,
    "kept": 6 / 0.75,
    "target": 0.8 + 0.2 / 10,
    "half": 4.303 * 0.3 / math.sqrt(3),
}


def _by_hand_with(**wrong: float) -> Callable[[str], float]:
    """The right numbers, but for those given."""
    values = _BY_HAND | wrong
    return lambda key: values[key]


by_hand = Task(
    name="ex10.by_hand",
    title="1 · Five numbers by hand",
    section="10.2 How to compare two recipes; 10.6 Dropout; 10.7 Batch normalization, forward and backward; "
    "10.8 Batch normalization in use, and how it fails; 10.12 Softer targets, and when to stop",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the normalized output", 0.4, ("normalized",)),
        Case("the running variance", 0.4, ("running",)),
        Case("the kept activation", 0.4, ("kept",)),
        Case("the smoothed target", 0.4, ("target",)),
        Case("the half width", 0.4, ("half",)),
    ],
    misconceptions={
        "divided by the variance": Misconception(
            _by_hand_with(normalized=2 * 5 / 9 + 1),
            "You divided by the variance: the standard deviation is its root.",
        ),
        "unbiased in the normalization": Misconception(
            _by_hand_with(normalized=2 * 5 / math.sqrt(12) + 1),
            "The batch is normalized by its own variance, divided by m. The factor m/(m-1) belongs to the "
            "running average.",
        ),
        "gamma and beta forgotten": Misconception(
            _by_hand_with(normalized=5 / 3), "That is x-hat. The layer goes on: times gamma, plus beta."
        ),
        "gamma and beta swapped": Misconception(
            _by_hand_with(normalized=5 / 3 + 2),
            "Gamma multiplies and beta is added; you have them the other way round.",
        ),
        "mean not subtracted": Misconception(
            _by_hand_with(normalized=2 * 10 / 3 + 1), "Subtract the mean of the channel before dividing."
        ),
        "biased running variance": Misconception(
            _by_hand_with(running=0.9 + 0.1 * 9),
            "The running average takes in the unbiased variance: a factor m/(m-1) is missing.",
        ),
        "shares swapped": Misconception(
            _by_hand_with(running=0.1 * 1 + 0.9 * 12),
            "A tenth comes from the batch, and nine tenths stay as they were.",
        ),
        "shares swapped, biased": Misconception(
            _by_hand_with(running=0.1 * 1 + 0.9 * 9),
            "Two things: nine tenths should stay as they were, and the factor m/(m-1) is missing.",
        ),
        "nothing fades": Misconception(
            _by_hand_with(running=1 + 0.1 * 12),
            "The old value fades while the new one comes in: of the old, only 1 - alpha stays.",
        ),
        "nothing stays": Misconception(
            _by_hand_with(running=0.1 * 12), "That is what comes in. What stays of the old running variance?"
        ),
        "batch variance only": Misconception(
            _by_hand_with(running=12.0),
            "That is the batch's. The running average moves only a tenth of the way.",
        ),
        "running standard deviation": Misconception(
            _by_hand_with(running=0.9 + 0.1 * math.sqrt(12)),
            "The variance is averaged, not the standard deviation.",
        ),
        "divided by p": Misconception(
            _by_hand_with(kept=6 / 0.25), "You divided by the probability to be dropped: use that to be kept."
        ),
        "multiplied": Misconception(
            _by_hand_with(kept=6 * 0.75),
            "The kept activation must grow, to make up for those that are missing.",
        ),
        "multiplied by 1 + p": Misconception(
            _by_hand_with(kept=6 * 1.25),
            "It grows, but not enough: of four activations three are kept. What makes three as much as four?",
        ),
        "not scaled": Misconception(
            _by_hand_with(kept=6.0), "Without a scale the next layer gets less in training than in use."
        ),
        "only 1 - eps": Misconception(
            _by_hand_with(target=0.8), "The right class gets its share of eps as well: all classes do."
        ),
        "spread over the others": Misconception(
            _by_hand_with(target=0.8 + 0.2 / 9),
            "By (10.11) eps is divided by the number of all classes, the right one among them.",
        ),
        "wrong class": Misconception(
            _by_hand_with(target=0.2 / 10), "That is the target of a wrong class. Which one was asked for?"
        ),
        "root of n forgotten": Misconception(
            _by_hand_with(half=4.303 * 0.3),
            "The mean of n seeds varies less than one seed: divide by a root.",
        ),
        "divided by n": Misconception(
            _by_hand_with(half=4.303 * 0.1), "Divide by the root of n, not by n: noise averages out slowly."
        ),
        "biased deviation": Misconception(
            _by_hand_with(half=4.303 * 0.3 * math.sqrt(2 / 3) / math.sqrt(3)),
            "The standard deviation of a few seeds divides by n - 1.",
        ),
        "variance instead of deviation": Misconception(
            _by_hand_with(half=4.303 * 0.09 / math.sqrt(3)),
            "You put in the variance of the differences: take its root.",
        ),
        "without t": Misconception(
            _by_hand_with(half=0.3 / math.sqrt(3)),
            "That is the standard error. With three seeds the interval is Student's t times as wide.",
        ),
        "both sides": Misconception(
            _by_hand_with(half=2 * 4.303 * 0.3 / math.sqrt(3)),
            "That is the whole interval. How far does it reach to one side?",
        ),
        "normal distribution": Misconception(
            _by_hand_with(half=1.96 * 0.3 / math.sqrt(3)),
            "1.96 is for many seeds. For three, take the t that the task gives.",
        ),
    },
    rtol=2e-3,
)


# ---- 2. Batch normalization, backward --------------------------------------------------------------------

_AXES = (0, 2, 3)


def _mean(a, axes=_AXES):
    return a.mean(axes, keepdims=True)


def _norm_backward(delta, x, gamma, eps):
    s = np.sqrt(x.var(_AXES, keepdims=True) + eps)
    xhat, g = (x - _mean(x)) / s, gamma[:, None, None]
    grad_x = g / s * (delta - _mean(delta) - xhat * _mean(delta * xhat))
    return grad_x, (delta * xhat).sum(_AXES), delta.sum(_AXES)


def _norm_backward_with(
    delta,
    x,
    gamma,
    eps,
    *,
    axes=_AXES,
    ddof=0,
    xhat=lambda centered, s: centered / s,
    center=lambda d, h, axes: d - _mean(d, axes) - h * _mean(d * h, axes),
    scale=lambda g, s: g / s,
    collect=np.sum,
    grad_gamma=None,
    root=np.sqrt,
):
    """(grad_x, grad_gamma, grad_beta); the keywords are the places where it goes wrong."""
    centered = x - _mean(x, axes)
    s = root(x.var(axes, keepdims=True, ddof=ddof) + eps)
    h, g = xhat(centered, s), gamma[:, None, None]
    grad = (delta * h) if grad_gamma is None else grad_gamma(delta, x, centered)
    return scale(g, s) * center(delta, h, axes), collect(grad, axis=_AXES), collect(delta, axis=_AXES)


def _wrong(**changes):
    return lambda delta, x, gamma, eps: _norm_backward_with(delta, x, gamma, eps, **changes)


def _norm_backward_by_paths(delta, x, gamma, eps):
    """The three paths one after the other, with the variance and the mean as nodes of the graph."""
    m = x.size // len(gamma)
    mean, var = x.mean(_AXES, keepdims=True), x.var(_AXES, keepdims=True)
    g = delta * gamma[:, None, None]
    grad_var = (g * (x - mean)).sum(_AXES, keepdims=True) * -0.5 * (var + eps) ** -1.5
    grad_mean = -(g / np.sqrt(var + eps)).sum(_AXES, keepdims=True)
    grad_x = g / np.sqrt(var + eps) + grad_var * 2 * (x - mean) / m + grad_mean / m
    xhat = (x - mean) / np.sqrt(var + eps)
    return grad_x, (delta * xhat).sum(_AXES), delta.sum(_AXES)


def _norm_backward_channel_by_channel(delta, x, gamma, eps):
    """Each channel as a flat list of numbers, with the matrix of all derivatives."""
    grad_x, grad_gamma, grad_beta = np.empty_like(x), [], []
    for c in range(x.shape[1]):
        v, d = x[:, c].ravel(), delta[:, c].ravel()
        s = math.sqrt(v.var() + eps)
        h = (v - v.mean()) / s
        jacobian = (np.eye(len(v)) - 1 / len(v) - np.outer(h, h) / len(v)) / s
        grad_x[:, c] = (gamma[c] * jacobian @ d).reshape(x[:, c].shape)
        grad_gamma.append(d @ h)
        grad_beta.append(d.sum())
    return grad_x, np.array(grad_gamma), np.array(grad_beta)


def _norm_cases(rng) -> list[Case]:
    def case(label, points, shape, eps, **options):
        C = shape[1]
        size = rng.uniform(0.5, 2.5, (1, C, 1, 1))  # channels of different mean and spread
        x = size * rng.normal(size=shape) + rng.normal(size=(1, C, 1, 1))
        delta = rng.normal(size=shape) + rng.normal(size=(1, C, 1, 1)) + 0.5 * x
        return Case(label, points, (delta, x, rng.normal(size=C) + 0.2, eps), **options)

    return [
        case("4 pictures of 3 channels", 1.0, (4, 3, 5, 2), 1e-5),
        case("2 pictures of 5 channels", 0.75, (2, 5, 3, 4), 1e-5),
        case("a large eps", 0.5, (3, 2, 4, 3), 0.5),
        case("the arguments stay as they were", 0.25, (3, 2, 2, 3), 1e-3, keeps_inputs=True),
    ]


norm_backward = Task(
    name="ex10.batch_norm_backward",
    title="2 · Batch normalization, backward",
    section="10.7 Batch normalization, forward and backward",
    reference=_norm_backward,
    cases=_norm_cases,
    misconceptions={
        "direct path only": Misconception(
            _wrong(center=lambda d, h, axes: d),
            "At x you have the direct path only: x also acts through the mean and the variance.",
        ),
        "no path through the variance": Misconception(
            _wrong(center=lambda d, h, axes: d - _mean(d, axes)),
            "At x the path through the variance is missing: the term with x-hat.",
        ),
        "no path through the mean": Misconception(
            _wrong(center=lambda d, h, axes: d - h * _mean(d * h, axes)),
            "At x the path through the mean is missing: the mean of delta.",
        ),
        "sign of the variance path": Misconception(
            _wrong(center=lambda d, h, axes: d - _mean(d, axes) + h * _mean(d * h, axes)),
            "At x the term of the variance has the wrong sign: both terms are subtracted.",
        ),
        "sign of the mean path": Misconception(
            _wrong(center=lambda d, h, axes: d + _mean(d, axes) - h * _mean(d * h, axes)),
            "At x the term of the mean has the wrong sign: both terms are subtracted.",
        ),
        "sums instead of means": Misconception(
            _wrong(
                center=lambda d, h, axes: (
                    d - d.sum(axes, keepdims=True) - h * (d * h).sum(axes, keepdims=True)
                )
            ),
            "At x you subtract sums over the batch: (10.9) has means.",
        ),
        "divided by the batch only": Misconception(
            _wrong(
                center=lambda d, h, axes: (
                    d - d.sum(axes, keepdims=True) / len(d) - h * (d * h).sum(axes, keepdims=True) / len(d)
                )
            ),
            "At x you divide by the number of pictures: a channel has N H W numbers.",
        ),
        "x-hat missing before its mean": Misconception(
            _wrong(center=lambda d, h, axes: d - _mean(d, axes) - _mean(d * h, axes)),
            "At x the mean of delta times x-hat must be multiplied by x-hat again.",
        ),
        "x-hat not divided": Misconception(
            lambda delta, x, gamma, eps: _norm_backward_with(
                delta, x, gamma, eps, center=lambda d, h, axes: d - _mean(d) - (x - _mean(x)) * _mean(d * h)
            ),
            "At x, the variance term takes x-hat, and you have x minus its mean: divide it, too.",
        ),
        "x in the mean": Misconception(
            lambda delta, x, gamma, eps: _norm_backward_with(
                delta, x, gamma, eps, center=lambda d, h, axes: d - _mean(d) - h * _mean(d * x)
            ),
            "At x, the second mean in (10.9) is that of delta times x-hat, and not of delta times x.",
        ),
        "gamma twice": Misconception(
            _wrong(scale=lambda g, s: g * g / s), "At x the factor gamma stands twice: once is enough."
        ),
        "gamma missing": Misconception(
            _wrong(scale=lambda g, s: 1 / s), "At x the factor gamma is missing: delta is the gradient at y."
        ),
        "not divided by s": Misconception(
            _wrong(scale=lambda g, s: g), "At x the division by the standard deviation is missing."
        ),
        "divided by the variance": Misconception(
            _wrong(scale=lambda g, s: g / s**2),
            "At x you divide by the variance: it is its root.",
        ),
        "each picture on its own": Misconception(
            _wrong(axes=(2, 3)), "Your statistics are those of each picture: the batch axis belongs to them."
        ),
        "each place on its own": Misconception(
            _wrong(axes=(0,)), "Your statistics are those of each place: rows and columns belong to them."
        ),
        "all channels together": Misconception(
            _wrong(axes=(0, 1, 2, 3)), "Your statistics mix the channels: each has its own mean and variance."
        ),
        "unbiased": Misconception(
            _wrong(ddof=1), "You divide the variance by m - 1: the forward divides by m."
        ),
        "no eps": Misconception(
            lambda delta, x, gamma, eps: _norm_backward(delta, x, gamma, 0.0),
            "A large eps makes a difference: it stands under the root, with the variance.",
        ),
        "eps outside the root": Misconception(
            lambda delta, x, gamma, eps: _norm_backward_with(
                delta, x, gamma, eps, root=lambda v: np.sqrt(v - eps) + eps
            ),
            "The number eps is added under the root, not behind it.",
        ),
        "means at gamma and beta": Misconception(
            _wrong(collect=np.mean),
            "The gradient at x is right. Those at gamma and beta are sums over the batch, not means.",
        ),
        "x at gamma": Misconception(
            _wrong(grad_gamma=lambda d, x, centered: d * x),
            "The gradient at gamma takes x-hat, which gamma multiplies, and not x.",
        ),
        "centered x at gamma": Misconception(
            _wrong(grad_gamma=lambda d, x, centered: d * centered),
            "The gradient at gamma takes x-hat: you subtracted the mean and forgot to divide.",
        ),
        "gamma and beta swapped": Misconception(
            lambda *a: tuple(_norm_backward(*a)[i] for i in (0, 2, 1)),
            "Gamma and beta have changed places in what you return.",
        ),
    },
    alternatives={
        "by paths": _norm_backward_by_paths,
        "with the Jacobian": _norm_backward_channel_by_channel,
    },
)


# ---- 3. Mixup --------------------------------------------------------------------------------------------


def _mixup(x, labels, other, share, classes):
    y = np.eye(classes)[labels]
    return share * x + (1 - share) * x[other], share * y + (1 - share) * y[other]


def _mixup_in_loops(x, labels, other, share, classes):
    mixed, targets = [], np.zeros((len(x), classes))
    for n, partner in enumerate(other):
        mixed.append(share * x[n] + (1 - share) * x[partner])
        targets[n, labels[n]] = share
        targets[n, labels[partner]] += 1 - share
    return np.array(mixed), targets


def _mixup_with_add_at(x, labels, other, share, classes):
    targets, rows = np.zeros((len(x), classes)), np.arange(len(x))
    np.add.at(targets, (rows, labels), share)
    np.add.at(targets, (rows, labels[other]), 1 - share)
    return x[other] + share * (x - x[other]), targets


def _overwritten(x, labels, other, share, classes):
    """The same, in place: partners that have been mixed already are mixed in again."""
    x, y = x.copy(), np.eye(classes)[labels]
    for n, partner in enumerate(other):
        x[n] = share * x[n] + (1 - share) * x[partner]
        y[n] = share * y[n] + (1 - share) * y[partner]
    return x, y


def _one_target(x, labels, other, share, classes):
    """Written with = where += is needed: a partner of the same class overwrites."""
    targets = np.zeros((len(x), classes))
    rows = np.arange(len(x))
    targets[rows, labels] = share
    targets[rows, labels[other]] = 1 - share
    return _mixup(x, labels, other, share, classes)[0], targets


def _mixup_cases(rng) -> list[Case]:
    def case(label, points, shape, classes, share, **options):
        N = shape[0]
        labels = rng.integers(0, classes - 1, N)  # the last class does not occur
        other = np.roll(rng.permutation(N), 1)
        while (other == np.arange(N)).any() or (other[other] == np.arange(N)).any():
            other = rng.permutation(N)  # everybody has a partner, and no two are each other's
        labels[other[1]] = labels[1]  # a pair of one class
        return Case(label, points, (rng.normal(size=shape), labels, other, share, classes), **options)

    return [
        case("5 pictures, share 0.7", 0.5, (5, 2, 3, 4), 6, 0.7),
        case("7 pictures, share 0.25", 0.5, (7, 1, 4, 3), 4, 0.25),
        case("10 classes, share 0.9", 0.25, (6, 3, 2, 2), 10, 0.9),
        case("the arguments stay as they were", 0.25, (5, 1, 2, 3), 5, 0.6, keeps_inputs=True),
    ]


mixup = Task(
    name="ex10.mixup",
    title="3 · Mixup",
    section="10.12 Softer targets, and when to stop",
    reference=_mixup,
    cases=_mixup_cases,
    misconceptions={
        "labels not mixed": Misconception(
            lambda x, labels, other, share, classes: (
                _mixup(x, labels, other, share, classes)[0],
                np.eye(classes)[labels],
            ),
            "The pictures are right. The targets are still those of the first one: mix them, too.",
        ),
        "the label of the larger share": Misconception(
            lambda x, labels, other, share, classes: (
                _mixup(x, labels, other, share, classes)[0],
                np.eye(classes)[labels if share >= 0.5 else labels[other]],
            ),
            "The pictures are right. The target is a blend as well, not the class that weighs more.",
        ),
        "half and half": Misconception(
            lambda x, labels, other, share, classes: (
                _mixup(x, labels, other, share, classes)[0],
                _mixup(x, labels, other, 0.5, classes)[1],
            ),
            "The pictures are right. The targets take the same share, not one half.",
        ),
        "shares swapped in the targets": Misconception(
            lambda x, labels, other, share, classes: (
                _mixup(x, labels, other, share, classes)[0],
                _mixup(x, labels, other, 1 - share, classes)[1],
            ),
            "The pictures are right. In the targets the two shares have changed places.",
        ),
        "shares swapped in the pictures": Misconception(
            lambda x, labels, other, share, classes: (
                _mixup(x, labels, other, 1 - share, classes)[0],
                _mixup(x, labels, other, share, classes)[1],
            ),
            "The targets are right. In the pictures the two shares have changed places.",
        ),
        "shares swapped": Misconception(
            lambda x, labels, other, share, classes: _mixup(x, labels, other, 1 - share, classes),
            "The two shares have changed places: `share` belongs to the picture itself.",
        ),
        "a same class overwrites": Misconception(
            _one_target,
            "Two pictures of one class: their shares add up to 1. Yours overwrites the first one.",
        ),
        "no partner": Misconception(
            lambda x, labels, other, share, classes: _mixup(x, labels, np.arange(len(x)), share, classes),
            "Each picture is mixed with itself: the partner of picture n is picture other[n].",
        ),
        "the order turned back": Misconception(
            lambda x, labels, other, share, classes: _mixup(x, labels, np.argsort(other), share, classes),
            "The partners are mixed up: picture n gets picture other[n], not the one that other sends to n.",
        ),
        "neighbors": Misconception(
            lambda x, labels, other, share, classes: _mixup(
                x, labels, np.roll(np.arange(len(x)), 1), share, classes
            ),
            "You mix neighbors: the partners are given by `other`.",
        ),
        "overwritten while mixing": Misconception(
            _overwritten,
            "Some partners had been mixed already when you used them: work on a copy.",
        ),
        "scaled while mixing": Misconception(
            lambda x, labels, other, share, classes: (
                share * x + (1 - share) * (share * x)[other],
                _mixup(x, labels, other, share, classes)[1],
            ),
            "The partners were scaled by `share` before you mixed them in: work on a copy.",
        ),
        "sum": Misconception(
            lambda x, labels, other, share, classes: (
                x + (1 - share) * x[other],
                np.eye(classes)[labels] + (1 - share) * np.eye(classes)[labels][other],
            ),
            "The first picture keeps its full strength: its share is `share`, and the two add up to 1.",
        ),
        "mixed class numbers": Misconception(
            lambda x, labels, other, share, classes: (
                _mixup(x, labels, other, share, classes)[0],
                share * labels + (1 - share) * labels[other],
            ),
            "You mixed the numbers of the classes. Half of class 2 and half of class 4 is not class 3: mix "
            "one-hot vectors.",
        ),
        "as many classes as seen": Misconception(
            lambda x, labels, other, share, classes: _mixup(x, labels, other, share, labels.max() + 1),
            "The targets have too few columns: one for each class, whether it occurs or not.",
        ),
    },
    alternatives={
        "in loops": _mixup_in_loops,
        "with add.at": _mixup_with_add_at,
    },
)


# ---- 4. A schedule ---------------------------------------------------------------------------------------


def _schedule(step, total, peak, warm_up):
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up))) / 2


def _schedule_with(
    rise=lambda step, peak, warm_up: peak * (step + 1) / warm_up,
    fall=lambda step, total, peak, warm_up: (
        peak * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up))) / 2
    ),
    until=lambda warm_up: warm_up,
) -> Callable:
    """The schedule with one of its parts replaced."""

    def schedule(step, total, peak, warm_up):
        if step < until(warm_up):
            return rise(step, peak, warm_up)
        return fall(step, total, peak, warm_up)

    return schedule


def _schedule_cases(rng) -> list[Case]:
    peak, total, warm_up = float(rng.uniform(0.05, 0.4)), int(rng.integers(80, 120)), 10
    later = warm_up + 2 * (total - warm_up) // 5
    return [
        Case("the first step", 0.25, (0, total, peak, warm_up)),
        Case("in the warm-up", 0.25, (6, total, peak, warm_up)),
        Case("the last step of the warm-up", 0.15, (warm_up - 1, total, peak, warm_up)),
        Case("the first step after it", 0.15, (warm_up, total, peak, warm_up)),
        Case("on the way down", 0.25, (later, total, peak, warm_up)),
        Case("near the end", 0.2, (total - 5, total, peak, warm_up + 3)),
    ]


schedule = Task(
    name="ex10.schedule",
    title="4 · Warm-up, then a cosine",
    section="10.10 The learning rate",
    reference=_schedule,
    cases=_schedule_cases,
    misconceptions={
        "begins at zero": Misconception(
            _schedule_with(rise=lambda step, peak, warm_up: peak * step / warm_up),
            "The first step has learning rate 0 and is lost: count steps from 1 in the warm-up.",
        ),
        "one step too short": Misconception(
            _schedule_with(rise=lambda step, peak, warm_up: peak * (step + 1) / (warm_up + 1)),
            "The last step of the warm-up should reach the peak: it falls short of it.",
        ),
        "no warm-up": Misconception(
            _schedule_with(
                until=lambda warm_up: 0,
                fall=lambda step, total, peak, warm_up: peak * (1 + math.cos(math.pi * step / total)) / 2,
            ),
            "The warm-up is missing: a cosine from the first step on.",
        ),
        "constant warm-up": Misconception(
            _schedule_with(rise=lambda step, peak, warm_up: peak),
            "During the warm-up the rate should rise; yours is at the peak from the first step on.",
        ),
        "cosine over all steps": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: peak * (1 + math.cos(math.pi * step / total)) / 2
            ),
            "The way down begins too low: the cosine begins after the warm-up, not at step 0.",
        ),
        "cosine too long": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 + math.cos(math.pi * (step - warm_up) / total)) / 2
                )
            ),
            "The way down does not reach 0 in time: it has only total - warm_up steps.",
        ),
        "cosine from the peak to minus the peak": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * math.cos(math.pi * (step - warm_up) / (total - warm_up))
                )
            ),
            "A cosine falls to -1, and a learning rate must not be negative: add 1 and halve.",
        ),
        "quarter of a cosine": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * math.cos(math.pi / 2 * (step - warm_up) / (total - warm_up))
                )
            ),
            "That is a quarter of a wave: it is steep at the end, where it should be flat.",
        ),
        "not halved": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up)))
                )
            ),
            "After the warm-up the rate jumps to twice the peak: 1 + cos goes up to 2.",
        ),
        "a whole wave": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 + math.cos(2 * math.pi * (step - warm_up) / (total - warm_up))) / 2
                )
            ),
            "The rate falls and rises again: half a wave is pi, not two pi.",
        ),
        "upside down": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 - math.cos(math.pi * (step - warm_up) / (total - warm_up))) / 2
                )
            ),
            "After the warm-up the rate begins at 0 and rises: 1 - cos is the wave upside down.",
        ),
        "a sine": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 + math.sin(math.pi * (step - warm_up) / (total - warm_up))) / 2
                )
            ),
            "That is a sine: after the warm-up it begins at half the peak and rises.",
        ),
        "zero one step early": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up - 1))) / 2
                )
            ),
            "Your cosine reaches 0 at the last step, total - 1. It should reach it one step later, at total.",
        ),
        "cosine one step early": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 + math.cos(math.pi * (step - warm_up + 1) / (total - warm_up))) / 2
                )
            ),
            "Your way down is one step ahead: the first step after the warm-up still has the peak.",
        ),
        "the peak only once": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 + math.cos(math.pi * (step - warm_up + 1) / (total - warm_up + 1))) / 2
                )
            ),
            "Your cosine starts from the last step of the warm-up. The step after that still has the peak.",
        ),
        "way down one step late": Misconception(
            _schedule_with(until=lambda warm_up: warm_up + 1),
            "The warm-up is one step too long: its last step is step warm_up - 1.",
        ),
        "no way down": Misconception(
            _schedule_with(fall=lambda step, total, peak, warm_up: peak),
            "The warm-up is right, but then the rate stays at the peak: the cosine is missing.",
        ),
        "without the peak": Misconception(
            lambda step, total, peak, warm_up: _schedule(step, total, 1.0, warm_up),
            "You return the share of the peak. Multiply by the peak.",
        ),
        "straight down": Misconception(
            _schedule_with(fall=lambda step, total, peak, warm_up: peak * (total - step) / (total - warm_up)),
            "The warm-up is right, but the way down is a straight line.",
        ),
        "degrees": Misconception(
            _schedule_with(
                fall=lambda step, total, peak, warm_up: (
                    peak * (1 + math.cos(180 * (step - warm_up) / (total - warm_up))) / 2
                )
            ),
            "The cosine takes radians: half a turn is pi.",
        ),
        "warm-up twice": Misconception(
            lambda step, total, peak, warm_up: (
                min(1, (step + 1) / warm_up) * peak * (1 + math.cos(math.pi * step / total)) / 2
            ),
            "You multiplied warm-up and cosine: the peak is never reached. First one, then the other.",
        ),
    },
    alternatives={
        "in one line": lambda step, total, peak, warm_up: (
            peak * (step + 1) / warm_up
            if step + 1 <= warm_up
            else peak * math.cos(math.pi / 2 * (step - warm_up) / (total - warm_up)) ** 2
        )
    },
)


# ---- 5. Find the bug: good in training, bad in use -------------------------------------------------------


def _layer(x, mean, var, training, alpha):
    if training:
        m, v = x.mean(0), x.var(0)
        unbiased = x.var(0, ddof=1)
        return _scaled(x, m, v), (1 - alpha) * mean + alpha * m, (1 - alpha) * var + alpha * unbiased
    return _scaled(x, mean, var), mean, var


def _scaled(x, mean, var):
    return (x - mean) / np.sqrt(var + 1e-5)


def _layer_with(
    x,
    mean,
    var,
    training,
    alpha,
    *,
    use=lambda m, v, mean, var, new_mean, new_var: (mean, var),
    in_training=lambda m, v, mean, var, new_mean, new_var: (m, v),
    keep=lambda old, new, alpha: (1 - alpha) * old + alpha * new,
    unbiased=lambda v, N: v * N / (N - 1),
    always=False,
):
    """(y, mean, var); the keywords are the places where it goes wrong."""
    m, v, N = x.mean(0), x.var(0), len(x)
    new_mean, new_var = keep(mean, m, alpha), keep(var, unbiased(v, N) if N > 1 else v, alpha)
    center, spread = (in_training if training else use)(m, v, mean, var, new_mean, new_var)
    y = _scaled(x, center, spread)
    return (y, new_mean, new_var) if training or always else (y, mean, var)


def _layer_wrong(**changes):
    return lambda x, mean, var, training, alpha: _layer_with(x, mean, var, training, alpha, **changes)


def _batch_always(m, v, mean, var, new_mean, new_var):
    return m, v


def _reversed(old, new, alpha):
    return alpha * old + (1 - alpha) * new


def _layer_one_by_one(x, mean, var, training, alpha):
    """Unit by unit."""
    y, means, variances = np.empty_like(x), [], []
    for c in range(len(mean)):
        v, center, spread = x[:, c], mean[c], var[c]
        if training:
            means.append((1 - alpha) * center + alpha * v.mean())
            variances.append((1 - alpha) * spread + alpha * v.var(ddof=1))
            center, spread = v.mean(), v.var()
        y[:, c] = (v - center) / math.sqrt(spread + 1e-5)
    return (y, np.array(means), np.array(variances)) if training else (y, mean, var)


def _layer_cases(rng) -> list[Case]:
    def arguments(N, C):
        x = rng.uniform(0.5, 3, C) * rng.normal(size=(N, C)) + rng.normal(size=C)
        return x, rng.normal(size=C), rng.uniform(0.3, 4, C)

    return [
        Case("in training", 0.4, (*arguments(6, 4), True, 0.1)),
        Case("in training, another alpha", 0.3, (*arguments(5, 3), True, 0.3)),
        Case("in use", 0.3, (*arguments(7, 5), False, 0.1)),
        Case("in use, a single picture", 0.25, (*arguments(1, 4), False, 0.2)),
    ]


layer = Task(
    name="ex10.layer",
    title="5 · Find the bug: good in training, bad in use",
    section="10.8 Batch normalization in use, and how it fails",
    reference=_layer,
    cases=_layer_cases,
    misconceptions={
        "as given": Misconception(
            _layer_wrong(use=_batch_always, keep=_reversed, always=True),
            "The bugs are still there. What does a single picture come out as? And how much of the running "
            "mean is left after one batch?",
        ),
        "only the averages repaired": Misconception(
            _layer_wrong(use=_batch_always, always=True),
            "The averages are kept well now, but in use nobody looks at them.",
        ),
        "averages repaired, batch in use": Misconception(
            _layer_wrong(use=_batch_always),
            "In use the averages stay, which is right; but x is still normalized by its own batch.",
        ),
        "only the use repaired": Misconception(
            _layer_wrong(keep=_reversed),
            "In use it is right now. In training the averages still forget: which share of the old stays?",
        ),
        "use repaired, both still move": Misconception(
            _layer_wrong(keep=_reversed, always=True),
            "In use it normalizes well, but the averages still move there, and by the wrong share.",
        ),
        "averages move in use": Misconception(
            _layer_wrong(always=True),
            "In use y is right, but the averages move: whoever is asked must not learn from the question.",
        ),
        "running averages in training": Misconception(
            _layer_wrong(in_training=lambda m, v, mean, var, new_mean, new_var: (mean, var)),
            "In training x should be normalized by its own batch, not by the averages.",
        ),
        "new averages in training": Misconception(
            _layer_wrong(in_training=lambda m, v, mean, var, new_mean, new_var: (new_mean, new_var)),
            "In training x is normalized by the averages that it has just entered: use the batch alone.",
        ),
        "modes swapped": Misconception(
            lambda x, mean, var, training, alpha: _layer(x, mean, var, not training, alpha),
            "Training and use are mixed up.",
        ),
        "biased": Misconception(
            _layer_wrong(unbiased=lambda v, N: v),
            "The running variance is a little too small: it takes in the unbiased variance, N / (N - 1).",
        ),
        "unbiased everywhere": Misconception(
            lambda x, mean, var, training, alpha: _layer_with(
                x,
                mean,
                var,
                training,
                alpha,
                in_training=lambda m, v, *rest: (m, v * len(x) / (len(x) - 1)),
            ),
            "The averages are right. The batch itself is normalized by its variance divided by N.",
        ),
        "no eps": Misconception(
            lambda x, mean, var, training, alpha: (
                (x - (x.mean(0) if training else mean)) / np.sqrt(x.var(0) if training else var),
                *_layer(x, mean, var, training, alpha)[1:],
            ),
            "Keep the 1e-5 under the root: without it a unit that never changes divides by 0.",
        ),
        "batch variance in use": Misconception(
            lambda x, mean, var, training, alpha: (
                _layer(x, mean, var, training, alpha) if training else (_scaled(x, mean, x.var(0)), mean, var)
            ),
            "In use the running mean is there, but the variance is still that of the batch.",
        ),
        "results swapped": Misconception(
            lambda x, mean, var, training, alpha: tuple(
                _layer(x, mean, var, training, alpha)[i] for i in (0, 2, 1)
            ),
            "Mean and variance have changed places in what you return.",
        ),
        "averages added in full": Misconception(
            _layer_wrong(keep=lambda old, new, alpha: old + alpha * new),
            "The averages grow without end: of the old only the share 1 - alpha stays.",
        ),
        "averages replaced": Misconception(
            _layer_wrong(keep=lambda old, new, alpha: new),
            "The averages are those of the last batch: they should remember the ones before.",
        ),
        "averages frozen": Misconception(
            _layer_wrong(keep=lambda old, new, alpha: old), "The averages never change, not even in training."
        ),
        "each picture on its own": Misconception(
            lambda x, mean, var, training, alpha: (
                (
                    (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5),
                    *_layer(x, mean, var, training, alpha)[1:],
                )
                if training
                else _layer(x, mean, var, training, alpha)
            ),
            "In training you normalize each picture over its units: the statistics run over the batch.",
        ),
    },
    alternatives={"unit by unit": _layer_one_by_one},
)


# ---- 6. Experiment: better, worse, or cannot tell? -------------------------------------------------------

# Five seeds of the network in the exercise, in points. The solution notebook trains it and must reach them.
_PLAIN = np.array([76.2, 70.7, 71.7, 73.8, 76.7])
_MIRRORED = np.array([73.6, 71.9, 70.5, 73.5, 75.7])
_UPSIDE_DOWN = np.array([70.8, 69.1, 69.4, 70.9, 72.9])


def _half(differences: np.ndarray, t: float = 2.776, ddof: int = 1, root: Callable = np.sqrt) -> float:
    return float(t * differences.std(ddof=ddof) / root(len(differences)))


_MEASURED = {
    "mirrored": float((_MIRRORED - _PLAIN).mean()),
    "mirrored half": _half(_MIRRORED - _PLAIN),
    "upside down": float((_UPSIDE_DOWN - _PLAIN).mean()),
    "upside down half": _half(_UPSIDE_DOWN - _PLAIN),
    "verdicts": "b",
    "pairs": "b",
}


def _measured_with(**wrong: float | str) -> Callable[[str], float | str]:
    values = _MEASURED | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: values[key]


def _halves_with(**options) -> Callable[[str], float | str]:
    return _measured_with(
        mirrored_half=_half(_MIRRORED - _PLAIN, **options),
        upside_down_half=_half(_UPSIDE_DOWN - _PLAIN, **options),
    )


def _unpaired(accuracies: np.ndarray, t: float = 2.306) -> float:
    return float(t * np.sqrt((accuracies.var(ddof=1) + _PLAIN.var(ddof=1)) / 5))


measured = Task(
    name="ex10.measured",
    title="6 · Experiment: better, worse, or cannot tell?",
    section="10.2 How to compare two recipes; 10.4 Augmentation: more data for nothing",
    reference=_MEASURED.__getitem__,
    cases=lambda rng: [
        Case("mirrored, the mean", 0.25, ("mirrored",)),
        Case("mirrored, the half width", 0.25, ("mirrored half",)),
        Case("upside down, the mean", 0.25, ("upside down",)),
        Case("upside down, the half width", 0.25, ("upside down half",)),
        Case("the verdicts", 0.25, ("verdicts",)),
        Case("pairs", 0.25, ("pairs",)),
    ],
    misconceptions={
        "shares": Misconception(
            _measured_with(
                **{key.replace(" ", "_"): value / 100 for key, value in _MEASURED.items() if key[0] in "mu"}
            ),
            "These are shares. In points they are a hundred times as large.",
        ),
        "sign": Misconception(
            _measured_with(mirrored=-_MEASURED["mirrored"], upside_down=-_MEASURED["upside down"]),
            "The sign: a positive difference should mean that the recipe is better than the plain one.",
        ),
        "first seed only": Misconception(
            _measured_with(mirrored=-2.6, upside_down=-5.4),
            "Those are the differences of seed 0. The mean over all five seeds was asked for.",
        ),
        "accuracies instead of differences": Misconception(
            _measured_with(mirrored=float(_MIRRORED.mean()), upside_down=float(_UPSIDE_DOWN.mean())),
            "Those are test accuracies. Subtract those of the plain recipe, seed by seed.",
        ),
        "spread of the accuracies": Misconception(
            _measured_with(mirrored_half=_half(_MIRRORED), upside_down_half=_half(_UPSIDE_DOWN)),
            "Your half widths are those of the accuracies. Take the differences, seed by seed.",
        ),
        "unpaired": Misconception(
            _measured_with(mirrored_half=_unpaired(_MIRRORED), upside_down_half=_unpaired(_UPSIDE_DOWN)),
            "Your intervals treat the two recipes as if their seeds had nothing in common: subtract first.",
        ),
        "unpaired, t of the pairs": Misconception(
            _measured_with(
                mirrored_half=_unpaired(_MIRRORED, t=2.776), upside_down_half=_unpaired(_UPSIDE_DOWN, t=2.776)
            ),
            "You added the variances of two recipes, as of unrelated runs. Subtract seed by seed, first.",
        ),
        "both sides": Misconception(
            _halves_with(t=2 * 2.776), "Those are whole intervals. How far do they reach to one side?"
        ),
        "t of three seeds": Misconception(
            _halves_with(t=4.303), "4.303 is Student's t for three seeds. Here are five."
        ),
        "variance": Misconception(
            _measured_with(
                mirrored_half=_half(_MIRRORED - _PLAIN) ** 2 * math.sqrt(5) / 2.776,
                upside_down_half=_half(_UPSIDE_DOWN - _PLAIN) ** 2 * math.sqrt(5) / 2.776,
            ),
            "You put in the variances of the differences: take their roots.",
        ),
        "divided by n": Misconception(
            _halves_with(root=float), "Your intervals are too narrow: divide by the root of n, not by n."
        ),
        "not divided": Misconception(
            _halves_with(root=lambda n: 1.0),
            "Your intervals are those of a single seed: the mean of n varies less, by the root of n.",
        ),
        "biased": Misconception(
            _halves_with(ddof=0), "The function `np.std` divides by n unless told otherwise: ddof=1."
        ),
        "normal distribution": Misconception(
            _halves_with(t=1.96), "1.96 is for many seeds. With five, Student's t is larger."
        ),
        "without t": Misconception(
            _halves_with(t=1.0), "That is the standard error: the interval is Student's t times as wide."
        ),
        "verdict a": Misconception(
            _measured_with(verdicts="a"),
            "Mirroring has a negative mean. Does its interval lie below 0 as a whole?",
        ),
        "verdict c": Misconception(
            _measured_with(verdicts="c"), "Look at the interval of upside down again: is 0 inside?"
        ),
        "verdict d": Misconception(
            _measured_with(verdicts="d"),
            "One of five seeds says better, and it is the one that would have been reported.",
        ),
        "pairs a": Misconception(
            _measured_with(pairs="a"),
            "The number of seeds is the same with and without pairs. What do both recipes of a seed share?",
        ),
        "pairs c": Misconception(
            _measured_with(pairs="c"),
            "Pairs do not change the mean difference at all: compute it both ways. What do they change?",
        ),
    },
    rtol=5e-3,
)


TASKS = (by_hand, norm_backward, mixup, schedule, layer, measured)
