"""Exercise 12, LeNet-5, AlexNet, ZFNet: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. Sizes and counts by hand -------------------------------------------------------------------------

# C3 with 16 maps that see four of six maps each; AlexNet's first layer and pooling on 259×259; its fourth
# convolution in four groups; its first dense layer behind 7×7; (12.4) where five channels are 200.
_BY_HAND = {
    "C3": 16 * (4 * 25 + 1),
    "pooled": 31,
    "groups": 384 * (384 // 4) * 9 + 384,
    "dense": 256 * 7 * 7 * 4096 + 4096,
    "normalized": 200 / (2 + 1e-4 * 5 * 200**2) ** 0.75,
}


def _hand(**wrong) -> Callable[[str], float]:
    """The right numbers, but for those given."""
    return lambda key: (_BY_HAND | wrong)[key]


by_hand = Task(
    name="ex12.by_hand",
    title="1 · Sizes and counts by hand",
    section="12.1 LeNet-5, as it was; 12.3 AlexNet, layer by layer; 12.4 Two graphics cards; "
    "12.5 Local response normalization",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("C3 with another table", 0.5, ("C3",)),
        Case("the side behind the first pooling", 0.5, ("pooled",)),
        Case("four groups", 0.5, ("groups",)),
        Case("the dense layer behind 7×7", 0.5, ("dense",)),
        Case("the normalized number", 0.5, ("normalized",)),
    ],
    misconceptions={
        "full table": Misconception(
            _hand(C3=16 * (6 * 25 + 1)),
            "Those are the parameters if every map sees all six. How many kernels has a map that sees four?",
        ),
        "C3 without biases": Misconception(
            _hand(C3=16 * 4 * 25), "Those are the weights of C3. Each of its 16 maps has a bias, too."
        ),
        "a bias for each kernel": Misconception(
            _hand(C3=16 * 4 * 26), "One bias for each kernel? A map adds up its kernels and adds one bias."
        ),
        "the table of 1998": Misconception(
            _hand(C3=1516), "That is C3 as it was, with 60 kernels. How many are 16 times four?"
        ),
        "the convolution": Misconception(
            _hand(pooled=63),
            "That is the side of the convolution. The pooling of 3×3 at stride 2 comes next.",
        ),
        "2×2 pooling": Misconception(
            _hand(pooled=32), "Half the side is for windows of 2×2. These overlap: 3×3 at stride 2, by (3.6)."
        ),
        "size of 227": Misconception(
            _hand(pooled=27), "That is the size for pictures of 227×227. These have 259×259."
        ),
        "padded": Misconception(
            _hand(pooled=32.5), "A side is a whole number: windows that do not fit are left out."
        ),
        "no groups": Misconception(
            _hand(groups=384 * 384 * 9 + 384),
            "That is the layer without groups. How many channels does one filter read in four groups?",
        ),
        "two groups": Misconception(
            _hand(groups=384 * 192 * 9 + 384), "Those are the two groups of the paper. Asked for were four."
        ),
        "one group of four": Misconception(
            _hand(groups=96 * 96 * 9 + 96), "That is one of the four groups. All of them count."
        ),
        "groups without biases": Misconception(
            _hand(groups=384 * 96 * 9), "Those are the weights: the 384 biases are missing."
        ),
        "biases of one group": Misconception(
            _hand(groups=384 * 96 * 9 + 96),
            "The weights are right. How many filters are there, with a bias each?",
        ),
        "6×6": Misconception(
            _hand(dense=256 * 36 * 4096 + 4096), "That is AlexNet as it is, behind 6×6. Asked for was 7×7."
        ),
        "dense without biases": Misconception(
            _hand(dense=256 * 49 * 4096), "Those are the weights: the biases of the 4096 units are missing."
        ),
        "side not squared": Misconception(
            _hand(dense=256 * 7 * 4096 + 4096), "A map of 7×7 has 49 numbers, and each has its own weights."
        ),
        "factor": Misconception(
            _hand(normalized=_BY_HAND["normalized"] / 200),
            "That is the factor. Asked for was the number that comes out, the factor times 200.",
        ),
        "alpha divided": Misconception(
            _hand(normalized=200 / (2 + 1e-4 * 200**2) ** 0.75),
            "That is PyTorch's layer, which divides alpha by the window. (12.4) does not.",
        ),
        "no power": Misconception(
            _hand(normalized=200 / (2 + 1e-4 * 5 * 200**2)),
            "The bracket is right. (12.4) divides by its power 0.75.",
        ),
        "neighbors only": Misconception(
            _hand(normalized=200 / (2 + 1e-4 * 4 * 200**2) ** 0.75),
            "The channel itself is in its window, too: five squares.",
        ),
        "square root": Misconception(
            _hand(normalized=200 / (2 + 1e-4 * 5 * 200**2) ** 0.5), "The power is 0.75, not 0.5."
        ),
        "not squared": Misconception(
            _hand(normalized=200 / (2 + 1e-4 * 5 * 200) ** 0.75),
            "The sum is over the squares: 200² five times.",
        ),
    },
    rtol=2e-3,
)


# ---- 2. Local response normalization ---------------------------------------------------------------------


def _response_norm(a, n, alpha, beta, k):
    import torch

    b = torch.empty_like(a)
    for c in range(a.shape[1]):
        window = a[:, max(0, c - n // 2) : c + n // 2 + 1]
        b[:, c] = a[:, c] / (k + alpha * (window**2).sum(1)) ** beta
    return b


def _norm_by_torch(a, n, alpha, beta, k):
    import torch

    return torch.nn.functional.local_response_norm(a, n, alpha=alpha * n, beta=beta, k=k)


def _norm_by_matrix(a, n, alpha, beta, k):
    import torch

    i = torch.arange(a.shape[1])
    band = ((i[:, None] - i).abs() <= n // 2).to(a.dtype)
    return a / (k + alpha * torch.einsum("dc,nchw->ndhw", band, a * a)) ** beta


def _norm_with(window: Callable, power: int = 2) -> Callable:
    """(12.4) with the channels that `window(c, n, C)` lists."""

    def wrong(a, n, alpha, beta, k):
        import torch

        b = torch.empty_like(a)
        C = a.shape[1]
        for c in range(C):
            b[:, c] = a[:, c] / (k + alpha * a[:, window(c, n, C)].abs().pow(power).sum(1)) ** beta
        return b

    return wrong


def _norm_in_place(a, n, alpha, beta, k):
    a = a.clone()
    for c in range(a.shape[1]):
        window = a[:, max(0, c - n // 2) : c + n // 2 + 1]
        a[:, c] = a[:, c] / (k + alpha * (window**2).sum(1)) ** beta
    return a


def _norm_of_sum(a, n, alpha, beta, k):
    import torch

    b = torch.empty_like(a)
    for c in range(a.shape[1]):
        window = a[:, max(0, c - n // 2) : c + n // 2 + 1]
        b[:, c] = a[:, c] / (k + alpha * window.sum(1) ** 2) ** beta
    return b


def _norm_inner_power(a, n, alpha, beta, k):
    import torch

    b = torch.empty_like(a)
    for c in range(a.shape[1]):
        window = a[:, max(0, c - n // 2) : c + n // 2 + 1]
        b[:, c] = a[:, c] / (k + alpha * (window**2).sum(1) ** beta)
    return b


def _norm_of_mean(a, n, alpha, beta, k):
    import torch

    b = torch.empty_like(a)
    for c in range(a.shape[1]):
        window = a[:, max(0, c - n // 2) : c + n // 2 + 1]
        b[:, c] = a[:, c] / (k + alpha * (window**2).mean(1)) ** beta
    return b


def _norm_cases(rng) -> list[Case]:
    def case(label, points, shape, n, alpha, beta, k):
        return Case(label, points, (3 * rng.normal(size=shape), n, alpha, beta, k))

    return [
        case("windows of 5 channels", 1.0, (2, 9, 4, 3), 5, 0.03, 0.75, 2.0),
        case("windows of 3 channels, other numbers", 0.75, (3, 6, 2, 5), 3, 0.2, 0.6, 1.3),
        case("a window wider than the channels", 0.5, (2, 4, 3, 2), 11, 0.05, 0.9, 0.7),
        case("windows of one channel", 0.25, (1, 3, 2, 3), 1, 0.4, 0.5, 1.0),
    ]


response_norm = Task(
    name="ex12.response_norm",
    title="2 · Local response normalization",
    section="12.5 Local response normalization",
    reference=_response_norm,
    cases=_norm_cases,
    misconceptions={
        "alpha divided": Misconception(
            lambda a, n, alpha, beta, k: _norm_by_torch(a, n, alpha / n, beta, k),
            "You divide alpha by n, as PyTorch does. (12.4) does not.",
        ),
        "n on each side": Misconception(
            _norm_with(lambda c, n, C: range(max(0, c - n), min(C, c + n + 1))),
            "Your windows reach n channels to each side. They are n channels wide: n // 2 to each side.",
        ),
        "last channel missing": Misconception(
            _norm_with(lambda c, n, C: range(max(0, c - n // 2), min(C, c + n // 2))),
            "Your windows miss their last channel: a slice ends before its second number.",
        ),
        "channels before": Misconception(
            _norm_with(lambda c, n, C: range(max(0, c - n + 1), c + 1)),
            "Your windows end at the channel itself. They reach as far to the other side.",
        ),
        "round the corner": Misconception(
            _norm_with(lambda c, n, C: [d % C for d in range(c - n // 2, c + n // 2 + 1)]),
            "Your windows go on at the other end of the channels. (12.4) cuts them off.",
        ),
        "start below zero": Misconception(
            _norm_with(lambda c, n, C: list(range(C))[c - n // 2 : c + n // 2 + 1]),
            "At the first channels your window starts below 0, and a slice counts that from the other end.",
        ),
        "in place": Misconception(
            _norm_in_place,
            "You write into a while later windows still read from it. Write into a new tensor.",
        ),
        "mean": Misconception(
            _norm_of_mean, "You take the mean of the squares in a window. (12.4) takes their sum."
        ),
        "all channels": Misconception(
            _norm_with(lambda c, n, C: range(C)),
            "You sum over all channels. A window has n of them, around the channel itself.",
        ),
        "without itself": Misconception(
            _norm_with(
                lambda c, n, C: [d for d in range(max(0, c - n // 2), min(C, c + n // 2 + 1)) if d != c]
            ),
            "The channel itself is missing from its window.",
        ),
        "not squared": Misconception(
            _norm_with(lambda c, n, C: range(max(0, c - n // 2), min(C, c + n // 2 + 1)), power=1),
            "The sum is over the squares of the activations.",
        ),
        "square of the sum": Misconception(
            _norm_of_sum, "You add up first and square the sum. (12.4) adds up the squares."
        ),
        "power of the sum only": Misconception(
            _norm_inner_power, "beta is the power of the whole bracket, k and alpha included."
        ),
        "power forgotten": Misconception(
            lambda a, n, alpha, beta, k: _norm_by_torch(a, n, alpha, 1.0, k),
            "The power beta has no effect in your answer.",
        ),
        "k forgotten": Misconception(
            lambda a, n, alpha, beta, k: _norm_by_torch(a, n, alpha, beta, 1.0),
            "k has no effect in your answer, or you took it to be 1.",
        ),
        "multiplied": Misconception(
            lambda a, n, alpha, beta, k: _norm_by_torch(a, n, alpha, -beta, k),
            "You multiply by the bracket. It divides: large neighbors make the answer smaller.",
        ),
        "the bracket": Misconception(
            lambda a, n, alpha, beta, k: a / _norm_by_torch(a, n, alpha, beta, k),
            "That is the bracket to its power. The activation is divided by it.",
        ),
        "neighbors in the picture": Misconception(
            lambda a, n, alpha, beta, k: _norm_by_torch(a.transpose(1, 2), n, alpha, beta, k).transpose(1, 2),
            "Your windows run over rows of the picture. The neighbors in (12.4) are channels, axis 1.",
        ),
    },
    alternatives={"PyTorch's layer": _norm_by_torch, "a matrix of ones": _norm_by_matrix},
    tensors=True,
)


# ---- 3. A convolution with a connection table ------------------------------------------------------------


def _partial_conv(x, weight, bias, table):
    import torch

    mask = torch.zeros_like(weight)
    for k, channels in enumerate(table):
        mask[k, list(channels)] = 1
    return torch.nn.functional.conv2d(x, weight * mask, bias)


def _partial_by_maps(x, weight, bias, table):
    import torch

    maps = [
        torch.nn.functional.conv2d(x[:, list(seen)], weight[k : k + 1, list(seen)], bias[k : k + 1])
        for k, seen in enumerate(table)
    ]
    return torch.cat(maps, dim=1)


def _partial_with(mask_of: Callable) -> Callable:
    """The layer with another mask, (K, C), from the table and the shape of the weight."""

    def wrong(x, weight, bias, table):
        import torch

        K, C = weight.shape[:2]
        mask = torch.tensor(mask_of(table, K, C), dtype=weight.dtype)
        return torch.nn.functional.conv2d(x, weight * mask[:, :, None, None], bias)

    return wrong


def _complement(table, K, C):
    return [[float(c not in seen) for c in range(C)] for seen in table]


def _union(table, K, C):
    used = set().union(*table)
    return [[float(c in used) for c in range(C)]] * K


def _shifted(table, K, C):
    return [[float(c + 1 in seen) for c in range(C)] for seen in table]


def _first_channels(table, K, C):
    return [[float(c < len(seen)) for c in range(C)] for seen in table]


def _first_kernels(x, weight, bias, table):
    import torch

    maps = [
        torch.nn.functional.conv2d(x[:, list(seen)], weight[k : k + 1, : len(seen)], bias[k : k + 1])
        for k, seen in enumerate(table)
    ]
    return torch.cat(maps, dim=1)


def _without_bias(x, weight, bias, table):
    return _partial_conv(x, weight, 0 * bias, table)


def _masked_result(x, weight, bias, table):
    import torch

    y = torch.nn.functional.conv2d(x, weight, bias)
    return y * torch.tensor([float(k in {c for seen in table for c in seen}) for k in range(len(table))])[
        :, None, None
    ].to(y.dtype)


def _partial_cases(rng) -> list[Case]:
    def case(label, points, N, C, table, k, H, W):
        K = len(table)
        arrays = rng.normal(size=(N, C, H, W)), rng.normal(size=(K, C, k, k)), rng.normal(size=K)
        return Case(label, points, (*arrays, table))

    return [
        case("a table of five maps", 0.75, 2, 4, ((0, 1), (1, 3), (2,), (0, 2, 3), (0, 1, 2)), 3, 7, 6),
        case("fewer maps out than in", 0.5, 1, 6, ((5, 1, 3), (0, 4)), 5, 8, 9),
        case("a map that sees everything", 0.25, 2, 3, ((0, 1, 2), (2, 0)), 1, 3, 4),
        case("a channel that nobody sees", 0.5, 3, 5, ((0, 1), (1, 4), (4, 2), (0, 2)), 2, 5, 4),
    ]


partial_conv = Task(
    name="ex12.partial_conv",
    title="3 · A convolution with a connection table",
    section="12.1 LeNet-5, as it was",
    reference=_partial_conv,
    cases=_partial_cases,
    misconceptions={
        "table ignored": Misconception(
            _partial_with(lambda table, K, C: [[1.0] * C] * K),
            "That is an ordinary convolution: the table has no effect.",
        ),
        "the wrong ones": Misconception(
            _partial_with(_complement),
            "You leave out the channels that the table lists. It lists those that a map sees.",
        ),
        "one mask for all": Misconception(
            _partial_with(_union),
            "All your maps see the same channels, all that occur in the table. Each has its own entry.",
        ),
        "counted from one": Misconception(
            _partial_with(_shifted), "Your channels are off by one: the table counts from 0."
        ),
        "how many, not which": Misconception(
            _partial_with(_first_channels),
            "Your maps see the right number of channels, but always the first ones. The table says which.",
        ),
        "bias forgotten": Misconception(_without_bias, "The bias is missing: each map adds its own."),
        "a bias for each channel": Misconception(
            lambda x, weight, bias, table: _partial_conv(
                x, weight, bias * bias.new_tensor([len(seen) for seen in table]), table
            ),
            "The bias is added once for each channel that a map sees. A map has one bias.",
        ),
        "the first kernels": Misconception(
            _first_kernels,
            "You picked the channels of x, but the first kernels of a filter. Kernel c belongs to channel c.",
        ),
        "maps switched off": Misconception(
            _masked_result,
            "You switch off whole maps of the output. The table takes kernels out: mask the weight, not y.",
        ),
        "mean": Misconception(
            lambda x, weight, bias, table: (
                _partial_conv(x, weight, 0 * bias, table)
                / x.new_tensor([len(seen) for seen in table])[:, None, None]
                + bias[:, None, None]
            ),
            "You divide by the number of channels that a map sees. The products are added up.",
        ),
    },
    alternatives={"map by map": _partial_by_maps},
    tensors=True,
)


# ---- 4. Find the bug: another light ----------------------------------------------------------------------


def _relight(pictures, values, vectors, r):
    shift = (r * values.sqrt()) @ vectors.T
    return pictures + shift[:, :, None, None]


def _relight_loop(pictures, values, vectors, r):
    relit = pictures.clone()
    for n in range(len(pictures)):
        for i in range(3):
            relit[n] += (r[n, i] * values[i] ** 0.5 * vectors[:, i])[:, None, None]
    return relit


def _relight_with(shift: Callable) -> Callable:
    return lambda pictures, values, vectors, r: pictures + shift(values, vectors, r)[:, :, None, None]


def _relight_cases(rng) -> list[Case]:
    def case(label, points, N, H, W):
        vectors = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        values = np.sort(rng.uniform(0.01, 0.5, 3))
        return Case(label, points, (rng.random((N, 3, H, W)), values, vectors, 0.3 * rng.normal(size=(N, 3))))

    return [
        case("four pictures", 0.75, 4, 5, 3),
        case("three pictures, as many as colors", 0.5, 3, 2, 4),
        case("one picture", 0.25, 1, 3, 6),
    ]


relight = Task(
    name="ex12.relight",
    title="4 · Find the bug: another light",
    section="12.6 Pictures, multiplied",
    reference=_relight,
    cases=_relight_cases,
    misconceptions={
        "rows of vectors": Misconception(
            _relight_with(lambda values, vectors, r: (r * values.sqrt()) @ vectors),
            "The bug is still there. The directions are the columns of `vectors`: which ones do you add up?",
        ),
        "variances": Misconception(
            _relight_with(lambda values, vectors, r: (r * values) @ vectors.T),
            "The eigenvectors are right now. But the square root of the variances was no mistake.",
        ),
        "variances and rows": Misconception(
            _relight_with(lambda values, vectors, r: (r * values) @ vectors),
            "The square root was right and has to stay; the bug is in which eigenvectors are added up.",
        ),
        "no variances": Misconception(
            _relight_with(lambda values, vectors, r: r @ vectors.T),
            "The size of the components has no effect any more: r counts in standard deviations.",
        ),
        "no vectors": Misconception(
            _relight_with(lambda values, vectors, r: r * values.sqrt()),
            "You shift red, green and blue themselves. The shifts are along the eigenvectors.",
        ),
        "back to the components": Misconception(
            _relight_with(lambda values, vectors, r: (r @ vectors.T) * values.sqrt()),
            "The sizes belong to the components, not to the colors: multiply before you go to colors.",
        ),
        "the same for all": Misconception(
            _relight_with(
                lambda values, vectors, r: ((r * values.sqrt()) @ vectors.T).mean(0).expand(len(r), 3)
            ),
            "All pictures get the same shift. Each has its own three numbers r.",
        ),
        "subtracted": Misconception(
            _relight_with(lambda values, vectors, r: -(r * values.sqrt()) @ vectors.T),
            "The sign is turned around: the shift is added.",
        ),
        "clipped": Misconception(
            lambda *arguments: _relight(*arguments).clamp(0, 1),
            "You clip to 0 to 1. That was not asked for: leave the numbers as they come.",
        ),
    },
    alternatives={"loops": _relight_loop},
    tensors=True,
)


# ---- 5. What a stride confuses ---------------------------------------------------------------------------


def _period(period: float, stride: int) -> float:
    """The period that a grating seems to have at that stride, (12.6)."""
    f = 1 / period
    return 1 / abs(f - round(f * stride) / stride)


_ASKED = {"6 at 4": (6, 4), "7 at 4": (7, 4), "3 at 2": (3, 2), "4 at 3": (4, 3)}
_MEASURED = {key: _period(*pair) for key, pair in _ASKED.items()} | {"rule": "c"}


def _measured(**wrong) -> Callable[[str], float | str]:
    """The right answers, but for those given: p6 for "6 at 4" and so on."""
    keys = {"p6": "6 at 4", "p7": "7 at 4", "p3": "3 at 2", "p4": "4 at 3", "rule": "rule"}
    return lambda key: (_MEASURED | {keys[k]: value for k, value in wrong.items()})[key]


def _changed(change: Callable[[float, float, int], float]) -> Callable[[str], float | str]:
    """Each period changed: change(what is seen, period, stride)."""
    return lambda key: _MEASURED[key] if key == "rule" else change(_MEASURED[key], *_ASKED[key])


aliasing = Task(
    name="ex12.aliasing",
    title="5 · Experiment: what a stride confuses",
    section="12.10 ZFNet: looked into, and repaired",
    reference=_MEASURED.__getitem__,
    cases=lambda rng: [
        Case("period 6 at stride 4", 0.25, ("6 at 4",)),
        Case("period 7 at stride 4", 0.25, ("7 at 4",)),
        Case("period 3 at stride 2", 0.25, ("3 at 2",)),
        Case("period 4 at stride 3", 0.25, ("4 at 3",)),
        Case("the rule", 0.5, ("rule",)),
    ],
    misconceptions={
        "outputs, not pixels": Misconception(
            _changed(lambda seen, period, stride: seen / stride),
            "Those are periods in outputs. An output of stride s stands for s pixels: multiply.",
        ),
        "frequencies": Misconception(
            _changed(lambda seen, period, stride: 1 / seen),
            "Those are frequencies. The period is one divided by the frequency.",
        ),
        "as strongest returns them": Misconception(
            _changed(lambda seen, period, stride: stride / seen),
            "Those are what `strongest` returns: periods an output. Asked for is the period, in pixels.",
        ),
        "no aliasing": Misconception(
            _changed(lambda seen, period, stride: float(period)),
            "Those are the periods of the gratings. Measure those of the answers.",
        ),
        "period times stride": Misconception(
            _changed(lambda seen, period, stride: float(period * stride)),
            "The stride does not multiply periods. Measure, or use (12.6).",
        ),
        "twice the stride": Misconception(
            _changed(lambda seen, period, stride: 2.0 * stride),
            "That is the smallest period that is seen as it is. Finer gratings seem coarser than that.",
        ),
        "rule a": Misconception(
            _measured(rule="a"), "Take a filter of 31×31 at stride 4 and period 6: does it see more truly?"
        ),
        "rule b": Misconception(
            _measured(rule="b"), "Period 6 at stride 4 is larger than the stride. Was it seen as it is?"
        ),
        "rule d": Misconception(
            _measured(rule="d"), "Period 3 at stride 2: was it lost, or seen as something else?"
        ),
    },
    rtol=5e-3,
)

TASKS = (by_hand, response_norm, partial_conv, relight, aliasing)
