"""utils.receptive_field: against back-propagated gradients on random networks, and against published values."""

import contextlib
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from experiments.provenance import RESULTS  # noqa: E402
from utils.published_fields import PUBLISHED, paper_resnet  # noqa: E402
from utils.published_fields import table as published_table  # noqa: E402
from utils.receptive_field import (  # noqa: E402
    Region,
    Step,
    effective,
    fit_gaussian,
    measured,
    receptive_field,
    sequence,
)

# --------------------------------------------------------------------------- random networks


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


class Meet(nn.Module):
    """Branches that are added or concatenated; the larger map is cropped to the smaller one."""

    def __init__(self, branches, how, corner):
        super().__init__()
        self.branches, self.how, self.corner = nn.ModuleList(branches), how, corner
        self.mix = nn.Conv2d(C * len(branches), C, 1)

    def forward(self, x):
        maps = [branch(x) for branch in self.branches]
        h, w = (min(m.shape[d] for m in maps) for d in (2, 3))
        if self.corner == "first":
            maps = [m[..., :h, :w] for m in maps]
        else:
            maps = [m[..., m.shape[2] - h :, m.shape[3] - w :] for m in maps]
        return sum(maps) if self.how == "add" else self.mix(torch.cat(maps, 1))


C = 4  # channels everywhere; with two, layer norm would leave only signs
small, pair = st.integers(1, 4), st.tuples


@st.composite
def convolutions(draw):
    kernel = draw(pair(small, small))
    stride = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(pair(st.integers(1, 3), st.integers(1, 2)))
    padding = draw(pair(st.integers(0, 3), st.integers(0, 3)))
    mode = draw(st.sampled_from(["zeros", "zeros", "replicate", "reflect"]))
    groups = draw(st.sampled_from([1, C]))
    return nn.Conv2d(C, C, kernel, stride, padding, dilation, groups, padding_mode=mode)


@st.composite
def transposed(draw):
    stride = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.integers(1, 2))
    padding, extra = draw(st.integers(0, 1)), draw(st.integers(0, min(stride) - 1))
    return nn.ConvTranspose2d(C, C, draw(pair(small, small)), stride, padding, extra, dilation=dilation)


@st.composite
def poolings(draw):
    kernel = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    ceil = draw(st.booleans())
    if draw(st.booleans()):
        return nn.MaxPool2d(kernel, stride, padding, draw(st.integers(1, 2)), ceil_mode=ceil)
    if draw(st.booleans()):
        return nn.LPPool2d(2, kernel, stride)
    return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil)


@st.composite
def others(draw):
    a, b, c, d = (draw(st.integers(0, 2)) for _ in range(4))
    size = draw(pair(st.integers(2, 9), st.integers(2, 9)))
    return draw(
        st.sampled_from(
            [
                nn.BatchNorm2d(C),
                nn.ReLU(),
                nn.GELU(),
                nn.Dropout2d(),
                nn.ZeroPad2d((a, b, c, d)),
                nn.ReplicationPad2d((a, b, c, d)),
                nn.Upsample(scale_factor=2),
                nn.Upsample(scale_factor=(1.5, 2.5), mode="nearest-exact"),
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Upsample(size=size, mode="bilinear", align_corners=True),
                nn.Upsample(size=size, mode="bicubic"),
                nn.Upsample(size=size, mode="nearest"),
                nn.AdaptiveAvgPool2d(size),
                nn.Sequential(nn.Conv2d(C, 4 * C, 1), nn.PixelShuffle(2)),
                nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * C, C, 1)),
                Function(lambda x: torch.roll(x, (a, -b), (2, 3))),
                Function(lambda x: x.flip(3)),
                Function(lambda x: x[:, :, a:, : x.shape[3] - b]),
                Function(lambda x: x[..., ::2, 1::2]),
                Function(lambda x: torch.cat(x.chunk(2, 1)[::-1], 1)),
                Function(lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (C,)).permute(0, 3, 1, 2)),
                Function(lambda x: x.flatten(2).transpose(1, 2).transpose(1, 2).unflatten(2, x.shape[2:])),
                nn.LocalResponseNorm(3),
                nn.ChannelShuffle(2),
                Function(lambda x: x * (1 + x.mean(1, keepdim=True))),
                Function(lambda x: x.softmax(1)),
            ]
        )
    )


