"""Two convolutions and a dense layer: the small network that the others have to beat.

The network of the convolutional example in Y. Choi's PyTorch tutorial (github.com/yunjey/pytorch-tutorial,
"02-intermediate"), which many introductions took over: 5×5, 16 channels; 5×5, 32 channels; each with batch
normalization, ReLU and a pooling; ten scores.
"""

from __future__ import annotations

from torch import Tensor, nn

from utils.models.arguments import positive

__all__ = ["FACTORIES", "TwoLayer", "two_layer"]


class TwoLayer(nn.Module):
    """x (N, in_channels, 28, 28) -> scores (N, num_classes); other sides need `size`.

    channels    of the two convolutions
    size        the side of the pictures, a multiple of 4

    Initial weights are PyTorch's.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        channels: tuple[int, int] = (16, 32),
        size: int = 28,
    ):
        super().__init__()
        if not isinstance(channels, (tuple, list)) or len(channels) != 2:
            raise ValueError(f"channels must be two numbers, one a convolution, got {channels!r}")
        first, second = channels
        positive(num_classes=num_classes, in_channels=in_channels, channels=first, size=size)
        positive(channels=second)
        if size % 4:
            raise ValueError(f"size must be a multiple of 4, for two poolings, got {size}")
        self.features = nn.Sequential(
            *self.stage(in_channels, first),  # (N, 16, 14, 14)
            *self.stage(first, second),  # (N, 32, 7, 7)
        )
        self.classifier = nn.Linear(second * (size // 4) ** 2, num_classes)

    @staticmethod
    def stage(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
        """A 5×5 convolution that keeps height and width, and a pooling that halves them.

        ReLU comes after the pooling: the largest of the rectified numbers is the rectified largest number,
        so outputs and gradients are the same, and ReLU has a quarter of the work.
        """
        conv = nn.Conv2d(in_channels, out_channels, 5, padding=2)
        return conv, nn.BatchNorm2d(out_channels), nn.MaxPool2d(2), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def two_layer(num_classes: int = 10, in_channels: int = 1, small: bool = True, **options) -> TwoLayer:
    """The two-layer network: 29,034 parameters. It exists for small pictures only."""
    if not small:
        raise ValueError("small must be True: this network is made for 28×28 and 32×32 pictures, got False")
    return TwoLayer(num_classes, in_channels, **options)


FACTORIES = {"two_layer": two_layer}
