"""The residual family and its relatives: against torchvision, weight for weight; against the papers' tables."""

import math
import sys

import pytest
import torch
import torchvision
from torch import nn

from experiments import degradation
from utils.cost import cost
from utils.graph import trace
from utils.models import (
    densenet,
    highway,
    inception_resnet,
    pyramidnet,
    resnet,
    resnext,
    wide_resnet,
    xception,
)
from utils.models.highway import HighwayBlock
from utils.models.inception_resnet import InceptionResidual, block_a, block_b, block_c
from utils.models.pyramidnet import PyramidNet
from utils.models.resnet import (
    BasicBlock,
    Bottleneck,
    PreactBasicBlock,
    PreactBottleneck,
    StochasticDepth,
    ZeroPadShortcut,
    cifar_resnet,
    linear_decay,
)

FILES = (resnet, wide_resnet, resnext, densenet, highway, pyramidnet, xception, inception_resnet)
FACTORIES = {name: factory for file in FILES for name, factory in file.FACTORIES.items()}
BLOCKS = (BasicBlock, Bottleneck, PreactBasicBlock, PreactBottleneck)


def on_meta(factory, *args, **options):
    """The network without numbers: enough for counting."""
    with torch.device("meta"):
        return factory(*args, **options)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def depth(model):
    """Layers with weights on the longest path, as the papers count: shortcuts are left out."""
    kinds = (nn.Conv2d, nn.Linear)
    return sum(isinstance(m, kinds) and "shortcut" not in name for name, m in model.named_modules())


# --- equal to torchvision, weight for weight ---

TWINS = [
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2",
    "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d",
    "densenet121", "densenet161", "densenet169", "densenet201",
]  # fmt: skip
LARGE = {"wide_resnet101_2", "resnext101_32x8d", "resnext101_64x4d"}  # values only of their smaller sisters
ALSO_IN_TRAINING = {"resnet18", "resnet50", "resnext50_32x4d", "densenet121"}


def mapping(name):
    return densenet.from_torchvision if name.startswith("densenet") else resnet.from_torchvision


def randomize(model, generator):
    """Every tensor of the state gets random values, so that a mix-up of any two of them shows."""
    for name, tensor in model.state_dict().items():
        if tensor.dim() > 1:
            bound = math.sqrt(6 / tensor[0].numel())
            tensor.uniform_(-bound, bound, generator=generator)
        elif tensor.dim() == 1:
            low = 0.5 if name.endswith(("running_var", "weight")) else -0.5
            tensor.uniform_(low, low + 1, generator=generator)


def theirs_of(name, device):
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None)
    if device == "cpu":
        model = model.to_empty(device="cpu").double()
        randomize(model, torch.Generator().manual_seed(1))
    return model


@pytest.mark.parametrize("name", TWINS)
def test_state_of_torchvision_fits_layer_for_layer(name):
    theirs, ours = theirs_of(name, "meta"), on_meta(FACTORIES[name])
    state = mapping(name)(theirs.state_dict())
    assert len(state) == len(theirs.state_dict())
    ours.load_state_dict(state, strict=True, assign=True)
    assert count(ours) == count(theirs)
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    for kind in kinds:
        mine = sorted(count(m) for m in ours.modules() if isinstance(m, kind))
        assert mine == sorted(count(m) for m in theirs.modules() if isinstance(m, kind))


@pytest.mark.parametrize("name", [name for name in TWINS if name not in LARGE])
def test_outputs_equal_those_of_torchvision(name):
    theirs = theirs_of(name, "cpu")
    ours = on_meta(FACTORIES[name])
    ours.load_state_dict(mapping(name)(theirs.state_dict()), strict=True, assign=True)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for training in (False, True) if name in ALSO_IN_TRAINING else (False,):
            expected = theirs.train(training)(x)
            assert expected.std() > 1e-3
            torch.testing.assert_close(ours.train(training)(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "densenet121"])
