"""Expressions of a plan over secret columns.

`counts` says where an error counts: rows that are there, and that CASE, AND, OR and COALESCE need.
Everything is computed for every row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import numpy as np

from mc2.engine.oblivious.casts import cast_value
from mc2.engine.oblivious.lambdas import LambdaCall, Places, compute_lambda
from mc2.engine.oblivious.lists import LIST_FUNCTIONS, ListCall, compute_list, makes_list
from mc2.errors import EngineError
from mc2.formats.schema import Column, DataType
from mc2.operators import (
    arithmetic,
    bits,
    comparisons,
    curves,
    dates,
    lenient,
    logic,
    numbers,
    patterns,
    phrases,
    rounding,
    spread,
    texts,
)
from mc2.operators.arithmetic import Operation
from mc2.operators.constants import constant
from mc2.operators.elements import in_one_layout, repeated
from mc2.operators.handles import (
    MOST_TEXT_BYTES,
    Marks,
    SecretColumn,
    SecretTable,
    known_of,
    layout_of,
    marks_of,
)
from mc2.operators.run import Run
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Expression,
    InList,
    Lambda,
    Literal,
    Parameter,
    walk,
)
from mc2.plan.functions import Argument
from mc2.plan.literals import literal_value
from mc2.plan.oblivious_lists import LAMBDAS, OPEN, looked_at
from mc2.plan.oblivious_texts import (
    CHARACTER_BYTES,
    has_fixed_places,
    is_fixed,
    is_public_replacement,
)
from mc2.plan.regex_steps import pattern_steps
from mc2.plan.types import INTEGER_BITS
from mc2.plan.typing import Inside, type_of
from mc2.plan.widths import literal_bytes

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = date(1970, 1, 1)
_ARITHMETIC: Final = {
    "add": Operation.ADD,
    "subtract": Operation.SUBTRACT,
    "multiply": Operation.MULTIPLY,
    "divide": Operation.DIVIDE,
    "remainder": Operation.REMAINDER,
}
_RUN_STEP: Final = ((2, 0),)


def literal_number(value: Literal) -> float | bytes | None:
    """A literal as words are made of it: unscaled decimals, days, microseconds, bytes."""
    if value.text is None:
        return None
    found = literal_value(value.text, value.type)
    match found:
        case str():
            return found.encode()
        case Decimal():
            return int(found.scaleb(value.type.scale))
        case datetime():
            moment = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            delta = moment - _EPOCH
            return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
        case date():
            return (found - _DAY).days
        case _:
            return found


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """Computes expressions over the columns of a table."""

    run: Run
    columns: Mapping[str, SecretColumn]
    rows: int
    counts: Marks
    parameters: Mapping[str, SecretColumn] = field(default_factory=dict)

    @classmethod
    def over(cls, run: Run, table: SecretTable) -> Evaluator:
        """Over a table, whose rows that are there count."""
        return cls(run, table.columns, table.rows, marks_of(table.present))

    def where(self, counts: Marks) -> Evaluator:
        """The same, where errors count in fewer rows."""
        both = logic.conjunction(self.run, self.counts, counts)
        return replace(self, counts=both)

    def of(self, expression: Expression) -> SecretColumn:  # noqa: PLR0911 - one a case
        """The values of an expression. Raises: EngineError for what no checked plan holds."""
        match expression:
            case ColumnRef(name):
                return self.columns[name]
            case Literal():
                return self._literal(expression)
            case Cast(value, kind, strict):
                return cast_value(self.run, self.of(value), kind, self.counts, strict=strict)
            case Case():
                return self._case(expression)
            case InList(value, items):
                return self._in_list(self.of(value), items)
            case Call(function, arguments):
                return self._call(function, arguments, self.type(expression))
            case Parameter(name):
                return self.parameters[name]
            case Lambda():
                raise EngineError("a lambda stands where no function takes one")

    def type(self, expression: Expression) -> DataType:
        """The type of an expression."""
        columns = {n: Column(n, c.type) for n, c in self.columns.items()}
        given = {n: Argument(c.type, nullable=True) for n, c in self.parameters.items()}
        return type_of(expression, Inside(columns, given)).type

    def _body(self, one: Lambda, places: Places) -> SecretColumn:
        """What the body of a lambda gives, with what it reads of a row at each of its places."""
        parts = list(walk(one.body))
        read = {e.name for e in parts if isinstance(e, ColumnRef)}
        around = {e.name for e in parts if isinstance(e, Parameter)}
        counts = np.repeat(self.counts, places.count)
        inside = Evaluator(
            self.run,
            {n: repeated(c, places.count) for n, c in self.columns.items() if n in read},
            self.rows * places.count,
            logic.conjunction(self.run, counts, places.there),
            {
                **{n: repeated(c, places.count) for n, c in self.parameters.items() if n in around},
                **dict(zip(one.parameters, places.values, strict=False)),
            },
        )
        return inside.of(one.body)

    def _literal(self, value: Literal) -> SecretColumn:
        layout = layout_of(value.type, {"": literal_bytes(value)}, "")
        return constant(layout, literal_number(value), self.rows)

    def _case(self, case: Case) -> SecretColumn:
        """All branches, and of them the first whose condition is true."""
        left = np.ones(self.rows, dtype=np.uint8)  # rows that no branch has taken
        parts: list[tuple[Marks, SecretColumn]] = []
        for branch in case.branches:
            here = self.where(left)
            holds = logic.value_marks(self.run, here.of(branch.condition))
            takes = logic.conjunction(self.run, holds, left)
            parts.append((takes, self.where(takes).of(branch.value)))
            left = logic.conjunction(self.run, left, logic.complement(self.run, holds))
        found = self.where(left).of(case.otherwise)
        for takes, value in parts:
            found = logic.choose(self.run, takes, *one_layout(value, found))
        return found

    def equality(self, function: str, arguments: Sequence[Expression]) -> SecretColumn:
        """Whether two terms are equal, or not; texts and constants are compared by codes."""
        first, *others = arguments
        found = self._equal_texts(self.of(first), others)
        if found is None:
            values = [self.of(a) for a in arguments]
            return _SIMPLE[function](self, values, values[0].type)
        return found if function == "eq" else logic.negation(self.run, found)

    def _equal_texts(self, value: SecretColumn, items: Sequence[Expression]) -> SecretColumn | None:
        """Whether a text is one of some constants; None where that is not what is asked."""
        texts = [literal_number(i) for i in items if isinstance(i, Literal)]
        found = [t for t in texts if isinstance(t, bytes)]
        if not value.layout.is_text or len(found) != len(items):
            return None
        return comparisons.equal_constant(self.run, value, *found)

    def _in_list(self, value: SecretColumn, items: Sequence[Literal]) -> SecretColumn:
        found = self._equal_texts(value, items)
        if found is not None:
            return found
        answers = [
            comparisons.equal(self.run, *one_layout(value, self._literal(item))) for item in items
        ]
        return self._folded(logic.either, answers)

    def _folded(
        self,
        step: Callable[[Run, SecretColumn, SecretColumn], SecretColumn],
        parts: Sequence[SecretColumn],
    ) -> SecretColumn:
        found = parts[0]
        for part in parts[1:]:
            found = step(self.run, *one_layout(found, part))
        return found

    def _call(self, function: str, arguments: Sequence[Expression], kind: DataType) -> SecretColumn:
        if function in {"and", "or"}:
            return self._logic(arguments, stops=function == "or")
        if function == "coalesce":
            return self._coalesce(arguments)
        if function in LAMBDAS or makes_list(function, kind):
            return self._of_lists(function, arguments, kind)
        if function in _WITH_LITERALS:
            return _WITH_LITERALS[function](self, arguments)
        values = [self.of(a) for a in arguments]
        if function in _ARITHMETIC:
            what = _ARITHMETIC[function]
            return arithmetic.compute(self.run, what, values[0], values[1], kind, self.counts)
        return self._simple(function, values, kind)

    def _of_lists(
        self,
        function: str,
        arguments: Sequence[Expression],
        kind: DataType,
        room: int | None = None,
    ) -> SecretColumn:
        """Of lists; `room`: how many elements of the answer are looked at, if that is known."""
        if function in LAMBDAS:
            array, *more = arguments
            lambda_call = LambdaCall(self.run, self.of(array), more, self.of, self._body)
            return compute_lambda(lambda_call, function)
        first, *others = arguments
        if isinstance(first, Call) and first.function in OPEN:
            looked = looked_at(function, arguments)
            values = [self._of_lists(first.function, first.arguments, self.type(first), looked)]
        else:
            values = [self.of(first)]
        values += [self.of(a) for a in others]
        list_call = ListCall(self.run, arguments, values, kind, self.counts, room)
        return compute_list(list_call, function)

    def _simple(
        self, function: str, values: Sequence[SecretColumn], kind: DataType
    ) -> SecretColumn:
        if function in _FIELDS:
            return dates.date_field(self.run, function, values[0])
        if function not in _SIMPLE:
            raise EngineError(f"oblivious mode has no function {function}")
        return _SIMPLE[function](self, values, kind)

    def _logic(self, arguments: Sequence[Expression], *, stops: bool) -> SecretColumn:
        """AND and OR; what follows a part that decides does not count."""
        found = self.of(arguments[0])
        for argument in arguments[1:]:
            truth = logic.value_marks(self.run, found)
            if stops:
                open_ = logic.complement(self.run, truth)
                found = logic.either(self.run, found, self.where(open_).of(argument))
            else:
                unknown = logic.complement(self.run, known_of(found))
                open_ = logic.disjunction(self.run, truth, unknown)
                found = logic.both(self.run, found, self.where(open_).of(argument))
        return found

    def _coalesce(self, arguments: Sequence[Expression]) -> SecretColumn:
        found = self.of(arguments[0])
        for argument in arguments[1:]:
            missing = logic.complement(self.run, known_of(found))
            found = logic.coalesce(self.run, *one_layout(found, self.where(missing).of(argument)))
        return found


def one_layout(a: SecretColumn, b: SecretColumn) -> tuple[SecretColumn, SecretColumn]:
    """Both in rows of one size: texts and lists may have different greatest lengths."""
    first, second = in_one_layout([a, b])
    return first, second


def _text(argument: Expression) -> str:
    return argument.text or "" if isinstance(argument, Literal) else ""


def _like(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    steps = texts.like_steps(_text(arguments[1]))
    return texts.matches(of.run, of.of(arguments[0]), steps)


def _contains(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    if not is_fixed(arguments[1]):
        return phrases.contains(of.run, of.of(arguments[0]), of.of(arguments[1]))
    steps = (*_RUN_STEP, *texts.literal_steps(_text(arguments[1])), *_RUN_STEP)
    return texts.matches(of.run, of.of(arguments[0]), steps)


def _starts_with(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    if not is_fixed(arguments[1]):
        return phrases.begins(of.run, of.of(arguments[0]), of.of(arguments[1]))
    steps = (*texts.literal_steps(_text(arguments[1])), *_RUN_STEP)
    return texts.matches(of.run, of.of(arguments[0]), steps)


def _ends_with(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    if not is_fixed(arguments[1]):
        return phrases.ends(of.run, of.of(arguments[0]), of.of(arguments[1]))
    steps = (*_RUN_STEP, *texts.literal_steps(_text(arguments[1])))
    return texts.matches(of.run, of.of(arguments[0]), steps)


def _substring(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    if not has_fixed_places(arguments):
        values = [of.of(a) for a in arguments]
        found = phrases.substring_at(of.run, values[0], values[1], values[2])
        most = MOST_TEXT_BYTES
        if is_fixed(arguments[2]):
            most = CHARACTER_BYTES * max(1, int(_text(arguments[2])))
        return texts.shortened(found, min(found.layout.text_bytes, most))
    start, count = int(_text(arguments[1])), int(_text(arguments[2]))
    return texts.substring(of.run, of.of(arguments[0]), start, count)


def _round(way: str) -> Callable[[Evaluator, Sequence[Expression]], SecretColumn]:
    def compute(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
        value, digits = of.of(arguments[0]), int(_text(arguments[1]))
        if not value.layout.is_real:
            kind = of.type(Call(way, tuple(arguments)))
            return rounding.round_exact(of.run, value, digits, way, kind, of.counts)
        if way == "round":
            return rounding.round_double(of.run, value, digits)
        return rounding.whole_double(of.run, value, to_even=True)

    return compute


def _truncate(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    return dates.truncate(of.run, _text(arguments[0]), of.of(arguments[1]))


def _trim(name: str) -> Callable[[Evaluator, Sequence[Expression]], SecretColumn]:
    start, end = name != "trim_end", name != "trim_start"

    def compute(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
        value = of.of(arguments[0])
        if len(arguments) == 1:
            return texts.trim(of.run, value, start=start, end=end)
        return phrases.trim_any(of.run, value, _text(arguments[1]), start=start, end=end)

    return compute


def _replace(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    if not is_public_replacement(arguments):
        text, *others = (of.of(a) for a in arguments)
        return phrases.replace_secret(of.run, text, others[0], others[1])
    old, new = (_text(a).encode() for a in arguments[1:])
    return phrases.replace(of.run, of.of(arguments[0]), old, new)


def _translate(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    old, new = _text(arguments[1]), _text(arguments[2])
    return phrases.translate(of.run, of.of(arguments[0]), old, new)


def _repeat(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    return phrases.repeat(of.run, of.of(arguments[0]), int(_text(arguments[1])), of.counts)


def _pad(*, start: bool) -> Callable[[Evaluator, Sequence[Expression]], SecretColumn]:
    def compute(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
        length, fixed = int(_text(arguments[1])), is_fixed(arguments[2])
        fill = _text(arguments[2]) if fixed else of.of(arguments[2])
        return phrases.pad(of.run, of.of(arguments[0]), length, fill, of.counts, start=start)

    return compute


def _part(
    take: Callable[[Run, SecretColumn, bytes, int], SecretColumn],
) -> Callable[[Evaluator, Sequence[Expression]], SecretColumn]:
    def compute(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
        mark, number = _text(arguments[1]).encode(), int(_text(arguments[2]))
        return take(of.run, of.of(arguments[0]), mark, number)

    return compute


def _matches(of: Evaluator, arguments: Sequence[Expression]) -> SecretColumn:
    return patterns.find_pattern(of.run, of.of(arguments[0]), pattern_steps(_text(arguments[1])))


def _equality(function: str) -> Callable[[Evaluator, Sequence[Expression]], SecretColumn]:
    return lambda of, arguments: of.equality(function, arguments)


_WITH_LITERALS: Final = {
    "matches": _matches,
    **{name: _equality(name) for name in ("eq", "ne")},
    **{name: _trim(name) for name in ("trim", "trim_start", "trim_end")},
    "replace": _replace,
    "translate": _translate,
    "repeat": _repeat,
    "pad_start": _pad(start=True),
    "pad_end": _pad(start=False),
    "split_part": _part(phrases.split_part),
    "substring_index": _part(phrases.substring_index),
    "like": _like,
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "substring": _substring,
    "truncate_to": _truncate,
    **{way: _round(way) for way in rounding.WAYS},
}
_FIELDS: Final = frozenset(
    {"year", "quarter", "month", "day", "day_of_week", "day_of_year", "week", "hour", "minute",
     "second"}
)  # fmt: skip

_Values = Sequence[SecretColumn]
_Simple = Callable[[Evaluator, _Values, DataType], SecretColumn]


def _is_nan(of: Evaluator, values: _Values, _: DataType) -> SecretColumn:
    nan = constant(values[0].layout, math.nan, of.rows)
    found = comparisons.equal_marks(of.run, values[0], nan)
    known = np.ones(of.rows, dtype=np.uint8)
    return logic.truth(of.run, logic.conjunction(of.run, found, known_of(values[0])), known)


def _nullif(of: Evaluator, values: _Values, _: DataType) -> SecretColumn:
    same = logic.value_marks(of.run, comparisons.equal(of.run, *one_layout(values[0], values[1])))
    nothing = constant(values[0].layout, None, of.rows)
    return logic.choose(of.run, same, nothing, values[0])


def _absolute(of: Evaluator, values: _Values, kind: DataType) -> SecretColumn:
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
) -> _Simple:
    def compute(of: Evaluator, values: _Values, _: DataType) -> SecretColumn:
        first, second = one_layout(values[0], values[1])
        return function(of.run, second, first) if turned else function(of.run, first, second)

    return compute


def _extreme(step: Callable[[Run, SecretColumn, SecretColumn], SecretColumn]) -> _Simple:
    def compute(of: Evaluator, values: _Values, _: DataType) -> SecretColumn:
        found = values[0]
        for value in values[1:]:
            found = step(of.run, *one_layout(found, value))
        return found

    return compute


def _concat(of: Evaluator, values: _Values, _: DataType) -> SecretColumn:
    found = values[0]
    for value in values[1:]:
        found = texts.concat(of.run, found, value, of.counts)
    return found


def _whole_quotient(of: Evaluator, values: _Values, kind: DataType) -> SecretColumn:
    return arithmetic.compute(of.run, Operation.DIVIDE, values[0], values[1], kind, of.counts)


def _lenient(of: Evaluator, what: Operation, values: _Values, kind: DataType) -> SecretColumn:
    return numbers.unless_zero(of.run, what, values[0], values[1], kind, of.counts)


def _try(what: Operation) -> _Simple:
    def compute(of: Evaluator, values: _Values, kind: DataType) -> SecretColumn:
        if kind.name in INTEGER_BITS:
            return lenient.try_compute(of.run, what, values[0], values[1], kind)
        return arithmetic.compute(of.run, what, values[0], values[1], kind, of.counts)

    return compute


_BITS: Final = (
    "bits_and", "bits_or", "bits_xor", "shift_left", "shift_right", "shift_right_unsigned",
)  # fmt: skip


def _bits(name: str) -> _Simple:
    return lambda of, values, _: bits.combine_bits(of.run, name, values[0], values[1])


def _name(field: str, names: str) -> _Simple:
    return lambda of, v, _: phrases.name_of(of.run, dates.date_field(of.run, field, v[0]), names)


def _curve(name: str) -> _Simple:
    return lambda of, v, _: curves.curve(of.run, name, v[0])


_SIMPLE: Final[Mapping[str, _Simple]] = {
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
    "lower": lambda of, v, _: texts.change_case(of.run, v[0], of.counts, lower=True),
    "upper": lambda of, v, _: texts.change_case(of.run, v[0], of.counts, lower=False),
    "position": lambda of, v, _: phrases.position(of.run, v[0], v[1]),
    "reverse": lambda of, v, _: phrases.reverse(of.run, v[0]),
    "day_name": _name("day_of_week", "SunMonTueWedThuFriSat"),
    "month_name": _name("month", "JanFebMarAprMayJunJulAugSepOctNovDec"),
    "power": lambda of, v, _: curves.power(of.run, v[0], v[1]),
    **{name: _curve(name) for name in curves.CURVES},
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
}

COMPUTED: Final = frozenset(
    {
        *_SIMPLE, *_WITH_LITERALS, *_FIELDS, *_ARITHMETIC, *LIST_FUNCTIONS, *LAMBDAS, "and", "or",
        "coalesce",
    }
)  # fmt: skip
"""All functions that are computed here: those that `mc2.plan.oblivious` allows."""
