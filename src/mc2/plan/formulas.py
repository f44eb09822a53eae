"""Formulas over the numbers of rows: what a custom objective or metric computes.

A formula is a list of steps, each over earlier ones, in a fixed small set of functions: no loop, no
branch, no name that leads anywhere. Owners read it in a review and sign it as a part of the plan;
the enclave computes it with numpy. Spec: docs/spec/plan.md, section "Formulas".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from mc2.errors import PlanError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.plan.literals import float_text, parse_float

INPUTS: Final = ("base_margin", "label", "prediction", "weight")
"""What a formula may read of each row. `prediction` is the margin in an objective, and in a metric
beside one; in a metric alone it is the value."""

_STEPS: Final = 1000
_NAME: Final = 63

ROW, SCALAR, TEST = "row", "scalar", "test"
"""A number for each row; one number; true or false instead of numbers."""

COLUMN, ACROSS, WIDE = "column", "across", "wide"
"""Where a model gives several numbers a row: one a row, to stand beside them; one for each of these
numbers; one for each row and each of them."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a formula is computed over: how many numbers the model gives, and what has as many."""

    count: int = 1
    wide: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Function:
    arity: int
    takes: str
    gives: str


@dataclass(frozen=True, slots=True)
class _Kind:
    shape: str
    is_test: bool = False


_NUMBERS: Final = (
    "abs", "exp", "expm1", "log", "log1p", "negative", "sign", "sqrt", "square", "tanh", "ceil",
    "floor",
)  # fmt: skip
_PAIRS: Final = ("add", "divide", "maximum", "minimum", "multiply", "power", "subtract")
_COMPARISONS: Final = ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")
_REDUCTIONS: Final = ("max", "mean", "min", "sum")

FUNCTIONS: Final[Mapping[str, _Function]] = {
    **{name: _Function(1, ROW, ROW) for name in _NUMBERS},
    **{name: _Function(2, ROW, ROW) for name in _PAIRS},
    **{name: _Function(2, ROW, TEST) for name in _COMPARISONS},
    **{name: _Function(2, TEST, TEST) for name in ("logical_and", "logical_or")},
    **{name: _Function(1, ROW, SCALAR) for name in _REDUCTIONS},
    "logical_not": _Function(1, TEST, TEST),
    "where": _Function(3, "", ROW),
}
"""The functions of formulas, by numpy's names for them."""

ROW_FUNCTIONS: Final = ("row_max", "row_mean", "row_min", "row_sum")
"""Over the numbers of each row: numpy's functions with `axis=1`."""

