"""LeNet-5, as published and as it is usually read today.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86(11), 1998, doi:10.1109/5.726791, section II.B and appendix A. Its idea: shared
kernels, subsampling and dense layers are trained as one function by gradient descent, from pixels to the
class. A digit is recognized wherever it stands, because each kernel looks at every place.

`LeNet5` is the published network: scaled tanh, subsampling layers with two parameters a channel, kernels of
C3 that see only some of the channels, and an output that measures distances to a drawing of each class.
`LeNet` is what tutorials mean by the name: ReLU, max pooling, every kernel sees every channel, dense output.

Left out: the paper's second-order step sizes, and the ASCII drawings of its figure 3; the ten digits here
are drawn anew in the same 7×12 cells.
"""

from __future__ import annotations

import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.models.arguments import positive

__all__ = ["C3_TABLE", "DIGITS", "FACTORIES", "LeNet", "LeNet5", "lenet", "lenet5", "lenet5_loss"]

# Which of the 6 channels of S2 each of the 16 channels of C3 sees: the paper's table I, column by column.
C3_TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# What the 84 = 12 · 7 values of F6 should look like for each class.
DIGITS = """
..###.. ...#... ..###.. .#####. .....#. ####### ...###. ####### ..###.. ..###..
.#...#. ..##... .#...#. #.....# ....##. #...... ..#.... ......# .#...#. .#...#.
#.....# .#.#... #.....# ......# ...#.#. #...... .#..... ......# #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ......# .#...#. #.####. #...... .....#. .#...#. #.....#
#.....# ...#... .....#. ..####. #....#. ##....# #.####. ....#.. ..###.. #....##
#.....# ...#... ....#.. ......# #....#. ......# ##....# ....#.. .#...#. .####.#
#.....# ...#... ...#... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# .....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ..#.... #.....# .....#.
.#...#. ...#... #...... #.....# .....#. #.....# .#...#. ..#.... .#...#. ....#..
..###.. .#####. ####### .#####. .....#. .#####. ..###.. ..#.... ..###.. .###...
"""


def class_codes(num_classes: int) -> Tensor:
    """(num_classes, 84): +1 and -1, the drawn digits for ten classes, else the same random code each time."""
    if num_classes != 10:
        coin = random.Random(5)
        return torch.tensor([[coin.choice((-1.0, 1.0)) for _ in range(84)] for _ in range(num_classes)])
    rows = [line.split() for line in DIGITS.split("\n") if line]  # 12 rows of 10 pieces, 7 characters each
    digits = ["".join(row[digit] for row in rows) for digit in range(10)]
    return torch.tensor([[1.0 if dot == "#" else -1.0 for dot in digit] for digit in digits])


def pad_to_32(x: Tensor) -> Tensor:
    """Zeros around a smaller picture, so that it stands in the middle of 32×32, as the paper's digits do.

    Raises ValueError for pictures larger than 32×32.
    """
    H, W = x.shape[-2:]
    if H > 32 or W > 32:
        raise ValueError(f"x must be at most 32×32, got {H}×{W}")
    top, left = (32 - H) // 2, (32 - W) // 2
    return F.pad(x, (left, 32 - W - left, top, 32 - H - top)) if (H, W) != (32, 32) else x


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3): takes 1 to 1 and -1 to -1, where it bends most (appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """The sum of each 2×2 window, times one coefficient a channel, plus one bias a channel (S2 and S4)."""

    def __init__(self, channels: int):
        super().__init__()
        self.coefficient = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.coefficient * (4 * F.avg_pool2d(x, 2)) + self.bias


class PartialConv2d(nn.Module):
    """A convolution whose output channel k sees the input channels table[k] only (C3).

    Only the kernels that exist are parameters, one (kernel_size, kernel_size) each; `dense_weight` sets them
    among zeros into the weight of an ordinary convolution.
    """

    def __init__(self, in_channels: int, table: tuple[tuple[int, ...], ...], kernel_size: int):
        super().__init__()
        pairs = [(k, c) for k, channels in enumerate(table) for c in channels]  # 60 of 16 · 6
        self.shape = (len(table), in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.zeros(len(pairs), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(len(table)))
        self.register_buffer("pairs", torch.tensor(pairs).T, persistent=False)

    def dense_weight(self) -> Tensor:
        k, c = self.pairs
        return self.weight.new_zeros(self.shape).index_put((k, c), self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.dense_weight(), self.bias)


class RBF(nn.Module):
    """The squared distance of x (N, 84) from the code of each class: (N, num_classes), the paper's (7).

    The codes are fixed: a buffer, not a parameter.
    """

    def __init__(self, codes: Tensor):
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None] - self.codes).square().sum(dim=2)


