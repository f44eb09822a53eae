"""Symbols that stand for the numbers of rows, with numpy's functions over them.

A script's objective or metric is an ordinary function. It is called once, while the script is
compiled, with symbols; what it does to them is written down as a formula. So the very function
that a data scientist gives to stock XGBoost works here, as long as it computes row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mc2.errors import PlanError

_ROWS: Final = "numbers of rows exist in the enclave only"
_REDUCED: Final = ("max", "mean", "min", "sum")


class Numbers:
    """The numbers of all rows, or one number over them: a step of a formula."""

    __slots__ = ("arguments", "function", "text")

    def __init__(self, function: str, arguments: tuple[Numbers, ...] = (), text: str = "") -> None:
        if not isinstance(function, str) or function not in _known():  # a script cannot make one
            raise PlanError("numbers come from predictions and labels")
        self.function = function
        self.arguments = arguments
        self.text = text

    def __add__(self, other: object) -> Numbers:
        return apply("add", self, other)

    def __radd__(self, other: object) -> Numbers:
        return apply("add", other, self)

    def __sub__(self, other: object) -> Numbers:
        return apply("subtract", self, other)

    def __rsub__(self, other: object) -> Numbers:
        return apply("subtract", other, self)

    def __mul__(self, other: object) -> Numbers:
        return apply("multiply", self, other)

    def __rmul__(self, other: object) -> Numbers:
        return apply("multiply", other, self)

    def __truediv__(self, other: object) -> Numbers:
        return apply("divide", self, other)

    def __rtruediv__(self, other: object) -> Numbers:
        return apply("divide", other, self)

    def __neg__(self) -> Numbers:
        return apply("negative", self)

    def __pos__(self) -> Numbers:
        return self

    def __abs__(self) -> Numbers:
        return apply("abs", self)

    def __lt__(self, other: object) -> Numbers:
        return apply("less", self, other)

    def __le__(self, other: object) -> Numbers:
        return apply("less_equal", self, other)

    def __gt__(self, other: object) -> Numbers:
        return apply("greater", self, other)

    def __ge__(self, other: object) -> Numbers:
        return apply("greater_equal", self, other)

    def __eq__(self, other: object) -> Numbers:  # type: ignore[override]  # as numpy's arrays
        return apply("equal", self, other)

    def __ne__(self, other: object) -> Numbers:  # type: ignore[override]  # as numpy's arrays
        return apply("not_equal", self, other)

    __hash__ = None  # type: ignore[assignment]  # == is no answer here

    def __bool__(self) -> bool:
        raise PlanError(_ROWS, hint="np.where(test, if_true, if_false) chooses row by row")

    def __float__(self) -> float:
        raise PlanError(_ROWS, hint="give the number as it is; XGBoost makes it a float")

    def __iter__(self) -> object:
        raise PlanError(_ROWS, hint="compute with all rows at once, as with numpy's arrays")

    def __getitem__(self, place: object) -> Numbers:
        raise PlanError(_ROWS, hint="compute with all rows at once, as with numpy's arrays")

    def __len__(self) -> int:
        raise PlanError(_ROWS, hint="mean divides by the number of rows")

    def __repr__(self) -> str:
        return "Numbers()"

    def sum(self) -> Numbers:
        """The sum over all rows."""
        return apply("sum", self)

    def mean(self) -> Numbers:
        """The mean over all rows."""
        return apply("mean", self)

    def min(self) -> Numbers:
        """The least number of all rows."""
        return apply("min", self)

    def max(self) -> Numbers:
        """The greatest number of all rows."""
        return apply("max", self)


def _known() -> frozenset[str]:
    from mc2.plan.formulas import FUNCTIONS

    return frozenset({*FUNCTIONS, "input", "number"})


def apply(function: str, *arguments: object) -> Numbers:
    """A function over numbers. Raises: PlanError if something else is given."""
    return Numbers(function, tuple(_number(a) for a in arguments))


def _number(value: object) -> Numbers:
    from mc2.plan.literals import float_text

    if isinstance(value, Numbers):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PlanError(f"a {type(value).__name__} is no number of a formula")
    return Numbers("number", (), float_text(float(value)))


def numpy_functions() -> dict[str, Callable[..., Numbers]]:
    """What scripts may take from numpy: functions over the numbers of rows."""
    from mc2.plan.formulas import FUNCTIONS

    def function(name: str, arity: int) -> Callable[..., Numbers]:
        def call(*arguments: object) -> Numbers:
            if len(arguments) != arity:
                raise PlanError(f"numpy's {name} takes {arity} arguments in a script")
            return apply(name, *arguments)

        return call

    found = {name: function(name, f.arity) for name, f in FUNCTIONS.items()}
    found["clip"] = lambda a, low, high: apply("minimum", apply("maximum", a, low), high)
    found["ones_like"] = lambda a: apply("add", apply("multiply", a, 0.0), 1.0)
    found["zeros_like"] = lambda a: apply("multiply", a, 0.0)
    found["absolute"] = found["abs"]
    return found


class Rows:
    """What an objective or metric may ask of the matrix: it stands for stock XGBoost's DMatrix."""

    __slots__ = ()

    def get_label(self) -> Numbers:
        """The labels."""
        return Numbers("input", (), "label")

    def get_weight(self) -> Numbers:
        """The weights."""
        return Numbers("input", (), "weight")

    def get_base_margin(self) -> Numbers:
        """The base margins."""
        return Numbers("input", (), "base_margin")


def predictions() -> Numbers:
    """The numbers that the model gives."""
    return Numbers("input", (), "prediction")
