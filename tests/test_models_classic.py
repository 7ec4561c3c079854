"""The classic networks, LeNet-5 to Inception v3: torchvision's outputs, the papers' tables, small inputs."""

import math

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from utils.cost import cost
from utils.graph import trace
from utils.models import MODELS, alexnet, build, googlenet, inception_v3, lenet, nin, vgg, zfnet

NAMES = [
    name for module in (lenet, alexnet, zfnet, vgg, nin, googlenet, inception_v3) for name in module.FACTORIES
]
LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)


def meta(name, **options):
    """The network without numbers: to be counted, at no cost."""
    with torch.device("meta"):
        return build(name, **options)


def theirs(name, **options):
    """torchvision's network, without numbers."""
    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False} | options
    with torch.device("meta"):
        return torchvision.models.get_model(name, weights=None, **options)


def with_numbers(model):
    """The network in float64 with random weights; batch normalizations have random statistics, too."""
    torch.manual_seed(3)
    model = model.double().to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            module.num_batches_tracked.zero_()
        elif isinstance(module, LAYERS):
            bound = (6 / module.weight[0].numel()) ** 0.5
            nn.init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return model


def count(model):
    return sum(p.numel() for p in model.parameters())


def layer_counts(model):
    """The parameters of each layer with weights, smallest first."""
    return sorted(count(m) for m in model.modules() if isinstance(m, LAYERS))


# --- torchvision's twins ---

TWINS = {
    "alexnet": (alexnet, 65),
    **{f"vgg{depth}{bn}": (vgg, 33) for depth in (11, 13, 16, 19) for bn in ("", "_bn")},
    "googlenet": (googlenet, 64),
    "inception_v3": (inception_v3, 96),
}


@pytest.mark.parametrize("name", TWINS)
def test_every_layer_has_as_many_parameters_as_torchvisions(name):
    twin, ours = theirs(name), meta(name)
    assert count(ours) == count(twin)
    assert layer_counts(ours) == layer_counts(twin)
    state = TWINS[name][0].from_torchvision(twin.state_dict())
    shapes = {name: value.shape for name, value in ours.state_dict().items()}
    assert {name: value.shape for name, value in state.items()} == shapes


# The large dense layers of VGG are the same whatever the column: they are compared for one.
@pytest.mark.parametrize("name", ["alexnet", "vgg11", "googlenet", "inception_v3"])
def test_outputs_equal_torchvisions(name):
    module, side = TWINS[name]
    twin = with_numbers(theirs(name, num_classes=20)).eval()
    ours = meta(name, num_classes=20).eval()
    ours.load_state_dict(module.from_torchvision(twin.state_dict()), strict=True, assign=True)
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.no_grad():
        expected, got = twin(x), ours(x)
    assert expected.std() > 1e-6
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in TWINS if name.startswith("vgg") and name != "vgg11"])
def test_the_features_of_all_columns_equal_torchvisions(name):
    twin = with_numbers(theirs(name).features).eval()
    ours = meta(name).features.eval()
    ours.load_state_dict(twin.state_dict(), strict=True, assign=True)
    x = torch.randn(1, 3, 40, 33, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), twin(x), rtol=1e-9, atol=1e-12)


