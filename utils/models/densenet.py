"""DenseNet: every layer reads all the maps that were made before it.

G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, Densely connected convolutional networks, 2016,
arXiv:1608.06993.

The idea: where ResNet adds, DenseNet concatenates. Each layer makes only k new maps (the growth rate) and
puts them beside the old ones, so features are kept and used again, and few weights suffice.

Two savings make DenseNet-BC: B, a bottleneck that first reduces to 4k maps; C, transitions between the
blocks that halve the number of maps (compression 0.5). The networks for ImageNet have both; those for CIFAR
exist with and without. Weights start as in torchvision: He initialization by the fan-in; biases 0. This file
leaves out the memory-saving recomputation of later versions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from utils.models.arguments import positive, share
from utils.models.resnet import require_small

__all__ = [
    "FACTORIES",
    "DenseBlock",
    "DenseLayer",
    "DenseNet",
    "Transition",
    "cifar_densenet",
    "densenet40_k12",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet_bc100_k12",
    "densenet_bc190_k40",
    "densenet_bc250_k24",
    "from_torchvision",
]


class DenseLayer(nn.Module):
    """(N, C, H, W) -> (N, growth_rate, H, W): the new maps. With `bottleneck`, first a 1×1 to 4k."""

    def __init__(self, in_channels: int, growth_rate: int, bottleneck: bool = True, dropout: float = 0.0):
        super().__init__()
        layers = []
        if bottleneck:
            layers += [nn.BatchNorm2d(in_channels), nn.ReLU()]
            layers += [nn.Conv2d(in_channels, 4 * growth_rate, 1, bias=False)]
            in_channels = 4 * growth_rate
        layers += [nn.BatchNorm2d(in_channels), nn.ReLU()]
        layers += [nn.Conv2d(in_channels, growth_rate, 3, padding=1, bias=False)]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.layers(x))


class DenseBlock(nn.Module):
    """`count` layers, each reading the input and the maps of all layers before: C becomes C + count · k."""

    def __init__(self, count: int, in_channels: int, growth_rate: int, bottleneck: bool, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(in_channels + layer * growth_rate, growth_rate, bottleneck, dropout)
            for layer in range(count)
        )
        self.out_channels = in_channels + count * growth_rate

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return x


class Transition(nn.Sequential):
    """Between two blocks: a 1×1 convolution to `out_channels`, and 2×2 average pooling."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.AvgPool2d(2),
        )


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, a normalization, global pooling, a dense layer.

    counts         how many layers each block has
    growth_rate    k, the new maps of each layer
    stem_channels  maps that enter the first block
    small          for 28×28 and 32×32 inputs: the stem is one 3×3 convolution of stride 1
    bottleneck     B: a 1×1 convolution before each 3×3
    compression    C: the share of its maps that a transition keeps
    """

    def __init__(
        self,
        counts: Sequence[int],
        growth_rate: int,
        stem_channels: int,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        bottleneck: bool = True,
        compression: float = 0.5,
        dropout: float = 0.0,
    ):
        super().__init__()
        positive(growth_rate=growth_rate, num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        if not 0 < compression <= 1:
            raise ValueError(f"compression must be greater than 0 and at most 1, got {compression!r}")
        self.stem = make_stem(in_channels, stem_channels, small)
        channels = stem_channels
        stages = []
        for count in counts:
            if stages:
                stages.append(Transition(channels, int(channels * compression)))
                channels = int(channels * compression)
            stages.append(DenseBlock(count, channels, growth_rate, bottleneck, dropout))
            channels = stages[-1].out_channels
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:  # DenseNet-121: (N, 3, 224, 224)
        x = self.stem(x)  # (N, 64, 56, 56)
        x = self.stages(x)  # (N, 256, 56, 56), (N, 512, 28, 28), (N, 1024, 14, 14), (N, 1024, 7, 7)
        x = self.pool(self.relu(self.norm(x))).flatten(1)  # (N, 1024)
        return self.fc(x)  # (N, 1000)


def make_stem(in_channels: int, out_channels: int, small: bool) -> nn.Module:
    """What stands before the first block: a quarter of height and width, or, `small`, the same ones."""
    if small:
        return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def densenet121(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> DenseNet:
    """8.0 million parameters."""
    return DenseNet((6, 12, 24, 16), 32, 64, num_classes, in_channels, small, **options)


def densenet161(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> DenseNet:
    """28.7 million parameters."""
    return DenseNet((6, 12, 36, 24), 48, 96, num_classes, in_channels, small, **options)


def densenet169(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> DenseNet:
    """14.1 million parameters."""
    return DenseNet((6, 12, 32, 32), 32, 64, num_classes, in_channels, small, **options)


def densenet201(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> DenseNet:
    """20.0 million parameters."""
    return DenseNet((6, 12, 48, 32), 32, 64, num_classes, in_channels, small, **options)


def cifar_densenet(
    depth: int,
    growth_rate: int,
    num_classes: int = 10,
    in_channels: int = 3,
    bottleneck: bool = True,
    dropout: float = 0.0,
    small: bool = True,
) -> DenseNet:
    """The form for 32×32 pictures: three blocks of equal depth (section 3 of the paper).

    With `bottleneck`, DenseNet-BC: the stem makes 2k maps, a transition halves them, depth is 6n + 4.
    Without, the stem makes 16 maps, a transition keeps all, depth is 3n + 4.
    """
    require_small(small)
    layers = 2 if bottleneck else 1
    count, rest = divmod(depth - 4, 3 * layers)
    if rest or count < 1:
        raise ValueError(
            f"depth must be {3 * layers}n + 4 with bottleneck={bottleneck}, n at least 1, got {depth}"
        )
    return DenseNet(
        (count, count, count),
        growth_rate,
        stem_channels=2 * growth_rate if bottleneck else 16,
        num_classes=num_classes,
        in_channels=in_channels,
        small=True,
        bottleneck=bottleneck,
        compression=0.5 if bottleneck else 1.0,
        dropout=dropout,
    )


def densenet40_k12(num_classes: int = 10, in_channels: int = 3, **options) -> DenseNet:
    """1.0 million parameters, without bottlenecks and compression."""
    return cifar_densenet(40, 12, num_classes, in_channels, bottleneck=False, **options)


def densenet_bc100_k12(num_classes: int = 10, in_channels: int = 3, **options) -> DenseNet:
    """0.8 million parameters."""
    return cifar_densenet(100, 12, num_classes, in_channels, **options)


def densenet_bc250_k24(num_classes: int = 10, in_channels: int = 3, **options) -> DenseNet:
    """15.3 million parameters."""
    return cifar_densenet(250, 24, num_classes, in_channels, **options)


def densenet_bc190_k40(num_classes: int = 10, in_channels: int = 3, **options) -> DenseNet:
    """25.6 million parameters."""
    return cifar_densenet(190, 40, num_classes, in_channels, **options)


# torchvision's names of what a dense layer and a transition hold, and their places in ours.
_INSIDE = {
    "norm1": "layers.0",
    "conv1": "layers.2",
    "norm2": "layers.3",
    "conv2": "layers.5",
    "norm": "0",
    "conv": "2",
}


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of torchvision's densenet under the names of this file.

    features.conv0 and norm0 become stem.0 and stem.1; denseblock1, transition1, denseblock2, ... become
    stages.0, stages.1, stages.2, ...; denselayer1 becomes layers.0; norm5 becomes norm; classifier becomes
    fc.
    """
    renamed = {}
    for name, value in state_dict.items():
        name = name.removeprefix("features.")
        name = re.sub(r"^(conv0)", "stem.0", name)
        name = re.sub(r"^(norm0)", "stem.1", name)
        name = re.sub(r"^norm5", "norm", name)
        name = re.sub(r"^classifier", "fc", name)
        if match := re.match(r"denseblock(\d+)\.denselayer(\d+)\.(\w+)\.(\w+)", name):
            block, layer, inside, last = match.groups()
            name = f"stages.{2 * int(block) - 2}.layers.{int(layer) - 1}.{_INSIDE[inside]}.{last}"
        elif match := re.match(r"transition(\d+)\.(\w+)\.(\w+)", name):
            block, inside, last = match.groups()
            name = f"stages.{2 * int(block) - 1}.{_INSIDE[inside]}.{last}"
        renamed[name] = value
    return renamed


FACTORIES = {
    "densenet121": densenet121,
    "densenet161": densenet161,
    "densenet169": densenet169,
    "densenet201": densenet201,
    "densenet40_k12": densenet40_k12,
    "densenet_bc100_k12": densenet_bc100_k12,
    "densenet_bc250_k24": densenet_bc250_k24,
    "densenet_bc190_k40": densenet_bc190_k40,
}
