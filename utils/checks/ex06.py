"""Exercise 6, a network that learns: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. A network by hand --------------------------------------------------------------------------------

# LeNet-5 for RGB pictures of 32×32, no padding: 5×5 filters 3 → 6 and 6 → 16, dense 400 → 120 → 84 → 10.
_BY_HAND = {
    "parameters": 6 * (3 * 25 + 1) + 16 * (6 * 25 + 1) + 120 * 401 + 84 * 121 + 10 * 85,
    "iterations": 3 * math.ceil(50_000 / 64),
    "probability": 3 / (6 + 3 + 1),
    "loss": -math.log(1 / (6 + 3 + 1)),
    "gradient": (1 / (6 + 3 + 1) - 1) / 4,
}


def _by_hand_with(**wrong: float) -> Callable[[str], float]:
    """The right numbers, but for those given."""
    values = _BY_HAND | wrong
    return lambda key: values[key]


by_hand = Task(
    name="ex06.by_hand",
    title="1 · A network by hand",
    section="6.3 How wrong is a probability?; 6.6 Samples, batches, epochs; 6.9 LeNet-5",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the parameters", 0.4, ("parameters",)),
        Case("the iterations", 0.4, ("iterations",)),
        Case("the probability of class 1", 0.4, ("probability",)),
        Case("the loss", 0.4, ("loss",)),
        Case("the gradient", 0.4, ("gradient",)),
    ],
    misconceptions={
        "gray pictures": Misconception(
            _by_hand_with(parameters=_BY_HAND["parameters"] - 6 * 50),
            "You counted the first layer for gray pictures. Here it sees three channels.",
        ),
        "no biases": Misconception(
            _by_hand_with(parameters=6 * 75 + 16 * 150 + 120 * 400 + 84 * 120 + 10 * 84),
            "Those are the weights. Every filter and every dense unit also has a bias.",
        ),
        "second layer one channel deep": Misconception(
            _by_hand_with(parameters=_BY_HAND["parameters"] - 16 * 125),
            "The filters of the second convolution are as deep as the first one has maps.",
        ),
        "maps not shrunk": Misconception(
            _by_hand_with(parameters=_BY_HAND["parameters"] + 120 * 16 * (64 - 25)),
            "How large are the maps when they are flattened? A convolution shrinks them, too.",
        ),
        "one epoch": Misconception(
            _by_hand_with(iterations=math.ceil(50_000 / 64)), "That is one epoch. How many are there?"
        ),
        "rounded down": Misconception(
            _by_hand_with(iterations=3 * (50_000 // 64)),
            "The last, smaller batch of each epoch is missing: it makes an iteration as well.",
        ),
        "rounded up at the end": Misconception(
            _by_hand_with(iterations=math.ceil(3 * 50_000 / 64)),
            "Round up in each epoch: a batch does not reach over into the next epoch.",
        ),
        "batches as epochs": Misconception(
            _by_hand_with(iterations=3), "Those are epochs. An iteration is the step of a single batch."
        ),
        "samples": Misconception(
            _by_hand_with(iterations=150_000),
            "So many samples are used. An iteration takes a whole batch of them.",
        ),
        "logits divided": Misconception(
            _by_hand_with(probability=math.log(3) / math.log(18)),
            "You divided the logit by the sum of the logits. Softmax takes the exponentials first.",
        ),
        "not divided": Misconception(
            _by_hand_with(probability=3.0),
            "A probability is at most 1: divide the exponential by the sum of all of them.",
        ),
        "probability instead of loss": Misconception(
            _by_hand_with(loss=0.1), "That is the probability of the right class. The loss is its -log."
        ),
        "sign of the loss": Misconception(
            _by_hand_with(loss=math.log(0.1)),
            "A loss is not negative: a minus stands before the logarithm.",
        ),
        "wrong class": Misconception(
            _by_hand_with(loss=-math.log(0.6), gradient=0.6 / 4),
            "Class 2 is right: the loss is about its probability, and its logit is the one asked for.",
        ),
        "logarithm to base 10": Misconception(
            _by_hand_with(loss=1.0), "That is the logarithm to base ten. Use the natural one."
        ),
        "not divided by the batch": Misconception(
            _by_hand_with(gradient=-0.9), "The loss is the mean over the batch: where is its size?"
        ),
        "p instead of p - y": Misconception(
            _by_hand_with(gradient=0.1 / 4),
            "That is p over the batch size. What should p have been?",
        ),
        "y - p": Misconception(
            _by_hand_with(gradient=0.9 / 4),
            "The sign is wrong: what it says minus what it should say.",
        ),
    },
    rtol=1e-3,
)


# ---- 2. Cross-entropy with its gradient ------------------------------------------------------------------


def _loss(
    logits,
    labels,
    *,
    shift=lambda z: z.max(1, keepdims=True),
    axis=1,
    target=lambda p, y: p - y,
    per=len,
    per_grad=None,
    sign=-1,
):
    """(loss, gradient); the keywords are the places where it goes wrong."""
    z = logits - shift(logits)
    total = np.exp(z).sum(axis, keepdims=True)
    p = np.exp(z) / total
    y = np.eye(logits.shape[1])[labels]
    log_p = (z - np.log(total))[np.arange(len(labels)), labels]
    return sign * log_p.sum() / per(logits), target(p, y) / (per_grad or per)(logits)


def _loss_by_softmax(logits, labels, shift=lambda z: z.max(1, keepdims=True)):
    """The logarithm of a probability that may have rounded to 0."""
    e = np.exp(logits - shift(logits))
    p = e / e.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(p[rows, labels]).mean()
    p[rows, labels] -= 1
    return loss, p / len(labels)


def _loss_one_by_one(logits, labels):
    """The same in loops."""
    losses, grads = [], []
    for n, z in enumerate(logits.tolist()):
        top = max(z)
        total = sum(math.exp(score - top) for score in z)
        losses.append(math.log(total) + top - z[labels[n]])
        grads.append([math.exp(score - top) / total - (j == labels[n]) for j, score in enumerate(z)])
    return np.mean(losses), np.array(grads) / len(labels)


def _loss_cases(rng) -> list[Case]:
    def case(name, points, shape, scale):
        N, classes = shape
        labels = rng.permutation(np.arange(N) % classes)  # labels of several classes, also the first and last
        return Case(name, points, (scale * rng.normal(size=shape), labels))

    # Shifted far up or down, exp overflows or all of it is 0. Far apart, a probability rounds to 0.
    shifted = rng.normal(size=(4, 5)) + 1000 * np.array([[1], [-1], [2], [-2]])
    apart = rng.normal(size=(5, 4)) + 1000 * np.arange(4)
    return [
        case("a batch of 6, 4 classes", 0.75, (6, 4), 2.0),
        case("a batch of 3, 10 classes", 0.5, (3, 10), 1.0),
        Case("logits in the thousands", 0.75, (shifted, np.array([4, 0, 2, 1]))),
        Case("logits far apart", 0.5, (apart, np.array([0, 1, 2, 3, 1]))),
    ]


def _none(z):
    return 0.0


cross_entropy = Task(
    name="ex06.cross_entropy",
    title="2 · Cross-entropy with its gradient",
    section="6.2 Scores become probabilities; 6.3 How wrong is a probability?",
    reference=_loss,
    cases=_loss_cases,
    misconceptions={
        "overflow": Misconception(
            lambda *a: _loss_by_softmax(*a, shift=_none),
            "Large logits overflow: subtract the largest logit of each sample before exp.",
        ),
        "overflow in the logarithm": Misconception(
            lambda *a: _loss(*a, shift=_none),
            "The sum of exponentials overflows under the logarithm: take the largest logit out first.",
        ),
        "logarithm of zero": Misconception(
            _loss_by_softmax,
            "A probability has rounded to 0, and its logarithm is infinite: take the logarithm in the "
            "formula first, as in (6.4).",
        ),
        "softmax over the batch": Misconception(
            lambda *a: _loss(*a, axis=0, shift=lambda z: z.max(0, keepdims=True)),
            "Your softmax runs over the batch: the classes of one sample should add up to 1, along axis 1.",
        ),
        "softmax over everything": Misconception(
            lambda *a: _loss(*a, axis=None, shift=lambda z: z.max(keepdims=True)),
            "Your softmax divides by a sum over the whole batch: each sample has its own.",
        ),
        "p instead of p - y": Misconception(
            lambda *a: _loss(*a, target=lambda p, y: p),
            "The loss is right, the gradient is p: what should the network have said? Subtract it.",
        ),
        "y - p": Misconception(
            lambda *a: _loss(*a, target=lambda p, y: y - p),
            "The loss is right, the gradient has the wrong sign: it points uphill, p - y.",
        ),
        "gradient not divided": Misconception(
            lambda *a: _loss(*a, per_grad=lambda z: 1),
            "The loss is right, the gradient is not divided by the size of the batch.",
        ),
        "sum over the batch": Misconception(
            lambda *a: _loss(*a, per=lambda z: 1),
            "Loss and gradient are sums over the batch: divide both by its size.",
        ),
        "mean over all entries": Misconception(
            lambda *a: _loss(*a, per=np.size),
            "You divided by the number of all logits. Each sample has one loss: divide by the samples.",
        ),
        "gradient per entry": Misconception(
            lambda *a: _loss(*a, per_grad=np.size),
            "The loss is right, the gradient is divided by all its entries instead of the samples.",
        ),
        "divided by the classes": Misconception(
            lambda *a: _loss(*a, per=lambda z: z.shape[1]),
            "You divided by the number of classes: the mean is over the samples.",
        ),
        "negative loss": Misconception(
            lambda *a: _loss(*a, sign=1), "The gradient is right, the loss is negative: where is the minus?"
        ),
        "only the right class": Misconception(
            lambda *a: _loss(*a, target=lambda p, y: (p - y) * y),
            "The loss is right, the gradient is 0 at the wrong classes: they get their p.",
        ),
        "gradient of log p": Misconception(
            lambda *a: _loss(*a, target=lambda p, y: -y / np.where(y > 0, p, 1)),
            "The loss is right, the gradient is the one at the probabilities: carry it on to the logits.",
        ),
    },
    alternatives={"in loops": _loss_one_by_one},
)


# ---- 3. Momentum and weight decay ------------------------------------------------------------------------


def _momentum(w, grad, v, lr, mu, decay):
    v = mu * v + grad + decay * w
    return w - lr * v, v


def _momentum_in_place(w, grad, v, lr, mu, decay):
    v *= mu
    v += grad
    v += decay * w
    w -= lr * v
    return w, v


def _momentum_cases(rng) -> list[Case]:
    def arrays(*shape):
        return tuple(rng.normal(size=shape) for _ in range(3))

    start = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), np.zeros((4, 3))
    return [
        Case("the first step, no decay", 0.25, (*start, 0.1, 0.9, 0.0)),
        Case("a later step, no decay", 0.5, (*arrays(5, 2), 0.05, 0.8, 0.0)),
        Case("a later step, with decay", 0.5, (*arrays(2, 3, 4), 0.3, 0.7, 0.2)),
    ]


momentum = Task(
    name="ex06.momentum",
    title="3 · Momentum and weight decay",
    section="6.7 Down the ravine",
    reference=_momentum,
    cases=_momentum_cases,
    misconceptions={
        "sign of the step": Misconception(
            lambda w, g, v, lr, mu, d: (w + lr * (mu * v + g + d * w), mu * v + g + d * w),
            "The step goes uphill: subtract the velocity from the weights.",
        ),
        "sign of the momentum": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (g + d * w - mu * v), g + d * w - mu * v),
            "The old velocity is subtracted, which brakes: it should be kept, with a plus.",
        ),
        "velocity downhill": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (mu * v - g - d * w), mu * v - g - d * w),
            "The gradient enters the velocity with a minus and the velocity the weights with another one.",
        ),
        "no momentum": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (g + d * w), g + d * w),
            "The old velocity plays no part: a share mu of it is kept.",
        ),
        "velocity not scaled": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (v + g + d * w), v + g + d * w),
            "The whole old velocity is kept: multiply it by mu.",
        ),
        "mean instead of sum": Misconception(
            lambda w, g, v, lr, mu, d: (
                w - lr * (mu * v + (1 - mu) * (g + d * w)),
                mu * v + (1 - mu) * (g + d * w),
            ),
            "You took a running mean, the gradient times 1 - mu, as Adam does. Here it is added in full.",
        ),
        "step with the old velocity": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * v, mu * v + g + d * w),
            "The weights move with the velocity from before this step: use the new one.",
        ),
        "step with the gradient": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (g + d * w), mu * v + g + d * w),
            "The velocity is right, but the weights move along the gradient alone.",
        ),
        "Nesterov": Misconception(
            lambda w, g, v, lr, mu, d: (
                w - lr * (g + d * w + mu * (mu * v + g + d * w)),
                mu * v + g + d * w,
            ),
            "That is Nesterov's variant, which looks one step ahead. Plain momentum was asked for.",
        ),
        "rate inside the velocity": Misconception(
            lambda w, g, v, lr, mu, d: (w - (mu * v + lr * (g + d * w)), mu * v + lr * (g + d * w)),
            "You put the learning rate into the velocity. Here it multiplies the velocity in the step.",
        ),
        "rate and sign inside the velocity": Misconception(
            lambda w, g, v, lr, mu, d: (w + (mu * v - lr * (g + d * w)), mu * v - lr * (g + d * w)),
            "Your velocity holds the whole step, with sign and learning rate, as some texts write it. Here "
            "it adds up gradients, as in (6.10).",
        ),
        "decay ignored": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (mu * v + g), mu * v + g),
            "The weight decay has no effect: it adds decay * w to the gradient.",
        ),
        "decay on the gradient": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (mu * v + (1 + d) * g), mu * v + (1 + d) * g),
            "The decay multiplies the gradient: it is about the size of the weights.",
        ),
        "decay on the velocity": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (mu * v + g + d * v), mu * v + g + d * v),
            "The decay multiplies the velocity: it is about the size of the weights.",
        ),
        "decay beside the velocity": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (mu * v + g) - lr * d * w, mu * v + g),
            "The decay acts on the weights directly. In (6.11) it is a part of the gradient.",
        ),
        "sign of the decay": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (mu * v + g - d * w), mu * v + g - d * w),
            "The decay makes large weights larger: its sign is wrong.",
        ),
        "decay by the sign": Misconception(
            lambda w, g, v, lr, mu, d: (
                w - lr * (mu * v + g + d * np.sign(w)),
                mu * v + g + d * np.sign(w),
            ),
            "Your decay pulls all weights equally. Asked for is a pull in proportion to the weight.",
        ),
        "decay squared": Misconception(
            lambda w, g, v, lr, mu, d: (w - lr * (mu * v + g + d * w**2), mu * v + g + d * w**2),
            "The square stands in the loss: the gradient of half of it is the weight itself.",
        ),
        "values swapped": Misconception(
            lambda *a: _momentum(*a)[::-1], "The right arrays in the wrong order: first w, then v."
        ),
    },
    alternatives={"in place": _momentum_in_place},
)


# ---- 4. A step of Adam -----------------------------------------------------------------------------------


def _adam(w, grad, m, s, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * grad
    s = beta2 * s + (1 - beta2) * grad**2
    w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(s / (1 - beta2**t)) + eps)
    return w, m, s


def _adam_with(
    mean=lambda m, g, b: b * m + (1 - b) * g,
    square=lambda s, g, b: b * s + (1 - b) * g**2,
    correct_m=lambda m, b, t: m / (1 - b**t),
    correct_s=lambda s, b, t: s / (1 - b**t),
    step=lambda w, m, s, lr, eps: w - lr * m / (np.sqrt(s) + eps),
    keep=lambda raw, corrected: raw,
) -> Callable:
    """Adam with one of its parts replaced."""

    def adam(w, grad, m, s, t, lr, beta1, beta2, eps):
        m, s = mean(m, grad, beta1), square(s, grad, beta2)
        m_hat, s_hat = correct_m(m, beta1, t), correct_s(s, beta2, t)
        return step(w, m_hat, s_hat, lr, eps), keep(m, m_hat), keep(s, s_hat)

    return adam


def _adam_as_published(w, grad, m, s, t, lr, beta1, beta2, eps):
    """The order of operations that section 2 of the paper proposes, with eps scaled along."""
    m = m + (1 - beta1) * (grad - m)
    s = s + (1 - beta2) * (grad * grad - s)
    root = np.sqrt(1 - beta2**t)
    return w - lr * root / (1 - beta1**t) * m / (np.sqrt(s) + eps * root), m, s


def _adam_cases(rng) -> list[Case]:
    w, g = rng.normal(size=(3, 4)), 0.1 * rng.normal(size=(3, 4))
    later = *(rng.normal(size=(2, 5)) for _ in range(3)), rng.uniform(0.5, 2, (2, 5))
    other = *(rng.normal(size=6) for _ in range(3)), rng.uniform(0.5, 2, 6)
    usual = 0.9, 0.999, 1e-8
    return [
        Case("the first step", 0.5, (w, g, 0 * w, 0 * w, 1, 0.1, *usual)),
        Case("the seventh step", 0.5, (*later, 7, 0.05, *usual)),
        Case("other settings", 0.25, (*other, 3, 0.2, 0.7, 0.95, 0.1)),
    ]


adam = Task(
    name="ex06.adam",
    title="4 · A step of Adam",
    section="6.7 Down the ravine",
    reference=_adam,
    cases=_adam_cases,
    misconceptions={
        "no bias correction": Misconception(
            _adam_with(correct_m=lambda m, b, t: m, correct_s=lambda s, b, t: s),
            "The bias correction is missing: both averages began at zero.",
        ),
        "only the mean corrected": Misconception(
            _adam_with(correct_s=lambda s, b, t: s), "The mean is corrected, the mean square is not."
        ),
        "only the square corrected": Misconception(
            _adam_with(correct_m=lambda m, b, t: m), "The mean square is corrected, the mean is not."
        ),
        "correction without the power": Misconception(
            _adam_with(correct_m=lambda m, b, t: m / (1 - b), correct_s=lambda s, b, t: s / (1 - b)),
            "The correction is that of the first step, forever: beta needs the exponent t.",
        ),
        "correction with beta times t": Misconception(
            _adam_with(correct_m=lambda m, b, t: m / (1 - b * t), correct_s=lambda s, b, t: s / (1 - b * t)),
            "You multiplied beta by t: it is beta to the power t.",
        ),
        "correction multiplied": Misconception(
            _adam_with(correct_m=lambda m, b, t: m * (1 - b**t), correct_s=lambda s, b, t: s * (1 - b**t)),
            "The averages are too small at first: divide by the correction instead of multiplying.",
        ),
        "corrected averages kept": Misconception(
            _adam_with(keep=lambda raw, corrected: corrected),
            "The new weights are right. Return m and s as they are, without the correction, or the next step "
            "corrects them again.",
        ),
        "uphill": Misconception(
            _adam_with(step=lambda w, m, s, lr, eps: w + lr * m / (np.sqrt(s) + eps)),
            "The step goes uphill: subtract it.",
        ),
        "no root": Misconception(
            _adam_with(step=lambda w, m, s, lr, eps: w - lr * m / (s + eps)),
            "The root is missing: s is a mean of squares.",
        ),
        "eps under the root": Misconception(
            _adam_with(step=lambda w, m, s, lr, eps: w - lr * m / np.sqrt(s + eps)),
            "The small number eps is added behind the root, not under it.",
        ),
        "no eps": Misconception(
            _adam_with(step=lambda w, m, s, lr, eps: w - lr * m / np.sqrt(s)),
            "The small number eps is missing in the denominator.",
        ),
        "gradient instead of its mean": Misconception(
            lambda w, g, m, s, t, lr, beta1, beta2, eps: (
                w - lr * g / (np.sqrt(_adam(w, g, m, s, t, lr, beta1, beta2, eps)[2] / (1 - beta2**t)) + eps),
                *_adam(w, g, m, s, t, lr, beta1, beta2, eps)[1:],
            ),
            "The weights move along this gradient alone: use the corrected mean.",
        ),
        "gradient not squared": Misconception(
            _adam_with(square=lambda s, g, b: b * s + (1 - b) * abs(g)),
            "The second average is the mean of the squares of the gradient.",
        ),
        "gradient added in full": Misconception(
            _adam_with(mean=lambda m, g, b: b * m + g, square=lambda s, g, b: b * s + g**2),
            "The averages grow too large: the new gradient counts with the share 1 - beta.",
        ),
        "betas swapped": Misconception(
            lambda w, g, m, s, t, lr, beta1, beta2, eps: _adam(w, g, m, s, t, lr, beta2, beta1, eps),
            "The two betas changed places: beta1 belongs to the mean, beta2 to the mean square.",
        ),
        "shares swapped": Misconception(
            _adam_with(
                mean=lambda m, g, b: (1 - b) * m + b * g, square=lambda s, g, b: (1 - b) * s + b * g**2
            ),
            "The share beta belongs to what is remembered, and 1 - beta to the new gradient.",
        ),
        "step with the old averages": Misconception(
            lambda w, g, m, s, t, lr, beta1, beta2, eps: (
                w - lr * (m / (1 - beta1**t)) / (np.sqrt(s / (1 - beta2**t)) + eps),
                *_adam(w, g, m, s, t, lr, beta1, beta2, eps)[1:],
            ),
            "The weights move by the averages from before this step: renew m and s first.",
        ),
    },
    alternatives={"as published": _adam_as_published},
)


# ---- 5. Find the bug: dropout ----------------------------------------------------------------------------


def _dropout(x, u, p, training=True):
    return x * (u >= p) / (1 - p) if training else x


def _dropout_with(
    kept=lambda u, p: u >= p, scale=lambda p: 1 / (1 - p), in_use=lambda x, u, p: x
) -> Callable:
    """Dropout with one of its parts replaced."""

    def dropout(x, u, p, training=True):
        return x * kept(u, p) * scale(p) if training else in_use(x, u, p)

    return dropout


def _dropout_buggy(x, u, p, training=True):
    return x * (u < p) / p


def _dropout_cases(rng) -> list[Case]:
    # The same numbers in both modes; p differs from 1/2, where many mistakes cannot be seen.
    x, u = rng.normal(size=(6, 7)), rng.uniform(size=(6, 7))
    y, v = rng.normal(size=(3, 4, 5)), rng.uniform(size=(3, 4, 5))
    return [
        Case("in training, p = 1/4", 0.5, (x, u, 0.25)),
        Case("in training, p = 3/4", 0.5, (y, v, 0.75), {"training": True}),
        Case("in use", 0.5, (x, u, 0.25), {"training": False}),
    ]


dropout = Task(
    name="ex06.dropout",
    title="5 · Find the bug: dropout",
    section="6.13 Break it on purpose",
    reference=_dropout,
    cases=_dropout_cases,
    misconceptions={
        "as given": Misconception(
            _dropout_buggy,
            "The bugs are still there: which share is kept, and what happens when training is False?",
        ),
        "keeps the share p": Misconception(
            _dropout_with(kept=lambda u, p: u < p, scale=lambda p: 1 / p),
            "In use it is right. In training it keeps the share p: p is what should be dropped.",
        ),
        "keeps p, scaled for the rest": Misconception(
            _dropout_with(kept=lambda u, p: u < p),
            "The scale is right for the share 1 - p, but the share p is kept: look at the comparison.",
        ),
        "drops in use": Misconception(
            lambda x, u, p, training=True: _dropout(x, u, p),
            "In training it is right. In use it still drops: nobody should get another answer each time.",
        ),
        "modes swapped": Misconception(
            lambda x, u, p, training=True: _dropout(x, u, p, not training),
            "Training and use are mixed up: it drops when training is False.",
        ),
        "never drops": Misconception(
            lambda x, u, p, training=True: x, "Nothing is dropped, not even in training."
        ),
        "not scaled": Misconception(
            _dropout_with(scale=lambda p: 1.0),
            "In training the mean of the activations falls, because the kept ones are not enlarged.",
        ),
        "scaled in use": Misconception(
            _dropout_with(scale=lambda p: 1.0, in_use=lambda x, u, p: x * (1 - p)),
            "You shrink in use instead of enlarging in training. That balances, too, but the task wants an "
            "untouched x in use.",
        ),
        "scaled in both": Misconception(
            _dropout_with(in_use=lambda x, u, p: x * (1 - p)),
            "In use nothing is to be scaled: the enlargement in training has made up for it already.",
        ),
        "multiplied by the share": Misconception(
            _dropout_with(scale=lambda p: 1 - p),
            "The kept activations shrink: divide by the share that is kept.",
        ),
        "divided by p": Misconception(
            _dropout_with(scale=lambda p: 1 / p), "Divide by the share that is kept, not by the one dropped."
        ),
        "zero in use": Misconception(
            _dropout_with(in_use=lambda x, u, p: 0 * x),
            "In use the output is all zeros: it should be x itself.",
        ),
        "one decision for a batch": Misconception(
            lambda x, u, p, training=True: x * (u[:1] >= p) / (1 - p) if training else x,
            "All samples lose the same activations: each has its own numbers in u.",
        ),
        "whole samples": Misconception(
            lambda x, u, p, training=True: (
                x * (u.reshape(len(u), -1)[:, 0].reshape(-1, *[1] * (u.ndim - 1)) >= p) / (1 - p)
                if training
                else x
            ),
            "Whole samples are dropped: each activation has its own number in u.",
        ),
    },
    alternatives={
        "with where": lambda x, u, p, training=True: np.where(u < p, 0, x / (1 - p)) if training else x.copy()
    },
)


# ---- 6. Experiment: which initial weights still learn? ---------------------------------------------------

# What sixty steps of the network in the exercise give. The solution notebook trains it and must reach them.
_LEARNED = {"small": 2.3026, "Glorot": 2.1261, "He": 0.9208, "large": "c", "rule": "b"}
_FIRST = {"small": 2.3026, "Glorot": 2.3157, "He": 3.7285}


def _learned_with(**wrong: float | str) -> Callable[[str], float | str]:
    values = _LEARNED | wrong
    return lambda key: values[key]


learned = Task(
    name="ex06.learned",
    title="6 · Experiment: which initial weights still learn?",
    section="6.8 How large should the first weights be?",
    reference=_LEARNED.__getitem__,
    cases=lambda rng: [
        Case("small weights", 0.3, ("small",)),
        Case("Glorot", 0.3, ("Glorot",)),
        Case("He", 0.3, ("He",)),
        Case("large weights", 0.3, ("large",)),
        Case("the rule", 0.3, ("rule",)),
    ],
    misconceptions={
        "loss of the first step": Misconception(
            _learned_with(Glorot=_FIRST["Glorot"], He=_FIRST["He"]),
            "That is the loss of the first step, before anything was learned. The last one was asked for.",
        ),
        "Glorot and He swapped": Misconception(
            _learned_with(Glorot=_LEARNED["He"], He=_LEARNED["Glorot"]),
            "Glorot and He have changed places. Which one has the larger weights?",
        ),
        "mean over the steps": Misconception(
            _learned_with(Glorot=2.2283, He=1.4834),
            "That is the mean over all steps. The loss of the last step was asked for.",
        ),
        "right answers": Misconception(
            _learned_with(small=72, Glorot=208, He=660),
            "That is how many pictures are right: train_step returns the loss first, then this count.",
        ),
        "large stalls": Misconception(
            _learned_with(large="a"),
            "It stays like this for small weights. Run the large ones and read the message.",
        ),
        "large learns": Misconception(
            _learned_with(large="b"),
            "Run it: does train_step return a number at all?",
        ),
        "rule a": Misconception(
            _learned_with(rule="a"),
            "Larger than He also failed: look at what large weights did.",
        ),
        "rule c": Misconception(
            _learned_with(rule="c"),
            "Glorot halves the signal of a ReLU layer again and again. Which loss fell furthest?",
        ),
        "rule d": Misconception(
            _learned_with(rule="d"),
            "Same network, same data, same steps, and yet losses this far apart: it does matter.",
        ),
    },
    rtol=5e-3,
)


TASKS = (by_hand, cross_entropy, momentum, adam, dropout, learned)
