"""Exercise 5, activations and pooling: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. By hand ------------------------------------------------------------------------------------------

# 3×3 windows with stride 2 on 32×32. A sigmoid that put out 0.6, with 10 from above; a leaky ReLU of slope
# 0.2 at the input -3, with 4 from above. Windows of 2×2 at stride 1 on 3×4 pixels: the 7 in the second row
# lies in the windows with the gradients 1, 2, 4, 5 and wins them; two hold a second 7, in the row below.
_HAND = {
    "side": (32 - 3) // 2 + 1,
    "ceil side": -((3 - 32) // 2) + 1,
    "sigmoid": 10 * 0.6 * (1 - 0.6),
    "leaky": 4 * 0.2,
    "max": 1 + 2 + 4 + 5.0,
    "average": (1 + 2 + 4 + 5) / 4,
}


def _hand_with(**wrong: float) -> Callable[[str], float]:
    """The right values, but for those given (underscores stand for spaces)."""
    values = _HAND | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: values[key]


by_hand = Task(
    name="ex05.by_hand",
    title="1 · By hand",
    section="5.2 Five curves and their slopes; 5.8 How many windows: overlap, padding, ceil mode; "
    "5.10 The way back",
    reference=_HAND.__getitem__,
    cases=lambda rng: [
        Case("rows of the pooled map", 0.25, ("side",)),
        Case("rows with ceil mode", 0.25, ("ceil side",)),
        Case("the sigmoid", 0.5, ("sigmoid",)),
        Case("the leaky ReLU", 0.5, ("leaky",)),
        Case("through max pooling", 0.5, ("max",)),
        Case("through average pooling", 0.5, ("average",)),
    ],
    misconceptions={
        "no plus one": Misconception(
            _hand_with(side=14, ceil_side=15),
            "The fraction counts the steps between windows. There is one window more than there are steps.",
        ),
        "rounded up": Misconception(
            _hand_with(side=16),
            "Half of the size, or rounded up: without ceil mode a window that would hang over is left out.",
        ),
        "ceil ignored": Misconception(
            _hand_with(ceil_side=15),
            "That is without ceil mode. Is a row left over, and does one more window start inside the map?",
        ),
        "stride ignored": Misconception(
            _hand_with(side=30, ceil_side=30),
            "That many windows fit at stride 1. With stride 2 every second one is taken.",
        ),
        "tiled": Misconception(
            _hand_with(side=10, ceil_side=11),
            "You moved the windows by their own size. The stride is smaller here: they overlap.",
        ),
        "slope at y": Misconception(
            _hand_with(sigmoid=10 / (1 + np.exp(-0.6)) / (1 + np.exp(0.6))),
            "You put the output into the sigmoid once more. It is an output already: the slope is y (1 - y).",
        ),
        "without 1 - y": Misconception(
            _hand_with(sigmoid=6.0), "You multiplied by y. One factor of the slope y (1 - y) is missing."
        ),
        "without y": Misconception(
            _hand_with(sigmoid=4.0), "You multiplied by 1 - y. One factor of the slope y (1 - y) is missing."
        ),
        "slope of tanh": Misconception(
            _hand_with(sigmoid=6.4), "1 - y² is the slope of tanh. This unit is a sigmoid."
        ),
        "slopes only": Misconception(
            _hand_with(sigmoid=0.24, leaky=0.2),
            "That is the slope alone. Multiply by the gradient from above.",
        ),
        "slope on the positive side": Misconception(
            _hand_with(leaky=4.0),
            "The gradient passes whole where the input was positive. This one was negative.",
        ),
        "dead": Misconception(
            _hand_with(leaky=0.0), "A ReLU would stop it. The leaky one lets some of it through."
        ),
        "output of the leaky ReLU": Misconception(
            _hand_with(leaky=-0.6), "That is the output of the unit. What it passes back was asked for."
        ),
        "times the output": Misconception(
            _hand_with(leaky=-2.4),
            "You multiplied the gradient by the output of the unit. Multiply it by the slope at the input.",
        ),
        "ties to the last": Misconception(
            _hand_with(max=3.0),
            "In two windows the 7 below shares the maximum. The first in reading order wins: the upper one.",
        ),
        "ties shared": Misconception(
            _hand_with(max=7.5),
            "You shared the gradient where there is a tie. Here all of it goes to the first.",
        ),
        "assigned": Misconception(
            _hand_with(max=5.0, average=1.25),
            "That is what the last window sends. The pixel lies in several windows: add them up.",
        ),
        "lower windows only": Misconception(
            _hand_with(max=9.0, average=2.25),
            "That is what the two lower windows send. The pixel lies in the two upper ones as well.",
        ),
        "upper windows only": Misconception(
            _hand_with(average=0.75),
            "That is what the two upper windows send. The pixel lies in the two lower ones as well.",
        ),
        "first window only": Misconception(
            _hand_with(max=1.0, average=0.25),
            "That is what the first window sends. In how many windows does the pixel lie?",
        ),
        "not divided": Misconception(
            _hand_with(average=12.0),
            "Each pixel of a window gets a part of its gradient, not all of it.",
        ),
        "divided by k": Misconception(
            _hand_with(average=6.0), "A window of side k has more than k pixels to share its gradient among."
        ),
    },
    rtol=1e-3,
)


# ---- 2. Activations, backward ----------------------------------------------------------------------------


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _activation_backward(kind, grad_output, x, slope=0.1):
    if kind == "sigmoid":
        return grad_output * _sigmoid(x) * (1 - _sigmoid(x))
    if kind == "tanh":
        return grad_output * (1 - np.tanh(x) ** 2)
    if kind == "relu":
        return np.where(x > 0, grad_output, 0)
    return np.where(x > 0, grad_output, slope * grad_output)


def _activation_slopes(kind, grad_output, x, slope=0.1):
    """The same through a table of slopes."""
    slopes = {
        "sigmoid": lambda: 1 / (np.exp(x) + 2 + np.exp(-x)),
        "tanh": lambda: 1 / np.cosh(x) ** 2,
        "relu": lambda: np.heaviside(x, 0),
        "leaky": lambda: slope + (1 - slope) * np.heaviside(x, 0),
    }
    return grad_output * slopes[kind]()


def _activation_with(**wrong: Callable) -> Callable:
    """The right function, but for some kinds: `wrong(grad_output, x, slope)`."""

    def backward(kind, grad_output, x, slope=0.1):
        if kind in wrong:
            return wrong[kind](grad_output, x, slope)
        return _activation_backward(kind, grad_output, x, slope)

    return backward


def _slope_only(kind, grad_output, x, slope=0.1):
    return _activation_backward(kind, np.ones_like(grad_output), x, slope)


def _forward_values(kind, grad_output, x, slope=0.1):
    values = {"sigmoid": _sigmoid(x), "tanh": np.tanh(x), "relu": np.maximum(x, 0)}
    return grad_output * values.get(kind, np.where(x > 0, x, slope * x))


def _activation_cases(rng) -> list[Case]:
    def pair(*shape):
        x = 1.5 * rng.normal(size=shape)
        x.flat[:: x.size // 3] = 0  # a few exact zeros, where ReLU has its corner
        return rng.normal(size=shape), x

    return [
        Case("sigmoid", 0.4, ("sigmoid", *pair(3, 4))),
        Case("tanh", 0.3, ("tanh", *pair(2, 3, 2))),
        Case("ReLU", 0.4, ("relu", *pair(5, 3))),
        Case("leaky ReLU", 0.2, ("leaky", *pair(3, 5))),
        Case("leaky ReLU with another slope", 0.2, ("leaky", *pair(2, 7)), {"slope": 0.25}),
    ]


activation_backward = Task(
    name="ex05.activation_backward",
    title="2 · Four activations, backward",
    section="5.2 Five curves and their slopes",
    reference=_activation_backward,
    cases=_activation_cases,
    misconceptions={
        "slope at y": Misconception(
            _activation_with(
                sigmoid=lambda g, x, a: _activation_backward("sigmoid", g, _sigmoid(x)),
                tanh=lambda g, x, a: _activation_backward("tanh", g, np.tanh(x)),
            ),
            "The curve is applied twice: x is the input of the forward pass. With y = f(x), the slope is "
            "y (1 - y) for sigmoid and 1 - y² for tanh.",
        ),
        "x in place of y": Misconception(
            _activation_with(sigmoid=lambda g, x, a: g * x * (1 - x), tanh=lambda g, x, a: g * (1 - x**2)),
            "You used the formula for the output y, with the input x in it. Compute y = f(x) first.",
        ),
        "mask from the gradient": Misconception(
            _activation_with(
                relu=lambda g, x, a: g * (g > 0), leaky=lambda g, x, a: np.where(g > 0, g, a * g)
            ),
            "You asked whether the gradient is positive. What counts is whether the input was.",
        ),
        "slope on the positive side": Misconception(
            _activation_with(leaky=lambda g, x, a: np.where(x > 0, a * g, g)),
            "The two sides of the leaky ReLU are exchanged: the small slope belongs to negative inputs.",
        ),
        "leak with a minus": Misconception(
            _activation_with(leaky=lambda g, x, a: np.where(x > 0, g, -a * g)),
            "On the negative side the leaky ReLU still rises: its slope there has no minus sign.",
        ),
        "no leak": Misconception(
            _activation_with(leaky=lambda g, x, a: g * (x > 0)),
            "The leaky ReLU behaves like ReLU: nothing passes on the negative side.",
        ),
        "leak of 0.01": Misconception(
            _activation_with(leaky=lambda g, x, a: np.where(x > 0, g, 0.01 * g)),
            "The leak is 0.01 whatever is asked for. Use the argument slope.",
        ),
        "leak of 0.1": Misconception(
            _activation_with(leaky=lambda g, x, a: np.where(x > 0, g, 0.1 * g)),
            "The leak is 0.1 whatever is asked for. Use the argument slope.",
        ),
        "zero counts as positive": Misconception(
            _activation_with(
                relu=lambda g, x, a: g * (x >= 0), leaky=lambda g, x, a: np.where(x >= 0, g, a * g)
            ),
            "Where x is exactly 0 you took the slope of the positive side. Use x > 0, not x >= 0.",
        ),
        "corner one half": Misconception(
            _activation_with(
                relu=lambda g, x, a: g * np.heaviside(x, 0.5),
                leaky=lambda g, x, a: g * (a + (1 - a) * np.heaviside(x, 0.5)),
            ),
            "Where x is exactly 0 you took the mean of both slopes. Here the negative side counts.",
        ),
        "no upstream": Misconception(
            _slope_only, "Those are the slopes. Multiply them by grad_output: that is the chain rule."
        ),
        "forward values": Misconception(
            _forward_values, "You multiplied by the activation itself. Multiply by its slope."
        ),
        "without 1 - y": Misconception(
            _activation_with(sigmoid=lambda g, x, a: g * _sigmoid(x)),
            "The slope of the sigmoid is y (1 - y): the factor 1 - y is missing.",
        ),
        "without y": Misconception(
            _activation_with(sigmoid=lambda g, x, a: g * (1 - _sigmoid(x))),
            "The slope of the sigmoid is y (1 - y): the factor y is missing.",
        ),
        "tanh like sigmoid": Misconception(
            _activation_with(tanh=lambda g, x, a: g * np.tanh(x) * (1 - np.tanh(x))),
            "That is the formula of the sigmoid. The slope of tanh is 1 - y².",
        ),
        "tanh not squared": Misconception(
            _activation_with(tanh=lambda g, x, a: g * (1 - np.tanh(x))),
            "The slope of tanh is 1 - y²: the square is missing.",
        ),
    },
    alternatives={"a table of slopes": _activation_slopes},
)


# ---- 3. Max pooling, backward ----------------------------------------------------------------------------


def _max_pool_backward(grad_output, x, kernel_size, stride):
    """Each gradient goes to the first largest pixel of its window."""
    grad = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(grad_output.shape):
        top, left = i * stride, j * stride
        window = x[n, c, top : top + kernel_size, left : left + kernel_size]
        u, v = np.unravel_index(window.argmax(), window.shape)
        grad[n, c, top + u, left + v] += grad_output[n, c, i, j]
    return grad


def _max_pool_running(grad_output, x, kernel_size, stride):
    """The same for whole maps at once: the first tap that is largest in its window wins."""
    OH, OW = grad_output.shape[2:]
    grad = np.zeros(x.shape)

    def taps(maps):
        for u, v in np.ndindex(kernel_size, kernel_size):
            yield maps[:, :, u::stride, v::stride][:, :, :OH, :OW]

    winner = np.stack(list(taps(x))).argmax(axis=0)
    for number, tap in enumerate(taps(grad)):
        tap += grad_output * (winner == number)
    return grad


def _stride(kernel_size, stride):
    return stride


def _sends(share: Callable, assign: bool = False, step: Callable = _stride) -> Callable:
    """A backward in which a window gets `share(window) * gradient`; `share` gives an array like the window.

    With `assign`, windows overwrite what others have sent. `step` says how far apart they are.
    """

    def backward(grad_output, x, kernel_size, stride):
        grad = np.zeros(x.shape)
        for n, c, i, j in np.ndindex(grad_output.shape):
            top, left = i * step(kernel_size, stride), j * step(kernel_size, stride)
            place = np.s_[n, c, top : top + kernel_size, left : left + kernel_size]
            sent = grad_output[n, c, i, j] * share(x[place])
            if assign:
                grad[place] = np.where(sent == 0, grad[place], sent)
            else:
                grad[place] += sent
        return grad

    return backward


def _one(window, place) -> np.ndarray:
    share = np.zeros(window.shape)
    share[np.unravel_index(place, window.shape)] = 1
    return share


def _first(window):
    return _one(window, window.argmax())


def _last(window):
    return _one(window, window.size - 1 - window.ravel()[::-1].argmax())


def _all_winners(window):
    return (window == window.max()).astype(float)


def _winner_mirrored(window):
    """Row and column of the winner exchanged."""
    return _first(window).T


def _winner_not_moved(grad_output, x, kernel_size, stride):
    """The winner's place in the window, taken for its place in the picture."""
    grad = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(grad_output.shape):
        window = x[n, c, i * stride : i * stride + kernel_size, j * stride : j * stride + kernel_size]
        u, v = divmod(window.argmax(), kernel_size)
        grad[n, c, u, v] += grad_output[n, c, i, j]
    return grad


