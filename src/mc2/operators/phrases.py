"""Functions of texts at secret places; places count characters (code points), from 1."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.operators.arithmetic import Operation, compute
from mc2.operators.comparisons import at_most, equal, equal_marks, less_marks
from mc2.operators.constants import constant
from mc2.operators.handles import (
    MOST_TEXT_BYTES,
    Layout,
    Marks,
    SecretColumn,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import both, choose, column, complement, conjunction, disjunction
from mc2.operators.run import Run
from mc2.operators.texts import concat, count_characters, fitted, shortened
from mc2.plan.oblivious_texts import (
    CHARACTER_BYTES,
    replaced_bytes,
    translated_growth,
)
from mc2.plan.types import INT32, STRING


def substring_at(
    run: Run, a: SecretColumn, start: SecretColumn, count: SecretColumn, *, characters: bool = True
) -> SecretColumn:
    """At most so many characters or bytes from a place, both secret; below zero from the end."""
    known = conjunction(run, known_of(a), known_of(start), known_of(count))
    out = np.empty_like(words_of(a))
    places = (flat_words_of(start).view(np.int64), flat_words_of(count).view(np.int64))
    run.call(_native.substring_at, characters, words_of(a), *places, out)
    return column(run, a.layout, out, known)


def position(
    run: Run, a: SecretColumn, b: SecretColumn, *, characters: bool = True
) -> SecretColumn:
    """Where the second first occurs in the first, in characters or bytes; 0 if nowhere."""
    known = conjunction(run, known_of(a), known_of(b))
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.position, characters, words_of(a), words_of(b), out)
    return column(run, Layout(INT32), out, known)


def contains(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether the second occurs in the first."""
    return at_most(run, _number(1, a.rows), position(run, a, b, characters=False))


