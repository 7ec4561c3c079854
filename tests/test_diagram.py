"""utils.diagram: what is drawn is what was run, and it can be read: nothing overlaps, nothing runs through a box."""

import functools
import itertools
import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision import models
from torchvision.models.densenet import _DenseBlock
from torchvision.models.googlenet import Inception
from torchvision.models.inception import InceptionE
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.squeezenet import Fire

from utils import boxes, plot
from utils.diagram import COLORS, SOFT, STRIPE, _mix, diagram, text_width
from utils.graph import trace
from utils.layered import Item, layout

SVG = "{http://www.w3.org/2000/svg}"
EPS = 0.02  # numbers are written with two decimals


class UNet(nn.Module):
    """Two levels down and up, with shortcuts from side to side."""

    def __init__(self):
        super().__init__()

        def block(a, b):
            return nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.ReLU()
            )

        self.enc1, self.enc2, self.enc3 = block(1, 16), block(16, 32), block(32, 64)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.dec2 = nn.ConvTranspose2d(64, 32, 2, 2), block(64, 32)
        self.up1, self.dec1 = nn.ConvTranspose2d(32, 16, 2, 2), block(32, 16)
        self.out = nn.Conv2d(16, 2, 1)

    def forward(self, x):
        a = self.enc1(x)
        b = self.enc2(self.pool(a))
        c = self.enc3(self.pool(b))
        b = self.dec2(torch.cat([b, self.up2(c)], 1))
        return self.out(self.dec1(torch.cat([a, self.up1(b)], 1)))


def lenet():
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Sigmoid()),
        *(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84)),
        *(nn.Sigmoid(), nn.Linear(84, 10)),
    )


def shortcut(a, b, stride):
    return nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))


MODULES = {  # name -> (module, size of its input, boxes, lines)
    "BasicBlock": (lambda: BasicBlock(64, 64), (1, 64, 56, 56), 6, 6),
    "BasicBlock, stride 2": (lambda: BasicBlock(64, 128, 2, shortcut(64, 128, 2)), (1, 64, 56, 56), 7, 7),
    "Bottleneck": (lambda: Bottleneck(256, 64), (1, 256, 56, 56), 7, 7),
    "Inception": (lambda: Inception(192, 64, 96, 128, 16, 32, 32), (1, 192, 28, 28), 10, 12),
    "InceptionE": (lambda: InceptionE(1280), (1, 1280, 8, 8), 15, 19),
    # three layers of two convolutions, three concatenations of 2, 3 and 4 tensors
    "dense block": (lambda: _DenseBlock(3, 64, 4, 32, 0.0), (1, 64, 56, 56), 11, 1 + 3 + 2 + 3 + 2 + 4 + 1),
    "inverted residual": (lambda: InvertedResidual(24, 24, 1, 6), (1, 24, 56, 56), 6, 6),
    "fire": (lambda: Fire(96, 16, 64, 64), (1, 96, 55, 55), 6, 6),
    "squeeze and excitation": (lambda: models.efficientnet_b0().features[2][1], (1, 24, 56, 56), 10, 11),
    "shuffle": (lambda: models.shufflenet_v2_x1_0().stage2[1], (1, 116, 28, 28), 8, 8),
    "U-Net": (UNet, (1, 1, 64, 64), 19, 20),
    "LeNet": (lenet, (1, 1, 28, 28), 10, 9),
    "VGG-16": (models.vgg16, (1, 3, 224, 224), 25, 24),
}
NETWORKS = [
    "alexnet",
    "vgg11_bn",
    "googlenet",
    "inception_v3",
    "resnet18",
    "resnet50",
    "densenet121",
    "mobilenet_v2",
]
NETWORKS += ["mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x1_0", "efficientnet_b0", "convnext_tiny"]
NETWORKS += ["swin_t", "vit_b_16"]


