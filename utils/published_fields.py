"""Published receptive fields of well-known networks, and the networks they were computed for.

`PUBLISHED` holds the table of Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
networks", Distill, 2019, doi:10.23915/distill.00021 (rows of the table of their library,
github.com/google-research/receptive_field). Their numbers belong to the TensorFlow-Slim definitions of the
networks, which differ in places from the papers and from torchvision. Each entry builds a network with the
windows of that definition: torchvision's model where it agrees, else a skeleton with one channel
everywhere, because channels do not matter.

    table()     published against computed, one row a network
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from utils.receptive_field import receptive_field
from utils.table import Table

__all__ = ["PUBLISHED", "SOURCE", "Published", "table"]

SOURCE = "Araujo, Norris and Sim (2019), doi:10.23915/distill.00021"


@dataclasses.dataclass(frozen=True)
class Published:
    """One row of the published table.

    size, stride, padding   of the receptive field of the layer, in pixels, as published
    build                   makes the network
    layer                   the module whose output is meant
    pixels                  side of the input (padding may depend on it)
    torchvision             name and layer of torchvision's model of that name, if it has one
    note                    what the published number counts, where that is not what one expects
    """

    name: str
    size: int
    stride: int
    padding: int
    build: Callable[[], nn.Module]
    layer: str = ""
    pixels: int = 224
    torchvision: tuple[str, str] | None = None
    note: str = ""

    def computed(self) -> tuple[int, int, int]:
        """Size, stride and padding as `receptive_field` finds them for the network of `build`."""
        field = receptive_field(self.build(), (1, 3, self.pixels, self.pixels))[self.layer]
        return field.local[0], field.jump[0], field.effective_padding[0]

    def today(self) -> int | None:
        """The size for torchvision's model of the same name."""
        if self.torchvision is None:
            return None
        name, layer = self.torchvision
        return receptive_field(_torchvision(name), (1, 3, self.pixels, self.pixels))[layer].local[0]


def _torchvision(name: str) -> nn.Module:
    """A model of torchvision without numbers in its weights."""
    import torchvision

    plain = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}  # else these two warn
    with torch.device("meta"):
        return torchvision.models.get_model(name, **plain)


# --------------------------------------------------------------------------- skeletons: windows, no channels


class Same(nn.Module):
    """TensorFlow's SAME: as much padding as makes ceil(n / stride) outputs, the odd row and column behind."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for n, k, s in zip(x.shape[:1:-1], _pair(self.layer.kernel_size)[::-1], _pair(self.layer.stride),
                           strict=True):  # fmt: skip
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads += [total // 2, total - total // 2]
        return self.layer(nn.functional.pad(x, pads))


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


class Mixed(nn.Module):
    """Branches side by side, added up: for the windows the same as concatenated."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return sum(branch(x) for branch in self.branches)


def conv(kernel: int | tuple[int, int], stride: int = 1, same: bool = True) -> nn.Module:
    """A convolution of one channel, SAME or VALID."""
    layer = nn.Conv2d(1, 1, kernel, stride)
    return Same(layer) if same else layer


def pool(stride: int = 1, same: bool = True) -> nn.Module:
    """A 3×3 pooling."""
    layer = nn.MaxPool2d(3, stride)
    return Same(layer) if same else layer


def chain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def _from_three_channels(*layers: nn.Module) -> nn.Sequential:
    return chain(nn.Conv2d(3, 1, 1), *layers)


def alexnet_v2() -> nn.Module:
    """AlexNet in one column (Krizhevsky 2014), no padding in the first layer and in the poolings."""
    return _from_three_channels(
        conv(11, 4, same=False), pool(2, same=False), conv(5), pool(2, same=False), conv(3), conv(3), conv(3),
        pool(2, same=False),
    )  # fmt: skip


def mobilenet_v1() -> nn.Module:
    """Howard et al. 2017: a 3×3 convolution and thirteen depthwise ones; the 1×1 between them see no more."""
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    return _from_three_channels(conv(3, 2), *(conv(3, s) for s in strides))


def inception_v2() -> nn.Module:
    """Ioffe and Szegedy 2015: GoogLeNet with each 5×5 replaced by two 3×3."""

    def block() -> nn.Module:
        return Mixed(conv(1), conv(3), chain(conv(3), conv(3)), pool())

    def reduction() -> nn.Module:
        return Mixed(conv(3, 2), chain(conv(3), conv(3, 2)), pool(2))

    stem = (conv(7, 2), pool(2), conv(1), conv(3), pool(2))
    middle = (reduction(), *(block() for _ in range(4)))
    return _from_three_channels(*stem, block(), block(), *middle, reduction(), block(), block())


def _last_blocks() -> nn.Module:
    """Inception-C: 1×3 and 3×1 side by side, behind 3×1 and 1×3."""
    ends = [Mixed(conv((1, 3)), conv((3, 1))) for _ in range(2)]
    return Mixed(conv(1), ends[0], chain(conv((3, 1)), conv((1, 3)), ends[1]), pool())


