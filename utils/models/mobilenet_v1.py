"""MobileNet: A. G. Howard, M. Zhu, B. Chen, D. Kalenichenko, W. Wang, T. Weyand, M. Andreetto, H. Adam,
"MobileNets: efficient convolutional neural networks for mobile vision applications", 2017,
arXiv:1704.04861.

Every convolution but the first is split in two: a depthwise 3×3, which looks at each channel alone, and a
1×1 that mixes the channels. That costs 8 to 9 times less than full 3×3 convolutions. One number, the width
multiplier, makes the network thinner; the resolution of the picture is the other knob.

The last depthwise convolution has stride 1: table 1 of the paper prints stride 2 there, but its own sizes
stay 7×7. Weights start as in version 2. Left out: the training tricks (RMSprop, little weight decay on
depthwise filters).
"""

from __future__ import annotations

from torch import Tensor, nn

from utils.models.arguments import positive
from utils.models.parts import as_positive, conv_norm, initialize_fan_out

__all__ = ["FACTORIES", "MobileNetV1", "mobilenet_v1", "separable"]

# out_channels and stride of the blocks; a 224×224 picture arrives at 112×112 and leaves at 7×7
BLOCKS = (
    (64, 1),  #                     112 × 112
    (128, 2), (128, 1),  #           56 × 56
    (256, 2), (256, 1),  #           28 × 28
    (512, 2), *[(512, 1)] * 5,  #    14 × 14
    (1024, 2), (1024, 1),  #          7 × 7
)  # fmt: skip


def separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """A depthwise separable convolution: each channel alone (3×3), then all channels at each pixel (1×1)."""
    return nn.Sequential(
        conv_norm(in_channels, in_channels, kernel_size=3, stride=stride, groups=in_channels),
        conv_norm(in_channels, out_channels, kernel_size=1),
    )


class MobileNetV1(nn.Module):
    """A strided stem, thirteen separable convolutions, a global average and a dense layer."""

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        width: float = 1.0,
        depthwise: bool = True,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        as_positive(width, "width")
        block = separable if depthwise else conv_norm_block
        channels = max(1, int(32 * width))
        self.stem = conv_norm(in_channels, channels, stride=1 if small else 2)
        blocks = []
        for number, (out_channels, stride) in enumerate(BLOCKS):
            out_channels = max(1, int(out_channels * width))
            blocks.append(block(channels, out_channels, 1 if small and number == 1 else stride))
            channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        initialize_fan_out(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))  # 1024 × 7 × 7
        return self.classifier(self.pool(x).flatten(1))


def conv_norm_block(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """The full 3×3 convolution that `separable` replaces."""
    return conv_norm(in_channels, out_channels, kernel_size=3, stride=stride)


def mobilenet_v1(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    width: float = 1.0,
    depthwise: bool = True,
) -> MobileNetV1:
    """MobileNet with the width multiplier `width`.

    small: stride 1 in the stem and in the second block, 32×32 -> 4×4. depthwise=False is the paper's
    comparison (table 4): the same widths with full convolutions.
    """
    return MobileNetV1(num_classes, in_channels, small, width, depthwise)


FACTORIES = {"mobilenet_v1": mobilenet_v1}