def on_meta(build):
    """A model without numbers, which takes no time to make."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        return build().eval()


# ---- can it be read? -------------------------------------------------------------------------------------


def overlap(a, b, margin=0.0) -> bool:
    """Whether two rectangles (left, top, right, bottom) share more than a border."""
    return (
        min(a[2], b[2]) - max(a[0], b[0]) > margin + EPS and min(a[3], b[3]) - max(a[1], b[1]) > margin + EPS
    )


def span(p, q, wide=0.0):
    """The rectangle of a straight piece of a line."""
    return (
        min(p[0], q[0]) - wide,
        min(p[1], q[1]) - wide,
        max(p[0], q[0]) + wide,
        max(p[1], q[1]) + wide,
    )


def on_border(point, rectangle) -> bool:
    (x, y), (left, top, right, bottom) = point, rectangle
    inside = left - EPS <= x <= right + EPS and top - EPS <= y <= bottom + EPS
    return inside and min(abs(x - left), abs(x - right), abs(y - top), abs(y - bottom)) <= EPS


def rectangle_of(text):
    """What a line of text covers."""
    width = text_width(text.text, text.size, text.bold)
    left = text.x - {"start": 0, "middle": width / 2, "end": width}[text.anchor]
    return left, text.y - 0.75 * text.size, left + width, text.y + 0.2 * text.size


def check(d) -> None:
    """Everything that makes a drawing readable."""
    root = ElementTree.fromstring(d.svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.find(f"{SVG}title").text == d.title
    assert " id=" not in d.svg
    assert "url(" not in d.svg
    left, top, width, height = map(float, root.get("viewBox").split())
    page = (left, top, left + width, top + height)

    def inside(a, b):
        assert a[0] >= b[0] - EPS
        assert a[1] >= b[1] - EPS
        assert a[2] <= b[2] + EPS
        assert a[3] <= b[3] + EPS

    drawn = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "box"]
    framed = [box for box in d.boxes if box.kind != "end"]
    assert len(drawn) == len(framed)
    for rect, box in zip(drawn, framed, strict=True):
        x, y, w, h = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        np.testing.assert_allclose((x, y, x + w, y + h), box.corners, atol=EPS)
    for box in d.boxes:
        inside(box.corners, page)
    for a, b in itertools.combinations(d.boxes, 2):
        assert not overlap(a.corners, b.corners, -6), (a, b)  # at least 6 pixels apart

    lines = [p for p in root.iter(f"{SVG}path") if p.get("class") == "edge"]
    assert len(lines) == len(d.edges) == len({(e.source, e.target) for e in d.edges})
    for line, edge in zip(lines, d.edges, strict=True):
        start = tuple(map(float, re.match(r"M(\S+) ([\d.]+)L", line.get("d")).groups()))
        np.testing.assert_allclose(start, edge.points[0], atol=EPS)
        assert on_border(edge.points[0], d.boxes[edge.source].corners)
        assert on_border(edge.points[-1], d.boxes[edge.target].corners)
        for p, q in itertools.pairwise(edge.points):
            assert (p[0] == q[0]) != (p[1] == q[1])  # along one axis, and not of length 0
            inside(span(p, q), page)
            for box in d.boxes:
                assert not overlap(span(p, q, 0.5), box.corners, 0.5), (edge, box)
        (x0, y0), (x1, y1) = edge.points[-2:]
        assert abs(x1 - x0) + abs(y1 - y0) >= 7  # room for the arrow head
    for e, f in itertools.combinations(d.edges, 2):  # lines may cross, but not lie on each other
        if e.source != f.source:
            for p, q in itertools.product(itertools.pairwise(e.points), itertools.pairwise(f.points)):
                if (p[0][0] == p[1][0]) == (q[0][0] == q[1][0]):
                    assert not overlap(span(*p, 1), span(*q, 1)), (e, f)

    assert len(list(root.iter(f"{SVG}text"))) == len(d.texts)
    for text in d.texts:
        inside(rectangle_of(text), page)
        if text.box >= 0:
            inside(rectangle_of(text), d.boxes[text.box].corners)
        else:
            assert not any(overlap(rectangle_of(text), box.corners) for box in d.boxes), text
            for edge in d.edges:
                for piece in itertools.pairwise(edge.points):
                    assert not overlap(rectangle_of(text), span(*piece, 0.7)), (text, edge)
    for a, b in itertools.combinations(d.texts, 2):
        assert not overlap(rectangle_of(a), rectangle_of(b)), (a, b)


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("name", MODULES)
def test_modules(name, direction):
    build, size, boxes, lines = MODULES[name]
    d = diagram(on_meta(build), size, direction=direction)
    assert (len(d.boxes), len(d.edges)) == (boxes, lines)
    check(d)
    check(diagram(on_meta(build), size, direction=direction, fuse=False, shapes="all", parameters=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks(name, monkeypatch):
    monkeypatch.setattr(boxes, "trace", functools.cache(trace))  # all drawings of one run
    more = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    model = on_meta(lambda: getattr(models, name)(weights=None, **more))
    graph = trace(model)
    check(diagram(model, depth=1, direction="right"))
    for depth in (1, 2):
        check(diagram(model, depth=depth, parameters=True))
        d = diagram(model, depth=depth, fuse=False, collapse=False)
        check(d)
        assert module_lines_of(d) == module_lines_of_the_run(model, graph, depth)


def module_lines_of(d) -> set:
    """Which modules feed which, directly or through functions, as the drawing says."""
    following = {k: [e.target for e in d.edges if e.source == k] for k in range(len(d.boxes))}

    def reached(k):
        for target in following[k]:
            if d.boxes[target].modules:
                yield d.boxes[target].name
            else:
                yield from reached(target)

    return {(box.name, name) for k, box in enumerate(d.boxes) if box.modules for name in reached(k)}


def module_lines_of_the_run(model, graph, depth) -> set:
    """The same from the operations themselves."""
    parents = {name.rpartition(".")[0] for name, _ in model.named_modules() if name}
    called = {call.module for call in graph.calls}
    parents = {
        name for name in parents if name in called and any(c.startswith(name + ".") for c in called)
    } | {""}
    comes_from, found = {}, set()
    for op in graph:
        name = ".".join(op.module.split(".")[:depth])
        function = op.module in parents and op.module.count(".") + (op.module != "") < depth
        before = {m for s in op.inputs if s.kind == "op" for m in comes_from[s.index]}
        comes_from[op.index] = before if function else {name}
        if not function:
            found |= {(m, name) for m in before if m != name}
    return found


@st.composite
def graphs(draw):
    """Random graphs without cycles: for each node the earlier nodes that it reads, -1 for the input."""
    n = draw(st.integers(2, 9))
    return [sorted(draw(st.sets(st.integers(-1, k - 1), min_size=1, max_size=4))) for k in range(n)]


class Net(nn.Module):
    """Convolutions wired by a graph; several inputs of one are joined by a sum or a concatenation."""

    def __init__(self, graph, add):
        super().__init__()
        self.graph, self.add = graph, add
        self.conv = nn.ModuleList(
            nn.Conv2d(2 if a else 2 * len(g), 2, 1) for g, a in zip(graph, add, strict=True)
        )

    def forward(self, x):
        ys = []
        for sources, conv, add in zip(self.graph, self.conv, self.add, strict=True):
            parts = [x if s < 0 else ys[s] for s in sources]
            whole = sum(parts[1:], parts[0]) if add else torch.cat(parts, 1)
            ys.append(conv(whole))
        used = {s for sources in self.graph for s in sources}
        return [y for k, y in enumerate(ys) if k not in used]


@settings(max_examples=40, deadline=None)
@example([[-1], [0], [0], [0, 1], [0], [0], [0, 1, 2], [0, 1, 2, 3]], [False] * 8, "right")
@given(graphs(), st.lists(st.booleans(), min_size=9, max_size=9), st.sampled_from(["down", "right"]))
def test_random_graphs(graph, add, direction):
    add = add[: len(graph)]
    d = diagram(Net(graph, add), (1, 2, 5, 7), direction=direction)
    check(d)
    used = {s for sources in graph for s in sources}
    ends = sum(k not in used for k in range(len(graph)))
    lines = ends
    for sources, is_sum in zip(graph, add, strict=True):
        k = len(sources)
        lines += 1 if k == 1 else (2 * (k - 1) + 1 if is_sum else k + 1)
    assert len(d.edges) == lines
    names = [box.name for box in d.boxes]
    for k, sources in enumerate(graph):
        if len(sources) == 1:
            source = "input" if sources[0] < 0 else f"conv.{sources[0]}"
            pair = names.index(source), names.index(f"conv.{k}")
            assert pair in {(e.source, e.target) for e in d.edges}


@settings(max_examples=60, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_layout_of_boxes_of_all_sizes(graph, random):
    edges = [(s + 1, k + 1) for k, sources in enumerate(graph) for s in sources]
    items = [
        Item(random.choice([20, 90, 200]), random.choice([20, 60]), stretch=random.random() < 0.5)
        for _ in range(len(graph) + 1)
    ]
    plan = layout(items, edges)
    boxes = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for (x, y), (w, h) in zip(plan.centers, plan.sizes, strict=True)
    ]
    for a, b in itertools.combinations(boxes, 2):
        assert not overlap(a, b, -6)
    for (u, v), route in zip(edges, plan.routes, strict=True):
        assert plan.centers[u][1] < plan.centers[v][1]
        assert on_border(route[0], boxes[u])
        assert on_border(route[-1], boxes[v])
        for piece in itertools.pairwise(route):
            assert not any(overlap(span(*piece, 0.5), box, 0.5) for box in boxes)


def test_layout_refuses_a_cycle():
    with pytest.raises(ValueError, match="edges: expected a graph without cycles"):
        layout([Item(10, 10), Item(10, 10)], [(0, 1), (1, 0)])


# ---- does it say the right thing? ------------------------------------------------------------------------


def labels(d) -> list[str]:
    return [" | ".join([*box.label, *(s[0] for s in box.stripes)]) or box.symbol for box in d.boxes]


def test_a_residual_block_is_drawn_as_in_the_paper():
    d = diagram(on_meta(lambda: BasicBlock(64, 64)), (1, 64, 56, 56))
    assert labels(d) == [
        *("input", "3×3 conv | 64 | batch norm | ReLU", "3×3 conv | 64 | batch norm", "+", "ReLU", "output")
    ]
    assert {(e.source, e.target) for e in d.edges} == {(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (4, 5)}
    xs = [d.boxes[k].x for k in (0, 1, 2, 3, 4, 5)]
    assert len(set(xs)) == 1  # the long way is straight
    around = next(e for e in d.edges if (e.source, e.target) == (0, 3))
    assert max(x for x, _ in around.points) > d.boxes[1].corners[2]
    assert around.points[-1] == (d.boxes[3].corners[2], d.boxes[3].y)  # the shortcut enters from its side


def test_an_inception_module_stands_on_its_concatenation():
    d = diagram(on_meta(lambda: Inception(192, 64, 96, 128, 16, 32, 32)), (1, 192, 28, 28))
    join = next(box for box in d.boxes if box.kind == "join")
    assert join.label == ["concat"]
    assert join.shape == (256, 28, 28)
    into = [e for e in d.edges if d.boxes[e.target] is join]
    assert [e.shape[0] for e in into] == [64, 128, 32, 32]
    assert all(len(e.points) == 2 for e in into)  # straight down
    assert [e.points[0][0] for e in into] == sorted(e.points[0][0] for e in into)
    middle = (into[0].points[0][0] + into[-1].points[0][0]) / 2
    assert abs(join.x - middle) <= 1
    assert abs(d.boxes[0].x - middle) <= 1


def test_words():
    model = nn.Sequential(
        nn.Conv2d(8, 16, (3, 5), stride=2, dilation=2, padding=4),
        nn.Conv2d(16, 16, 3, groups=16),
        nn.Conv2d(16, 32, 1, groups=4),
        nn.ConvTranspose2d(32, 8, 2, 2),
        nn.GroupNorm(2, 8),
        nn.LeakyReLU(),
        nn.AvgPool2d(3, 1),
        nn.AdaptiveAvgPool2d(5),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
        nn.Softmax(1),
    )
    assert labels(diagram(model, (1, 8, 64, 64))) == [
        "input",
        "3×5 conv | 16 | stride 2 | dilation 2",
        "3×3 depthwise conv | 16",
        "1×1 conv | 32 | 4 groups",
        "2×2 transposed conv | 8 | stride 2 | group norm | leaky ReLU",
        "average pool 3×3",
        "adaptive average pool | 5×5",
        "global average pool",
        "flatten",
        "linear | 10 | softmax",
        "output",
    ]
    signal = nn.Sequential(nn.Conv1d(2, 4, 5), nn.MaxPool1d(2))
    assert labels(diagram(signal, (1, 2, 32)))[1] == "1-D 5 conv | 4"
    volume = nn.Sequential(nn.Conv3d(2, 4, 3), nn.MaxPool3d(2))
    assert labels(diagram(volume, (1, 2, 8, 8, 8)))[1:3] == ["3×3×3 conv | 4", "max pool 2×2×2 | stride 2"]


def test_depth_gives_the_stages_of_a_resnet():
    d = diagram(on_meta(models.resnet50), depth=1, parameters=True)
    assert [box.label[0] for box in d.boxes] == [
        *("input", "7×7 conv", "max pool 3×3", "layer1", "layer2", "layer3", "layer4"),
        *("global average pool", "flatten", "linear", "output"),
    ]
    stage = d.boxes[3]
    assert stage.label[1] == "3 × Bottleneck"
    assert stage.shape == (256, 56, 56)
    assert stage.notes == ["215,808 parameters"]
    assert sum(box.parameters for box in d.boxes) == 25_557_032
    deeper = diagram(on_meta(models.resnet50), depth=2)
    assert [box.repeats for box in deeper.boxes if box.kind == "block"] == [1, 2, 1, 3, 1, 5, 1, 2]
    assert "× 5" in deeper.svg
    assert sum(box.repeats for box in diagram(on_meta(models.resnet50), depth=2, collapse=False).boxes) == 23


def test_normalization_first_belongs_to_the_layer_after_it():
    d = diagram(on_meta(lambda: _DenseBlock(3, 64, 4, 32, 0.0)), (1, 64, 56, 56))
    convolutions = [box for box in d.boxes if box.kind == "convolution"]
    assert len(convolutions) == 6
    for box in convolutions:
        assert [s[0] for s in box.stripes] == ["batch norm", "ReLU"]
        assert all(before for _, _, before in box.stripes)


def test_channel_shuffle_is_seen():
    d = diagram(on_meta(lambda: models.shufflenet_v2_x1_0().stage2[1]), (1, 116, 28, 28))
    assert ["channel shuffle, 2 groups"] in [box.label for box in d.boxes]
    assert ["split"] in [box.label for box in d.boxes]


def test_shapes_stand_where_they_change():
    model = on_meta(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.MaxPool2d(2))
    )

    def written(shapes):
        d = diagram(model, (1, 3, 10, 12), shapes=shapes)
        return [t.text for t in d.texts if t.box < 0]

    assert written(True) == ["3 × 10 × 12", "8 × 10 × 12", "8 × 5 × 6"]
    assert written("all") == ["3 × 10 × 12", "8 × 10 × 12", "8 × 10 × 12", "8 × 5 × 6"]
    assert written(False) == []


def test_highlights_and_notes():
    model = on_meta(lambda: BasicBlock(64, 64))
    d = diagram(model, (1, 64, 8, 8), highlight="conv2", notes={"conv1": "36,864 weights"})
    assert [box.highlighted for box in d.boxes] == [False, False, True, False, False, False]
    assert "36,864 weights" in d.svg
    assert d.svg.count('stroke-width="3.2"') == 1
    check(d)


def test_several_inputs_and_outputs():
    class Two(nn.Module):
        def forward(self, a, b):
            return a + b, a * b, a

    d = diagram(Two(), [(1, 2, 3), (1, 2, 3)])
    assert labels(d) == ["input 1", "input 2", "+", "×", "output 1", "output 2", "output 3"]
    check(d)


# ---- colors, files, notebooks ----------------------------------------------------------------------------


def luminance(color) -> float:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("kind", COLORS)
def test_text_stands_out_from_the_fill(kind):
    for ink in (plot.INK, SOFT):
        fill = luminance(_mix(*COLORS[kind]))
        assert (fill + 0.05) / (luminance(ink) + 0.05) >= 4.5


def test_the_measured_widths_are_those_of_a_real_font():
    """Arial's metric twin, or DejaVu Sans, which is wider: the frame of a box has room for it."""
    font_manager = pytest.importorskip("matplotlib.font_manager")
    from matplotlib.textpath import TextPath

    properties = font_manager.FontProperties(family="DejaVu Sans")
    for text in ("3×3 depthwise conv, 144", "7×7 conv, 64, stride 2", "global average pool", "batch norm"):
        real = TextPath((0, 0), text, size=13, prop=properties).get_extents().width
        assert text_width(text) <= real <= text_width(text) + 28