def test_initial_weights_are_distributed_as_in_torchvision(name):
    torch.manual_seed(0)
    ours = FACTORIES[name]().state_dict()
    theirs = mapping(name)(getattr(torchvision.models, name)(weights=None).state_dict())
    for key, value in theirs.items():
        if value.numel() > 4000:
            assert ours[key].std() == pytest.approx(value.std().item(), rel=0.08), key
        elif value.dim() == 1 and key != "fc.bias":
            assert torch.equal(ours[key], value), key


# --- the papers' tables: parameters ---


def row(source, expected, factory, *args, tolerance=0.0, **options):
    return pytest.param(expected, tolerance, factory, args, options, id=source)


def million(source, expected, factory, *args, tolerance=0.05e6, **options):
    """A table in millions with one decimal: half of its last digit is the tolerance."""
    return row(source, expected * 1e6, factory, *args, tolerance=tolerance, **options)


WRN, DENSE = wide_resnet.cifar_wide_resnet, densenet.cifar_densenet
TABLES = [
    # K. He et al. 2015, table 6: two decimals up to ResNet-56, one above.
    million("He 2015 table 6: ResNet-20", 0.27, resnet.resnet20, tolerance=5e3),
    million("He 2015 table 6: ResNet-32", 0.46, resnet.resnet32, tolerance=5e3),
    million("He 2015 table 6: ResNet-44", 0.66, resnet.resnet44, tolerance=5e3),
    million("He 2015 table 6: ResNet-56", 0.85, resnet.resnet56, tolerance=5e3),
    million("He 2015 table 6: ResNet-110", 1.7, resnet.resnet110),
    million("He 2015 table 6: ResNet-1202", 19.4, resnet.resnet1202),
    million("He 2015 section 4.2: plain-20 as ResNet-20", 0.27, resnet.plain20, tolerance=5e3),
    million("He 2015 section 4.2: plain-56 as ResNet-56", 0.85, resnet.plain56, tolerance=5e3),
    # K. He et al. 2016, table 4; our ResNet-1001 has 10.33 million, as other implementations have.
    million("He 2016 table 4: pre-activation ResNet-164", 1.7, resnet.preact_resnet164),
    million("He 2016 table 4: pre-activation ResNet-1001", 10.2, resnet.preact_resnet1001, tolerance=0.15e6),
    # S. Zagoruyko, N. Komodakis 2016, table 4.
    million("Zagoruyko 2016 table 4: WRN-40-1", 0.6, WRN, 40, 1),
    million("Zagoruyko 2016 table 4: WRN-40-2", 2.2, WRN, 40, 2),
    million("Zagoruyko 2016 table 4: WRN-40-4", 8.9, WRN, 40, 4),
    million("Zagoruyko 2016 table 4: WRN-40-8", 35.7, WRN, 40, 8),
    million("Zagoruyko 2016 table 4: WRN-28-10", 36.5, WRN, 28, 10),
    million("Zagoruyko 2016 table 4: WRN-28-12", 52.5, WRN, 28, 12),
    million("Zagoruyko 2016 table 4: WRN-22-8", 17.2, WRN, 22, 8),
    million("Zagoruyko 2016 table 4: WRN-22-10", 26.8, WRN, 22, 10),
    million("Zagoruyko 2016 table 4: WRN-16-8", 11.0, WRN, 16, 8),
    million("Zagoruyko 2016 table 4: WRN-16-10", 17.1, WRN, 16, 10),
    # S. Xie et al. 2016, table 7 (the second row is 68.16, cut off in the paper).
    million("Xie 2016 table 7: ResNeXt-29 8x64d", 34.4, resnext.resnext29_8x64d),
    million("Xie 2016 table 7: ResNeXt-29 16x64d", 68.1, resnext.resnext29_16x64d, tolerance=0.1e6),
    # G. Huang et al. 2016, table 2.
    million("Huang 2016 table 2: DenseNet 40 k=12", 1.0, DENSE, 40, 12, bottleneck=False),
    million("Huang 2016 table 2: DenseNet 100 k=12", 7.0, DENSE, 100, 12, bottleneck=False),
    million("Huang 2016 table 2: DenseNet 100 k=24", 27.2, DENSE, 100, 24, bottleneck=False),
    million("Huang 2016 table 2: DenseNet-BC 100 k=12", 0.8, densenet.densenet_bc100_k12),
    million("Huang 2016 table 2: DenseNet-BC 250 k=24", 15.3, densenet.densenet_bc250_k24),
    million("Huang 2016 table 2: DenseNet-BC 190 k=40", 25.6, densenet.densenet_bc190_k40),
    # R. Srivastava et al. 2015 (arXiv:1507.06228), table 1: thousands.
    million("Srivastava 2015 table 1: width 16", 0.039, highway.highway10, 10, 1, 16, tolerance=500),
    million("Srivastava 2015 table 1: width 32", 0.151, highway.highway10, 10, 1, 32, tolerance=500),
    # D. Han et al. 2016, table 4. Its numbers are up to 0.2 million below equation 2 and figure 6.
    million("Han 2016 table 4: basic alpha 48", 1.7, pyramidnet.pyramidnet110),
    million("Han 2016 table 4: basic alpha 84", 3.8, PyramidNet, 110, 84, tolerance=0.1e6),
    million("Han 2016 table 4: basic alpha 270", 28.3, PyramidNet, 110, 270, tolerance=0.25e6),
    million("Han 2016 table 4: bottleneck 164", 27.0, pyramidnet.pyramidnet164, tolerance=0.25e6),
    million("Han 2016 table 4: bottleneck 200", 26.6, PyramidNet, 200, 240, bottleneck=True),
    million("Han 2016 table 4: bottleneck 236", 26.8, PyramidNet, 236, 220, bottleneck=True),
    million("Han 2016 table 4: bottleneck 272", 26.0, pyramidnet.pyramidnet272),
    # F. Chollet 2016, table 3, to the last parameter.
    row("Chollet 2016 table 3: Xception", 22_855_952, xception.xception),
    # Keras' InceptionResNetV2 has 55,813,192 trainable parameters; its normalizations lack the 30,272 scales.
    row("Keras InceptionResNetV2", 55_813_192 + 30_272, inception_resnet.inception_resnet_v2),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "tolerance", "factory", "args", "options"), TABLES)
