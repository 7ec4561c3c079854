"""Exercise 14, NiN and GoogLeNet: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks import Case, Misconception, Task
from utils.models.googlenet import TABLE_1


def _with(values: dict, **wrong) -> Callable[[str], float | str]:
    """The right numbers, but for those given (an underscore stands for a space)."""
    changed = values | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: changed[key]


# ---- 1. A module by hand ---------------------------------------------------------------------------------

# 320 channels of 14×14; 96; 64, 128; 16, 40; 56. Two convolutions, five modules, a dense layer. 25 classes.
_BY_HAND = {
    "channels": 96 + 128 + 40 + 56,
    "weights": 320 * (96 + 64 + 16 + 56) + 9 * 64 * 128 + 25 * 16 * 40,
    "naive": 96 + 128 + 40 + 320,
    "layers": 2 + 5 * 2 + 1,
    "saved": 320 * 14 * 14 * 25 - 320 * 25,
}


def _hand(**wrong) -> Callable[[str], float | str]:
    return _with(_BY_HAND, **wrong)


by_hand = Task(
    name="ex14.by_hand",
    title="1 · A module by hand",
    section="14.2 One map for each class; 14.4 Which kernel size? All of them; "
    "14.5 Nine modules, checked row by row",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the channels of the module", 0.5, ("channels",)),
        Case("its weights", 0.5, ("weights",)),
        Case("the channels of the naive module", 0.5, ("naive",)),
        Case("the layers on the longest path", 0.5, ("layers",)),
        Case("the parameters saved", 0.5, ("saved",)),
    ],
    misconceptions={
        "all filters": Misconception(
            _hand(channels=96 + 64 + 128 + 16 + 40 + 56),
            "You counted the channels inside as well. Only the last layer of each branch is joined.",
        ),
        "pooling forgotten": Misconception(
            _hand(channels=96 + 128 + 40), "The channels of the pooling branch are missing."
        ),
        "pooling passes all": Misconception(
            _hand(channels=96 + 128 + 40 + 320),
            "Behind the pooling stands a 1×1 layer: the pooling branch puts out as many as that has filters.",
        ),
        "no reductions": Misconception(
            _hand(weights=320 * (96 + 9 * 128 + 25 * 40 + 56)),
            "Those are large kernels on all 320 channels. They read the reduced channels.",
        ),
        "reducing layers forgotten": Misconception(
            _hand(weights=320 * (96 + 56) + 9 * 64 * 128 + 25 * 16 * 40),
            "The two 1×1 layers that reduce have weights, too.",
        ),
        "kernel side": Misconception(
            _hand(weights=320 * (96 + 64 + 16 + 56) + 3 * 64 * 128 + 5 * 16 * 40),
            "The kernels are square: 9 and 25 weights for each pair of channels.",
        ),
        "projection forgotten": Misconception(
            _hand(weights=320 * (96 + 64 + 16) + 9 * 64 * 128 + 25 * 16 * 40),
            "The 1×1 layer behind the pooling is missing.",
        ),
        "multiply-adds": Misconception(
            _hand(weights=196 * _BY_HAND["weights"]),
            "Those are the multiply-adds: each weight at 14·14 places. It is stored once.",
        ),
        "biases counted": Misconception(
            _hand(weights=_BY_HAND["weights"] + 96 + 64 + 128 + 16 + 40 + 56),
            "You counted the biases as well.",
        ),
        "naive without input": Misconception(
            _hand(naive=96 + 128 + 40), "The naive pooling branch hands on all channels that came in."
        ),
        "naive as reduced": Misconception(
            _hand(naive=96 + 128 + 40 + 56), "The naive module has no 1×1 layer behind its pooling."
        ),
        "modules as layers": Misconception(
            _hand(layers=8), "A module is not one layer: two of its layers lie on the longest path."
        ),
        "all convolutions": Misconception(
            _hand(layers=2 + 5 * 6 + 1), "Those are all layers. Branches lie side by side: follow one path."
        ),
        "dense forgotten": Misconception(
            _hand(layers=12), "One is missing: the dense layer has weights, too."
        ),
        "poolings counted": Misconception(
            _hand(layers=2 + 5 * 3 + 1), "Three for each module? A pooling has no weights."
        ),
        "dense alone": Misconception(
            _hand(saved=320 * 196 * 25 + 25),
            "Those are the parameters of the dense layer. Take off those of the 1×1 layer.",
        ),
        "nothing left": Misconception(
            _hand(saved=320 * 196 * 25), "Those are all weights of the dense layer. The 1×1 layer has some."
        ),
        "biases differ": Misconception(
            _hand(saved=320 * 196 * 25 + 25 - 320 * 25),
            "Biases: both layers have 25 of them, so that they cancel.",
        ),
        "one row": Misconception(
            _hand(saved=320 * 14 * 25 - 320 * 25), "The maps have 14·14 places, not 14."
        ),
    },
)


# ---- 2. The module, forward ------------------------------------------------------------------------------


def _layer(x, weight, bias):
    return F.relu(F.conv2d(x, weight, bias, padding="same"))


def _inception(x, one, three, five, pooling):
    y1 = _layer(x, *one)
    y3 = _layer(_layer(x, *three[:2]), *three[2:])
    y5 = _layer(_layer(x, *five[:2]), *five[2:])
    pooled = _layer(F.max_pool2d(x, 3, stride=1, padding=1), *pooling)
    return torch.cat([y1, y3, y5, pooled], dim=1)


def _inception_by_windows(x, one, three, five, pooling):
    """Reductions and 1×1 layers as matrix products, the pooling as nine shifted pictures."""
    N, _, H, W = x.shape

    def mix(x, weight, bias):
        return (torch.einsum("kc,nchw->nkhw", weight[:, :, 0, 0], x) + bias[:, None, None]).clamp(min=0)

    def large(x, weight, bias):
        k = weight.shape[-1]
        columns = F.unfold(x, k, padding=k // 2)
        return (weight.flatten(1) @ columns + bias[:, None]).clamp(min=0).reshape(N, -1, H, W)

    padded = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
    shifted = [padded[:, :, i : i + H, j : j + W] for i in range(3) for j in range(3)]
    branches = [mix(x, *one), large(mix(x, *three[:2]), *three[2:]), large(mix(x, *five[:2]), *five[2:])]
    return torch.cat([*branches, mix(torch.stack(shifted).amax(dim=0), *pooling)], dim=1)


def _inception_with(
    inside=F.relu, end=F.relu, bias=True, order=(0, 1, 2, 3), pool="max", before=False, given=None
) -> Callable:
    """The module with something else in one place."""

    def pooled(x):
        if pool == "max":
            return F.max_pool2d(x, 3, stride=1, padding=1)
        if pool == "average":
            return F.avg_pool2d(x, 3, stride=1, padding=1)
        if pool == "zeros":
            return F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, stride=1)
        return x

    def layer(x, weight, b, activation):
        return activation(F.conv2d(x, weight, b if bias else None, padding=weight.shape[-1] // 2))

    def inception(x, one, three, five, pooling):
        y1 = layer(x, *one, end)
        y3 = layer(layer(x, *three[:2], inside), *three[2:], end)
        y5 = layer(layer(x, *five[:2], inside), *five[2:], end)
        last = pooled(layer(x, *pooling, end)) if before else layer(pooled(x), *pooling, end)
        branches = [y1, y3, y5, last]
        return torch.cat([branches[i] for i in order], dim=1)

    return inception


def _same(x):
    return x


def _without_projection(x, one, three, five, pooling):
    """The pooling branch as in the naive module."""
    y = _inception(x, one, three, five, pooling)
    others = y[:, : y.shape[1] - pooling[0].shape[0]]
    return torch.cat([others, F.max_pool2d(x, 3, stride=1, padding=1)], dim=1)


def _flat(x, one, three, five, pooling):
    """Branches joined along the batch where they fit, here: along the rows."""
    y = _inception(x, one, three, five, pooling)
    sizes = [one[0].shape[0], three[2].shape[0], five[2].shape[0], pooling[0].shape[0]]
    parts, most = torch.split(y, sizes, dim=1), max(sizes)
    padded = [F.pad(part, (0, 0, 0, 0, 0, most - part.shape[1])) for part in parts]
    return torch.cat(padded, dim=2)


def _not_padded(x, one, three, five, pooling):
    """No padding, and everything cut to the smallest branch."""
    outputs = [
        F.relu(F.conv2d(x, *one)),
        F.relu(F.conv2d(F.relu(F.conv2d(x, *three[:2])), *three[2:])),
        F.relu(F.conv2d(F.relu(F.conv2d(x, *five[:2])), *five[2:])),
        F.relu(F.conv2d(F.max_pool2d(x, 3, stride=1), *pooling)),
    ]
    H, W = (min(y.shape[axis] for y in outputs) for axis in (2, 3))
    return torch.cat([y[:, :, :H, :W] for y in outputs], dim=1)


def _inception_cases(rng) -> list[Case]:
    def layer(C, K, k):
        return rng.normal(size=(K, C, k, k)) / np.sqrt(C * k * k), rng.normal(size=K) / 2

    def module(C, c1, r3, c3, r5, c5, cp, small=3, large=5):
        return (
            layer(C, c1, 1),
            (*layer(C, r3, 1), *layer(r3, c3, small)),
            (*layer(C, r5, 1), *layer(r5, c5, large)),
            layer(C, cp, 1),
        )

    return [
        Case("3×3 and 5×5", 1.0, (rng.normal(size=(2, 4, 9, 7)), *module(4, 3, 2, 5, 3, 2, 4))),
        Case("other kernels", 0.5, (rng.normal(size=(1, 3, 8, 10)), *module(3, 2, 4, 3, 2, 4, 1, 5, 7))),
        Case("an input below zero", 0.5, (-rng.uniform(1, 3, (2, 3, 7, 9)), *module(3, 2, 2, 3, 4, 2, 5))),
        Case(
            "many channels, one picture", 0.5, (rng.normal(size=(1, 9, 7, 7)), *module(9, 5, 4, 8, 3, 6, 2))
        ),
    ]


inception = Task(
    name="ex14.inception",
    title="2 · An Inception module, forward",
    section="14.4 Which kernel size? All of them",
    reference=_inception,
    cases=_inception_cases,
    misconceptions={
        "no padding": Misconception(
            _not_padded,
            "The picture gets smaller. Pad each kernel by half its side: every branch keeps the size.",
        ),
        "joined along rows": Misconception(
            _flat, "The branches are joined along another axis. Channels are axis 1."
        ),
        "no activation inside": Misconception(
            _inception_with(inside=_same),
            "The ReLU behind the reducing 1×1 layers is missing: a ReLU follows every convolution.",
        ),
        "no activation at the end": Misconception(
            _inception_with(end=_same), "The ReLU at the end of the branches is missing."
        ),
        "no activation": Misconception(
            _inception_with(inside=_same, end=_same), "There is no ReLU: one follows every convolution."
        ),
        "no bias": Misconception(_inception_with(bias=False), "The biases are missing."),
        "pooling last": Misconception(
            _inception_with(before=True),
            "In the pooling branch the 1×1 layer comes first. It stands behind the pooling.",
        ),
        "average pooling": Misconception(
            _inception_with(pool="average"), "You pool by the mean. The module takes the maximum."
        ),
        "zeros in the pooling": Misconception(
            _inception_with(pool="zeros"),
            "The padding of the pooling wins at the border where all numbers are below zero. Nothing may be "
            "put in there that could be a maximum; F.max_pool2d pads that way by itself.",
        ),
        "no pooling": Misconception(_inception_with(pool="none"), "There is no pooling in its branch."),
        "no layer behind the pooling": Misconception(
            _without_projection,
            "The last branch ends with its pooling, as in the naive module. A 1×1 layer stands behind it.",
        ),
        "pooling first": Misconception(
            _inception_with(order=(3, 0, 1, 2)),
            "The right channels in another order: the pooling branch comes last.",
        ),
        "reversed": Misconception(
            _inception_with(order=(3, 2, 1, 0)), "The right channels in the reverse order."
        ),
        "five before three": Misconception(
            _inception_with(order=(0, 2, 1, 3)), "The right channels, but `five` stands before `three`."
        ),
    },
    alternatives={"windows": _inception_by_windows},
    tensors=True,
)


# ---- 3. The loss with auxiliary heads --------------------------------------------------------------------


def _training_loss(logits, heads, labels, weight, smoothing):
    loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    for scores in heads:
        loss = loss + weight * F.cross_entropy(scores, labels, label_smoothing=smoothing)
    return loss


def _loss_by_targets(logits, heads, labels, weight, smoothing):
    N, K = logits.shape
    targets = torch.full((N, K), smoothing / K, dtype=logits.dtype)
    targets[torch.arange(N), labels] += 1 - smoothing

    def entropy(scores):
        return -(targets * scores.log_softmax(dim=1)).sum() / N

    return entropy(logits) + weight * sum(entropy(scores) for scores in heads)


def _loss_with(
    end=1.0, share=None, smooth_end=True, smooth_heads=True, reduction="mean", others=False
) -> Callable:
    """The loss with something else in one place; `share` makes the weight of a head from (weight, heads)."""

    def one(scores, labels, smoothing):
        if others:  # the smoothing is shared by the wrong classes alone
            K = scores.shape[1]
            smoothing = smoothing * K / (K - 1)
        return F.cross_entropy(scores, labels, label_smoothing=smoothing, reduction=reduction)

    def loss(logits, heads, labels, weight, smoothing):
        factor = end if not callable(end) else end(weight, len(heads))
        total = factor * one(logits, labels, smoothing if smooth_end else 0.0)
        each = weight if share is None else share(weight, len(heads))
        for scores in heads:
            total = total + each * one(scores, labels, smoothing if smooth_heads else 0.0)
        return total

    return loss


def _loss_of_targets_short_of_one(logits, heads, labels, weight, smoothing):
    """1 − ε for the right class, ε/K for the others."""

    def one(scores):
        K = scores.shape[1]
        right = scores.log_softmax(dim=1)[torch.arange(len(labels)), labels].mean()
        return F.cross_entropy(scores, labels, label_smoothing=smoothing) + smoothing / K * right

    return one(logits) + weight * sum(one(scores) for scores in heads)


def _loss_cases(rng) -> list[Case]:
    def batch(N, K, heads):
        scores = [2 * rng.normal(size=(N, K)) for _ in range(heads + 1)]
        return scores[0], tuple(scores[1:]), rng.integers(0, K, N)

    return [
        Case("two heads, certain targets", 0.5, (*batch(6, 5, 2), 0.3, 0.0)),
        Case("two heads, smoothed", 0.5, (*batch(7, 4, 2), 0.3, 0.2)),
        Case("one head, another weight", 0.25, (*batch(5, 6, 1), 0.45, 0.1)),
        Case("no head", 0.25, (*batch(4, 3, 0), 0.3, 0.15)),
    ]


training_loss = Task(
    name="ex14.training_loss",
    title="3 · The loss with auxiliary heads",
    section="14.7 Auxiliary heads; 14.10 Large kernels taken apart",
    reference=_training_loss,
    cases=_loss_cases,
    misconceptions={
        "weight ignored": Misconception(
            _loss_with(share=lambda w, n: 1.0),
            "All losses count alike. Those of the heads count `weight` times.",
        ),
        "always 0.3": Misconception(
            _loss_with(share=lambda w, n: 0.3),
            "`weight` has no effect: 0.3 is GoogLeNet's, here it is given.",
        ),
        "mean of the heads": Misconception(
            _loss_with(share=lambda w, n: w / max(n, 1)),
            "You take the mean of the heads. Each of them adds `weight` times its loss.",
        ),
        "heads forgotten": Misconception(
            _loss_with(share=lambda w, n: 0.0), "The heads have no part in the loss."
        ),
        "rest for the end": Misconception(
            _loss_with(end=lambda w, n: 1 - w if n else 1.0),
            "The loss at the end counts fully; the heads come on top of it.",
        ),
        "weighs the end": Misconception(
            _loss_with(end=lambda w, n: w, share=lambda w, n: 1.0),
            "The weight stands at the wrong loss: it belongs to the heads.",
        ),
        "no smoothing": Misconception(
            _loss_with(smooth_end=False, smooth_heads=False), "`smoothing` has no effect."
        ),
        "heads not smoothed": Misconception(
            _loss_with(smooth_heads=False), "The targets of the heads are to be smoothed as well."
        ),
        "end not smoothed": Misconception(
            _loss_with(smooth_end=False), "The target at the end is to be smoothed as well."
        ),
        "shared by the others": Misconception(
            _loss_with(others=True),
            "You share ε among the wrong classes. It is shared among all: the right one gets ε/K back.",
        ),
        "right class short": Misconception(
            _loss_of_targets_short_of_one,
            "The right class gets 1 − ε + ε/K. With 1 − ε alone the targets do not add up to 1.",
        ),
        "softmax first": Misconception(
            lambda logits, heads, labels, weight, smoothing: _training_loss(
                logits.softmax(dim=1), [s.softmax(dim=1) for s in heads], labels, weight, smoothing
            ),
            "You apply softmax to the scores. F.cross_entropy takes scores: softmax is a part of it.",
        ),
        "one head": Misconception(
            lambda logits, heads, labels, weight, smoothing: _training_loss(
                logits, heads[:1], labels, weight, smoothing
            ),
            "You count the first head alone. There may be any number of them.",
        ),
        "summed": Misconception(
            _loss_with(reduction="sum"), "You sum over the pictures. The loss is their mean."
        ),
    },
    alternatives={"targets": _loss_by_targets},
    tensors=True,
)


# ---- 4. Find the bug: branches that see different places -------------------------------------------------


def _branches(x, w1, w3, w5):
    outputs = [F.conv2d(x, w, padding="same") for w in (w1, w3, w5)]
    return torch.cat(outputs, dim=1)


def _branches_padded_once(x, w1, w3, w5):
    H, W = x.shape[2:]
    wide = F.pad(x, (2, 2, 2, 2))
    y1, y3, y5 = (F.conv2d(wide, w) for w in (w1, w3, w5))
    return torch.cat([y1[:, :, 2 : 2 + H, 2 : 2 + W], y3[:, :, 1 : 1 + H, 1 : 1 + W], y5], dim=1)


def _cut(x, w1, w3, w5):
    outputs = [F.conv2d(x, w) for w in (w1, w3, w5)]
    H, W = outputs[-1].shape[2:]
    return torch.cat([y[:, :, :H, :W] for y in outputs], dim=1)


def _cut_in_the_middle(x, w1, w3, w5):
    y1, y3, y5 = (F.conv2d(x, w) for w in (w1, w3, w5))
    return torch.cat([y1[:, :, 2:-2, 2:-2], y3[:, :, 1:-1, 1:-1], y5], dim=1)


def _padded_alike(x, w1, w3, w5):
    H, W = x.shape[2:]
    return torch.cat([F.conv2d(x, w, padding=2)[:, :, :H, :W] for w in (w1, w3, w5)], dim=1)


def _padded_after(x, w1, w3, w5):
    y1, y3, y5 = (F.conv2d(x, w) for w in (w1, w3, w5))
    return torch.cat([y1, F.pad(y3, (1, 1, 1, 1)), F.pad(y5, (2, 2, 2, 2))], dim=1)


def _padded_behind(x, w1, w3, w5):
    """All rows and columns of padding at the right and below."""
    outputs = [F.conv2d(F.pad(x, (0, w.shape[-1] - 1, 0, w.shape[-1] - 1)), w) for w in (w1, w3, w5)]
    return torch.cat(outputs, dim=1)


def _resized(x, w1, w3, w5):
    outputs = [F.interpolate(F.conv2d(x, w), x.shape[2:]) for w in (w1, w3, w5)]
    return torch.cat(outputs, dim=1)


def _border_repeated(x, w1, w3, w5):
    def keep(w):
        p = w.shape[-1] // 2
        return F.conv2d(F.pad(x, (p, p, p, p), mode="replicate"), w)

    return torch.cat([keep(w) for w in (w1, w3, w5)], dim=1)


def _branches_cases(rng) -> list[Case]:
    def kernels(C, *channels):
        return [rng.normal(size=(K, C, k, k)) for K, k in zip(channels, (1, 3, 5), strict=True)]

    return [
        Case("two pictures, three channels", 1.0, (rng.normal(size=(2, 3, 8, 11)), *kernels(3, 4, 2, 5))),
        Case("a tall picture", 0.5, (rng.normal(size=(1, 2, 12, 7)), *kernels(2, 1, 3, 2))),
    ]


branches = Task(
    name="ex14.branches",
    title="4 · Find the bug: branches that see different places",
    section="14.4 Which kernel size? All of them",
    reference=_branches,
    cases=_branches_cases,
    misconceptions={
        "still cut": Misconception(
            _cut, "The bug is still there: the branches are cut at the right and below, and so moved."
        ),
        "cut in the middle": Misconception(
            _cut_in_the_middle,
            "Now the branches agree on places, but two rows and columns are lost on each side.",
        ),
        "same padding for all": Misconception(
            _padded_alike,
            "Every kernel is padded by 2. One of side k moves the picture unless it is padded by k // 2.",
        ),
        "padded afterwards": Misconception(
            _padded_after,
            "Zeros were put around the results. At the border the kernels should see the pixels that are "
            "there: pad the input.",
        ),
        "padded behind": Misconception(
            _padded_behind, "All of the padding is at the right and below: half of it belongs to each side."
        ),
        "resized": Misconception(
            _resized, "The results were stretched to the size of the picture. Pad before the convolution."
        ),
        "activation": Misconception(
            lambda x, w1, w3, w5: F.relu(_branches(x, w1, w3, w5)),
            "You apply a ReLU. Asked for are the three convolutions alone.",
        ),
        "border repeated": Misconception(
            _border_repeated, "You repeat the border. Pad with zeros, as the layers of the chapter do."
        ),
    },
    alternatives={"padded once": _branches_padded_once},
    tensors=True,
)


# ---- 5. Does factoring the 5×5 pay? ----------------------------------------------------------------------


def _google_work(each_place: bool = True) -> dict[str, int]:
    """Multiply-adds of GoogLeNet on 224×224 by kernel, and of what replaces its 5×5 layers; or its weights,
    which count once and not at each place.
    """

    def at(side: int) -> int:
        return side**2 if each_place else 1

    work = {"7×7": at(112) * 49 * 3 * 64, "dense": 1_024_000}
    work |= {"1×1": at(56) * 64 * 64, "3×3": at(56) * 9 * 64 * 192, "5×5": 0, "first": 0, "second": 0}
    C = 192
    for name, (c1, r3, c3, r5, c5, cp) in TABLE_1.items():
        places = at({"3": 28, "4": 14, "5": 7}[name[0]])
        work["1×1"] += places * C * (c1 + r3 + r5 + cp)
        work["3×3"] += places * 9 * r3 * c3
        work["5×5"] += places * 25 * r5 * c5
        work["first"] += places * 9 * (r5 * c5 + c5 * c5)
        work["second"] += places * 9 * (r5 * r5 + r5 * c5)
        C = c1 + c3 + c5 + cp
    return work


def _shares(work: dict[str, int]) -> dict[str, float]:
    whole = sum(work[key] for key in ("7×7", "1×1", "3×3", "5×5", "dense"))
    return {
        "share of 5×5": work["5×5"] / whole,
        "share of 3×3": work["3×3"] / whole,
        "first": (whole - work["5×5"] + work["first"]) / whole,
        "second": (whole - work["5×5"] + work["second"]) / whole,
    }


_WORK = _google_work()
_WHOLE = sum(_WORK[key] for key in ("7×7", "1×1", "3×3", "5×5", "dense"))
_MEASURED = _shares(_WORK) | {"rule": "b"}
_BY_WEIGHTS = _shares(_google_work(each_place=False))


def _measured(**wrong) -> Callable[[str], float | str]:
    return _with(_MEASURED, **wrong)


def _both(change: Callable[[str], float], *keys: str) -> Callable[[str], float | str]:
    return lambda asked: change(asked) if asked in keys else _MEASURED[asked]


factoring = Task(
    name="ex14.factoring",
    title="5 · Experiment: does factoring the 5×5 pay?",
    section="14.5 Nine modules, checked row by row; 14.10 Large kernels taken apart",
    reference=_MEASURED.__getitem__,
    cases=lambda rng: [
        Case("the share of the 5×5 layers", 0.4, ("share of 5×5",)),
        Case("the share of the 3×3 layers", 0.4, ("share of 3×3",)),
        Case("widening first", 0.4, ("first",)),
        Case("widening second", 0.4, ("second",)),
        Case("the rule", 0.4, ("rule",)),
    ],
    misconceptions={
        "shares in percent": Misconception(
            _both(lambda key: 100 * _MEASURED[key], "share of 5×5", "share of 3×3"),
            "Shares lie between 0 and 1; these look like percent.",
        ),
        "shares swapped": Misconception(
            _both(
                lambda key: _MEASURED["share of 3×3" if key == "share of 5×5" else "share of 5×5"],
                "share of 5×5",
                "share of 3×3",
            ),
            "The two shares are exchanged.",
        ),
        "share of weights": Misconception(
            _both(_BY_WEIGHTS.__getitem__, "share of 5×5", "share of 3×3"),
            "That looks like the share of the weights. Asked for is that of the multiply-adds.",
        ),
        "ratio of weights": Misconception(
            _both(_BY_WEIGHTS.__getitem__, "first", "second"),
            "That looks like the ratio of the parameters. Asked for is that of the multiply-adds.",
        ),
        "ratios swapped": Misconception(
            _both(lambda key: _MEASURED["second" if key == "first" else "first"], "first", "second"),
            "The two are exchanged: `first` is the network whose first 3×3 layer widens.",
        ),
        "ratios upside down": Misconception(
            _both(lambda key: 1 / _MEASURED[key], "first", "second"),
            "Upside down: divide the multiply-adds of the factored network by those of `google`.",
        ),
        "savings": Misconception(
            _both(lambda key: 1 - _MEASURED[key], "first", "second"),
            "That is what is saved. Asked for is what the factored network costs, as a share of `google`.",
        ),
        "layers alone": Misconception(
            _both(lambda key: _WORK[key] / _WORK["5×5"], "first", "second"),
            "That compares the replaced layers alone. Divide the work of the whole networks.",
        ),
        "by the book": Misconception(
            _both(
                lambda _: (_WHOLE - 0.28 * _WORK["5×5"]) / _WHOLE,
                "first",
                "second",
            ),
            "That takes 28 percent off the 5×5 layers, which holds for equal channels. Measure these.",
        ),
        "counts": Misconception(
            _both(lambda key: _MEASURED[key] * _WHOLE, "first", "second"),
            "Those are the multiply-adds themselves. Divide them by those of `google`.",
        ),
        "rule a": Misconception(
            _measured(rule="a"), "Look at your share of the 5×5 layers: is it most of it?"
        ),
        "rule c": Misconception(
            _measured(rule="c"), "Compare `first` and `second` with 1: are they on the same side of it?"
        ),
        "rule d": Misconception(
            _measured(rule="d"), "Which of `first` and `second` is above 1? Read the options again."
        ),
    },
    rtol=1e-3,
)

TASKS = (by_hand, inception, training_loss, branches, factoring)
