"""Made-up secrets, and the register of cases that use them: see `mc2.operators.cases`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.formats.fixed import MAGIC
from mc2.formats.schema import DataType, decimal
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    words_of,
)
from mc2.operators.run import Run
from mc2.plan.types import BOOLEAN, DOUBLE, INT64

DATA: Final = ("random", "equal", "sorted", "skewed", "few", "absent")
"""What stands in the secrets. Random data never has equal keys, so it finds the least."""

_ROWS: Final = 19


@dataclass
class Made:
    """Secrets of one kind of data. `poison` marks them for valgrind."""

    data: str
    rows: int = _ROWS
    poison: bool = False
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(DATA.index(self.data))

    def numbers(self, below: int, rows: int | None = None) -> list[int]:
        """So many numbers from 0 up to a bound."""
        rows = self.rows if rows is None else rows
        ramp = [below * place // rows for place in range(rows)]
        found = {
            "random": [int(n) for n in self.random.integers(0, below, rows)],
            "equal": [below // 2] * rows,
            "sorted": ramp,
            "skewed": [below - 1 if place % 8 else 0 for place in range(rows)],
            "few": [int(n) for n in self.random.integers(0, min(below, 3), rows)],
            "absent": [0] * rows,
        }
        return found[self.data]

    def marks(self, rows: int | None = None) -> Marks:
        """Secret marks."""
        marks = np.array(self.numbers(2, rows), dtype=np.uint8)
        if self.data == "equal":
            marks[:] = 1
        self._hide(marks)
        return marks

    def present(self, rows: int | None = None) -> SecretMarks:
        """Which rows are there."""
        return SecretMarks(self.marks(rows))

    def column(
        self, kind: DataType, below: int = 100, text_bytes: int = 0, rows: int | None = None
    ) -> SecretColumn:
        """A column of numbers below a bound, or of texts of a width; some are NULL."""
        layout, known = Layout(kind, text_bytes), self.marks(rows)
        words = np.zeros((len(known), layout.words), dtype=np.uint64)
        drawn = np.array(self.numbers(below, rows), dtype=np.uint64)
        if layout.is_text:
            words[:, 0] = drawn << np.uint64(56)
            words[:, -1] = drawn % np.uint64(2)
            words[:, 0] *= words[:, -1]
        elif layout.is_real:
            words[:, 0] = (drawn.astype(np.float64) / 8).view(np.uint64)
        else:
            words[:, 0] = drawn
        plain = known.copy()
        if self.poison:
            _native.unpoison(plain)
        words *= plain[:, None]
        self._hide(words)
        return SecretColumn(layout, words, known)

    def table(self, *kinds: tuple[str, DataType, int], rows: int | None = None) -> SecretTable:
        """A table of columns: name, type, and greatest number of bytes of texts."""
        columns = {n: self.column(k, text_bytes=w, rows=rows) for n, k, w in kinds}
        return SecretTable(columns, self.present(rows))

    def chunk(self, size: int) -> bytearray:
        """The plaintext of a chunk, of which all but the magic is secret."""
        plain = bytearray(MAGIC.ljust(size, b"\0"))
        inside = np.frombuffer(plain, dtype=np.uint8)[len(MAGIC) :]
        inside[:] = np.array(self.numbers(256, len(inside)), dtype=np.uint8)
        self._hide(inside)
        return plain

    def _hide(self, array: npt.NDArray[Any]) -> None:
        if self.poison:
            _native.poison(array)


Case = Callable[[Run, Made], object]
CASES: dict[str, Case] = {}
TEXT: Final = DataType("string")
BINARY: Final = DataType("binary")
INSTANT: Final = DataType("timestamp")
NARROW: Final = decimal(12, 2)
WIDE: Final = decimal(30, 4)
KINDS: Final = (
    ("i", INT64, 0),
    ("t", TEXT, 9),
    ("r", DOUBLE, 0),
    ("w", WIDE, 0),
    ("n", NARROW, 0),
)
ALL_KINDS: Final = {
    "integer": (INT64, 0), "double": (DOUBLE, 0), "text": (TEXT, 9), "wide": (WIDE, 0),
    "narrow": (NARROW, 0), "truth": (BOOLEAN, 0),
}  # fmt: skip


def case(name: str) -> Callable[[Case], Case]:
    """Put a case into the register."""

    def put(function: Case) -> Case:
        CASES[name] = function
        return function

    return put


def everywhere(made: Made) -> Marks:
    """Errors of every row count: public."""
    return np.ones(made.rows, dtype=np.uint8)


def count_words(made: Made) -> Words:
    """Counts of rows: secret."""
    return np.ascontiguousarray(words_of(made.column(INT64))[:, 0])