def test_parameters_of_the_papers_table(expected, tolerance, factory, args, options):
    assert count(on_meta(factory, *args, **options)) == pytest.approx(expected, abs=tolerance or 0.5)


@pytest.mark.parametrize(
    ("expected", "factory", "options"),
    [
        pytest.param(18, resnet.resnet18, {}, id="ResNet-18"),
        pytest.param(34, resnet.plain34, {}, id="plain-34"),
        pytest.param(50, resnet.resnet50, {}, id="ResNet-50"),
        pytest.param(152, resnet.resnet152, {}, id="ResNet-152"),
        pytest.param(20, resnet.resnet20, {}, id="ResNet-20"),
        pytest.param(110, resnet.resnet110, {}, id="ResNet-110"),
        pytest.param(164, resnet.preact_resnet164, {}, id="pre-activation ResNet-164"),
        pytest.param(
            28 - 3 + 1, wide_resnet.wrn28_10, {}, id="WRN-28 counts projections, not the dense layer"
        ),
        pytest.param(29, resnext.resnext29_8x64d, {}, id="ResNeXt-29"),
        pytest.param(121, densenet.densenet121, {}, id="DenseNet-121"),
        pytest.param(100, densenet.densenet_bc100_k12, {}, id="DenseNet-BC 100"),
        pytest.param(110, pyramidnet.pyramidnet110, {}, id="PyramidNet-110"),
    ],
)
def test_names_count_the_layers(expected, factory, options):
    assert depth(on_meta(factory, **options)) == expected


# --- the papers' tables: multiply-adds and shapes ---


