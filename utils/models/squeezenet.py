"""SqueezeNet: F. N. Iandola, S. Han, M. W. Moskewicz, K. Ashraf, W. J. Dally, K. Keutzer, "SqueezeNet:
AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016, arXiv:1602.07360.

A fire module squeezes the channels with a cheap 1×1 convolution before it expands them again, half with 1×1
and half with 3×3 kernels, so that few channels reach the expensive ones. The last layers are a convolution
to one channel a class and a global average: no dense layer at all.

Version 1.1, from the authors' repository, has a smaller stem and pools earlier: 2.4 times less work for the
same accuracy. Left out: the bypass variants (section 6) and deep compression (section 5).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.arguments import positive, share

__all__ = ["FACTORIES", "Fire", "SqueezeNet", "from_torchvision", "squeezenet1_0", "squeezenet1_1"]


class Fire(nn.Module):
    """Squeeze to few channels, expand with 1×1 and 3×3 kernels side by side: out = 2 · expand_channels."""

    def __init__(self, in_channels: int, squeeze_channels: int, expand_channels: int):
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze_channels, kernel_size=1)
        self.expand1x1 = nn.Conv2d(squeeze_channels, expand_channels, kernel_size=1)
        self.expand3x3 = nn.Conv2d(squeeze_channels, expand_channels, kernel_size=3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))], dim=1)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)


class SqueezeNet(nn.Module):
    """A stack of fire modules, then one channel a class, averaged over the picture."""

    def __init__(self, features: nn.Sequential, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        positive(num_classes=num_classes)
        share(dropout=dropout)
        self.features = features
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(512, num_classes, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
        )
        self._initialize()

    def _initialize(self) -> None:
        """As torchvision: He's uniform, but the classifying convolution normal with deviation 0.01."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier[1].weight, 0.0, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).flatten(1)


def _stem(in_channels: int, out_channels: int, kernel_size: int, small: bool) -> nn.Conv2d:
    """The strided first convolution; small: 3×3 with stride 1, which keeps the size."""
    positive(in_channels=in_channels)
    if small:
        return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride=2)


def squeezenet1_0(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, dropout: float = 0.5
) -> SqueezeNet:
    """Version 1.0, as in the paper's table 1. small: a 3×3 stem with stride 1, 32×32 -> 4×4 at the end."""
    features = nn.Sequential(  #           input     3 × 224 × 224
        _stem(in_channels, 96, 7, small),  #        96 × 109 × 109
        nn.ReLU(inplace=True),
        _pool(),  #                                 96 × 54 × 54
        Fire(96, 16, 64),  #                       128 × 54 × 54
        Fire(128, 16, 64),
        Fire(128, 32, 128),  #                     256 × 54 × 54
        _pool(),  #                                256 × 27 × 27
        Fire(256, 32, 128),
        Fire(256, 48, 192),  #                     384 × 27 × 27
        Fire(384, 48, 192),
        Fire(384, 64, 256),  #                     512 × 27 × 27
        _pool(),  #                                512 × 13 × 13
        Fire(512, 64, 256),
    )
    return SqueezeNet(features, num_classes, dropout)


def squeezenet1_1(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, dropout: float = 0.5
) -> SqueezeNet:
    """Version 1.1: 64 filters of 3×3 in the stem, earlier poolings. small: as in version 1.0."""
    features = nn.Sequential(  #           input     3 × 224 × 224
        _stem(in_channels, 64, 3, small),  #        64 × 111 × 111
        nn.ReLU(inplace=True),
        _pool(),  #                                 64 × 55 × 55
        Fire(64, 16, 64),  #                       128 × 55 × 55
        Fire(128, 16, 64),
        _pool(),  #                                128 × 27 × 27
        Fire(128, 32, 128),  #                     256 × 27 × 27
        Fire(256, 32, 128),
        _pool(),  #                                256 × 13 × 13
        Fire(256, 48, 192),  #                     384 × 13 × 13
        Fire(384, 48, 192),
        Fire(384, 64, 256),  #                     512 × 13 × 13
        Fire(512, 64, 256),
    )
    return SqueezeNet(features, num_classes, dropout)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state for our SqueezeNet: the names are the same."""
    return dict(state_dict)


FACTORIES = {"squeezenet1_0": squeezenet1_0, "squeezenet1_1": squeezenet1_1}