def test_googlenet_in_training_gives_torchvisions_three_scores():
    twin = theirs("googlenet", num_classes=7, dropout=0.0, dropout_aux=0.0, transform_input=True)
    twin = with_numbers(twin).train()
    ours = (
        build("googlenet", num_classes=7, dropout=0.0, aux_dropout=0.0, transform_input=True).double().train()
    )
    ours.load_state_dict(googlenet.from_torchvision(twin.state_dict()), strict=True)
    x = torch.randn(3, 3, 80, 64, dtype=torch.float64)
    with torch.no_grad():
        expected, got = twin(x), ours(x)
    torch.testing.assert_close(got.logits, expected.logits, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(got.aux1, expected.aux_logits1, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(got.aux2, expected.aux_logits2, rtol=1e-9, atol=1e-12)
    state = googlenet.from_torchvision(twin.state_dict())  # the running statistics moved alike
    torch.testing.assert_close(ours.state_dict(), state, rtol=1e-9, atol=1e-12)


def test_inception_v3_in_training_equals_torchvisions():
    twin = with_numbers(theirs("inception_v3", num_classes=7, dropout=0.0, transform_input=True)).train()
    ours = build("inception_v3", num_classes=7, dropout=0.0, transform_input=True).double().train()
    ours.load_state_dict(inception_v3.from_torchvision(twin.state_dict()), strict=True)
    middle = torch.randn(2, 768, 17, 17, dtype=torch.float64)  # what the auxiliary classifier sees at 299×299
    with torch.no_grad():
        torch.testing.assert_close(ours.aux(middle), twin.AuxLogits(middle), rtol=1e-9, atol=1e-12)
        twin.AuxLogits = ours.aux = None
        x = torch.randn(2, 3, 107, 96, dtype=torch.float64)
        torch.testing.assert_close(ours(x), twin(x).logits, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_transform_input_turns_normalized_pictures_into_minus_one_to_one(name):
    pixels = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalize = torchvision.transforms.Normalize(mean.tolist(), deviation.tolist())
    got = googlenet.imagenet_to_unit_range(normalize(pixels))
    torch.testing.assert_close(got, 2 * pixels - 1, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"in_channels must be 3 .* got 1"):
        meta(name, in_channels=1, transform_input=True)


# --- LeNet-5: LeCun et al. 1998, section II.B ---

LENET_ROWS = {  # layer: trainable parameters, connections, shape of its output
    "c1": (156, 122_304, (1, 6, 28, 28)),
    "s2": (12, 5_880, (1, 6, 14, 14)),
    "c3": (1_516, 151_600, (1, 16, 10, 10)),
    "s4": (32, 2_000, (1, 16, 5, 5)),
    "c5": (48_120, 48_120, (1, 120, 1, 1)),
    "f6": (10_164, 10_164, (1, 84)),
}


@pytest.mark.parametrize("layer", LENET_ROWS)
def test_lenet5_layer_as_in_lecun_1998_section_2b(layer):
    parameters, connections, shape = LENET_ROWS[layer]
    model = lenet.LeNet5()
    module = getattr(model, layer)
    assert count(module) == parameters
    seen = []
    module.register_forward_hook(lambda module, args, output: seen.append((args[0].shape, output.shape)))
    model(torch.zeros(1, 1, 32, 32))
    ((_, output),) = seen
    assert tuple(output) == shape
    # A unit is connected to its inputs and its bias; every unit of a channel shares them.
    inputs = {
        "c1": [25] * 6, "s2": [4] * 6, "c3": [25 * len(channels) for channels in lenet.C3_TABLE],
        "s4": [4] * 16, "c5": [25 * 16] * 120, "f6": [120] * 84,
    }[layer]  # fmt: skip
    places = output[2:].numel() if len(output) == 4 else 1
    assert sum(n + 1 for n in inputs) * places == connections


def test_lenet5_has_60000_parameters_and_340908_connections_lecun_1998_section_2b():
    assert count(lenet.LeNet5()) == 60_000
    assert sum(row[1] for row in LENET_ROWS.values()) + 84 * 10 == 340_908
    assert cost(lenet.LeNet5(), (1, 1, 32, 32)).total.parameters == 60_000


def test_lenet5_c3_table_as_described_lecun_1998_section_2b():
    table = lenet.C3_TABLE
    assert [len(channels) for channels in table] == [3] * 6 + [4] * 9 + [6]
    neighbors = lambda first, n: {(first + i) % 6 for i in range(n)}
    assert [set(c) for c in table[:6]] == [
        neighbors(k, 3) for k in range(6)
    ]  # "every contiguous subset of three"
    assert [set(c) for c in table[6:12]] == [neighbors(k, 4) for k in range(6)]  # "... of four"
    assert all(set(c) not in [neighbors(k, 4) for k in range(6)] for c in table[12:15])  # "discontinuous"
    uses = [sum(c in channels for channels in table) for c in range(6)]
    assert uses == [10] * 6  # every channel of S2 is read equally often
    assert len(set(table)) == 16


def test_partial_convolution_equals_separate_convolutions_of_the_chosen_channels():
    torch.manual_seed(0)
    layer = lenet.LeNet5().double().c3
    x = torch.randn(2, 6, 9, 12, dtype=torch.float64)
    start = 0
    for k, channels in enumerate(lenet.C3_TABLE):
        kernels = layer.weight[start : start + len(channels)]
        start += len(channels)
        expected = F.conv2d(x[:, list(channels)], kernels[None], layer.bias[k : k + 1])
        torch.testing.assert_close(layer(x)[:, k : k + 1], expected)


def test_lenet5_squashing_subsampling_and_output_by_hand():
    squash = lenet.ScaledTanh()
    torch.testing.assert_close(
        squash(torch.tensor([1.0, -1.0, 0.0])), torch.tensor([1.0, -1.0, 0.0]), atol=1e-4, rtol=0
    )
    layer = lenet.Subsampling(2)
    with torch.no_grad():
        layer.coefficient[:] = torch.tensor([0.5, -2.0]).view(2, 1, 1)
        layer.bias[:] = torch.tensor([1.0, 3.0]).view(2, 1, 1)
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]]).expand(1, 2, 2, 2)
    assert layer(x).flatten().tolist() == [0.5 * 11 + 1, -2 * 11 + 3]
    x = torch.randn(3, 84, dtype=torch.float64)
    codes = lenet.class_codes(10).double()
    expected = torch.stack([((x - code) ** 2).sum(dim=1) for code in codes], dim=1)
    torch.testing.assert_close(lenet.RBF(codes)(x), expected)


