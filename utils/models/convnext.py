"""ConvNeXt: Z. Liu, H. Mao, C.-Y. Wu, C. Feichtenhofer, T. Darrell, S. Xie, "A ConvNet for the 2020s", 2022,
arXiv:2201.03545.

A ResNet modernized step by step with the choices of vision transformers, and still only convolutions:
patches for a stem, 7×7 depthwise filters, one normalization and one activation a block, four times wider in
the middle.

Left out: the 22k pretraining, the isotropic variants and XLarge (its widths are 256, 512, 1024, 2048).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from utils.models.arguments import positive, share

__all__ = [
    "FACTORIES",
    "Block",
    "ChannelNorm",
    "ConvNeXt",
    "DropPath",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "from_torchvision",
]


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels of each pixel, for (N, C, H, W)."""

    def __init__(self, channels: int):
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class DropPath(nn.Module):
    """Stochastic depth: in training, x becomes 0 for a picture with probability p, else x / (1 - p)."""

    def __init__(self, p: float):
        super().__init__()
        share(p=p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(1 - self.p)
        return x * keep / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:.3g}"


class Block(nn.Module):
    """7×7 depthwise, normalize, widen four times, GELU, narrow, scale each channel, add."""

    def __init__(self, channels: int, drop: float = 0.0, layer_scale: float = 1e-6):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel_size=7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 4 * channels)  # on (N, H, W, C): a 1×1 convolution
        self.gelu = nn.GELU()
        self.project = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels, 1, 1), layer_scale))
        self.drop = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.project(self.gelu(self.expand(self.norm(y)))).permute(0, 3, 1, 2)
        return x + self.drop(self.scale * y)


class ConvNeXt(nn.Module):
    """A stem of patches, four stages with a 2×2 down-sampling between them, global average, dense layer."""

    def __init__(
        self,
        widths: tuple[int, int, int, int],
        repeats: tuple[int, int, int, int],
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        drop_path: float = 0.0,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(drop_path=drop_path)
        patch = 2 if small else 4
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], patch, stride=patch),
            ChannelNorm(widths[0]),
        )
        drops = torch.linspace(0, drop_path, sum(repeats), device="cpu").tolist()  # deeper blocks rest more
        self.downsample, self.stages = nn.ModuleList(), nn.ModuleList()
        for number, (channels, blocks) in enumerate(zip(widths, repeats, strict=True)):
            down = nn.Identity()
            if number > 0:
                before = widths[number - 1]
                down = nn.Sequential(ChannelNorm(before), nn.Conv2d(before, channels, 2, stride=2))
            self.downsample.append(down)
            self.stages.append(nn.Sequential(*[Block(channels, drops.pop(0)) for _ in range(blocks)]))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm = ChannelNorm(widths[-1])
        self.classifier = nn.Linear(widths[-1], num_classes)
        self._initialize()

    def _initialize(self) -> None:
        """The paper's appendix A: truncated normal with deviation 0.02, biases 0."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # tiny: 96 × 56 × 56
        for downsample, stage in zip(self.downsample, self.stages, strict=True):
            x = stage(downsample(x))  # 96 × 56 × 56, 192 × 28 × 28, 384 × 14 × 14, 768 × 7 × 7
        return self.classifier(self.norm(self.pool(x)).flatten(1))


def convnext_tiny(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, drop_path: float = 0.1
) -> ConvNeXt:
    """ConvNeXt-T, the size of ResNet-50. small: patches of 2×2 pixels in place of 4×4, 32×32 -> 2×2."""
    return ConvNeXt((96, 192, 384, 768), (3, 3, 9, 3), num_classes, in_channels, small, drop_path)


def convnext_small(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, drop_path: float = 0.4
) -> ConvNeXt:
    """ConvNeXt-S: three times as deep in stage 3."""
    return ConvNeXt((96, 192, 384, 768), (3, 3, 27, 3), num_classes, in_channels, small, drop_path)


def convnext_base(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, drop_path: float = 0.5
) -> ConvNeXt:
    """ConvNeXt-B: as deep as S, a third wider."""
    return ConvNeXt((128, 256, 512, 1024), (3, 3, 27, 3), num_classes, in_channels, small, drop_path)


def convnext_large(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, drop_path: float = 0.5
) -> ConvNeXt:
    """ConvNeXt-L: as deep as S, twice as wide."""
    return ConvNeXt((192, 384, 768, 1536), (3, 3, 27, 3), num_classes, in_channels, small, drop_path)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state for our ConvNeXt. Its `features` are stem, stage, down-sampling, stage, ..."""
    renamed = {}
    for key, value in state_dict.items():
        number = re.match(r"features\.(\d)\.", key)
        if number:
            place, rest = int(number[1]), key[number.end() :]
            stage = (place - 1) // 2 if place % 2 else place // 2
            key = f"stages.{stage}.{rest}" if place % 2 else f"downsample.{stage}.{rest}"
            key = f"stem.{rest}" if place == 0 else key
        for old, new in NAMES:
            key = key.replace(old, new)
        renamed[key] = value
    return renamed


NAMES = (
    (".block.0.", ".depthwise."),
    (".block.2.", ".norm."),
    (".block.3.", ".expand."),
    (".block.5.", ".project."),
    (".layer_scale", ".scale"),
    ("classifier.0.", "norm."),
    ("classifier.2.", "classifier."),
)


FACTORIES = {
    "convnext_tiny": convnext_tiny,
    "convnext_small": convnext_small,
    "convnext_base": convnext_base,
    "convnext_large": convnext_large,
}
