"""Casts from texts and to texts of a public greatest length: numbers, dates, times, booleans.

A double's text and the double that a text means are found exactly, whatever the text's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.formats.schema import DataType
from mc2.operators.arithmetic import Operation, narrowed, widened
from mc2.operators.comparisons import equal_marks
from mc2.operators.constants import constant
from mc2.operators.conversions import MICROSECONDS_PER_DAY
from mc2.operators.dates import date_field, days_of
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.lenient import between, integer_or_null
from mc2.operators.logic import choose, column, complement, conjunction, disjunction, truth
from mc2.operators.phrases import trim_any
from mc2.operators.run import Flag, Run
from mc2.operators.texts import change_case, concat, fitted
from mc2.plan.oblivious_texts import spelled_bytes
from mc2.plan.types import BOOLEAN, DOUBLE, FLOAT, INT32, INT64, INTEGER_BITS, STRING

_BLANKS: Final = " \t\n\r"
_TRUE: Final = ("t", "true", "y", "yes", "1")
_FALSE: Final = ("f", "false", "n", "no", "0")
_INSTANTS: Final = ("timestamp", "timestamp_utc")
_FIRST_YEAR: Final = 1
_LAST_YEAR: Final = 9999
_DAY_PARTS: Final = ((0, 4), (ord("-"), 2), (ord("-"), 2))
_TIME_PARTS: Final = ((ord(" "), 2), (ord(":"), 2), (ord(":"), 2))
_HOUR: Final = 3_600_000_000
_UNITS: Final = ((_HOUR, 24), (60_000_000, 60), (1_000_000, 60))
_MICROSECONDS: Final = 1_000_000
_FIELDS: Final = 7


# --- to texts


def to_text(run: Run, a: SecretColumn, counts: Marks) -> SecretColumn:
    """The text of a value, as docs/spec/plan.md writes it; years are 1 to 9999.

    Raises: EngineError for types that have none here.
    """
    kind = a.type
    layout = Layout(STRING, spelled_bytes(kind))
    if kind == BOOLEAN:
        words = [constant(layout, name, a.rows) for name in (b"true", b"false")]
        set_marks = np.empty(a.rows, dtype=np.uint8)
        run.call(_native.words_to_marks, flat_words_of(a), set_marks)
        return column(run, layout, words_of(choose(run, set_marks, *words)), known_of(a))
    if kind.name in INTEGER_BITS or kind.name == "decimal":
        out = np.empty((a.rows, layout.words), dtype=np.uint64)
        run.call(_native.spell_decimal, widened(run, a), a.layout.is_wide, kind.scale, out)
        return column(run, layout, out, known_of(a))
    if a.layout.is_real:
        out = np.empty((a.rows, layout.words), dtype=np.uint64)
        run.call(_native.spell_double, flat_words_of(a), kind == FLOAT, out)
        return column(run, layout, out, known_of(a))
    if kind.name == "date":
        return _day_text(run, a, counts)
    if kind.name in _INSTANTS:
        return _time_text(run, a, counts)
    raise EngineError(f"oblivious mode has no cast from {kind} to string")


def _day_text(run: Run, a: SecretColumn, counts: Marks) -> SecretColumn:
    year = date_field(run, "year", a)
    counted = conjunction(run, counts, known_of(a))
    ends = (_FIRST_YEAR, _LAST_YEAR)
    flag = int(Flag.OUT_OF_DOMAIN)
    run.checked(_native.check_range, flat_words_of(year), *ends, counted, flag)
    fields = [year, date_field(run, "month", a), date_field(run, "day", a)]
    return _parts(run, [flat_words_of(f) for f in fields], _DAY_PARTS, known_of(a))


def _parts(
    run: Run, fields: list[Words], parts: tuple[tuple[int, int], ...], known: Marks
) -> SecretColumn:
    layout = Layout(STRING, sum(digits + bool(before) for before, digits in parts))
    out = np.empty((len(known), layout.words), dtype=np.uint64)
    run.call(_native.spell_parts, np.ascontiguousarray(np.stack(fields, 1)), list(parts), out)
    return column(run, layout, out, known)


def _time_text(run: Run, a: SecretColumn, counts: Marks) -> SecretColumn:
    day = SecretColumn(Layout(DataType("date")), days_of(run, a).reshape(-1, 1), known_of(a))
    fields = []
    for unit, most in _UNITS:
        whole, part = np.empty((2, a.rows), dtype=np.uint64)
        run.call(_native.floor_divide, flat_words_of(a), unit, whole)
        run.call(_native.modulo, whole, most, part)
        fields.append(part)
    rest = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.modulo, flat_words_of(a), _MICROSECONDS, rest)
    fraction = _parts(run, [rest], ((ord("."), 6),), known_of(a))
    for taken in "0.":  # the zeros at the end, then a point that nothing follows
        fraction = trim_any(run, fraction, taken, start=False, end=True)
    clock = _parts(run, fields, _TIME_PARTS, known_of(a))
    nowhere = np.zeros_like(known_of(a))
    return concat(run, concat(run, _day_text(run, day, counts), clock, nowhere), fraction, nowhere)


# --- from texts


def from_text(
    run: Run, a: SecretColumn, kind: DataType, counts: Marks, *, strict: bool
) -> SecretColumn:
    """What a text says, NULL where it says no such thing; if `strict` that raises a flag.

    Raises: EngineError for types that are not read here.
    """
    bare = trim_any(run, a, _BLANKS, start=True, end=True)
    if kind == BOOLEAN:
        found = _read_boolean(run, bare)
    elif kind.name in INTEGER_BITS:
        wide, known = _read_number(run, bare, 0, point=False)
        found = integer_or_null(run, wide, kind, known)
    elif kind.name == "decimal":
        wide, known = _read_number(run, bare, kind.scale, point=True)
        most = 10**kind.precision - 1
        known = between(run, wide, -most, most, known)
        layout, nowhere = Layout(kind), np.zeros_like(known)
        found = column(run, layout, narrowed(run, wide, layout, nowhere), known)
    elif kind in {DOUBLE, FLOAT}:
        out, read = np.empty(a.rows, dtype=np.uint64), np.empty(a.rows, dtype=np.uint8)
        run.call(_native.read_double, words_of(bare), kind == FLOAT, out, read)
        found = column(run, Layout(kind), out, conjunction(run, known_of(bare), read))
    elif kind.name == "date" or kind.name in _INSTANTS:
        found = _read_moment(run, bare, kind)
    else:
        raise EngineError(f"oblivious mode has no cast from {a.type} to {kind}")
    if strict:
        unread = conjunction(run, counts, known_of(a), complement(run, known_of(found)))
        run.raise_where(SecretMarks(unread), Flag.BAD_CAST)
    return found


def _read_boolean(run: Run, a: SecretColumn) -> SecretColumn:
    # Text beyond ASCII is none of the names, in whatever case.
    low = change_case(run, a, np.zeros_like(known_of(a)), lower=True)
    width = max(low.layout.text_bytes, len("false"))
    low = fitted(low, width)
    marks = []
    for names in (_TRUE, _FALSE):
        words = [constant(low.layout, n.encode(), a.rows) for n in names]
        found = equal_marks(run, low, words[0])
        for word in words[1:]:
            found = disjunction(run, found, equal_marks(run, low, word))
        marks.append(found)
    return truth(run, marks[0], conjunction(run, known_of(a), disjunction(run, *marks)))


def _read_number(run: Run, a: SecretColumn, scale: int, *, point: bool) -> tuple[Words, Marks]:
    out, read = np.empty((a.rows, 2), dtype=np.uint64), np.empty(a.rows, dtype=np.uint8)
    run.call(_native.read_decimal, words_of(a), point, scale, out, read)
    return out, conjunction(run, known_of(a), read)


def _read_moment(run: Run, a: SecretColumn, kind: DataType) -> SecretColumn:
    time, zoned = kind.name != "date", kind.name == "timestamp_utc"
    out, read = np.empty((a.rows, _FIELDS), dtype=np.uint64), np.empty(a.rows, dtype=np.uint8)
    run.call(_native.read_moment, words_of(a), time, zoned, out, read)
    fields = [np.ascontiguousarray(out[:, place]) for place in range(_FIELDS)]
    return moment_of(run, kind, fields, conjunction(run, known_of(a), read))


def moment_of(run: Run, kind: DataType, fields: Sequence[Words], known: Marks) -> SecretColumn:
    """A date or time of year, month, day, hour, minute, second and microsecond.

    NULL where there is none; midnight may be hour 24.
    """
    time = kind.name != "date"
    year, month, day, *clock = fields
    known = conjunction(run, known, _is_day(run, year, month, day))
    nowhere = np.zeros_like(known)
    days, flags = np.empty_like(year), np.zeros(1, dtype=np.uint64)
    run.call(_native.make_date, year, month, day, nowhere, days, flags)
    if not time:
        return column(run, Layout(kind), days, known)
    time_of_day = clock[3]
    for part, (unit, most) in zip(clock[:3], _UNITS, strict=True):
        known = conjunction(run, known, inside(run, part, most - (unit < _HOUR)))
        moved = _integers(run, Operation.MULTIPLY, part, np.full_like(part, unit))
        time_of_day = _integers(run, Operation.ADD, time_of_day, moved)
    known = conjunction(run, known, inside(run, time_of_day, MICROSECONDS_PER_DAY))
    start = _integers(run, Operation.MULTIPLY, days, np.full_like(days, MICROSECONDS_PER_DAY))
    return column(run, Layout(kind), _integers(run, Operation.ADD, start, time_of_day), known)


def _is_day(run: Run, year: Words, month: Words, day: Words) -> Marks:
    """Where there is such a day: it is the same when it is taken apart again."""
    rows = len(year)
    everywhere, nowhere = np.ones(rows, dtype=np.uint8), np.zeros(rows, dtype=np.uint8)
    days, flags = np.empty_like(year), np.zeros(1, dtype=np.uint64)
    run.call(_native.make_date, year, month, day, nowhere, days, flags)
    made = SecretColumn(Layout(DataType("date")), days.reshape(-1, 1), everywhere)
    same = everywhere
    for name, given in (("year", year), ("month", month), ("day", day)):
        there = date_field(run, name, made)
        asked = SecretColumn(Layout(INT32), given.reshape(-1, 1), everywhere)
        same = conjunction(run, same, equal_marks(run, there, asked))
    return same


def inside(run: Run, words: Words, high: int, low: int = 0) -> Marks:
    """Where whole numbers are in a public range."""
    everywhere = np.ones(len(words), dtype=np.uint8)
    value = SecretColumn(Layout(INT64), words.reshape(-1, 1), everywhere)
    return between(run, widened(run, value), low, high, everywhere)


def _integers(run: Run, what: Operation, a: Words, b: Words) -> Words:
    """Of parts of a moment: what is beyond 64 bits was no moment."""
    out, nowhere = np.empty_like(a), np.zeros(len(a), dtype=np.uint8)
    run.checked(_native.integers, int(what), a, b, nowhere, out)
    return out
