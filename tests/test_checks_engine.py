"""The checks themselves, on small tasks made here: what they take, what they say, what they survive."""

from __future__ import annotations

import decimal
import fractions
import warnings

import numpy as np
import pytest

from utils import checks
from utils.checks import Case, Misconception, StudentError, Task, grade

SECTION = "1.2 A section"


def scale(x, factor=2):
    return x * factor


def function_task(**changes) -> Task:
    settings = {
        "name": "ex00.scale",
        "title": "Scale an array",
        "section": SECTION,
        "reference": scale,
        "cases": lambda rng: [
            Case("default factor", 1, (rng.normal(size=(3, 4)),)),
            Case("factor 3", 1.5, (rng.normal(size=(2, 5)),), {"factor": 3}),
        ],
        "misconceptions": {
            "ignored": Misconception(lambda x, factor=2: 2 * x, "You ignored `factor`."),
            "divided": Misconception(lambda x, factor=2: x / factor, "You divided by `factor`."),
            "raises": Misconception(lambda x, factor: x * factor + 1, "You added one."),
        },
    }
    return Task(**settings | changes)


def value_task(value, **changes) -> Task:
    settings = {
        "name": "ex00.value",
        "title": "A value",
        "section": SECTION,
        "reference": lambda: value,
        "cases": lambda rng: [Case("the value", 2, ())],
    }
    return Task(**settings | changes)


NAMED = Task(
    name="ex00.named",
    title="Two counts",
    section=SECTION,
    reference=lambda key: {"dense": 1000, "shared": 10}[key],
    cases=lambda rng: [Case("dense layer", 1, ("dense",)), Case("shared kernel", 2, ("shared",))],
    misconceptions={
        "bias": Misconception(
            lambda key: {"dense": 1100, "shared": 11}[key], "You counted the biases as well."
        ),
        "squared": Misconception(lambda key: {"shared": 100}[key], "You squared the count of the kernel."),
    },
)


def points(task, answer) -> float:
    return grade(task, answer).points


def message(task, answer) -> str:
    return grade(task, answer).items[0].message