@pytest.mark.parametrize(
    ("billions", "factory", "options"),
    [
        pytest.param(1.8, resnet.resnet18, {}, id="He 2015 table 1: ResNet-18"),
        pytest.param(3.6, resnet.resnet34, {}, id="He 2015 table 1: ResNet-34"),
        pytest.param(3.8, resnet.resnet50, {"stride_on": "1x1"}, id="He 2015 table 1: ResNet-50"),
        pytest.param(11.3, resnet.resnet152, {"stride_on": "1x1"}, id="He 2015 table 1: ResNet-152"),
        pytest.param(4.09, resnet.resnet50, {}, id="torchvision: ResNet-50, stride on the 3x3"),
    ],
)
def test_multiply_adds_of_the_papers_table(billions, factory, options):
    assert cost(on_meta(factory, **options)).total.multiply_adds == pytest.approx(billions * 1e9, rel=0.03)


def shapes(model, size):
    """Shapes of what the children of the network return, without the batch."""
    found = {}
    hooks = [
        module.register_forward_hook(lambda m, i, y, name=name: found.update({name: tuple(y.shape[1:])}))
        for name, module in model.named_modules()
    ]
    model.eval()(torch.empty(size, device="meta"))
    for hook in hooks:
        hook.remove()
    return found


def test_shapes_of_resnet50_as_in_table_1():
    found = shapes(on_meta(resnet.resnet50), (1, 3, 224, 224))
    expected = [(256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)]
    assert [found[f"stages.{stage}"] for stage in range(4)] == expected


def test_shapes_of_resnet20_as_in_section_4_2():
    found = shapes(on_meta(resnet.resnet20), (1, 3, 32, 32))
    assert [found[f"stages.{stage}"] for stage in range(3)] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_shapes_of_densenet121_as_in_table_1():
    found = shapes(on_meta(densenet.densenet121), (1, 3, 224, 224))
    expected = [(256, 56, 56), (512, 28, 28), (1024, 14, 14), (1024, 7, 7)]
    assert [found[f"stages.{stage}"] for stage in (0, 2, 4, 6)] == expected


def test_shapes_of_xception_as_in_figure_5():
    found = shapes(on_meta(xception.xception), (1, 3, 299, 299))
    assert found["stem"] == (64, 147, 147)
    assert [found[f"entry.{i}"] for i in range(3)] == [(128, 74, 74), (256, 37, 37), (728, 19, 19)]
    assert found["middle"] == (728, 19, 19)
    assert found["exit"] == (2048, 10, 10)


def test_shapes_of_inception_resnet_as_in_the_paper():
    found = shapes(on_meta(inception_resnet.inception_resnet_v2), (1, 3, 299, 299))
    sizes = [found[f"stage_{stage}"] for stage in "abc"]
    assert sizes == [(320, 35, 35), (1088, 17, 17), (2080, 8, 8)]


def test_shapes_of_pyramidnet_grow_in_every_block():
    found = shapes(on_meta(pyramidnet.pyramidnet110, alpha=84), (1, 3, 32, 32))
    channels = [found[f"blocks.{k}"][0] for k in range(54)]
    assert channels == [16 + 84 * k // 54 for k in range(1, 55)]
    assert channels[-1] == 100  # "output feature dimension" of the authors' table
    assert [found[f"blocks.{k}"][1] for k in (17, 18, 35, 36, 53)] == [32, 16, 16, 8, 8]


# --- options of the residual block ---


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("shortcut", ["A", "B", "C", None])
def test_every_block_takes_every_shortcut(block, shortcut):
    torch.manual_seed(0)
    x = torch.randn(2, 6, 9, 7)
    y = block(6, 6, stride=2, shortcut=shortcut, survival=0.5)(x)
    assert y.shape == (2, 6 * block.expansion, 5, 4)


def test_parameters_added_by_the_shortcut_options():
    def parameters(option):
        return count(on_meta(resnet.resnet34, shortcut=option))

    projections = sum(c * 2 * c + 2 * 2 * c for c in (64, 128, 256))
    identities = sum(
        (n - (c > 64)) * (c * c + 2 * c) for n, c in zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True)
    )
    assert parameters("A") == parameters(None)
    assert parameters("B") == parameters("A") + projections
    assert parameters("C") == parameters("B") + identities


