"""Inception v3: large kernels taken apart.

C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception architecture for computer
vision", CVPR 2016, arXiv:1512.00567, table 1 and figures 5 to 10. Its idea: a large kernel costs more than
its parts, so write 5×5 as two of 3×3, and n×n as 1×n and n×1; and make maps smaller by a strided convolution
beside a pooling, so that no layer is a bottleneck.

The five kinds of blocks have torchvision's letters: A (5×5 and two 3×3, at 35×35), B (35 to 17), C (1×7 and
7×1), D (17 to 8), E (1×3 beside 3×1). This is torchvision's network; it differs from the paper's table 1 in
the stem (1×1, 3×3 and a pooling before 35×35) and keeps a 5×5 in block A. Left out: label smoothing, which
is a matter of training.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor, nn

from utils.models.arguments import positive, share
from utils.models.googlenet import ConvUnit, imagenet_to_unit_range

__all__ = [
    "FACTORIES",
    "BlockA",
    "BlockB",
    "BlockC",
    "BlockD",
    "BlockE",
    "InceptionOutputs",
    "InceptionV3",
    "from_torchvision",
    "inception_v3",
]


class BlockA(nn.Module):
    """(N, in_channels, 35, 35) -> (N, 224 + pool, 35, 35): a 5×5, and one as two 3×3 (figure 5)."""

    def __init__(self, in_channels: int, pool: int):
        super().__init__()
        self.branch1 = ConvUnit(in_channels, 64, kernel_size=1)
        self.branch5 = nn.Sequential(
            ConvUnit(in_channels, 48, kernel_size=1),
            ConvUnit(48, 64, kernel_size=5, padding=2),
        )
        self.double3 = nn.Sequential(
            ConvUnit(in_channels, 64, kernel_size=1),
            ConvUnit(64, 96, kernel_size=3, padding=1),
            ConvUnit(96, 96, kernel_size=3, padding=1),
        )
        self.pool = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1),
            ConvUnit(in_channels, pool, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch5(x), self.double3(x), self.pool(x)], dim=1)


class BlockB(nn.Module):
    """(N, in_channels, 35, 35) -> (N, 480 + in_channels, 17, 17): stride 2 beside a pooling (figure 10)."""

    def __init__(self, in_channels: int):
        super().__init__()
        self.branch3 = ConvUnit(in_channels, 384, kernel_size=3, stride=2)
        self.double3 = nn.Sequential(
            ConvUnit(in_channels, 64, kernel_size=1),
            ConvUnit(64, 96, kernel_size=3, padding=1),
            ConvUnit(96, 96, kernel_size=3, stride=2),
        )
        self.pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch3(x), self.double3(x), self.pool(x)], dim=1)


def row(in_channels: int, out_channels: int, length: int) -> ConvUnit:
    """A kernel of 1×length, the side kept."""
    return ConvUnit(in_channels, out_channels, kernel_size=(1, length), padding=(0, length // 2))


def column(in_channels: int, out_channels: int, length: int) -> ConvUnit:
    """A kernel of length×1, the side kept."""
    return ConvUnit(in_channels, out_channels, kernel_size=(length, 1), padding=(length // 2, 0))


class BlockC(nn.Module):
    """(N, in_channels, 17, 17) -> (N, 768, 17, 17): 7×7 as 1×7 and 7×1, once and twice (figure 6)."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.branch1 = ConvUnit(in_channels, 192, kernel_size=1)
        self.branch7 = nn.Sequential(
            ConvUnit(in_channels, channels, kernel_size=1),
            row(channels, channels, 7),
            column(channels, 192, 7),
        )
        self.double7 = nn.Sequential(
            ConvUnit(in_channels, channels, kernel_size=1),
            column(channels, channels, 7),
            row(channels, channels, 7),
            column(channels, channels, 7),
            row(channels, 192, 7),
        )
        self.pool = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1),
            ConvUnit(in_channels, 192, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch7(x), self.double7(x), self.pool(x)], dim=1)


