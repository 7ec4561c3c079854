"""Exercise 17, comparing networks: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. Numbers by hand ----------------------------------------------------------------------------------

_BY_HAND = {
    "standard error": math.sqrt(0.92 * 0.08 / 2_500),
    "pictures": 0.9 * 0.1 / 0.02**2,
    "throughput": 8 / 0.020,
    "gain": (8 / 0.020) / (1 / 0.005),
    "z": (68 - 32) / math.sqrt(68 + 32),
}


def _with(values: dict, **wrong) -> Callable[[str], float | str]:
    """The right values, but for those given (an underscore stands for a space)."""
    changed = values | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: changed[key]


def _hand(**wrong) -> Callable[[str], float]:
    return _with(_BY_HAND, **wrong)


by_hand = Task(
    name="ex17.by_hand",
    title="1 · Noise and time by hand",
    section="17.2 How long does it take?; 17.4 How sure is an accuracy?; 17.5 The same pictures",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the standard error", 0.5, ("standard error",)),
        Case("how many pictures", 0.5, ("pictures",)),
        Case("the throughput", 0.5, ("throughput",)),
        Case("what the batch gains", 0.5, ("gain",)),
        Case("McNemar's z", 0.5, ("z",)),
    ],
    misconceptions={
        "percent": Misconception(
            _hand(standard_error=100 * _BY_HAND["standard error"]),
            "That is in percentage points. Asked for is a share, from 0 to 1.",
        ),
        "variance": Misconception(
            _hand(standard_error=_BY_HAND["standard error"] ** 2),
            "That is the variance of the accuracy. The standard error is its square root.",
        ),
        "one coin": Misconception(
            _hand(standard_error=math.sqrt(0.92 * 0.08)),
            "That is how much one picture varies. The mean of N pictures varies less: divide by N first.",
        ),
        "divided by N": Misconception(
            _hand(standard_error=math.sqrt(0.92 * 0.08) / 2_500),
            "You divided by N outside of the root. Four times the pictures halve the error.",
        ),
        "95 percent": Misconception(
            _hand(standard_error=1.96 * _BY_HAND["standard error"]),
            "That is half of the 95 % interval. Asked for is the standard error itself.",
        ),
        "without 1 - p": Misconception(
            _hand(standard_error=math.sqrt(0.92 / 2_500), pictures=0.9 / 0.02**2),
            "The factor 1 - p is missing: a network that is always right has no spread.",
        ),
        "points not shares": Misconception(
            _hand(pictures=0.9 * 0.1 / 2**2),
            "2 points are a share of 0.02. You put in 2.",
        ),
        "pictures without square": Misconception(
            _hand(pictures=0.9 * 0.1 / 0.02),
            "Solve (17.2) for N: the standard error comes in squared.",
        ),
        "pictures for 95 percent": Misconception(
            _hand(pictures=0.9 * 0.1 * (1.96 / 0.02) ** 2),
            "The standard error is to be 2 points, not half of the 95 % interval.",
        ),
        "pictures at 92 percent": Misconception(
            _hand(pictures=0.92 * 0.08 / 0.02**2),
            "That is for the accuracy of the first question. This one asks about 90 %.",
        ),
        "batches a second": Misconception(
            _hand(throughput=1 / 0.020),
            "Those are batches a second. Each of them holds 8 pictures.",
        ),
        "milliseconds": Misconception(
            _hand(throughput=8 / 20), "Those are pictures a millisecond. A second has a thousand."
        ),
        "seconds a picture": Misconception(
            _hand(throughput=0.020 / 8), "That is the time of a picture. The throughput is one over it."
        ),
        "gain upside down": Misconception(
            _hand(gain=1 / _BY_HAND["gain"]), "Upside down: the batch has the higher throughput."
        ),
        "ratio of times": Misconception(
            _hand(gain=20 / 5),
            "That is how much longer the batch takes. It answers 8 pictures in this time.",
        ),
        "one after another": Misconception(
            _hand(gain=1 / 0.005),
            "Those are the pictures a second one after another. How many times as many are they in batches?",
        ),
        "size of the batch": Misconception(
            _hand(gain=8),
            "That would hold if 8 pictures took the time of one. Compare the pictures a second.",
        ),
        "z as a count": Misconception(
            _hand(z=68 - 32),
            "That is b - c, in pictures. Say it in standard deviations, (17.4).",
        ),
        "z over N": Misconception(
            _hand(z=(68 - 32) / math.sqrt(2_500)),
            "Only the pictures on which the networks differ are tosses of the coin: divide by √(b + c).",
        ),
        "z squared": Misconception(
            _hand(z=(68 - 32) ** 2 / (68 + 32)),
            "That is z², which many books call McNemar's statistic. Asked for is z of (17.4).",
        ),
        "z without root": Misconception(
            _hand(z=(68 - 32) / (68 + 32)),
            "The root is missing: n tosses spread by √n / 2.",
        ),
        "z of one": Misconception(
            _hand(z=(68 - 50) / math.sqrt(100)),
            "That is half of z: b lies 18 above its mean n / 2, and spreads by √n / 2, not by √n.",
        ),
        "corrected": Misconception(
            _hand(z=(68 - 32 - 1) / math.sqrt(68 + 32)),
            "You subtract 1, as some books do for small counts. Asked for is z as in (17.4).",
        ),
        "sign of z": Misconception(
            _hand(z=-(68 - 32) / math.sqrt(68 + 32)),
            "The sign: A alone is right on more pictures than B alone.",
        ),
    },
    rtol=2e-3,
)

# ---- 2. The Pareto front ---------------------------------------------------------------------------------


def _mask(costs, values):
    cheaper_or_equal = costs[:, None] <= costs[None, :]
    as_good = values[:, None] >= values[None, :]
    strict = (costs[:, None] < costs[None, :]) | (values[:, None] > values[None, :])
    return ~(cheaper_or_equal & as_good & strict).any(0)


def _front(costs, values):
    return np.flatnonzero(_mask(costs, values))


def _front_loop(costs, values):
    found = []
    for i in range(len(costs)):
        beaten = False
        for j in range(len(costs)):
            if costs[j] <= costs[i] and values[j] >= values[i]:
                beaten = beaten or costs[j] < costs[i] or values[j] > values[i]
        if not beaten:
            found.append(i)
    return found


def _front_by_cost(costs, values):
    """From the cheapest on: on the front is what is better than everything cheaper, and best at its price."""
    found, best = [], -np.inf
    for cost in np.unique(costs):
        top = values[costs == cost].max()
        if top > best:
            found += [i for i in range(len(costs)) if costs[i] == cost and values[i] == top]
            best = top
    return np.array(sorted(found))


def _front_strict(costs, values):
    """Beaten only by what is better in both."""
    return np.flatnonzero(~((costs[:, None] < costs) & (values[:, None] > values)).any(0))


def _front_cost_strict(costs, values):
    """Beaten only by what is cheaper."""
    return np.flatnonzero(~((costs[:, None] < costs) & (values[:, None] >= values)).any(0))


def _front_value_strict(costs, values):
    """Beaten only by what is better."""
    return np.flatnonzero(~((costs[:, None] <= costs) & (values[:, None] > values)).any(0))


def _front_duplicates(costs, values):
    """Equal points beat each other."""
    beats = (costs[:, None] <= costs) & (values[:, None] >= values)
    np.fill_diagonal(beats, False)
    return np.flatnonzero(~beats.any(0))


def _front_running(costs, values):
    """Sorted by cost, better than all before; two of the same cost can both pass."""
    found, best = [], -np.inf
    for i in np.argsort(costs, kind="stable"):
        if values[i] > best:
            found.append(i)
            best = values[i]
    return np.array(sorted(found))


def _front_in_order(costs, values):
    """Compares with those before it only."""
    found = []
    for i in range(len(costs)):
        before = slice(0, i)
        no_worse = (costs[before] <= costs[i]) & (values[before] >= values[i])
        strict = (costs[before] < costs[i]) | (values[before] > values[i])
        if not (no_worse & strict).any():
            found.append(i)
    return np.array(found)


def _front_cases(rng) -> list[Case]:
    def spread(n):
        costs = rng.permutation(n).astype(float) + rng.uniform(0, 0.4, n)
        return costs, rng.permutation(n) + 0.6 * np.argsort(np.argsort(costs)) + rng.uniform(0, 0.1, n)

    def grid(n, levels):  # many ties, and one point twice
        costs = rng.integers(1, levels, n).astype(float)
        values = np.clip(costs + rng.integers(-3, 3, n), 0, levels).astype(float)
        best = int(_front(costs, values)[-1])
        return np.append(costs, costs[best]), np.append(values, values[best])

    # the first is beaten by a later one in both; then equal costs, the better one first or last; equal
    # values, the cheaper one first or last
    costs, values = [6.0, 3.0, 1.0, 3.0, 2.0, 5.0, 4.0, 1.0], [3.0, 7.0, 2.0, 5.0, 5.0, 9.0, 9.0, 1.0]
    ties = np.array(costs), np.array(values)
    shift = rng.uniform(0, 3)
    return [
        Case("fourteen networks, no two alike", 0.75, spread(14)),
        Case("equal costs and equal values", 0.5, (ties[0] + shift, ties[1])),
        Case("two networks with the same figures", 0.75, grid(16, 9)),
    ]


pareto = Task(
    name="ex17.pareto",
    title="2 · The Pareto front",
    section="17.6 Nobody is best: the Pareto front",
    reference=_front,
    cases=_front_cases,
    misconceptions={
        "strict in both": Misconception(
            _front_strict,
            "You ask that the other is cheaper and better. Equal in one and ahead in the other is enough.",
        ),
        "only cheaper": Misconception(
            _front_cost_strict,
            "You ask that the other is cheaper. At the same cost a better one dominates, too (17.5).",
        ),
        "only better": Misconception(
            _front_value_strict,
            "You ask that the other is better. With the same value a cheaper one dominates, too (17.5).",
        ),
        "itself": Misconception(
            lambda costs, values: np.array([], dtype=int),
            "No network is left: does each dominate itself? One of the two must be strict (17.5).",
        ),
        "equal points": Misconception(
            _front_duplicates,
            "Two networks with the same figures knock each other out. One of the two must be strict (17.5).",
        ),
        "same cost": Misconception(
            _front_running,
            "You go through them by cost. At equal cost the better one must be met first, and equals stay.",
        ),
        "in the given order": Misconception(
            _front_in_order,
            "Each is compared with those before it in the list only. Whoever comes later can beat it, too.",
        ),
        "cost upwards": Misconception(
            lambda costs, values: _front(-costs, values),
            "You prefer what costs more. Less is better in costs, more in values.",
        ),
        "values downwards": Misconception(
            lambda costs, values: _front(costs, -values),
            "You prefer what is worse. More is better in values.",
        ),
        "both turned": Misconception(
            lambda costs, values: _front(-costs, -values),
            "Both directions are turned around: less cost is better, more accuracy is better.",
        ),
        "the beaten ones": Misconception(
            lambda costs, values: np.flatnonzero(~_mask(costs, values)),
            "Those are the networks that are beaten. Return the others.",
        ),
        "mask": Misconception(
            _mask, "That is a mask of True and False. Return the positions: np.flatnonzero makes them of it."
        ),
        "by cost": Misconception(
            lambda costs, values: (found := _front(costs, values))[np.argsort(costs[found], kind="stable")],
            "The right networks, sorted by their cost. Return the positions in ascending order.",
        ),
        "counted from 1": Misconception(
            lambda costs, values: _front(costs, values) + 1, "You count from 1. The first network is at 0."
        ),
        "best alone": Misconception(
            lambda costs, values: np.flatnonzero(values == values.max()),
            "That is the most accurate network. A cheaper one with less accuracy can be on the front.",
        ),
    },
    alternatives={"loops": _front_loop, "price by price": _front_by_cost},
)

# ---- 3. McNemar ------------------------------------------------------------------------------------------


def _mcnemar(predicted_a, predicted_b, labels):
    a, b = predicted_a == labels, predicted_b == labels
    only_a, only_b = (a & ~b).sum(), (b & ~a).sum()
    return int(only_a), int(only_b), float((only_a - only_b) / np.sqrt(only_a + only_b))


def _mcnemar_sum(predicted_a, predicted_b, labels):
    """From the differences, one a picture: 1, 0 or -1."""
    difference = (predicted_a == labels).astype(int) - (predicted_b == labels)
    b, c = (difference > 0).sum(), (difference < 0).sum()
    return b, c, difference.sum() / (difference**2).sum() ** 0.5


def _z(function: Callable) -> Callable:
    """As it should be, with another z: a function of b, c and N."""

    def wrong(predicted_a, predicted_b, labels):
        b, c, _ = _mcnemar(predicted_a, predicted_b, labels)
        return b, c, float(function(b, c, len(labels)))

    return wrong


def _different(predicted_a, predicted_b, labels):
    """Counts pictures on which the answers differ, whoever is right."""
    differ = predicted_a != predicted_b
    b, c = (differ & (predicted_a == labels)).sum(), (differ & (predicted_a != labels)).sum()
    return int(b), int(c), float((b - c) / np.sqrt(b + c))


def _totals(predicted_a, predicted_b, labels):
    b, c = (predicted_a == labels).sum(), (predicted_b == labels).sum()
    return int(b), int(c), float((b - c) / np.sqrt(b + c))


def _unpaired(predicted_a, predicted_b, labels):
    b, c, _ = _mcnemar(predicted_a, predicted_b, labels)
    p, q, N = (predicted_a == labels).mean(), (predicted_b == labels).mean(), len(labels)
    return b, c, float((p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / N))


def _mcnemar_cases(rng) -> list[Case]:
    def answers(N, p, q, classes):
        labels = rng.integers(0, classes, N)
        known = rng.random(N)  # pictures that are easy for one are easy for the other
        a = np.where(
            known + 0.2 * rng.random(N) < p, labels, (labels + rng.integers(1, classes, N)) % classes
        )
        b = np.where(
            known + 0.2 * rng.random(N) < q, labels, (labels + rng.integers(1, classes, N)) % classes
        )
        return a, b, labels

    return [
        Case("A ahead", 0.75, answers(400, 0.92, 0.83, 10)),
        Case("B ahead", 0.75, answers(260, 0.62, 0.71, 4)),
    ]


mcnemar = Task(
    name="ex17.mcnemar",
    title="3 · McNemar's test",
    section="17.5 The same pictures",
    reference=_mcnemar,
    cases=_mcnemar_cases,
    misconceptions={
        "swapped": Misconception(
            lambda a, b, t: _mcnemar(b, a, t),
            "A and B are swapped: the first count is of the pictures that only A gets right.",
        ),
        "different answers": Misconception(
            _different,
            "You count all pictures with different answers. Where both are wrong, neither gains.",
        ),
        "totals": Misconception(
            _totals,
            "Those are all pictures that each gets right. Count those that only one of them gets right.",
        ),
        "sign of z": Misconception(
            _z(lambda b, c, N: abs(b - c) / math.sqrt(b + c)),
            "The sign of z is missing: it is negative where B is ahead.",
        ),
        "z turned around": Misconception(
            _z(lambda b, c, N: (c - b) / math.sqrt(b + c)),
            "The sign is turned around: z is positive where A is ahead.",
        ),
        "squared": Misconception(
            _z(lambda b, c, N: (b - c) ** 2 / (b + c)), "That is z². Return z of (17.4), with its sign."
        ),
        "corrected": Misconception(
            _z(lambda b, c, N: math.copysign((abs(b - c) - 1) / math.sqrt(b + c), b - c)),
            "You subtract 1, as some books do for small counts. Return z as in (17.4).",
        ),
        "root of N": Misconception(
            _z(lambda b, c, N: (b - c) / math.sqrt(N)),
            "Divide by the root of b + c: pictures on which both agree are no tosses.",
        ),
        "no root": Misconception(
            _z(lambda b, c, N: (b - c) / (b + c)), "The root is missing: n tosses spread by √n / 2."
        ),
        "spread of n": Misconception(
            _z(lambda b, c, N: (b - (b + c) / 2) / math.sqrt(b + c)),
            "Half of it: b spreads by √n / 2 around n / 2.",
        ),
        "root of n / 2": Misconception(
            _z(lambda b, c, N: (b - (b + c) / 2) / math.sqrt((b + c) / 2)),
            "The 2 belongs outside of the root: b spreads by √n / 2.",
        ),
        "counts as shares": Misconception(
            lambda a, b, t: ((n := _mcnemar(a, b, t))[0] / len(t), n[1] / len(t), n[2] / len(t) ** 0.5),
            "Those are shares of all pictures. Count the pictures: the root in (17.4) needs counts.",
        ),
        "share": Misconception(
            _z(lambda b, c, N: (b - c) / N),
            "That is the difference of the accuracies. How many of its own standard deviations is it?",
        ),
        "unpaired": Misconception(
            _unpaired,
            "That z is (17.3)'s, for two different test sets. These are the same pictures.",
        ),
    },
    alternatives={"differences": _mcnemar_sum},
)

# ---- 4. Find the bug: relative latency -------------------------------------------------------------------


def _relative(times, reference, warm_up):
    counted = times[warm_up:]
    ratios = counted / counted[:, reference : reference + 1]
    return np.median(ratios, axis=0)


def _relative_loop(times, reference, warm_up):
    rounds, networks = times.shape
    result = []
    for k in range(networks):
        ratios = sorted(times[r, k] / times[r, reference] for r in range(warm_up, rounds))
        middle = len(ratios) // 2
        odd = len(ratios) % 2
        result.append(ratios[middle] if odd else (ratios[middle - 1] + ratios[middle]) / 2)
    return np.array(result)


def _buggy(times, reference, warm_up):
    means = times.mean(axis=0)
    return means / means[reference]


def _relative_cases(rng) -> list[Case]:
    def measured(rounds, networks, warm_up, reference):
        base = rng.uniform(1, 6, networks)
        load = rng.uniform(1, 2.5, (rounds, 1))  # what else the machine does, the same within a round
        times = base * load * rng.uniform(0.97, 1.06, (rounds, networks))
        for k in range(networks):  # somebody else's program
            times[warm_up + rng.integers(rounds - warm_up), k] *= rng.uniform(5, 9)
        times[:warm_up] *= rng.uniform(3, 8, (warm_up, networks))  # the first rounds
        return times / 1e3, reference, warm_up

    return [
        Case("nine rounds that count", 0.75, measured(12, 4, 3, 2)),
        Case("an even number of rounds", 0.75, measured(11, 5, 1, 0)),
        Case("two networks", 0.5, measured(9, 2, 2, 1)),
    ]


relative_latency = Task(
    name="ex17.relative_latency",
    title="4 · Find the bug: twice as fast?",
    section="17.2 How long does it take?",
    reference=_relative,
    cases=_relative_cases,
    misconceptions={
        "the bug": Misconception(
            _buggy, "All of the bug is still there: look at which rounds count, and what a mean does to them."
        ),
        "mean after warm-up": Misconception(
            lambda t, r, w: t[w:].mean(0) / t[w:, r].mean(),
            "The warm-up is gone. But one disturbed call still moves a mean.",
        ),
        "median with warm-up": Misconception(
            lambda t, r, w: np.median(t / t[:, r : r + 1], axis=0),
            "Median and ratios are right. The first rounds still count.",
        ),
        "ratio of medians": Misconception(
            lambda t, r, w: np.median(t[w:], axis=0) / np.median(t[w:, r]),
            "Divide first, round by round: what slows a whole round then cancels. Then take the median.",
        ),
        "ratio of medians with warm-up": Misconception(
            lambda t, r, w: np.median(t, axis=0) / np.median(t[:, r]),
            "Medians are right. Leave out the first rounds, and divide within each round before the median.",
        ),
        "mean of ratios": Misconception(
            lambda t, r, w: (t[w:] / t[w:, r : r + 1]).mean(0),
            "The ratios within a round are right. Their mean still feels every disturbed call.",
        ),
        "ratio of the fastest": Misconception(
            lambda t, r, w: t[w:].min(0) / t[w:, r].min(),
            "The fastest calls may come from different rounds. Divide within each round, take the median.",
        ),
        "fastest ratio": Misconception(
            lambda t, r, w: (t[w:] / t[w:, r : r + 1]).min(0),
            "The smallest ratio is from a round in which the reference was disturbed. Take the middle one.",
        ),
        "upside down": Misconception(
            lambda t, r, w: np.median(t[w:, r : r + 1] / t[w:], axis=0),
            "Upside down: 2 is to mean that a network takes twice the time of the reference.",
        ),
        "only warm-up": Misconception(
            lambda t, r, w: np.median(t[:w] / t[:w, r : r + 1], axis=0),
            "You kept the first rounds and left out the others.",
        ),
        "one round too many dropped": Misconception(
            lambda t, r, w: np.median(t[w + 1 :] / t[w + 1 :, r : r + 1], axis=0),
            "You left out one round too many: `warm_up` rounds do not count, all others do.",
        ),
        "last rounds dropped": Misconception(
            lambda t, r, w: np.median(t[:-w] / t[:-w, r : r + 1], axis=0),
            "You left out the last rounds. The warm-up stands at the beginning.",
        ),
        "first network": Misconception(
            lambda t, r, w: np.median(t[w:] / t[w:, :1], axis=0),
            "You divide by the first network, whatever the reference is.",
        ),
        "all in milliseconds": Misconception(
            lambda t, r, w: 1e3 * np.median(t[w:], axis=0),
            "Those are milliseconds. Return times relative to the reference.",
        ),
    },
    alternatives={"loop": _relative_loop},
    rtol=1e-6,
)

# ---- 5. Experiment: what a recipe is worth ---------------------------------------------------------------

# From torchvision 0.29, IMAGENET1K_V1 and IMAGENET1K_V2 of the 24 networks that have both: top-1 accuracies.
_RECIPES = {
    "networks": 24,
    "mean gain": 2.70317,
    "above": 23,
    "turned": 27,
    "z": 0.97210,
    "rule": "b",
}


def _recipes(**wrong) -> Callable[[str], float | str]:
    return _with(_RECIPES, **wrong)


recipes = Task(
    name="ex17.recipes",
    title="5 · Experiment: what a recipe is worth",
    section="17.8 The same network, a better recipe; 17.5 The same pictures",
    reference=_RECIPES.__getitem__,
    cases=lambda rng: [
        Case("networks with two recipes", 0.2, ("networks",)),
        Case("the mean gain", 0.4, ("mean gain",)),
        Case("how many ResNet-50 overtakes", 0.4, ("above",)),
        Case("pairs that change their order", 0.4, ("turned",)),
        Case("MobileNet v2 in standard errors", 0.3, ("z",)),
        Case("the rule", 0.3, ("rule",)),
    ],
    misconceptions={
        "all networks": Misconception(
            _recipes(networks=80), "Those are all networks of torchvision. Which have both V1 and V2?"
        ),
        "a share": Misconception(
            _recipes(mean_gain=0.0270317), "The gain is asked for in points, as the figures are given."
        ),
        "median gain": Misconception(_recipes(mean_gain=2.643), "That is the median. Asked for is the mean."),
        "gain upside down": Misconception(
            _recipes(mean_gain=-2.70317), "The second recipe minus the first: the gain is positive."
        ),
        "itself left out": Misconception(
            _recipes(above=22),
            "Its own old figure counts as well, and it is below the new one, too.",
        ),
        "the one above": Misconception(
            _recipes(above=1),
            "That is how many old figures stay above the new ResNet-50. How many does it exceed?",
        ),
        "pairs counted twice": Misconception(
            _recipes(turned=54), "Each pair counts once: A with B is the same pair as B with A."
        ),
        "pairs that stay": Misconception(
            _recipes(turned=276 - 27), "Those are the pairs that keep their order."
        ),
        "z turned around": Misconception(
            _recipes(z=-0.97210), "The new accuracy minus the old one: it gained."
        ),
        "points against shares": Misconception(
            _recipes(z=97.210),
            "The difference is in points and the standard error a share: same unit, please.",
        ),
        "one standard error": Misconception(
            _recipes(z=1.3761), "Both figures have an error: the variances of a difference add up, (17.3)."
        ),
        "errors added": Misconception(_recipes(z=0.68738), "Errors do not add up, their squares do: (17.3)."),
        "rule a": Misconception(
            _recipes(rule="a"),
            "Compare your mean gain with the differences that papers report, half a point to two.",
        ),
        "rule c": Misconception(_recipes(rule="c"), "Then no pair would change its order. How many did?"),
        "rule d": Misconception(
            _recipes(rule="d"),
            "Look at the gains one by one: which of them is negative?",
        ),
    },
    rtol=2e-3,
)

TASKS = (by_hand, pareto, mcnemar, relative_latency, recipes)
