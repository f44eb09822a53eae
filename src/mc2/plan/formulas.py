"""Formulas over the numbers of rows: what a custom objective or metric computes.

A formula is a list of steps, each over earlier ones, in a fixed small set of functions: no loop, no
branch, no name that leads anywhere. Owners read it in a review and sign it as a part of the plan;
the enclave computes it with numpy. Spec: docs/spec/plan.md, section "Formulas".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
"""A number for each row; one number; true or false for each row."""


@dataclass(frozen=True, slots=True)
class _Function:
    arity: int
    takes: str
    gives: str


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


def check_objective(formula: Formula) -> None:
    """A gradient and a hessian for each row. Raises: PlanError."""
    kinds = _kinds(formula)
    if len(formula.results) != 2 or formula.name:
        raise PlanError("an objective gives two results: gradient and hessian")
    if any(kinds[place] == TEST for place in formula.results):
        raise PlanError("gradient and hessian are numbers")
    if "prediction" not in formula.inputs:
        raise PlanError("the objective does not read the prediction")


def check_metric(formula: Formula) -> None:
    """One number under a name. Raises: PlanError."""
    kinds = _kinds(formula)
    name = formula.name
    if not name or not name.isprintable() or set(name) & set(":\t "):
        raise PlanError("a metric has a name, without space, tab or colon")
    if len(formula.results) != 1 or kinds[formula.results[0]] != SCALAR:
        raise PlanError("a metric gives one number", hint="end with mean, sum, min or max")


def _kinds(formula: Formula) -> list[str]:
    """What each step gives. Raises: PlanError if a step is not well formed, or needless."""
    kinds: list[str] = []
    for place, step in enumerate(formula.steps):
        if any(a >= place for a in step.arguments):
            raise PlanError(f"step {place} of a formula reads a later one")
        kinds.append(_kind(step, [kinds[a] for a in step.arguments]))
    if any(place >= len(kinds) for place in formula.results):
        raise PlanError("a result of a formula is no step of it")
    needed = set(formula.results)
    for place in range(len(kinds) - 1, -1, -1):
        if place not in needed:
            raise PlanError(f"nothing needs step {place} of a formula")
        needed.update(formula.steps[place].arguments)
    return kinds


def _kind(step: Step, given: Sequence[str]) -> str:
    match step.function:
        case "input" if step.text in INPUTS and not given:
            return ROW
        case "number" if not given and float_text(parse_float(step.text)) == step.text:
            return SCALAR
        case function if function in FUNCTIONS and not step.text:
            return _applied(function, FUNCTIONS[function], given)
        case _:
            raise PlanError(f"formulas know no {step.function[:60]!r}")


def _applied(name: str, function: _Function, given: Sequence[str]) -> str:
    if len(given) != function.arity:
        raise PlanError(f"{name} takes {function.arity} arguments in a formula")
    numbers = given
    if name == "where":
        if given[0] != TEST:
            raise PlanError("where takes a comparison first")
        numbers = given[1:]
    wanted = function.takes == TEST
    if any((kind == TEST) != wanted for kind in numbers):
        raise PlanError(f"{name} takes {'comparisons' if wanted else 'numbers'} in a formula")
    if function.gives == ROW and all(kind == SCALAR for kind in given):
        return SCALAR
    return function.gives


_SIGNS: Final = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "^", "less": "<",
    "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "=", "not_equal": "<>",
    "logical_and": "and", "logical_or": "or",
}  # fmt: skip


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
        if uses.get(place, 0) > 1 and step.function not in {"input", "number"}:
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


def _step_words(step: Step, words: Sequence[str]) -> str:
    if step.function in {"input", "number"}:
        return step.text
    given = [words[a] for a in step.arguments]
    if step.function in _SIGNS:
        return f"({given[0]} {_SIGNS[step.function]} {given[1]})"
    if step.function == "negative":
        return f"(-{given[0]})"
    return f"{step.function}({', '.join(_outer(g) for g in given)})"


def read_formula(check: Callable[[Formula], None], value: Json) -> Formula:
    """Read and check a formula. Raises: FormatError, PlanError."""
    found = Formula.read(value)
    check(found)
    return found