class BlockD(nn.Module):
    """(N, in_channels, 17, 17) -> (N, 512 + in_channels, 8, 8)."""

    def __init__(self, in_channels: int):
        super().__init__()
        self.branch3 = nn.Sequential(
            ConvUnit(in_channels, 192, kernel_size=1),
            ConvUnit(192, 320, kernel_size=3, stride=2),
        )
        self.branch7 = nn.Sequential(
            ConvUnit(in_channels, 192, kernel_size=1),
            row(192, 192, 7),
            column(192, 192, 7),
            ConvUnit(192, 192, kernel_size=3, stride=2),
        )
        self.pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch3(x), self.branch7(x), self.pool(x)], dim=1)


class RowAndColumn(nn.Module):
    """1×3 and 3×1 side by side on the same input: (N, 384, 8, 8) -> (N, 768, 8, 8)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.row = row(in_channels, out_channels, 3)
        self.column = column(in_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.row(x), self.column(x)], dim=1)


class BlockE(nn.Module):
    """(N, in_channels, 8, 8) -> (N, 2048, 8, 8): the widest, just before the average (figure 7)."""

    def __init__(self, in_channels: int):
        super().__init__()
        self.branch1 = ConvUnit(in_channels, 320, kernel_size=1)
        self.branch3 = nn.Sequential(
            ConvUnit(in_channels, 384, kernel_size=1),
            RowAndColumn(384, 384),
        )
        self.double3 = nn.Sequential(
            ConvUnit(in_channels, 448, kernel_size=1),
            ConvUnit(448, 384, kernel_size=3, padding=1),
            RowAndColumn(384, 384),
        )
        self.pool = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1),
            ConvUnit(in_channels, 192, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch3(x), self.double3(x), self.pool(x)], dim=1)


class Auxiliary(nn.Module):
    """The classifier beside the last 17×17 map, for training only: (N, 768, 17, 17) -> (N, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int, small: bool = False):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(5) if small else nn.AvgPool2d(5, stride=3)  # (N, 768, 5, 5)
        self.conv0 = ConvUnit(in_channels, 128, kernel_size=1)  # (N, 128, 5, 5)
        self.conv1 = ConvUnit(128, 768, kernel_size=5)  # (N, 768, 1, 1)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(self.pool(x)))
        return self.fc(x.mean(dim=(2, 3)))


class InceptionOutputs(NamedTuple):
    """What `InceptionV3` returns in training: scores at the end and of the auxiliary classifier.

    `utils.models.googlenet.auxiliary_loss` takes it.
    """

    logits: Tensor
    aux: Tensor


