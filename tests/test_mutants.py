"""The mutation tool itself, on answers made here whose mutants are known."""

from __future__ import annotations

import numpy as np
import pytest

from tools import mutants
from utils.checks import Case, Task


def area(H, W, padding=1):
    """Cells of a padded picture."""
    if H < 1:
        raise ValueError("no rows")
    return (H + 2 * padding) * (W + 2 * padding)


def halvings(n):
    count = 0
    while n > 1:
        n //= 2
        count += 1
    return count


def through_a_companion(H, W):
    return area(H, W, padding=2) - 1


def task(reference, *cases, **changes) -> Task:
    return Task(
        name="ex00.task",
        title="A task",
        section="1.1 A section",
        reference=reference,
        cases=lambda rng: [Case(f"case {number}", 1, args) for number, args in enumerate(cases)],
        **changes,
    )


def changes_of(made: Task) -> set[str]:
    return {mutant.change for mutant in mutants.of_task(made)}


def test_kinds_of_change():
    changes = changes_of(task(area, (3, 4)))
    line = "area: return (H + 2 * padding) * (W + 2 * padding) -> return "
    assert line + "(H - 2 * padding) * (W + 2 * padding)" in changes
    assert line + "(H + 3 * padding) * (W + 2 * padding)" in changes
    assert line + "(W + 2 * padding) * (W + 2 * padding)" in changes
    assert "area: def area(H, W, padding=1): -> def area(H, W, padding=2):" in changes
    assert not any("no rows" in change or "Cells" in change or "H < 2" in change for change in changes)


def test_companions_are_changed_too():
    changes = changes_of(task(through_a_companion, (3, 4)))
    assert any(change.startswith("area: ") for change in changes)
    assert any("area(H, W) - 1" in change for change in changes)  # the keyword left out


def test_statements_and_loops():
    changes = changes_of(task(halvings, (9,)))
    assert "halvings: count += 1 -> count = 1" in changes
    assert "halvings: while n > 1: -> while not n > 1:" in changes
    assert "halvings: n //= 2 -> pass" in changes


def test_good_cases_leave_no_survivor_but_the_equivalent():
    score = mutants.score(task(area, (3, 5), (2, 7, 3)))
    assert score.total > 15
    assert not score.survivors


def test_square_cases_are_a_gap():
    survivors = {mutant.change for mutant in mutants.score(task(area, (3, 3))).survivors}
    assert any("(W + 2 * padding) * (W + 2 * padding)" in change for change in survivors)


def test_endless_loops_are_noticed(monkeypatch):
    monkeypatch.setattr(mutants, "SECONDS", 0.05)
    assert not mutants.score(task(halvings, (9,), (1,), (16,))).survivors


def test_lambdas_and_alternatives():
    made = task(
        lambda x: x.sum() / 2, (np.arange(3.0),), alternatives={"mean": lambda x: x.mean() * x.size / 2}
    )
    assert {mutant.answer for mutant in mutants.of_task(made)} == {"reference", "mean"}


def with_a_branch(x, mode="sum"):
    if mode == "product":
        return x.prod() + 1
    return x.sum() - 1


def uses_one_branch(x):
    return with_a_branch(x)


def test_branches_of_other_tasks_count_for_the_reference_only():
    x = np.arange(1.0, 4)
    as_alternative = changes_of(task(lambda x: x.sum() - 1, (x,), alternatives={"branch": uses_one_branch}))
    assert any("x.sum() + 1" in change for change in as_alternative)
    assert not any("x.prod()" in change for change in as_alternative)
    assert any("x.prod()" in change for change in changes_of(task(uses_one_branch, (x,))))


@pytest.mark.parametrize("cases", [[()], [("a",), ("b",)]])
def test_values_have_no_mutants(cases):
    assert mutants.of_task(task(lambda *key: 12, *cases)) == []


def test_table(monkeypatch, capsys):
    made = task(area, (3, 3))
    monkeypatch.setattr("utils.checks.exercises", lambda: ["ex00"])
    monkeypatch.setattr("utils.checks.tasks", lambda name: (made,))
    assert mutants.main([]) == 1
    out = capsys.readouterr().out
    assert "ex00.task" in out
    assert "area: return" in out