@pytest.mark.parametrize("num_classes", [10, 4])
def test_class_codes_are_different_signs(num_classes):
    codes = lenet.class_codes(num_classes)
    assert codes.shape == (num_classes, 84)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    distances = torch.cdist(codes, codes) ** 2 + 1000 * torch.eye(num_classes)
    assert distances.min() >= 4 * 4  # no two classes look alike: at least 4 of 84 cells differ
    torch.testing.assert_close(codes, lenet.class_codes(num_classes))


def test_lenet5_loss_is_lecun_1998_equation_9():
    torch.manual_seed(1)
    scores, labels = -torch.rand(5, 10, dtype=torch.float64) * 9, torch.tensor([3, 0, 9, 9, 1])
    expected = torch.tensor(0.0, dtype=torch.float64)
    for row, label in zip(-scores, labels, strict=True):
        expected += row[label] + torch.log(torch.exp(torch.tensor(-0.7)) + torch.exp(-row).sum())
    torch.testing.assert_close(lenet.lenet5_loss(scores, labels, j=0.7), expected / 5, rtol=1e-6, atol=0)
    without = lenet.lenet5_loss(scores, labels, j=1e9)
    torch.testing.assert_close(without, F.cross_entropy(scores, labels))


def test_lenet5_initial_weights_are_at_most_2_4_over_the_inputs_lecun_1998_appendix_a():
    torch.manual_seed(0)
    model = lenet.LeNet5()
    for weight, inputs in [
        (model.c1.weight, 25),
        (model.s2.coefficient, 4),
        (model.c5.weight, 400),
        (model.f6.weight, 120),
    ]:
        assert 0.8 * 2.4 / inputs < weight.abs().max() <= 2.4 / inputs or weight.numel() < 10
    dense = model.c3.dense_weight().abs().amax(dim=(1, 2, 3))
    for k, channels in enumerate(lenet.C3_TABLE):
        assert 0.8 * 2.4 / (25 * len(channels)) < dense[k] <= 2.4 / (25 * len(channels))


def test_lenet_stands_a_28x28_picture_in_the_middle_of_32x32():
    x = torch.randn(2, 1, 28, 28)
    padded = lenet.pad_to_32(x)
    assert padded.shape == (2, 1, 32, 32)
    torch.testing.assert_close(padded[:, :, 2:30, 2:30], x)
    assert padded.abs().sum() == x.abs().sum()
    for name in ("lenet", "lenet5"):
        with pytest.raises(ValueError, match=r"x must be at most 32×32, got 33×20"):
            build(name)(torch.zeros(1, 1, 33, 20))


def test_todays_lenet_counts():
    assert layer_counts(meta("lenet")) == sorted([156, 2_416, 48_120, 10_164, 850])
    assert count(meta("lenet")) == 61_706


