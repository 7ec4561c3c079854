"""ResNet: layers that learn what to add to their input.

K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition, 2015, arXiv:1512.03385
(the 2015 networks); by the same authors, Identity mappings in deep residual networks, 2016, arXiv:1603.05027
(the pre-activation form); G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Weinberger, Deep networks with stochastic
depth, 2016, arXiv:1603.09382 (blocks that are left out at random).

The idea: a block computes a branch f(x) of two or three convolutions and returns f(x) + x. Where doing
nothing is best, the branch only has to become zero, and the gradient reaches every block through the sum.

Shortcuts (He et al. 2015, section 3.3 and table 3), by the argument `shortcut`:

    "A"      identity; where the shape changes, every second pixel, and zeros for the new channels
    "B"      identity; where the shape changes, a projection: a 1×1 convolution and a batch normalization
    "C"      a projection in every block
    None     none: the plain twin of the network

This file leaves out dilated stages and scale augmentation. Weights start as in torchvision, which follows the
paper: normal, with variance 2/fan_out in convolutions; 1 and 0 in batch normalizations.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.models.arguments import positive

# --- pieces ---


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3×3 convolution that keeps height and width (at stride 1), without bias: a normalization follows."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 1×1 convolution without bias: every pixel's channels, mixed."""
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