def layers():
    return st.one_of(convolutions(), convolutions(), poolings(), transposed(), others())


def chains(longest):
    return st.lists(layers(), min_size=1, max_size=longest).map(lambda parts: nn.Sequential(*parts))


@st.composite
def meetings(draw):
    branches = [draw(chains(2)) for _ in range(draw(st.integers(1, 2)))] + [
        draw(st.just(nn.Identity()) | chains(2))
    ]
    return Meet(branches, draw(st.sampled_from(["add", "cat"])), draw(st.sampled_from(["first", "last"])))


def networks():
    return st.lists(layers() | meetings(), min_size=1, max_size=4).map(lambda parts: nn.Sequential(*parts))


def runs(network, size):
    """Whether the network runs on this size, and ends in a map that is not too large."""
    try:
        with torch.no_grad():
            y = network.eval()(torch.zeros(size))
    except RuntimeError:
        return False
    return min(y.shape) >= 1 and max(y.shape) <= 60


def has_dead_units(fields):
    """Whether some unit on the way sees padding only, or nothing."""
    return any(np.isinf(line.first).any() for layer in fields for line in layer.lines)


def refers_back(network):
    """Whether something stands beyond the edge that comes from inside: there a window and a region differ."""
    kinds = (nn.ReplicationPad2d, nn.Upsample, Function)
    return any(
        isinstance(m, kinds) or getattr(m, "padding_mode", "zeros") != "zeros" for m in network.modules()
    )


def contains(large, other):
    if other is None or large == other:
        return True
    return (
        large is not None
        and large.top <= other.top <= other.bottom <= large.bottom
        and large.left <= other.left <= other.right <= large.right
    )


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(network=networks(), height=st.integers(5, 24), width=st.integers(5, 24), seed=st.integers(0, 99))
def test_agrees_with_gradients_on_random_networks(network, height, width, seed):
    size = (1, C, height, width)
    if not runs(network, size):
        return
    fields = receptive_field(network, size)
    layer, branches = fields[""], any(isinstance(m, Meet) for m in network)
    h, w = network(torch.zeros(size)).shape[2:]
    rng = np.random.default_rng(seed)
    for unit in {(0, 0), (h - 1, w - 1), (h // 2, w // 2), (int(rng.integers(h)), int(rng.integers(w)))}:
        found = layer.region(*unit)
        truth = measured(network, size, unit=unit)
        if branches and has_dead_units(fields):  # a path dead along one axis still counts along the other
            assert contains(found, truth), (network, size, unit)
        else:
            assert found == truth, (network, size, unit)
        padded = any(line.padded[i] for line, i in zip(layer.lines, unit, strict=True))
        if layer.local is not None and not layer.everything and not padded and not refers_back(network):
            window = layer.window(*unit)
            assert window == found, (network, size, unit)
            if window is not None:
                assert window.height <= layer.local[0]
                assert window.width <= layer.local[1]


@settings(max_examples=40, deadline=None)
@given(
    layers=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3)),
        min_size=1,
        max_size=4,
    )
)
def test_sequence_is_the_calculator_on_a_chain(layers):
    model = nn.Sequential(*(nn.Conv1d(1, 1, k, s, p, d) for k, s, p, d in layers))
    steps = sequence(layers)
    fields = receptive_field(model, (1, 1, 400))
    assert len(fields) == len(steps)
    for step, layer in zip(steps, fields, strict=True):
        assert (step.size, step.jump, step.start) == (layer.size[0], layer.jump[0], layer.start[0])
        assert step.effective_padding == layer.effective_padding[0]


def test_sequence_of_the_syllabus():
    assert [step.size for step in sequence([3, 3, 3, 3, 2])] == [3, 5, 7, 9, 10]
    assert sequence([(3, 2, 1), (3, 1, 1, 2)])[-1] == Step(3, 1, 1, 2, size=11, jump=2, start=2.0)
    assert sequence([]) == []


