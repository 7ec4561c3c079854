"""AlexNet: the paper's network on two GPUs, and the single tower that torchvision has.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks",
NIPS 2012, section 3. Its idea: a network much like LeNet, but large, trained on a million photographs on
two GPUs, learns features that no hand-made ones come near. ReLU, dropout and augmentation make it trainable.

`AlexNet2012` is that network; the two GPUs are two groups. `AlexNet` is the later one of A. Krizhevsky, "One
weird trick for parallelizing convolutional neural networks", 2014, arXiv:1404.5997, in torchvision's form:
fewer channels at first, no groups, no response normalization.

The paper says its input is 224×224, but its layer sizes need 227×227: (227 - 11) / 4 + 1 = 55, without
padding. torchvision's form pads 224×224 by 2.
"""

from __future__ import annotations

from torch import Tensor, nn

from utils.models.arguments import positive, share

__all__ = ["FACTORIES", "AlexNet", "AlexNet2012", "alexnet", "alexnet2012", "from_torchvision"]


class AlexNet(nn.Module):
    """The single tower: 61,100,840 parameters for 1000 classes; x (N, in_channels, 224, 224) -> scores.

    small   for 28×28 and 32×32: the first kernel is 5×5 with stride 1, each pooling halves the side
            (32, 16, 8, 4), and the dense layers have 512 units
    width   multiplies the number of channels of every layer (and of the dense layers where small)

    PyTorch's initial weights, as in torchvision.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        dropout: float = 0.5,
        width: float = 1.0,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        kernel_size, stride, edge = (5, 1, 1) if small else (11, 4, 0)
        side, units = (4, round(width * 512)) if small else (6, 4096)
        c1, c2, c3, c4 = (round(width * c) for c in (64, 192, 384, 256))
        if c1 < 1:
            raise ValueError(f"width must leave at least one of 64 channels, got {width!r}")
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, c1, kernel_size, stride, padding=2),  # (N, 64, 55, 55)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=edge),  # (N, 64, 27, 27)
            nn.Conv2d(c1, c2, kernel_size=5, padding=2),  # (N, 192, 27, 27)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=edge),  # (N, 192, 13, 13)
            nn.Conv2d(c2, c3, kernel_size=3, padding=1),  # (N, 384, 13, 13)
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, kernel_size=3, padding=1),  # (N, 256, 13, 13)
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, c4, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=edge),  # (N, 256, 6, 6)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(side)  # other input sizes come to 6×6, too
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(c4 * side * side, units),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(units, units),
            nn.ReLU(inplace=True),
            nn.Linear(units, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


class ResponseNorm(nn.LocalResponseNorm):
    """Local response normalization with the paper's numbers, over 5 neighboring channels (section 3.3).

    y = x / (2 + 10⁻⁴ · sum of x² over the 5 channels)^0.75. PyTorch divides alpha by the number of channels,
    the paper does not, hence 5 times its alpha.
    """

    def __init__(self):
        super().__init__(size=5, alpha=5 * 1e-4, beta=0.75, k=2.0)


class AlexNet2012(nn.Module):
    """The paper's network: 60,965,224 parameters for 1000 classes; x (N, in_channels, 227, 227) -> scores.

    groups  2 as on the two GPUs, where half of the kernels of layers 2, 4 and 5 see half of the channels;
            1 joins them
    small   for 28×28 and 32×32: as in `AlexNet`

    Initial weights of the paper: normal, standard deviation 0.01; biases 1 in the second, fourth and fifth
    convolution and in the hidden dense layers, 0 elsewhere (section 5).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        groups: int = 2,
        dropout: float = 0.5,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        if groups not in (1, 2):
            raise ValueError(f"groups must be 1 or 2 (the paper's two GPUs), got {groups!r}")
        kernel_size, stride, padding, edge = (5, 1, 2, 1) if small else (11, 4, 0, 0)
        side, units = (4, 512) if small else (6, 4096)
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 96, kernel_size, stride, padding),  # (N, 96, 55, 55)
            nn.ReLU(inplace=True),
            ResponseNorm(),
            nn.MaxPool2d(3, stride=2, padding=edge),  # (N, 96, 27, 27): windows overlap
            nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=groups),  # (N, 256, 27, 27)
            nn.ReLU(inplace=True),
            ResponseNorm(),
            nn.MaxPool2d(3, stride=2, padding=edge),  # (N, 256, 13, 13)
            nn.Conv2d(256, 384, kernel_size=3, padding=1),  # (N, 384, 13, 13): here the GPUs exchange
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=groups),  # (N, 256, 13, 13)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=edge),  # (N, 256, 6, 6)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(256 * side * side, units),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(units, units),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(units, num_classes),
        )
        self.initialize()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    def initialize(self) -> None:
        layers = [layer for layer in self.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
        for number, layer in enumerate(layers, start=1):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, 1.0 if number in (2, 4, 5, 6, 7) else 0.0)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of torchvision's `alexnet` for `AlexNet`: every name is the same."""
    return dict(state_dict)


def alexnet(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    dropout: float = 0.5,
    width: float = 1.0,
) -> AlexNet:
    """AlexNet in a single tower, torchvision's form."""
    return AlexNet(num_classes, in_channels, small, dropout, width)


def alexnet2012(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    groups: int = 2,
    dropout: float = 0.5,
) -> AlexNet2012:
    """AlexNet of the paper; `groups=2` stands for its two GPUs."""
    return AlexNet2012(num_classes, in_channels, small, groups, dropout)


FACTORIES = {"alexnet": alexnet, "alexnet2012": alexnet2012}
