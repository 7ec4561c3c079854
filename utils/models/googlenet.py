"""GoogLeNet: nine Inception modules, each looking with several kernel sizes at once.

C. Szegedy et al., "Going deeper with convolutions", CVPR 2015, arXiv:1409.4842, table 1. Its idea: let 1×1,
3×3 and 5×5 convolutions and a pooling read the same input side by side and stack their channels; 1×1
convolutions before the large kernels make the input thin first, so that 22 layers have far fewer weights than
AlexNet's eight.

`googlenet` is torchvision's form: batch normalization after every convolution, no response normalization, and
3×3 kernels in the branch that the paper calls 5×5 (a known slip that its weights depend on:
github.com/pytorch/vision/issues/906). `googlenet2014` is the paper's: 5×5, biases, response normalization.

Where the padding is not published, sides follow table 1 (112, 56, 28, 14, 7) by rounding up. Left out: the
ensemble of seven networks and the 144 crops of the competition entry.
"""

from __future__ import annotations

import re
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.models.alexnet import ResponseNorm
from utils.models.arguments import positive, share

__all__ = [
    "FACTORIES",
    "TABLE_1",
    "Auxiliary",
    "ConvUnit",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "Inception",
    "NaiveInception",
    "auxiliary_loss",
    "from_torchvision",
    "googlenet",
    "googlenet2014",
    "imagenet_to_unit_range",
]

# Channels of each module: 1×1; 1×1 before 3×3, 3×3; 1×1 before 5×5, 5×5; 1×1 after the pooling.
TABLE_1 = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class ConvUnit(nn.Module):
    """A convolution, a batch normalization in the place of its bias (or the bias), ReLU.

    `options` are those of `nn.Conv2d`: kernel_size, stride, padding.
    """

    def __init__(self, in_channels: int, out_channels: int, batch_norm: bool = True, **options):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=not batch_norm, **options)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class NaiveInception(nn.Module):
    """The first drawing of the paper (figure 2a): three convolutions and a pooling of the whole input.

    x (N, in_channels, H, W) -> (N, c1 + c3 + c5 + in_channels, H, W): more channels after every module.
    """

    def __init__(self, in_channels: int, c1: int, c3: int, c5: int, batch_norm: bool = False):
        super().__init__()
        positive(in_channels=in_channels, c1=c1, c3=c3, c5=c5)
        self.branch1 = ConvUnit(in_channels, c1, batch_norm, kernel_size=1)
        self.branch3 = ConvUnit(in_channels, c3, batch_norm, kernel_size=3, padding=1)
        self.branch5 = ConvUnit(in_channels, c5, batch_norm, kernel_size=5, padding=2)
        self.branch_pool = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1, self.branch3, self.branch5, self.branch_pool)
        return torch.cat([branch(x) for branch in branches], dim=1)