@pytest.mark.parametrize("layer", [(), (1, 2, 3, 4, 5), (0,), (3, 0), (3, 1, -1), (3, 1, 0, 0), (2.5,)])
def test_sequence_names_the_bad_layer(layer):
    with pytest.raises(ValueError, match=r"layers\[1\]: expected"):
        sequence([3, layer])


# --------------------------------------------------------------------------- published values


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.name)
def test_published_receptive_fields(row):
    assert row.computed() == (row.size, row.stride, row.padding)


@pytest.mark.parametrize(("name", "published"), [("resnet50", 483), ("resnet101", 1027), ("resnet152", 1507)])
def test_the_stride_of_the_paper_gives_the_published_size_and_that_of_torchvision_does_not(name, published):
    assert receptive_field(paper_resnet(name))["layer4"].size == (published, published)
    (row,) = (row for row in PUBLISHED if row.size == published)
    assert row.today() == published - 56  # three 3×3 see steps half as large: 2 · (4 + 8 + 16)


# end-points of the same library's table: github.com/google-research/receptive_field, RECEPTIVE_FIELD_TABLE.md
ALEXNET = [
    (11, 4, 0), (19, 8, 0), (51, 8, 16), None, (99, 16, 32), (131, 16, 48), (163, 16, 64), (195, 32, 64),
]  # fmt: skip
VGG_16 = {
    0: (3, 1, 1), 4: (6, 2, 2), 5: (10, 2, 4), 9: (16, 4, 6), 10: (24, 4, 10), 16: (44, 8, 18), 17: (60, 8, 26),
    23: (100, 16, 42), 24: (132, 16, 58), 30: (212, 32, 90),
}  # fmt: skip
INCEPTION_V3 = {
    "Conv2d_1a_3x3": (3, 2, 0), "Conv2d_2b_3x3": (11, 2, 2), "maxpool2": (31, 8, 2), "Mixed_5b": (63, 8, 18),
    "Mixed_5d": (127, 8, 50), "Mixed_6a": (159, 16, 58), "Mixed_6b": (351, 16, 154), "Mixed_6e": (927, 16, 442),
    "Mixed_7a": (1055, 32, 490), "Mixed_7b": (1183, 32, 554), "Mixed_7c": (1311, 32, 618),
}  # fmt: skip


def numbers(layer):
    assert layer.local == layer.size
    return layer.local[0], layer.jump[0], layer.effective_padding[0]


def test_published_end_points():
    steps = sequence([(11, 4), (3, 2), (5, 1, 2), (3, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2)])
    found = [(step.size, step.jump, step.effective_padding) for step in steps]
    assert [f for f, row in zip(found, ALEXNET, strict=True) if row] == [row for row in ALEXNET if row]
    fields = receptive_field(torchvision.models.vgg16(weights=None, init_weights=False))
    assert {i: numbers(fields[f"features.{i}"]) for i in VGG_16} == VGG_16
    model = torchvision.models.inception_v3(weights=None, init_weights=False)
    fields = receptive_field(model, (1, 3, 299, 299))
    assert {name: numbers(fields[name]) for name in INCEPTION_V3} == INCEPTION_V3


MODELS = [
    "alexnet", "convnext_tiny", "convnext_small", "convnext_base", "densenet121", "densenet161",
    "densenet169", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "efficientnet_b4", "efficientnet_v2_s", "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5",
    "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "regnet_x_400mf",
    "regnet_y_400mf", "regnet_x_800mf", "resnet18", "resnet34", "resnet50", "resnet101",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "squeezenet1_0", "squeezenet1_1",
    "swin_t", "swin_v2_t", "vgg11", "vgg11_bn", "vgg13", "vgg16", "vgg16_bn", "vgg19", "vit_b_16",
    "vit_b_32", "wide_resnet50_2",
]  # fmt: skip


