"""Bad input raises a ValueError that names the argument, says what came and what was expected."""

import re

import numpy as np
import pytest

from utils.functional import (
    conv1d,
    conv2d,
    conv2d_im2col,
    conv2d_naive,
    conv2d_shifted,
    conv_matrix,
    conv_output_size,
    conv_output_size_ceil,
    convolve,
    correlate,
    fft_convolve,
    im2col,
    pad2d,
    same_padding,
)

X, WEIGHT = np.zeros((2, 6, 9, 8)), np.zeros((4, 3, 3, 2))  # fit together in 2 groups

# What is wrong; the arguments; words that the message must hold: argument, what came, what was expected.
LAYER_ERRORS = [
    ("x lacks the batch", {"x": np.zeros((6, 9, 8))}, ["x must", "(N, C, H, W)", "(6, 9, 8)"]),
    ("x is 5-D", {"x": np.zeros((1, 2, 6, 9, 8))}, ["x must", "(N, C, H, W)", "(1, 2, 6, 9, 8)"]),
    ("x is boolean", {"x": X > 0}, ["x must", "integers or floats", "bool"]),
    ("x is complex", {"x": X * 1j}, ["x must", "integers or floats", "complex128"]),
    ("x is of objects", {"x": X.astype(object)}, ["x must", "integers or floats", "object"]),
    ("x is text", {"x": X.astype(str)}, ["x must", "integers or floats", "<U"]),
    ("x has no rows", {"x": np.zeros((2, 6, 0, 8))}, ["x must", "at least one", "(2, 6, 0, 8)"]),
    ("x has no channels", {"x": np.zeros((2, 0, 9, 8))}, ["x must", "at least one", "(2, 0, 9, 8)"]),
    ("weight is a plane", {"weight": np.zeros((3, 2))}, ["weight must", "(K, C/groups, kh, kw)", "(3, 2)"]),
    ("weight is boolean", {"weight": WEIGHT > 0}, ["weight must", "integers or floats", "bool"]),
    ("weight is empty", {"weight": WEIGHT[:, :, :0]}, ["weight must", "not be empty", "(4, 3, 0, 2)"]),
    ("no filters", {"weight": WEIGHT[:0]}, ["weight must", "not be empty", "(0, 3, 3, 2)"]),
    ("channels", {"weight": np.zeros((4, 5, 3, 2))}, ["weight must", "3 input channels", "got 5"]),
    ("channels and groups", {"groups": 1}, ["weight must", "6 input channels", "1 groups", "got 3"]),
    ("groups do not divide C", {"groups": 4}, ["groups must", "divide the 6 channels", "got 4"]),
    ("groups do not divide K", {"groups": 3}, ["groups must", "divide the 4 filters", "got 3"]),
    ("groups 0", {"groups": 0}, ["groups must", "at least 1", "got 0"]),
    ("groups pair", {"groups": (2, 2)}, ["groups must", "an integer", "got (2, 2)"]),
    ("bias too long", {"bias": np.zeros(5)}, ["bias must", "(4,)", "(5,)"]),
    ("bias is 4-D", {"bias": np.zeros((1, 4, 1, 1))}, ["bias must", "(4,)", "(1, 4, 1, 1)"]),
    ("bias is a number", {"bias": 1.0}, ["bias must", "(4,)", "()"]),
    ("bias is complex", {"bias": np.zeros(4, complex)}, ["bias must", "integers or floats", "complex128"]),
    ("stride 0", {"stride": 0}, ["stride must", "at least 1", "got 0"]),
    ("stride negative", {"stride": -2}, ["stride must", "at least 1", "got -2"]),
    ("stride float", {"stride": 2.0}, ["stride must", "integer", "got 2.0"]),
    ("stride bool", {"stride": True}, ["stride must", "integer", "got True"]),
    ("stride None", {"stride": None}, ["stride must", "integer", "got None"]),
    ("stride text", {"stride": "2"}, ["stride must", "integer", "got '2'"]),
    ("stride triple", {"stride": (1, 2, 1)}, ["stride must", "pair", "got (1, 2, 1)"]),
    ("stride of one axis", {"stride": (1, 0)}, ["stride[1] must", "at least 1", "got 0"]),
    ("dilation 0", {"dilation": 0}, ["dilation must", "at least 1", "got 0"]),
    ("dilation float", {"dilation": (1, 1.5)}, ["dilation[1] must", "integer", "got 1.5"]),
    ("padding negative", {"padding": -1}, ["padding must", "at least 0", "got -1"]),
    ("padding pair negative", {"padding": (0, -1)}, ["padding must", "at least 0", "got -1"]),
    ("padding one side", {"padding": ((0, 0), (0, -3))}, ["padding[1] must", "at least 0", "got -3"]),
    ("padding float", {"padding": 0.5}, ["padding must", "integer", "got 0.5"]),
    ("padding triple", {"padding": (1, 1, 1)}, ["padding must", "(height, width)", "got (1, 1, 1)"]),
    ("padding of 3 sides", {"padding": ((1, 1, 1), 1)}, ["padding must", "pair", "got (1, 1, 1)"]),
    ("padding None", {"padding": None}, ["padding must", "integer", "got None"]),
    ("unknown word", {"padding": "SAME"}, ["padding must", '"same"', "got 'SAME'"]),
    (
        "same with a stride",
        {"padding": "same", "stride": 2},
        ["padding", "stride 1", "got stride 2", "same_padding"],
    ),
    ("same, one stride", {"padding": "same", "stride": (1, 3)}, ["padding", "stride 1", "got stride 3"]),
    ("kernel too large", {"x": X[:, :, :2]}, ["kernel_size 3", "fit", "2 pixels (0 + 2 + 0)", "empty"]),
    ("dilated too far", {"dilation": 5}, ["kernel_size 3", "dilation 5", "spans 11", "9 pixels", "empty"]),
    (
        "too little padding",
        {"x": X[..., :1], "weight": np.zeros((4, 3, 3, 5)), "padding": (0, 1)},
        ["kernel_size 5", "spans 5", "3 pixels (1 + 1 + 1)", "empty"],
    ),
]


