"""The gradient checker: right is right, every kind of wrong is found, kinks are named. And all backwards pass."""

import numpy as np
import pytest

from utils import functional as F
from utils.gradcheck import GradientError, gradcheck, numerical_gradient


def rng(seed=0):
    return np.random.default_rng(seed)


def randoms(*shapes, seed=0):
    generator = rng(seed)
    return [generator.normal(size=shape) for shape in shapes]


def pool_case(forward, backward, **keywords):
    """A pooling layer that remembers its winner, as a function of x alone."""

    def back(g, x):
        return backward(g, forward(x, **keywords)[1], x.shape[2:], **keywords)

    return lambda x: forward(x, **keywords), back, randoms((2, 3, 6, 7))


def size_case(forward, backward, **keywords):
    return (
        lambda x: forward(x, **keywords),
        lambda g, x: backward(g, x.shape[2:], **keywords),
        randoms((2, 3, 6, 7)),
    )


def conv_case(forward, backward, shapes, **keywords):
    return (
        lambda x, w, b: forward(x, w, b, **keywords),
        lambda g, x, w, b: backward(g, x, w, **keywords),
        randoms(*shapes),
    )


IMAGES = (2, 4, 6, 7)
CASES = {
    "conv2d": conv_case(
        F.conv2d,
        F.conv2d_backward,
        [IMAGES, (6, 2, 3, 2), (6,)],
        stride=(2, 1),
        padding=((1, 0), (2, 1)),
        dilation=(1, 2),
        groups=2,
    ),
    "conv_transpose2d": conv_case(
        F.conv_transpose2d,
        F.conv_transpose2d_backward,
        [(2, 4, 3, 4), (4, 2, 3, 2), (4,)],
        stride=(2, 3),
        padding=1,
        output_padding=(1, 0),
        groups=2,
    ),
    "linear": conv_case(F.linear, F.linear_backward, [(4, 5), (3, 5), (3,)]),
    "max_pool2d": pool_case(F.max_pool2d, F.max_pool2d_backward, kernel_size=3, stride=2, padding=1),
    "min_pool2d": pool_case(F.min_pool2d, F.min_pool2d_backward, kernel_size=2, ceil_mode=True),
    "avg_pool2d": size_case(F.avg_pool2d, F.avg_pool2d_backward, kernel_size=3, stride=2, padding=1),
    "sum_pool2d": size_case(F.sum_pool2d, F.sum_pool2d_backward, kernel_size=2, stride=1),
    "lp_pool2d": (
        lambda x: F.lp_pool2d(x, 3, 2),
        lambda g, x: F.lp_pool2d_backward(g, x, 3, 2),
        randoms(IMAGES),
    ),
    "stochastic_pool2d": (
        lambda x: F.stochastic_pool2d(x, 2, rng=rng(1)),
        lambda g, x: F.stochastic_pool2d_backward(
            g, F.stochastic_pool2d(x, 2, rng=rng(1))[1], x.shape[2:], 2
        ),
        [rng().uniform(0.5, 1, size=IMAGES)],
    ),
    "global_avg_pool2d": size_case(F.global_avg_pool2d, F.global_avg_pool2d_backward),
    "global_max_pool2d": pool_case(F.global_max_pool2d, F.global_max_pool2d_backward),
    "adaptive_avg_pool2d": (
        lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
        lambda g, x: F.adaptive_avg_pool2d_backward(g, x.shape[2:]),
        randoms(IMAGES),
    ),
    "adaptive_max_pool2d": (
        lambda x: F.adaptive_max_pool2d(x, (4, 3)),
        lambda g, x: F.adaptive_max_pool2d_backward(g, F.adaptive_max_pool2d(x, (4, 3))[1], x.shape[2:]),
        randoms(IMAGES),
    ),
    "spatial_pyramid_pool": (
        lambda x: F.spatial_pyramid_pool(x, (3, 2, 1), "adaptive"),
        lambda g, x: F.spatial_pyramid_pool_backward(
            g, F.spatial_pyramid_pool(x, (3, 2, 1), "adaptive")[1], x.shape[2:], (3, 2, 1), "adaptive"
        ),
        randoms(IMAGES),
    ),
    "netvlad": (F.netvlad, F.netvlad_backward, randoms((2, 3, 3, 4), (5, 3), (5,), (5, 3))),
    **{
        name: (getattr(F, name), getattr(F, f"{name}_backward"), randoms((5, 6)))
        for name in (
            *("relu", "leaky_relu", "elu", "sigmoid", "tanh", "gelu"),
            *("softmax", "log_softmax"),
        )
    },
    "cross_entropy": (F.cross_entropy, F.cross_entropy_backward, [*randoms((4, 5)), np.array([0, 4, 2, 2])]),
    "squared_error": (
        F.squared_error,
        lambda g, x, t: (F.squared_error_backward(g, x, t), -F.squared_error_backward(g, x, t)),
        randoms((4, 5), (4, 5), seed=1),
    ),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        lambda g, x, w, b: F.batch_norm_backward(g, x, None, None, w, training=True),
        randoms((3, 2, 4, 3), (2,), (2,)),
    ),
    "batch_norm in evaluation": (
        lambda x, w, b: F.batch_norm(x, np.ones(2), np.full(2, 3.0), w, b),
        lambda g, x, w, b: F.batch_norm_backward(g, x, np.ones(2), np.full(2, 3.0), w),
        randoms((3, 2, 4, 3), (2,), (2,)),
    ),
    "conv3d": conv_case(
        F.conv3d,
        F.conv3d_backward,
        [(2, 4, 4, 5, 4), (2, 2, 2, 3, 2), (2,)],
        stride=(1, 2, 1),
        padding=(1, 0, 1),
        dilation=(1, 1, 2),
        groups=2,
    ),
    "locally_connected2d": conv_case(
        F.locally_connected2d,
        F.locally_connected2d_backward,
        [(2, 3, 6, 5), (5, 2, 2, 3, 2, 3), (2, 5, 2)],
        stride=(1, 2),
        padding=((0, 0), (0, 1)),
    ),
    "tiled_conv2d": conv_case(
        F.tiled_conv2d, F.tiled_conv2d_backward, [(2, 3, 6, 5), (2, 3, 2, 3, 2, 3), (2, 3, 2)], padding=1
    ),
    "separable_conv2d": (
        lambda x, d, p, b: F.separable_conv2d(x, d, p, b, stride=2, padding=1),
        lambda g, x, d, p, b: F.separable_conv2d_backward(g, x, d, p, stride=2, padding=1),
        randoms((2, 3, 6, 5), (6, 1, 3, 2), (4, 6, 1, 1), (4,)),
    ),
    "channel_shuffle": (
        lambda x: F.channel_shuffle(x, 2),
        lambda g, x: F.channel_shuffle_backward(g, 2),
        randoms((2, 6, 3, 2)),
    ),
    "pixel_shuffle": (
        lambda x: F.pixel_shuffle(x, 2),
        lambda g, x: F.pixel_shuffle_backward(g, 2),
        randoms((2, 8, 3, 2)),
    ),
    **{
        f"interpolate{' bilinear' * (mode == 'bilinear')}": (
            lambda x, mode=mode: F.interpolate(x, (7, 5), mode=mode),
            lambda g, x, mode=mode: F.interpolate_backward(g, x.shape[2:], mode),
            randoms((2, 3, 4, 6)),
        )
        for mode in ("nearest", "bilinear")
    },
    "deform_conv2d": (
        lambda x, o, w, b: F.deform_conv2d(x, o, w, b, padding=1),
        lambda g, x, o, w, b: F.deform_conv2d_backward(g, x, o, w, padding=1),
        [*randoms((2, 3, 5, 6)), rng(5).uniform(0.1, 0.9, (2, 12, 6, 6)), *randoms((4, 3, 2, 3), (4,))],
    ),
    "dropout": (
        lambda x: F.dropout(x, 0.4, rng(3)),
        lambda g, x: F.dropout_backward(g, F.dropout(x, 0.4, rng(3))[1]),
        randoms((6, 7)),
    ),
}