@pytest.mark.slow
def test_every_torchvision_classifier_has_receptive_fields():
    assert len(MODELS) >= 40
    for name in MODELS:
        real = name.startswith(("regnet", "swin", "maxvit"))  # their constructors need numbers
        with contextlib.nullcontext() if real else torch.device("meta"):
            plain = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
            model = torchvision.models.get_model(name, **plain)
        fields = receptive_field(model, (1, 3, 299, 299) if name == "inception_v3" else (1, 3, 224, 224))
        unknown = [note for note in fields.notes.values() if "unknown" in note]
        assert not unknown, (name, unknown)
        assert fields[""].everything, name  # a classifier sees the whole picture
        assert fields.last.local[0] >= fields.last.smallest[0] >= 1, name
        assert len(str(fields)) > 1000, name


def test_resnet_against_gradients():
    model = torchvision.models.resnet18(weights=None)
    size = (1, 3, 96, 80)
    fields = receptive_field(model, size)
    for layer in ("conv1", "maxpool", "layer1.0", "layer1", "layer2.0.downsample", "layer2", "layer3"):
        for unit in ((0, 0), (2, 1)):
            assert fields[layer].region(*unit) == measured(model, size, layer, unit), (layer, unit)


# --------------------------------------------------------------------------- what the answer says


def field_of(function, size=(1, 4, 12, 10)):
    model = function if isinstance(function, nn.Module) else Function(function)
    return receptive_field(model, size)[""]


EVERYTHING = {
    "global pooling": lambda x: x.mean((2, 3)),
    "global pooling, module": nn.AdaptiveMaxPool2d(1),
    "flatten and linear": nn.Sequential(nn.Flatten(), nn.Linear(480, 3)),
    "group norm": nn.GroupNorm(2, 4),
    "instance norm": nn.InstanceNorm2d(4),
    "layer norm over space": nn.LayerNorm((12, 10)),
    "softmax over positions": lambda x: x.flatten(2).softmax(-1),
    "attention": lambda x: F.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)] * 3),
    "positions in windows": lambda x: x.reshape(1, 4, 3, 4, 5, 2).sum(3),
    "a token in front": lambda x: torch.cat([x.flatten(2), x.flatten(2)[..., :1]], 2),
}


@pytest.mark.parametrize("name", EVERYTHING)
def test_global_operations_see_everything(name):
    layer = field_of(EVERYTHING[name])
    assert layer.size == (math.inf, math.inf)
    assert layer.everything
    assert layer.local is layer.smallest is layer.jump is layer.start is None
    assert layer.region() == Region(0, 11, 0, 9)
    assert layer.outside() is None


def test_one_axis_may_see_everything_and_the_other_not():
    layer = field_of(lambda x: F.avg_pool2d(x, (3, 1), 1).mean(3))
    assert layer.size == (3, math.inf)
    assert layer.region(0, 0) == Region(0, 2, 0, 9)
    layer = field_of(lambda x: F.layer_norm(x, (10,)))  # over the columns only
    assert layer.size == (1, math.inf)


def test_a_gate_sees_everything_and_the_rest_does_not():
    class SqueezeExcite(nn.Sequential):
        def forward(self, x):
            return x * self[0](x).mean((2, 3), keepdim=True).sigmoid()

    fields = receptive_field(
        nn.Sequential(nn.Conv2d(4, 4, 5), SqueezeExcite(nn.Conv2d(4, 4, 1))), (1, 4, 12, 10)
    )
    layer = fields["1"]
    assert layer.size == (math.inf, math.inf)
    assert layer.local == layer.smallest == (5, 5)
    assert layer.region(0, 0) == Region(0, 11, 0, 9)
    assert "everything (5)" in str(fields)
    assert fields.notes == {"1.mean": "mean: sees all positions"}


def test_smallest_and_largest_path_of_a_residual_block():
    fields = receptive_field(torchvision.models.resnet18(weights=None))
    assert fields["layer1.0"].local == (27, 27)
    assert fields["layer1.0"].smallest == (11, 11)  # the shortcut
    assert fields["layer1.0.conv2"].smallest == (27, 27)
    assert fields.last.name.startswith("layer4.1.relu")
    assert fields.last.size == (435, 435)
    assert len(fields.table(changes=True)) < len(fields.table()) == len(fields)