def assert_message(error, words):
    message = str(error.value)
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in: {message}"


@pytest.mark.parametrize("form", [conv2d, conv2d_im2col, conv2d_shifted, conv2d_naive])
@pytest.mark.parametrize(
    ("changes", "words"), [e[1:] for e in LAYER_ERRORS], ids=[e[0] for e in LAYER_ERRORS]
)
def test_layers_refuse(form, changes, words):
    with pytest.raises(ValueError, match="must") as error:
        form(**({"x": X, "weight": WEIGHT, "groups": 2} | changes))
    assert_message(error, words)


OTHER_ERRORS = [
    (lambda: conv1d(X, np.zeros((4, 6, 3))), ["x must", "(N, C, L)", "(2, 6, 9, 8)"]),
    (lambda: conv1d(X[..., 0], WEIGHT), ["weight must", "(K, C/groups, k)", "(4, 3, 3, 2)"]),
    (lambda: conv1d(X[..., 0], np.zeros((4, 5, 3))), ["weight must", "6 input channels", "got 5"]),
    (lambda: conv1d(X[..., 0], np.zeros((4, 6, 3)), stride=(1, 2)), ["stride must", "integer", "(1, 2)"]),
    (lambda: conv1d(X[..., 0], np.zeros((4, 6, 3)), dilation=0), ["dilation must", "at least 1", "got 0"]),
    (lambda: conv1d(X[..., 0], np.zeros((4, 6, 3)), padding="some"), ["padding must", "'some'", '"full"']),
    (lambda: conv1d(X[..., 0], np.zeros((4, 6, 3)), stride=2, padding="same"), ["padding", "got stride 2"]),
    (lambda: conv1d(X[..., 0], np.zeros((4, 6, 3)), padding=(1, 2, 3)), ["padding must", "(1, 2, 3)"]),
    (lambda: conv1d(X[..., 0], np.zeros((4, 6, 12))), ["kernel_size 12", "9 pixels", "empty"]),
    (lambda: conv1d(X[..., 0], np.zeros((4, 6, 0)), padding="same"), ["weight must", "(4, 6, 1, 0)"]),
    (lambda: conv1d(X[..., 0], np.zeros((4, 6, 3)), np.zeros(3)), ["bias must", "(4,)", "(3,)"]),
    (lambda: im2col(X[0], 3), ["x must", "(N, C, H, W)", "(6, 9, 8)"]),
    (lambda: im2col(X, 10), ["kernel_size 10", "9 pixels", "empty"]),
    (lambda: im2col(X, (3, 0)), ["kernel_size[1] must", "at least 1", "got 0"]),
    (lambda: pad2d(np.zeros(3), 1), ["x must", "(..., H, W)", "(3,)"]),
    (lambda: pad2d(X, -1), ["padding must", "at least 0", "got -1"]),
    (lambda: pad2d(X > 0, 1), ["x must", "integers or floats", "bool"]),
    (lambda: conv_matrix(np.zeros((1, 1, 3, 3)), 4), ["kernel must", "(kh, kw)", "(1, 1, 3, 3)"]),
    (lambda: conv_matrix(np.zeros((3, 3)), 2), ["kernel_size 3", "2 pixels", "empty"]),
    (lambda: conv_matrix(np.zeros((3, 3)), (4, 0)), ["input_size[1] must", "at least 1", "got 0"]),
    (lambda: conv_output_size(2, 3), ["kernel_size 3", "2 pixels", "empty"]),
    (lambda: conv_output_size(0, 3), ["input_size must", "at least 1", "got 0"]),
    (lambda: conv_output_size(7, 3.0), ["kernel_size must", "integer", "got 3.0"]),
    (lambda: conv_output_size(7, 3, 0), ["stride must", "at least 1", "got 0"]),
    (lambda: conv_output_size(7, 3, dilation=-1), ["dilation must", "at least 1", "got -1"]),
    (lambda: conv_output_size(7, 3, padding=(1, -1)), ["padding[1] must", "at least 0", "got -1"]),
    (lambda: conv_output_size(7, 3, 2, "same"), ["padding", "stride 1", "got stride 2"]),
    (lambda: conv_output_size_ceil(7, 3, 2, 1), ["padding must", '"valid" or "same"', "got 1"]),
    (lambda: conv_output_size_ceil(7, 3, 2, "full"), ["padding must", '"valid" or "same"', "got 'full'"]),
    (lambda: conv_output_size_ceil(7, 3, 2, "valid", 4), ["spans 9", "7 pixels", "empty"]),
    (lambda: same_padding(7, 0), ["kernel_size must", "at least 1", "got 0"]),
    (lambda: same_padding(7, 3, 0), ["stride must", "at least 1", "got 0"]),
    (lambda: same_padding(7, 3, 1, 0.5), ["dilation must", "integer", "got 0.5"]),
]