class TestFunctions:
    def test_right(self):
        result = grade(function_task(), scale)
        assert float(result) == 2.5
        assert result.text().splitlines() == [
            "Scale an array",
            "  [ok] default factor: 1 of 1",
            "  [ok] factor 3: 1.5 of 1.5",
            "2.5 of 2.5 points",
        ]

    def test_one_mistake_and_its_hint(self):
        result = grade(function_task(), lambda x, factor=2: x + x)
        assert result.points == 1
        assert result.misconceptions == ["ignored"]
        assert result.text().splitlines() == [
            "Scale an array",
            "  [ok] default factor: 1 of 1",
            "  [--] factor 3: 0 of 1.5",
            "       You ignored `factor`.",
            "  To reread: 1.2 A section",
            "1 of 2.5 points",
        ]

    def test_a_hint_is_told_once(self):
        text = grade(function_task(), lambda x, factor=2: x / factor).text()
        assert text.count("You divided") == 1
        assert "       As above." in text

    def test_mistake_that_raises_on_some_cases_is_still_recognised(self):
        result = grade(function_task(), lambda x, factor: x * factor + 1)
        assert result.misconceptions == ["raises"]
        assert "raised TypeError" in result.items[0].message

    def test_explanation_of_all_cases_beats_the_first_of_one(self):
        """Two mistakes look alike on the first case; the answer shows which it is on the second."""
        task = function_task(
            misconceptions={
                "one": Misconception(
                    lambda x, factor=2: x + factor if factor == 2 else 0 * x, "Mistake one."
                ),
                "two": Misconception(lambda x, factor=2: x + factor, "Mistake two."),
            }
        )
        assert grade(task, lambda x, factor=2: x + factor).misconceptions == ["two"]

    def test_explanation_of_the_failing_cases_is_next(self):
        task = function_task(
            cases=lambda rng: [
                Case(f"factor {f}", 1, (rng.normal(size=3),), {"factor": f}) for f in (2, 3, 4)
            ],
            misconceptions={
                "first": Misconception(lambda x, factor: x if factor == 3 else 0 * x, "Mistake one."),
                "second": Misconception(lambda x, factor: x, "Mistake two."),
            },
        )
        # Right for factor 2, which neither mistake is; unscaled for 3 and 4, as the second is.
        result = grade(task, lambda x, factor: 2 * x if factor == 2 else x)
        assert [item.misconception for item in result.items] == ["", "second", "second"]

    def test_different_mistakes_in_different_cases(self):
        result = grade(function_task(), lambda x, factor=2: x / 2 if factor == 2 else 2 * x)
        assert [item.misconception for item in result.items] == ["divided", "ignored"]

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
    def test_other_precision_passes(self, dtype):
        assert points(function_task(), lambda x, factor=2: x.astype(dtype) * dtype(factor)) == 2.5

    def test_float32_slack_is_no_license(self):
        assert points(function_task(), lambda x, factor=2: (x * factor * 1.001).astype(np.float32)) == 0

    def test_sums_that_cancel_in_float32_pass(self):
        x = np.random.default_rng(0).normal(size=(5, 400))
        total = lambda x: x.sum(axis=1) - x.sum(axis=1).round()
        task = function_task(reference=total, cases=lambda rng: [Case("sum", 1, (x,))], misconceptions={})
        assert points(task, lambda x: total(x.astype(np.float32))) == 1

    @pytest.mark.parametrize("convert", [np.ndarray.tolist, tuple, list, np.asfortranarray, np.matrix])
    def test_other_containers_pass(self, convert):
        assert points(function_task(), lambda x, factor=2: convert(x * factor)) == 2.5

    def test_object_with_array_protocol_passes(self):
        class Tensor:
            def __init__(self, array):
                self.array = array

            def __array__(self, dtype=None, copy=None):
                return self.array

        assert points(function_task(), lambda x, factor=2: Tensor(x * factor)) == 2.5

    def test_answer_may_spoil_its_arguments(self):
        def in_place(x, factor=2):
            x *= factor
            return x

        assert points(function_task(), in_place) == 2.5

    def test_answer_may_return_one_buffer_for_all_cases(self):
        buffer = np.zeros(20)

        def shared(x, factor=2):
            out = buffer[: x.size].reshape(x.shape)
            out[:] = x * factor
            return out

        assert points(function_task(), shared) == 2.5

    def test_nested_arguments_are_copies(self):
        task = function_task(
            reference=lambda pair: pair[0] + pair[1]["b"],
            cases=lambda rng: [Case("pair", 1, ((x := rng.normal(size=3), {"b": x}),))],
            misconceptions={},
        )

        def spoil(pair):
            result = pair[0] + pair[1]["b"]
            pair[1]["b"] *= 0
            return result

        assert points(task, spoil) == 1

    def test_same_seed_same_cases_other_seed_others(self):
        one, two, other = (function_task().make_cases(seed)[0].args[0] for seed in (4, 4, 5))
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (lambda x, factor=2: x.T * factor, "Got an array of shape (4, 3), expected shape (3, 4)."),
            (lambda x, factor=2: 1.0, "Got a single number, expected an array of shape (3, 4)."),
            (lambda x, factor=2: (x, x, 1), "Got a tuple of 3 values, expected an array of shape (3, 4)."),
            (lambda x, factor=2: x * np.nan, "The result contains nan or inf."),
            (lambda x, factor=2: x / 0, "The result contains nan or inf."),
            (lambda x, factor=2: x * 1j, "Got complex numbers (dtype complex128), expected real ones."),
            (lambda x, factor=2: x.astype(str), "Got an array of dtype <U32, expected numbers."),
            (lambda x, factor=2: x.astype(object) * [None], "Your code raised TypeError"),
            (lambda x, factor=2: np.full((3, 4), None), "Got an array of objects (dtype object)"),
            (lambda x, factor=2: x * 5, "The shape is right; every entry differs from ours."),
            (
                lambda x, factor=2: np.where(np.arange(12).reshape(3, 4) < 3, 9, x * factor),
                "The shape is right; 25% of the entries differ from ours.",
            ),
            (lambda x, factor=2: "text", "Got text, expected an array of shape (3, 4)."),
            (lambda x, factor=2: {"y": x}, "Got a dict of 1 value, expected an array of shape (3, 4)."),
            (lambda x, factor=2: (row for row in x), "Got a generator, which makes its values later"),
            (lambda x, factor=2: {1, 2}, "Got a set, which has no order"),
            (lambda x, factor=2: object(), "Got a value of type object, expected numbers."),
            (lambda x, factor=2: b"bytes", "Got a value of type bytes, expected numbers."),
            (lambda x, factor=2: [[1, 2], [3]], "Got a tuple of 2 values, expected an array"),
            (lambda x, factor=2: [x[0], None, x[2]], "Got a tuple of 3 values, expected an array"),
            (lambda: 1, "Your code raised TypeError: "),
            (np.ones((3, 4)), "Got a value of type ndarray, expected a function: pass its name"),
            (lambda x, factor=2: int("a"), "Your code raised ValueError: invalid literal for int()"),
        ],
    )
    def test_what_is_said_without_a_known_mistake(self, answer, told):
        assert told in message(function_task(), answer)

    def test_same_dtype_only_where_asked(self):
        assert points(function_task(), lambda x, factor=2: (x * factor).astype(np.float32)) == 2.5
        strict = function_task(same_dtype=True)
        assert points(strict, scale) == 2.5
        assert "Got dtype float32, expected float64." in message(
            strict, lambda x, factor=2: (x * factor).astype(np.float32)
        )

    def test_same_dtype_in_one_case(self):
        task = function_task(
            cases=lambda rng: [
                Case("numbers", 1, (rng.normal(size=(3, 4)),)),
                Case("dtype", 0.5, (rng.normal(size=(2, 5)),), {"factor": 3}, same_dtype=True),
            ]
        )
        assert points(task, scale) == 1.5
        single = lambda x, factor=2: (x * factor).astype(np.float32)
        assert points(task, single) == 1
        assert grade(task, single).items[1].message == "Got dtype float32, expected float64."
        # A mistake and the wrong dtype together: both are told.
        both = [item.message for item in grade(task, lambda x, factor=2: single(x, 1 / factor)).items]
        assert both == ["You divided by `factor`.", "Got dtype float32, expected float64."]

    def test_inputs_kept_only_where_asked(self):
        def in_place(x, factor=2):
            x *= factor
            return x

        task = function_task(
            cases=lambda rng: [
                Case("numbers", 1, (rng.normal(size=(3, 4)),)),
                Case("a new array", 0.5, (rng.normal(size=(2, 5)),), {"factor": 3}, keeps_inputs=True),
            ]
        )
        assert points(task, scale) == 1.5
        assert points(task, lambda x, factor=2: x * factor) == 1.5
        result = grade(task, in_place)
        assert [item.points for item in result.items] == [1, 0]
        assert "changed the array it was given" in result.items[1].message
        assert not result.misconceptions
        # A wrong number is told before a changed input, and hostile changes are changes.
        wrong = grade(task, lambda x, factor=2: in_place(x, factor) / factor**2).items[1].message
        assert wrong == "You divided by `factor`."
        for spoil in (lambda x: x.fill(np.nan), lambda x: x.resize((1,), refcheck=False)):
            assert points(task, lambda x, factor=2, spoil=spoil: (scale(x, factor), spoil(x))[0]) == 1

    def test_inputs_kept_where_they_hold_nan(self):
        task = function_task(
            reference=np.nansum,
            cases=lambda rng: [Case("sum", 1, (np.array([1.0, np.nan]),), keeps_inputs=True)],
            misconceptions={},
        )
        assert points(task, np.nansum) == 1