# --- AlexNet: Krizhevsky et al. 2012 ---


def test_alexnet2012_counts_krizhevsky_2012_section_3_5():
    model = meta("alexnet2012")
    convolutions = [count(m) for m in model.modules() if isinstance(m, nn.Conv2d)]
    # kernels 96 of 11×11×3, 256 of 5×5×48, 384 of 3×3×256, 384 of 3×3×192, 256 of 3×3×192
    rows = [(96, 11, 3), (256, 5, 48), (384, 3, 256), (384, 3, 192), (256, 3, 192)]
    assert convolutions == [k * side * side * c + k for k, side, c in rows]
    assert round(count(model) / 1e6) == 61  # "60 million parameters": 60,965,224
    assert count(model) == 60_965_224
    one_gpu = meta("alexnet2012", groups=1)
    assert count(one_gpu) == 62_378_344


def test_alexnet_width():
    narrow = meta("alexnet", width=0.25, small=True, num_classes=10, in_channels=1)
    units = [m.weight.shape[0] for m in narrow.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert units == [16, 48, 96, 64, 64, 128, 128, 10]
    assert trace(narrow, (1, 1, 14, 14)).outputs[0].shape == (1, 10)
    assert count(meta("alexnet", width=1.0)) == 61_100_840


def test_alexnet2012_neurons_krizhevsky_2012_section_3_5():
    costs = cost(meta("alexnet2012"), (1, 3, 227, 227))
    neurons = [math.prod(c.shape) for c in costs if c.kind in ("Conv2d", "Linear")]
    # The paper's first number is 253,440 = 55 · 48 · 96; the layer that it describes has 55 · 55 · 96.
    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert costs.total.multiply_adds == 724_406_816


def test_alexnet2012_groups_see_only_their_half():
    torch.manual_seed(0)
    second = build("alexnet2012", small=True, num_classes=3).features[4]
    x = torch.randn(1, 96, 6, 7, requires_grad=True)
    second(x)[:, :128].sum().backward()
    assert x.grad[:, 48:].abs().sum() == 0
    assert x.grad[:, :48].abs().sum() > 0


def test_response_norm_is_krizhevsky_2012_section_3_3():
    torch.manual_seed(0)
    a = 30 * torch.randn(2, 9, 3, 4, dtype=torch.float64)
    expected = torch.empty_like(a)
    for i in range(9):
        window = a[:, max(0, i - 2) : min(8, i + 2) + 1]
        expected[:, i] = a[:, i] / (2 + 1e-4 * window.square().sum(dim=1)) ** 0.75
    torch.testing.assert_close(alexnet.ResponseNorm()(a), expected)


def test_alexnet2012_initial_weights_krizhevsky_2012_section_5():
    torch.manual_seed(0)
    model = build("alexnet2012", num_classes=5, small=True)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert [m.bias.unique().tolist() for m in layers] == [[0], [1], [0], [1], [1], [1], [1], [0]]
    assert all(abs(m.weight.std().item() - 0.01) < 0.001 for m in layers)


# --- ZFNet: Zeiler and Fergus 2014, figure 3 ---


def test_zfnet_sides_and_counts_zeiler_2014_figure_3():
    model = meta("zfnet")
    shapes = [op.shape for op in trace(model) if op.function in ("convolution", "max_pool2d_with_indices")]
    sides = [shape[1:] for shape in shapes]
    assert sides == [
        (96, 110, 110), (96, 55, 55), (256, 26, 26), (256, 13, 13),
        (384, 13, 13), (384, 13, 13), (256, 13, 13), (256, 6, 6),
    ]  # fmt: skip
    rows = [
        (96, 7, 3),
        (256, 5, 96),
        (384, 3, 256),
        (384, 3, 384),
        (256, 3, 384),
        (4096, 1, 9216),
        (4096, 1, 4096),
        (1000, 1, 4096),
    ]
    assert layer_counts(model) == sorted(k * side * side * c + k for k, side, c in rows)
    assert count(model) == 62_357_608


# --- VGG: Simonyan and Zisserman 2015, table 2 ---


@pytest.mark.parametrize(
    ("name", "layers", "millions"),
    [("vgg11", 11, 133), ("vgg13", 13, 133), ("vgg16c", 16, 134), ("vgg16", 16, 138), ("vgg19", 19, 144)],
)
def test_vgg_layers_and_parameters_simonyan_2015_table_2(name, layers, millions):
    model = meta(name)
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == layers
    assert round(count(model) / 1e6) == millions
    with_bn = meta(f"{name}_bn")
    assert sum(isinstance(m, nn.BatchNorm2d) for m in with_bn.modules()) == layers - 3
    assert count(with_bn) > count(model)


def test_vgg16c_has_1x1_kernels_where_simonyan_2015_table_1_does():
    kernels = [m.kernel_size[0] for m in meta("vgg16c").features if isinstance(m, nn.Conv2d)]
    assert kernels == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]