def _winner_moved_by_the_window(grad_output, x, kernel_size, stride):
    """The right winner, written where the window would begin if windows tiled."""
    OH, OW = grad_output.shape[2:]
    grad = np.zeros((*x.shape[:2], max(x.shape[2], OH * kernel_size), max(x.shape[3], OW * kernel_size)))
    for n, c, i, j in np.ndindex(grad_output.shape):
        window = x[n, c, i * stride : i * stride + kernel_size, j * stride : j * stride + kernel_size]
        u, v = divmod(window.argmax(), kernel_size)
        grad[n, c, i * kernel_size + u, j * kernel_size + v] += grad_output[n, c, i, j]
    return grad[:, :, : x.shape[2], : x.shape[3]]


def _over_channels(grad_output, x, kernel_size, stride):
    """One winner for all channels of a window: arg-max over one axis too many."""
    grad = np.zeros(x.shape)
    for n, i, j in np.ndindex(len(x), *grad_output.shape[2:]):
        top, left = i * stride, j * stride
        window = x[n, :, top : top + kernel_size, left : left + kernel_size]
        c, u, v = np.unravel_index(window.argmax(), window.shape)
        grad[n, c, top + u, left + v] += grad_output[n, :, i, j].sum()
    return grad


def _max_pool_cases(rng) -> list[Case]:
    def delta(*shape):
        return rng.normal(size=shape)

    shared = rng.normal(size=(1, 2, 5, 7))
    shared[:, :, 2, 2] += 10  # wins in four windows
    tied = rng.integers(-3, -1, size=(2, 2, 6, 9)).astype(float)  # -3 and -2: each window has ties
    tied[:, :, :3, :3] = -2
    return [
        Case("windows that tile", 0.5, (delta(1, 1, 2, 3), rng.normal(size=(1, 1, 4, 6)), 2, 2)),
        Case("a batch, several channels", 0.5, (delta(2, 3, 2, 3), rng.normal(size=(2, 3, 6, 9)), 3, 3)),
        Case("ties", 0.5, (delta(2, 2, 2, 3), tied, 3, 3)),
        Case("overlapping windows", 0.5, (delta(1, 2, 2, 3), shared, 3, 2)),
        Case("pixels that no window reads", 0.5, (delta(2, 2, 3, 2), rng.normal(size=(2, 2, 9, 6)), 2, 3)),
    ]


