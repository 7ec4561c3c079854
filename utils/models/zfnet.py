"""ZFNet: AlexNet, looked into and repaired.

M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, arXiv:1311.2901,
figure 3. Its idea: show which patches and which pixels excite a unit, and change the network where the
pictures show a fault. AlexNet's first layer had dead and repeated filters and its second aliasing; smaller
kernels (7×7 for 11×11) and a smaller stride (2 for 4) removed both, with one tower in place of two.

The paper writes "contrast normalized across feature maps" without a formula; here it is AlexNet's response
normalization. Paddings follow from the published sides: 224, 110, 55, 26, 13, 6. Left out: the rescaling of
first-layer filters that grow too large, and the deconvolution that makes the pictures.
"""

from __future__ import annotations

from torch import Tensor, nn

from utils.models.alexnet import ResponseNorm
from utils.models.arguments import positive, share

__all__ = ["FACTORIES", "ZFNet", "zfnet"]


class ZFNet(nn.Module):
    """62,357,608 parameters for 1000 classes; x (N, in_channels, 224, 224) -> scores (N, num_classes).

    small   for 28×28 and 32×32: both strided convolutions get stride 1, each pooling halves the side
            (32, 16, 8, 4), and the dense layers have 512 units

    Initial weights: normal, standard deviation 0.01, biases 0 (the paper says: weights 10⁻², biases 0).
    """

    def __init__(
        self, num_classes: int = 1000, in_channels: int = 3, small: bool = False, dropout: float = 0.5
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        stride, padding1, padding2 = (1, 3, 2) if small else (2, 1, 0)
        side, units = (4, 512) if small else (6, 4096)
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 96, 7, stride, padding1),  # (N, 96, 110, 110)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 96, 55, 55)
            ResponseNorm(),
            nn.Conv2d(96, 256, 5, stride, padding2),  # (N, 256, 26, 26)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),  # (N, 256, 13, 13)
            ResponseNorm(),
            nn.Conv2d(256, 384, kernel_size=3, padding=1),  # (N, 384, 13, 13)
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),  # (N, 256, 13, 13)
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1 if small else 0),  # (N, 256, 6, 6)
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
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def zfnet(num_classes: int = 1000, in_channels: int = 3, small: bool = False, dropout: float = 0.5) -> ZFNet:
    """ZFNet in the paper's form."""
    return ZFNet(num_classes, in_channels, small, dropout)


FACTORIES = {"zfnet": zfnet}
