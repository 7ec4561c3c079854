"""DeepFace: Y. Taigman, M. Yang, M. Ranzato, L. Wolf, "DeepFace: closing the gap to human-level performance
in face verification", 2014, doi:10.1109/CVPR.2014.220.

In an aligned picture of a face, the eyes are always in the same place. So after two convolutions, three
layers give every position filters of its own: locally connected layers, which share no weights and hold,
with the dense layers, more than 99 % of all parameters.

Left out: the 3-D alignment of the faces, which the locally connected layers rely on, the normalization of
the 4096 features, and the verification metric trained on top.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.functional.shapes import as_integer, as_pair, conv_geometry
from utils.models.arguments import positive, share

__all__ = ["FACTORIES", "DeepFace", "LocallyConnected2d", "deepface"]


class LocallyConnected2d(nn.Module):
    """A convolution without weight sharing: every output position has filters of its own.

    weight is (OH, OW, K, C, kh, kw) and bias (K, OH, OW), as in `utils.functional.locally_connected2d`. That
    ties the layer to one input size. PyTorch has no such layer; it starts like `nn.Conv2d`, at each position.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: int | tuple[int, int],
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
    ):
        super().__init__()
        in_channels = as_integer(in_channels, "in_channels")
        out_channels = as_integer(out_channels, "out_channels")
        self.in_channels, self.input_size = in_channels, as_pair(input_size, "input_size")
        self.kernel_size = as_pair(kernel_size, "kernel_size")
        self.stride, self.padding = as_pair(stride, "stride"), as_pair(padding, "padding", minimum=0)
        geometry = conv_geometry(self.input_size, self.kernel_size, self.stride, self.padding)
        self.output_size = geometry.output_size
        self.weight = nn.Parameter(
            torch.empty(*self.output_size, out_channels, in_channels, *self.kernel_size)
        )
        self.bias = nn.Parameter(torch.empty(out_channels, *self.output_size)) if bias else None
        bound = 1 / math.sqrt(in_channels * math.prod(self.kernel_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:] != (self.in_channels, *self.input_size):
            C, (H, W) = self.in_channels, self.input_size
            raise ValueError(f"x must have the shape (N, {C}, {H}, {W}), got {tuple(x.shape)}")
        windows = F.unfold(x, self.kernel_size, padding=self.padding, stride=self.stride)  # (N, T, OH OW)
        weight = self.weight.flatten(0, 1).flatten(2)  # (OH OW, K, T), T = C kh kw
        y = weight @ windows.permute(2, 1, 0)  # (OH OW, K, N): one matrix product a position
        y = y.permute(2, 1, 0).unflatten(2, self.output_size)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        sizes = f"input_size={self.input_size}, kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{self.in_channels}, {self.weight.shape[2]}, {sizes}"


class DeepFace(nn.Module):
    """C1, M2, C3, three locally connected layers L4 to L6, and two dense layers F7 and F8."""

    def __init__(
        self, num_classes: int = 4030, in_channels: int = 3, small: bool = False, dropout: float = 0.5
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        self.small = small
        if small:  #                                                 any size, for instance 28 × 28
            self.C1 = nn.Conv2d(in_channels, 32, kernel_size=5, padding=2)  #    32 × 28 × 28
            self.M2 = nn.AdaptiveMaxPool2d(14)  #                                32 × 14 × 14
            self.C3 = nn.Conv2d(32, 16, kernel_size=3)  #                        16 × 12 × 12
            self.L4 = LocallyConnected2d(16, 16, input_size=12, kernel_size=3)  # 16 × 10 × 10
            self.L5 = LocallyConnected2d(16, 16, input_size=10, kernel_size=3)  # 16 × 8 × 8
            self.L6 = LocallyConnected2d(16, 16, input_size=8, kernel_size=3)  #  16 × 6 × 6
        else:  #                                                     input        3 × 152 × 152
            self.C1 = nn.Conv2d(in_channels, 32, kernel_size=11)  #              32 × 142 × 142
            self.M2 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)  #   32 × 71 × 71
            self.C3 = nn.Conv2d(32, 16, kernel_size=9)  #                        16 × 63 × 63
            self.L4 = LocallyConnected2d(16, 16, input_size=63, kernel_size=9)  # 16 × 55 × 55
            self.L5 = LocallyConnected2d(16, 16, input_size=55, kernel_size=7, stride=2)  # 16 × 25 × 25
            self.L6 = LocallyConnected2d(16, 16, input_size=25, kernel_size=5)  # 16 × 21 × 21
        features = 256 if small else 4096
        self.F7 = nn.Linear(16 * math.prod(self.L6.output_size), features)
        self.dropout = nn.Dropout(dropout)
        self.F8 = nn.Linear(features, num_classes)
        self.relu = nn.ReLU(inplace=True)
        self._initialize()

    def _initialize(self) -> None:
        """Small form: He's normal, biases 0. Full form, the paper's: normal, deviation 0.01, biases 0.5."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear, LocallyConnected2d)):
                filters = module.weight[0, 0] if isinstance(module, LocallyConnected2d) else module.weight
                fan_in = filters[0].numel()
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in) if self.small else 0.01)
                nn.init.constant_(module.bias, 0.0 if self.small else 0.5)

    def forward(self, x: Tensor) -> Tensor:
        if not self.small and x.shape[2:] != (152, 152):
            raise ValueError(f"x must be 152×152, as the locally connected layers are, got {tuple(x.shape)}")
        x = self.M2(self.relu(self.C1(x)))
        for layer in (self.C3, self.L4, self.L5, self.L6):
            x = self.relu(layer(x))
        x = self.dropout(self.relu(self.F7(x.flatten(1))))  # the 4096 features that describe a face
        return self.F8(x)


def deepface(
    num_classes: int = 4030, in_channels: int = 3, small: bool = False, dropout: float = 0.5
) -> DeepFace:
    """DeepFace for 152×152 faces of 4,030 people.

    small: 5×5 and 3×3 kernels, and a pooling that brings any input to 14×14, since the layers behind it have
    weights for one size only.
    """
    return DeepFace(num_classes, in_channels, small, dropout)


FACTORIES = {"deepface": deepface}