def test_the_same_model_gives_the_same_bytes():
    first, second = (diagram(UNet(), (1, 1, 64, 64)).svg for _ in range(2))
    assert first == second


def test_save(tmp_path):
    d = diagram(lenet(), (1, 1, 28, 28))
    path = d.save(tmp_path / "lenet.svg")
    assert path.read_text(encoding="utf-8") == d.svg
    with pytest.raises(ValueError, match=r"path: expected a name that ends with \.svg"):
        d.save(tmp_path / "lenet.png")


def test_shown_in_a_notebook_with_its_alternative_text():
    d = diagram(lenet(), (1, 1, 28, 28), direction="right")
    drawing = plot.show(d, alt='LeNet:\n  "seven" layers & more.')
    data, metadata = drawing._repr_mimebundle_()
    assert set(data) == {"image/svg+xml", "text/plain"}
    assert data["text/plain"] == 'LeNet: "seven" layers & more.'
    assert metadata["image/svg+xml"] == {"alt": 'LeNet: "seven" layers & more.', "width": drawing.width}
    root = ElementTree.fromstring(data["image/svg+xml"])
    assert root.find(f"{SVG}title").text == root.get("aria-label") == 'LeNet: "seven" layers & more.'
    assert drawing.width == round(d.width)
    ground = root.find(f"{SVG}rect")
    assert (ground.get("fill"), ground.get("width")) == (plot.BACKGROUND, root.get("viewBox").split()[2])
    assert plot.show(d, alt="LeNet.", width=300).width == 300
    with pytest.raises(ValueError, match="alt: expected a sentence"):
        plot.show(d, alt=" ")
    bundle, _ = d._repr_mimebundle_()
    assert bundle["text/plain"] == "<Diagram of Sequential: 10 boxes, 9 lines>"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, "depth: expected None or a whole number of at least 1, got 0"),
        ({"depth": True}, "depth: expected None"),
        ({"direction": "up"}, 'direction: expected "down" or "right", got .up.'),
        ({"shapes": "none"}, 'shapes: expected True, False or "all"'),
        ({"highlight": "conv9"}, "highlight: no module is called 'conv9'"),
        ({"notes": {"conv9": "?"}}, "notes: no module is called 'conv9'"),
        ({"input_size": (1, 3, 8, 8)}, "input_size: BasicBlock does not run"),
        ({"input_size": "big"}, "input_size: expected a shape"),
        ({"model": 3}, "model: expected an nn.Module, got int"),
    ],
)
def test_errors_name_the_argument(change, message):
    arguments = {"model": BasicBlock(4, 4), "input_size": (1, 4, 8, 8)} | change
    with pytest.raises(ValueError, match=message):
        diagram(**arguments)


