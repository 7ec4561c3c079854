"""utils.compare against brute force, tables of the binomial distribution, and a faked counter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from utils.compare import energy_counter, mcnemar, measure_latency, pareto_front


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_pareto_front_against_all_pairs(kinds):
    rng = np.random.default_rng(kinds)
    costs, values = rng.integers(0, 6, (40, kinds)), rng.integers(0, 6, 40)
    front = pareto_front(costs if kinds > 1 else costs[:, 0], values)
    for i in range(40):
        beaten = any(
            (costs[j] <= costs[i]).all()
            and values[j] >= values[i]
            and ((costs[j] < costs[i]).any() or values[j] > values[i])
            for j in range(40)
        )
        assert front[i] == (not beaten)


def test_pareto_front_keeps_equal_points_and_refuses_shapes():
    assert pareto_front([1, 1, 2], [5, 5, 5]).tolist() == [True, True, False]
    with pytest.raises(ValueError, match="costs must be"):
        pareto_front([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="got NaN"):
        pareto_front([1, 2], [1, math.nan])


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 3), (8, 2), (0, 5), (150, 101)])
def test_mcnemar_against_the_binomial_distribution(b, c):
    right_a = np.array([True] * b + [False] * c + [True, False] * 4)
    right_b = np.array([False] * b + [True] * c + [True, False] * 4)
    result = mcnemar(right_a, right_b)
    n = b + c
    tail = sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n  # exact, in whole numbers
    assert (result.only_a, result.only_b) == (b, c)
    assert result.p == pytest.approx(min(1.0, 2 * tail))
    assert result.z == pytest.approx((b - c) / math.sqrt(n) if n else 0.0)


def test_mcnemar_wants_the_same_pictures():
    with pytest.raises(ValueError, match="same pictures"):
        mcnemar([True, False], [True])


def test_latency_takes_turns_and_warms_up():
    log = []
    calls = {"a": lambda: log.append("a"), "b": lambda: log.append("b"), "c": lambda: log.append("c")}
    times = measure_latency(calls, rounds=5, warm_up=2, synchronize=lambda: log.append("|"))
    assert log[:6] == ["a", "a", "b", "b", "c", "c"]
    measured = log[6:]
    assert measured[0::3] == measured[2::3] == ["|"] * 15  # waits before and after each call
    rounds = np.array(measured[1::3]).reshape(5, 3)
    assert all(sorted(turn) == ["a", "b", "c"] for turn in rounds.tolist())
    assert len({tuple(turn) for turn in rounds.tolist()}) > 1  # not always in the same order
    assert all(len(t) == 5 and (t >= 0).all() for t in times.values())
    with pytest.raises(ValueError, match="at least one round"):
        measure_latency(calls, rounds=0)


def test_latency_on_windows_is_of_the_wall_clock(monkeypatch):
    def coarse():
        pytest.fail("the clock of the thread moves every 16 milliseconds there")

    monkeypatch.setattr("utils.compare.sys.platform", "win32")
    monkeypatch.setattr("utils.compare.time.thread_time", coarse)
    assert (measure_latency({"a": lambda: sum(range(9999))}, rounds=3)["a"] > 0).all()


def test_energy_is_the_difference_of_the_counters(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.compare._nvidia", lambda: None)
    assert energy_counter(str(tmp_path))[0] is None
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:2", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "max_energy_range_uj").write_text("9999999\n")
        (tmp_path / name / "energy_uj").write_text("5000000\n")
    (tmp_path / "intel-rapl:0" / "name").write_text("package-0\n")
    (tmp_path / "intel-rapl:2" / "name").write_text("psys\n")  # all of a laptop, its packages once more
    read, words = energy_counter(str(tmp_path))
    assert "2 packages" in words
    before = read()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("1000000\n")  # it began again
    (tmp_path / "intel-rapl:2" / "energy_uj").write_text("9500000\n")
    (tmp_path / "intel-rapl:0:0" / "energy_uj").write_text("9000000\n")  # a part, counted already
    assert read() - before == pytest.approx(2.5 + 6.0)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    reading, words = energy_counter(str(tmp_path))
    assert reading is None
    assert "cannot be read" in words
