"""Network in Network: 1×1 convolutions, and no dense layer at the end.

M. Lin, Q. Chen, S. Yan, "Network in network", ICLR 2014, arXiv:1312.4400. Its idea: what a convolution
computes from a window is linear before the activation; let a small dense network, the same at every place,
compute it instead, which is a convolution followed by 1×1 convolutions. The last of them has one channel a
class, and its average over all places is the score: no dense layer is left to overfit, and each class has a
map of its own.

The paper gives the structure and few sizes; channels and kernels here are those of the authors' published
configurations for CIFAR-10 (`nin_cifar`) and ImageNet (`nin`). In both, a ReLU stands after every
convolution, the last one too, so that scores are never negative. Left out: the maxout comparison.
"""

from __future__ import annotations

from torch import Tensor, nn

from utils.models.arguments import positive, share

__all__ = ["FACTORIES", "NiN", "mlpconv", "nin", "nin_cifar"]


def mlpconv(
    in_channels: int,
    channels: tuple[int, int, int],
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
) -> nn.Sequential:
    """A convolution and two 1×1 convolutions: a small dense network that slides over the picture."""
    first, second, third = channels
    return nn.Sequential(
        nn.Conv2d(in_channels, first, kernel_size, stride, padding),
        nn.ReLU(inplace=True),
        nn.Conv2d(first, second, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(second, third, kernel_size=1),
        nn.ReLU(inplace=True),
    )


class NiN(nn.Module):
    """`features`, whose last channels are the classes, and their averages: x -> scores (N, num_classes).

    Initial weights: He's normal (the paper says only that they were set by hand), biases 0.
    """

    def __init__(self, *features: nn.Module):
        super().__init__()
        self.features = nn.Sequential(*features)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).mean(dim=(2, 3))  # global average pooling


def nin_cifar(num_classes: int = 10, in_channels: int = 3, small: bool = True, dropout: float = 0.5) -> NiN:
    """The network for 32×32 pictures: 966,986 parameters for 10 classes. `small` changes nothing."""
    positive(num_classes=num_classes, in_channels=in_channels)
    share(dropout=dropout)
    return NiN(
        mlpconv(in_channels, (192, 160, 96), kernel_size=5, padding=2),  # (N, 96, 32, 32)
        nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 96, 16, 16)
        nn.Dropout(dropout),
        mlpconv(96, (192, 192, 192), kernel_size=5, padding=2),
        nn.AvgPool2d(3, stride=2, ceil_mode=True),  # (N, 192, 8, 8)
        nn.Dropout(dropout),
        mlpconv(192, (192, 192, num_classes), kernel_size=3, padding=1),  # (N, 10, 8, 8)
    )


def nin(num_classes: int = 1000, in_channels: int = 3, small: bool = False, dropout: float = 0.5) -> NiN:
    """The network for ImageNet, 224×224: 7,595,176 parameters for 1000 classes.

    small   for 28×28 and 32×32: the first kernel is 5×5 with stride 1, sides are 32, 16, 8, 4
    """
    positive(num_classes=num_classes, in_channels=in_channels)
    share(dropout=dropout)
    kernel_size, stride, padding = (5, 1, 2) if small else (11, 4, 0)
    return NiN(
        mlpconv(in_channels, (96, 96, 96), kernel_size, stride, padding),  # (N, 96, 54, 54)
        nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 96, 27, 27)
        mlpconv(96, (256, 256, 256), kernel_size=5, padding=2),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 256, 13, 13)
        mlpconv(256, (384, 384, 384), kernel_size=3, padding=1),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 384, 6, 6)
        nn.Dropout(dropout),
        mlpconv(384, (1024, 1024, num_classes), kernel_size=3, padding=1),  # (N, 1000, 6, 6)
    )


FACTORIES = {"nin": nin, "nin_cifar": nin_cifar}
