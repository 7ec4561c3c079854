"""Mixed depthwise convolution: M. Tan, Q. V. Le, "MixConv: mixed depthwise convolutional kernels", 2019,
arXiv:1907.09595, the part from which MixNet is built.

A larger kernel sees more but costs more and, past some size, lowers the accuracy. So the channels are dealt
to several kernel sizes: some look at details, some at surroundings, and the 1×1 convolution after them
mixes both.

Left out: the networks MixNet-S, M and L, whose tables come from a search, and dilated kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.functional.shapes import as_integer
from utils.models.attention import SqueezeExcitation
from utils.models.parts import conv_norm

__all__ = ["MixBlock", "MixedDepthwise"]


class MixedDepthwise(nn.Module):
    """A depthwise convolution whose channels have different kernel sizes: Σ cᵢ kᵢ² weights, no biases.

    Equal shares (section 3.2 of the paper); what does not divide goes to the first kernel. The same
    as one depthwise convolution with the largest size, where the smaller kernels have a border of zeros.
    """

    def __init__(self, channels: int, kernel_sizes: tuple[int, ...] = (3, 5, 7, 9), stride: int = 1):
        super().__init__()
        channels = as_integer(channels, "channels", minimum=max(1, len(kernel_sizes)))
        if not kernel_sizes or any(as_integer(k, "kernel_sizes") % 2 == 0 for k in kernel_sizes):
            raise ValueError(f"kernel_sizes must be one or more odd sizes, got {kernel_sizes!r}")
        share = channels // len(kernel_sizes)
        self.shares = [channels - share * (len(kernel_sizes) - 1), *[share] * (len(kernel_sizes) - 1)]
        self.convs = nn.ModuleList(
            nn.Conv2d(c, c, k, stride, padding=k // 2, groups=c, bias=False)
            for c, k in zip(self.shares, kernel_sizes, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = x.split(self.shares, dim=1)
        return torch.cat([conv(part) for conv, part in zip(self.convs, parts, strict=True)], dim=1)


class MixBlock(nn.Module):
    """The inverted residual of the MobileNets with a mixed depthwise convolution in the middle.

    1×1 to `expansion` times the channels, mixed depthwise, squeeze-and-excitation to a quarter of the block's
    own input channels if `squeeze`, linear 1×1; swish (SiLU) after the first two.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_sizes: tuple[int, ...] = (3, 5, 7),
        stride: int = 1,
        expansion: int = 6,
        squeeze: bool = True,
    ):
        super().__init__()
        hidden = as_integer(in_channels, "in_channels") * as_integer(expansion, "expansion")
        self.expand = nn.Identity()
        if expansion > 1:
            self.expand = conv_norm(in_channels, hidden, kernel_size=1, activation=nn.SiLU)
        self.mixed = nn.Sequential(
            MixedDepthwise(hidden, kernel_sizes, as_integer(stride, "stride")),
            nn.BatchNorm2d(hidden),
            nn.SiLU(inplace=True),
        )
        self.squeeze = nn.Identity()
        if squeeze:
            quarter = max(1, in_channels // 4)
            self.squeeze = SqueezeExcitation(hidden, squeeze_channels=quarter, activation=nn.SiLU)
        self.project = conv_norm(
            hidden, as_integer(out_channels, "out_channels"), kernel_size=1, activation=None
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.squeeze(self.mixed(self.expand(x))))
        return x + y if self.shortcut else y
