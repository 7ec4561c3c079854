"""utils.graph: what was run is what was recorded."""

import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from torch import nn  # noqa: E402

from utils.cost import cost  # noqa: E402
from utils.graph import Graph, Source, trace  # noqa: E402
from utils.receptive_field import receptive_field  # noqa: E402


class Block(nn.Module):
    """Everything that a graph must follow: branches, a shared module, in-place forms, functions, a parameter."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.relu = nn.ReLU(inplace=True)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.unused = nn.Linear(2, 2)
        self.register_buffer("offset", torch.zeros(1))

    def forward(self, x):
        a, b = self.relu(self.left(x)), self.relu(self.right(x))
        return torch.cat([a * self.scale, b + self.offset], 1)


@pytest.fixture
def graph():
    return trace(Block(), (2, 3, 8, 6))


def test_operations_in_order_with_their_modules(graph):
    assert isinstance(graph, Graph)
    assert [(op.function, op.module, op.kind, op.call) for op in graph] == [
        ("convolution", "left", "Conv2d", 0),
        ("relu", "relu", "ReLU", 0),
        ("convolution", "right", "Conv2d", 0),
        ("relu", "relu", "ReLU", 1),
        ("mul", "", "Block", 0),
        ("add", "", "Block", 0),
        ("cat", "", "Block", 0),
    ]
    assert [op.index for op in graph] == list(range(len(graph)))
    assert [op.in_place for op in graph] == [False, True, False, True, False, False, False]


def test_shapes_arguments_and_where_tensors_come_from(graph):
    left, relu, right, _, mul, add, cat = graph.ops
    assert left.outputs == ((2, 4, 8, 6),)
    assert left.args["stride"] == (1, 1)
    assert left.args["padding"] == (1, 1)
    assert left.args["input"] == right.args["input"] == Source("input", (2, 3, 8, 6), 0)
    assert [p.name for p in left.parameters] == ["left.weight", "left.bias"]
    assert left.parameters[0].shape == (4, 3, 3, 3)
    assert [s.index for s in relu.inputs] == [0]
    assert [s.index for s in mul.inputs] == [1]  # the tensor that relu overwrote, not the convolution's
    assert [p.name for p in mul.parameters] == ["scale"]
    assert [p.name for p in add.parameters] == ["offset"]
    assert [s.index for s in cat.inputs] == [4, 5]
    assert cat.shape == (2, 8, 8, 6)
    assert graph.outputs == (Source("op", (2, 8, 8, 6), 6),)
    assert graph.inputs == (Source("input", (2, 3, 8, 6), 0),)
    assert {op.element_size for op in graph} == {4}


def test_users_are_the_inverse_of_inputs(graph):
    users = graph.users()
    assert users == {0: [1], 1: [4], 2: [3], 3: [5], 4: [6], 5: [6], 6: []}


def test_calls_of_modules(graph):
    assert [(c.module, c.call, c.first, c.last) for c in graph.calls] == [
        ("", 0, 0, 7),
        ("left", 0, 0, 1),
        ("relu", 0, 1, 2),
        ("right", 0, 2, 3),
        ("relu", 1, 3, 4),
    ]
    assert graph.calls[0].kind == "Block"
    assert graph.calls[2].inputs[0].index == 0
    assert graph.calls[2].outputs[0].index == 1


def test_all_parameters_are_listed_used_or_not(graph):
    model = Block()
    assert graph.parameters == {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert graph.buffers == {"offset": (1,)}


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    for training in (False, True):
        trace(model, (2, 3, 8, 8), training=training)
    assert torch.rand(1) == drawn  # nor was the random number generator used
    assert [m.training for m in model.modules()] == [True, True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks


def test_training_records_what_runs_in_training():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    assert len(trace(model, (2, 3, 4, 4))) == 1
    in_training = trace(model, (2, 3, 4, 4), training=True)
    assert len(in_training) > 1
    assert in_training.ops[0].args["training"]
    googlenet = torchvision.models.googlenet(weights=None, init_weights=False)
    assert len(trace(googlenet, training=True)) > len(trace(googlenet))  # the auxiliary heads
    assert len(trace(googlenet, training=True).outputs) == 3


def test_writing_into_a_part_of_a_tensor_changes_the_whole():
    class Writes(nn.Module):
        def forward(self, x):
            y = x * 2
            y[:, 1:3] = y[:, :2].exp()
            return y + 1

    graph = trace(Writes(), (1, 4, 3, 3))
    written = [op for op in graph if op.function == "written"]
    assert len(written) == 1
    assert written[0].shape == (1, 4, 3, 3)
    assert graph.ops[-1].function == "add"
    assert graph.ops[-1].inputs[0].index == written[0].index


def test_a_forward_that_needs_numbers_runs_on_the_cpu():
    class Branches(nn.Module):
        def forward(self, x):
            return x.relu() if x.shape[0] == 1 and float(x.abs().sum()) > 0 else x.sigmoid()

    assert "relu" in [op.function for op in trace(Branches(), (1, 2, 3, 3))]

    class MakesItsOwn(nn.Module):
        def forward(self, x):
            return x + torch.arange(3.0)

    (op,) = trace(MakesItsOwn(), (1, 3)).ops
    assert [s.kind for s in op.sources] == ["input", "constant"]


def test_several_inputs_several_outputs_and_constants():
    class Two(nn.Module):
        def forward(self, x, y):
            return {"sum": x + y, "given": x, "list": [y * 2]}

    graph = trace(Two(), [(1, 3), (4, 3)])
    assert [s.shape for s in graph.inputs] == [(1, 3), (4, 3)]
    assert [s.kind for s in graph.outputs] == ["op", "input", "op"]
    assert [s.index for s in graph.ops[0].inputs] == [0, 1]


def test_shared_weights_are_counted_once():
    layer = nn.Linear(3, 3)
    graph = trace(nn.Sequential(layer, nn.ReLU(), layer), (1, 3))
    assert set(graph.parameters) == {"0.weight", "0.bias"}
    assert [op.parameters[-1].name for op in graph if op.function == "addmm"] == ["0.weight", "0.weight"]


def test_attention_is_recorded_step_by_step():
    graph = trace(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (1, 5, 8))
    assert {"bmm", "addmm", "native_layer_norm"} <= {op.function for op in graph}


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "densenet121", "mobilenet_v3_small", "vit_b_32"])
def test_weights_of_known_models_are_read_by_the_operations(name):
    with torch.device("meta"):
        plain = {"init_weights": False} if name == "googlenet" else {}
        model = torchvision.models.get_model(name, **plain)
    graph = trace(model)
    read = {p.name for op in graph for p in op.parameters}
    trainable = {n for n, _ in model.named_parameters() if not n.startswith("aux")}
    assert trainable <= read
    assert graph.outputs[0].shape == (1, 1000)
    for op in graph:  # every source is older than its operation
        assert all(s.index < op.index for s in op.inputs if s.kind == "op")


def test_attributes_that_a_run_changes_are_put_back():
    class Keeps(nn.Module):
        """Moves its grid to the device of the input and keeps it there, as torchvision's anchors do."""

        def __init__(self):
            super().__init__()
            self.grid, self.calls, self.conv = [torch.arange(3.0)], 0, nn.Conv2d(1, 1, 1)

        def forward(self, x):
            self.grid = [g.to(x.device) for g in self.grid]
            self.calls, self.seen = self.calls + 1, x
            return self.conv(x) + self.grid[0]

    model = Keeps()
    grid = model.grid
    assert [op.function for op in trace(model, (1, 1, 3, 3))] == ["convolution", "add"]
    assert model.grid is grid
    assert grid[0].device.type == "cpu"
    assert model.calls == 0
    assert not hasattr(model, "seen")
    assert model(torch.zeros(1, 1, 3, 3)).shape == (1, 1, 3, 3)


