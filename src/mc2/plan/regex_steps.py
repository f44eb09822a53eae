r"""Patterns as steps over the bytes of a text, for engines that look at every byte of every text.

A pattern is an automaton without empty steps (Glushkov): each position takes one byte of a set, and
some positions may follow one another. Start and end of the text are steps of their own, which take
nothing but that. What is counted in characters becomes sequences of bytes of UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.errors import PlanError
from mc2.plan.regex import read_pattern

START: Final[tuple[tuple[int, int], ...]] = ((-1, -1),)
END: Final[tuple[tuple[int, int], ...]] = ((-2, -2),)
_MOST_PLACES: Final = 256
_MOST_FOLLOWING: Final = 4096
_LAST: Final = 0x10FFFF
_ENDS: Final = (0x7F, 0x7FF, 0xFFFF, _LAST)  # of characters of 1, 2, 3 and 4 bytes
_REPEAT: Final = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_CODE: Final = re.compile(r"\\x(?:\{([0-9a-f]+)\}|([0-9a-f]{2}))", re.IGNORECASE)
_FLAGS: Final = re.compile(r"\(\?([is]+)\)")
_GROUP: Final = re.compile(r"\(\?(?::|<\w+>)")
_SIGNS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_HINT: Final = 'write it in another way, or run the job with mode="encrypted"'

Ranges = tuple[tuple[int, int], ...]
"""Bytes, or code points, from the first to the last of each."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Positions of a pattern: `sets` of bytes, which may come `first` or `last`, and before which.

    `before[p]` are the positions that p may follow. With `empty` every text matches.
    """

    sets: tuple[Ranges, ...]
    first: frozenset[int]
    last: frozenset[int]
    before: tuple[frozenset[int], ...]
    empty: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    empty: bool
    first: frozenset[int]
    last: frozenset[int]


_NOTHING: Final = _Piece(empty=True, first=frozenset(), last=frozenset())


def pattern_steps(text: str) -> Steps:
    """The steps of a pattern. Raises: PlanError if it is none, or has no such steps."""
    reader = _Reader(read_pattern(text).re2)
    whole = reader.alternatives()
    before = tuple(frozenset(b) for b in reader.before)
    for place, earlier in enumerate(before):
        if any(reader.sets[e] == END or reader.sets[e] == reader.sets[place] == START
               for e in earlier):  # fmt: skip
            raise _refused("signs for start or end right after one another")
    return Steps(tuple(reader.sets), whole.first, whole.last, before, whole.empty)


def _refused(what: str) -> PlanError:
    return PlanError(f"oblivious mode has no {what} in patterns", hint=_HINT)


class _Reader:
    """Reads what `read_pattern` wrote, from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.sets: list[Ranges] = []
        self.before: list[set[int]] = []
        if found := _FLAGS.match(text):
            if "i" in found[1]:
                raise _refused("(?i)")
            self.at = found.end()

    def alternatives(self) -> _Piece:
        pieces = [self._sequence()]
        while self.text[self.at : self.at + 1] == "|":
            self.at += 1
            pieces.append(self._sequence())
        return _either(pieces)

    def _sequence(self) -> _Piece:
        found = _NOTHING
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            found = self._joined(found, self._repeated())
        return found

    def _joined(self, a: _Piece, b: _Piece) -> _Piece:
        for place in b.first:
            self.before[place] |= a.last
        if sum(map(len, self.before)) > _MOST_FOLLOWING:
            raise _refused("so much repetition")
        first = a.first | b.first if a.empty else a.first
        last = a.last | b.last if b.empty else b.last
        return _Piece(a.empty and b.empty, first, last)

    def _repeated(self) -> _Piece:
        start, many = self.at, len(self.sets)
        piece = self._atom()
        times = self._times()
        if times is None:
            return piece
        after = self.at
        if any(s in {START, END} for s in self.sets[many:]):
            raise _refused("repetition of start or end")
        least, most = times
        pieces = [piece]
        copies = most if most is not None else max(least, 1)
        for _ in range(max(copies, 1) - 1):
            self.at = start
            pieces.append(self._atom())
        self.at = after
        if most == 0:
            return _NOTHING
        if most is None:
            self._joined(pieces[-1], pieces[-1])
        found = _NOTHING
        for number in reversed(range(len(pieces))):  # what follows is optional with what precedes
            found = self._joined(pieces[number], found)
            if number >= least:
                found = _Piece(empty=True, first=found.first, last=found.last)
        return found

    def _times(self) -> tuple[int, int | None] | None:
        sign = self.text[self.at : self.at + 1]
        found: tuple[int, int | None] | None = None
        if sign and sign in "*+?":
            self.at += 1
            found = (int(sign == "+"), 1 if sign == "?" else None)
        elif repeat := _REPEAT.match(self.text, self.at):
            self.at = repeat.end()
            least = int(repeat[1])
            open_ = repeat[2] is not None and not repeat[3]
            found = (least, None if open_ else int(repeat[3] or least))
        if found is not None and self.text[self.at : self.at + 1] == "?":
            self.at += 1  # as few as can be: whether there is a match is the same
        return found

    def _atom(self) -> _Piece:
        rest = self.text[self.at :]
        if rest.startswith("(?s:.)"):
            self.at += len("(?s:.)")
            return self._set(((0, _LAST),))
        if rest[0] == "(":
            opened = _GROUP.match(rest)
            self.at += 1 if opened is None else opened.end()
            found = self.alternatives()
            self.at += 1
            return found
        if rest[0] == "[":
            return self._set(self._bracket())
        for sign, only in (("\\A", START), ("\\z", END)):
            if rest.startswith(sign):
                self.at += len(sign)
                return self._place(only)
        low = self._character()
        return self._set(((low, low),))

    def _character(self) -> int:
        if found := _CODE.match(self.text, self.at):
            self.at = found.end()
            return int(found[1] or found[2], 16)
        if self.text[self.at] != "\\":
            self.at += 1
            return ord(self.text[self.at - 1])
        sign = self.text[self.at + 1]
        if sign in "pPbB":
            raise _refused(f"\\{sign}")
        self.at += 2
        return ord(_SIGNS.get(sign, sign))

    def _bracket(self) -> Ranges:
        self.at += 1
        negated = self.text[self.at] == "^"
        self.at += negated
        ranges = []
        while self.text[self.at] != "]":
            low = high = self._character()
            if self.text[self.at] == "-" and self.text[self.at + 1] != "]":
                self.at += 1
                high = self._character()
            ranges.append((low, high))
        self.at += 1
        return _others(ranges) if negated else tuple(ranges)

    def _place(self, taken: Ranges) -> _Piece:
        self.sets.append(taken)
        self.before.append(set())
        if len(self.sets) > _MOST_PLACES:
            raise _refused(f"more than {_MOST_PLACES} bytes and sets")
        here = frozenset({len(self.sets) - 1})
        return _Piece(empty=False, first=here, last=here)

    def _set(self, points: Ranges) -> _Piece:
        """One character of a set: a byte of ASCII, or several bytes."""
        single = tuple((a, min(b, 0x7F)) for a, b in points if a <= 0x7F)
        pieces = [self._place(single)] if single else []
        for low, high in points:
            for sequence in _sequences(max(low, 0x80), high):
                found = _NOTHING
                for taken in sequence:
                    found = self._joined(found, self._place((taken,)))
                pieces.append(found)
        return _either(pieces)