def test_paths_that_drift_apart_see_everything():
    layer = field_of(lambda x: x[..., ::2] + x[..., :5])
    assert layer.size == (1, math.inf)
    assert layer.region(3, 4) == Region(3, 3, 4, 8)  # and in this run exactly that


def test_transposed_convolution_has_a_jump_below_one_and_alternating_windows():
    layer = field_of(nn.ConvTranspose2d(4, 4, 3, stride=2))
    assert layer.jump == (0.5, 0.5)
    assert layer.size == (2, 2)
    assert [layer.window(i, 0).height for i in (2, 3, 4)] == [2, 1, 2]


def test_units_that_see_nothing():
    layer = field_of(nn.ConvTranspose2d(4, 4, 1, stride=2, padding=1))  # every other output is the bias alone
    assert layer.size == (1, 1)
    assert layer.start == (0.5, 0.5)
    assert layer.window(0, 0) is layer.region(0, 0) is None
    assert layer.window(1, 1) == layer.region(1, 1) == Region(1, 1, 1, 1)
    assert "ConvTranspose2d" in str(
        receptive_field(nn.Sequential(nn.ConvTranspose2d(1, 1, 1, 2, 1)), (1, 1, 5, 5))
    )


def test_unknown_operations_are_said_to_be_unknown():
    fields = receptive_field(Function(lambda x: torch.special.bessel_j0(x)), (1, 2, 6, 6))
    assert fields[""].everything
    (note,) = fields.notes.values()
    assert note == "unknown operation 'special_bessel_j0': taken to see everything"
    assert note in str(fields.table())


def test_batch_norm_sees_its_pixel_in_evaluation_whatever_the_mode_of_the_model():
    model = nn.BatchNorm2d(4).train()
    assert field_of(model).size == (1, 1)
    assert model.training


@pytest.mark.parametrize("size", [(1, 2, 40), (1, 2, 9, 10, 11)])
def test_one_and_three_axes(size):
    k = len(size) - 2
    make, pool = (nn.Conv1d, nn.MaxPool1d) if k == 1 else (nn.Conv3d, nn.AvgPool3d)
    fields = receptive_field(nn.Sequential(make(2, 2, 3, padding=1), pool(2), make(2, 2, 3)), size)
    assert fields.last.size == (8,) * k
    assert fields.last.jump == (2,) * k
    assert fields.last.region(*(0,) * k) == ((0, 6),) * k
    assert fields.last.window(*(0,) * k) == ((-1, 6),) * k


def test_padding_reaches_exactly_the_units_that_change_with_its_value():
    def network(value):
        torch.manual_seed(0)
        pad = lambda n: nn.ConstantPad2d(n, value)
        return nn.Sequential(
            pad(2), nn.Conv2d(2, 2, 5, 2), nn.Conv2d(2, 2, 3), pad((1, 0, 0, 1)), nn.Conv2d(2, 1, 2)
        )

    x = torch.randn(1, 2, 30, 26)
    with torch.no_grad():
        changed = (network(0.0)(x) != network(1.0)(x))[0, 0]
    layer = receptive_field(network(0.0), x.shape)[""]
    assert layer.output == tuple(changed.shape)
    rows, columns = changed.all(1), changed.all(0)  # rows that padding above or below reaches
    assert layer.padded == (int(rows.sum()), int(columns.sum()))
    assert layer.padded_share == pytest.approx(changed.double().mean().item())


def test_share_of_a_window_outside_the_picture():
    layer = field_of(nn.Conv2d(4, 4, 5, padding=2))
    assert layer.window(0, 0) == Region(-2, 2, -2, 2)
    assert layer.region(0, 0) == Region(0, 2, 0, 2)
    assert layer.outside(0, 0) == pytest.approx(1 - (3 / 5) ** 2)
    assert layer.outside() == 0
    assert (layer.region(0, 0).height, layer.region(0, 0).width) == (3, 3)