def test_zero_padded_shortcut_by_hand():
    x = torch.arange(2 * 2 * 3 * 4.0).reshape(2, 2, 3, 4)
    y = ZeroPadShortcut(2, 5, stride=2)(x)
    assert y.shape == (2, 5, 2, 2)
    assert torch.equal(y[:, :2], x[:, :, [0, 2]][:, :, :, [0, 2]])
    assert not y[:, 2:].any()


@pytest.mark.parametrize("block", [BasicBlock, PreactBasicBlock])
def test_a_block_whose_branch_is_zero_is_the_identity(block):
    unit = block(4, 4).eval()
    nn.init.zeros_(unit.conv2.weight)
    x = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(unit(x), x)


def test_preactivation_leaves_the_path_of_the_sums_free():
    """The gradient through blocks with zero branches is the incoming one, whatever the sign of x."""
    blocks = nn.Sequential(*(PreactBottleneck(8, 2) for _ in range(5)))
    for unit in blocks:
        nn.init.zeros_(unit.conv3.weight)
    x = torch.randn(2, 8, 4, 4, requires_grad=True)
    blocks(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.ones_like(x))


@pytest.mark.parametrize("stride_on", ["1x1", "3x3"])
def test_stride_on(stride_on):
    unit = Bottleneck(8, 4, stride=2, stride_on=stride_on)
    strides = {"1x1": unit.conv1.stride, "3x3": unit.conv2.stride}
    assert strides.pop(stride_on) == (2, 2)
    assert set(strides.values()) == {(1, 1)}


def test_the_first_preactivated_block_splits_after_its_activation():
    model = on_meta(resnet.preact_resnet20)
    shared = [unit.shared for stage in model.stages for unit in stage]
    assert shared == [True, False, False] * 3  # the first of all, and those that change the shape
    large = on_meta(resnet.preact_resnet18)
    assert not large.stages[0][0].shared  # its stem activates already


# --- stochastic depth ---


def test_linear_decay_as_in_equation_4():
    assert linear_decay(4, 0.5) == [0.875, 0.75, 0.625, 0.5]
    model = cifar_resnet(20, survival=0.5)
    survivals = [unit.drop.survival for stage in model.stages for unit in stage]
    assert survivals == pytest.approx([1 - 0.5 * block / 9 for block in range(1, 10)])


def test_stochastic_depth_keeps_or_drops_the_whole_batch():
    torch.manual_seed(0)
    layer, branch = StochasticDepth(0.7), torch.ones(3, 2, 2, 2)
    draws = [layer(branch).mean().item() for _ in range(1000)]
    assert set(draws) == {0.0, 1.0}
    assert sum(draws) / 1000 == pytest.approx(0.7, abs=0.05)
    assert torch.equal(layer.eval()(branch), 0.7 * branch)


def test_without_stochastic_depth_nothing_is_added():
    model = on_meta(resnet.resnet20)
    assert not any(isinstance(module, StochasticDepth) for module in model.modules())


# --- the other blocks ---


def test_grouped_convolution_computes_the_sum_of_the_paths():
    torch.manual_seed(0)
    paths = resnext.Paths(12, 10, cardinality=5, width=3).double()
    x = torch.randn(2, 12, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(paths.grouped().double()(x), paths(x), rtol=1e-5, atol=1e-6)


def test_highway_block_between_identity_and_transform():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 6)
    unit = HighwayBlock(3, gate_bias=-40.0)
    torch.testing.assert_close(unit(x), x)
    unit = HighwayBlock(3, gate_bias=40.0)
    torch.testing.assert_close(unit(x), torch.relu(unit.transform(x)))
    assert HighwayBlock(3).gate.bias.tolist() == [-2.0] * 3


@pytest.mark.parametrize(("block", "channels"), [(block_a, 320), (block_b, 1088), (block_c, 2080)])
def test_residual_scaling(block, channels):
    torch.manual_seed(0)
    unit = block(channels).eval()
    x = torch.randn(1, channels, 4, 5)
    expected = torch.relu(x + unit.scale * unit.mix(unit.branches(x)))
    assert isinstance(unit, InceptionResidual)
    torch.testing.assert_close(unit(x), expected)
    assert 0.1 <= unit.scale <= 0.3  # the range of the paper