def test_too_large_a_drawing_is_refused():
    with pytest.raises(ValueError, match=r"depth: \d+ boxes are more than 400; a smaller depth"):
        diagram(nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(401))), (1, 1, 2, 2))


def test_stripes_are_high_enough_for_their_text():
    assert STRIPE >= 11 * 1.4


# ---- volumes ---------------------------------------------------------------------------------------------


def check_volumes(d) -> list[tuple[float, float, float, float]]:
    """The front faces of a drawing of volumes: beside each other, texts apart, everything on the page."""
    root = ElementTree.fromstring(d.svg)
    width, height = (float(v) for v in root.get("viewBox").split()[2:])
    fronts = [
        tuple(float(r.get(key)) for key in ("x", "y", "width", "height"))
        for r in root.iter(f"{SVG}rect")
        if r.get("class") == "box"
    ]
    assert len(fronts) == len(d.boxes)
    for path in root.iter(f"{SVG}path"):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d"))]
        assert min(numbers[0::2]) >= 0
        assert max(numbers[0::2]) <= width
        assert min(numbers[1::2]) >= 0
        assert max(numbers[1::2]) <= height
    for (x, _, w, _), (x2, _, _, _) in itertools.pairwise(fronts):
        assert x + w <= x2 + EPS
    for text in d.texts:
        left, top, right, bottom = rectangle_of(text)
        assert left >= 0
        assert right <= width
        assert bottom <= height
        assert not any(overlap((left, top, right, bottom), box.corners) for box in d.boxes)
    for a, b in itertools.combinations(d.texts, 2):
        assert not overlap(rectangle_of(a), rectangle_of(b)), (a, b)
    return fronts


