"""Promises of the checks of every exercise, whatever `utils/checks/exNN.py` declares.

Right answers score full marks. Each listed mistake loses points and gets its own hint. Blank answers and
zeros score nothing. Reports tell no expected number. Small changes of the right answer are noticed.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import numbers
import pathlib
import pickle
import re

import numpy as np
import pytest

from tools import mutants
from utils import checks
from utils.checks import Task

ROOT = pathlib.Path(__file__).parents[1]
SEEDS = (0, 1, 12345)
EXERCISES = checks.exercises()
TASKS = [task for exercise in EXERCISES for task in checks.tasks(exercise)]
MISTAKES = [(task, key) for task in TASKS for key in task.misconceptions]

each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
each_mistake = pytest.mark.parametrize(
    ("task", "key"), MISTAKES, ids=[f"{t.name}-{key}" for t, key in MISTAKES]
)
each_value = pytest.mark.parametrize(
    "task", [task for task in TASKS if task.kind != "function"], ids=lambda task: task.name
)
each_seed = pytest.mark.parametrize("seed", SEEDS)


def answer_of(task: Task, function):
    """What a student with this function would pass: the function, its value, or a dict of its values."""
    if task.kind == "value":
        return function()
    if task.kind == "named values":
        return {case.args[0]: function(*case.args) for case in task.make_cases()}
    return function


@functools.lru_cache(maxsize=1)
def remembered(name: str) -> Task:
    """The task of that name, whose reference and mistakes compute a case once, however many answers they are compared with.

    Answers themselves are run every time, and `test_same_seed_same_result` runs everything twice.
    """
    task = next(task for task in TASKS if task.name == name)
    mistakes = {
        key: dataclasses.replace(mistake, function=once(mistake.function))
        for key, mistake in task.misconceptions.items()
    }
    return dataclasses.replace(task, reference=once(task.reference), misconceptions=mistakes)


def once(function):
    """`function`, which gives what it gave, or raises what it raised, if it is asked the same again."""
    known = {}

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            question = pickle.dumps((args, kwargs))
        except (pickle.PicklingError, AttributeError, TypeError):  # a case that holds a function
            return function(*args, **kwargs)
        if question not in known:
            try:
                known[question] = function(*args, **kwargs), None
            except Exception as error:
                known[question] = None, error
        result, error = known[question]
        if error is not None:
            raise error
        return copy.deepcopy(result)

    return call


def map_arrays(value, change):
    """A tuple, list or dict with `change` applied to the arrays in it."""
    if isinstance(value, np.ndarray):
        return change(value)
    if isinstance(value, tuple | list):
        return type(value)(map_arrays(item, change) for item in value)
    if isinstance(value, dict):
        return {key: map_arrays(item, change) for key, item in value.items()}
    return value


def variations(task: Task) -> dict:
    """Right answers that any task must take: the reference in the ways that students hand it in."""
    reference = task.reference

    def in_float32(*args, **kwargs):
        low = lambda array: array.astype(np.float32) if array.dtype == float else array
        return map_arrays(reference(*map_arrays(args, low), **map_arrays(kwargs, low)), low)

    def as_lists(*args, **kwargs):
        return map_arrays(reference(*args, **kwargs), np.ndarray.tolist)

    def spoils_its_input(*args, **kwargs):
        result = map_arrays(reference(*args, **kwargs), np.copy)
        map_arrays((args, kwargs), lambda array: array.fill(0))
        return result

    found = {"reference": reference, **task.alternatives}
    cases = task.make_cases()
    if task.kind == "function":
        if not any(case.keeps_inputs for case in cases):
            found["spoils its input"] = spoils_its_input
        if not task.same_dtype and not any(case.same_dtype for case in cases):
            found |= {"in float32": in_float32, "as lists": as_lists}
    return found


@pytest.mark.parametrize("exercise", EXERCISES)
def test_exercise_has_four_to_six_tasks_and_ten_points(exercise):
    tasks = checks.tasks(exercise)
    assert 4 <= len(tasks) <= 6
    assert sum(task.points for task in tasks) == pytest.approx(10)
    assert len({task.name for task in tasks}) == len({task.title for task in tasks}) == len(tasks)
    assert {task.name.partition(".")[0] for task in tasks} == {exercise}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_headings_of_the_exercise_are_titles_and_points_of_its_tasks(exercise):
    text = next((ROOT / "book" / "exercises").glob(f"{exercise[2:]}_*.md")).read_text(encoding="utf-8")
    headings = re.findall(r"^## (\d · .* \([\d.]+ points?\))$", text, flags=re.MULTILINE)
    tasks = checks.tasks(exercise)
    assert headings == [f"{t.title} ({t.points:g} point{'s' * (t.points != 1)})" for t in tasks]
    assert re.findall(r'^check\("(ex[^"]*)"', text, flags=re.MULTILINE) == [task.name for task in tasks]


@each_task
def test_task_is_well_told(task):
    assert len(task.title) > 5
    assert re.match(r"\d+\.\d+ \w", task.section), f"section {task.section!r} does not start with a number"
    labels = [case.label for case in task.make_cases()]
    assert all(labels)
    assert len(set(labels)) == len(labels), labels
    assert len(task.misconceptions) >= 3
    # A sentence may begin with a capital, a number, code, or the name of an argument.
    names = inspect.signature(task.reference).parameters if task.kind == "function" else ()
    start = "|".join([*names, r"[A-Z0-9`\[(]"])
    hints = [misconception.hint for misconception in task.misconceptions.values()]
    assert len(set(hints)) == len(hints), "two misconceptions share a hint"
    for hint in hints:
        assert re.fullmatch(rf"({start}).{{20,400}}[.?!]`?\)?", hint), f"no full sentence: {hint!r}"
        assert "  " not in hint
        assert "\n" not in hint


@each_task
def test_section_to_reread_is_in_the_chapter(task):
    number = task.name[2:4]
    chapter = next((ROOT / "book" / "chapters").glob(f"{number}_*.md")).read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", chapter, flags=re.MULTILINE)
    for section in task.section.split("; "):
        assert section in headings


@each_seed
@each_task
def test_right_answers_score_full_marks(task, seed):
    for name, function in variations(task).items():
        answer = answer_of(task, function)
        result = checks.grade(remembered(task.name), answer, seed)
        assert result.points == result.max_points == task.points, f"{name}\n{result.text()}"
        assert not result.misconceptions


@each_seed
@each_mistake
def test_mistake_loses_points_and_gets_its_own_hint(task, key, seed):
    misconception = task.misconceptions[key]
    result = checks.grade(remembered(task.name), misconception.function, seed)
    assert result.points < result.max_points
    assert result.misconceptions == [key], result.text()
    assert misconception.hint in [item.message for item in result.items]
    # A hint for one case, and a bare error or "differs" for others, would leave the student alone.
    unexplained = [item for item in result.items if item.message and not item.misconception]
    assert all("raised" in item.message for item in unexplained), result.text()


@each_value
def test_mistaken_values_get_the_hints_of_mistaken_functions(task):
    for key, misconception in task.misconceptions.items():

        def mistaken(*name, wrong=misconception.function):
            try:
                return wrong(*name)
            except KeyError:  # the mistake concerns other names
                return task.reference(*name)

        result = checks.grade(remembered(task.name), answer_of(task, mistaken))
        assert result.misconceptions == [key], result.text()


@each_task
def test_blank_answers_score_nothing(task):
    def not_implemented(*args, **kwargs):
        raise NotImplementedError

    def zeros(*args, **kwargs):
        return map_arrays(task.reference(*args, **kwargs), np.zeros_like)

    names = [case.args[0] for case in task.make_cases()] if task.kind == "named values" else []
    blanks = [None, ..., 0, 0.0, "", [], {}, dict.fromkeys(names), dict.fromkeys(names, ...)]
    blanks += [dict.fromkeys(names, 0), lambda *args, **kwargs: None, lambda *args, **kwargs: 0]
    blanks += [lambda *args, **kwargs: ..., lambda *args, **kwargs: (), not_implemented]
    if any(_holds_arrays(task.reference(*case.args, **case.kwargs)) for case in task.make_cases()):
        blanks.append(zeros)
    for blank in blanks:
        for seed in SEEDS:
            result = checks.grade(remembered(task.name), blank, seed)
            assert result.points == 0, f"{blank!r}\n{result.text()}"


def _holds_arrays(value) -> bool:
    found = []
    map_arrays(value, found.append)
    return bool(found)


@each_task
def test_input_handed_back_scores_nothing_in_full(task):
    """An answer that returns what it was given is not right."""
    if task.kind == "function":
        for seed in SEEDS:
            result = checks.grade(remembered(task.name), lambda *args, **kwargs: args[0], seed)
            assert result.points < result.max_points, result.text()


@each_task
def test_same_seed_same_result(task):
    for function in [task.reference, next(iter(task.misconceptions.values())).function]:
        assert checks.grade(task, function, 7) == checks.grade(task, function, 7)


@each_value
def test_numbers_near_the_right_one_score_nothing(task):
    for case in task.make_cases():
        value = task.reference(*case.args)
        if isinstance(value, str):
            near = {letter for letter in "abcdef" if letter != value.casefold()}
        else:
            near = [_shifted(value, lambda v: v * 1.01), _shifted(value, lambda v: v + 1)]
            near += [_shifted(value, lambda v: v * 0.99), _shifted(value, lambda v: v - 1)]
            near = [other for other in near if repr(other) != repr(value)]
        for other in near:
            answer = other if task.kind == "value" else {case.args[0]: other}
            assert checks.grade(remembered(task.name), answer).points == 0, (
                f"{other!r} passes for {case.label!r}"
            )


def _shifted(value, change):
    if isinstance(value, np.ndarray | numbers.Number):
        return change(np.asarray(value, float))
    if isinstance(value, tuple | list):
        return type(value)(_shifted(item, change) for item in value)
    return {key: _shifted(item, change) for key, item in value.items()}


@each_task
def test_reports_tell_no_expected_number(task):
    """Hints and messages never hold a number that the student is to find (nor its letter, in quotes)."""
    answers = [wrong.function for wrong in task.misconceptions.values()]
    answers += [lambda *args, **kwargs: 12.3456, lambda *args, **kwargs: "z", None]
    secrets = {case.label: _written(task.reference(*case.args, **case.kwargs)) for case in task.make_cases()}
    if task.kind == "function":  # whole numbers there (a size, the 255 of a byte) are no secret
        secrets = {label: {text for text in found if "." in text} for label, found in secrets.items()}
    for answer in answers:
        for item in checks.grade(remembered(task.name), answer).items:
            told = set(re.findall(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?|[\"'][a-z][\"']", item.message))
            found = told & secrets[item.label]
            assert not found, f"{found} stands in: {item.message}"


def _written(value) -> set[str]:
    """The ways in which the numbers of a reference may be written; numbers below 10 tell nothing."""
    if isinstance(value, str):
        return {f'"{value}"', f"'{value}'"}
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list) and value:
        return set.union(*(_written(item) for item in value))
    found = set()
    for number in np.ravel(np.asarray(value))[:2000]:
        number = abs(number)
        if number >= 10 or number != round(number):
            found |= {f"{number:g}", f"{number:,}", str(number), f"{number:.3f}", f"{number:.4g}"}
    return found


def test_report_tells_no_entry_of_an_expected_array():
    """The same promise for what the engine itself writes, on an array whose entries stand out."""
    want = np.array([[111.25, 222.5], [333.75, 444.125]])
    task = Task(
        "ex00.a", "Title of it", "1.1 Section", lambda x: want, lambda rng: [checks.Case("all", 1, (1,))]
    )
    for got in (want + 1, want[0], want.T, want * np.nan, [1], "a", (want, want), want.astype(str), 1.0, {}):
        text = checks.grade(task, lambda x, got=got: got).text()
        assert "0 of 1 points" in text
        assert not re.search("111|222|333|444", text), text


@each_task
def test_mutants_of_the_right_answers_are_noticed(task):
    score = mutants.score(task)
    survivors = "\n".join(f"{mutant.answer}: {mutant.change}" for mutant in score.survivors)
    assert score.total >= 5 or task.kind != "function"
    assert score.killed >= 0.98 * score.counted, survivors
    assert not score.stale, "listed as equivalent, but noticed or no longer made"


def test_equivalent_mutants_have_reasons():
    names = {task.name for task in TASKS}
    for (name, change), reason in mutants.known_equivalents().items():
        assert name in names, name
        assert " -> " in change
        assert len(reason) > 10, change