max_pool_backward = Task(
    name="ex05.max_pool_backward",
    title="3 · Max pooling, backward",
    section="5.10 The way back",
    reference=_max_pool_backward,
    cases=_max_pool_cases,
    misconceptions={
        "ties to all": Misconception(
            _sends(_all_winners),
            "On a tie every winner gets the whole gradient, so that more arrives than was sent. It goes to "
            "the first one alone.",
        ),
        "ties to the last": Misconception(
            _sends(_last),
            "On a tie the last winner gets your gradient. It goes to the first in reading order.",
        ),
        "ties shared": Misconception(
            _sends(lambda window: _all_winners(window) / _all_winners(window).sum()),
            "On a tie you share the gradient. A defensible choice, but here the first winner gets all.",
        ),
        "ties to all, assigned": Misconception(
            _sends(_all_winners, assign=True),
            "Two things: on a tie only the first winner gets the gradient, and overlapping windows add.",
        ),
        "assigned": Misconception(
            _sends(_first, assign=True),
            "A pixel that wins in several windows collects from all of them: add (+=), do not assign.",
        ),
        "shared by the window": Misconception(
            _sends(lambda window: np.full(window.shape, 1 / window.size)),
            "That is the backward of average pooling. In max pooling the winner takes all.",
        ),
        "to the whole window": Misconception(
            _sends(lambda window: np.ones(window.shape)),
            "Every pixel of the window gets the gradient. A loser has no effect on the output: it gets 0.",
        ),
        "to the corner": Misconception(
            _sends(lambda window: _one(window, 0)),
            "The gradient always goes to the first pixel of the window. Find out which one has won.",
        ),
        "row and column exchanged": Misconception(
            _sends(_winner_mirrored),
            "Row and column of the winner are exchanged: number w of a window stands in row w // k.",
        ),
        "winner not moved": Misconception(
            _winner_not_moved,
            "The winner's place in its window is not its place in the picture: add where the window begins.",
        ),
        "winner moved by the window": Misconception(
            _winner_moved_by_the_window,
            "You find the winner, then write it elsewhere: window (i, j) begins in row i * stride, not "
            "in row i * kernel_size.",
        ),
        "stride ignored": Misconception(
            _sends(_first, step=lambda kernel_size, stride: 1),
            "The windows begin at 0, 1, 2, ...: window (i, j) begins in row i * stride, column j * stride.",
        ),
        "moved by the window": Misconception(
            _sends(_first, step=lambda kernel_size, stride: kernel_size),
            "Your windows are as far apart as they are large. The stride says how far.",
        ),
        "over the channels": Misconception(
            _over_channels,
            "One winner for all channels: the arg-max runs over an axis too many. Channels are pooled apart.",
        ),
        "smallest": Misconception(
            _sends(lambda window: _one(window, window.argmin())), "That is the smallest pixel of the window."
        ),
        "largest magnitude": Misconception(
            _sends(lambda window: _one(window, np.abs(window).argmax())),
            "You compare magnitudes. -3 is less than 2: compare the numbers themselves.",
        ),
        "times the maximum": Misconception(
            _sends(lambda window: _first(window) * window.max()),
            "You multiplied by the maximum. The output is a copy of the winner, so the slope is 1.",
        ),
    },
    alternatives={"tap after tap": _max_pool_running},
)