def test_vgg16_sides_and_width():
    shapes = [op.shape for op in trace(meta("vgg16")) if op.function == "max_pool2d_with_indices"]
    assert [shape[1:] for shape in shapes] == [
        (64, 112, 112),
        (128, 56, 56),
        (256, 28, 28),
        (512, 14, 14),
        (512, 7, 7),
    ]
    narrow = meta("vgg11_bn", width=0.25, small=True, num_classes=10, in_channels=1)
    channels = [m.out_channels for m in narrow.modules() if isinstance(m, nn.Conv2d)]
    assert channels == [16, 32, 64, 64, 128, 128, 128, 128]
    shapes = [
        op.shape[2:] for op in trace(narrow, (1, 1, 28, 28)) if op.function == "max_pool2d_with_indices"
    ]
    assert shapes == [(14, 14), (7, 7), (4, 4), (2, 2), (1, 1)]


# --- NiN: the authors' configurations ---


def test_nin_counts_and_sides():
    cifar = meta("nin_cifar")
    rows = [
        (192, 5, 3),
        (160, 1, 192),
        (96, 1, 160),
        (192, 5, 96),
        (192, 1, 192),
        (192, 1, 192),
        (192, 3, 192),
        (192, 1, 192),
        (10, 1, 192),
    ]
    assert layer_counts(cifar) == sorted(k * side * side * c + k for k, side, c in rows)
    assert count(cifar) == 966_986
    sides = [op.shape[2] for op in trace(cifar, (1, 3, 32, 32)) if op.function == "convolution"]
    assert sides == [32] * 3 + [16] * 3 + [8] * 3
    imagenet = meta("nin")
    assert count(imagenet) == 7_595_176
    sides = [op.shape[2] for op in trace(imagenet) if op.function == "convolution"]
    assert sides == [54] * 3 + [27] * 3 + [13] * 3 + [6] * 3
    assert not any(isinstance(m, nn.Linear) for m in imagenet.modules())


def test_mlpconv_is_a_small_dense_network_at_every_place():
    torch.manual_seed(0)
    block = nin.mlpconv(2, (5, 4, 3), kernel_size=3).double()
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64)
    window = x[0, :, 2:5, 3:6].flatten()
    for layer in (block[0], block[2], block[4]):
        window = torch.relu(layer.weight.flatten(1) @ window + layer.bias)
    torch.testing.assert_close(block(x)[0, :, 2, 3], window)


# --- GoogLeNet: Szegedy et al. 2015, table 1 ---

# module: output, weights in units of 1024, millions of multiply-adds, as printed. Two rows do not follow from the
# channels in the same table: those of 4c give 498 for 463, those of 5a give 1018 for 1072 and 51 for 54.
GOOGLENET_ROWS = {
    "inception3a": ((256, 28, 28), 159, 128),
    "inception3b": ((480, 28, 28), 380, 304),
    "inception4a": ((512, 14, 14), 364, 73),
    "inception4b": ((512, 14, 14), 437, 88),
    "inception4c": ((512, 14, 14), 463, 100),
    "inception4d": ((528, 14, 14), 580, 119),
    "inception4e": ((832, 14, 14), 840, 170),
    "inception5a": ((832, 7, 7), 1072, 54),
    "inception5b": ((1024, 7, 7), 1388, 71),
    "fc": ((1000,), 1000, 1),
}