def test_names_and_close_names():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 3), relu, nn.Conv2d(1, 1, 3), relu))
    fields = receptive_field(model, (1, 1, 9, 9))
    assert [layer.name for layer in fields] == ["0.0", "0.1 (1)", "0.2", "0.1 (2)"]
    assert fields["0.1"].size == fields["0.1 (2)"].size == (5, 5)
    assert fields["0.1 (1)"].size == (3, 3)
    with pytest.raises(ValueError, match=r"no layer called '0\.4'; close names: '0\.\d"):
        fields["0.4"]
    with pytest.raises(ValueError, match="layer: Sequential has no module called 'conv'"):
        measured(model, (1, 1, 9, 9), layer="conv")


def test_bad_input_names_the_argument():
    model = nn.Sequential(nn.Conv2d(3, 3, 3))
    with pytest.raises(ValueError, match="input_size: expected"):
        receptive_field(nn.ReLU(), (1, 3))
    with pytest.raises(ValueError, match="input_size: Sequential does not run"):
        receptive_field(model, (1, 4, 9, 9))
    with pytest.raises(ValueError, match="model: expected"):
        receptive_field("resnet50")
    with pytest.raises(ValueError, match="input_size: expected"):
        measured(model, (3, 9, 9))
    with pytest.raises(ValueError, match="unit: expected"):
        measured(model, (1, 3, 9, 9), unit=(7, 0))
    with pytest.raises(ValueError, match="samples: expected"):
        effective(model, (1, 3, 9, 9), samples=0)
    with pytest.raises(ValueError, match="images: expected"):
        effective(model, images=torch.zeros(3, 9, 9))
    with pytest.raises(ValueError, match="unit: expected"):
        receptive_field(model, (1, 3, 9, 9))["0"].region(7, 0)
    for bad in (np.zeros((3, 3)), np.zeros(5), -np.eye(3), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="map: expected"):
            fit_gaussian(bad)


# --------------------------------------------------------------------------- effective


def test_effective_of_one_convolution_is_its_squared_weights():
    model = nn.Conv2d(2, 1, (3, 5), padding=(1, 2), bias=False)
    map = effective(model, (1, 2, 9, 11), samples=2)
    squares = model.weight.detach().double()[0].square().sum(0).numpy()
    expected = np.zeros((9, 11))
    expected[3:6, 3:8] = squares / squares.sum()
    np.testing.assert_allclose(map, expected, atol=1e-9)
    assert map.sum() == pytest.approx(1)


def test_random_signs_average_to_the_sum_over_output_channels():
    torch.manual_seed(0)
    model = nn.Conv2d(1, 3, 3, bias=False)
    map = effective(model, (1, 1, 3, 3), samples=3000, rng=np.random.default_rng(1))
    squares = model.weight.detach().double()[:, 0].square().sum(0).numpy()
    np.testing.assert_allclose(map, squares / squares.sum(), atol=0.02)


def test_measuring_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert measured(model, (1, 1, 12, 12), unit=(1, 2)) == Region(2, 5, 4, 7)
    map = effective(model, images=torch.rand(4, 1, 12, 12), unit=(1, 2))
    assert set(zip(*np.nonzero(map), strict=True)) <= {(y, x) for y in range(2, 6) for x in range(4, 8)}
    assert model.training
    assert model[1].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_no_gradient_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="layer: no gradient"):
        effective(Function(lambda x: x * 0), (1, 1, 4, 4))
    assert measured(nn.Conv2d(1, 1, 1, padding=2), (1, 1, 4, 4), unit=(0, 0)) is None


@settings(max_examples=50, deadline=None)
@given(
    sigma=st.tuples(st.floats(0.8, 6), st.floats(0.8, 6)),
    center=st.tuples(st.floats(8, 14), st.floats(10, 18)),
    height=st.floats(0.01, 50),
)
def test_fit_finds_the_bell(sigma, center, height):
    y, x = np.indices((23, 29))
    map = height * np.exp(
        -((y - center[0]) ** 2) / (2 * sigma[0] ** 2) - (x - center[1]) ** 2 / (2 * sigma[1] ** 2)
    )
    fit = fit_gaussian(map)
    np.testing.assert_allclose([*fit.center, fit.sigma_y, fit.sigma_x], [*center, *sigma], rtol=1e-4)
    assert fit.explained == pytest.approx(1)
    np.testing.assert_allclose(fit.map(map.shape), map, atol=1e-4 * height)


