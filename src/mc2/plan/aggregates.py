"""The aggregate functions of a plan, each with its typed signatures. Spec: docs/spec/plan.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.expressions import Expression, Literal
from mc2.plan.signatures import Argument, Check, Signature, signature
from mc2.plan.types import average_type, sum_type


@dataclass(frozen=True, slots=True)
class AggregateFunction:
    """An aggregate: it ignores rows whose arguments are NULL.

    `on_empty` says what it gives where no row is left: `zero`, `null`, or `empty`, a list of
    nothing. `on_one` is `null` for the statistics that one row, or equal ones, do not define.
    `literals` are the positions of arguments that must be literals and not NULL; `check` looks at
    them.
    """

    name: str
    signatures: tuple[Signature, ...]
    meaning: str
    on_empty: str = "null"
    on_one: str = "value"
    may_be_distinct: bool = True
    literals: frozenset[int] = frozenset()
    check: Check | None = None

    def type(self, arguments: tuple[Argument, ...], *, may_be_empty: bool) -> tuple[DataType, bool]:
        """The result's type and whether it may be NULL. Raises: PlanError."""
        for position in sorted(self.literals):
            if position < len(arguments) and arguments[position].literal is None:
                raise PlanError(f"argument {position + 1} of {self.name} must be a literal")
        for line in self.signatures:
            found = line.match(arguments)
            if found is not None:
                if self.check is not None:
                    self.check(arguments)
                return found, self._nullable(arguments, may_be_empty=may_be_empty)
        raise PlanError(
            f"{self.name} takes no ({', '.join(str(a.type) for a in arguments)})",
            hint="it takes " + " or ".join(f"({line.text})" for line in self.signatures),
        )

    def _nullable(self, arguments: tuple[Argument, ...], *, may_be_empty: bool) -> bool:
        if self.on_empty in {"zero", "empty"}:
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

_PAIRS: Final = (signature("double, double -> double"),)
_BY: Final = (signature("T, U -> T where T: ordered; U: ordered"),)
_LIST: Final = (
    signature("T -> list<T> where T: ordered"),
    signature("T, int32 -> list<T> where T: ordered"),
)
_BITS: Final = (signature("T -> T where T: integer"),)


def _check_most(arguments: tuple[Argument, ...]) -> None:
    for given in arguments[1:]:
        if given.type.name == "int32" and int(given.text or 0) < 1:
            raise PlanError("at most so many values are 1 or more", hint="for example 100")


def declared_most(arguments: Sequence[Expression]) -> int | None:
    """How many values of a group a list or text has at most; None if nothing says it."""
    last = arguments[-1] if len(arguments) > 1 else None
    if not isinstance(last, Literal) or last.type.name != "int32":
        return None
    return int(last.text or 0)


def _check_share(arguments: tuple[Argument, ...]) -> None:
    if not 0 <= float(arguments[1].text or "nan") <= 1:
        raise PlanError("a percentile is a number from 0 to 1", hint="for example 0.5")


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
    AggregateFunction("covar_samp", _PAIRS, "covariance of a sample of pairs", on_one="null",
                      may_be_distinct=False),
    AggregateFunction("covar_pop", _PAIRS, "covariance of pairs", may_be_distinct=False),
    AggregateFunction("corr", _PAIRS, "Pearson's correlation of pairs; NULL without spread",
                      on_one="null", may_be_distinct=False),
    AggregateFunction("skewness", _SPREAD, "skewness; NULL without spread", on_one="null"),
    AggregateFunction("kurtosis", _SPREAD, "excess kurtosis; NULL without spread", on_one="null"),
    AggregateFunction("mode", _ORDERED, "the most frequent, the least of several",
                      may_be_distinct=False),
    AggregateFunction("percentile", (signature("double, double -> double"),),
                      "the percentile between 0 and 1, interpolated", literals=frozenset({1}),
                      check=_check_share, may_be_distinct=False),
    AggregateFunction("percentile_disc",
                      (signature("T, double -> T where T: ordered"),),
                      "the least below which, with itself, is such a share",
                      literals=frozenset({1}), check=_check_share, may_be_distinct=False),
    AggregateFunction("max_by", _BY, "the first where the second is greatest; of several the "
                      "greatest, NULL being that", may_be_distinct=False, on_one="null"),
    AggregateFunction("min_by", _BY, "the first where the second is least; of several the least, "
                      "NULL being the greatest", may_be_distinct=False, on_one="null"),
    AggregateFunction("collect_list", _LIST, "all values, sorted; more than so many fail the job",
                      "empty", literals=frozenset({1}), check=_check_most),
    AggregateFunction("collect_set", _LIST,
                      "all different values, sorted; more than so many fail the job", "empty",
                      may_be_distinct=False, literals=frozenset({1}), check=_check_most),
    AggregateFunction("join_texts", (signature("string, string -> string"),
                                     signature("string, string, int32 -> string")),
                      "all texts, sorted, with the second between them; more than so many fail "
                      "the job", literals=frozenset({1, 2}), check=_check_most),
    AggregateFunction("bits_and_of", _BITS, "bits that are set in all"),
    AggregateFunction("bits_or_of", _BITS, "bits that are set in one"),
    AggregateFunction("bits_xor_of", _BITS, "bits that are set in an odd number"),
)  # fmt: skip

AGGREGATES: Final = {a.name: a for a in _TABLE}
"""All aggregate functions by name."""


def aggregate(name: str) -> AggregateFunction:
    """An aggregate function by name. Raises: PlanError."""
    try:
        return AGGREGATES[name]
    except KeyError:
        raise PlanError(f"there is no aggregate function {name[:63]!r}") from None
