"""WideResNet: fewer layers, more channels.

S. Zagoruyko, N. Komodakis, Wide residual networks, 2016, arXiv:1605.07146.

The idea: residual networks keep their accuracy when they trade depth for width, and wide layers are what a
GPU computes well. WRN-d-k is a pre-activation ResNet of d layers whose stages have k times as many channels;
between the two convolutions of a block may stand dropout.

`wide_resnet50_2` and `wide_resnet101_2` are ResNet-50 and 101 with twice the channels in the 3×3 convolutions
(blocks of 2015, as in torchvision). Weights start as in `utils.models.resnet`. This file leaves out the
paper's other block types, such as B(1,3,1).
"""

from __future__ import annotations

from utils.models.arguments import positive, share
from utils.models.resnet import Bottleneck, PreactBasicBlock, ResNet, from_torchvision, require_small

__all__ = [
    "FACTORIES",
    "cifar_wide_resnet",
    "from_torchvision",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "wrn16_4",
    "wrn16_8",
    "wrn28_10",
    "wrn40_4",
]


def cifar_wide_resnet(
    depth: int,
    widen: int,
    num_classes: int = 10,
    in_channels: int = 3,
    dropout: float = 0.0,
    survival: float = 1.0,
    small: bool = True,
) -> ResNet:
    """WRN-depth-widen for 32×32 pictures (table 1 of the paper); depth is 6n + 4.

    It counts the stem, two convolutions a block and the projections of the three stages, not the dense layer.
    """
    require_small(small)
    positive(widen=widen)
    share(dropout=dropout)
    count, rest = divmod(depth - 4, 6)
    if rest or count < 1:
        raise ValueError(f"depth must be 6n + 4, n at least 1, got {depth}")
    # Shapes of WRN-28-10:
    #   stem      (N, 16, 32, 32)
    #   stage 1   (N, 160, 32, 32)
    #   stage 2   (N, 320, 16, 16)
    #   stage 3   (N, 640, 8, 8)
    return ResNet(
        PreactBasicBlock,
        (count, count, count),
        (16 * widen, 32 * widen, 64 * widen),
        num_classes,
        in_channels,
        small=True,
        stem_channels=16,
        survival=survival,
        dropout=dropout,
    )


def wrn16_4(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """2.7 million parameters."""
    return cifar_wide_resnet(16, 4, num_classes, in_channels, **options)


def wrn16_8(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """11.0 million parameters."""
    return cifar_wide_resnet(16, 8, num_classes, in_channels, **options)


def wrn28_10(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """36.5 million parameters."""
    return cifar_wide_resnet(28, 10, num_classes, in_channels, **options)


def wrn40_4(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """8.9 million parameters."""
    return cifar_wide_resnet(40, 4, num_classes, in_channels, **options)


def wide_resnet50_2(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """68.9 million parameters."""
    options = {"group_width": 128, **options}
    return ResNet(Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def wide_resnet101_2(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """126.9 million parameters."""
    options = {"group_width": 128, **options}
    return ResNet(Bottleneck, (3, 4, 23, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


FACTORIES = {
    "wide_resnet50_2": wide_resnet50_2,
    "wide_resnet101_2": wide_resnet101_2,
    "wrn16_4": wrn16_4,
    "wrn16_8": wrn16_8,
    "wrn28_10": wrn28_10,
    "wrn40_4": wrn40_4,
}