class Inception(nn.Module):
    """The Inception module with dimension reduction (figure 2b).

    x (N, in_channels, H, W) -> (N, c1 + c3 + c5 + pool, H, W). `reduce3` and `reduce5` are the channels of
    the 1×1 convolutions before the large kernels; `large` is the side of the largest kernel (5, or 3 as in
    torchvision).
    """

    def __init__(
        self,
        in_channels: int,
        c1: int,
        reduce3: int,
        c3: int,
        reduce5: int,
        c5: int,
        pool: int,
        batch_norm: bool = True,
        large: int = 5,
    ):
        super().__init__()
        positive(in_channels=in_channels, c1=c1, reduce3=reduce3, c3=c3, reduce5=reduce5, c5=c5, pool=pool)
        self.branch1 = ConvUnit(in_channels, c1, batch_norm, kernel_size=1)
        self.branch3 = nn.Sequential(
            ConvUnit(in_channels, reduce3, batch_norm, kernel_size=1),
            ConvUnit(reduce3, c3, batch_norm, kernel_size=3, padding=1),
        )
        self.branch5 = nn.Sequential(
            ConvUnit(in_channels, reduce5, batch_norm, kernel_size=1),
            ConvUnit(reduce5, c5, batch_norm, kernel_size=large, padding=large // 2),
        )
        self.branch_pool = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            ConvUnit(in_channels, pool, batch_norm, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1, self.branch3, self.branch5, self.branch_pool)
        return torch.cat([branch(x) for branch in branches], dim=1)


class Auxiliary(nn.Module):
    """A small classifier in the middle of the network, for training only.

    x (N, in_channels, 14, 14) -> scores (N, num_classes). `pool` brings any map to 4×4.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        pool: nn.Module,
        batch_norm: bool = True,
        width: float = 1.0,
        dropout: float = 0.7,
    ):
        super().__init__()
        channels, units = round(width * 128), round(width * 1024)
        self.pool = pool  # (N, 512, 4, 4)
        self.conv = ConvUnit(in_channels, channels, batch_norm, kernel_size=1)  # (N, 128, 4, 4)
        self.fc1 = nn.Linear(channels * 4 * 4, units)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(units, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.pool(x)).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


class GoogLeNetOutputs(NamedTuple):
    """What `GoogLeNet` returns in training: scores at the end, after module 4a and after module 4d."""

    logits: Tensor
    aux1: Tensor
    aux2: Tensor


class GoogLeNet(nn.Module):
    """x (N, in_channels, 224, 224) -> scores (N, num_classes), in training with `aux` `GoogLeNetOutputs`.

    small           for 28×28 and 32×32: the first convolution is 3×3 with stride 1 and the first pooling is
                    left out; sides are 32, 16, 8, 4
    batch_norm      True as in torchvision; False: the paper's biases and response normalization
    large           the side of the largest kernels: 5 in the paper, 3 in torchvision
    aux             with the two auxiliary classifiers
    transform_input the input was normalized with ImageNet's means and deviations; bring it to [-1, 1], for
                    which torchvision's weights were trained (`imagenet_to_unit_range`)
    width           multiplies all numbers of channels

    Initial weights: with batch normalization torchvision's (normal, 0.01); without, He's, because the paper
    gives none.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        batch_norm: bool = True,
        large: int = 3,
        aux: bool = True,
        transform_input: bool = False,
        width: float = 1.0,
        dropout: float = 0.2,
        aux_dropout: float = 0.7,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout, aux_dropout=aux_dropout)
        if large not in (3, 5):
            raise ValueError(f"large must be 3 or 5, the side of the largest kernels, got {large!r}")
        if round(16 * width) < 1:
            raise ValueError(f"width must leave at least one of 16 channels, got {width!r}")
        if transform_input and in_channels != 3:
            raise ValueError(f"in_channels must be 3 with transform_input, got {in_channels}")
        self.transform_input = transform_input

        def unit(c_in: int, c_out: int, **options) -> ConvUnit:
            return ConvUnit(c_in, c_out, batch_norm, **options)

        def response_norm() -> nn.Module:
            return nn.Identity() if batch_norm else ResponseNorm()

        def inception(name: str) -> Inception:
            channels = [round(width * c) for c in TABLE_1[name]]
            module = Inception(self.channels, *channels, batch_norm=batch_norm, large=large)
            self.channels = channels[0] + channels[2] + channels[4] + channels[5]
            return module

        def auxiliary() -> Auxiliary | None:
            if not aux:
                return None
            fixed = nn.AvgPool2d(5, stride=3)  # 14×14 -> 4×4 (the paper)
            pool = fixed if not (batch_norm or small) else nn.AdaptiveAvgPool2d(4)
            return Auxiliary(self.channels, num_classes, pool, batch_norm, width, aux_dropout)

        c64, c192 = round(width * 64), round(width * 192)
        stem = {"kernel_size": 3, "padding": 1} if small else {"kernel_size": 7, "stride": 2, "padding": 3}
        self.conv1 = unit(in_channels, c64, **stem)
        self.maxpool1 = nn.Identity() if small else nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = response_norm()
        self.conv2 = unit(c64, c64, kernel_size=1)
        self.conv3 = unit(c64, c192, kernel_size=3, padding=1)
        self.norm2 = response_norm()
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.channels = c192
        self.inception3a = inception("3a")
        self.inception3b = inception("3b")
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = inception("4a")
        self.aux1 = auxiliary()
        self.inception4b = inception("4b")
        self.inception4c = inception("4c")
        self.inception4d = inception("4d")
        self.aux2 = auxiliary()
        self.inception4e = inception("4e")
        self.maxpool4 = nn.MaxPool2d(2 if batch_norm else 3, stride=2, ceil_mode=True)
        self.inception5a = inception("5a")
        self.inception5b = inception("5b")
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.channels, num_classes)
        self.initialize(batch_norm)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        if self.transform_input:
            x = imagenet_to_unit_range(x)
        x = self.norm1(self.maxpool1(self.conv1(x)))  # (N, 64, 56, 56)
        x = self.norm2(self.conv3(self.conv2(x)))  # (N, 192, 56, 56)
        x = self.inception3a(self.maxpool2(x))  # (N, 256, 28, 28)
        x = self.inception3b(x)  # (N, 480, 28, 28)
        x = middle1 = self.inception4a(self.maxpool3(x))  # (N, 512, 14, 14)
        x = self.inception4c(self.inception4b(x))  # (N, 512, 14, 14)
        x = middle2 = self.inception4d(x)  # (N, 528, 14, 14)
        x = self.inception4e(x)  # (N, 832, 14, 14)
        x = self.inception5a(self.maxpool4(x))  # (N, 832, 7, 7)
        x = self.inception5b(x)  # (N, 1024, 7, 7)
        logits = self.fc(self.dropout(x.mean(dim=(2, 3))))  # (N, 1000)
        if self.training and self.aux1 is not None:
            return GoogLeNetOutputs(logits, self.aux1(middle1), self.aux2(middle2))
        return logits

    def initialize(self, batch_norm: bool) -> None:
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                if batch_norm:
                    nn.init.normal_(layer.weight, std=0.01)
                else:
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                    nn.init.zeros_(layer.bias)