@pytest.fixture(scope="module")
def googlenet2014():
    model = meta("googlenet2014").eval()
    return model, cost(model)


@pytest.mark.parametrize("layer", GOOGLENET_ROWS)
def test_googlenet_module_szegedy_2015_table_1(googlenet2014, layer):
    model, costs = googlenet2014
    output, kilo, mega = GOOGLENET_ROWS[layer]
    assert tuple(costs[layer].shape[1:]) == output
    weights = sum(p.numel() for p in getattr(model, layer).parameters() if p.ndim > 1)
    misprinted = {"inception4c": (498 / 463, 1), "inception5a": (1018 / 1072, 51.1 / 54)}.get(layer, (1, 1))
    rel = 0.025 if layer == "fc" else 0.02
    assert weights / 1024 == pytest.approx(kilo * misprinted[0], rel=rel)
    assert costs[layer].multiply_adds / 1e6 == pytest.approx(mega * misprinted[1], rel=rel)


def test_googlenet2014_totals(googlenet2014):
    model, costs = googlenet2014
    used = count(model) - count(model.aux1) - count(model.aux2)
    assert used == count(meta("googlenet2014", aux=False)) == 6_998_552
    assert costs.total.multiply_adds / 1e9 == pytest.approx(
        1.5, rel=0.07
    )  # "1.5 billion multiply-adds", section 1


def test_googlenet2014_sides_szegedy_2015_table_1(googlenet2014):
    model, _ = googlenet2014
    pools = [op.shape[1:] for op in trace(model) if op.module.startswith("maxpool")]
    assert pools == [(64, 56, 56), (192, 28, 28), (480, 14, 14), (832, 7, 7)]
    aux = googlenet.Auxiliary(512, 1000, nn.AvgPool2d(5, stride=3), batch_norm=False)
    assert [op.shape for op in trace(aux, (1, 512, 14, 14)) if op.function == "avg_pool2d"] == [
        (1, 512, 4, 4)
    ]


def test_reduction_makes_the_module_cheaper_szegedy_2015_figure_2():
    naive = googlenet.NaiveInception(256, 128, 192, 96)
    reduced = googlenet.Inception(256, 128, 64, 192, 64, 96, 64, batch_norm=False)
    size = (1, 256, 28, 28)
    assert cost(naive, size).total.multiply_adds == 784 * 256 * (128 + 9 * 192 + 25 * 96)  # 854 million
    assert cost(reduced, size).total.multiply_adds == 784 * (256 * (128 + 3 * 64) + 64 * (9 * 192 + 25 * 96))
    assert naive(torch.zeros(1, 256, 5, 6)).shape == (1, 128 + 192 + 96 + 256, 5, 6)
    assert reduced(torch.zeros(1, 256, 5, 6)).shape == (1, 128 + 192 + 96 + 64, 5, 6)


def test_auxiliary_loss_weighs_the_auxiliary_scores_with_0_3_szegedy_2015_section_5():
    torch.manual_seed(0)
    logits, aux1, aux2 = torch.randn(3, 4, 7)
    labels = torch.tensor([0, 3, 6, 2])
    expected = F.cross_entropy(logits, labels) + 0.3 * (
        F.cross_entropy(aux1, labels) + F.cross_entropy(aux2, labels)
    )
    torch.testing.assert_close(
        googlenet.auxiliary_loss(googlenet.GoogLeNetOutputs(logits, aux1, aux2), labels), expected
    )
    torch.testing.assert_close(googlenet.auxiliary_loss(logits, labels), F.cross_entropy(logits, labels))


@pytest.mark.parametrize("name", ["googlenet", "googlenet2014", "inception_v3"])
def test_auxiliary_classifiers_are_for_training_only(name):
    model = build(name, num_classes=4, small=True, in_channels=1)
    x = torch.randn(2, 1, 28, 28)
    assert isinstance(model.train()(x), tuple)
    assert isinstance(model.eval()(x), torch.Tensor)
    without = build(name, num_classes=4, small=True, in_channels=1, aux=False)
    assert isinstance(without.train()(x), torch.Tensor)
    assert count(without) < count(model)


# --- Inception v3: Szegedy et al. 2016 ---


