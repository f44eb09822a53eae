"""Dates and times by patterns (docs/spec/plan.md, "Patterns of dates"), in the years 1 to 9999."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.arithmetic import Operation, widened
from mc2.operators.comparisons import equal_marks
from mc2.operators.constants import constant
from mc2.operators.conversions import cast
from mc2.operators.dates import TIME_UNITS, date_field, iso_day_of_week
from mc2.operators.elements import numbers
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import choose, column
from mc2.operators.months import check_years
from mc2.operators.numbers import floored
from mc2.operators.run import Run
from mc2.operators.texts import concat
from mc2.plan.moment_format import read_format
from mc2.plan.oblivious_moments import digits_of, names_of
from mc2.plan.types import DATE, STRING, TIMESTAMP

_MOST_PARTS: Final = 8
"""That a kernel writes at once."""
_FIELDS: Final = {
    "y": "year", "M": "month", "d": "day", "D": "day_of_year", "Q": "quarter", "q": "quarter",
    "H": "hour", "m": "minute", "s": "second",
}  # fmt: skip
_FRACTION_DIGITS: Final = 6
_ASCII_END: Final = 128
_NOON: Final = 12


@dataclass(slots=True)
class _Writing:
    """The columns of texts so far, then fields of fixed widths and a text that wait for more."""

    run: Run
    known: Marks
    written: list[SecretColumn] = field(default_factory=list)
    numbers: list[Words] = field(default_factory=list)
    parts: list[tuple[int, int]] = field(default_factory=list)
    text: bytes = b""

    def put_digits(self, number: Words, digits: int) -> None:
        """The lowest digits of a number, with zeros before it."""
        before = self.text if len(self.text) == 1 and self.text[0] in range(1, _ASCII_END) else b""
        if self.text and not before:
            self.put_column(None)
        if len(self.parts) == _MOST_PARTS:
            self._write_parts()
        self.parts.append((before[0] if before else 0, digits))
        self.numbers.append(number)
        self.text = b""

    def put_column(self, found: SecretColumn | None) -> None:
        """What is of no fixed width, behind all that waits."""
        self._write_parts()
        if self.text:
            layout = Layout(STRING, len(self.text))
            self.written.append(constant(layout, self.text, len(self.known)))
            self.text = b""
        if found is not None:
            self.written.append(found)

    def _write_parts(self) -> None:
        if self.parts:
            layout = Layout(STRING, sum(digits + bool(before) for before, digits in self.parts))
            out = np.empty((len(self.known), layout.words), dtype=np.uint64)
            fields = np.ascontiguousarray(np.stack(self.numbers, axis=1))
            self.run.call(_native.spell_parts, fields, self.parts, out)
            self.written.append(column(self.run, layout, out, np.ones_like(self.known)))
        self.parts, self.numbers = [], []

    def whole(self) -> SecretColumn:
        """All of it, one after the other."""
        self.put_column(None)
        nowhere = np.zeros_like(self.known)
        found = constant(Layout(STRING, 1), b"", len(self.known))
        for place, more in enumerate(self.written):
            found = concat(self.run, found, more, nowhere) if place else more
        return column(self.run, found.layout, words_of(found), self.known)


def format_moment(run: Run, a: SecretColumn, pattern: str, counts: Marks) -> SecretColumn:
    """A date or time as a public pattern says; a flag in years that have not four digits."""
    check_years(run, a, counts)
    nowhere = np.zeros_like(known_of(a))
    time = cast(run, a, TIMESTAMP, nowhere) if a.type == DATE else a
    writing = _Writing(run, known_of(a))
    for piece in read_format(pattern):
        if piece.is_field:
            _put_field(writing, piece.text, time)
        else:
            writing.text += piece.text.encode()
    return writing.whole()


def _put_field(writing: _Writing, field_: str, time: SecretColumn) -> None:
    run, names = writing.run, names_of(field_)
    number = _field(run, field_[0], time)
    if names is not None:
        first = 0 if field_ == "a" else 1
        writing.put_column(_name(run, numbers(number), first, names))
        return
    least, most = digits_of(field_)
    if field_[0] == "S" and most < _FRACTION_DIGITS:
        number = flat_words_of(floored(run, numbers(number), 10 ** (_FRACTION_DIGITS - most)))
    if least == most:
        writing.put_digits(number, most)
        return
    layout = Layout(STRING, most)
    out = np.empty((time.rows, layout.words), dtype=np.uint64)
    run.call(_native.spell_decimal, widened(run, numbers(number)), False, 0, out)
    writing.put_column(column(run, layout, out, np.ones_like(writing.known)))


def _field(run: Run, letter: str, time: SecretColumn) -> Words:
    """The number of a field of a time; the halves of a day are 0 and 1."""
    if letter in _FIELDS:
        return flat_words_of(date_field(run, _FIELDS[letter], time))
    if letter == "E":
        return flat_words_of(iso_day_of_week(run, time))
    out = np.empty(time.rows, dtype=np.uint64)
    if letter == "S":
        run.call(_native.modulo, flat_words_of(time), TIME_UNITS["second"], out)
        return out
    hour = flat_words_of(date_field(run, "hour", time))
    if letter == "a":
        run.call(_native.floor_divide, hour, _NOON, out)
        return out
    nowhere = np.zeros(time.rows, dtype=np.uint8)
    before = _plus(run, hour, _NOON - 1, nowhere)
    run.call(_native.modulo, before, _NOON, out)
    return _plus(run, out, 1, nowhere)


def _plus(run: Run, words: Words, more: int, nowhere: Marks) -> Words:
    out = np.empty_like(words)
    run.checked(
        _native.integers, int(Operation.ADD), words, np.full_like(words, more), nowhere, out
    )
    return out


def _name(run: Run, number: SecretColumn, first: int, names: tuple[str, ...]) -> SecretColumn:
    """The name of a number, of a few public ones that count from `first`."""
    layout = Layout(STRING, max(map(len, names)))
    found = constant(layout, names[0].encode(), number.rows)
    for place, name in enumerate(names[1:], first + 1):
        here = equal_marks(run, number, constant(number.layout, place, number.rows))
        found = choose(run, here, constant(layout, name.encode(), number.rows), found)
    return found
