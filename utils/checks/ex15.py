"""Exercise 15, ResNet: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks import Case, Misconception, Task


def _with(values: dict, **wrong) -> Callable[[str], float | str]:
    """The right numbers, but for those given (an underscore stands for a space)."""
    changed = values | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: changed[key]


# ---- 1. By hand ------------------------------------------------------------------------------------------

# 3 stages of 18 basic blocks; a bottleneck 512-128-512 with normalizations; a projection from 256 to 512 with
# normalization; two of 16 branches; 4 (1 + f') with f' = -0.4 · 3.
_BY_HAND = {
    "layers": 110,
    "bottleneck": 512 * 128 + 9 * 128**2 + 128 * 512 + 2 * (128 + 128 + 512),
    "projection": 256 * 512 + 2 * 512,
    "ways": 120,
    "gradient": -0.8,
}


def _hand(**wrong) -> Callable[[str], float | str]:
    return _with(_BY_HAND, **wrong)


by_hand = Task(
    name="ex15.by_hand",
    title="1 · By hand",
    section="15.4 Learn what to add; 15.5 Backward through a sum; 15.6 Where the shape changes; "
    "15.7 From a tuple: 18 to 152 layers; 15.10 Many short ways",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the layers", 0.5, ("layers",)),
        Case("the bottleneck", 0.5, ("bottleneck",)),
        Case("the projection", 0.5, ("projection",)),
        Case("the ways", 0.5, ("ways",)),
        Case("the gradient", 0.5, ("gradient",)),
    ],
    misconceptions={
        "blocks": Misconception(
            _hand(layers=54), "That is the number of blocks. A basic block has two convolutions."
        ),
        "ends forgotten": Misconception(
            _hand(layers=108), "The blocks have 108. The first convolution and the dense layer count, too."
        ),
        "one end": Misconception(
            _hand(layers=109), "One layer is missing: the first convolution or the dense layer."
        ),
        "one layer a block": Misconception(
            _hand(layers=56),
            "You counted one layer a block. A basic block has two convolutions, one after the other.",
        ),
        "projections counted": Misconception(
            _hand(layers=112), "Layers are counted along the longest way; shortcuts add none."
        ),
        "normalizations forgotten": Misconception(
            _hand(bottleneck=512 * 128 + 9 * 128**2 + 128 * 512, projection=256 * 512),
            "Those are the weights of the convolutions. The normalizations have parameters as well.",
        ),
        "running averages": Misconception(
            _hand(bottleneck=_BY_HAND["bottleneck"] + 1536, projection=256 * 512 + 4 * 512),
            "Four numbers a channel? Mean and variance are measured, not learned: they are no parameters.",
        ),
        "biases": Misconception(
            _hand(bottleneck=_BY_HAND["bottleneck"] + 768, projection=_BY_HAND["projection"] + 512),
            "You gave the convolutions a bias. They have none: the shift of the normalization does its work.",
        ),
        "full width": Misconception(
            _hand(bottleneck=512 * 128 + 9 * 128 * 512 + 128 * 512 + 1536),
            "The 3×3 layer goes from 128 to 128 channels; the 1×1 layer behind it restores the 512.",
        ),
        "scale only": Misconception(
            _hand(bottleneck=_BY_HAND["bottleneck"] - 768, projection=256 * 512 + 512),
            "One number a channel is missing: a normalization has a scale and a shift.",
        ),
        "3×3 projection": Misconception(
            _hand(projection=9 * 256 * 512 + 1024), "A projection is a 1×1 convolution: one weight a pair."
        ),
        "stride divides": Misconception(
            _hand(projection=256 * 512 // 4 + 1024),
            "The stride changes the work, not the weights: there are as many at stride 1.",
        ),
        "all ways": Misconception(
            _hand(ways=2**16), "That is the number of all ways. How many choose two branches of the 16?"
        ),
        "ordered": Misconception(
            _hand(ways=16 * 15),
            "You counted each pair twice: the order of the branches is that of the network.",
        ),
        "up to two": Misconception(
            _hand(ways=1 + 16 + 120), "You counted the ways through no branch and through one as well."
        ),
        "branch alone": Misconception(
            _hand(gradient=-4.8), "That is what comes back through the branch. The direct term is missing."
        ),
        "direct alone": Misconception(
            _hand(gradient=4.0), "That is the direct term. What comes back through the branch is missing."
        ),
        "difference": Misconception(
            _hand(gradient=8.8),
            "A sum sends its gradient to both sides: add both terms, with their signs.",
        ),
        "inner derivative": Misconception(
            _hand(gradient=2.4), "The derivative of f goes inside, too: max(0, 3x) is not max(0, x)."
        ),
        "two mistakes": Misconception(
            _hand(gradient=-1.6),
            "The direct term is missing, and the derivative of f goes inside: max(0, 3x) is not max(0, x).",
        ),
        "upstream once": Misconception(
            _hand(gradient=2.8), "What arrives multiplies both terms, not only the direct one."
        ),
        "value": Misconception(
            _hand(gradient=-0.4), "That is y. Asked for is the derivative of the loss with respect to x."
        ),
    },
)


# ---- 2. A residual block, forward ------------------------------------------------------------------------


def _convolve(x, pair, stride=1, padding=1):
    weight, (mean, var, gamma, beta) = pair
    return F.batch_norm(F.conv2d(x, weight, None, stride, padding), mean, var, gamma, beta)


def _residual_block(x, first, second, stride=1, projection=None):
    branch = _convolve(F.relu(_convolve(x, first, stride)), second)
    shortcut = x if projection is None else _convolve(x, projection, stride, 0)
    return F.relu(branch + shortcut)


def _residual_by_hand(x, first, second, stride=1, projection=None):
    def normalized(y, arrays):
        mean, var, gamma, beta = (a[:, None, None] for a in arrays)
        return gamma * (y - mean) / torch.sqrt(var + 1e-5) + beta

    y = torch.clamp(normalized(F.conv2d(x, first[0], None, stride, 1), first[1]), min=0)
    y = normalized(F.conv2d(y, second[0], None, 1, 1), second[1])
    if projection is not None:
        mixed = torch.einsum("kc,nchw->nkhw", projection[0][:, :, 0, 0], x)
        y = y + normalized(mixed[..., ::stride, ::stride], projection[1])
    else:
        y = y + x
    return torch.clamp(y, min=0)


def _variant(inner=True, before=False, last=True, shortcut="right", late=False):
    """The block with something changed: a ReLU, the shortcut, the layer that has the stride."""

    def block(x, first, second, stride=1, projection=None):
        branch = _convolve(x, first, 1 if late else stride)
        branch = F.relu(branch) if inner else branch
        branch = _convolve(branch, second, stride if late else 1)
        branch = F.relu(branch) if before else branch
        beside = x if projection is None else _convolve(x, projection, stride, 0)
        if shortcut == "raw" and projection is not None:
            beside = F.conv2d(x, projection[0], stride=stride)
        if shortcut == "active":
            beside = F.relu(beside)
        if shortcut == "pooled" and projection is not None:
            beside = _convolve(F.avg_pool2d(x, stride, ceil_mode=True), projection, 1, 0)
        if shortcut == "identity" and x.shape == branch.shape:
            beside = x
        y = branch if shortcut == "none" else branch + beside
        return F.relu(y) if last else y

    return block


def _pair(rng, K: int, C: int, k: int) -> tuple:
    mean, var = 0.3 * rng.normal(size=K), rng.uniform(0.5, 2, K)
    gamma, beta = rng.uniform(0.5, 1.5, K), 0.5 * rng.normal(size=K)
    return rng.normal(size=(K, C, k, k)) / (C * k * k) ** 0.5, (mean, var, gamma, beta)


def _block_cases(rng) -> list[Case]:
    return [
        Case(
            "the same shape", 0.75, (rng.normal(size=(2, 4, 7, 6)), _pair(rng, 4, 4, 3), _pair(rng, 4, 4, 3))
        ),
        Case(
            "stride 2 and a projection",
            1.0,
            (rng.normal(size=(2, 3, 9, 6)), _pair(rng, 5, 3, 3), _pair(rng, 5, 5, 3), 2, _pair(rng, 5, 3, 1)),
        ),
        Case(
            "more channels, stride 1",
            0.5,
            (rng.normal(size=(1, 3, 5, 8)), _pair(rng, 7, 3, 3), _pair(rng, 7, 7, 3), 1, _pair(rng, 7, 3, 1)),
        ),
        Case(
            "a projection where the shape stays (option C)",
            0.25,
            (rng.normal(size=(2, 4, 5, 4)), _pair(rng, 4, 4, 3), _pair(rng, 4, 4, 3), 1, _pair(rng, 4, 4, 1)),
        ),
    ]


residual_block = Task(
    name="ex15.residual_block",
    title="2 · A residual block, forward",
    section="15.4 Learn what to add; 15.6 Where the shape changes",
    reference=_residual_block,
    cases=_block_cases,
    misconceptions={
        "ReLU before the sum": Misconception(
            _variant(before=True, last=False),
            "The last ReLU stands before the sum. Then the branch can only add: it belongs behind the sum.",
        ),
        "two ReLUs": Misconception(
            _variant(before=True),
            "There are ReLUs before and behind the sum. The first keeps the branch from subtracting.",
        ),
        "ReLU on both terms": Misconception(
            _variant(before=True, shortcut="active", last=False),
            "Each of the two terms has a ReLU of its own. There is one, behind the sum.",
        ),
        "no last ReLU": Misconception(
            _variant(last=False),
            "The ReLU behind the sum is missing (the pre-activation form alone has none).",
        ),
        "no ReLU inside": Misconception(
            _variant(inner=False), "The ReLU between the two convolutions is missing: two in a row are one."
        ),
        "no shortcut": Misconception(
            _variant(shortcut="none"), "That is the plain block: the shortcut is not added."
        ),
        "projection not normalized": Misconception(
            _variant(shortcut="raw"), "The projection is a pair, too: its normalization is missing."
        ),
        "ReLU on the shortcut": Misconception(
            _variant(shortcut="active"),
            "The shortcut carries x, or its projection, as it is: without a ReLU.",
        ),
        "projection ignored": Misconception(
            _variant(shortcut="identity"),
            "Where the shape stays you add x itself, although a projection is given (option C).",
        ),
        "pooled": Misconception(
            _variant(shortcut="pooled"),
            "You average the pixels before the projection. It is a convolution with the stride of the block.",
        ),
        "stride in the second": Misconception(
            _variant(late=True), "The second convolution has the stride. In a basic block the first has it."
        ),
        "shortcut twice": Misconception(
            lambda x, first, second, stride=1, projection=None: F.relu(
                _convolve(F.relu(_convolve(x, first, stride)), second)
                + 2 * (x if projection is None else _convolve(x, projection, stride, 0))
            ),
            "The shortcut is added twice.",
        ),
    },
    alternatives={"without helpers": _residual_by_hand},
    tensors=True,
)


# ---- 3. Option A -----------------------------------------------------------------------------------------


def _zero_pad(x, out_channels, stride=2):
    x = x[:, :, ::stride, ::stride]
    return F.pad(x, (0, 0, 0, 0, 0, out_channels - x.shape[1]))


def _zero_pad_filled(x, out_channels, stride=2):
    N, C, H, W = x.shape
    y = torch.zeros(N, out_channels, -(-H // stride), -(-W // stride), dtype=x.dtype)
    y[:, :C] = x[..., ::stride, ::stride]
    return y


def _padded(front: Callable[[int], int], small: Callable | None = None):
    """Zeros, `front(missing)` of them in front; `small` makes the smaller picture."""

    def shortcut(x, out_channels, stride=2):
        x = x[:, :, ::stride, ::stride] if small is None else small(x, stride)
        missing = out_channels - x.shape[1]
        return F.pad(x, (0, 0, 0, 0, front(missing), missing - front(missing)))

    return shortcut


def _repeated(x, out_channels, stride=2):
    x = x[:, :, ::stride, ::stride]
    return torch.cat([x] * -(-out_channels // x.shape[1]), 1)[:, :out_channels]


def _option_cases(rng) -> list[Case]:
    return [
        Case("twice the channels, stride 2", 0.5, (rng.normal(size=(2, 3, 8, 6)), 6)),
        Case("odd height and width", 0.5, (rng.normal(size=(1, 4, 7, 5)), 7, 2)),
        Case("stride 3", 0.25, (rng.normal(size=(2, 2, 7, 11)), 5, 3)),
        Case("stride 1", 0.25, (rng.normal(size=(2, 3, 4, 5)), 8, 1)),
    ]


zero_pad_shortcut = Task(
    name="ex15.zero_pad_shortcut",
    title="3 · Option A",
    section="15.6 Where the shape changes",
    reference=_zero_pad,
    cases=_option_cases,
    misconceptions={
        "zeros in front": Misconception(
            _padded(lambda n: n), "The zeros stand in front of the channels of x. They belong behind them."
        ),
        "zeros on both sides": Misconception(
            _padded(lambda n: n // 2),
            "The zeros stand on both sides of the channels: put all behind them.",
        ),
        "average pooling": Misconception(
            _padded(lambda n: 0, lambda x, s: F.avg_pool2d(x, s, ceil_mode=True)),
            "You average. Option A takes every stride-th pixel and leaves the others out.",
        ),
        "max pooling": Misconception(
            _padded(lambda n: 0, lambda x, s: F.max_pool2d(x, s, ceil_mode=True)),
            "You take maxima. Option A takes every stride-th pixel and leaves the others out.",
        ),
        "second pixel first": Misconception(
            _padded(lambda n: 0, lambda x, s: x[:, :, s - 1 :: s, s - 1 :: s]),
            "You begin with a later pixel. The first one is taken.",
        ),
        "height only": Misconception(
            _padded(lambda n: 0, lambda x, s: x[:, :, ::s]), "Only the rows are thinned out, not the columns."
        ),
        "width only": Misconception(
            _padded(lambda n: 0, lambda x, s: x[..., ::s]), "Only the columns are thinned out, not the rows."
        ),
        "no stride": Misconception(
            _padded(lambda n: 0, lambda x, s: x), "The picture keeps its size: the stride has no effect."
        ),
        "always 2": Misconception(
            _padded(lambda n: 0, lambda x, s: x[:, :, ::2, ::2]),
            "You take every second pixel whatever the stride is.",
        ),
        "repeated": Misconception(_repeated, "You repeat the channels of x. The new channels are zeros."),
        "channels doubled": Misconception(
            lambda x, out_channels, stride=2: _zero_pad(x, 2 * x.shape[1], stride),
            "You always double the channels. Add as many as are missing to out_channels.",
        ),
    },
    alternatives={"filled": _zero_pad_filled},
    tensors=True,
)


# ---- 4. Find the bug: backward through a block -----------------------------------------------------------


def _block_backward(upstream, x, W1, W2):
    hidden = np.maximum(0, x @ W1)
    total = np.maximum(0, x + hidden @ W2)
    back = upstream * np.sign(total)
    return back + ((back @ W2.T) * np.sign(hidden)) @ W1.T


def _by_samples(upstream, x, W1, W2):
    """With vectors instead of matrices."""
    rows = []
    for n in range(len(x)):
        hidden = x[n] @ W1
        total = x[n] + np.maximum(0, hidden) @ W2
        back = upstream[n] * np.sign(np.maximum(0, total))
        rows.append(back + W1 @ (np.sign(np.maximum(0, hidden)) * (W2 @ back)))
    return np.array(rows)


def _backward_variant(direct="masked", last=True, inside=True, transposed=True):
    def backward(upstream, x, W1, W2):
        hidden = np.maximum(0, x @ W1)
        back = upstream * (x + hidden @ W2 > 0) if last else upstream
        through = back @ (W2.T if transposed else W2)
        through = through * (hidden > 0) if inside else through
        through = through @ (W1.T if transposed else W1)
        terms = {"masked": back, "raw": upstream, "none": 0, "of x": upstream * (x > 0)}
        return terms[direct] + through

    return backward


def _backward_cases(rng) -> list[Case]:
    def arrays(N: int, D: int, shift: float = 0.0):
        W1, W2 = rng.normal(size=(2, D, D)) / D**0.5
        return rng.normal(size=(N, D)), rng.normal(size=(N, D)) + shift, W1, W2

    return [
        Case("some sums below zero", 0.75, arrays(5, 4)),
        Case("one sample", 0.25, arrays(1, 6)),
        Case("most sums above zero", 0.25, arrays(4, 5, shift=2.0)),
        Case("most sums below zero", 0.25, arrays(6, 3, shift=-1.0)),
    ]


block_backward = Task(
    name="ex15.block_backward",
    title="4 · Find the bug: backward through a block",
    section="15.5 Backward through a sum",
    reference=_block_backward,
    cases=_backward_cases,
    misconceptions={
        "direct term not masked": Misconception(
            _backward_variant(direct="raw"),
            "The bug is still there: the last ReLU stands behind the sum, so both terms have to pass it.",
        ),
        "direct term forgotten": Misconception(
            _backward_variant(direct="none"),
            "The direct term is missing: that is a plain block's gradient.",
        ),
        "branch forgotten": Misconception(
            lambda upstream, x, W1, W2: upstream * (x + np.maximum(0, x @ W1) @ W2 > 0),
            "That is the direct term. What comes back through the branch is missing.",
        ),
        "matrices exchanged": Misconception(
            lambda upstream, x, W1, W2: (
                (back := upstream * (x + np.maximum(0, x @ W1) @ W2 > 0))
                + ((back @ W1.T) * (x @ W1 > 0)) @ W2.T
            ),
            "W1 and W2 are exchanged on the way back: the last layer comes first.",
        ),
        "mask of x": Misconception(
            _backward_variant(direct="of x"),
            "The direct term is masked by the sign of x. The ReLU saw the sum, not x.",
        ),
        "no last ReLU": Misconception(
            _backward_variant(last=False),
            "The last ReLU is missing: where the sum is below 0, no gradient passes.",
        ),
        "no ReLU inside": Misconception(
            _backward_variant(inside=False), "The gradient does not pass the ReLU inside the branch."
        ),
        "not transposed": Misconception(
            _backward_variant(transposed=False),
            "Backward through a dense layer takes the transposed matrix.",
        ),
        "branch before the ReLU": Misconception(
            lambda upstream, x, W1, W2: (
                upstream * (x + np.maximum(0, x @ W1) @ W2 > 0) + ((upstream @ W2.T) * (x @ W1 > 0)) @ W1.T
            ),
            "Now the direct term passes the last ReLU, and the branch no longer does. Both have to.",
        ),
        "masked at the end": Misconception(
            lambda upstream, x, W1, W2: (
                _backward_variant(direct="raw", last=False)(upstream, x, W1, W2)
                * (x + np.maximum(0, x @ W1) @ W2 > 0)
            ),
            "You pass the last ReLU at the end of the way back. Forward it was last: backward it is first.",
        ),
        "masked twice": Misconception(
            lambda upstream, x, W1, W2: (
                _backward_variant(direct="raw")(upstream, x, W1, W2) * (x + np.maximum(0, x @ W1) @ W2 > 0)
            ),
            "The branch passes the last ReLU twice: before W2, where it belongs, and again after the sum.",
        ),
        "difference": Misconception(
            lambda upstream, x, W1, W2: (
                2 * upstream * (x + np.maximum(0, x @ W1) @ W2 > 0) - _block_backward(upstream, x, W1, W2)
            ),
            "The branch is subtracted. A sum sends its gradient to both sides with the same sign.",
        ),
    },
    alternatives={"sample by sample": _by_samples},
)


# ---- 5. How the signal grows -----------------------------------------------------------------------------


def _through_blocks(depth: int, gamma: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(1000, 64))
    x = start
    for _ in range(depth):
        W1, W2 = rng.normal(size=(2, 64, 64)) / 8
        z = np.maximum(0, x @ W1) @ W2
        x = x + gamma * (z - z.mean(0)) / z.std(0)
    return start, x


def _measure() -> dict[str, float | str]:
    start, x = _through_blocks(16)
    return {
        "4 blocks": float(_through_blocks(4)[1].var()),
        "16 blocks": float(x.var()),
        "gamma 0.25": float(_through_blocks(16, 0.25)[1].var()),
        "share": float(np.corrcoef(start.ravel(), x.ravel())[0, 1]),
        "rule": "b",
    }


_MEASURED = _measure()


def _measured(**wrong) -> Callable[[str], float | str]:
    return lambda key: ({**_MEASURED, **wrong})[key]


signal_growth = Task(
    name="ex15.signal_growth",
    title="5 · Experiment: how the signal grows",
    section="15.8 Starting as the identity, and a clean way through",
    reference=_MEASURED.__getitem__,
    cases=lambda rng: [
        Case("behind 4 blocks", 0.4, ("4 blocks",)),
        Case("behind 16 blocks", 0.4, ("16 blocks",)),
        Case("with a small scale", 0.4, ("gamma 0.25",)),
        Case("the share of the start", 0.4, ("share",)),
        Case("the rule", 0.4, ("rule",)),
    ],
    misconceptions={
        "deviations": Misconception(
            lambda key: _MEASURED[key] if key in ("share", "rule") else _MEASURED[key] ** 0.5,
            "Those are standard deviations. Asked for are variances, x.var().",
        ),
        "of the start": Misconception(
            lambda key: _MEASURED[key] if key in ("share", "rule") else 1.0,
            "That is the variance before the blocks: the function returns the signal before and after.",
        ),
        "theory": Misconception(
            _measured(**{"4 blocks": 16.0, "16 blocks": 65536.0}),
            "Twice as much with every block is a guess. Measure.",
        ),
        "formula": Misconception(
            _measured(**{"4 blocks": 5.0, "16 blocks": 17.0, "gamma 0.25": 2.0, "share": 17**-0.5}),
            "Those are the numbers of a formula for independent branches, or rounded too far. Measure, and "
            "keep three digits.",
        ),
        "growth": Misconception(
            _measured(**{key: _MEASURED[key] - 1 for key in ("4 blocks", "16 blocks", "gamma 0.25")}),
            "That is what came on top. Asked for is the variance itself.",
        ),
        "scale 1": Misconception(
            _measured(**{"gamma 0.25": _MEASURED["16 blocks"]}),
            "That is the variance with scale 1: pass gamma=0.25.",
        ),
        "scale 4": Misconception(
            _measured(**{"gamma 0.25": 1 + 16 * 0.25}),
            "That would be 1 + 16·0.25. The scale counts with its square: measure.",
        ),
        "four blocks": Misconception(
            _measured(**{"gamma 0.25": float(_through_blocks(4, 0.25)[1].var())}),
            "That is 4 blocks with the small scale. Take 16.",
        ),
        "share squared": Misconception(
            _measured(share=_MEASURED["share"] ** 2),
            "That is the share of the variance, the square of the correlation.",
        ),
        "share of the small scale": Misconception(
            _measured(share=float(np.corrcoef(*(a.ravel() for a in _through_blocks(16, 0.25)))[0, 1])),
            "That is the correlation with the small scale. Asked for was that with scale 1.",
        ),
        "share behind 4": Misconception(
            _measured(share=float(np.corrcoef(*(a.ravel() for a in _through_blocks(4)))[0, 1])),
            "That is the correlation behind 4 blocks. Asked for was that behind 16.",
        ),
        "rule a": Misconception(
            _measured(rule="a"),
            "Compare 4 and 16 blocks: is the variance doubled twelve times in between?",
        ),
        "rule c": Misconception(
            _measured(rule="c"), "The branch is normalized, the sum is not: look at your variances."
        ),
        "rule d": Misconception(
            _measured(rule="d"),
            "Look at the small scale: a variance goes with the square of the scale.",
        ),
    },
    rtol=5e-3,
)

TASKS = (by_hand, residual_block, zero_pad_shortcut, block_backward, signal_growth)