# ---- 4. Find the bugs: average pooling -------------------------------------------------------------------


def _avg_pool_backward(grad_output, input_size, kernel_size, stride):
    """Every pixel of a window gets the same part of its gradient."""
    grad = np.zeros((*grad_output.shape[:2], *input_size))
    for i, j in np.ndindex(grad_output.shape[2:]):
        rows = slice(i * stride, i * stride + kernel_size)
        columns = slice(j * stride, j * stride + kernel_size)
        grad[:, :, rows, columns] += grad_output[:, :, i, j, None, None] / kernel_size**2
    return grad


def _avg_pool_by_matrices(grad_output, input_size, kernel_size, stride):
    """Averaging is a matrix along each axis; the way back is its transpose."""
    matrices = []
    for axis in range(2):
        pixels, outputs = input_size[axis], grad_output.shape[2 + axis]
        starts = stride * np.arange(outputs)[:, None]
        reads = (starts <= np.arange(pixels)) & (np.arange(pixels) < starts + kernel_size)
        matrices.append(reads / kernel_size)
    return matrices[0].T @ grad_output @ matrices[1]


def _avg_with(
    divide: Callable = lambda kernel_size, stride, input_size: kernel_size**2,
    assign: bool = False,
    step: Callable = lambda kernel_size, stride: stride,
) -> Callable:
    """The backward with another divisor, with = in place of +=, or with windows that step otherwise."""

    def backward(grad_output, input_size, kernel_size, stride):
        grad = np.zeros((*grad_output.shape[:2], *input_size))
        for i, j in np.ndindex(grad_output.shape[2:]):
            top, left = i * step(kernel_size, stride), j * step(kernel_size, stride)
            place = np.s_[:, :, top : top + kernel_size, left : left + kernel_size]
            share = grad_output[:, :, i, j, None, None] / divide(kernel_size, stride, input_size)
            grad[place] = share if assign else grad[place] + share
        return grad

    return backward


