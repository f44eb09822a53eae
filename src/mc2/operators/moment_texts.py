"""Dates and times by patterns (docs/spec/plan.md, "Patterns of dates"), in the years 1 to 9999."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    SecretMarks,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import choose, column, complement, conjunction
from mc2.operators.months import check_years
from mc2.operators.numbers import floored
from mc2.operators.run import Flag, Run
from mc2.operators.spelling import inside, moment_of
from mc2.operators.texts import concat
from mc2.plan.moment_format import Piece, read_format
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
_LAST_HOUR: Final = 23
_TWO: Final = 2
_CENTURY: Final = 2000
"""Of years by two digits."""
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9999
_TEXT_BYTES: Final = 16
"""Of a pattern that a kernel compares at once."""
_HALVES: Final = ("am", "aM", "Am", "AM", "pm", "pM", "Pm", "PM")


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
    return _integers(run, Operation.ADD, words, np.full_like(words, more), nowhere)


def _integers(run: Run, what: Operation, a: Words, b: Words, nowhere: Marks) -> Words:
    """Of parts of a moment, which are far from overflow."""
    out = np.empty_like(a)
    run.checked(_native.integers, int(what), a, b, nowhere, out)
    return out


def _name(run: Run, number: SecretColumn, first: int, names: tuple[str, ...]) -> SecretColumn:
    """The name of a number, of a few public ones that count from `first`."""
    layout = Layout(STRING, max(map(len, names)))
    found = constant(layout, names[0].encode(), number.rows)
    for place, name in enumerate(names[1:], first + 1):
        here = equal_marks(run, number, constant(number.layout, place, number.rows))
        found = choose(run, here, constant(layout, name.encode(), number.rows), found)
    return found


def parse_moment(
    run: Run, a: SecretColumn, pattern: str, counts: Marks, *, strict: bool
) -> SecretColumn:
    """The time that a text says by a public pattern; NULL where it says none, a flag if `strict`.

    What the pattern has no field for is that of the start of 1970.
    """
    pieces = read_format(pattern)
    fields = [p.text for p in pieces if p.is_field]
    out = np.empty((a.rows, len(fields)), dtype=np.uint64)
    read = np.zeros(a.rows, dtype=np.uint8)
    if fields:  # else no text is a time
        run.call(_native.read_pieces, words_of(a), _read_as(pieces), out, read)
    taken = {f[0]: np.ascontiguousarray(out[:, place]) for place, f in enumerate(fields)}
    known = conjunction(run, known_of(a), read)
    found = _built(run, taken, {f[0]: len(f) for f in fields}, known)
    if strict:
        unread = conjunction(run, counts, known_of(a), complement(run, known_of(found)))
        run.raise_where(SecretMarks(unread), Flag.BAD_CAST)
    return found


def _read_as(pieces: Sequence[Piece]) -> list[tuple[int, int, bool, list[bytes]]]:
    """The pieces as the kernel takes them: fewest and most digits, or a text, or names."""
    found: list[tuple[int, int, bool, list[bytes]]] = []
    for piece in pieces:
        names = names_of(piece.text) if piece.is_field else None
        if not piece.is_field:
            text = piece.text.encode()
            cuts = range(0, len(text), _TEXT_BYTES)
            found += [(0, 0, False, [text[at : at + _TEXT_BYTES]]) for at in cuts]
        elif piece.text == "a":
            found.append((0, 0, True, [h.encode() for h in _HALVES]))
        elif names is not None:
            found.append((0, 0, True, [n.encode() for n in names]))
        else:
            found.append((*digits_of(piece.text), False, []))
    return found


def _built(
    run: Run, taken: Mapping[str, Words], letters: Mapping[str, int], known: Marks
) -> SecretColumn:
    nowhere, rows = np.zeros_like(known), len(known)

    def plus(words: Words, more: int) -> Words:
        return _plus(run, words, more, nowhere) if more else words

    def field_(letter: str, default: int) -> Words:
        found = taken.get(letter)
        return np.full(rows, default, dtype=np.uint64) if found is None else found

    year = plus(field_("y", _FIRST_YEAR), _CENTURY if letters.get("y") == _TWO else 0)
    month = plus(field_("M", 1), 1 if letters.get("M", 1) > _TWO else 0)  # names count from 0
    hour = field_("H", 0)
    if "h" in taken:
        known = conjunction(run, known, inside(run, taken["h"], _NOON, 1))
        hour = _of_clock(run, taken["h"], taken["a"], nowhere)
    micros = field_("S", 0)
    unit = 10 ** (_FRACTION_DIGITS - letters.get("S", _FRACTION_DIGITS))
    micros = _integers(run, Operation.MULTIPLY, micros, np.full_like(micros, unit), nowhere)
    known = conjunction(run, known, inside(run, hour, _LAST_HOUR), inside(run, year, _LAST_YEAR, 1))
    clock = [hour, field_("m", 0), field_("s", 0), micros]
    return moment_of(run, TIMESTAMP, [year, month, field_("d", 1), *clock], known)


def _of_clock(run: Run, hour: Words, half: Words, nowhere: Marks) -> Words:
    """The hour of a day by one from 1 to 12 and a place among `_HALVES`."""
    short, after = np.empty_like(hour), np.empty_like(hour)
    run.call(_native.modulo, hour, _NOON, short)
    run.call(_native.floor_divide, half, len(_HALVES) // 2, after)
    noon = np.full_like(hour, _NOON)
    later = _integers(run, Operation.MULTIPLY, after, noon, nowhere)
    return _integers(run, Operation.ADD, short, later, nowhere)