def test_fit_says_how_little_a_bell_explains():
    rng = np.random.default_rng(0)
    assert fit_gaussian(rng.random((20, 20))).explained < 0.3


def test_depth_grows_the_bell_as_its_square_root_and_the_window_as_itself():
    torch.manual_seed(0)
    sigmas = []
    for depth in (4, 16):
        side, map = 2 * depth + 1, 0
        for _ in range(8):  # the theory is about the mean over initial weights
            convolutions = [
                nn.Conv2d(1 if i == 0 else 12, 12, 3, padding=1, bias=False) for i in range(depth)
            ]
            model = nn.Sequential(*convolutions)
            assert receptive_field(model, (1, 1, side, side))[""].size == (side, side)
            map = map + effective(model, (1, 1, side, side), samples=2)
        fit = fit_gaussian(map)
        sigmas.append((fit.sigma_y + fit.sigma_x) / 2)
        assert sigmas[-1] == pytest.approx(math.sqrt(2 * depth / 3), rel=0.25)
    assert 1.6 < sigmas[1] / sigmas[0] < 2.5  # theory: 2


def test_writing_into_channels_is_exact_and_into_positions_is_said_to_see_everything():
    def option_a(x):  # the parameter-free shortcut of ResNet: new channels of zeros
        y = x.new_zeros(x.shape[0], 8, *x.shape[2:])
        y[:, 2:6] = x
        return y

    assert field_of(option_a).size == (1, 1)

    def first_row(x):
        x = x * 1
        x[:, :, 0] = 0 * x[:, :, 1]
        return x

    assert field_of(first_row).size[0] == math.inf
    fields = receptive_field(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (1, 2, 8, 8))
    assert fields[""].everything  # wraps around: written piece by piece
    assert fields[""].region() == Region(0, 7, 0, 7)


def test_square_map_plus_its_transpose_sees_everything():
    layer = field_of(lambda x: x + x.transpose(2, 3), (1, 2, 6, 6))
    assert layer.everything
    assert layer.region() == Region(0, 5, 0, 5)


def test_the_published_table_prints_what_the_tests_compare():
    made = published_table()
    assert made.column("network") == [row.name for row in PUBLISHED]
    assert "10.23915/distill.00021" in str(made)
    assert made.column("size") == made.column("found")
    assert made.column("padding") == made.column("padding found")


# --------------------------------------------------------------------------- the record that chapter 7 plots


def test_the_recorded_experiment_holds_together():
    from experiments import effective_receptive_field as experiment

    record = json.loads((RESULTS / "effective_receptive_field.json").read_text(encoding="utf-8"))
    theory = receptive_field(experiment.network(), experiment.SIZE)["0"]
    assert record["window"] == {"size": theory.size[0], "jump": theory.jump[0], "units": theory.output[0]}
    top, bottom, left, right = record["region"]
    assert Region(top, bottom, left, right) == theory.window()
    assert len(record["runs"]) >= 3
    for run in record["runs"]:
        assert run["test accuracy"] > 0.85
        for when in ("initial", "trained"):
            map, fit = np.array(run[when]["map"]), fit_gaussian(run[when]["map"])
            assert map.sum() == pytest.approx(1, abs=1e-3)
            outside = map.copy()
            outside[top : bottom + 1, left : right + 1] = 0
            assert not outside.any()  # no gradient beyond the window
            found = [run[when]["sigma y"], run[when]["sigma x"], run[when]["explained"]]
            np.testing.assert_allclose([fit.sigma_y, fit.sigma_x, fit.explained], found, atol=0.01)
    for kind in ("linear", "rectified"):
        rows = {row["depth"]: row for row in record["depth"][kind]}
        for depth, row in rows.items():
            assert row["window"] == 2 * depth + 1
            assert row["predicted"] == pytest.approx(math.sqrt(2 * depth / 3), abs=1e-3)
        growth = np.mean(rows[32]["sigma"]) / np.mean(rows[8]["sigma"])
        assert 1.6 < growth < 2.4  # the square root of 4