def test_inception_resnet_scale_is_an_option():
    model = on_meta(inception_resnet.inception_resnet_v2, scale=1.0, counts=(1, 1, 2))
    assert {m.scale for m in model.modules() if isinstance(m, InceptionResidual)} == {1.0}


def test_dense_block_keeps_its_input_and_adds_maps():
    block = densenet.DenseBlock(3, 8, 4, bottleneck=True, dropout=0.0).eval()
    x = torch.randn(2, 8, 5, 5)
    y = block(x)
    assert y.shape == (2, 20, 5, 5)
    assert torch.equal(y[:, :8], x)


# --- small inputs ---

SMALL_INPUTS = [(2, 1, 28, 28), (2, 3, 32, 32)]
REPRESENTATIVES = [
    "resnet18", "resnext29_8x64d", "preact_resnet20", "plain20", "resnet20", "wrn16_4", "densenet40_k12",
    "highway10", "pyramidnet110", "xception",
]  # fmt: skip
# The same code as their smaller sisters, for much longer: built and run forward once.
DEEP = {
    "resnet101", "resnet152", "resnet110", "preact_resnet110", "preact_resnet164", "stochastic_depth110",
    "wide_resnet101_2", "resnext101_32x8d", "resnext101_64x4d", "densenet161", "densenet169", "densenet201",
    "densenet_bc190_k40", "densenet_bc250_k24", "pyramidnet164", "pyramidnet272",
}  # fmt: skip
DEEPEST = {"resnet1202", "preact_resnet1001"}  # built above, for their counts


def step(model, size, device):
    y = model(torch.rand(size, device=device))
    assert y.shape == (size[0], 7)
    y.square().sum().backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is None}


@pytest.mark.parametrize("name", sorted(DEEP))
def test_deep_small_form_runs(name):
    model = on_meta(FACTORIES[name], num_classes=7, in_channels=1, small=True)
    with torch.no_grad():
        assert model(torch.empty(SMALL_INPUTS[0], device="meta")).shape == (2, 7)


@pytest.mark.parametrize("name", sorted(set(FACTORIES) - DEEP - DEEPEST))
def test_small_form_trains_on_both_input_sizes(name):
    gray, color = SMALL_INPUTS
    model = on_meta(FACTORIES[name], num_classes=7, in_channels=1, small=True)
    assert step(model, gray, "meta") == set()
    if name in REPRESENTATIVES:
        model = on_meta(FACTORIES[name], num_classes=7, in_channels=3, small=True)
        assert step(model, color, "meta") == set()
    else:
        with torch.no_grad():
            model = on_meta(FACTORIES[name], num_classes=7, in_channels=3, small=True)
            assert model(torch.empty(color, device="meta")).shape == (2, 7)


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_gradients_of_the_small_form_are_finite(name):
    torch.manual_seed(0)
    model = FACTORIES[name](num_classes=7, in_channels=1, small=True)
    assert step(model, SMALL_INPUTS[0], "cpu") == set()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_gradients_of_a_short_inception_resnet_are_finite():
    torch.manual_seed(0)
    model = inception_resnet.inception_resnet_v2(num_classes=7, in_channels=1, small=True, counts=(1, 1, 2))
    assert step(model, SMALL_INPUTS[0], "cpu") == set()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_graph_of_a_small_network_ends_with_the_scores():
    graph = trace(on_meta(resnet.resnet20, in_channels=1), (2, 1, 28, 28))
    assert graph.ops[-1].shape == (2, 10)


