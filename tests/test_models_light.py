"""The light networks and the attention modules: against torchvision, weight for weight, and the papers' tables."""

import inspect
from functools import cache, partial

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from utils import functional
from utils.cost import cost
from utils.graph import trace
from utils.models import (
    attention,
    channel_boosting,
    convnext,
    deepface,
    ghostnet,
    mixnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    residual_attention,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
)
from utils.models.attention import CBAM, GlobalContext, NonLocal, ScSE, SqueezeExcitation
from utils.models.channel_boosting import ChannelBoosting
from utils.models.deepface import LocallyConnected2d
from utils.models.parts import conv_norm, round_channels

NETWORKS = (
    squeezenet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    shufflenet_v1,
    shufflenet_v2,
    convnext,
    ghostnet,
    deepface,
)
FACTORIES = {name: factory for module in NETWORKS for name, factory in module.FACTORIES.items()}
TWINS = {  # name -> (module, side of the picture for the comparison)
    "squeezenet1_0": (squeezenet, 64),
    "squeezenet1_1": (squeezenet, 64),
    "mobilenet_v2": (mobilenet_v2, 64),
    "mobilenet_v3_large": (mobilenet_v3, 64),
    "mobilenet_v3_small": (mobilenet_v3, 64),
    "shufflenet_v2_x0_5": (shufflenet_v2, 64),
    "shufflenet_v2_x1_0": (shufflenet_v2, 64),
    "shufflenet_v2_x1_5": (shufflenet_v2, 64),
    "shufflenet_v2_x2_0": (shufflenet_v2, 64),
    "convnext_tiny": (convnext, 32),
}
LARGE_TWINS = ("convnext_small", "convnext_base", "convnext_large")


def on_meta(make, **options):
    with torch.device("meta"):
        return make(**options)