def imagenet_to_unit_range(x: Tensor) -> Tensor:
    """Pictures normalized for ImageNet, (p - mean) / deviation, as 2p - 1: pixels p of [0, 1] in [-1, 1]."""
    mean = x.new_tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = x.new_tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return 2 * (x * deviation + mean) - 1


def auxiliary_loss(
    outputs: Tensor | tuple[Tensor, ...], labels: Tensor, weight: float = 0.3, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of the first scores, plus `weight` times that of each auxiliary one (section 5).

    Takes plain scores, too: what a network returns in evaluation, or without auxiliary classifiers.
    """
    loss = partial(F.cross_entropy, target=labels, label_smoothing=label_smoothing)
    logits, *others = outputs if isinstance(outputs, tuple) else (outputs,)
    return loss(logits) + weight * sum(loss(aux) for aux in others)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of torchvision's `googlenet` for ours: branches are named by their kernel, not numbered.

    For a network without auxiliary classifiers leave out the names that begin with "aux".
    """
    ours = {"1": "branch1", "2": "branch3", "3": "branch5", "4": "branch_pool"}
    return {
        re.sub(r"(?<=\.)branch(\d)(?=\.)", lambda found: ours[found[1]], name): value
        for name, value in state_dict.items()
    }


def googlenet(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> GoogLeNet:
    """GoogLeNet in torchvision's form: 13,004,888 parameters, 6,624,904 of them needed after training."""
    return GoogLeNet(num_classes, in_channels, small, **options)


def googlenet2014(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> GoogLeNet:
    """GoogLeNet of the paper: 5×5 kernels, no batch normalization, dropout of 0.4 at the end."""
    options = {"batch_norm": False, "large": 5, "dropout": 0.4} | options
    return GoogLeNet(num_classes, in_channels, small, **options)


FACTORIES = {"googlenet": googlenet, "googlenet2014": googlenet2014}
