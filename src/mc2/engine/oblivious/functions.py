"""Functions of the values of their arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from mc2.engine.oblivious.calls import Around, OfValues, Values, one_layout
from mc2.engine.oblivious.functions_bytes import BYTES_BY_VALUES
from mc2.engine.oblivious.functions_curves import OF_CURVES
from mc2.engine.oblivious.functions_dates import DATES_BY_VALUES
from mc2.formats.schema import DataType
from mc2.operators import (
    arithmetic,
    bits,
    comparisons,
    dates,
    lenient,
    letters,
    logic,
    numbers,
    phrases,
    rounding,
    spread,
    texts,
)
from mc2.operators.arithmetic import Operation
from mc2.operators.constants import constant
from mc2.operators.handles import SecretColumn, known_of
from mc2.operators.run import Run
from mc2.plan.types import INTEGER_BITS

_ARITHMETIC: Final = {
    "add": Operation.ADD,
    "subtract": Operation.SUBTRACT,
    "multiply": Operation.MULTIPLY,
    "divide": Operation.DIVIDE,
    "remainder": Operation.REMAINDER,
}
_FIELDS: Final = frozenset(
    {"year", "quarter", "month", "day", "day_of_week", "day_of_year", "week", "hour", "minute",
     "second"}
)  # fmt: skip


def _is_nan(of: Around, values: Values, _: DataType) -> SecretColumn:
    nan = constant(values[0].layout, math.nan, of.rows)
    found = comparisons.equal_marks(of.run, values[0], nan)
    known = np.ones(of.rows, dtype=np.uint8)
    return logic.truth(of.run, logic.conjunction(of.run, found, known_of(values[0])), known)


def _nullif(of: Around, values: Values, _: DataType) -> SecretColumn:
    same = logic.value_marks(of.run, comparisons.equal(of.run, *one_layout(values[0], values[1])))
    nothing = constant(values[0].layout, None, of.rows)
    return logic.choose(of.run, same, nothing, values[0])


def _absolute(of: Around, values: Values, kind: DataType) -> SecretColumn:
    value = values[0]
    zero = constant(value.layout, 0.0 if value.layout.is_real else 0, of.rows)
    below = logic.conjunction(of.run, comparisons.less_marks(of.run, value, zero), known_of(value))
    if value.layout.is_real:  # and -0.0 becomes 0.0, which is 0.0 - -0.0
        below = logic.disjunction(of.run, below, comparisons.equal_marks(of.run, value, zero))
        turned = arithmetic.compute(
            of.run, Operation.SUBTRACT, zero, value, kind, np.zeros(of.rows, dtype=np.uint8)
        )
        return logic.choose(
            of.run, logic.conjunction(of.run, below, known_of(value)), turned, value
        )
    turned = arithmetic.negative(of.run, value, logic.conjunction(of.run, of.counts, below))
    return logic.choose(of.run, below, turned, value)


def _compare(
    function: Callable[[Run, SecretColumn, SecretColumn], SecretColumn], *, turned: bool = False
) -> OfValues:
    def compute(of: Around, values: Values, _: DataType) -> SecretColumn:
        first, second = one_layout(values[0], values[1])
        return function(of.run, second, first) if turned else function(of.run, first, second)

    return compute


def _extreme(step: Callable[[Run, SecretColumn, SecretColumn], SecretColumn]) -> OfValues:
    def compute(of: Around, values: Values, _: DataType) -> SecretColumn:
        found = values[0]
        for value in values[1:]:
            found = step(of.run, *one_layout(found, value))
        return found

    return compute


def _concat(of: Around, values: Values, _: DataType) -> SecretColumn:
    found = values[0]
    for value in values[1:]:
        found = texts.concat(of.run, found, value, of.counts)
    return found


def _whole_quotient(of: Around, values: Values, kind: DataType) -> SecretColumn:
    if values[0].type.name != "decimal":
        return arithmetic.compute(of.run, Operation.DIVIDE, values[0], values[1], kind, of.counts)
    return numbers.whole_quotient(of.run, values[0], values[1], of.counts)


def _lenient(of: Around, what: Operation, values: Values, kind: DataType) -> SecretColumn:
    return numbers.unless_zero(of.run, what, values[0], values[1], kind, of.counts)


def _try(what: Operation) -> OfValues:
    def compute(of: Around, values: Values, kind: DataType) -> SecretColumn:
        if kind.name in INTEGER_BITS:
            return lenient.try_compute(of.run, what, values[0], values[1], kind)
        return arithmetic.compute(of.run, what, values[0], values[1], kind, of.counts)

    return compute


_BITS: Final = (
    "bits_and", "bits_or", "bits_xor", "shift_left", "shift_right", "shift_right_unsigned",
)  # fmt: skip


def _bits(name: str) -> OfValues:
    return lambda of, values, _: bits.combine_bits(of.run, name, values[0], values[1])


def _name(field: str, names: str) -> OfValues:
    return lambda of, v, _: phrases.name_of(of.run, dates.date_field(of.run, field, v[0]), names)


def _field(name: str) -> OfValues:
    return lambda of, v, _: dates.date_field(of.run, name, v[0])


def _arithmetic(what: Operation) -> OfValues:
    return lambda of, v, kind: arithmetic.compute(of.run, what, v[0], v[1], kind, of.counts)


OF_VALUES: Final[Mapping[str, OfValues]] = {
    "eq": _compare(comparisons.equal),
    "ne": _compare(comparisons.unequal),
    "lt": _compare(comparisons.less),
    "le": _compare(comparisons.at_most),
    "gt": _compare(comparisons.less, turned=True),
    "ge": _compare(comparisons.at_most, turned=True),
    "same": _compare(comparisons.same),
    "is_null": lambda of, v, _: logic.is_null(of.run, v[0]),
    "is_not_null": lambda of, v, _: logic.is_null(of.run, v[0], negated=True),
    "is_nan": _is_nan,
    "not": lambda of, v, _: logic.negation(of.run, v[0]),
    "nullif": _nullif,
    "greatest": _extreme(comparisons.greatest),
    "least": _extreme(comparisons.least),
    "negate": lambda of, v, _: arithmetic.negative(of.run, v[0], of.counts),
    "abs": _absolute,
    "date_add": lambda of, v, kind: dates.shift(of.run, v[0], v[1], kind, of.counts),
    "timestamp_add": lambda of, v, kind: dates.shift(of.run, v[0], v[1], kind, of.counts),
    "date_diff": lambda of, v, kind: dates.difference(of.run, v[0], v[1], kind, of.counts),
    "timestamp_diff": lambda of, v, kind: dates.difference(of.run, v[0], v[1], kind, of.counts),
    "add_months": lambda of, v, _: dates.add_months(of.run, v[0], v[1]),
    "last_day": lambda of, v, _: dates.last_day(of.run, v[0]),
    "make_date": lambda of, v, _: dates.make_date(of.run, v[0], v[1], v[2], of.counts),
    "lower": lambda of, v, _: letters.lower(of.run, v[0], of.counts),
    "upper": lambda of, v, _: letters.upper(of.run, v[0], of.counts),
    "capitalize": lambda of, v, _: letters.capitalize(of.run, v[0], of.counts),
    "position": lambda of, v, _: phrases.position(of.run, v[0], v[1]),
    "reverse": lambda of, v, _: phrases.reverse(of.run, v[0]),
    "day_name": _name("day_of_week", "SunMonTueWedThuFriSat"),
    "month_name": _name("month", "JanFebMarAprMayJunJulAugSepOctNovDec"),
    **OF_CURVES,
    "length": lambda of, v, _: texts.count_characters(of.run, v[0]),
    "concat": _concat,
    "concat_with": lambda of, v, _: phrases.concat_with(of.run, v[0], v[1:], of.counts),
    "integer_divide": _whole_quotient,
    "modulo": lambda of, v, kind: numbers.modulo(of.run, v[0], v[1], kind, of.counts),
    "try_divide": lambda of, v, kind: _lenient(of, Operation.DIVIDE, v, kind),
    "try_remainder": lambda of, v, kind: _lenient(of, Operation.REMAINDER, v, kind),
    "sign": lambda of, v, _: numbers.sign(of.run, v[0]),
    "floor": lambda of, v, kind: numbers.whole(of.run, v[0], kind, of.counts, upwards=False),
    "ceil": lambda of, v, kind: numbers.whole(of.run, v[0], kind, of.counts, upwards=True),
    "try_add": _try(Operation.ADD),
    "try_subtract": _try(Operation.SUBTRACT),
    "try_multiply": _try(Operation.MULTIPLY),
    "rint": lambda of, v, _: rounding.whole_double(of.run, v[0], to_even=True),
    "sqrt": lambda of, v, _: spread.square_root(of.run, v[0]),
    **{name: _bits(name) for name in _BITS},
    "bits_not": lambda of, v, _: bits.turn_bits(of.run, v[0]),
    "bit_count": lambda of, v, kind: bits.count_bits(of.run, v[0], kind),
    "bit_get": lambda of, v, _: bits.get_bit(of.run, v[0], v[1], of.counts),
    "iso_day_of_week": lambda of, v, _: dates.iso_day_of_week(of.run, v[0]),
    "epoch_second": lambda of, v, _: numbers.floored(of.run, v[0], dates.TIME_UNITS["second"]),
    "byte_length": lambda of, v, kind: numbers.count_bytes(of.run, v[0], kind),
    **{name: _field(name) for name in _FIELDS},
    **{name: _arithmetic(what) for name, what in _ARITHMETIC.items()},
    **DATES_BY_VALUES,
    **BYTES_BY_VALUES,
}
"""By name."""