@cache
def total(make, side):
    """What the network costs for one color picture."""
    return cost(on_meta(make), (1, 3, side, side)).total


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def randomize(model):
    """Random statistics and scales, so that no layer is the identity or nearly 0."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1 or "scale" in name:
            nn.init.uniform_(parameter, 0.3, 1.3)


# --- the same as torchvision ---


@pytest.mark.parametrize("name", TWINS)
def test_equals_torchvision_weight_for_weight(name):
    module, side = TWINS[name]
    torch.manual_seed(0)
    options = {"stochastic_depth_prob": 0.0} if module is convnext else {}
    theirs = torchvision.models.get_model(name, weights=None, num_classes=7, **options).double()
    randomize(theirs)
    ours = FACTORIES[name](num_classes=7, **({"drop_path": 0.0} if module is convnext else {})).double()
    ours.load_state_dict(module.from_torchvision(theirs.state_dict()), strict=True)
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    theirs.eval(), ours.eval()
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=1e-9, atol=1e-12)
    assert expected.std() > 0  # the comparison says something
    theirs.train(), ours.train()
    torch.manual_seed(1)
    expected = theirs(x)
    torch.manual_seed(1)  # the same units are dropped
    torch.testing.assert_close(ours(x), expected, rtol=1e-9, atol=1e-12)
    running = [module.from_torchvision(theirs.state_dict()), ours.state_dict()]
    assert running[0].keys() == running[1].keys()
    for key, value in running[1].items():
        torch.testing.assert_close(value, running[0][key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [*TWINS, *LARGE_TWINS])
def test_has_torchvision_s_layers(name):
    theirs = on_meta(torchvision.models.get_model, name=name, weights=None)
    ours = on_meta(FACTORIES[name])
    weights = torchvision.models.get_model_weights(name).DEFAULT
    assert parameters(ours) == parameters(theirs) == weights.meta["num_params"]
    module = convnext if name.startswith("convnext") else TWINS[name][0]
    renamed = module.from_torchvision(theirs.state_dict())
    assert {key: v.shape for key, v in renamed.items()} == {
        key: v.shape for key, v in ours.state_dict().items()
    }
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm)
    counts = [sorted(parameters(m) for m in net.modules() if isinstance(m, kinds)) for net in (ours, theirs)]
    assert counts[0] == counts[1]
    assert total(FACTORIES[name], 224).multiply_adds / 1e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)


@pytest.mark.parametrize(
    "name", ["squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "convnext_tiny"]
)
def test_starts_like_torchvision(name):
    module, theirs = TWINS[name][0], torchvision.models.get_model(name, weights=None)
    expected = module.from_torchvision(theirs.state_dict())
    for key, value in FACTORIES[name]().state_dict().items():
        if value.numel() > 2000:
            assert value.std().item() == pytest.approx(expected[key].std().item(), rel=0.15), key
            assert value.abs().max().item() == pytest.approx(expected[key].abs().max().item(), rel=0.5), key
        elif not value.is_floating_point() or value.std() == 0 or expected[key].std() == 0:
            assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("name", ["convnext_tiny", "convnext_large"])
def test_convnext_rests_the_same_blocks_as_often_as_torchvision(name):
    theirs, ours = on_meta(torchvision.models.get_model, name=name, weights=None), on_meta(FACTORIES[name])
    expected = [m.p for m in theirs.modules() if isinstance(m, torchvision.ops.StochasticDepth)]
    assert [m.p for m in ours.modules() if isinstance(m, convnext.DropPath)] == pytest.approx(
        expected, abs=1e-6
    )


def test_drop_path_drops_whole_pictures_and_keeps_the_mean():
    torch.manual_seed(0)
    drop = convnext.DropPath(0.25)
    y = drop(torch.ones(4000, 2, 3, 3))
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (y.amax((1, 2, 3)) == y.amin((1, 2, 3))).all()
    assert y.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(y), y)


# --- the same as the papers ---

ROWS = {  # paper's row -> (factory, side, parameters, multiply-adds, how near): what the papers print
    "SqueezeNet table 1, total: 1,248,424": (squeezenet.squeezenet1_0, 224, 1_248_424, None, 0),
    "MobileNet table 8, 1.0 MobileNet-224": (mobilenet_v1.mobilenet_v1, 224, 4.2e6, 569e6, 0.01),
    "MobileNet table 4, Conv MobileNet": (
        partial(mobilenet_v1.mobilenet_v1, depthwise=False), 224, 29.3e6, 4866e6, 0.001),
    "MobileNet table 6, 0.75": (partial(mobilenet_v1.mobilenet_v1, width=0.75), 224, 2.6e6, 325e6, 0.01),
    "MobileNet table 6, 0.5": (partial(mobilenet_v1.mobilenet_v1, width=0.5), 224, 1.3e6, 149e6, 0.03),
    "MobileNet table 6, 0.25": (partial(mobilenet_v1.mobilenet_v1, width=0.25), 224, 0.5e6, 41e6, 0.07),
    "MobileNet table 7, 192": (mobilenet_v1.mobilenet_v1, 192, 4.2e6, 418e6, 0.01),
    "MobileNet table 7, 160": (mobilenet_v1.mobilenet_v1, 160, 4.2e6, 290e6, 0.01),
    "MobileNet table 7, 128": (mobilenet_v1.mobilenet_v1, 128, 4.2e6, 186e6, 0.01),
    "MobileNet v2 table 4, 1.0": (mobilenet_v2.mobilenet_v2, 224, 3.4e6, 300e6, 0.04),
    "MobileNet v3 table 3, large": (mobilenet_v3.mobilenet_v3_large, 224, 5.4e6, 219e6, 0.02),
    "MobileNet v3 table 3, small": (mobilenet_v3.mobilenet_v3_small, 224, 2.5e6, 56e6, 0.02),
    "ShuffleNet table 1, 1 group": (partial(shufflenet_v1.shufflenet_v1, groups=1), 224, None, 143e6, 0.011),
    "ShuffleNet table 1, 2 groups": (partial(shufflenet_v1.shufflenet_v1, groups=2), 224, None, 140e6, 0.011),
    "ShuffleNet table 1, 3 groups": (shufflenet_v1.shufflenet_v1, 224, None, 137e6, 0.011),
    "ShuffleNet table 1, 4 groups": (partial(shufflenet_v1.shufflenet_v1, groups=4), 224, None, 133e6, 0.011),
    "ShuffleNet table 1, 8 groups": (partial(shufflenet_v1.shufflenet_v1, groups=8), 224, None, 137e6, 0.011),
    "ShuffleNet table 2, 0.5×, 3 groups": (
        partial(shufflenet_v1.shufflenet_v1, width=0.5), 224, None, 38e6, 0.015),
    "ShuffleNet v2 table 5, 0.5×": (shufflenet_v2.shufflenet_v2_x0_5, 224, 1.4e6, 41e6, 0.025),
    "ShuffleNet v2 table 5, 1×": (shufflenet_v2.shufflenet_v2_x1_0, 224, 2.3e6, 146e6, 0.02),
    "ShuffleNet v2 table 5, 1.5×": (shufflenet_v2.shufflenet_v2_x1_5, 224, 3.5e6, 299e6, 0.02),
    "ShuffleNet v2 table 5, 2×": (shufflenet_v2.shufflenet_v2_x2_0, 224, 7.4e6, 591e6, 0.02),
    "GhostNet table 7, 0.5×": (partial(ghostnet.ghostnet, width=0.5), 224, 2.6e6, 42e6, 0.01),
    "GhostNet table 7, 1.0×": (ghostnet.ghostnet, 224, 5.2e6, 141e6, 0.005),
    "GhostNet table 7, 1.3×": (partial(ghostnet.ghostnet, width=1.3), 224, 7.3e6, 226e6, 0.01),
    "ConvNeXt table 1, T": (convnext.convnext_tiny, 224, 29e6, 4.5e9, 0.02),
    "ConvNeXt table 1, S": (convnext.convnext_small, 224, 50e6, 8.7e9, 0.01),
    "ConvNeXt table 1, B": (convnext.convnext_base, 224, 89e6, 15.4e9, 0.01),
    "ConvNeXt table 1, L": (convnext.convnext_large, 224, 198e6, 34.4e9, 0.01),
    "DeepFace, its layer sizes": (deepface.deepface, 152, 118_923_774, None, 0),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_costs_what_the_paper_says(row):
    make, side, numbers, multiply_adds, near = ROWS[row]
    if numbers is not None:
        assert total(make, side).parameters == pytest.approx(numbers, rel=near)
    if multiply_adds is not None:
        assert total(make, side).multiply_adds == pytest.approx(multiply_adds, rel=near)


SHAPES = {  # paper's table of layers -> shapes that must come out of the named modules
    "SqueezeNet table 1, last fire modules": (
        squeezenet.squeezenet1_0, 227, {"features.2": (96, 55, 55), "features.10": (512, 27, 27), "features.12": (512, 13, 13)}),
    "MobileNet table 1": (
        mobilenet_v1.mobilenet_v1, 224, {"stem": (32, 112, 112), "blocks.0": (64, 112, 112), "blocks.12": (1024, 7, 7)}),
    "MobileNet v2 table 2": (
        mobilenet_v2.mobilenet_v2, 224, {"stem": (32, 112, 112), "blocks.2": (24, 56, 56), "head": (1280, 7, 7)}),
    "MobileNet v3 table 1": (
        mobilenet_v3.mobilenet_v3_large, 224, {"stem": (16, 112, 112), "blocks.11": (112, 14, 14), "head": (960, 7, 7)}),
    "MobileNet v3 table 2": (
        mobilenet_v3.mobilenet_v3_small, 224, {"blocks.0": (16, 56, 56), "blocks.7": (48, 14, 14), "head": (576, 7, 7)}),
    "ShuffleNet table 1, 3 groups": (
        shufflenet_v1.shufflenet_v1, 224,
        {"pool": (24, 56, 56), "stages.0": (240, 28, 28), "stages.1": (480, 14, 14), "stages.2": (960, 7, 7)}),
    "ShuffleNet v2 table 5, 1×": (
        shufflenet_v2.shufflenet_v2_x1_0, 224,
        {"pool": (24, 56, 56), "stages.0": (116, 28, 28), "stages.1": (232, 14, 14), "head": (1024, 7, 7)}),
    "GhostNet table 1": (
        ghostnet.ghostnet, 224, {"stem": (16, 112, 112), "blocks.10": (112, 14, 14), "head": (960, 7, 7)}),
    "ConvNeXt table 9, T": (
        convnext.convnext_tiny, 224, {"stem": (96, 56, 56), "stages.1": (192, 28, 28), "stages.3": (768, 7, 7)}),
    "DeepFace figure 2": (
        deepface.deepface, 152,
        {"C1": (32, 142, 142), "M2": (32, 71, 71), "C3": (16, 63, 63), "L4": (16, 55, 55), "L5": (16, 25, 25),
         "L6": (16, 21, 21), "F7": (4096,), "F8": (4030,)}),
}  # fmt: skip


@pytest.mark.parametrize("row", SHAPES)
def test_shapes_are_the_paper_s(row):
    make, side, expected = SHAPES[row]
    shapes = {}
    model = on_meta(make)
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _, __, y, name=name: shapes.update({name: tuple(y.shape[1:])}))
    model(torch.empty(1, 3, side, side, device="meta"))
    assert {name: shapes[name] for name in expected} == expected


# --- small inputs ---


@pytest.mark.parametrize("size", [(2, 1, 28, 28), (2, 3, 32, 32)], ids=["28×28 gray", "32×32 color"])
@pytest.mark.parametrize("name", FACTORIES)
def test_small_form_runs_and_every_parameter_gets_a_gradient(name, size):
    torch.manual_seed(0)
    heavy = name in (*LARGE_TWINS, "shufflenet_v2_x2_0")  # on the meta device: shapes and graph, no numbers
    with torch.device("meta" if heavy else "cpu"):
        model = FACTORIES[name](num_classes=10, in_channels=size[1], small=True)
        x = torch.randn(size)
    y = model(x)
    assert y.shape == (2, 10)
    y.square().sum().backward()
    missing = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert not missing
    if not heavy:
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", FACTORIES)
def test_small_form_keeps_the_last_map_larger(name):
    """No 1×1 maps at the end for a 32×32 picture: at least 2×2 pixels reach the last average."""
    model = on_meta(FACTORIES[name], num_classes=10, small=True)
    sides = [
        op.shape[-1]
        for op in trace(model, (1, 3, 32, 32))
        if op.function == "convolution" and len(op.shape) == 4
    ]
    wide = [side for side in sides if side > 1]  # the 1×1 ones are squeezes and heads
    assert wide[-1] >= 2
    assert len({*wide}) >= 2


@pytest.mark.parametrize("name", FACTORIES)
def test_factories_have_the_common_arguments(name):
    factory = FACTORIES[name]
    arguments = list(inspect.signature(factory).parameters)
    assert arguments[:3] == ["num_classes", "in_channels", "small"]
    assert factory.__doc__
    for argument in ("num_classes", "in_channels"):
        for value in (0, -1, 2.5, "three", True):
            with pytest.raises(ValueError, match=f"{argument} must be .*got {value!r}"):
                on_meta(factory, **{argument: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(mobilenet_v1.mobilenet_v1, width=0), "width must be a number above 0, got 0"),
        (partial(mobilenet_v2.mobilenet_v2, width="1"), "width must be a number above 0, got '1'"),
        (
            partial(mobilenet_v3.mobilenet_v3_large, width=float("nan")),
            "width must be a number above 0, got nan",
        ),
        (partial(ghostnet.ghostnet, width=-1.0), "width must be a number above 0, got -1.0"),
        (partial(mobilenet_v2.mobilenet_v2, dropout=1), "dropout must be .*got 1"),
        (partial(convnext.convnext_tiny, drop_path=-0.1), "drop_path must be .*got -0.1"),
        (partial(shufflenet_v1.shufflenet_v1, groups=5), "groups must be one of 1, 2, 3, 4, 8, got 5"),
        (
            partial(shufflenet_v1.shufflenet_v1, groups=8, width=0.25),
            "width must give channels that 8 groups divide",
        ),
        (partial(SqueezeExcitation, 8), "reduction must be at most the number of channels, 8, got 16"),
        (partial(CBAM, 16, kernel_size=4), "kernel_size must be odd to keep the size of the map, got 4"),
        (partial(mixnet.MixedDepthwise, 8, (3, 4)), "kernel_sizes must be one or more odd sizes"),
        (partial(mixnet.MixedDepthwise, 8, ()), "kernel_sizes must be one or more odd sizes"),
        (partial(mixnet.MixedDepthwise, 2, (3, 5, 7)), "channels must be an integer of at least 3, got 2"),
        (partial(ghostnet.GhostModule, 8, 9), "out_channels must be even"),
        (partial(residual_attention.AttentionModule, 6), "channels must be a multiple of 4"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_channel_shuffle_deals_like_cards_and_refuses_uneven_groups():
    x = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert shufflenet_v1.channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert shufflenet_v1.channel_shuffle(shufflenet_v1.channel_shuffle(x, 2), 3).equal(x)
    with pytest.raises(ValueError, match="groups must divide the number of channels, 6, got 4"):
        shufflenet_v1.channel_shuffle(x, 4)


def test_without_the_shuffle_groups_never_meet():
    """A gradient reaches all input channels of a shuffle unit's branch; without shuffling only one group's."""
    torch.manual_seed(0)
    unit = shufflenet_v1.ShuffleUnit(24, 24, 1, groups=3).double().eval()

    def reached(groups):
        unit.groups = groups
        x = torch.rand(1, 24, 5, 5, dtype=torch.float64, requires_grad=True)
        unit.restore(unit.depthwise(shufflenet_v1.channel_shuffle(unit.reduce[0](x), unit.groups)))[
            0, 0
        ].sum().backward()
        return int((x.grad.abs().sum((0, 2, 3)) > 0).sum())

    assert reached(1) == 8
    assert reached(3) > 8


@pytest.mark.parametrize(
    ("channels", "divisor"),
    [(c * w, d) for c in (16, 24, 116, 576) for w in (0.35, 0.5, 1.3) for d in (4, 8)],
)
def test_rounded_widths_are_those_of_torchvision(channels, divisor):
    from torchvision.models._utils import _make_divisible

    assert round_channels(channels, divisor) == _make_divisible(channels, divisor)


def test_separable_convolution_is_eight_to_nine_times_cheaper():
    """Section 3.1 of the MobileNet paper: 1/N + 1/9 of the work, for N output channels."""
    full = cost(conv_norm(256, 256), (1, 256, 14, 14)).total.multiply_adds
    split = cost(mobilenet_v1.separable(256, 256), (1, 256, 14, 14)).total.multiply_adds
    assert split / full == pytest.approx(1 / 256 + 1 / 9)


# --- attention ---


def test_squeeze_excitation_equals_torchvision():
    torch.manual_seed(0)
    theirs = torchvision.ops.SqueezeExcitation(32, 8).double()
    ours = SqueezeExcitation(32, reduction=4).double()
    ours.load_state_dict(attention.from_torchvision(theirs.state_dict()), strict=True)
    x = torch.randn(2, 32, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=0)


C, R, K = 64, 4, 7
COUNTS = {  # as derived in the docstrings
    "SqueezeExcitation": (SqueezeExcitation, 2 * C**2 // R + C // R + C),
    "CBAM": (CBAM, 2 * C**2 // R + 2 * K**2),
    "ScSE": (ScSE, 2 * C**2 // R + C // R + 2 * C),
    "NonLocal": (NonLocal, 4 * C**2 // R + 3 * C // R + 2 * C),
    "GlobalContext": (GlobalContext, 2 * C**2 // R + 3 * C // R + 2 * C + 1),
}


@pytest.mark.parametrize("name", COUNTS)
def test_attention_keeps_the_shape_and_has_the_derived_count(name):
    make, count = COUNTS[name]
    torch.manual_seed(0)
    module = make(C, reduction=R)
    assert parameters(module) == count
    x = torch.randn(2, C, 5, 6, requires_grad=True)
    y = module(x)
    assert y.shape == x.shape
    y.square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    with pytest.raises(ValueError, match="reduction must be at most"):
        make(4, reduction=8)


@pytest.mark.parametrize("make", [NonLocal, GlobalContext])
def test_a_new_block_changes_nothing(make):
    x = torch.randn(2, 16, 5, 6)
    assert torch.equal(make(16, reduction=2)(x), x)


def test_non_local_is_the_paper_s_sum_over_pairs():
    torch.manual_seed(0)
    block = NonLocal(8).double().eval()
    randomize(block)
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64)
    theta, phi, g = (layer(x)[0].flatten(1) for layer in (block.theta, block.phi, block.g))
    y = torch.zeros(4, 12, dtype=torch.float64)
    for i in range(12):
        f = torch.stack([torch.exp(theta[:, i] @ phi[:, j]) for j in range(12)])
        y[:, i] = sum(f[j] * g[:, j] for j in range(12)) / f.sum()
    expected = x + block.norm(block.back(y.reshape(1, 4, 3, 4)))
    torch.testing.assert_close(block(x), expected, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(block(x), x)
    torch.testing.assert_close(block.attention(x).sum(-1), torch.ones(1, 12, dtype=torch.float64))


def test_global_context_with_even_scores_is_the_average():
    block = GlobalContext(16, reduction=4)
    nn.init.zeros_(block.score.weight)
    x = torch.randn(2, 16, 5, 6)
    torch.testing.assert_close(block.context(x), x.mean((2, 3), keepdim=True))
    nn.init.normal_(block.score.weight, std=50)
    context = block.context(x)  # a sharp softmax: one pixel
    assert context.shape == (2, 16, 1, 1)
    assert not torch.allclose(context, x.mean((2, 3), keepdim=True))


def test_cbam_is_channel_attention_then_pixel_attention():
    torch.manual_seed(0)
    module = CBAM(8, reduction=2).double()
    x = torch.randn(1, 8, 9, 9, dtype=torch.float64)
    first, second = (module.mlp[i].weight.flatten(1) for i in (0, 2))
    scores = sum(second @ torch.relu(first @ pooled) for pooled in (x[0].mean((1, 2)), x[0].amax((1, 2))))
    z = torch.sigmoid(scores)[None, :, None, None] * x
    maps = np.stack([z[0].mean(0).detach().numpy(), z[0].amax(0).detach().numpy()])[None]
    mask = functional.conv2d(maps, module.spatial.weight.detach().numpy(), padding=3)
    expected = z.detach().numpy() / (1 + np.exp(-mask))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9)


def test_scse_adds_the_two_weighings():
    torch.manual_seed(0)
    module = ScSE(8)
    x = torch.randn(2, 8, 5, 5)
    pixel = (module.spatial.weight[0, :, 0, 0][None, :, None, None] * x).sum(1, keepdim=True)
    torch.testing.assert_close(module(x), module.channel(x) + torch.sigmoid(pixel) * x)


# --- parts of other networks ---


@pytest.mark.parametrize("stride", [1, 2])
def test_mixed_depthwise_is_one_depthwise_convolution_with_zero_borders(stride):
    torch.manual_seed(0)
    mixed = mixnet.MixedDepthwise(10, (3, 5, 7), stride).double()
    assert mixed.shares == [4, 3, 3]
    assert parameters(mixed) == 4 * 9 + 3 * 25 + 3 * 49
    weight = torch.cat(
        [nn.functional.pad(conv.weight, [(7 - conv.kernel_size[0]) // 2] * 4) for conv in mixed.convs]
    )
    x = torch.randn(2, 10, 12, 11, dtype=torch.float64)
    expected = nn.functional.conv2d(x, weight, padding=3, stride=stride, groups=10)
    torch.testing.assert_close(mixed(x), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("out_channels", "stride", "squeeze"), [(8, 1, True), (12, 2, True), (8, 1, False)])
def test_mix_block_runs_and_learns(out_channels, stride, squeeze):
    torch.manual_seed(0)
    block = mixnet.MixBlock(8, out_channels, (3, 5, 7), stride, expansion=6, squeeze=squeeze)
    y = block(torch.randn(2, 8, 14, 14))
    assert y.shape == (2, out_channels, 14 // stride, 14 // stride)
    y.square().sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())
    hidden = 48
    expected = 8 * hidden + 2 * hidden  # expand
    expected += 16 * (9 + 25 + 49) + 2 * hidden  # mixed
    expected += (hidden * 2 + 2 + 2 * hidden + hidden) * squeeze
    expected += hidden * out_channels + 2 * out_channels  # project
    assert parameters(block) == expected


@pytest.mark.parametrize(("depth", "side"), [(3, 56), (2, 28), (1, 14), (2, 13)])
def test_attention_module_has_the_paper_s_parts(depth, side):
    torch.manual_seed(0)
    width = 16
    module = residual_attention.AttentionModule(width, depth)
    number = 2 * 1 + 2 + 2 * depth + depth - 1  # residual units for p = 1, t = 2, r = 1
    assert sum(isinstance(m, residual_attention.ResidualUnit) for m in module.modules()) == number
    assert parameters(module) == number * (17 * width**2 // 16 + 3 * width) + 2 * (width**2 + 2 * width)
    x = torch.randn(2, width, side, side)
    y = module(x)
    assert y.shape == x.shape
    mask = module.mask_of(x)
    assert mask.shape == x.shape
    assert 0 < mask.min() <= mask.max() < 1
    y.square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_attention_module_with_a_mask_of_zeros_is_its_trunk():
    torch.manual_seed(0)
    module = residual_attention.AttentionModule(8, depth=1).eval()
    module._mask = torch.zeros_like  # as if the hourglass had switched everything off
    x = torch.randn(1, 8, 8, 8)
    torch.testing.assert_close(module(x), module.after(module.trunk(module.before(x))))


def test_channel_boosting_adds_frozen_channels():
    torch.manual_seed(0)
    auxiliary = conv_norm(3, 4, stride=2)
    model = ChannelBoosting(auxiliary, nn.Conv2d(3 + 4, 5, 3))
    model.train()
    before = {key: value.clone() for key, value in auxiliary.state_dict().items()}
    x = torch.randn(2, 3, 16, 16)
    boosted = model.boost(x)
    assert boosted.shape == (2, 7, 16, 16)
    assert torch.equal(boosted[:, :3], x)
    model(x).square().sum().backward()
    assert all(parameter.grad is None for parameter in auxiliary.parameters())
    assert all(parameter.grad is not None for parameter in model.body.parameters())
    assert all(torch.equal(value, before[key]) for key, value in auxiliary.state_dict().items())
    assert not auxiliary.training
    assert model.body.training
    free = ChannelBoosting(conv_norm(3, 4), nn.Conv2d(7, 5, 3), freeze=False).train()
    free(x).sum().backward()
    assert all(parameter.grad is not None for parameter in free.auxiliary.parameters())
    with pytest.raises(ValueError, match="auxiliary must return maps"):
        ChannelBoosting(nn.Flatten(), nn.Identity())(x)


@pytest.mark.parametrize(
    ("stride", "padding", "bias"), [(1, 0, True), (2, 0, True), ((1, 2), (2, 1), True), (1, 1, False)]
)
def test_locally_connected_layer_equals_the_numpy_function(stride, padding, bias):
    torch.manual_seed(0)
    layer = LocallyConnected2d(3, 4, (7, 8), (3, 2), stride, padding, bias).double()
    x = torch.randn(2, 3, 7, 8, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    pads = padding if isinstance(padding, int) else tuple((p, p) for p in padding)
    numbers = [x.detach().numpy(), layer.weight.detach().numpy()]
    offsets = layer.bias.detach().numpy() if bias else None
    expected = functional.locally_connected2d(*numbers, offsets, stride, pads)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    delta = torch.randn_like(y)
    y.backward(delta)
    grads = functional.locally_connected2d_backward(delta.numpy(), *numbers, stride, pads)
    for ours, theirs in zip((x, layer.weight, *([layer.bias] if bias else [])), grads, strict=False):
        np.testing.assert_allclose(ours.grad.numpy(), theirs, rtol=1e-9, atol=1e-12)


def test_locally_connected_layer_with_equal_filters_is_a_convolution():
    layer = LocallyConnected2d(2, 3, 6, 3, bias=False)
    conv = nn.Conv2d(2, 3, 3, bias=False)
    with torch.no_grad():
        layer.weight.copy_(conv.weight.expand_as(layer.weight))
    x = torch.randn(2, 2, 6, 6)
    torch.testing.assert_close(layer(x), conv(x))
    with pytest.raises(ValueError, match=r"x must have the shape \(N, 2, 6, 6\), got \(1, 2, 7, 6\)"):
        layer(torch.zeros(1, 2, 7, 6))


def test_deepface_keeps_nearly_all_parameters_where_nothing_is_shared():
    model = on_meta(deepface.deepface)
    shared = sum(parameters(layer) for layer in (model.C1, model.C3))
    assert 1 - shared / parameters(model) > 0.99
    assert parameters(model.L4) == 55**2 * 16 * (9 * 9 * 16 + 1)
    with pytest.raises(ValueError, match="x must be 152×152"):
        model(torch.empty(1, 3, 150, 150, device="meta"))


def test_modules_are_no_networks():
    for module in (attention, mixnet, residual_attention, channel_boosting):
        assert not hasattr(module, "FACTORIES")