class TestBlank:
    @pytest.mark.parametrize("blank", [None, ...])
    def test_not_answered(self, blank):
        result = grade(function_task(), blank)
        assert result.text().splitlines() == ["Scale an array", "  Not answered yet.", "0 of 2.5 points"]
        assert all(item.blank for item in result.items)

    def test_stub(self):
        def stub(x, factor=2):
            """Scale x."""
            # Your code here.
            ...

        assert grade(function_task(), stub).text().splitlines() == [
            "Scale an array",
            "  Your function returns None: is it finished, with a `return` at its end?",
            "0 of 2.5 points",
        ]

    def test_not_implemented(self):
        def stub(x, factor=2):
            raise NotImplementedError

        assert "  Not implemented yet." in grade(function_task(), stub).text().splitlines()

    def test_unfinished_branch_is_told_by_case(self):
        text = grade(function_task(), lambda x, factor=2: x * 2 if factor == 2 else None).text()
        assert "[ok] default factor" in text
        assert "returns None" in text


class TestValues:
    @pytest.mark.parametrize(
        "answer", [12, 12.0, np.int8(12), np.array(12.0), fractions.Fraction(12), np.float16(12)]
    )
    def test_number_in_any_type(self, answer):
        assert points(value_task(12), answer) == 2

    @pytest.mark.parametrize(
        "answer", [decimal.Decimal("0.1"), 0.1, np.float32(0.1), fractions.Fraction(1, 10)]
    )
    def test_fraction_in_any_type(self, answer):
        assert points(value_task(0.1), answer) == 2

    @pytest.mark.parametrize(
        "answer", [11, 13, 12.5, "12", [12], (12,), np.array([12]), 10**400, -12, 1j, "", True]
    )
    def test_wrong_number(self, answer):
        assert points(value_task(12), answer) == 0

    def test_large_counts_are_exact(self):
        count = 150_528 * 1024
        assert points(value_task(count), count + 1) == 0
        assert points(value_task(count), count + 1.0) == 0
        assert points(value_task(count), float(count)) == 2
        assert points(value_task(10**18 + 1), 10**18) == 0

    def test_integers_by_way_of_floats(self):
        want = np.arange(12).reshape(3, 4) * 1000
        assert points(value_task(want), np.fft.ifft(np.fft.fft(want)).real) == 2
        assert points(value_task(want), want.astype(np.float32)) == 2
        assert points(value_task(want), want + 0.1) == 0

    def test_integers_with_a_tolerance(self):
        want = np.arange(12, dtype=np.uint8)
        assert points(value_task(want, atol=1), want + 1) == 2
        assert points(value_task(want, atol=1), want + 2) == 0
        assert points(value_task(want), want - 1) == 0  # 0 - 1 wraps to 255

    def test_what_is_said(self):
        assert message(value_task(12), 13) == "This is not the number we get."
        assert message(value_task(0.123456), 0.123) == "Close, but not close enough: keep more digits."
        assert message(value_task(12), 12.1) == "This is not the number we get."
        assert message(value_task(12), float("nan")) == "The result is nan or inf."
        assert message(value_task(12), [12]) == "Got an array of shape (1,), expected a single number."
        assert message(value_task("b"), "c") == "This is not the answer we get."
        assert message(value_task("b"), 2) == 'Got a single number, expected text in quotes, such as "a".'
        assert "To reread: 1.2 A section" in grade(value_task(12), 13).text()

    def test_function_for_a_value(self):
        assert points(value_task(12), lambda: 12) == 2

    @pytest.mark.parametrize(
        "answer", ["b", "B", " b ", "b)", "(B)", "b.", '"b"', np.str_("b"), np.array("b")]
    )
    def test_letter_however_it_is_typed(self, answer):
        assert points(value_task("b"), answer) == 2

    @pytest.mark.parametrize("answer", ["a", "bb", "", "ab", ["b"], b"b", 2])
    def test_wrong_letter(self, answer):
        assert points(value_task("b"), answer) == 0

    @pytest.mark.parametrize(
        "answer", [(2, 3, 4), [2, 3, 4], np.array([2, 3, 4]), (2.0, np.int64(3), np.array(4))]
    )
    def test_tuple_in_any_container(self, answer):
        assert points(value_task((2, 3, 4)), answer) == 2

    def test_tuple_messages(self):
        task = value_task((2, 3, 4))
        assert message(task, (2, 3)) == "Got 2 values, expected 3."
        assert message(task, (2, None, 4)) == "Value 2 of 3: Got None instead of a value."
        assert message(task, (2, 3, 5)) == "Value 3 of 3: This is not the number we get."
        assert message(task, (0, 0, 4)) == "2 of 3 values are wrong, each so: This is not the number we get."
        assert message(task, 2) == "Got a single number, expected a tuple of 3 values."
        assert (
            message(task, (2, [1, 2], 4))
            == "Value 2 of 3: Got an array of shape (2,), expected a single number."
        )

    def test_tuple_of_arrays(self):
        task = value_task((np.ones((2, 3)), np.zeros(4)))
        assert points(task, (np.ones((2, 3)), [0, 0, 0, 0])) == 2
        assert message(task, (np.zeros(4), np.ones((2, 3)))).startswith(
            "Value 1 of 2: Got an array of shape (4,)"
        )
        assert message(task, (np.ones((2, 3)),)) == "Got 1 value, expected 2."

    def test_dict(self):
        task = value_task({"mean": 1.5, "std": 0.5})
        assert points(task, {"std": 0.5, "mean": 1.5}) == 2
        assert message(task, {"mean": 1.5}) == "The key 'std' is missing."
        assert message(task, {"mean": 1.5, "std": 1}) == "Value 'std': This is not the number we get."
        assert points(task, {"mean": 1.5, "std": 0.5, "var": 1}) == 2
        assert message(task, [1.5, 0.5]) == "Got an array of shape (2,), expected a dict of 2 values."

    @pytest.mark.parametrize("answer", [True, np.True_, 1])
    def test_truth(self, answer):
        assert points(value_task(True), answer) == 2
        assert points(value_task(False), answer) == 0

    def test_array_of_booleans(self):
        want = np.array([True, False, True])
        assert points(value_task(want), [True, False, True]) == 2
        assert points(value_task(want), [1, 0, 0]) == 0

    def test_list_reference_is_an_array(self):
        assert points(value_task([1.5, 2.5]), np.array([1.5, 2.5])) == 2
        assert points(value_task(range(3)), [0, 1, 2]) == 2

    def test_infinite_entries_may_be_expected(self):
        task = value_task(np.array([1.0, np.inf, np.nan]))
        assert points(task, [1, np.inf, np.nan]) == 2
        assert points(task, [1, 2, 3]) == 0

    def test_empty_array(self):
        assert points(value_task(np.zeros((0, 3))), np.zeros((0, 3))) == 2
        assert points(value_task(np.zeros((0, 3))), np.zeros((3, 0))) == 0

    def test_misconception_of_a_value(self):
        task = value_task(
            12, misconceptions={"bias": Misconception(lambda: 13, "You counted the bias as well.")}
        )
        result = grade(task, 13.0)
        assert result.misconceptions == ["bias"]
        assert result.items[0].message == "You counted the bias as well."


