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
        match place:
            case (slice(start=None, stop=None, step=None), None):
                return Numbers("column", (self,))
            case (slice(start=None, stop=None, step=None), int() as number) if number >= 0:
                return Numbers("pick", (self,), str(int(number)))
            case _:
                raise PlanError(_ROWS, hint="compute with all rows at once, as with numpy's arrays")

    def __len__(self) -> int:
        raise PlanError(_ROWS, hint="mean divides by the number of rows")

    def __repr__(self) -> str:
        return "Numbers()"

    @property
    def shape(self) -> Shape:
        """What `reshape` takes: labels in the shape of predictions."""
        return Shape()

    def reshape(self, *shape: object) -> Numbers:
        """The same numbers, in the shape of others; or one a row to stand beside several."""
        if shape in {(-1, 1), ((-1, 1),)}:
            return Numbers("column", (self,))
        if len(shape) == 1 and isinstance(shape[0], Shape):
            return self
        raise PlanError(_ROWS, hint="reshape(preds.shape) or reshape(-1, 1)")

    def sum(self, axis: object = None, keepdims: object = False) -> Numbers:  # noqa: FBT002 - numpy's
        """The sum over all rows, or over the numbers of each (`axis=1`)."""
        return reduced("sum", self, axis, keepdims)

    def mean(self, axis: object = None, keepdims: object = False) -> Numbers:  # noqa: FBT002 - numpy's
        """The mean, as `sum`."""
        return reduced("mean", self, axis, keepdims)

    def min(self, axis: object = None, keepdims: object = False) -> Numbers:  # noqa: FBT002 - numpy's
        """The least number, as `sum`."""
        return reduced("min", self, axis, keepdims)

    def max(self, axis: object = None, keepdims: object = False) -> Numbers:  # noqa: FBT002 - numpy's
        """The greatest number, as `sum`."""
        return reduced("max", self, axis, keepdims)


class Shape:
    """The shape of the numbers of rows, which nobody knows before they are there."""

    __slots__ = ()

    def __iter__(self) -> object:
        raise PlanError(_ROWS, hint="num_class is a number of the script's own")

    def __getitem__(self, place: object) -> object:
        raise PlanError(_ROWS, hint="num_class is a number of the script's own")


def reduced(name: str, numbers: object, axis: object, keepdims: object) -> Numbers:
    """A reduction over all numbers, or over those of each row. Raises: PlanError."""
    if axis is None and not keepdims:
        return apply(name, numbers)
    if isinstance(axis, bool) or axis not in {1, -1}:
        raise PlanError(f"{name} in a formula goes over all numbers, or over those of each row")
    found = apply(f"row_{name}", numbers)
    return Numbers("column", (found,)) if keepdims else found


def stacked(columns: object, axis: object = 1) -> Numbers:
    """Several numbers a row, of which each is given. Raises: PlanError."""
    if axis not in {1, -1} or not isinstance(columns, (list, tuple)) or len(columns) < 2:
        raise PlanError("numbers of rows are stacked beside one another, two or more, along axis 1")
    first, *others = (Numbers("column", (_number(c),)) for c in columns)
    classes, found = Numbers("classes", (), str(len(columns))), first
    for place, column in enumerate(others, start=1):
        found = apply("where", apply("equal", classes, place), column, found)
    return found


def numbered(count: object) -> Numbers:
    """The numbers 0, 1, … of the classes. Raises: PlanError."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise PlanError("np.arange(num_class) takes a number from 2")
    return Numbers("classes", (), str(count))


def _known() -> frozenset[str]:
    from mc2.plan.formulas import FUNCTIONS, ROW_FUNCTIONS, SHAPING

    return frozenset({*FUNCTIONS, *ROW_FUNCTIONS, *SHAPING, "input", "number"})


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

    def reduction(name: str) -> Callable[..., Numbers]:
        def call(a: object, axis: object = None, keepdims: object = False) -> Numbers:  # noqa: FBT002 - numpy's
            return reduced(name, a, axis, keepdims)

        return call

    found = {name: function(name, f.arity) for name, f in FUNCTIONS.items()}
    found |= {name: reduction(name) for name in _REDUCED}
    found |= {"arange": numbered, "column_stack": stacked, "stack": stacked}
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