# --- bad arguments ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cifar_resnet(21), "depth must be 6n \\+ 2 with BasicBlock, n at least 1, got 21"),
        (lambda: cifar_resnet(30, block=PreactBottleneck), "depth must be 9n \\+ 2 .* got 30"),
        (lambda: resnet.resnet20(small=False), "small must be True"),
        (lambda: resnet.resnet18(shortcut="D"), "shortcut must be .* got 'D'"),
        (lambda: resnet.resnet50(stride_on="2x2"), "stride_on must be .* got '2x2'"),
        (lambda: resnet.resnet20(survival=0), "survival must be greater than 0 and at most 1, got 0"),
        (lambda: StochasticDepth(1.5), "survival must be .* got 1.5"),
        (lambda: ZeroPadShortcut(4, 2, 1), "out_channels must be at least in_channels 4, got 2"),
        (lambda: resnet.ResNet(BasicBlock, (2, 2)), "blocks must have one entry .* got \\(2, 2\\)"),
        (lambda: resnet.resnet18(num_classes=0), "num_classes must be .* got 0"),
        (lambda: wide_resnet.cifar_wide_resnet(29, 2), "depth must be 6n \\+ 4, n at least 1, got 29"),
        (lambda: wide_resnet.cifar_wide_resnet(28, 0), "widen must be .* got 0"),
        (lambda: wide_resnet.wrn16_4(dropout=1.0), "dropout must be .* got 1.0"),
        (lambda: resnext.cifar_resnext(30, 8, 64), "depth must be 9n \\+ 2, n at least 1, got 30"),
        (lambda: resnext.cifar_resnext(29, 0, 64), "cardinality must be .* got 0"),
        (lambda: densenet.cifar_densenet(99, 12), "depth must be 6n \\+ 4 with bottleneck=True, .* got 99"),
        (lambda: densenet.DenseNet((2,), 4, 8, compression=0), "compression must be .* got 0"),
        (lambda: highway.highway10(small=False), "small must be True"),
        (lambda: highway.Highway(depth=4), "depth must be at least 5, got 4"),
        (lambda: PyramidNet(100, 48), "depth must be 6n \\+ 2 with bottleneck=False, .* got 100"),
        (lambda: xception.xception(dropout=-0.1), "dropout must be .* got -0.1"),
        (
            lambda: inception_resnet.inception_resnet_v2(counts=(1, 2)),
            "counts must be three .* got \\(1, 2\\)",
        ),
        (lambda: block_a(scale=0), "scale must be .* got 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        call()


# --- the experiment on degradation ---


@pytest.mark.parametrize(
    ("words", "title", "networks"),
    [
        ("", "degradation", {"plain20", "plain56", "resnet20", "resnet56"}),
        ("--part options", "degradation_options", {"resnet20 B", "resnet20 C"}),
        ("--part clip --full", "degradation_full_clip", {"plain56 clip"}),
    ],
)
def test_each_part_of_the_experiment_has_its_own_record(monkeypatch, tmp_path, words, title, networks):
    """Chapter 15 reads degradation.json: the record of another part must not take its place."""
    written = {}

    def trained(name, seed, size, device):
        return {"network": name, "seed": seed, "test error": 0.1, "train error": 0.1, "cpu seconds": 1}

    def write(name, record):
        written[name] = record
        return tmp_path / name

    threads = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    for name, value in {"run": trained, "write": write, "ROOT": tmp_path}.items():
        monkeypatch.setattr(degradation, name, value)
    monkeypatch.setattr(sys, "argv", ["degradation", *words.split(), "--record"])
    degradation.main()
    (record,) = written.values()
    assert list(written) == [title]
    assert {run["network"] for run in record["runs"]} == networks
    assert len(record["runs"]) == 3 * len(networks)
    assert set(words.split()) < set(record["command"].split())


def test_networks_of_the_experiment_are_what_their_names_say():
    plain, ours = (degradation.network(name, 3, 8) for name in ("plain20", "resnet20"))
    for a, b in zip(plain.state_dict().values(), ours.state_dict().values(), strict=True):
        assert torch.equal(a, b)  # zeros and the identity have no weights: both start alike
    for name, projections in {"plain20": 0, "resnet20": 0, "resnet20 B": 2, "resnet20 C": 9}.items():
        model = degradation.network(name, 3, 8)
        found = [path for path, _ in model.named_modules() if path.endswith("shortcut.0")]
        assert len(found) == projections, name
        assert len(degradation.blocks(model)) == 9