class TestNamedValues:
    def test_right_as_dict_and_as_function(self):
        assert points(NAMED, {"dense": 1000, "shared": 10}) == 3
        assert points(NAMED, {"dense": 1000, "shared": 10}.__getitem__) == 3
        assert NAMED.kind == "named values"

    def test_partly_answered(self):
        result = grade(NAMED, {"dense": 1000, "shared": ...})
        assert result.points == 1
        assert [item.message for item in result.items] == ["", "Not answered yet."]

    def test_blank(self):
        assert "  Not answered yet." in grade(NAMED, {"dense": ..., "shared": None}).text().splitlines()

    def test_missing_key_and_wrong_type(self):
        assert message(NAMED, {}) == 'The key "dense" is missing.'
        assert message(NAMED, 1000) == "Got a value of type int, expected a dict of named values."

    def test_hints(self):
        assert grade(NAMED, {"dense": 1100, "shared": 11}).misconceptions == ["bias"]
        assert grade(NAMED, {"dense": 1000, "shared": 100}).misconceptions == ["squared"]
        assert grade(NAMED, {"dense": 1100, "shared": 100}).misconceptions == ["bias", "squared"]


class Hostile:
    """Everything that can be asked of it raises."""

    def _raise(self, *args, **kwargs):
        raise SystemExit("hostile")

    __eq__ = __hash__ = __repr__ = __str__ = __len__ = __iter__ = __getitem__ = __bool__ = _raise
    __float__ = __int__ = __index__ = __array__ = __array_function__ = __array_ufunc__ = __getattr__ = _raise
    __deepcopy__ = __copy__ = __reduce_ex__ = __format__ = __contains__ = _raise

    @property
    def __class__(self):
        raise SystemExit("hostile")


