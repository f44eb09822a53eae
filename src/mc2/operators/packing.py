"""Rows in as few words as their values could need: by types and declared ranges, which are public.

Sorting and compaction cost by the words of a row. So tables go through them packed: each value
takes as many bits as its type or its declared range has, side by side, and what a row is sorted by
stands in the highest bits of its first words. Words are taken apart again by the same places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.ascending import in_order_as
from mc2.operators.constants import column_of_values
from mc2.operators.handles import (
    Ends,
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    codes_of,
    ends_of,
    known_of,
    marks_of,
    order_of,
    words_of,
)
from mc2.operators.logic import conjunction
from mc2.operators.planes import (
    UNSIGNED,
    Key,
    joined,
    ordered_words,
    real_places,
    sort_planes,
)
from mc2.operators.run import Run

_BITS: Final = 64
_ALL: Final = (1 << _BITS) - 1
_MOST_KEYS: Final = 8  # words that one sorting network compares
MOST_CODED: Final = 64  # texts of a domain that stand for themselves by a code
_MARKER_BITS: Final = 2  # before each place of a list or struct


@dataclass(frozen=True, slots=True)
class Part:
    """Some bits of one word of a value: (word - low) >> right, of which so many are kept."""

    word: int
    low: int
    right: int
    bits: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Where bits of a part lie: in which plane, how far left; `below` bits of it lie elsewhere."""

    plane: int
    left: int
    bits: int
    below: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part lies, its highest bits first, and what is XORed to it."""

    part: Part
    pieces: tuple[Piece, ...]
    flip: int = 0


@dataclass(frozen=True, slots=True)
class Lying:
    """Where a column lies. Without `known`, it is known in all rows that are read.

    Of a `domain` its codes lie there.
    """

    layout: Layout
    ends: Ends | None
    places: tuple[Place, ...]
    known: Piece | None
    domain: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """Where a table's columns lie, and the marks of the rows that are there."""

    columns: Mapping[str, Lying]
    present: Piece


def parts_of(layout: Layout, declared: Ends | None = None) -> list[Part]:
    """The parts of a value, in the order in which values compare, as unsigned numbers.

    Doubles and floats are given as their ordered words (`order_doubles`) where they are compared.
    """
    if layout.is_nested:
        parts = []
        for start, inside in layout.places():
            parts.append(Part(start, 0, 0, _MARKER_BITS))
            parts += [replace(p, word=start + 1 + p.word) for p in parts_of(inside)]
        return parts
    if layout.is_text:
        size = layout.text_bytes
        parts = []
        for word in range(layout.words - 1):
            bits = 8 * min(8, size - 8 * word)
            parts.append(Part(word, 0, _BITS - bits, bits))
        return [*parts, Part(layout.words - 1, 0, 0, size.bit_length())]
    if layout.is_wide:
        high = max(1, (2 * 10**layout.type.precision).bit_length() - _BITS)
        return [Part(1, -(1 << (high - 1)), 0, high), Part(0, 0, 0, _BITS)]
    if layout.is_real:
        return [Part(0, 0, 0, _BITS)]
    ends = ends_of(layout, declared)
    if ends is None:
        return [Part(0, -(1 << (_BITS - 1)), 0, _BITS)]
    return [Part(0, ends[0], 0, max(1, (ends[1] - ends[0]).bit_length()))]


def _parts_of_column(value: SecretColumn) -> tuple[Words, list[Part]]:
    """What of a column is packed: its words, or its codes."""
    codes = codes_of(value)
    if codes is None or value.domain is None:
        return words_of(value), parts_of(value.layout, value.ends)
    bits = max(1, (len(value.domain) - 1).bit_length())
    return codes.reshape(-1, 1), [Part(0, 0, 0, bits)]


def texts_of_codes(
    run: Run, layout: Layout, domain: tuple[bytes, ...], codes: Words, known: Marks
) -> SecretColumn:
    """The texts of a domain that codes stand for; NULL where they are not known.

    They are looked up once somebody reads them: comparisons, groups and joins take codes.
    """

    def words() -> Words:
        rows, count = len(codes), len(domain)
        texts = words_of(column_of_values(layout, domain))
        planes = [np.empty(rows, dtype=np.uint64) for _ in range(layout.words)]
        few = np.arange(count, dtype=np.uint64), np.ones(count, dtype=np.uint8)
        found = np.empty(rows, dtype=np.uint8)
        run.call(_native.match_few, codes, known, *few, texts, planes, found)
        return joined(planes)

    return SecretColumn(layout, words, known, None, domain, codes)