def begins(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether the first starts with the second."""
    return _alike(run, substring_at(run, a, _number(1, a.rows), _size(b), characters=False), b)


def ends(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether the first ends with the second."""
    nowhere = np.zeros(a.rows, dtype=np.uint8)
    less = compute(
        run, Operation.SUBTRACT, _number(0, a.rows), _size(b), INT32, np.zeros_like(nowhere)
    )
    long_enough = at_most(run, _size(b), _size(a))
    tail = substring_at(run, a, less, _size(b), characters=False)
    empty = equal(run, _size(b), _number(0, b.rows))
    found = both(run, long_enough, _alike(run, tail, b))
    return choose(run, _true(run, empty), _truth_where_known(run, empty, a, b), found)


def _true(run: Run, a: SecretColumn) -> Marks:
    out = np.empty(a.rows, dtype=np.uint8)
    run.call(_native.words_to_marks, flat_words_of(a), out)
    return out


def _truth_where_known(
    run: Run, truth: SecretColumn, a: SecretColumn, b: SecretColumn
) -> SecretColumn:
    known = conjunction(run, known_of(a), known_of(b))
    return column(run, truth.layout, words_of(truth), known)


def _alike(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    most = max(a.layout.text_bytes, b.layout.text_bytes)
    return equal(run, *(fitted(x, most) for x in (a, b)))


def _size(a: SecretColumn) -> SecretColumn:
    """The length in bytes."""
    return SecretColumn(Layout(INT32), np.ascontiguousarray(words_of(a)[:, -1:]), known_of(a))


def _number(value: int, rows: int) -> SecretColumn:
    return constant(Layout(INT32), value, rows)


def reverse(run: Run, a: SecretColumn) -> SecretColumn:
    """Characters from the last to the first."""
    out = np.empty_like(words_of(a))
    run.call(_native.reverse, words_of(a), out)
    return column(run, a.layout, out, known_of(a))


def replace(run: Run, a: SecretColumn, old: bytes, new: bytes) -> SecretColumn:
    """Each occurrence of a public text, from the left, made another one; nothing for no text."""
    if not old:
        return a
    room = replaced_bytes(8 * (a.layout.words - 1), len(old), len(new))
    if room > MOST_TEXT_BYTES:
        raise EngineError(f"the text could have more than {MOST_TEXT_BYTES} bytes")
    wide = Layout(a.type, room)
    out = np.empty((a.rows, wide.words), dtype=np.uint64)
    run.call(_native.replace, words_of(a), old, new, out)
    made = column(run, wide, out, known_of(a))
    return shortened(made, replaced_bytes(a.layout.text_bytes, len(old), len(new)))


def replace_secret(run: Run, a: SecretColumn, old: SecretColumn, new: SecretColumn) -> SecretColumn:
    """As `replace`, of texts that nobody may know: a search for each byte that there could be."""
    nowhere = np.zeros_like(known_of(a))
    known = conjunction(run, known_of(a), known_of(old), known_of(new))
    most = a.layout.text_bytes
    room = most * max(1, new.layout.text_bytes)
    one, zero, all_of_it = (_number(n, a.rows) for n in (1, 0, MOST_TEXT_BYTES))
    empty = equal_marks(run, _size(old), zero)
    rest, found = a, shortened(_nothing(run, a), 1)
    for _ in range(most):
        place = position(run, rest, old, characters=False)
        here = conjunction(run, less_marks(run, zero, place), complement(run, empty))
        before = substring_at(run, rest, one, _sum(run, place, -1), characters=False)
        after = compute(run, Operation.ADD, place, _size(old), INT32, nowhere)
        tail = substring_at(run, rest, after, all_of_it, characters=False)
        for part in (before, new):
            longer = concat(run, found, part, nowhere)
            found = choose(run, here, longer, fitted(found, longer.layout.text_bytes))
            found = shortened(found, min(room, found.layout.text_bytes))
        rest = choose(run, here, tail, rest)
    found = concat(run, found, rest, nowhere)
    found = shortened(found, min(room, found.layout.text_bytes))
    return column(run, found.layout, words_of(found), known)


def concat_with(
    run: Run, mark: SecretColumn, values: Sequence[SecretColumn], counts: Marks
) -> SecretColumn:
    """The values that are known one after the other, with a text between them."""
    found = constant(Layout(STRING, 1), b"", mark.rows)
    some = np.zeros(mark.rows, dtype=np.uint8)
    for place, value in enumerate(values):
        piece = value
        if place:
            after = concat(run, mark, value, counts)
            piece = choose(run, some, after, fitted(value, after.layout.text_bytes))
        longer = concat(run, found, piece, counts) if place else piece
        known = known_of(value)
        found = choose(run, known, longer, fitted(found, longer.layout.text_bytes))
        some = disjunction(run, some, known)
    return column(run, found.layout, words_of(found), known_of(mark))


def translate(run: Run, a: SecretColumn, old: str, new: str) -> SecretColumn:
    """Each character of the second made the one at its place in the third, or nothing."""
    table: dict[str, str] = {}
    for character, by in zip_longest(old, new[: len(old)], fillvalue=""):
        table.setdefault(character, by)
    growth = translated_growth(old, new)
    wide = Layout(a.type, min(MOST_TEXT_BYTES, 8 * growth * (a.layout.words - 1)))
    out = np.empty((a.rows, wide.words), dtype=np.uint64)
    pairs = [(character.encode(), by.encode()) for character, by in table.items()]
    run.call(_native.translate, words_of(a), pairs, out)
    return shortened(column(run, wide, out, known_of(a)), growth * a.layout.text_bytes)


def trim_any(run: Run, a: SecretColumn, characters: str, *, start: bool, end: bool) -> SecretColumn:
    """Without some public characters at the start, the end, or both."""
    out, some = np.empty_like(words_of(a)), [c.encode() for c in sorted(set(characters))]
    run.call(_native.trim_any, words_of(a), some, start, end, out)
    return column(run, a.layout, out, known_of(a))


def repeat(run: Run, a: SecretColumn, count: int, counts: Marks) -> SecretColumn:
    """The text a public number of times, one after the other."""
    if count < 1:
        return shortened(_nothing(run, a), 1)
    found = a
    for _ in range(count - 1):
        found = concat(run, found, a, counts)
    return found


def _nothing(run: Run, a: SecretColumn) -> SecretColumn:
    """The empty text where a text is known."""
    return column(run, a.layout, np.zeros_like(words_of(a)), known_of(a))


def pad(
    run: Run, a: SecretColumn, length: int, fill: str | SecretColumn, counts: Marks, *, start: bool
) -> SecretColumn:
    """Filled up by a text at the start or the end, or cut, to a public number of characters.

    Raises: EngineError if texts could become too long.
    """
    if length < 1:
        return shortened(_nothing(run, a), 1)
    ends_at, first = _number(length, a.rows), _number(1, a.rows)
    cut = substring_at(run, a, first, ends_at)
    cut = shortened(cut, min(a.layout.text_bytes, CHARACTER_BYTES * length))
    if not isinstance(fill, SecretColumn):
        if not fill:
            return cut
        again = (fill * length)[:length].encode()
        filling = constant(Layout(STRING, len(again)), again, a.rows)
    else:
        filling = _repeated_to(run, fill, length)
    nowhere = np.zeros_like(known_of(a))
    missing = compute(run, Operation.SUBTRACT, ends_at, count_characters(run, cut), INT32, nowhere)
    filling = substring_at(run, filling, first, missing)
    pair = (filling, cut) if start else (cut, filling)
    made = concat(run, *pair, counts)
    return shortened(made, min(CHARACTER_BYTES * length, made.layout.text_bytes))


def _repeated_to(run: Run, fill: SecretColumn, length: int) -> SecretColumn:
    """A text again and again, to so many characters; nothing for no text."""
    nowhere, copies = np.zeros_like(known_of(fill)), 1
    first, last = _number(1, fill.rows), _number(length, fill.rows)
    most = CHARACTER_BYTES * length
    found = substring_at(run, fill, first, last)
    found = shortened(found, min(most, found.layout.text_bytes))
    while copies < length:
        found = substring_at(run, concat(run, found, found, nowhere), first, last)
        found = shortened(found, min(most, found.layout.text_bytes))
        copies *= 2
    return shortened(found, min(length * fill.layout.text_bytes, found.layout.text_bytes))


def split_part(run: Run, a: SecretColumn, mark: bytes, number: int) -> SecretColumn:
    """The part of a public number, from the end if below zero, between public texts."""
    if not mark:
        return a if abs(number) == 1 else shortened(_nothing(run, a), 1)
    return _part(run, a, mark, number, around=False)


def substring_index(run: Run, a: SecretColumn, mark: bytes, count: int) -> SecretColumn:
    """What stands before so many public texts, or after them from the end if below zero."""
    if not mark or not count:
        return shortened(_nothing(run, a), 1)
    return _part(run, a, mark, count, around=True)


def _part(run: Run, a: SecretColumn, mark: bytes, number: int, *, around: bool) -> SecretColumn:
    out = np.empty_like(words_of(a))
    run.call(_native.part, around, words_of(a), mark, number, out)
    return column(run, a.layout, out, known_of(a))


def _sum(run: Run, a: SecretColumn, more: int) -> SecretColumn:
    nowhere = np.zeros_like(known_of(a))
    return compute(run, Operation.ADD, a, _number(more, a.rows), INT32, nowhere)


def name_of(run: Run, number: SecretColumn, names: str) -> SecretColumn:
    """The name of three letters at a place, from 1, of public names one after the other."""
    nowhere = np.zeros_like(known_of(number))
    three = _number(3, number.rows)
    before = compute(run, Operation.MULTIPLY, number, three, INT32, nowhere)
    all_names = constant(Layout(STRING, len(names)), names.encode(), number.rows)
    start = _sum(run, before, -2)
    return shortened(substring_at(run, all_names, start, three, characters=False), 3)