class HostileError(Exception):
    def __str__(self):
        raise SystemExit("hostile")

    __repr__ = __str__


class HostileArray(np.ndarray):
    def __array_finalize__(self, other):
        pass

    def __getitem__(self, key):
        raise SystemExit("hostile")

    def __array_ufunc__(self, *args, **kwargs):
        raise SystemExit("hostile")

    __eq__ = astype = copy = all = __array_function__ = __array_ufunc__


class HostileList(list):
    def __iter__(self):
        raise SystemExit("hostile")

    __len__ = __getitem__ = __iter__


class OnlyBase(BaseException):
    pass


def raising(error):
    def answer(*args, **kwargs):
        raise error

    return answer


def endless_recursion(*args, **kwargs):
    return endless_recursion(*args, **kwargs)


def cycle():
    value = []
    value.append(value)
    return value


HOSTILE = {
    "object": Hostile(),
    "class": Hostile,
    "returns object": lambda *a, **k: Hostile(),
    "returns objects": lambda *a, **k: [Hostile(), Hostile()],
    "returns array of objects": lambda *a, **k: np.array([[1, 2]], dtype=object) * HOSTILE,
    "dict of objects": {"dense": Hostile(), "shared": Hostile()},
    "array": np.ones((3, 4)).view(HostileArray),
    "returns array": lambda *a, **k: np.ones((3, 4)).view(HostileArray),
    "list": HostileList([1, 2]),
    "returns list": lambda *a, **k: HostileList([1, 2]),
    "exit": lambda *a, **k: exit(),
    "SystemExit": raising(SystemExit(3)),
    "GeneratorExit": raising(GeneratorExit()),
    "StopIteration": raising(StopIteration()),
    "MemoryError": raising(MemoryError()),
    "BaseException": raising(OnlyBase("x")),
    "exception that cannot be told": raising(HostileError()),
    "exception group": raising(ExceptionGroup("several", [ValueError("a"), TypeError("b")])),
    "recursion": endless_recursion,
    "list in itself": cycle(),
    "returns list in itself": lambda *a, **k: cycle(),
    "generator": (i for i in range(3)),
    "type": int,
    "module": np,
    "not a number": float("nan"),
    "huge integer": 10**5000,
    "huge view": lambda *a, **k: np.broadcast_to(np.float64(1), (10**6, 10**6)),
    "structured": lambda *a, **k: np.zeros(3, dtype=[("a", int)]),
    "datetime": np.datetime64("2020-01-01"),
    "prints": lambda *a, **k: print("hello"),
    "warns": lambda *a, **k: warnings.warn("look", stacklevel=1),
}


