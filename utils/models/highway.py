"""Highway network: a gate decides, pixel by pixel, how much a layer changes.

R. Srivastava, K. Greff, J. Schmidhuber, Highway networks, 2015, arXiv:1505.00387, and Training very deep
networks, 2015, arXiv:1507.06228.

The idea: a layer returns y = H(x) · T(x) + x · (1 - T(x)), where the gate T(x), between 0 and 1, is learned.
Half a year before ResNet, networks of hundreds of layers trained: with a closed gate a layer is the identity.

The paper gives width, depth and parameters of its MNIST networks, and not where they pool; here pooling
follows the third, sixth and last layer, which gives the paper's counts. Left out: dropout and the CIFAR
networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.arguments import positive
from utils.models.resnet import require_small

__all__ = ["FACTORIES", "Highway", "HighwayBlock", "highway10", "highway20"]


class HighwayBlock(nn.Module):
    """y = H(x) · T(x) + x · (1 - T(x)) with 3×3 convolutions; input and output have the same shape.

    `gate_bias` is the first bias of the gate. Negative, it starts nearly closed: sigmoid(-2) is about 0.12.
    """

    def __init__(self, channels: int, gate_bias: float = -2.0):
        super().__init__()
        self.transform = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.constant_(self.gate.bias, gate_bias)

    def forward(self, x: Tensor) -> Tensor:
        change = torch.relu(self.transform(x))
        gate = torch.sigmoid(self.gate(x))
        return change * gate + x * (1 - gate)


class Highway(nn.Module):
    """One plain convolution, depth - 2 highway blocks in three groups with pooling between, one dense layer.

    `depth` counts the layers from input to output, each with its gate as one. Convolutions start with He's
    initialization.
    """

    def __init__(
        self,
        depth: int = 10,
        width: int = 16,
        num_classes: int = 10,
        in_channels: int = 3,
        gate_bias: float = -2.0,
        small: bool = True,
    ):
        super().__init__()
        positive(width=width, num_classes=num_classes, in_channels=in_channels)
        if depth < 5:
            raise ValueError(f"depth must be at least 5, got {depth}")
        require_small(small)
        third = (depth - 1) // 3
        sizes = (third - 1, third, depth - 1 - 2 * third)  # the plain convolution belongs to the first group
        groups = [nn.Sequential(*(HighwayBlock(width, gate_bias) for _ in range(size))) for size in sizes]
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.group1, self.group2, self.group3 = groups
        self.pool = nn.MaxPool2d(2)
        self.last_pool = nn.AdaptiveMaxPool2d(3)
        self.fc = nn.Linear(9 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:  # (N, 1, 28, 28)
        x = torch.relu(self.stem(x))  # (N, 16, 28, 28)
        x = self.pool(self.group1(x))  # (N, 16, 14, 14)
        x = self.pool(self.group2(x))  # (N, 16, 7, 7)
        x = self.last_pool(self.group3(x))  # (N, 16, 3, 3)
        return self.fc(x.flatten(1))  # (N, 10)


def highway10(num_classes: int = 10, in_channels: int = 3, width: int = 16, **options) -> Highway:
    """10 layers; with one input channel 39 thousand parameters, 151 thousand at width 32."""
    return Highway(10, width, num_classes, in_channels, **options)


def highway20(num_classes: int = 10, in_channels: int = 3, width: int = 16, **options) -> Highway:
    """20 layers."""
    return Highway(20, width, num_classes, in_channels, **options)


FACTORIES = {"highway10": highway10, "highway20": highway20}