class InceptionV3(nn.Module):
    """x (N, in_channels, 299, 299) -> scores (N, num_classes), in training with `aux` `InceptionOutputs`.

    small           for 28×28 and 32×32: the first convolution has stride 1, the second pooling is left out,
                    convolutions of the stem keep the side; sides are 32, 15, 7, 3
    transform_input as in `utils.models.googlenet.GoogLeNet`

    Initial weights as in torchvision: truncated normal, 0.1; in the auxiliary classifier 0.01 and 0.001.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        aux: bool = True,
        transform_input: bool = False,
        dropout: float = 0.5,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        if transform_input and in_channels != 3:
            raise ValueError(f"in_channels must be 3 with transform_input, got {in_channels}")
        self.transform_input = transform_input
        stride, padding = (1, 1) if small else (2, 0)
        self.stem = nn.Sequential(
            ConvUnit(in_channels, 32, kernel_size=3, stride=stride, padding=padding),  # (N, 32, 149, 149)
            ConvUnit(32, 32, kernel_size=3, padding=padding),  # (N, 32, 147, 147)
            ConvUnit(32, 64, kernel_size=3, padding=1),  # (N, 64, 147, 147)
            nn.MaxPool2d(3, stride=2),  # (N, 64, 73, 73)
            ConvUnit(64, 80, kernel_size=1),  # (N, 80, 73, 73)
            ConvUnit(80, 192, kernel_size=3, padding=padding),  # (N, 192, 71, 71)
            nn.Identity() if small else nn.MaxPool2d(3, stride=2),  # (N, 192, 35, 35)
        )
        self.blocks5 = nn.Sequential(BlockA(192, pool=32), BlockA(256, pool=64), BlockA(288, pool=64))
        self.blocks6 = nn.Sequential(
            BlockB(288), BlockC(768, 128), BlockC(768, 160), BlockC(768, 160), BlockC(768, 192)
        )
        self.aux = Auxiliary(768, num_classes, small) if aux else None
        self.blocks7 = nn.Sequential(BlockD(768), BlockE(1280), BlockE(2048))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        self.initialize()

    def forward(self, x: Tensor) -> Tensor | InceptionOutputs:
        if self.transform_input:
            x = imagenet_to_unit_range(x)
        x = self.stem(x)  # (N, 192, 35, 35)
        x = self.blocks5(x)  # (N, 288, 35, 35)
        x = middle = self.blocks6(x)  # (N, 768, 17, 17)
        x = self.blocks7(x)  # (N, 2048, 8, 8)
        logits = self.fc(self.dropout(x.mean(dim=(2, 3))))
        if self.training and self.aux is not None:
            return InceptionOutputs(logits, self.aux(middle))
        return logits

    def initialize(self) -> None:
        for name, layer in self.named_modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                std = {"aux.conv1.conv": 0.01, "aux.fc": 0.001}.get(name, 0.1)
                nn.init.trunc_normal_(layer.weight, std=std, a=-2.0, b=2.0)


# torchvision's names, module for module
_PLACES = {
    "Conv2d_1a_3x3": "stem.0",
    "Conv2d_2a_3x3": "stem.1",
    "Conv2d_2b_3x3": "stem.2",
    "Conv2d_3b_1x1": "stem.4",
    "Conv2d_4a_3x3": "stem.5",
    **{f"Mixed_5{letter}": f"blocks5.{i}" for i, letter in enumerate("bcd")},
    **{f"Mixed_6{letter}": f"blocks6.{i}" for i, letter in enumerate("abcde")},
    **{f"Mixed_7{letter}": f"blocks7.{i}" for i, letter in enumerate("abc")},
    "AuxLogits": "aux",
    "fc": "fc",
}
_BRANCHES = {
    "branch1x1": "branch1",
    "branch3x3": "branch3",
    "branch5x5": "branch5",
    "branch7x7": "branch7",
    "branch7x7x3": "branch7",
    "branch3x3dbl": "double3",
    "branch7x7dbl": "double7",
    "branch_pool": "pool.1",
}


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of torchvision's `inception_v3` for ours.

    "branch3x3dbl_2" is the second convolution of a branch, counted from 1; "2a" and "2b" are a row and a
    column side by side. For a network without the auxiliary classifier leave out "AuxLogits".
    """

    def branch(found: re.Match) -> str:
        number = f".{int(found[2]) - 1}" if found[2] else ""
        half = {"a": ".row", "b": ".column", None: ""}[found[3]]
        return _BRANCHES[found[1]] + number + half

    renamed = {}
    for name, value in state_dict.items():
        place, _, rest = name.partition(".")
        rest = re.sub(r"^(branch[a-z0-9]*(?:_pool)?)(?:_(\d)([ab])?)?(?=\.)", branch, rest)
        renamed[f"{_PLACES[place]}.{rest}"] = value
    return renamed


def inception_v3(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options
) -> InceptionV3:
    """Inception v3 in torchvision's form: 27,161,264 parameters, 23,834,568 without `aux`."""
    return InceptionV3(num_classes, in_channels, small, **options)


FACTORIES = {"inception_v3": inception_v3}