# By name: pytest itself could not hold the objects.
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "task", [function_task(), NAMED, value_task(12), value_task("a"), value_task((1, 2))]
)
def test_hostile_answers_score_nothing_and_stop_nothing(task, name):
    result = grade(task, HOSTILE[name])
    assert result.points == 0
    text = result.text()
    assert all(len(line) <= 100 for line in text.splitlines())
    assert all(item.message for item in result.items)


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_but_the_interrupt_leaves_check(monkeypatch, capsys, name):
    monkeypatch.setattr("utils.checks._session.find", lambda name: function_task())
    assert checks.check("ex00.scale", HOSTILE[name]) == 0.0
    assert "0 of 2.5 points" in capsys.readouterr().out


def test_interrupt_passes_through():
    with pytest.raises(KeyboardInterrupt):
        grade(function_task(), raising(KeyboardInterrupt()))


def test_warnings_and_numpy_settings_are_left_as_they_were():
    before = np.geterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grade(function_task(), lambda x, factor=2: np.log(-np.abs(x)) / 0)
    assert np.geterr() == before


def test_grade_prints_nothing(capsys):
    grade(function_task(), lambda x, factor=2: x)
    assert capsys.readouterr() == ("", "")


class TestErrors:
    def test_stand_in_of_another_process(self):
        """A grader that runs answers elsewhere passes a function that raises StudentError."""
        result = grade(function_task(), raising(StudentError("No answer within 5 seconds.")))
        assert [item.message for item in result.items] == ["No answer within 5 seconds."] * 2

    def test_line_of_the_notebook_is_shown(self):
        source = "def answer(x, factor=2):\n    y = x * factor\n    return y[100]\n"
        space = {}
        filename = "<ipython-input-1-cell>"
        exec(compile(source, filename, "exec"), space)
        import linecache

        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        told = message(function_task(), space["answer"])
        assert "raised IndexError: index 100 is out of bounds" in told
        assert told.endswith("The line: `return y[100]`")

    def test_addresses_are_left_out(self):
        told = message(function_task(), raising(ValueError(f"{object()}")))
        assert "0x..." in told
        assert hex(id(told))[:6] not in told

    def test_long_messages_are_cut_and_wrapped(self):
        text = grade(function_task(), raising(ValueError("word " * 500))).text()
        assert len(text) < 1000
        assert max(len(line) for line in text.splitlines()) <= 100

    def test_wrong_reference_is_no_students_fault(self):
        with pytest.raises(ZeroDivisionError):
            grade(function_task(reference=lambda x, factor=2: 1 / 0), scale)

    @pytest.mark.parametrize(
        ("make", "told"),
        [
            (lambda: Case("a", 0), "points is 0"),
            (lambda: Case("a", 1, [1]), "args is a list"),
            (lambda: value_task(1, name="scale"), "expected a name like"),
            (lambda: value_task(1, misconceptions={"a": lambda: 2}), "expected a Misconception"),
        ],
    )
    def test_mistakes_of_authors(self, make, told):
        with pytest.raises(ValueError, match=told):
            make()