SHAPING: Final = ("classes", "column", "pick")
"""The numbers 0, 1, … as many as the text says; a row's number beside several; one of several."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a function over earlier steps, or `input` or `number` with its text."""

    function: str
    arguments: tuple[int, ...] = ()
    text: str = ""

    def json(self) -> Json:
        """The step as canonical JSON has it."""
        return {"function": self.function, "arguments": list(self.arguments), "text": self.text}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one step. Raises: FormatError."""
        fields = Fields(value, "a step of a formula")

        def place(item: Json) -> int:
            return Fields({"arguments": item}, fields.what).integer("arguments", 0, _STEPS - 1)

        found = cls(
            fields.text("function", _NAME),
            fields.items("arguments", 3, place),
            fields.text("text", _NAME),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Formula:
    """Steps, and the places of those that are its results. `name` is a metric's name."""

    steps: tuple[Step, ...]
    results: tuple[int, ...]
    name: str = ""

    @property
    def inputs(self) -> frozenset[str]:
        """What it reads of the rows."""
        return frozenset(s.text for s in self.steps if s.function == "input")

    def json(self) -> Json:
        """The formula as canonical JSON has it."""
        return {
            "name": self.name,
            "steps": [s.json() for s in self.steps],
            "results": list(self.results),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a formula; whether it makes sense is for `check`. Raises: FormatError."""
        fields = Fields(value, "a formula")

        def place(item: Json) -> int:
            return Fields({"results": item}, fields.what).integer("results", 0, _STEPS - 1)

        found = cls(
            name=fields.text("name", _NAME),
            steps=fields.items("steps", _STEPS, Step.read),
            results=fields.items("results", 2, place),
        )
        fields.done()
        return found


def check_objective(formula: Formula, scope: Scope | None = None) -> None:
    """A gradient and a hessian for each number that is predicted. Raises: PlanError.

    Without a scope only what holds in any is checked.
    """
    _check_steps(formula)
    if len(formula.results) != 2 or formula.name:
        raise PlanError("an objective gives two results: gradient and hessian")
    if "prediction" not in formula.inputs:
        raise PlanError("the objective does not read the prediction")
    if scope is None:
        return
    kinds = _kinds(formula, scope)
    found = [kinds[place] for place in formula.results]
    if any(kind.is_test for kind in found):
        raise PlanError("gradient and hessian are numbers")
    fitting = {SCALAR, ROW} if scope.count == 1 else {SCALAR, COLUMN, ACROSS, WIDE}
    if any(kind.shape not in fitting for kind in found):
        raise PlanError(
            f"gradient and hessian are not {_as_many(scope)}", hint="give the predictions' shape"
        )


def check_metric(formula: Formula, scope: Scope | None = None) -> None:
    """One number under a name. Raises: PlanError. Without a scope as `check_objective`."""
    _check_steps(formula)
    name = formula.name
    if not name or not name.isprintable() or set(name) & set(":\t "):
        raise PlanError("a metric has a name, without space, tab or colon")
    kinds = None if scope is None else _kinds(formula, scope)
    one = kinds is None or kinds[formula.results[0]] == _Kind(SCALAR)
    if len(formula.results) != 1 or not one:
        raise PlanError("a metric gives one number", hint="end with mean, sum, min or max")


def _as_many(scope: Scope) -> str:
    return "one number a row" if scope.count == 1 else f"{scope.count} numbers a row"


def _check_steps(formula: Formula) -> None:
    """Check that steps read earlier ones, and that each is needed. Raises: PlanError."""
    for place, step in enumerate(formula.steps):
        if any(a >= place for a in step.arguments):
            raise PlanError(f"step {place} of a formula reads a later one")
    if any(place >= len(formula.steps) for place in formula.results) or not formula.results:
        raise PlanError("a result of a formula is no step of it")
    needed = set(formula.results)
    for place in range(len(formula.steps) - 1, -1, -1):
        if place not in needed:
            raise PlanError(f"nothing needs step {place} of a formula")
        needed.update(formula.steps[place].arguments)


def _kinds(formula: Formula, scope: Scope) -> list[_Kind]:
    """What each step gives. Raises: PlanError if a step is not well formed."""
    kinds: list[_Kind] = []
    for step in formula.steps:
        kinds.append(_kind(step, [kinds[a] for a in step.arguments], scope))
    return kinds


def _kind(step: Step, given: Sequence[_Kind], scope: Scope) -> _Kind:
    match step.function:
        case "input" if step.text in INPUTS and not given:
            return _Kind(WIDE if step.text in scope.wide else ROW)
        case "number" if not given and float_text(parse_float(step.text)) == step.text:
            return _Kind(SCALAR)
        case function if function in FUNCTIONS and not step.text:
            return _applied(function, FUNCTIONS[function], given)
        case function if function in {*ROW_FUNCTIONS, *SHAPING}:
            return _shaped(step, given, scope)
        case _:
            raise PlanError(f"formulas know no {step.function[:60]!r}")


def _shaped(step: Step, given: Sequence[_Kind], scope: Scope) -> _Kind:
    """What goes along or across the numbers of a row gives."""
    name = step.function
    if name == "classes":
        if given or step.text != str(scope.count) or scope.count == 1:
            raise PlanError(
                f"the numbers up to {step.text[:20]} do not fit a model that gives "
                f"{_as_many(scope)}",
                hint="np.arange(num_class) numbers classes",
            )
        return _Kind(ACROSS)
    wanted = ROW if name == "column" else WIDE
    if len(given) != 1 or given[0].shape != wanted or (name != "pick" and step.text):
        has = "one number" if wanted == ROW else "several numbers"
        raise PlanError(f"{name} in a formula takes what has {has} a row")
    if name == "pick":
        if step.text not in map(str, range(scope.count)):
            raise PlanError(f"the model gives {_as_many(scope)}, and none has the number asked for")
        return _Kind(ROW, given[0].is_test)
    if name == "column":
        return _Kind(COLUMN, given[0].is_test)
    if given[0].is_test:
        raise PlanError(f"{name} takes numbers in a formula")
    return _Kind(ROW)


def _applied(name: str, function: _Function, given: Sequence[_Kind]) -> _Kind:
    if len(given) != function.arity:
        raise PlanError(f"{name} takes {function.arity} arguments in a formula")
    numbers = given
    if name == "where":
        if not given[0].is_test:
            raise PlanError("where takes a comparison first")
        numbers = given[1:]
    wanted = function.takes == TEST
    if any(kind.is_test != wanted for kind in numbers):
        raise PlanError(f"{name} takes {'comparisons' if wanted else 'numbers'} in a formula")
    shape = SCALAR if function.gives == SCALAR else _broadcast(kind.shape for kind in given)
    return _Kind(shape, function.gives == TEST)


def _broadcast(given: Iterable[str]) -> str:
    """The shape of what is computed element by element, as numpy has it."""
    shapes = set(given) - {SCALAR}
    if len(shapes) <= 1:
        return next(iter(shapes), SCALAR)
    if ROW in shapes:
        raise PlanError(
            "a formula has one number a row beside several",
            hint="write labels[:, None] where predictions have a number for each class",
        )
    return WIDE


_SIGNS: Final = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "^", "less": "<",
    "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "=", "not_equal": "<>",
    "logical_and": "and", "logical_or": "or",
}  # fmt: skip


_PLAIN: Final = frozenset({"classes", "column", "input", "number"})


def formula_words(formula: Formula) -> str:
    """The formula as people write it: what several steps need stands first, as `a = ...`."""
    uses: dict[int, int] = {}
    for step in formula.steps:
        for place in step.arguments:
            uses[place] = uses.get(place, 0) + 1
    words: list[str] = []
    named: list[str] = []
    for place, step in enumerate(formula.steps):
        text = _step_words(step, words)
        if uses.get(place, 0) > 1 and step.function not in _PLAIN:
            name = f"t{len(named) + 1}"
            named.append(f"{name} = {_outer(text)}")
            text = name
        words.append(text)
    results = [words[place] for place in formula.results]
    titles = (formula.name,) if formula.name else ("gradient", "hessian")
    found = [f"{t} = {_outer(r)}" for t, r in zip(titles, results, strict=False)]
    return "; ".join([*named, *found])


def _outer(text: str) -> str:
    """Without the brackets around all of it."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth and place < len(text) - 1:
            return text
    return text[1:-1] if text.startswith("(") else text


def _step_words(step: Step, words: Sequence[str]) -> str:  # noqa: PLR0911 - one a case
    given = [words[a] for a in step.arguments]
    match step.function:
        case "input" | "number":
            return step.text
        case "classes":
            return step.function
        case "column":
            return given[0]
        case "pick":
            return f"{given[0]}[{step.text}]"
        case "negative":
            return f"(-{given[0]})"
        case name if name in _SIGNS:
            return f"({given[0]} {_SIGNS[name]} {given[1]})"
        case name:
            return f"{name}({', '.join(_outer(g) for g in given)})"


def read_formula(check: Callable[[Formula], None], value: Json) -> Formula:
    """Read and check a formula. Raises: FormatError, PlanError."""
    found = Formula.read(value)
    check(found)
    return found