def _either(pieces: Sequence[_Piece]) -> _Piece:
    none: frozenset[int] = frozenset()
    return _Piece(
        any(p.empty for p in pieces),
        none.union(*(p.first for p in pieces)),
        none.union(*(p.last for p in pieces)),
    )


def _others(ranges: Sequence[tuple[int, int]]) -> Ranges:
    found, start = [], 0
    for low, high in sorted(ranges):
        if start < low:
            found.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _LAST:
        found.append((start, _LAST))
    return tuple(found)


def _sequences(low: int, high: int) -> Iterator[list[tuple[int, int]]]:
    """The bytes of all characters of a range beyond ASCII: a range for each byte."""
    for end in _ENDS:
        if low <= end < high:
            yield from _sequences(low, end)
            low = end + 1
    if low > high:
        return
    for bits in (6, 12, 18):  # until all bytes but the first run over all that they can be
        mask = (1 << bits) - 1
        if (low | mask) < high and low & mask:
            yield from _sequences(low, low | mask)
            low = (low | mask) + 1
        if low >> bits != high >> bits and high & mask != mask:
            yield from _sequences(low, (high & ~mask) - 1)
            low = high & ~mask
    first, last = (_utf8(point) for point in (low, high))
    yield list(zip(first, last, strict=True))


def _utf8(point: int) -> bytes:
    return chr(point).encode("utf-8", "surrogatepass")
