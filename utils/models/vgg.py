"""VGG: depth from 3×3 kernels alone.

K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015,
arXiv:1409.1556, table 1. Its idea: two 3×3 convolutions see what one of 5×5 sees, three see what one of 7×7
sees, with fewer weights and more nonlinearities; so use 3×3 everywhere and change nothing but the depth.

Columns A to E, named by the number of layers with weights: 11, 13, 16 (C, with 1×1 kernels), 16 (D) and 19;
each also with batch normalization, which the paper does not have. Left out: A-LRN, and the dense layers read
as convolutions over larger pictures.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from utils.models.arguments import positive, share

__all__ = ["COLUMNS", "FACTORIES", "VGG", "from_torchvision", "vgg"]

# Kernel sizes of the convolutions in each of the five stages (table 1). Each stage ends with a max pooling.
COLUMNS = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
CHANNELS = (64, 128, 256, 512, 512)


def stage(in_channels: int, out_channels: int, kernels: tuple[int, ...], batch_norm: bool) -> list[nn.Module]:
    """The convolutions of one stage: sides stay, the first one changes the number of channels."""
    layers: list[nn.Module] = []
    for kernel_size in kernels:
        layers.append(nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out_channels))
        layers.append(nn.ReLU(inplace=True))
        in_channels = out_channels
    return layers


class VGG(nn.Module):
    """x (N, in_channels, 224, 224) -> scores (N, num_classes).

    column      "A" to "E" of the paper's table 1
    batch_norm  a batch normalization after every convolution
    small       for 28×28 and 32×32: sides 32, 16, 8, 4, 2, 1 (28, 14, 7, 4, 2, 1), dense layers of 512 units
    width       multiplies the number of channels of every stage (and of the dense layers where small)

    Initial weights as in torchvision: convolutions He's, by the outputs ("fan_out"); dense layers normal with
    standard deviation 0.01. The paper (section 3.1) drew all weights with *variance* 0.01, trained column A
    first, and began the deeper columns with its layers.
    """

    def __init__(
        self,
        column: str,
        batch_norm: bool = False,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        width: float = 1.0,
        dropout: float = 0.5,
    ):
        super().__init__()
        if column not in COLUMNS:
            raise ValueError(f"column must be one of {', '.join(COLUMNS)}, got {column!r}")
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        channels = [round(width * c) for c in CHANNELS]
        if channels[0] < 1:
            raise ValueError(f"width must leave at least one of 64 channels, got {width!r}")
        layers: list[nn.Module] = []
        for out_channels, kernels in zip(channels, COLUMNS[column], strict=True):
            layers += stage(in_channels, out_channels, kernels, batch_norm)
            layers.append(nn.MaxPool2d(2, ceil_mode=small))  # 224, 112, 56, 28, 14, 7; small keeps 7 -> 4
            in_channels = out_channels
        side, units = (1, channels[-1]) if small else (7, 4096)
        self.features = nn.Sequential(*layers)  # (N, 512, 7, 7)
        self.avgpool = nn.AdaptiveAvgPool2d(side)  # other input sizes come to 7×7, too
        self.classifier = nn.Sequential(
            nn.Linear(in_channels * side * side, units),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(units, units),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(units, num_classes),
        )
        self.initialize()

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))

    def initialize(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of torchvision's `vgg11` to `vgg19_bn` for columns A, B, D and E: every name is the same."""
    return dict(state_dict)


def vgg(column: str, batch_norm: bool = False, **options) -> VGG:
    """A network of the paper's table 1: `vgg("D", batch_norm=True, num_classes=10, small=True)`."""
    return VGG(column, batch_norm, **options)


LAYERS = {"A": "vgg11", "B": "vgg13", "C": "vgg16c", "D": "vgg16", "E": "vgg19"}
FACTORIES = {name: partial(vgg, column) for column, name in LAYERS.items()}
FACTORIES |= {f"{name}_bn": partial(vgg, column, True) for column, name in LAYERS.items()}
