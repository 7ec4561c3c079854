"""Exercise 16, after ResNet: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import conv2d, relu

from utils.checks import Case, Misconception, Task


def _with(values: dict, **wrong) -> Callable[[str], float]:
    """The right numbers, but for those given (one underscore stands for a space)."""
    changed = values | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: changed[key]


# ---- 1. Costs by hand ------------------------------------------------------------------------------------

# fire: 256 channels, 32 squeezed, 128 + 128 expanded, biases. dense: 48 channels, 10 layers, growth 16.
# paths: 16 paths of width 8 between 512 channels. SE: 512 channels, reduction 16, biases. pairs: 28×20.
_BY_HAND = {
    "fire": 256 * 32 + 32 + 32 * 128 + 128 + 9 * 32 * 128 + 128,
    "dense": 48 + 16 * 9,
    "paths": 16 * (512 * 8 + 9 * 8 * 8 + 8 * 512),
    "SE": 2 * 512 * 32 + 32 + 512,
    "pairs": (28 * 20) ** 2,
}


def _hand(**wrong) -> Callable[[str], float]:
    return _with(_BY_HAND, **wrong)


by_hand = Task(
    name="ex16.by_hand",
    title="1 · Costs by hand",
    section="16.2 The sum: what should a layer do with what came before?; "
    "16.3 The width: what should more weights buy?; 16.4 The maps: which channel, which pixel, which pair?; "
    "16.5 The price: how little is enough?",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the fire module", 0.5, ("fire",)),
        Case("the channels of the dense block", 0.5, ("dense",)),
        Case("the paths", 0.5, ("paths",)),
        Case("squeeze-and-excitation", 0.5, ("SE",)),
        Case("the pairs of pixels", 0.5, ("pairs",)),
    ],
    misconceptions={
        "fire without biases": Misconception(
            _hand(fire=256 * 32 + 10 * 32 * 128), "Those are the weights. Each of its filters has a bias too."
        ),
        "fire reads the input": Misconception(
            _hand(fire=256 * 32 + 32 + 10 * 256 * 128 + 256),
            "The expanding layers read what the squeeze has left, not the channels that came in.",
        ),
        "fire reads the input by 3×3": Misconception(
            _hand(fire=256 * 32 + 32 + 32 * 128 + 128 + 9 * 256 * 128 + 128),
            "The 3×3 layer reads what the squeeze has left, as the 1×1 layer beside it does.",
        ),
        "fire without squeeze": Misconception(
            _hand(fire=32 * 128 + 128 + 9 * 32 * 128 + 128),
            "Those are the layers that expand. The layer that squeezes has parameters too.",
        ),
        "fire all 3×3": Misconception(
            _hand(fire=256 * 32 + 32 + 9 * 32 * 256 + 256),
            "Half of the maps are expanded by 1×1 kernels: for them there is no factor of 9.",
        ),
        "fire in a row": Misconception(
            _hand(fire=256 * 32 + 32 + 32 * 128 + 128 + 9 * 128 * 128 + 128),
            "The 3×3 layer stands beside the 1×1 layer, not behind it: both read the squeezed channels.",
        ),
        "fire without 1×1": Misconception(
            _hand(fire=256 * 32 + 32 + 9 * 32 * 128 + 128),
            "Half of the maps are expanded by 1×1 kernels. They have parameters too.",
        ),
        "dense after the last": Misconception(
            _hand(dense=48 + 16 * 10),
            "That is what leaves the block. The tenth layer does not read its own maps.",
        ),
        "dense one too few": Misconception(
            _hand(dense=48 + 16 * 8),
            "That is what the layer before it reads. Count the layers that come before the tenth.",
        ),
        "dense new maps": Misconception(
            _hand(dense=16 * 9),
            "Those are the maps of the layers before. The block's input is there as well.",
        ),
        "dense as in a chain": Misconception(
            _hand(dense=16),
            "In a chain it would read the layer before. In a dense block it reads all of them.",
        ),
        "dense the last and the input": Misconception(
            _hand(dense=48 + 16),
            "Those are the block's input and one layer's maps. The tenth layer reads all layers before it.",
        ),
        "dense own maps, no input": Misconception(
            _hand(dense=16 * 10),
            "It does not read its own maps, and the block's input is missing.",
        ),
        "dense multiplied": Misconception(
            _hand(dense=48 * 10), "Each layer adds 16 maps, not as many as came in."
        ),
        "one path": Misconception(
            _hand(paths=512 * 8 + 9 * 8 * 8 + 8 * 512), "That is one of the paths. There are 16."
        ),
        "paths without 3×3": Misconception(
            _hand(paths=16 * (512 * 8 + 8 * 512)),
            "Those are the 1×1 layers at both ends. Between them stands a 3×3 layer in each path.",
        ),
        "paths ungrouped": Misconception(
            _hand(paths=512 * 128 + 9 * 128 * 128 + 128 * 512),
            "That 3×3 layer has no groups: a path looks at its own 8 channels and at no others.",
        ),
        "paths without ends": Misconception(
            _hand(paths=16 * 9 * 8 * 8),
            "Those are the 3×3 layers. Each path begins and ends with a 1×1 layer.",
        ),
        "paths one common 1×1": Misconception(
            _hand(paths=512 * 8 + 16 * (9 * 8 * 8 + 8 * 512)),
            "The first 1×1 layer exists once for each path: 16 of them, or a common one to 16·8 channels.",
        ),
        "paths with biases": Misconception(
            _hand(paths=16 * (512 * 8 + 8 + 9 * 8 * 8 + 8 + 8 * 512) + 512),
            "You added biases. Asked for are the weights, as in (16.4).",
        ),
        "SE weights": Misconception(
            _hand(SE=2 * 512 * 32), "Those are the weights of the two layers. They have biases: 32 and 512."
        ),
        "SE one layer": Misconception(
            _hand(SE=512 * 32 + 32), "That is the layer that reduces. Another one goes back to 512 channels."
        ),
        "SE to 16": Misconception(
            _hand(SE=2 * 512 * 16 + 16 + 512), "The reduction divides: 512/16 channels are left, not 16."
        ),
        "SE not reduced": Misconception(
            _hand(SE=2 * 512 * 512 + 2 * 512), "The two layers meet at 512/16 channels, not at 512."
        ),
        "pixels": Misconception(
            _hand(pairs=28 * 20), "Those are the pixels. Each of them is compared with all of them."
        ),
        "sides squared and added": Misconception(
            _hand(pairs=28**2 + 20**2), "All pixels with all pixels: first count the pixels, then the pairs."
        ),
        "not with itself": Misconception(
            _hand(pairs=28 * 20 * (28 * 20 - 1)),
            "In the sum of (16.7) j runs over all pixels: each is compared with itself, too.",
        ),
        "each pair once, with itself": Misconception(
            _hand(pairs=28 * 20 * (28 * 20 + 1) // 2),
            "The layers θ and φ differ, so (i, j) and (j, i) are two numbers. Count both.",
        ),
        "each pair once": Misconception(
            _hand(pairs=28 * 20 * (28 * 20 - 1) // 2),
            "The layers θ and φ differ: (i, j) and (j, i) are two numbers, and each pixel meets itself too.",
        ),
    },
)


# ---- 2. The channel shuffle ------------------------------------------------------------------------------


def _shuffle(x, groups):
    N, C, H, W = x.shape
    return x.reshape(N, groups, C // groups, H, W).permute(0, 2, 1, 3, 4).reshape(N, C, H, W)


def _shuffle_index(x, groups):
    return x[:, [g * (x.shape[1] // groups) + i for i in range(x.shape[1] // groups) for g in range(groups)]]


def _shuffle_split(x, groups):
    return torch.stack(x.chunk(groups, dim=1), dim=2).flatten(1, 2)


def _shuffle_no_transpose(x, groups):
    N, C, H, W = x.shape
    return x.reshape(N, groups, C // groups, H, W).reshape(N, C, H, W)


def _shuffle_back(x, groups):
    N, C, H, W = x.shape
    return x.reshape(N, C // groups, groups, H, W).transpose(1, 2).reshape(N, C, H, W)


def _shuffle_cases(rng) -> list[Case]:
    def maps(*shape):
        return rng.normal(size=shape)

    return [
        Case("3 groups of 4", 0.75, (maps(2, 12, 3, 5), 3)),
        Case("2 groups of 5", 0.25, (maps(1, 10, 4, 2), 2)),
        Case("one group: nothing moves", 0.25, (maps(2, 6, 2, 3), 1)),
        Case("a group for each channel", 0.25, (maps(3, 5, 2, 2), 5)),
    ]


channel_shuffle = Task(
    name="ex16.channel_shuffle",
    title="2 · The channel shuffle",
    section="16.5 The price: how little is enough?",
    reference=_shuffle,
    cases=_shuffle_cases,
    misconceptions={
        "unchanged": Misconception(
            _shuffle_no_transpose,
            "The channels stand where they stood: a reshape there and back moves nothing. Transpose between.",
        ),
        "the way back": Misconception(
            _shuffle_back,
            "That undoes a shuffle. The input has `groups` blocks in a row: (groups, C/groups).",
        ),
        "pictures shuffled": Misconception(
            lambda x, groups: (
                x.reshape(groups, -1, *x.shape[2:]).transpose(0, 1).reshape(x.shape)
                if x.numel() % groups == 0 and (x.shape[0] * x.shape[1]) % groups == 0
                else x
            ),
            "Channels of different pictures are mixed: keep the first axis out of the shuffle.",
        ),
        "reversed": Misconception(
            lambda x, groups: x.flip(1),
            "The channels are in reverse. Deal them out: first of each group, ...",
        ),
        "groups reversed": Misconception(
            lambda x, groups: torch.cat(x.chunk(groups, dim=1)[::-1], dim=1),
            "You reordered the groups and left their insides together. Every new group needs one of each.",
        ),
        "rotated": Misconception(
            lambda x, groups: x.roll(groups, dims=1),
            "That moves all channels along by a few places: neighbors stay neighbors, and groups stay apart.",
        ),
        "with a transposed picture": Misconception(
            lambda x, groups: _shuffle(x, groups).transpose(2, 3),
            "Rows and columns are exchanged as well. Only the channels move.",
        ),
        "five axes": Misconception(
            lambda x, groups: x.reshape(len(x), groups, -1, *x.shape[2:]).transpose(1, 2),
            "The result still has five axes. Join groups and channels again.",
        ),
    },
    alternatives={"by index": _shuffle_index, "stacked": _shuffle_split},
    tensors=True,
)


# ---- 3. The inverted residual ----------------------------------------------------------------------------


def _inverted(x, expand, depthwise, project, stride=1):
    y = relu(conv2d(x, expand))
    y = relu(conv2d(y, depthwise, stride=stride, padding=1, groups=len(depthwise)))
    y = conv2d(y, project)
    return x + y if stride == 1 and x.shape[1] == len(project) else y


def _inverted_einsum(x, expand, depthwise, project, stride=1):
    y = torch.einsum("kc,nchw->nkhw", expand[:, :, 0, 0], x).clamp(min=0)
    y = torch.cat(
        [
            conv2d(y[:, [c]], depthwise[[c]], stride=stride, padding=depthwise.shape[-1] // 2)
            for c in range(y.shape[1])
        ],
        dim=1,
    )
    y = torch.einsum("kc,nchw->nkhw", project[:, :, 0, 0], y.clamp(min=0))
    return y + x if y.shape == x.shape and stride == 1 else y


def _inverted_late(x, expand, depthwise, project, stride=1):
    y = relu(conv2d(relu(conv2d(x, expand)), depthwise, padding=1, groups=len(depthwise)))
    y = conv2d(y, project, stride=stride)  # the same numbers for more work
    return x + y if y.shape == x.shape else y


def _inverted_with(
    first=relu, second=relu, last=lambda y: y, padding=1, shortcut="right", strided="depthwise"
) -> Callable:
    """The block with something else for its activations, its padding, its shortcut or its stride."""

    def block(x, expand, depthwise, project, stride=1):
        y = first(conv2d(x, expand, stride=stride if strided == "expand" else 1))
        y = conv2d(
            y,
            depthwise,
            stride=stride if strided == "depthwise" else 1,
            padding=padding,
            groups=len(depthwise),
        )
        y = last(conv2d(second(y), project, stride=stride if strided == "project" else 1))
        fits = {
            "right": stride == 1 and x.shape[1] == len(project),
            "never": False,
            "stride": stride == 1,
            "channels": x.shape[1] == len(project),
        }[shortcut]
        if not fits:
            return y
        if shortcut == "channels":
            x = x[:, :, ::stride, ::stride]
        if shortcut == "stride" and x.shape[1] < y.shape[1]:
            x = torch.nn.functional.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return y + x[:, : y.shape[1]]

    return block


def _same(y):
    return y


def _inverted_cases(rng) -> list[Case]:
    def block(N, C, D, K, H, W, **options):
        arrays = (
            rng.normal(size=(N, C, H, W)),
            rng.normal(size=(D, C, 1, 1)),
            rng.normal(size=(D, 1, 3, 3)),
            rng.normal(size=(K, D, 1, 1)),
        )
        return arrays, options

    return [
        Case("as many channels out as in", 0.75, *block(2, 3, 12, 3, 6, 5)),
        Case("more channels out than in", 0.5, *block(1, 3, 9, 5, 5, 6)),
        Case("stride 2, as many channels", 0.5, *block(2, 4, 8, 4, 7, 6, stride=2)),
        Case("stride 2, fewer channels", 0.25, *block(1, 4, 8, 3, 6, 9, stride=2)),
    ]


inverted_residual = Task(
    name="ex16.inverted_residual",
    title="3 · The inverted residual",
    section="16.5 The price: how little is enough?",
    reference=_inverted,
    cases=_inverted_cases,
    misconceptions={
        "ReLU at the end": Misconception(
            _inverted_with(last=relu), "There is a ReLU at the thin end. That end must stay linear."
        ),
        "ReLU behind the sum": Misconception(
            lambda *a, **k: relu(_inverted(*a, **k)),
            "There is a ReLU behind the sum, as in ResNet. Here nothing comes behind the thin end.",
        ),
        "ReLU in front": Misconception(
            lambda x, *a, **k: _inverted(relu(x), *a, **k),
            "There is a ReLU in front of the block. Its input comes from a thin end and goes in as it is.",
        ),
        "no shortcut": Misconception(
            _inverted_with(shortcut="never"), "The shortcut is missing where the shapes agree."
        ),
        "shortcut with stride": Misconception(
            _inverted_with(shortcut="channels"),
            "With stride 2 there is no shortcut: the maps have another size, and none is made to fit.",
        ),
        "shortcut with other channels": Misconception(
            _inverted_with(shortcut="stride"),
            "Where the number of channels changes there is no shortcut: none is cut or padded to fit.",
        ),
        "no ReLU behind the first": Misconception(
            _inverted_with(first=_same), "The ReLU behind the expanding layer is missing."
        ),
        "no ReLU behind the depthwise": Misconception(
            _inverted_with(second=_same), "The ReLU behind the depthwise layer is missing."
        ),
        "no ReLU": Misconception(
            _inverted_with(first=_same, second=_same),
            "There is no ReLU at all: the block is linear, and could be one layer.",
        ),
        "ReLU6": Misconception(
            _inverted_with(first=lambda y: y.clamp(0, 6), second=lambda y: y.clamp(0, 6)),
            "Large values are cut at 6, as in the paper, for small number formats. The task asks for a ReLU.",
        ),
        "no padding": Misconception(
            _inverted_with(padding=0, shortcut="never"),
            "The maps got smaller by the border: the depthwise layer needs padding 1.",
        ),
        "stride in the first": Misconception(
            _inverted_with(strided="expand"),
            "The stride belongs to the depthwise layer. In a 1×1 layer it skips pixels that nobody looks at.",
        ),
        "stride ignored": Misconception(
            lambda x, expand, depthwise, project, stride=1: _inverted(x, expand, depthwise, project),
            "`stride` has no effect.",
        ),
    },
    alternatives={
        "einsum and loop": _inverted_einsum,
        "stride in the last": _inverted_late,
    },
    tensors=True,
)


# ---- 4. Find the bug: the non-local block ----------------------------------------------------------------


def _non_local(x, theta, phi, g, back):
    N, C, H, W = x.shape
    p = x.flatten(2)  # (N, C, P)
    shares = ((theta @ p).mT @ (phi @ p)).softmax(dim=2)  # (N, P, P)
    y = (g @ p) @ shares.mT
    return x + (back @ y).reshape(N, C, H, W)


def _non_local_loops(x, theta, phi, g, back):
    out = x.clone()
    for n in range(len(x)):
        p = x[n].flatten(1)
        a, b, values = theta @ p, phi @ p, g @ p
        rows = []
        for i in range(p.shape[1]):
            weight = torch.exp(a[:, i] @ b - (a[:, i] @ b).max())
            rows.append(back @ (values @ (weight / weight.sum())))
        out[n] += torch.stack(rows, dim=1).reshape(x.shape[1:])
    return out


def _non_local_with(dim=2, transposed=True, shortcut=True, softmax=True, scale=False) -> Callable:
    """The block with another axis of the softmax, without a transpose, without the sum, ..."""

    def block(x, theta, phi, g, back):
        N, C, H, W = x.shape
        p = x.flatten(2)
        similar = (theta @ p).transpose(1, 2) @ (phi @ p)
        if scale:
            similar = similar / len(theta) ** 0.5
        if softmax == "all":
            shares = similar.flatten(1).softmax(dim=1).reshape(similar.shape)
        elif softmax == "sum":
            shares = similar / similar.sum(dim=2, keepdim=True)
        else:
            shares = similar.softmax(dim=dim) if softmax else similar / similar.shape[2]
        y = (g @ p) @ (shares.transpose(1, 2) if transposed else shares)
        y = (back @ y).reshape(N, C, H, W)
        return x + y if shortcut else y

    return block


def _non_local_cases(rng) -> list[Case]:
    def block(N, C, D, H, W):
        x = rng.normal(size=(N, C, H, W))
        maps = [rng.normal(size=(D, C)) for _ in range(3)]
        return (x, *maps, rng.normal(size=(C, D)))

    return [
        Case("two pictures", 0.75, block(2, 6, 3, 4, 5)),
        Case("more channels inside", 0.5, block(1, 3, 5, 2, 6)),
        Case("one row of pixels", 0.25, block(3, 4, 2, 1, 7)),
    ]


non_local = Task(
    name="ex16.non_local",
    title="4 · Find the bug: who looks at whom?",
    section="16.4 The maps: which channel, which pixel, which pair?",
    reference=_non_local,
    cases=_non_local_cases,
    misconceptions={
        "the bug": Misconception(
            _non_local_with(dim=1),
            "The bug is still there. What one pixel takes from all pixels must add up to one.",
        ),
        "not transposed": Misconception(
            _non_local_with(transposed=False),
            "The shares are right, but the product sums over the pixel that collects: transpose them.",
        ),
        "both": Misconception(
            _non_local_with(dim=1, transposed=False),
            "Now φ asks and θ answers: the sum of the non-local block runs over j, the pixel of φ.",
        ),
        "softmax over pictures": Misconception(
            _non_local_with(dim=0),
            "The softmax runs over the pictures of the batch: they do not know each other.",
        ),
        "one softmax": Misconception(
            _non_local_with(softmax="all"),
            "All pairs of the picture share one softmax. Each pixel i has its own.",
        ),
        "no softmax": Misconception(
            _non_local_with(softmax=False),
            "The similarities are divided by the number of pixels. Take a softmax of them.",
        ),
        "divided by the sum": Misconception(
            _non_local_with(softmax="sum"),
            "The rows add up to one, but shares may be negative. The formula has e to the similarity.",
        ),
        "scaled": Misconception(
            _non_local_with(scale=True),
            "You divided by the root of the channels, as transformers do. The block of the chapter does not.",
        ),
        "no shortcut": Misconception(
            _non_local_with(shortcut=False), "The input is missing in the sum: x + ..."
        ),
    },
    alternatives={"loops": _non_local_loops},
    tensors=True,
)


# ---- 5. How large may the kernel be? ---------------------------------------------------------------------


def _work(k: int, first: bool, C: int = 96, side: int = 56) -> dict[str, int]:
    """Weights of a block of 1×1 to 4 C, k×k depthwise, 1×1 to C (at every one of side² pixels)."""
    depthwise = k * k * (C if first else 4 * C)
    return {"depthwise": depthwise, "all": depthwise + 8 * C * C, "work": side**2 * (depthwise + 8 * C * C)}


_MEASURED = {
    "middle": _work(7, False)["all"] / _work(3, False)["all"],
    "first": _work(7, True)["all"] / _work(3, True)["all"],
    "share": _work(7, True)["depthwise"] / _work(7, True)["all"],
    "largest": 19,
    "rule": "b",
}
assert _work(19, True)["all"] <= 1.5 * _work(3, True)["all"] < _work(21, True)["all"]


def _measured(**wrong) -> Callable[[str], float | str]:
    return _with(_MEASURED, **wrong)


large_kernels = Task(
    name="ex16.large_kernels",
    title="5 · Experiment: how large may the kernel be?",
    section="16.6 ConvNeXt: all of it, step by step",
    reference=_MEASURED.__getitem__,
    cases=lambda rng: [
        Case("7×7 against 3×3 in the middle", 0.5, ("middle",)),
        Case("7×7 against 3×3 in front", 0.5, ("first",)),
        Case("the share of the depthwise layer", 0.5, ("share",)),
        Case("the largest kernel", 0.5, ("largest",)),
        Case("the rule", 0.5, ("rule",)),
    ],
    misconceptions={
        "depthwise alone, in front": Misconception(
            _measured(first=49 / 9),
            "That is the growth of the depthwise layer. In front too the 1×1 layers belong to the block.",
        ),
        "swapped": Misconception(
            _measured(middle=_MEASURED["first"], first=_MEASURED["middle"]),
            "The two blocks are exchanged: in front there are 96 channels, in the middle 4 times as many.",
        ),
        "depthwise alone": Misconception(
            _measured(middle=49 / 9, first=49 / 9),
            "That is the growth of the depthwise layer alone. What does the whole block cost?",
        ),
        "upside down": Misconception(
            _measured(middle=1 / _MEASURED["middle"], first=1 / _MEASURED["first"]),
            "Upside down: how many times the work of 3×3 is that of 7×7?",
        ),
        "growth": Misconception(
            _measured(middle=_MEASURED["middle"] - 1, first=_MEASURED["first"] - 1),
            "That is what comes on top. How many times as much is it in all?",
        ),
        "share of the 1×1": Misconception(
            _measured(share=1 - _MEASURED["share"]), "That is the share of the two 1×1 layers."
        ),
        "percent": Misconception(
            _measured(share=100 * _MEASURED["share"]),
            "A share lies between 0 and 1; this looks like percent.",
        ),
        "share of 3×3": Misconception(
            _measured(share=_work(3, True)["depthwise"] / _work(3, True)["all"]),
            "That is the share of a 3×3 kernel. Take the block with 7×7.",
        ),
        "share of the rest": Misconception(
            _measured(
                share=_work(7, True)["depthwise"] / (_work(7, True)["all"] - _work(7, True)["depthwise"])
            ),
            "You divided by the 1×1 layers alone. Divide by the whole block.",
        ),
        "share in the middle": Misconception(
            _measured(share=_work(7, False)["depthwise"] / _work(7, False)["all"]),
            "That is the share with the depthwise layer in the middle. Take the block in which it leads.",
        ),
        "one too far": Misconception(
            _measured(largest=21), "That one costs more than 1.5 times the block with 3×3: one step back."
        ),
        "in the middle": Misconception(
            _measured(largest=9),
            "That holds with the depthwise layer in the middle. Take the block in which it leads.",
        ),
        "stopped early": Misconception(
            _measured(largest=17),
            "A larger odd kernel still fits: go on until the block costs more than 1.5 times.",
        ),
        "as in the paper": Misconception(
            _measured(largest=7), "ConvNeXt stops there, but not for its cost. Try larger kernels, too."
        ),
        "rule a": Misconception(
            _measured(rule="a"),
            "Look at your first two numbers: does the place of the layer make no difference?",
        ),
        "rule c": Misconception(
            _measured(rule="c"), "Look at the share of the depthwise layer: where is most of the work?"
        ),
        "rule d": Misconception(
            _measured(rule="d"), "Multiply height and width by 2: do both parts of the block not grow alike?"
        ),
    },
    rtol=5e-3,
)


TASKS = (by_hand, channel_shuffle, inverted_residual, non_local, large_kernels)