def test_vgg_as_volumes():
    d = diagram(on_meta(models.vgg16), style="volumes")
    fronts = check_volumes(d)
    assert [box.kind for box in d.boxes].count("convolution") == 13
    assert [box.kind for box in d.boxes].count("linear") == 3
    pictures = [(b, f) for b, f in zip(d.boxes, fronts, strict=True) if len(b.shape) == 3]
    for (a, f), (b, g) in itertools.combinations(pictures, 2):
        assert np.sign(a.shape[1] - b.shape[1]) == np.sign(f[3] - g[3])  # heights follow the picture
        assert np.sign(a.shape[0] - b.shape[0]) in (0, np.sign(f[2] - g[2]))  # widths the channels
    texts = [t.text for t in d.texts]
    assert {"64 ×", "224 × 224", "3 × 3×3 conv", "4096", "2 × linear", "1000", "pooling"} <= set(texts)


@pytest.mark.parametrize(
    ("build", "size", "depth"),
    [
        (models.alexnet, (1, 3, 224, 224), None),
        (models.resnet50, (1, 3, 224, 224), 1),
        (lambda: models.mobilenet_v2().features, (1, 3, 224, 224), 1),
        (lenet, (1, 1, 28, 28), None),
        (lambda: nn.Sequential(nn.Conv1d(2, 8, 5), nn.ReLU(), nn.MaxPool1d(2)), (1, 2, 64), None),
        (lambda: nn.Sequential(nn.Conv3d(2, 8, 3), nn.ReLU(), nn.MaxPool3d(2)), (1, 2, 16, 16, 16), None),
    ],
)
def test_volumes(build, size, depth):
    check_volumes(diagram(on_meta(build), size, depth, style="volumes"))


def test_shortcuts_of_a_u_net_run_above_its_volumes():
    d = diagram(UNet(), (1, 1, 64, 64), depth=1, style="volumes")
    check_volumes(d)
    above = [e for e in d.edges if e.target != e.source + 1]
    assert [(d.boxes[e.source].name, d.boxes[e.target].name) for e in above] == [
        ("enc2", "cat"),
        ("enc1", "cat"),
    ]
    for e in above:
        assert max(y for _, y in e.points[1:3]) < min(box.corners[1] for box in d.boxes)


def test_volumes_need_a_chain():
    with pytest.raises(
        ValueError, match=r"depth: branch\S+ does not follow branch\S+; volumes are drawn for chains"
    ):
        diagram(on_meta(lambda: Inception(192, 64, 96, 128, 16, 32, 32)), (1, 192, 28, 28), style="volumes")
    with pytest.raises(ValueError, match=r'style: expected "boxes" or "volumes", got .cubes.'):
        diagram(lenet(), (1, 1, 28, 28), style="cubes")