class TestSession:
    TASKS = (function_task(), NAMED)

    @pytest.fixture(autouse=True)
    def exercise(self, monkeypatch):
        monkeypatch.setattr("utils.checks._session.exercises", lambda: ["ex00"])
        monkeypatch.setattr("utils.checks._session.tasks", self.tasks_of)
        checks.reset()
        yield
        checks.reset()

    def tasks_of(self, name):
        if name != "ex00":
            raise ValueError(f'There is no exercise "{name}".')
        return self.TASKS

    def test_check_prints_and_returns_points(self, capsys):
        got = checks.check("ex00.scale", lambda x, factor=2: 2 * x)
        assert type(got) is float
        assert got == 1.0
        assert capsys.readouterr().out.splitlines()[-1] == "1 of 2.5 points"

    def test_summary(self, capsys):
        checks.check("ex00.scale", scale)
        checks.check("ex00.scale", lambda x, factor=2: 2 * x)  # the latest counts
        capsys.readouterr()
        assert checks.summary("ex00") is None
        assert capsys.readouterr().out.splitlines() == [
            "Exercise 0",
            "  Scale an array     1 of 2.5",
            "  Two counts         0 of 3  (not checked yet)",
            "  Total              1 of 5.5",
        ]

    def test_reset(self, capsys):
        checks.check("ex00.scale", scale)
        checks.reset()
        checks.summary("ex00")
        assert capsys.readouterr().out.splitlines()[-1].split() == ["Total", "0", "of", "5.5"]

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("ex00.scal", 'There is no task "ex00.scal". Did you mean "ex00.scale"?'),
            ("scale", 'Did you mean "ex00.scale"'),
            ("ex07.scale", 'Did you mean "ex00.scale"'),
            ("", "There is no task"),
            (scale, "The first argument is the name of the task, in quotes"),
            (None, "The first argument is the name of the task, in quotes"),
        ],
    )
    def test_unknown_name(self, capsys, name, told):
        assert checks.check(name, scale) == 0.0
        assert told in capsys.readouterr().out

    def test_unknown_exercise(self, capsys):
        assert checks.summary("ex99") is None
        assert capsys.readouterr().out == 'There is no exercise "ex99".\n'


