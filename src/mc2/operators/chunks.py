"""Padded chunks to secret tables and back, at public places only (`mc2.formats.fixed`).

Owners could seal anything. What is read here is made sound, or raises a flag: values of NULLs and
of rows that are not there become zeros, numbers fit their types, texts are UTF-8 within their
widths, and declared ranges and domains hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.errors import FormatError
from mc2.formats.fixed import COUNT_AT, MAGIC, ChunkForm, FixedPlaces, Places
from mc2.formats.manifest import chunk_count
from mc2.formats.schema import Column, Schema
from mc2.operators.ascending import checked_order
from mc2.operators.constants import column_of_values
from mc2.operators.elements import Elements, elements, listed, places_below
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    flat_words_of,
    known_of,
    layout_of,
    marks_of,
    words_of,
)
from mc2.operators.lists import field, list_size, make_struct
from mc2.operators.logic import column, complement, conjunction
from mc2.operators.ordering import union_all
from mc2.operators.packing import MOST_CODED
from mc2.operators.run import Flag, Run
from mc2.plan.types import INT64

_HEADER: Final = slice(0, COUNT_AT)
_COUNT: Final = slice(COUNT_AT, COUNT_AT + 4)
_WORD_BYTES: Final = 8
_LENGTH_BYTES: Final = 4
Bytes = npt.NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)


def layout_in(form: ChunkForm, name: str) -> Layout:
    """How a column lies in words."""
    return layout_of(form.schema.by_name()[name].type, form.facts.widths, name)


def read_chunks(
    run: Run, form: ChunkForm, plains: Sequence[bytes | bytearray], names: Sequence[str]
) -> SecretTable:
    """Some columns of a table from the plaintexts of all its chunks, in order.

    Raises: FormatError if one is not as long as its columns say, or no chunk of this kind.
    """
    chunks = [np.frombuffer(plain, np.uint8) for plain in plains]
    for chunk in chunks:
        if len(chunk) != form.places.size or chunk[_HEADER].tobytes() != MAGIC:
            raise FormatError("a chunk does not start with MC2F, or is not as long as it must be")
    counts = [chunk_count(bound, form.places.rows) for bound in form.segments]
    if sum(counts) != len(chunks):
        raise FormatError("a table has not as many chunks as its row bound says")
    parts = []
    start = 0
    for bound, count in zip(form.segments, counts, strict=True):
        end = start + count
        parts.append(_segment(run, form, chunks[start:end], bound, names))
        start = end
    return parts[0] if len(parts) == 1 else union_all(parts, names)


def _segment(
    run: Run, form: ChunkForm, chunks: Sequence[Bytes], bound: int, names: Sequence[str]
) -> SecretTable:
    """Rows that were sealed at once."""
    counts = np.concatenate([chunk[_COUNT] for chunk in chunks]).view(np.uint32)
    present = np.empty(bound, dtype=np.uint8)
    run.checked(_native.filled, counts, form.places.rows, present)
    columns = {}
    for declared, place in zip(form.schema.columns, form.places.columns, strict=True):
        if declared.name in names:
            columns[declared.name] = _Reader(run, form, declared, place, present).read(chunks)
    return SecretTable({name: columns[name] for name in names}, SecretMarks(present))


class _Reader:
    """Reads one column."""

    def __init__(
        self, run: Run, form: ChunkForm, declared: Column, place: Places, present: Marks
    ) -> None:
        self._run, self._form, self._declared, self._place = run, form, declared, place
        self._present = present
        self._layout = layout_in(form, declared.name)
        self._rows = form.places.rows
        self._widths = form.facts.widths

    def read(self, chunks: Sequence[Bytes]) -> SecretColumn:
        """The column of all chunks."""
        run = self._run
        known = self._known(chunks, self._place, 1)
        if not self._declared.nullable:
            missing = conjunction(run, self._present, complement(run, known))
            run.raise_where(SecretMarks(missing), Flag.OUT_OF_DOMAIN)
        known = conjunction(run, known, self._present)
        if self._layout.is_nested:
            return self._nested(chunks, self._place, self._layout, known, self._declared.name)
        found = self._flat(chunks, self._place, self._layout, known, self._declared.name)
        ends = self._form.facts.ranges.get(self._declared.name)
        domain, codes = self._coded(found)
        read = SecretColumn(self._layout, words_of(found), known, ends, domain, codes)
        if self._declared.name in self._form.facts.ascending:
            return checked_order(run, read, self._present)
        return read

    def _known(self, chunks: Sequence[Bytes], place: Places, many: int) -> Marks:
        """Which values are not NULL, of so many for each row."""
        bits = [self._bits(c, place.known, many) for c in chunks]
        return np.concatenate(bits)[: len(self._present) * many].copy()

    def _flat(
        self, chunks: Sequence[Bytes], place: Places, layout: Layout, known: Marks, path: str
    ) -> SecretColumn:
        rows = self._rows * (len(known) // max(1, len(self._present)))
        most = self._widths.get(path, 0)
        words = np.empty((rows * len(chunks), layout.words), dtype=np.uint64)
        for index, chunk in enumerate(chunks):
            out = words[index * rows : (index + 1) * rows]
            self._words(chunk, place, layout, most, out)
        found = column(self._run, layout, words[: len(known)], known)
        self._check(found, path)
        return found

    def _nested(
        self, chunks: Sequence[Bytes], place: Places, layout: Layout, known: Marks, path: str
    ) -> SecretColumn:
        """Lists or structs: what is inside, as columns of their own."""
        run, many = self._run, len(known) // max(1, len(self._present))
        if layout.type.name == "struct":
            fields = []
            names = zip(place.parts, layout.parts, layout.type.fields, strict=True)
            for part, inside, (name, _) in names:
                there = conjunction(run, self._known(chunks, part, many), known)
                fields.append(self._inside(chunks, part, inside, there, f"{path}.{name}"))
            whole = make_struct(run, layout.type, fields)
            return column(run, layout, words_of(whole), known)
        (part,), (inside,), most = place.parts, layout.parts, layout.most
        sizes = self._lengths(chunks, place, many, known)
        run.checked(_native.check_range, sizes, 0, most, known, int(Flag.OUT_OF_DOMAIN))
        there = places_below(run, sizes, most)
        known_inside = conjunction(run, self._known(chunks, part, many * most), there)
        elements = self._inside(chunks, part, inside, known_inside, f"{path}[]")
        return listed(run, Elements(most, there, elements), known)

    def _inside(
        self, chunks: Sequence[Bytes], place: Places, layout: Layout, known: Marks, path: str
    ) -> SecretColumn:
        read = self._nested if layout.is_nested else self._flat
        return read(chunks, place, layout, known, path)

    def _lengths(self, chunks: Sequence[Bytes], place: Places, many: int, known: Marks) -> Words:
        rows = self._rows * many
        found = np.empty(rows * len(chunks), dtype=np.uint64)
        for index, chunk in enumerate(chunks):
            part = self._part(chunk, place.lengths, 4 * rows)
            self._run.call(_native.widen_bytes, part, 4, found[index * rows : (index + 1) * rows])
        whole = column(self._run, Layout(INT64), found[: len(known)].copy(), known)
        return flat_words_of(whole)

    def _part(self, chunk: Bytes, at: int, size: int) -> Bytes:
        return np.ascontiguousarray(chunk[at : at + size])

    def _bits(self, chunk: Bytes, at: int, many: int = 1) -> Marks:
        rows = self._rows * many
        out = np.empty(rows, dtype=np.uint8)
        self._run.call(_native.bits_to_marks, self._part(chunk, at, -(-rows // 8)), out)
        return out

    def _words(self, chunk: Bytes, place: Places, layout: Layout, most: int, out: Words) -> None:
        """The words of one chunk, before anything is made of NULLs."""
        run, rows = self._run, len(out)
        if layout.is_text:
            self._texts(chunk, place, most, out)
        elif place.type.name == "boolean":
            marks = self._bits(chunk, place.values, rows // self._rows)
            run.call(_native.marks_to_words, marks, out.reshape(-1))
        elif place.type.name == "float":
            part = self._part(chunk, place.values, 4 * rows)
            run.call(_native.widen_floats, part, out.reshape(-1))
        elif layout.is_wide:
            out[:] = self._part(chunk, place.values, 16 * rows).view(np.uint64).reshape(-1, 2)
        else:
            part = self._part(chunk, place.values, place.size * rows)
            run.call(_native.widen_bytes, part, place.size, out.reshape(-1))

    def _texts(self, chunk: Bytes, place: Places, most: int, out: Words) -> None:
        rows = len(out)
        lengths = self._part(chunk, place.lengths, 4 * rows).view(np.uint32)
        data = self._part(chunk, place.values, place.size * rows)
        # Bytes of NULLs are zeros, and no length: a chunk that has others there is not sound.
        everywhere = np.ones(rows, dtype=np.uint8)
        utf8 = place.type.name == "string"
        self._run.checked(_native.read_texts, data, lengths, most, utf8, everywhere, out)

    def _check(self, found: SecretColumn, path: str) -> None:
        """Raise a flag where a value is none of its type, or not as declared."""
        run, kind, flat = self._run, found.type, path == self._declared.name
        name = self._declared.name
        known, flag = known_of(found), int(Flag.OUT_OF_DOMAIN)
        if kind.name == "decimal" and found.layout.is_wide:
            out, nothing = np.empty_like(words_of(found)), np.zeros_like(words_of(found))
            pair = (words_of(found), nothing)
            run.checked(_native.add_wide, *pair, False, kind.precision, known, out)
        elif kind.name == "decimal":
            most = 10**kind.precision - 1
            run.checked(_native.check_range, flat_words_of(found), -most, most, known, flag)
        if flat and name in self._form.facts.ranges:
            low, high = self._form.facts.ranges[name]
            run.checked(_native.check_range, flat_words_of(found), low, high, known, flag)

    def _coded(self, found: SecretColumn) -> tuple[tuple[bytes, ...] | None, Words | None]:
        """Raise a flag for texts outside of the domain; the domain and which of it each text is."""
        declared = self._form.facts.domains.get(self._declared.name)
        if declared is None:
            return None, None
        run, rows = self._run, found.rows
        values = sorted(value.encode() for value in declared)
        values = [v for v in values if len(v) <= found.layout.text_bytes]
        listed, codes = np.empty(rows, dtype=np.uint8), np.empty(rows, dtype=np.uint64)
        texts = words_of(column_of_values(found.layout, values))
        run.call(_native.match_rows, words_of(found), texts, codes, listed)
        outside = conjunction(run, complement(run, listed), known_of(found))
        run.raise_where(SecretMarks(outside), Flag.OUT_OF_DOMAIN)
        if not values or len(values) > MOST_CODED:
            return None, None
        return tuple(values), codes


# --- and back


def write_chunks(
    run: Run, table: SecretTable, schema: Schema, places: FixedPlaces
) -> Iterator[bytearray]:
    """The plaintexts of a table's chunks; rows that are there must stand first.

    How many rows there are stands inside of the chunks, which are all of one size.
    """
    rows = places.rows
    present = marks_of(table.present)
    for start in range(0, max(1, table.rows), rows):
        chunk = np.zeros(places.size, dtype=np.uint8)
        chunk[_HEADER] = np.frombuffer(MAGIC, np.uint8)
        here = _padded(present[start : start + rows], rows)
        chunk[_COUNT] = _count(run, here).view(np.uint8)
        for declared, place in zip(schema.columns, places.columns, strict=True):
            source = table.columns[declared.name]
            words = _padded(words_of(source)[start : start + rows], rows)
            known = _padded(known_of(source)[start : start + rows], rows)
            found = column(run, source.layout, words, conjunction(run, known, here))
            _put_column(run, chunk, place, found)
        yield bytearray(chunk)


def _put_column(run: Run, chunk: Bytes, place: Places, found: SecretColumn) -> None:
    """Write a column, and what is inside of it as columns of their own."""
    _put(chunk, place.known, _bits(run, known_of(found)))
    if found.type.name == "struct":
        for part, (name, _) in zip(place.parts, found.type.fields, strict=True):
            _put_column(run, chunk, part, field(run, found, name))
    elif found.layout.is_nested:
        inside = elements(run, found)
        sizes = np.empty(_LENGTH_BYTES * found.rows, dtype=np.uint8)
        many = flat_words_of(list_size(run, found))
        run.call(_native.narrow_bytes, many, _LENGTH_BYTES, sizes)
        _put(chunk, place.lengths, sizes)
        _put_column(run, chunk, place.parts[0], inside.value)
    else:
        _put_values(run, chunk, place, found.layout, words_of(found))


def _padded(part: npt.NDArray[T], rows: int) -> npt.NDArray[T]:
    out = np.zeros((rows, *part.shape[1:]), dtype=part.dtype)
    out[: len(part)] = part
    return out


def _count(run: Run, marks: Marks) -> npt.NDArray[np.uint32]:
    """How many rows are there, as four bytes."""
    ranks = np.empty(len(marks), dtype=np.uint64)
    run.call(_native.ranks, marks, ranks)
    out = np.empty(4, dtype=np.uint8)
    run.call(_native.narrow_bytes, ranks[-1:].copy(), 4, out)
    return out.view(np.uint32)


def _bits(run: Run, marks: Marks) -> Bytes:
    out = np.empty(-(-len(marks) // 8), dtype=np.uint8)
    run.call(_native.marks_to_bits, marks, out)
    return out


def _put(chunk: Bytes, at: int, part: Bytes) -> None:
    chunk[at : at + len(part)] = part


def _put_values(run: Run, chunk: Bytes, place: Places, layout: Layout, words: Words) -> None:
    rows = len(words)
    if layout.is_text:
        data = np.empty(_WORD_BYTES * (layout.words - 1) * rows, dtype=np.uint8)
        lengths = np.empty(rows, dtype=np.uint32)
        run.call(_native.write_texts, words, data, lengths)
        _put(chunk, place.lengths, lengths.view(np.uint8))
        _put(chunk, place.values, data)
        return
    if layout.is_wide:
        _put(chunk, place.values, words.reshape(-1).view(np.uint8))
        return
    flat = words.reshape(-1)
    if place.type.name == "boolean":
        marks = np.empty(rows, dtype=np.uint8)
        run.call(_native.words_to_marks, flat, marks)
        _put(chunk, place.values, _bits(run, marks))
        return
    out = np.empty(place.size * rows, dtype=np.uint8)
    if place.type.name == "float":
        run.call(_native.narrow_floats, flat, out)
    else:
        run.call(_native.narrow_bytes, flat, place.size, out)
    _put(chunk, place.values, out)