@pytest.mark.parametrize(("call", "words"), OTHER_ERRORS)
def test_others_refuse(call, words):
    with pytest.raises(ValueError, match="must") as error:
        call()
    assert_message(error, words)


@pytest.mark.parametrize("function", [convolve, correlate, fft_convolve])
@pytest.mark.parametrize(
    ("x", "kernel", "mode", "words"),
    [
        (np.zeros((2, 3, 4)), np.zeros((2, 2)), "full", ["x must", "(L,) or (H, W)", "(2, 3, 4)"]),
        (np.zeros((2, 3)), 1.0, "full", ["kernel must", "(k,) or (kh, kw)", "()"]),
        (np.zeros((2, 3)), np.zeros(2), "full", ["kernel must", "as many axes as x, 2", "(2,)"]),
        (np.zeros(3), np.zeros(2) > 0, "full", ["kernel must", "integers or floats", "bool"]),
        (np.zeros(3, complex), np.zeros(2), "full", ["x must", "integers or floats", "complex128"]),
        (np.zeros(0), np.zeros(2), "full", ["x must", "not be empty", "(0,)"]),
        (np.zeros((3, 3)), np.zeros((2, 0)), "same", ["kernel must", "not be empty", "(2, 0)"]),
        (np.zeros((3, 3)), np.zeros((2, 4)), "valid", ["kernel must", "(3, 3)", "(2, 4)", "empty"]),
        (np.zeros(3), np.zeros(2), "some", ["mode must", '"full", "same" or "valid"', "'some'"]),
        (np.zeros(3), np.zeros(2), 0, ["mode must", '"full", "same" or "valid"', "got 0"]),
    ],
)
def test_signals_refuse(function, x, kernel, mode, words):
    with pytest.raises(ValueError, match=re.escape(words[0])) as error:
        function(x, kernel, mode)
    assert_message(error, words)