def _mean_of_windows(grad_output, input_size, kernel_size, stride):
    """What several windows send is averaged, not added."""
    seen = _avg_pool_backward(np.ones_like(grad_output), input_size, kernel_size, stride) * kernel_size**2
    return _avg_pool_backward(grad_output, input_size, kernel_size, stride) / np.maximum(seen, 1)


def _avg_pool_cases(rng) -> list[Case]:
    return [
        Case("windows that tile", 0.5, (rng.normal(size=(2, 3, 2, 4)), (6, 12), 3, 3)),
        Case("overlapping windows", 0.5, (rng.normal(size=(1, 2, 3, 4)), (7, 9), 3, 2)),
        Case("pixels that no window reads", 0.5, (rng.normal(size=(2, 1, 3, 2)), (9, 6), 2, 3)),
    ]


avg_pool_backward = Task(
    name="ex05.avg_pool_backward",
    title="4 · Find the bugs: average pooling, backward",
    section="5.10 The way back",
    reference=_avg_pool_backward,
    cases=_avg_pool_cases,
    misconceptions={
        "as it was": Misconception(
            _avg_with(lambda k, s, size: k, assign=True),
            "Both bugs are still there. How many pixels share a gradient? What if two windows see a pixel?",
        ),
        "divided by k": Misconception(
            _avg_with(lambda k, s, size: k),
            "You divide by the side k of the window. How many pixels share the gradient?",
        ),
        "not divided": Misconception(
            _avg_with(lambda k, s, size: 1),
            "Every pixel gets the whole gradient: that is the backward of a sum. An average divides.",
        ),
        "assigned": Misconception(
            _avg_with(assign=True),
            "The share is right. But where windows overlap, the last one overwrites what the others sent.",
        ),
        "assigned and not divided": Misconception(
            _avg_with(lambda k, s, size: 1, assign=True),
            "Neither is right yet: all pixels of a window share its gradient, and overlapping windows add.",
        ),
        "divided by the stride": Misconception(
            _avg_with(lambda k, s, size: s**2),
            "You divide by the square of the stride. What counts is how many pixels a window has.",
        ),
        "divided by the picture": Misconception(
            _avg_with(lambda k, s, size: size[0] * size[1]),
            "You divide by the number of pixels of the picture. A window has fewer.",
        ),
        "mean of the windows": Misconception(
            _mean_of_windows,
            "A pixel in several windows collects from all of them. You took the mean of what they send.",
        ),
        "stride ignored": Misconception(
            _avg_with(step=lambda k, s: 1),
            "The windows begin at 0, 1, 2, ...: window (i, j) begins in row i * stride, column j * stride.",
        ),
        "moved by the window": Misconception(
            _avg_with(step=lambda k, s: k),
            "Your windows are as far apart as they are large. The stride says how far.",
        ),
    },
    alternatives={"two matrices": _avg_pool_by_matrices},
)