def test_every_backward_is_here():
    backwards = {name.removesuffix("_backward") for name in F.__all__ if name.endswith("_backward")}
    assert backwards <= CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_every_backward_passes(name, record_property, capsys):
    forward, backward, inputs = CASES[name]
    report = gradcheck(forward, backward, *inputs, raise_on_error=True)
    assert not any(check.kinks for check in report.checks)
    record_property("worst relative error", report.worst.error)
    with capsys.disabled():
        print(f"\n    {name}: worst relative error {report.worst.error:.1e}", end="")


# --- what is wrong is found --------------------------------------------------------------------------

WRONG = {
    "kernel flipped": lambda g, x, w: F.conv2d_backward(g, x, w[:, :, ::-1, ::-1], 2, 1),
    "kernel transposed": lambda g, x, w: F.conv2d_backward(g, x, w.swapaxes(2, 3), 2, 1),
    "mean for sum": lambda g, x, w: [a / 2 for a in F.conv2d_backward(g, x, w, 2, 1)[:2]],
    "a border forgotten": lambda g, x, w: np.pad(
        F.conv2d_backward(g, x, w, 2, 1)[0][..., 1:], ((0, 0),) * 3 + ((1, 0),)
    ),
    "not a number": lambda g, x, w: np.full(x.shape, np.nan),
    "one part in a thousand": lambda g, x, w: 1.001 * F.conv2d_backward(g, x, w, 2, 1)[0],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_backward_fails(name):
    x, w = randoms((2, 3, 5, 7), (4, 3, 3, 3))
    report = gradcheck(lambda x, w: F.conv2d(x, w, None, 2, 1), WRONG[name], x, w, names=["x", "weight"])
    assert not report.passed
    assert "WRONG, look at" in str(report)
    with pytest.raises(GradientError, match="WRONG"):
        gradcheck(
            lambda x, w: F.conv2d(x, w, None, 2, 1),
            WRONG[name],
            x,
            w,
            names=["x", "weight"],
            raise_on_error=True,
        )


def test_the_worst_entry_is_named():
    def backward(g, x):
        grad = 2 * x * g
        grad[2, 1] += 0.5
        return grad

    (x,) = randoms((3, 4))
    worst = gradcheck(lambda x: x**2, backward, x, names=["pixels"]).worst
    assert (worst.name, worst.index, worst.checked) == ("pixels", (2, 1), 12)
    assert worst.analytic - worst.numeric == pytest.approx(0.5, abs=1e-6)


def test_a_wrong_shape_is_a_problem_not_a_crash():
    report = gradcheck(F.relu, lambda g, x: g[0], *randoms((3, 4)))
    assert not report.passed
    assert "must have the shape of the input, (3, 4), got (4,)" in str(report)


def test_kinks_are_named():
    x = np.array([1.0, 0, -2, 0])
    report = gradcheck(F.relu, F.relu_backward, x, names=["x"])
    assert report.checks[0].kinks == [(1,), (3,)]
    assert "kink: left and right slope differ at 2 of them: [1], [3]" in str(report)
    assert "stands at a kink" in str(report)
    ties = np.ones((1, 1, 2, 2))
    forward, backward, _ = pool_case(F.max_pool2d, F.max_pool2d_backward, kernel_size=2)
    assert len(gradcheck(forward, backward, ties).checks[0].kinks) == 4


def test_curvature_is_no_kink():
    x = np.linspace(-3, 3, 41)
    assert not gradcheck(np.sin, lambda g, x: g * np.cos(x), x).checks[0].kinks
    assert gradcheck(np.exp, lambda g, x: g * np.exp(x), 5 * x).passed


# --- how it is called --------------------------------------------------------------------------------


def test_integers_and_none_are_not_checked():
    logits, labels = randoms((4, 5))[0], np.array([0, 1, 2, 3])
    report = gradcheck(
        F.cross_entropy, lambda g, x, t: (F.cross_entropy_backward(g, x, t), None), logits, labels
    )
    assert [check.name for check in report.checks] == ["x0"]


def test_float32_inputs_are_checked_in_float64_and_left_alone():
    x = randoms((3, 4))[0].astype(np.float32)
    before = x.copy()
    assert gradcheck(F.tanh, F.tanh_backward, x).worst.error < 1e-8
    np.testing.assert_array_equal(x, before)


def test_a_sample_of_the_entries():
    (x,) = randoms((30, 40))
    report = gradcheck(F.tanh, F.tanh_backward, x, max_entries=25)
    assert report.passed
    assert report.checks[0].checked == 25


def test_numerical_gradient():
    x, g = randoms((3, 4), (3, 4))
    np.testing.assert_allclose(numerical_gradient(np.sin, x, g), g * np.cos(x), atol=1e-9)
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**2).sum(), x), 2 * x, atol=1e-8)


def test_nothing_to_check_is_an_error():
    with pytest.raises(ValueError, match="backward must return the gradient of at least one float input"):
        gradcheck(np.sin, lambda g, x: None, np.ones(3))
    with pytest.raises(ValueError, match="function must return at least one number"):
        gradcheck(np.sin, lambda g, x: g, np.ones(0))
