"""Attention for feature maps: modules that weigh channels, pixels or pairs of pixels, and keep the shape.

Each takes (N, C, H, W) and returns (N, C, H, W), so that it fits behind any layer. With r the reduction,
the number of parameters, derived at each class:

module              what it weighs                      parameters
SqueezeExcitation   channels                            2 C²/r + C/r + C
CBAM                channels, then pixels               2 C²/r + 2 k²
ScSE                channels and pixels, added          2 C²/r + C/r + 2 C
NonLocal            pairs of pixels                     4 C²/r + 3 C/r + 2 C
GlobalContext       pixels, once for all of them        2 C²/r + 3 C/r + 2 C + 1

Sources at the classes. Left out: 3-D and video forms, and the other pair functions of the non-local block.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from utils.functional.shapes import as_integer

__all__ = ["CBAM", "GlobalContext", "NonLocal", "ScSE", "SqueezeExcitation", "from_torchvision"]


def _reduced(channels: int, reduction: int) -> int:
    """channels / reduction, which must leave at least one channel."""
    channels, reduction = as_integer(channels, "channels"), as_integer(reduction, "reduction")
    if reduction > channels:
        raise ValueError(f"reduction must be at most the number of channels, {channels}, got {reduction}")
    return channels // reduction


class SqueezeExcitation(nn.Module):
    """One weight for each channel, from the averages of all channels.

    J. Hu, L. Shen, S. Albanie, G. Sun, E. Wu, "Squeeze-and-excitation networks", 2018, arXiv:1709.01507.
    Parameters: C → C/r has C · C/r weights and C/r biases, C/r → C has C/r · C weights and C biases; together
    2 C²/r + C/r + C. `squeeze_channels` sets C/r directly; the MobileNets take another `gate`.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        squeeze_channels: int | None = None,
        activation: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ):
        super().__init__()
        if squeeze_channels is None:
            squeeze_channels = _reduced(channels, reduction)
        squeeze_channels = as_integer(squeeze_channels, "squeeze_channels")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeeze_channels, kernel_size=1)
        self.activation = activation()
        self.restore = nn.Conv2d(squeeze_channels, channels, kernel_size=1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(self.restore(self.activation(self.reduce(self.pool(x)))))  # (N, C, 1, 1)
        return weights * x


class CBAM(nn.Module):
    """Channel attention from averages and maxima, then pixel attention from averages and maxima.

    S. Woo, J. Park, J.-Y. Lee, I. S. Kweon, "CBAM: convolutional block attention module", 2018,
    arXiv:1807.06521, equations 2 and 3, which have no biases. Parameters: both pooled vectors go through the
    same two matrices, 2 C²/r; the k×k convolution reads two maps and writes one, 2 k².
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7):
        super().__init__()
        squeezed = _reduced(channels, reduction)
        if as_integer(kernel_size, "kernel_size") % 2 == 0:
            raise ValueError(f"kernel_size must be odd to keep the size of the map, got {kernel_size}")
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, squeezed, kernel_size=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, kernel_size=1, bias=False),
        )
        self.spatial = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        average, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)  # (N, C, 1, 1)
        x = torch.sigmoid(self.mlp(average) + self.mlp(maximum)) * x
        maps = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)  # (N, 2, H, W)
        return torch.sigmoid(self.spatial(maps)) * x


class ScSE(nn.Module):
    """Spatial and channel squeeze-and-excitation: both weigh the input, and the results are added.

    A. G. Roy, N. Navab, C. Wachinger, "Concurrent spatial and channel squeeze & excitation in fully
    convolutional networks", 2018, arXiv:1803.02579, with its reduction 2. Parameters: those of
    `SqueezeExcitation`, and C weights of the 1×1 convolution to one map: 2 C²/r + C/r + 2 C.
    """

    def __init__(self, channels: int, reduction: int = 2):
        super().__init__()
        self.channel = SqueezeExcitation(channels, reduction)
        self.spatial = nn.Conv2d(channels, 1, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.channel(x) + torch.sigmoid(self.spatial(x)) * x


class NonLocal(nn.Module):
    """Every pixel collects from all pixels, by similarity: the embedded Gaussian form.

    X. Wang, R. Girshick, A. Gupta, K. He, "Non-local neural networks", 2018, arXiv:1711.07971, equations 4
    and 6. Pixel i answers Σⱼ softmaxⱼ(θ(xᵢ) · φ(xⱼ)) g(xⱼ), brought back to C channels, normalized, and added
    to xᵢ. The normalization starts with scale 0 (section 4.1), so a new block changes nothing. Parameters,
    with C' = C/r: θ, φ and g have C C' + C' each, the way back C' C, the normalization 2 C: together
    4 C²/r + 3 C/r + 2 C. The similarities are (H W)² numbers a picture.
    """

    def __init__(self, channels: int, reduction: int = 2):
        super().__init__()
        inner = _reduced(channels, reduction)
        self.theta = nn.Conv2d(channels, inner, kernel_size=1)
        self.phi = nn.Conv2d(channels, inner, kernel_size=1)
        self.g = nn.Conv2d(channels, inner, kernel_size=1)
        self.back = nn.Conv2d(inner, channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def attention(self, x: Tensor) -> Tensor:
        """(N, HW, HW): row i says how much pixel i takes from each pixel; the rows add up to 1."""
        theta, phi = self.theta(x).flatten(2), self.phi(x).flatten(2)  # (N, C', HW)
        return (theta.transpose(1, 2) @ phi).softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        values = self.g(x).flatten(2)  # (N, C', HW)
        y = values @ self.attention(x).transpose(1, 2)  # (N, C', HW)
        return x + self.norm(self.back(y.unflatten(2, x.shape[2:])))


class GlobalContext(nn.Module):
    """One softmax over the pixels, the same for all: a weighted average of the map, transformed and added.

    Y. Cao, J. Xu, S. Lin, F. Wei, H. Hu, "GCNet: non-local networks meet squeeze-excitation networks and
    beyond", 2019, arXiv:1904.11492, equation 5: the non-local block's attention turned out to be nearly the
    same for every pixel. Parameters: the 1×1 convolution to one map C + 1, C → C/r with its biases
    C²/r + C/r, layer normalization 2 C/r, C/r → C with its biases C²/r + C: 2 C²/r + 3 C/r + 2 C + 1.
    The last convolution starts at 0, so a new block changes nothing.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        inner = _reduced(channels, reduction)
        self.score = nn.Conv2d(channels, 1, kernel_size=1)
        self.transform = nn.Sequential(
            nn.Conv2d(channels, inner, kernel_size=1),
            nn.LayerNorm([inner, 1, 1]),
            nn.ReLU(),
            nn.Conv2d(inner, channels, kernel_size=1),
        )
        nn.init.zeros_(self.transform[3].weight)
        nn.init.zeros_(self.transform[3].bias)

    def context(self, x: Tensor) -> Tensor:
        """(N, C, 1, 1): the average of the pixels, weighted by one softmax."""
        weights = self.score(x).flatten(2).softmax(dim=-1)  # (N, 1, HW)
        return (x.flatten(2) @ weights.transpose(1, 2)).unsqueeze(-1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.transform(self.context(x))


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of torchvision.ops.SqueezeExcitation for ours: fc1 -> reduce, fc2 -> restore."""
    return {
        key.replace("fc1.", "reduce.").replace("fc2.", "restore."): value for key, value in state_dict.items()
    }
