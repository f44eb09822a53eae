"""The aggregate functions of a plan, each with its typed signatures. Spec: docs/spec/plan.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.signatures import Argument, Signature, signature
from mc2.plan.types import average_type, sum_type


@dataclass(frozen=True, slots=True)
class AggregateFunction:
    """An aggregate: it ignores rows whose arguments are NULL.

    `on_empty` says what it gives where no row is left: `zero` or `null`. `on_one` is `null` for
    the sample statistics, which one row does not define.
    """

    name: str
    signatures: tuple[Signature, ...]
    meaning: str
    on_empty: str = "null"
    on_one: str = "value"
    may_be_distinct: bool = True

    def type(self, arguments: tuple[Argument, ...], *, may_be_empty: bool) -> tuple[DataType, bool]:
        """The result's type and whether it may be NULL. Raises: PlanError."""
        for line in self.signatures:
            found = line.match(arguments)
            if found is not None:
                return found, self._nullable(arguments, may_be_empty=may_be_empty)
        raise PlanError(
            f"{self.name} takes no ({', '.join(str(a.type) for a in arguments)})",
            hint="it takes " + " or ".join(f"({line.text})" for line in self.signatures),
        )

    def _nullable(self, arguments: tuple[Argument, ...], *, may_be_empty: bool) -> bool:
        if self.on_empty == "zero":
            return False
        return may_be_empty or self.on_one == "null" or any(a.nullable for a in arguments)


def _sum(arguments: tuple[Argument, ...]) -> DataType:
    return sum_type(arguments[0].type)


def _average(arguments: tuple[Argument, ...]) -> DataType:
    return average_type(arguments[0].type)


_NUMBER: Final = "T -> int64 or double where T: number"
_DECIMAL: Final = "P -> decimal where P: decimal"
_SUMS: Final = (signature(_NUMBER, _sum), signature(_DECIMAL, _sum))
_AVERAGES: Final = (
    signature("T -> double where T: number", _average),
    signature(_DECIMAL, _average),
)
_ORDERED: Final = (signature("T -> T where T: ordered"),)
_TRUTH: Final = (signature("boolean -> boolean"),)
_SPREAD: Final = (signature("double -> double"),)

_TABLE: Final = (
    AggregateFunction("count_star", (signature(" -> int64"),), "how many rows", "zero",
                      may_be_distinct=False),
    AggregateFunction("count", (signature("T -> int64 where T: any"),),
                      "how many values that are not NULL", "zero"),
    AggregateFunction("sum", _SUMS, "the sum; of integers as int64, of decimals 10 digits wider"),
    AggregateFunction("avg", _AVERAGES, "the mean; of decimals 4 digits wider, rounded half up"),
    AggregateFunction("min", _ORDERED, "the least"),
    AggregateFunction("max", _ORDERED, "the greatest"),
    AggregateFunction("stddev_samp", _SPREAD, "standard deviation of a sample", on_one="null"),
    AggregateFunction("stddev_pop", _SPREAD, "standard deviation"),
    AggregateFunction("var_samp", _SPREAD, "variance of a sample", on_one="null"),
    AggregateFunction("var_pop", _SPREAD, "variance"),
    AggregateFunction("bool_and", _TRUTH, "all are true"),
    AggregateFunction("bool_or", _TRUTH, "one is true"),
)  # fmt: skip

AGGREGATES: Final = {a.name: a for a in _TABLE}
"""All aggregate functions by name."""


def aggregate(name: str) -> AggregateFunction:
    """An aggregate function by name. Raises: PlanError."""
    try:
        return AGGREGATES[name]
    except KeyError:
        raise PlanError(f"there is no aggregate function {name[:63]!r}") from None
