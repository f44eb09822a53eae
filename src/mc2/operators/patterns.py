"""Public regular expressions over texts: each position of the pattern is a mark for each row.

All rows take the same byte of theirs at once. A position is set where its set has the byte and a
position before it was set, or where a match may begin; so every row takes every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.handles import Marks, SecretColumn, Words, known_of, words_of
from mc2.operators.logic import complement, conjunction, disjunction, truth
from mc2.operators.run import Run
from mc2.plan.regex_steps import END, START, Ranges, Steps

_EQUAL: Final = 0
_LESS: Final = 1
_WORD_BYTES: Final = 8


def find_pattern(run: Run, a: SecretColumn, steps: Steps) -> SecretColumn:
    """Whether a pattern matches anywhere in each text."""
    everywhere = np.ones(a.rows, dtype=np.uint8)
    if steps.empty:
        return truth(run, everywhere, known_of(a))
    search = _Search(run, a, steps)
    most = _WORD_BYTES * (a.layout.words - 1)
    for place in range(most):
        search.take(place)
    search.end(most)
    return truth(run, search.found, known_of(a))


@dataclass(slots=True)
class _Search:
    """Which positions are set in each row, and where a match has been found."""

    run: Run
    text: SecretColumn
    steps: Steps
    found: Marks = field(init=False)
    _set: dict[int, Marks] = field(init=False)
    _length: Words = field(init=False)

    def __post_init__(self) -> None:
        rows = self.text.rows
        self.found = np.zeros(rows, dtype=np.uint8)
        self._length = np.ascontiguousarray(words_of(self.text)[:, -1])
        starts = [p for p in self.steps.first if self.steps.sets[p] == START]
        self._set = {p: np.ones(rows, dtype=np.uint8) for p in starts}
        if any(p in self.steps.last for p in starts):
            self.found = np.ones(rows, dtype=np.uint8)

    def take(self, place: int) -> None:
        """Take the byte at a public place, in texts that have one there; or end before it."""
        self.end(place)
        inside = self._compared(_LESS, self._number(place), self._length)
        byte = np.empty((self.text.rows, 1), dtype=np.uint64)
        lies = [(place // _WORD_BYTES, 56 - 8 * (place % _WORD_BYTES), 8, 0)]
        words = [words_of(self.text)]
        self.run.call(_native.unpack_bits, words, lies, 0, 0, np.ones_like(inside), 0, byte)
        known: dict[Ranges, Marks] = {}
        taken: dict[int, Marks] = {}
        for position, ranges in enumerate(self.steps.sets):
            if ranges in {START, END}:
                continue
            reached = self._reached(position)
            if reached is not None or position in self.steps.first:
                if ranges not in known:
                    known[ranges] = conjunction(
                        self.run, self._among(byte.reshape(-1), ranges), inside
                    )
                here = known[ranges]
                if position not in self.steps.first and reached is not None:
                    here = conjunction(self.run, here, reached)
                taken[position] = here
        self._set = taken
        for position in sorted(self.steps.last & taken.keys()):
            self.found = disjunction(self.run, self.found, taken[position])

    def end(self, place: int) -> None:
        """Take the end of texts of a public length."""
        ends = [p for p in self.steps.last if self.steps.sets[p] == END]
        if not ends:
            return
        here = self._compared(_EQUAL, self._number(place), self._length)
        for position in ends:
            reached = self._reached(position)
            if position in self.steps.first:
                self.found = disjunction(self.run, self.found, here)
            elif reached is not None:
                found = conjunction(self.run, here, reached)
                self.found = disjunction(self.run, self.found, found)

    def _reached(self, position: int) -> Marks | None:
        """Where a position before this one is set; None if none ever is."""
        parts = [self._set[p] for p in sorted(self.steps.before[position]) if p in self._set]
        if not parts:
            return None
        found = parts[0]
        for part in parts[1:]:
            found = disjunction(self.run, found, part)
        return found

    def _among(self, byte: Words, ranges: Ranges) -> Marks:
        found: Marks | None = None
        for low, high in ranges:
            if low == high:
                here = self._compared(_EQUAL, byte, self._number(low))
            else:
                below = self._compared(_LESS, byte, self._number(low))
                above = self._compared(_LESS, self._number(high), byte)
                here = complement(self.run, disjunction(self.run, below, above))
            found = here if found is None else disjunction(self.run, found, here)
        return np.zeros(len(byte), dtype=np.uint8) if found is None else found

    def _number(self, value: int) -> Words:
        return np.full(self.text.rows, value, dtype=np.uint64)

    def _compared(self, how: int, a: Words, b: Words) -> Marks:
        out = np.empty(len(a), dtype=np.uint8)
        self.run.call(_native.compare, how, False, a, b, out)
        return out