def test_inception_v3_sides_and_cost_szegedy_2016():
    model = meta("inception_v3", aux=False)
    costs = cost(model, (1, 3, 299, 299))
    outputs = {name: tuple(costs[name].shape[1:]) for name in ("stem", "blocks5", "blocks6", "blocks7")}
    assert outputs == {
        "stem": (192, 35, 35),
        "blocks5": (288, 35, 35),
        "blocks6": (768, 17, 17),
        "blocks7": (2048, 8, 8),
    }
    assert count(model) == 23_834_568  # "less than 25 million parameters" (abstract)
    assert costs.total.multiply_adds / 1e9 == pytest.approx(
        5, rel=0.15
    )  # "5 billion multiply-adds per inference"


# --- all of them ---


def test_models_has_all_names_and_build_makes_them():
    assert set(NAMES) <= set(MODELS)
    assert len(NAMES) == len(set(NAMES))
    model = build("lenet", num_classes=4)
    assert model(torch.zeros(1, 1, 28, 28)).shape == (1, 4)


@pytest.mark.parametrize(
    ("name", "near"), [("vgg17", "vgg1"), ("Googlenet", "googlenet"), ("leNet-5", "lenet5")]
)
def test_build_names_what_is_near(name, near):
    with pytest.raises(ValueError, match=rf"name must be one of .*got '{name}'; did you mean .*{near}"):
        build(name)


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 32, 32)], ids=["28x28", "32x32"])
@pytest.mark.parametrize("name", NAMES)
def test_small_form_runs_and_every_parameter_gets_a_gradient(name, shape):
    torch.manual_seed(0)
    slim = {"width": 0.25} if name.startswith(("vgg", "googlenet")) else {}
    model = build(name, num_classes=10, in_channels=shape[1], small=True, **slim)
    outputs = model(torch.randn(shape))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert all(scores.shape == (2, 10) for scores in outputs)
    sum(F.cross_entropy(scores, torch.tensor([1, 7])) for scores in outputs).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_large_form_runs_at_its_own_size(name):
    side = {"alexnet2012": 227, "inception_v3": 299, "lenet": 32, "lenet5": 32, "nin_cifar": 32}.get(
        name, 224
    )
    channels = 1 if name.startswith("lenet") else 3
    classes = 10 if side == 32 else 1000
    ops = trace(meta(name).eval(), (1, channels, side, side))
    assert ops.ops[-1].shape == (1, classes)


@pytest.mark.parametrize("name", NAMES)
def test_number_of_classes_and_channels_are_checked(name):
    for value in (0, -3, 2.5, "ten", True):
        with pytest.raises(ValueError, match=r"num_classes must be a whole number, 1 or more, got"):
            meta(name, num_classes=value)
        with pytest.raises(ValueError, match=r"in_channels must be a whole number, 1 or more, got"):
            meta(name, in_channels=value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("alexnet", {"dropout": 1.0}, r"dropout must be at least 0 and less than 1, got 1.0"),
        ("alexnet", {"width": 0}, r"width must leave at least one of 64 channels, got 0"),
        ("alexnet2012", {"groups": 3}, r"groups must be 1 or 2 .* got 3"),
        ("zfnet", {"dropout": -0.1}, r"dropout must be .* got -0.1"),
        ("nin", {"dropout": 2}, r"dropout must be .* got 2"),
        ("vgg16", {"dropout": "half"}, r"dropout must be .* got 'half'"),
        ("vgg16", {"width": 0}, r"width must leave at least one of 64 channels, got 0"),
        ("googlenet", {"large": 7}, r"large must be 3 or 5, .* got 7"),
        ("googlenet", {"aux_dropout": 7}, r"aux_dropout must be .* got 7"),
        ("googlenet2014", {"width": 0.01}, r"width must leave at least one of 16 channels, got 0.01"),
        ("inception_v3", {"dropout": 1}, r"dropout must be .* got 1"),
    ],
)
def test_options_are_checked(name, options, message):
    with pytest.raises(ValueError, match=message):
        meta(name, **options)


def test_vgg_column_is_checked():
    with pytest.raises(ValueError, match=r"column must be one of A, B, C, D, E, got 'F'"):
        vgg.vgg("F")