# ---- 5. Experiment: one pixel to the right ---------------------------------------------------------------


@cache
def _garments() -> np.ndarray:
    from utils import data

    pictures = data.load(split="test", sample=True).images[::20] / 255
    return np.pad(pictures, ((0, 0), (14, 14), (14, 14)))[:, None]  # (50, 1, 56, 56)


def _tiles(x, k) -> np.ndarray:
    N, C, H, W = x.shape
    return x.reshape(N, C, H // k, k, W // k, k)


_LAYERS = {
    "no pooling": lambda x, k=4: x,
    "max": lambda x, k=4: _tiles(x, k).max(axis=(3, 5)),
    "average": lambda x, k=4: _tiles(x, k).mean(axis=(3, 5)),
    "every 4th": lambda x, k=4: x[:, :, ::k, ::k],
}


def _size(maps, power=2) -> np.ndarray:
    return (np.abs(maps) ** power).sum(axis=(1, 2, 3)) ** (1 / power)


def _relative(new, old) -> float:
    return float((_size(new - old) / _size(old)).mean())


def _shift(
    key: str,
    measure: Callable = _relative,
    move: tuple[int, int] = (1, 3),
    window: int = 4,
    exact: int = 3,
    rule: str = "c",
) -> float | str:
    """The measurements of task 5, with another measure, move (pixels, axis) or window."""
    if key in ("exact shifts", "rule"):
        return exact if key == "exact shifts" else rule
    layer = _LAYERS[key]
    return measure(layer(np.roll(_garments(), *move), window), layer(_garments(), window))


def _map_moved(key: str) -> float | str:
    if key not in _LAYERS:
        return _shift(key)
    old = _LAYERS[key](_garments())
    return _relative(np.roll(old, 1, axis=3), old)


def _shift_with(**wrong) -> Callable[[str], float | str]:
    return lambda key: _shift(key, **wrong)


shift = Task(
    name="ex05.shift",
    title="5 · Experiment: one pixel to the right",
    section="5.11 What pooling does to a small shift",
    reference=_shift,
    cases=lambda rng: [
        Case("no pooling", 0.3, ("no pooling",)),
        Case("max pooling", 0.4, ("max",)),
        Case("average pooling", 0.3, ("average",)),
        Case("every fourth pixel", 0.3, ("every 4th",)),
        Case("exact shifts", 0.4, ("exact shifts",)),
        Case("the rule", 0.3, ("rule",)),
    ],
    misconceptions={
        "not relative": Misconception(
            _shift_with(measure=lambda new, old: float(_size(new - old).mean())),
            "That is the change itself. Divide it by the size of the map, garment by garment.",
        ),
        "relative to the new map": Misconception(
            _shift_with(measure=lambda new, old: float((_size(new - old) / _size(new)).mean())),
            "You divided by the size of the new map. Divide by that of the old one.",
        ),
        "all garments at once": Misconception(
            _shift_with(measure=lambda new, old: float((((new - old) ** 2).sum() / (old**2).sum()) ** 0.5)),
            "One ratio for all garments together. Take it for each garment, then the mean.",
        ),
        "squares": Misconception(
            _shift_with(measure=lambda new, old: float((_size(new - old) ** 2 / _size(old) ** 2).mean())),
            "You compared sums of squares. The size of a map is the root of that sum.",
        ),
        "absolute values": Misconception(
            _shift_with(measure=lambda new, old: float((_size(new - old, 1) / _size(old, 1)).mean())),
            "You added up absolute values. The size of a map is the root of the sum of its squares.",
        ),
        "percent": Misconception(
            _shift_with(measure=lambda new, old: 100 * _relative(new, old)),
            "This looks like percent. Give the ratio itself.",
        ),
        "moved down": Misconception(
            _shift_with(move=(1, 2)), "The garments moved down: axis 2 counts rows. To the right is axis 3."
        ),
        "moved left": Misconception(
            _shift_with(move=(-1, 3)),
            "The garments moved to the left. np.roll by +1 moves to the right.",
        ),
        "moved by two": Misconception(_shift_with(move=(2, 3)), "That is a shift by two pixels."),
        "map moved": Misconception(
            _map_moved,
            "You moved the pooled map by one of its pixels, which are larger. Move the garments, then pool.",
        ),
        "windows of two": Misconception(
            _shift_with(window=2), "Those are windows of 2×2 at stride 2, or every second pixel. Take 4."
        ),
        "counted the shift by 0": Misconception(
            _shift_with(exact=4), "The shift by 0 pixels is no shift. Count from 1 to 12."
        ),
        "compared in place": Misconception(
            _shift_with(exact=0),
            "Moved copies count: compare with the old map rolled by 0, 1, 2, ... columns.",
        ),
        "all shifts": Misconception(
            _shift_with(exact=12),
            "So many only without pooling. Compare with np.array_equal: is the map exactly a moved copy?",
        ),
        "rule a": Misconception(
            _shift_with(rule="a"), "Look at what you measured for max pooling: a change, and not a small one."
        ),
        "rule b": Misconception(
            _shift_with(rule="b"), "Then every shift would have given a moved copy. How many did?"
        ),
        "rule d": Misconception(
            _shift_with(rule="d"),
            "Compare pooling with keeping every fourth pixel: both maps are equally small. Are the changes?",
        ),
    },
    alternatives={"capital letter": lambda key: "C)" if key == "rule" else _shift(key)},
    rtol=5e-3,
    atol=1e-6,
)


TASKS = (by_hand, activation_backward, max_pool_backward, avg_pool_backward, shift)