class ZeroPadShortcut(nn.Module):
    """Option A: every `stride`-th pixel, and zeros for the channels that x does not have. No weights."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        if out_channels < in_channels:
            raise ValueError(f"out_channels must be at least in_channels {in_channels}, got {out_channels}")
        self.new_channels = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.new_channels))


class StochasticDepth(nn.Module):
    """In training, the branch with probability `survival` and zero otherwise; in evaluation, its expectation.

    One draw serves the whole batch (Huang et al. 2016, equations 2 and 5). The mask stays on the device, and
    every step does the same work: a branch that is left out is computed, then multiplied by zero.
    """

    def __init__(self, survival: float):
        super().__init__()
        if not 0 < survival <= 1:
            raise ValueError(f"survival must be greater than 0 and at most 1, got {survival}")
        self.survival = survival

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training:
            return branch * self.survival
        return branch * (torch.rand((), device=branch.device) < self.survival)

    def extra_repr(self) -> str:
        return f"survival={self.survival:.3g}"


def linear_decay(count: int, last: float) -> list[float]:
    """Survival probabilities of `count` blocks: p_l = 1 - l/L (1 - p_L) (Huang et al. 2016, equation 4)."""
    return [1 - (block / count) * (1 - last) for block in range(1, count + 1)]


def make_shortcut(
    option: str | None, in_channels: int, out_channels: int, stride: int, norm: bool = True
) -> nn.Module | None:
    """The module beside a branch, by the options of the table above; `norm=False` drops the normalization."""
    if option not in ("A", "B", "C", None):
        raise ValueError(f'shortcut must be "A", "B", "C" or None, got {option!r}')
    same_shape = stride == 1 and in_channels == out_channels
    if option is None:
        return None
    if option == "C" or (option == "B" and not same_shape):
        projection = conv1x1(in_channels, out_channels, stride)
        return nn.Sequential(projection, nn.BatchNorm2d(out_channels)) if norm else projection
    return nn.Identity() if same_shape else ZeroPadShortcut(in_channels, out_channels, stride)


def make_drop(survival: float) -> nn.Module:
    """Stochastic depth, or nothing where the block always survives."""
    return nn.Identity() if survival == 1 else StochasticDepth(survival)


# --- blocks: convolution, normalization, activation (2015) ---


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut: ResNet-18 and 34, and the CIFAR networks."""

    expansion = 1  # output channels for each of `channels`
    preactivation = False

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: str | None = "B",
        survival: float = 1.0,
    ):
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.drop = make_drop(survival)
        self.shortcut = make_shortcut(shortcut, in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.drop(self.bn2(self.conv2(branch)))
        if self.shortcut is None:
            return self.relu(branch)
        return self.relu(branch + self.shortcut(x))


class Bottleneck(nn.Module):
    """1×1 to fewer channels, 3×3, 1×1 to four times as many: ResNet-50, 101 and 152.

    Where the block halves height and width, `stride_on` says which convolution does it: "3x3" as in
    torchvision ("ResNet v1.5") or the first "1x1" as in the paper, which skips three of four pixels and costs
    less.
    `groups` and `group_width` make the 3×3 convolution ResNeXt's; `group_width` 128 makes it WideResNet's.
    """

    expansion = 4
    preactivation = False

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: str | None = "B",
        survival: float = 1.0,
        stride_on: str = "3x3",
        groups: int = 1,
        group_width: int = 64,
    ):
        super().__init__()
        if stride_on not in ("1x1", "3x3"):
            raise ValueError(f'stride_on must be "1x1" or "3x3", got {stride_on!r}')
        width = channels * group_width // 64 * groups
        out_channels = channels * self.expansion
        self.conv1 = conv1x1(in_channels, width, stride if stride_on == "1x1" else 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride if stride_on == "3x3" else 1, groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.drop = make_drop(survival)
        self.shortcut = make_shortcut(shortcut, in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.drop(self.bn3(self.conv3(branch)))
        if self.shortcut is None:
            return self.relu(branch)
        return self.relu(branch + self.shortcut(x))


# --- blocks: normalization, activation, convolution (2016) ---


class PreactBasicBlock(nn.Module):
    """The pre-activation form: nothing stands between two sums, so x travels unchanged from block to block.

    Where the shortcut is not the identity, and in the `first` block, the shortcut starts behind the first
    activation (He et al. 2016, appendix); a projection has no normalization here. `dropout` between the
    convolutions is WideResNet's.
    """

    expansion = 1
    preactivation = True

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: str | None = "B",
        survival: float = 1.0,
        first: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv3x3(channels, channels)
        self.relu = nn.ReLU()
        self.drop = make_drop(survival)
        self.shortcut = make_shortcut(shortcut, in_channels, channels, stride, norm=False)
        self.shared = first or not isinstance(self.shortcut, nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu(self.bn1(x))
        branch = self.relu(self.bn2(self.conv1(active)))
        branch = self.drop(self.conv2(self.dropout(branch)))
        if self.shortcut is None:
            return branch
        return branch + self.shortcut(active if self.shared else x)


class PreactBottleneck(nn.Module):
    """The pre-activation form of the bottleneck: ResNet-164 and ResNet-1001."""

    expansion = 4
    preactivation = True

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: str | None = "B",
        survival: float = 1.0,
        first: bool = False,
    ):
        super().__init__()
        out_channels = channels * self.expansion
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv1x1(in_channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, stride)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv3 = conv1x1(channels, out_channels)
        self.relu = nn.ReLU()
        self.drop = make_drop(survival)
        self.shortcut = make_shortcut(shortcut, in_channels, out_channels, stride, norm=False)
        self.shared = first or not isinstance(self.shortcut, nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu(self.bn1(x))
        branch = self.relu(self.bn2(self.conv1(active)))
        branch = self.drop(self.conv3(self.relu(self.bn3(self.conv2(branch)))))
        if self.shortcut is None:
            return branch
        return branch + self.shortcut(active if self.shared else x)


# --- the network ---


class ResNet(nn.Module):
    """A stem, stages of blocks, global average pooling, one dense layer.

    block          the class of the blocks; further `options` go to each of them
    blocks         how many blocks each stage has
    widths         `channels` of each stage's blocks; from the second on, a stage starts with stride 2
    small          for 28×28 and 32×32 inputs: the stem is one 3×3 convolution of stride 1, without pooling
    stem_channels  channels of the stem, `widths[0]` unless given
    shortcut       "A", "B", "C" or None (see the top of this file)
    survival       stochastic depth: the probability that the last block survives, by linear decay
    """

    def __init__(
        self,
        block: type[nn.Module],
        blocks: Sequence[int],
        widths: Sequence[int] = (64, 128, 256, 512),
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        stem_channels: int | None = None,
        shortcut: str | None = "B",
        survival: float = 1.0,
        **options,
    ):
        super().__init__()
        if len(blocks) != len(widths):
            raise ValueError(f"blocks must have one entry for each of the widths {widths}, got {blocks}")
        if not 0 < survival <= 1:
            raise ValueError(f"survival must be greater than 0 and at most 1, got {survival}")
        positive(num_classes=num_classes, in_channels=in_channels)
        channels = stem_channels or widths[0]
        self.stem = make_stem(in_channels, channels, small, block.preactivation)
        survivals = linear_decay(sum(blocks), survival)
        stages = []
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            units = []
            for unit in range(count):
                stride = 2 if stage > 0 and unit == 0 else 1
                if block.preactivation:
                    options["first"] = small and stage == 0 and unit == 0
                units.append(block(channels, width, stride, shortcut, survivals.pop(0), **options))
                channels = width * block.expansion
            stages.append(nn.Sequential(*units))
        self.stages = nn.Sequential(*stages)
        # Between the last sum of a pre-activation network and the pooling stands no activation yet.
        self.norm = (
            nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU()) if block.preactivation else nn.Identity()
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:  # ResNet-18: (N, 3, 224, 224)
        x = self.stem(x)  # (N, 64, 56, 56)
        x = self.stages(x)  # (N, 64, 56, 56), (N, 128, 28, 28), (N, 256, 14, 14), (N, 512, 7, 7)
        x = self.pool(self.norm(x)).flatten(1)  # (N, 512)
        return self.fc(x)  # (N, 1000)


def make_stem(in_channels: int, out_channels: int, small: bool, preactivation: bool) -> nn.Module:
    """What stands before the first stage: a quarter of height and width, or, `small`, the same ones."""
    if small and preactivation:
        return conv3x3(in_channels, out_channels)  # the first block normalizes
    if small:
        return nn.Sequential(conv3x3(in_channels, out_channels), nn.BatchNorm2d(out_channels), nn.ReLU())
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def initialize(model: nn.Module) -> None:
    """He initialization of all convolutions as in torchvision: variance 2 / (out_channels · k²)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


# --- the networks of the papers ---


def resnet18(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """11.7 million parameters."""
    return ResNet(BasicBlock, (2, 2, 2, 2), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def resnet34(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """21.8 million parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def resnet50(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """25.6 million parameters. `stride_on="1x1"` is the paper's form."""
    return ResNet(Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def resnet101(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """44.5 million parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def resnet152(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """60.2 million parameters."""
    return ResNet(Bottleneck, (3, 8, 36, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def plain18(num_classes: int = 1000, in_channels: int = 3, small: bool = False) -> ResNet:
    """ResNet-18 without its shortcuts."""
    return resnet18(num_classes, in_channels, small, shortcut=None)


def plain34(num_classes: int = 1000, in_channels: int = 3, small: bool = False) -> ResNet:
    """ResNet-34 without its shortcuts."""
    return resnet34(num_classes, in_channels, small, shortcut=None)


def preact_resnet18(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """ResNet-18 of pre-activation blocks."""
    return ResNet(
        PreactBasicBlock, (2, 2, 2, 2), (64, 128, 256, 512), num_classes, in_channels, small, **options
    )


def preact_resnet50(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """ResNet-50 of pre-activation blocks."""
    return ResNet(
        PreactBottleneck, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options
    )


def require_small(small: bool) -> None:
    """Raises ValueError where a network that exists only for small pictures is asked for its large form."""
    if not small:
        raise ValueError("small must be True: this network is made for 28×28 and 32×32 pictures, got False")


def cifar_resnet(
    depth: int,
    num_classes: int = 10,
    in_channels: int = 3,
    block: type[nn.Module] = BasicBlock,
    width: int = 16,
    shortcut: str | None = "A",
    survival: float = 1.0,
    small: bool = True,
) -> ResNet:
    """The form for 32×32 pictures (He et al. 2015, section 4.2): three stages of `width` channels,
    twice and four times as many.

    `depth` counts the convolutions on the longest path and the dense layer: 6n + 2 with the two layers of a
    basic block, 9n + 2 with the three of a bottleneck.
    """
    require_small(small)
    layers = 2 if block.expansion == 1 else 3
    count, rest = divmod(depth - 2, 3 * layers)
    if rest or count < 1:
        raise ValueError(f"depth must be {3 * layers}n + 2 with {block.__name__}, n at least 1, got {depth}")
    widths = (width, 2 * width, 4 * width)
    return ResNet(
        block, (count,) * 3, widths, num_classes, in_channels, True, shortcut=shortcut, survival=survival
    )


def resnet20(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """0.27 million parameters."""
    return cifar_resnet(20, num_classes, in_channels, **options)


def resnet32(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """0.46 million parameters."""
    return cifar_resnet(32, num_classes, in_channels, **options)


def resnet44(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """0.66 million parameters."""
    return cifar_resnet(44, num_classes, in_channels, **options)


def resnet56(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """0.85 million parameters."""
    return cifar_resnet(56, num_classes, in_channels, **options)


def resnet110(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """1.7 million parameters."""
    return cifar_resnet(110, num_classes, in_channels, **options)


def resnet1202(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """19.4 million parameters, and worse than ResNet-110 in the paper."""
    return cifar_resnet(1202, num_classes, in_channels, **options)


def plain20(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """ResNet-20 without its shortcuts."""
    return cifar_resnet(20, num_classes, in_channels, shortcut=None, **options)


def plain32(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """ResNet-32 without its shortcuts."""
    return cifar_resnet(32, num_classes, in_channels, shortcut=None, **options)


def plain44(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """ResNet-44 without its shortcuts."""
    return cifar_resnet(44, num_classes, in_channels, shortcut=None, **options)


def plain56(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """ResNet-56 without its shortcuts."""
    return cifar_resnet(56, num_classes, in_channels, shortcut=None, **options)


def preact_resnet20(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """ResNet-20 of pre-activation blocks."""
    return cifar_resnet(20, num_classes, in_channels, PreactBasicBlock, **options)


def preact_resnet110(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """ResNet-110 of pre-activation blocks."""
    return cifar_resnet(110, num_classes, in_channels, PreactBasicBlock, **options)


def preact_resnet164(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """Pre-activation bottlenecks, 1.7 million parameters."""
    return cifar_resnet(164, num_classes, in_channels, PreactBottleneck, shortcut="B", **options)


def preact_resnet1001(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """Pre-activation bottlenecks, 10.3 million parameters (the paper prints 10.2)."""
    return cifar_resnet(1001, num_classes, in_channels, PreactBottleneck, shortcut="B", **options)


def stochastic_depth110(
    num_classes: int = 10, in_channels: int = 3, survival: float = 0.5, **options
) -> ResNet:
    """ResNet-110 whose blocks are left out at random in training, the last one half of the time."""
    return cifar_resnet(110, num_classes, in_channels, survival=survival, **options)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of torchvision's resnet, wide_resnet or resnext under the names of this file.

    conv1 and bn1 become stem.0 and stem.1; layer1 to layer4 become stages.0 to stages.3; downsample becomes
    shortcut. Everything inside the blocks, and fc, has the same name in both.
    """
    renamed = {}
    for name, value in state_dict.items():
        first, _, rest = name.partition(".")
        if first == "conv1":
            name = f"stem.0.{rest}"
        elif first == "bn1":
            name = f"stem.1.{rest}"
        elif first.startswith("layer"):
            name = f"stages.{int(first.removeprefix('layer')) - 1}.{rest.replace('downsample', 'shortcut')}"
        renamed[name] = value
    return renamed


FACTORIES = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
    "plain18": plain18,
    "plain34": plain34,
    "preact_resnet18": preact_resnet18,
    "preact_resnet50": preact_resnet50,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet44": resnet44,
    "resnet56": resnet56,
    "resnet110": resnet110,
    "resnet1202": resnet1202,
    "plain20": plain20,
    "plain32": plain32,
    "plain44": plain44,
    "plain56": plain56,
    "preact_resnet20": preact_resnet20,
    "preact_resnet110": preact_resnet110,
    "preact_resnet164": preact_resnet164,
    "preact_resnet1001": preact_resnet1001,
    "stochastic_depth110": stochastic_depth110,
}