def inception_v4() -> nn.Module:
    """Szegedy et al. 2016: stem, 4 Inception-A, 7 Inception-B, 3 Inception-C, two reductions."""

    def a() -> nn.Module:
        return Mixed(conv(1), conv(3), chain(conv(3), conv(3)), pool())

    def b() -> nn.Module:
        seven = [conv(k) for k in ((7, 1), (1, 7), (7, 1), (1, 7))]
        return Mixed(conv(1), chain(conv((1, 7)), conv((7, 1))), chain(*seven), pool())

    half = [lambda: conv(3, 2, same=False), lambda: pool(2, same=False)]
    stem = (
        half[0](),
        conv(3, same=False),
        conv(3),
        Mixed(*(h() for h in half)),
        Mixed(conv(3, same=False), chain(conv((1, 7)), conv((7, 1)), conv(3, same=False))),
        Mixed(*(h() for h in half)),
    )
    to_b = Mixed(*(h() for h in half), chain(conv(3), half[0]()))
    to_c = Mixed(*(h() for h in half), chain(conv((1, 7)), conv((7, 1)), half[0]()))
    return _from_three_channels(
        *stem,
        *(a() for _ in range(4)),
        to_b,
        *(b() for _ in range(7)),
        to_c,
        *(_last_blocks() for _ in range(3)),
    )


def inception_resnet_v2() -> nn.Module:
    """Szegedy et al. 2016: 10, 20 and 10 residual Inception blocks."""

    def residual(*longest: nn.Module) -> nn.Module:
        return Mixed(nn.Identity(), conv(1), chain(*longest))

    def half() -> list[nn.Module]:
        return [conv(3, 2, same=False), chain(conv(3), conv(3, 2, same=False)), pool(2, same=False)]

    return _from_three_channels(
        conv(3, 2, same=False), conv(3, same=False), conv(3), pool(2, same=False), conv(1),
        conv(3, same=False), pool(2, same=False),
        Mixed(conv(1), conv(5), chain(conv(3), conv(3)), pool()),
        *(residual(conv(3), conv(3)) for _ in range(10)), Mixed(*half()),
        *(residual(conv((1, 7)), conv((7, 1))) for _ in range(20)), Mixed(*half()),
        *(residual(conv((1, 3)), conv((3, 1))) for _ in range(10)),
    )  # fmt: skip


def slim_resnet(name: str) -> nn.Module:
    """torchvision's ResNet with Slim's strides: in the last unit of a block, not in the first of the next."""
    model = _torchvision(name)
    model.maxpool = Same(nn.MaxPool2d(3, 2))
    for block, following in (
        (model.layer1, model.layer2),
        (model.layer2, model.layer3),
        (model.layer3, model.layer4),
    ):
        block[-1].conv2.stride = (2, 2)
        block[-1].downsample = nn.MaxPool2d(1, 2)
        following[0].conv2.stride = following[0].downsample[0].stride = (1, 1)
    return model


def paper_resnet(name: str) -> nn.Module:
    """torchvision's ResNet with the strides of He et al. 2015: in the first 1×1 of a stage, not the 3×3."""
    model = _torchvision(name)
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    return model


_STRIDES = (
    "Slim puts the stride into the last unit of a block, He et al. into the first 1×1 of the next stage: the "
    "same size. torchvision puts it into the 3×3 behind it, which then takes steps half as large: 56 less."
)

PUBLISHED: tuple[Published, ...] = (
    Published("AlexNet v2", 195, 32, 64, alexnet_v2, torchvision=("alexnet", "features"),
              note="The last pooling. torchvision pads the first layer by 2: padding 66, the same size."),
    Published("VGG-16", 212, 32, 90, lambda: _torchvision("vgg16"), "features",
              torchvision=("vgg16", "features"), note="The last pooling; the last convolution sees 196."),
    Published("Inception v2", 699, 32, 318, inception_v2,
              note="GoogLeNet with two 3×3 for each 5×5. TensorFlow pads unevenly; 318 is for 224×224."),
    Published("Inception v3", 1311, 32, 618, lambda: _torchvision("inception_v3"), "Mixed_7c", 299,
              ("inception_v3", "Mixed_7c")),
    Published("Inception v4", 2071, 32, 998, inception_v4, pixels=299),
    Published("Inception-ResNet v2", 3039, 32, 1482, inception_resnet_v2, pixels=299),
    Published("MobileNet v1", 315, 32, 126, mobilenet_v1,
              note="TensorFlow pads unevenly; 126 is for 224×224."),
    Published("ResNet-50 v1", 483, 32, 239, lambda: slim_resnet("resnet50"), "layer4",
              torchvision=("resnet50", "layer4"), note=_STRIDES),
    Published("ResNet-101 v1", 1027, 32, 511, lambda: slim_resnet("resnet101"), "layer4",
              torchvision=("resnet101", "layer4"), note="As ResNet-50."),
    Published("ResNet-152 v1", 1507, 32, 751, lambda: slim_resnet("resnet152"), "layer4",
              torchvision=("resnet152", "layer4"), note="As ResNet-50."),
)  # fmt: skip
"""Size, stride (our jump) and padding of the last layer before the global pooling, as published."""


def table() -> Table:
    """Published against computed, and the size that torchvision's model of the same name has."""
    rows = []
    for p in PUBLISHED:
        size, stride, padding = p.computed()
        rows.append([p.name, p.size, size, p.stride, stride, p.padding, padding, p.today()])
    columns = [
        "network",
        "size",
        "found",
        "stride",
        "stride found",
        "padding",
        "padding found",
        "torchvision",
    ]
    return Table(columns, rows, caption=f"Published receptive fields: {SOURCE}")