class LeNet5(nn.Module):
    """LeNet-5 of 1998: 60,000 parameters for one input channel.

    x (N, in_channels, H, W) of at most 32×32 -> scores (N, num_classes), the negative distances of the RBF
    output: the largest score wins, as in every other network here.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        self.c1 = nn.Conv2d(in_channels, 6, kernel_size=5)
        self.s2 = Subsampling(6)
        self.c3 = PartialConv2d(6, C3_TABLE, kernel_size=5)
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, kernel_size=5)
        self.f6 = nn.Linear(120, 84)
        self.output = RBF(class_codes(num_classes))
        self.squash = ScaledTanh()
        self.initialize()

    def forward(self, x: Tensor) -> Tensor:
        x = pad_to_32(x)  # (N, 1, 32, 32)
        x = self.squash(self.c1(x))  # (N, 6, 28, 28)
        x = self.squash(self.s2(x))  # (N, 6, 14, 14)
        x = self.squash(self.c3(x))  # (N, 16, 10, 10)
        x = self.squash(self.s4(x))  # (N, 16, 5, 5)
        x = self.squash(self.c5(x))  # (N, 120, 1, 1)
        x = self.squash(self.f6(x.flatten(1)))  # (N, 84)
        return -self.output(x)  # (N, num_classes)

    @torch.no_grad()
    def initialize(self) -> None:
        """Everything evenly from -2.4/F to 2.4/F, where F is the number of inputs of a unit (appendix A)."""
        for layer in (self.c1, self.s2, self.s4, self.c5, self.f6):
            weight = layer.coefficient if isinstance(layer, Subsampling) else layer.weight
            bound = 2.4 / (4 if isinstance(layer, Subsampling) else math.prod(weight.shape[1:]))
            weight.uniform_(-bound, bound)
            layer.bias.uniform_(-bound, bound)
        fan_in = torch.tensor([25.0 * len(channels) for channels in C3_TABLE])  # differs from unit to unit
        self.c3.weight.uniform_(-2.4, 2.4).div_(fan_in[self.c3.pairs[0], None, None])
        self.c3.bias.uniform_(-2.4, 2.4).div_(fan_in)


def lenet5_loss(scores: Tensor, labels: Tensor, j: float = 1.0) -> Tensor:
    """The paper's (9), averaged: the distance of the right class, and a push away from all the others.

    scores (N, num_classes) are the negative distances that `LeNet5` returns. Without j it would be the
    cross-entropy of the scores; exp(-j) stops the push on classes whose distance is well above j.
    """
    rubbish = scores.new_full((len(scores), 1), -j)  # one more class, which is always at distance j
    right = scores.gather(1, labels[:, None]).squeeze(1)
    return (torch.logsumexp(torch.cat([scores, rubbish], dim=1), dim=1) - right).mean()


class LeNet(nn.Module):
    """LeNet-5 as it is read today: 61,706 parameters for one input channel and ten classes.

    x (N, in_channels, H, W) of at most 32×32 -> scores (N, num_classes). PyTorch's initial weights.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, kernel_size=5),  # (N, 6, 28, 28)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),  # (N, 6, 14, 14)
            nn.Conv2d(6, 16, kernel_size=5),  # (N, 16, 10, 10)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),  # (N, 16, 5, 5)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(inplace=True),
            nn.Linear(120, 84),
            nn.ReLU(inplace=True),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(pad_to_32(x)))


def lenet5(num_classes: int = 10, in_channels: int = 1, small: bool = True) -> LeNet5:
    """LeNet-5 of 1998, for pictures up to 32×32; `small` changes nothing, there is no other form."""
    return LeNet5(num_classes, in_channels)


def lenet(num_classes: int = 10, in_channels: int = 1, small: bool = True) -> LeNet:
    """LeNet-5 as it is read today, for pictures up to 32×32; `small` changes nothing."""
    return LeNet(num_classes, in_channels)


FACTORIES = {"lenet5": lenet5, "lenet": lenet}
