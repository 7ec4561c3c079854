"""The attention module of F. Wang, M. Jiang, C. Qian, S. Yang, C. Li, H. Zhang, X. Wang, X. Tang, "Residual
attention network for image classification", 2017, arXiv:1704.06904.

A trunk computes features as usual. Beside it an hourglass looks at the map from far away (pool, pool, pool,
and up again) and gives a mask between 0 and 1 for every value. The output is (1 + mask) · trunk: a mask can
stress what the trunk found, but a mask of zeros leaves it intact, so that many modules can be stacked.

Left out: the whole Attention-56 and Attention-92; with p = 1, t = 2, r = 1 they stack these modules between
residual units, with depth 3 at 56×56, 2 at 28×28 and 1 at 14×14.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.functional.shapes import as_integer

__all__ = ["AttentionModule", "Hourglass", "ResidualUnit"]


def norm_relu_conv(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Normalization and activation in front of the convolution: pre-activation."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=False),
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
    )


class ResidualUnit(nn.Module):
    """A pre-activation bottleneck: 17 C²/16 weights and 3 C numbers of its normalizations."""

    def __init__(self, channels: int):
        super().__init__()
        inner = channels // 4
        self.residual = nn.Sequential(
            norm_relu_conv(channels, inner, 1),
            norm_relu_conv(inner, inner, 3),
            norm_relu_conv(inner, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


def units(channels: int, number: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualUnit(channels) for _ in range(number)])


class Hourglass(nn.Module):
    """Halve the map, work on it, double it again; with a smaller hourglass inside while depth is above 1."""

    def __init__(self, channels: int, depth: int, r: int):
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.down = units(channels, r)
        self.inner = Hourglass(channels, depth - 1, r) if depth > 1 else None
        self.skip = ResidualUnit(channels) if depth > 1 else None
        self.up = units(channels, r)

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(self.pool(x))
        if self.inner is not None:
            y = self.inner(y) + self.skip(y)
        return F.interpolate(self.up(y), size=x.shape[2:], mode="bilinear", align_corners=True)


class AttentionModule(nn.Module):
    """(1 + mask) · trunk, with p residual units before and after, t in the trunk, r at each step of the mask.

    Residual units: 2 p + t + 2 r · depth + depth - 1. The mask ends with two 1×1 convolutions and a sigmoid.
    `mask_of` returns the mask alone, to look at. The units after the product follow the authors' released
    network; the paper names those before it.
    """

    def __init__(self, channels: int, depth: int = 3, p: int = 1, t: int = 2, r: int = 1):
        super().__init__()
        if as_integer(channels, "channels") % 4:
            raise ValueError(f"channels must be a multiple of 4, for the bottlenecks, got {channels}")
        p, t, r = (as_integer(value, name) for value, name in ((p, "p"), (t, "t"), (r, "r")))
        self.before = units(channels, p)
        self.trunk = units(channels, t)
        self.hourglass = Hourglass(channels, as_integer(depth, "depth"), r)
        self.to_mask = nn.Sequential(
            norm_relu_conv(channels, channels, 1), norm_relu_conv(channels, channels, 1)
        )
        self.after = units(channels, p)

    def mask_of(self, x: Tensor) -> Tensor:
        """The mask for x, (N, C, H, W), between 0 and 1."""
        return self._mask(self.before(x))

    def _mask(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.to_mask(self.hourglass(x)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        return self.after((1 + self._mask(x)) * self.trunk(x))
