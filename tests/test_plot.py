"""utils.plot: colors measured for contrast and color-vision deficiency, and what a notebook stores of a figure."""

import base64
import io
import itertools
import struct
import zlib

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from utils import data, kernels, plot

ALT = "A test figure."


@pytest.fixture(autouse=True)
def course_style():
    with mpl.rc_context():
        mpl.use("agg")
        plot.style()
        yield
        plt.close("all")


# --- colors ---

# Machado, Oliveira and Fernandes (2009), "A physiologically-based model for simulation of color vision
# deficiency", severity 1.0: matrices on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
XYZ_FROM_RGB = [[0.4124564, 0.3575761, 0.1804375], LUMINANCE, [0.0193339, 0.1191920, 0.9503041]]
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(color):
    c = np.array(mpl.colors.to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    low, high = sorted((linear(one) @ LUMINANCE, linear(other) @ LUMINANCE))
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    ratio = np.array(XYZ_FROM_RGB) @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("name", plot.PALETTE)
def test_colors_stand_out_from_the_background(name):
    assert contrast(plot.PALETTE[name], plot.BACKGROUND) >= 3


def test_text_stands_out_from_the_background():
    assert contrast(plot.INK, plot.BACKGROUND) >= 12
    assert contrast(plot.MUTED, "white") >= 4.5


@pytest.mark.parametrize("vision", VISION)
def test_colors_stay_apart_whatever_the_color_vision(vision):
    seen = {name: lab(np.array(VISION[vision]) @ linear(color)) for name, color in plot.PALETTE.items()}
    distances = {
        pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in itertools.combinations(seen, 2)
    }
    assert min(distances.values()) >= 20, min(distances, key=distances.get)


def test_promised_names():
    assert {"blue", "orange", "green", "red", "purple", "gray"} <= set(plot.PALETTE)


def test_signed_colormap_is_neutral_at_0_and_blue_above():
    np.testing.assert_allclose(plot.SIGNED(0.5)[:3], 1, atol=0.02)
    red, _, blue, _ = plot.SIGNED(1.0)
    assert blue > red
    red, _, blue, _ = plot.SIGNED(0.0)
    assert red > blue
    light = np.array([linear(plot.SIGNED(t)) @ LUMINANCE for t in np.linspace(0, 1, 101)])
    assert (np.diff(light[:51]) > 0).all()
    assert (np.diff(light[50:]) < 0).all()
    for vision in VISION.values():  # the two ends stay apart
        ends = [lab(np.array(vision) @ linear(plot.SIGNED(t))) for t in (0.1, 0.9)]
        assert np.linalg.norm(ends[0] - ends[1]) > 40


def test_numbers_in_cells_are_readable():
    values = np.linspace(-1, 1, 41).reshape(1, -1)
    fig = plot.number_grid(values, fmt=".2f")
    (ax,) = fig.axes
    image = ax.images[0]
    for text, value in zip(ax.texts, values.ravel(), strict=True):
        cell = image.cmap(image.norm(value))
        assert contrast(text.get_color(), cell[:3]) >= 3.9, value
    plt.close(fig)


# --- what a notebook stores ---


def chunks(png):
    """Names and contents of the chunks of a PNG file, with their check sums verified."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert zlib.crc32(kind + content) == check
        found.append((kind.decode(), content))
        at += 12 + length
    return found


def a_figure():
    return plot.lines(
        [1, 2, 3], {"a": [1, 4, 9], "b": [3, 2, 1]}, "size (pixels)", "count", title="Two lines"
    )


def test_mime_bundle():
    picture = plot.show(a_figure(), alt="Two lines:\n   one rises, one falls. ")
    bundle, metadata = picture._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"image/png", "text/plain"}
    assert bundle["text/plain"] == repr(picture) == "Two lines: one rises, one falls."
    assert metadata == {"image/png": {"alt": "Two lines: one rises, one falls.", "width": picture.width}}
    assert isinstance(bundle["image/png"], str)
    png = base64.b64decode(bundle["image/png"])
    width, height = struct.unpack(">2I", dict(chunks(png))["IHDR"][:8])
    assert width / picture.width == pytest.approx(plot.DPI / plot.DISPLAY_DPI, rel=0.01)
    assert 600 <= picture.width <= 660
    assert height > 300


def test_ipython_takes_the_bundle():
    formatters = pytest.importorskip("IPython.core.formatters")
    picture = plot.show(a_figure(), alt=ALT)
    bundle, metadata = formatters.DisplayFormatter().format(picture)
    assert bundle["text/plain"] == ALT
    assert bundle["image/png"].startswith("iVBOR")
    assert metadata["image/png"] == {"alt": ALT, "width": picture.width}


@pytest.mark.parametrize("alt", ["", "   \n", None, 3])
def test_no_figure_without_alternative_text(alt):
    with pytest.raises(ValueError, match="alt: expected a sentence"):
        plot.show(a_figure(), alt)


def test_only_figures_are_shown():
    with pytest.raises(ValueError, match="fig: expected a matplotlib Figure or a Diagram, got int"):
        plot.show(3, ALT)


def test_the_same_figure_has_the_same_bytes_and_no_metadata():
    first, second = plot.show(a_figure(), ALT), plot.show(a_figure(), ALT)
    assert first.png == second.png
    assert {kind for kind, _ in chunks(first.png)} <= {"IHDR", "PLTE", "IDAT", "IEND"}


def test_show_closes_the_figure():
    before = plt.get_fignums()
    plot.show(a_figure(), ALT)
    assert plt.get_fignums() == before


def test_width_can_be_set():
    assert plot.show(a_figure(), ALT, width=321).width == 321


def test_large_figures_are_reduced():
    noise = np.random.default_rng(0).integers(0, 256, (300, 600, 3), np.uint8)
    picture = plot.show(plot.images([noise], size=6.0), ALT)
    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.mode == "P"
        assert image.width == pytest.approx(picture.width, abs=2)
    photo = plot.show(plot.images([data.photograph()]), ALT)
    assert len(photo.png) < plot.HUGE


def test_background_is_opaque_and_light():
    with Image.open(io.BytesIO(plot.show(a_figure(), ALT).png)) as image:
        corner = image.convert("RGBA").getpixel((1, 1))
    assert corner == (*(int(plot.BACKGROUND[i : i + 2], 16) for i in (1, 3, 5)), 255)


# --- the figures ---


def test_number_grid_writes_every_number():
    fig = plot.number_grid([[1, -2.5], [0, -0.0]], title="four")
    (ax,) = fig.axes
    assert [text.get_text() for text in ax.texts] == ["1", "−2.5", "0", "0"]
    assert ax.get_title() == "four"


def test_number_grid_draws_into_axes_and_takes_functions_and_gaps():
    fig, ax = plt.subplots()
    returned = plot.number_grid([[1 / 9, np.nan]], ax=ax, fmt=lambda v: f"{round(1 / v)}th")
    assert returned is ax
    assert [text.get_text() for text in ax.texts] == ["9th"]
    assert fig.axes == [ax]


@pytest.mark.parametrize("highlight", [(1, 2, 3, 4), [1, 2, 3, 4], [(1, 2, 3, 4)], np.array([1, 2, 3, 4])])
def test_highlight_is_row_column_height_width(highlight):
    (ax,) = plot.number_grid(np.zeros((5, 7)), highlight=highlight).axes
    (frame,) = [patch for patch in ax.patches if patch.get_linewidth() == 3]
    assert frame.get_xy() == (1.5, 0.5)
    assert (frame.get_width(), frame.get_height()) == (4, 3)


def test_number_grids_have_cells_of_one_size():
    fig = plot.number_grids(
        [np.zeros((6, 6)), np.ones((3, 3)), np.ones((4, 4))],
        ["input", "kernel", "output"],
        highlights=[(0, 0, 3, 3), None, (0, 0, 1, 1)],
        symbols=["∗", "="],
    )
    fig.canvas.draw()
    sides = [ax.get_window_extent().width / (ax.get_xlim()[1] - ax.get_xlim()[0]) for ax in fig.axes]
    np.testing.assert_allclose(sides, sides[0], rtol=1e-3)
    assert fig.get_figwidth() <= plot.WIDTH
    assert [text.get_text() for text in fig.texts] == ["∗", "="]
    assert min(text.get_fontsize() for ax in fig.axes for text in ax.texts) >= 11
    boxes = [ax.get_window_extent() for ax in fig.axes]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_images_scale_brightness():
    dark = np.full((4, 5), 10, np.uint8)
    signed = np.array([[-1.0, 3.0]])
    fig = plot.images([dark])
    assert fig.axes[0].images[0].get_clim() == (0, 255)
    fig = plot.images([signed], cmap=plot.SIGNED, vmax=3)
    assert fig.axes[0].images[0].get_clim() == (-3, 3)
    fig = plot.images([signed])
    assert fig.axes[0].images[0].get_clim() == (-1, 3)
    fig = plot.images([signed], vmin=-2, vmax=2)
    assert fig.axes[0].images[0].get_clim() == (-2, 2)
    fig = plot.images([np.zeros((3, 3))], cmap=plot.SIGNED)
    assert fig.axes[0].images[0].get_clim() == (-1, 1)


def test_images_grid():
    sample = data.load(sample=True)
    fig = plot.images(sample.images[:5], [sample.classes[c] for c in sample.labels[:5]], columns=3)
    assert len(fig.axes) == 6
    assert [ax.get_title() for ax in fig.axes] == [sample.classes[c] for c in sample.labels[:5]] + [""]
    assert fig.get_figwidth() <= plot.WIDTH + 0.01
    assert len(plot.images(data.photograph(size=(30, 25))).axes) == 1


def test_the_other_figures_draw():
    fig = plot.lines([1, 2, 4], {"a": [1, 10, 100]}, "x", "y", log="xy")
    assert (fig.axes[0].get_xscale(), fig.axes[0].get_yscale()) == ("log", "log")
    assert fig.axes[0].get_legend() is None
    fig = plot.bars(["dense", "shared"], [10**12, 100], "weights", log=True)
    assert [text.get_text() for text in fig.axes[0].texts] == ["1,000,000,000,000", "100"]
    fig = plot.bars(["a", "b"], [0.25, 12.0], "seconds", fmt=".1f")
    assert [text.get_text() for text in fig.axes[0].texts] == ["0.2", "12.0"]
    fig = plot.strips([("x", [1, -2, 3], 0), ("kernel", [0.5, 1], -1, "orange")])
    assert [text.get_text() for text in fig.axes[0].texts] == ["x", "1", "−2", "3", "kernel", "0.5", "1"]
    fig = plot.layer_shapes((3, 6, 6), (2, 3, 3, 3), (2, 4, 4), at=(1, 0))
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts == ["input\n(3, 6, 6)", "2 filters\n(2, 3, 3, 3)", "output\n(2, 4, 4)"]
    fig = plot.graph({"w": (0, 0, 2, -12), "y": (1, 0.5, 6, None)}, [("w", "y", "x = 3")])
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts == ["2", "−12", "w", "6", "", "y", "", "x = 3", "value, forward", "gradient, backward"]
    fig = plot.product_table({(0, 0): ("a", 2), (1, 0): ("b", -5)}, ["y0", "y1"], ["x0"], (0, 0, 2, 1))
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts == ["a", "2", "b", "−5", "x0", "−3", "y0", "y1", "sum"]
    walk = np.array([[3.0, 1.0], [1.0, 0.5], [0.0, 0.1]])
    fig = plot.descent(lambda x, y: x**2 + 9 * y**2, {"a": walk, "b": walk}, (-4, 4, -1.5, 1.5))
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["a", "b"]
    np.testing.assert_array_equal(fig.axes[1].lines[0].get_xydata(), walk)
    fig = plot.half_planes([("or", [(0, 0), (1, 0)], [0, 1], [(2, 4, -1)])])
    np.testing.assert_allclose(fig.axes[0].lines[0].get_xydata(), [[-1, 0.75], [2, -0.75]])
    fig = plot.confusion(np.array([[5, 0], [12, 3]]), ["cat", "dog"])
    assert [text.get_text() for text in fig.axes[0].texts] == ["5", "12", "3"]
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == ["cat", "dog"]
    for number in plt.get_fignums():
        plot.show(plt.figure(number), ALT)


@pytest.mark.parametrize(
    ("layer", "windows", "unread"),
    [
        ({"size": 7, "kernel_size": 3}, 5, []),
        ({"size": 7, "kernel_size": 3, "stride": 3}, 2, [6]),
        ({"size": 8, "kernel_size": 3, "stride": 2, "padding": (0, 1)}, 4, []),
        ({"size": 8, "kernel_size": 3, "stride": 2, "padding": 1}, 4, [9]),
        ({"size": 7, "kernel_size": 3, "dilation": 3}, 1, [1, 2, 4, 5]),
    ],
)
def test_tap_rows_counts_windows_as_torch_does(layer, windows, unread):
    names, reads = plot._taps(**layer)
    assert len(reads) == windows
    assert [column for column in range(len(names)) if not any(column in window for window in reads)] == unread
    torch = pytest.importorskip("torch")
    before, after = (
        plot._taps(**layer)[0].index("0"),
        len(names) - 1 - names[::-1].index(str(layer["size"] - 1)),
    )
    x = torch.nn.functional.pad(torch.zeros(1, 1, layer["size"]), (before, len(names) - 1 - after))
    weight = torch.zeros(1, 1, layer["kernel_size"])
    options = {key: layer[key] for key in ("stride", "dilation") if key in layer}
    assert torch.nn.functional.conv1d(x, weight, **options).shape[-1] == windows
    (ax,) = plot.tap_rows([layer], ["one"]).axes
    assert len(ax.lines) == 2 * len(unread)  # a cross for each column that no window reads


@pytest.mark.parametrize(
    ("size", "layers", "unit"),
    [
        (10, [(3,), (3,), (2,)], None),
        (15, [(3, 2, 1), (5, 1, 2)], 0),
        (16, [(3, 1, 0, 2), (3, 1, 0, 3)], 4),
        (17, [(4, 3, 2), (2, 1, 1, 2)], 5),
    ],
)
def test_side_views_fill_what_gradients_reach(size, layers, unit):
    torch = pytest.importorskip("torch")
    x = torch.zeros(1, 1, size, requires_grad=True)
    y = x
    for layer in layers:
        k, s, p, d = (*layer, *(1, 0, 1)[len(layer) - 1 :])
        y = torch.nn.functional.conv1d(y, torch.ones(1, 1, k), stride=s, padding=p, dilation=d)
    unit = y.shape[-1] // 2 if unit is None else unit
    y[0, 0, unit].backward()
    rows = plot._seen_from_above(size, layers, unit)
    reached = {float(i) for i in x.grad[0, 0].nonzero()[:, 0]}
    assert {place for place, kind in zip(*rows[0], strict=True) if kind == 1} == reached
    assert all(place < 0 or place > size - 1 for place, kind in zip(*rows[0], strict=True) if kind == -1)
    places, kinds = rows[-1]
    assert len(places) == y.shape[-1]
    assert sum(kinds) == kinds[unit] == 1
    plot.show(plot.side_views([{"size": size, "layers": layers, "unit": unit}] * 2, ["a", "b"]), ALT)


def test_figures_draw_without_warnings(recwarn):
    kernel, patch = kernels.curve_detector()
    plot.show(plot.number_grids([kernel, patch], ["kernel ∗", "patch"], symbols=["·"]), ALT)
    plot.show(plot.images([kernel] * 4, list(kernels.GALLERY)[:4], cmap=plot.SIGNED), ALT)
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plot.images([]), "pictures: expected at least one"),
        (
            lambda: plot.images([np.zeros(3)]),
            r"pictures: expected shapes \(H, W\) or \(H, W, 3\), got \(3,\)",
        ),
        (lambda: plot.images(np.zeros((2, 4, 4)), ["one"]), "titles: expected 2, .* got 1"),
        (
            lambda: plot.number_grids([[[1]], [[2]]], symbols=["+", "="]),
            "symbols: expected 1 for 2 arrays, got 2",
        ),
        (lambda: plot.number_grids([[[1]]], highlights=[]), "highlights: expected 1, .* got 0"),
        (
            lambda: plot.number_grid(np.zeros((2, 2, 2))),
            r"array: expected one or two axes, .* got shape \(2, 2, 2\)",
        ),
        (lambda: plot.lines([1], {"a": [1]}, "x", "y", log="z"), "log: expected .* got 'z'"),
    ],
)
def test_wrong_arguments_are_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