class TestTensors:
    """Tasks whose functions are written in PyTorch; the cases stay arrays."""

    @staticmethod
    def task(**changes) -> Task:
        torch = pytest.importorskip("torch")

        def product(x, weight, pairs=()):
            assert all(isinstance(each, torch.Tensor) for each in (x, weight, *pairs))
            return {"y": x @ weight.T, "sum": sum(pair.sum() for pair in pairs)}

        settings = {
            "reference": product,
            "cases": lambda rng: [
                Case(
                    "a product",
                    2,
                    (rng.normal(size=(3, 4)), rng.normal(size=(2, 4)).astype("float64", order="F")),
                    {"pairs": [rng.normal(size=5), rng.normal(size=6)[::-1]]},
                )
            ],
            "misconceptions": {
                "flipped": Misconception(
                    lambda x, weight, pairs: {"y": x @ weight.flip(0).T, "sum": 0.0}, "!"
                )
            },
            "tensors": True,
        }
        return function_task(**settings | changes)

    def test_arrays_arrive_as_tensors_and_results_may_be_either(self):
        task = self.task()
        [case] = task.make_cases()
        assert isinstance(case.args[0], np.ndarray)
        assert isinstance(task.reference(*case.args, **case.kwargs)["y"], np.ndarray)

        def with_gradient(x, weight, pairs):
            weight.requires_grad_()
            return {"y": x @ weight.T, "sum": sum(pair.numpy().sum() for pair in pairs)}

        assert points(task, with_gradient) == 2
        assert points(task, lambda x, weight, pairs: {"y": x @ weight.T, "sum": 0.0}) == 0
        flipped = lambda x, weight, pairs: {"y": x @ weight.flip(0).T, "sum": 0.0}
        assert grade(task, flipped).misconceptions == ["flipped"]

    def test_an_overwritten_tensor_is_noticed(self):
        cases = lambda rng: [Case("kept", 1, (rng.normal(size=(3, 4)),), keeps_inputs=True)]
        task = self.task(reference=lambda x: x + 1, cases=cases, misconceptions={})
        assert points(task, lambda x: x + 1) == 1
        assert "changed the array" in message(task, lambda x: x.add_(1))

    def test_wrong_arguments_of_torch_are_told(self):
        assert "Your code raised" in message(self.task(), lambda x, weight, pairs: x @ weight)

    def test_tensors_are_values_too(self):
        torch = pytest.importorskip("torch")
        task = value_task(np.array([1.0, 2.0]))
        assert points(task, torch.tensor([1.0, 2.0], requires_grad=True)) == 2
        assert points(task, [torch.tensor(1.0), torch.tensor(2.0, requires_grad=True)]) == 2


def test_engine_needs_numpy_only():
    """It must load in a browser kernel, which has neither PyTorch nor a terminal."""
    import subprocess
    import sys

    code = (
        "import sys, utils.checks\n"
        "heavy = {'torch', 'IPython', 'matplotlib', 'scipy', 'multiprocessing', 'subprocess'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = checks.__file__.rpartition("utils")[0]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert run.stdout.strip() == "[]"