@pytest.mark.parametrize(
    "name", ["retinanet_resnet50_fpn", "fcos_resnet50_fpn", "ssdlite320_mobilenet_v3_large"]
)
def test_detectors_run_and_stay_as_they_were(name):
    torch.manual_seed(0)
    small = {} if name.startswith("ssd") else {"min_size": 64, "max_size": 64}
    model = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None, **small).eval()
    x, calls = [torch.rand(3, 64, 64)], []
    with torch.no_grad():
        expected = model(x)[0]
        handles = [
            layer.register_forward_hook(lambda *_: calls.append(1))
            for layer in model.modules()
            if isinstance(layer, nn.Conv2d)
        ]
        model(x)
        for handle in handles:
            handle.remove()
        graph = trace(model, (1, 3, 64, 64))
        after = model(x)[0]
    assert len(calls) == sum(op.function == "convolution" for op in graph)
    assert {s.name for op in graph for s in op.parameters} >= {n for n, _ in model.named_parameters()}
    assert [s.shape[1:] for s in graph.outputs] == [tuple(v.shape[1:]) for v in expected.values()]
    assert all(torch.equal(after[key], expected[key]) for key in expected)
    with pytest.raises(
        ValueError, match=r"does not run on an input of shape \(1, 3, 64, 64\): targets should"
    ):
        trace(model, (1, 3, 64, 64), training=True)
    counted = cost(model, (1, 3, 64, 64))  # what a training step stores cannot be known without targets
    assert counted.total.parameters == sum(p.numel() for p in model.parameters())
    assert receptive_field(model, (1, 3, 64, 64))["head"].everything


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"model: expected an nn\.Module, got str"):
        trace("resnet18")
    for bad in (3, (), (1, 0, 3), (1.0, 2), "abc", [(1, 2), (0,)]):
        with pytest.raises(ValueError, match="input_size: expected a shape"):
            trace(nn.ReLU(), bad)
    with pytest.raises(ValueError, match=r"input_size: Linear does not run on an input of shape \(1, 4\)"):
        trace(nn.Linear(3, 3), (1, 4))


def test_arguments_stand_in_the_order_of_pytorchs_signature():
    class Clamp(nn.Module):
        def forward(self, x):
            return torch.clamp(x, min=x.mean())

    graph = trace(Clamp(), (1, 3))
    (clamp,) = [op for op in graph if op.function == "clamp"]
    assert [s.kind for s in clamp.sources] == ["input", "op"]
    assert list(trace(nn.AvgPool2d(2), (1, 1, 4, 4)).ops[0].args)[:3] == ["self", "kernel_size", "stride"]