@dataclass(slots=True)
class Form:
    """Which bits of planes are taken so far, from the highest bit of the first plane on."""

    used: int = 0

    @property
    def planes(self) -> int:
        """How many planes there are so far."""
        return -(-self.used // _BITS)

    def take(self, bits: int) -> tuple[Piece, ...]:
        """The next bits; they may lie in two planes."""
        pieces = []
        while bits:
            plane, offset = divmod(self.used, _BITS)
            here = min(bits, _BITS - offset)
            bits -= here
            pieces.append(Piece(plane, _BITS - offset - here, here, bits))
            self.used += here
        return tuple(pieces)


_Value = tuple[Words, tuple[int, int, int, int, int, int]]


@dataclass(slots=True)
class Packer:
    """Puts values of some rows into planes of a form."""

    run: Run
    form: Form
    rows: int
    _values: dict[int, list[_Value]] = field(default_factory=dict)
    _marks: dict[int, list[tuple[Marks, int]]] = field(default_factory=dict)

    def mark(self, marks: Marks | None) -> Piece:
        """Add a mark; None reserves a bit, which is 0."""
        (piece,) = self.form.take(1)
        if marks is not None:
            self.mark_at(marks, piece)
        return piece

    def mark_at(self, marks: Marks, piece: Piece) -> None:
        """Add a mark where a form has taken a bit for it."""
        self._marks.setdefault(piece.plane, []).append((marks, piece.left))

    def part(self, words: Words, part: Part, *, descending: bool = False) -> Place:
        """Add a part of the values of a column's words."""
        flip = ((1 << part.bits) - 1) << part.right if descending else 0
        place = Place(part, self.form.take(part.bits), flip)
        self.put(words, place)
        return place

    def put(self, words: Words, place: Place) -> None:
        """Add a part where a form has taken its bits."""
        part = place.part
        for piece in place.pieces:
            right = part.right + piece.below
            taken = (part.word, part.low & _ALL, place.flip, right, piece.bits, piece.left)
            self._values.setdefault(piece.plane, []).append((words, taken))

    def column(self, value: SecretColumn) -> Lying:
        """Add a column."""
        known = self.mark(known_of(value))
        words, parts = _parts_of_column(value)
        places = tuple(self.part(words, part) for part in parts)
        return Lying(value.layout, value.ends, places, known, value.domain)

    def key(self, value: SecretColumn, *, descending: bool = False) -> Lying | None:
        """Add the values of a column as what rows are compared by, NULLs by a mark before it.

        Gives where it lies, if it can be read again from there. Of a column that rows come in order
        of, rows that are not there have their place in that order too.
        """
        words, parts = _parts_of_column(value)
        order = order_of(value)
        if order is not None:
            words = order.reshape(-1, 1)
        turned = bool(real_places(value.layout))
        if turned:
            words = ordered_words(self.run, value)
        places = tuple(self.part(words, part, descending=descending) for part in parts)
        if turned:
            return None
        return Lying(value.layout, value.ends, places, None, value.domain)

    def table(self, table: SecretTable, lying: Mapping[int, Lying] | None = None) -> Packed:
        """Add a table; columns whose words `lying` has, by identity, take a mark and no more."""
        present = self.mark(marks_of(table.present))
        columns: dict[str, Lying] = {}
        seen = dict(lying or {})
        for name, value in table.columns.items():
            found = seen.get(id(value))
            if found is None:
                seen[id(value)] = columns[name] = self.column(value)
            elif found.known is not None:
                columns[name] = found
            else:
                known = self.mark(known_of(value))
                columns[name] = replace(found, known=known)
        return Packed(columns, present)

    def write(self, planes: Sequence[Words]) -> None:
        """Write all that was added: to each plane, as long as there are rows."""
        for index, plane in enumerate(planes):
            values = self._values.get(index, [])
            marks = self._marks.get(index, [])
            self.run.call(
                _native.pack_bits,
                [words for words, _ in values],
                [place for _, place in values],
                [mark for mark, _ in marks],
                [left for _, left in marks],
                plane,
            )

    def written(self) -> list[Words]:
        """The planes, new."""
        planes = [np.empty(self.rows, dtype=np.uint64) for _ in range(self.form.planes)]
        self.write(planes)
        return planes


@dataclass(frozen=True, slots=True)
class Source:
    """Packed planes to read from."""

    planes: Sequence[Words]

    @property
    def rows(self) -> int:
        """How many rows they have."""
        return len(self.planes[0])

    def mark(self, run: Run, piece: Piece) -> Marks:
        """A mark."""
        out = np.empty(self.rows, dtype=np.uint8)
        run.call(_native.spread_bit, self.planes[piece.plane], piece.left, out)
        return out

    def column(self, run: Run, lying: Lying, keep: Marks) -> SecretColumn:
        """A column; of rows that are not to be kept nothing comes back."""
        known = keep
        if lying.known is not None:
            known = conjunction(run, self.mark(run, lying.known), keep)
        width = 1 if lying.domain is not None else lying.layout.words
        words = np.empty((self.rows, width), dtype=np.uint64)
        for place in lying.places:
            part = place.part
            planes = [self.planes[piece.plane].reshape(-1, 1) for piece in place.pieces]
            bits = [(0, p.left, p.bits, p.below + part.right) for p in place.pieces]
            ends = (place.flip, part.low & _ALL)
            run.call(_native.unpack_bits, planes, bits, *ends, known, part.word, words)
        if lying.domain is not None:
            return texts_of_codes(run, lying.layout, lying.domain, words.reshape(-1), known)
        return SecretColumn(lying.layout, words, known, lying.ends)

    def table(self, run: Run, packed: Packed, keep: Marks | None = None) -> SecretTable:
        """A table. Of `keep`, only rows with 1 are there."""
        present = self.mark(run, packed.present)
        if keep is not None:
            present = conjunction(run, present, keep)
        columns = {n: self.column(run, lying, present) for n, lying in packed.columns.items()}
        return SecretTable(columns, SecretMarks(present))

    def highest(self, run: Run, bits: int) -> list[Words]:
        """So many bits from the highest of the first plane on: what rows were sorted by."""
        everywhere = np.ones(self.rows, dtype=np.uint8)
        found = []
        for plane in range(-(-bits // _BITS)):
            here = min(_BITS, bits - plane * _BITS)
            words = self.planes[plane]
            if here < _BITS:
                out = np.empty((self.rows, 1), dtype=np.uint64)
                place = [(0, _BITS - here, here, 0)]
                run.call(
                    _native.unpack_bits, [words.reshape(-1, 1)], place, 0, 0, everywhere, 0, out
                )
                words = out.reshape(-1)
            found.append(words)
        return found


def repacked(run: Run, planes: Sequence[Words], packed: Packed) -> tuple[list[Words], Packed]:
    """What lies in planes in new ones, side by side."""
    packer = Packer(run, Form(), len(planes[0]))

    def moved(piece: Piece) -> list[Piece]:
        words = planes[piece.plane].reshape(-1, 1)
        found = []
        for taken in packer.form.take(piece.bits):
            part = Part(0, 0, piece.left, piece.bits)
            packer.put(words, Place(part, (taken,)))
            found.append(replace(taken, below=taken.below + piece.below))
        return found

    columns = {}
    for name, lying in packed.columns.items():
        places = tuple(
            replace(place, pieces=tuple(p for piece in place.pieces for p in moved(piece)))
            for place in lying.places
        )
        known = None if lying.known is None else moved(lying.known)[0]
        columns[name] = replace(lying, places=places, known=known)
    found = Packed(columns, moved(packed.present)[0])
    return packer.written(), found


def sort_packed(run: Run, planes: Sequence[Words], bits: int) -> list[Words]:
    """Sort rows by so many of their highest bits, at least one; in place where it can be."""
    keys = -(-bits // _BITS)
    if keys <= _MOST_KEYS:
        run.call(_native.sort, list(planes), [UNSIGNED] * keys)
        return list(planes)
    by = [Key(p, UNSIGNED) for p in planes[:keys]]
    return [p for part in sort_planes(run, by, planes[keys:]) for p in part]


def merge_packed(run: Run, planes: Sequence[Words], bits: int, first: int) -> list[Words]:
    """What `sort_packed` gives, of rows whose `first` ones ascend by these bits, and the rest too.

    Kernels compare whole words. Rows that agree in these bits may stand in any order in each part:
    what the network does is seen by the highest bits alone as if it compared nothing else.
    """
    run.call(_native.merge, list(planes), [UNSIGNED] * -(-bits // _BITS), first)
    return list(planes)


def first_packed(run: Run, planes: Sequence[Words], bits: int, kept: int) -> list[Words]:
    """The first rows of what `sort_packed` gives; it has at most eight words of keys."""
    out = [np.empty(kept, dtype=np.uint64) for _ in planes]
    run.call(_native.top, list(planes), [UNSIGNED] * -(-bits // _BITS), out)
    return out


def compacted_planes(run: Run, planes: Sequence[Words], keep: Marks, rows: int) -> list[Words]:
    """The marked rows in front, in order, cut to so many places; others are of no meaning."""
    moved = np.empty((len(planes[0]), len(planes)), dtype=np.uint64)
    run.call(_native.pack, list(planes), moved)
    run.call(_native.compact, moved, keep)
    found = [np.empty(rows, dtype=np.uint64) for _ in planes]
    run.call(_native.unpack, moved[:rows], found)
    return found


def to_front(run: Run, table: SecretTable, rows: int) -> SecretTable:
    """The rows that are there in front, in order, in so many places."""
    packer = Packer(run, Form(), table.rows)
    packed = packer.table(table)
    planes = compacted_planes(run, packer.written(), marks_of(table.present), rows)
    return in_order_as(run, Source(planes).table(run, packed), table)
