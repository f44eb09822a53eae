"""One oblivious computation: its errors, its record of kernel calls, its declassifications.

An error may not stop anything where it happens: when a computation stops would say which row was
wrong. Kernels raise flags in one secret word, which is looked at when all is done.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntFlag
from typing import Any, Final

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.operators.handles import SecretMarks, Words, marks_of

Call = tuple[str, tuple[Any, ...]]
"""A kernel's name, and what was public of its arguments: shapes of arrays, and values of others."""


_MOST_THREADS: Final = 64
_WORD_BITS: Final = 64
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of mallopt(3)
_KEPT_BYTES: Final = 1 << 30


class Flag(IntFlag):
    """What can go wrong: `mc2::oblivious::Flag` in native/include/mc2/secret.hpp."""

    OVERFLOW = 1
    DIVISION_BY_ZERO = 2
    BOUND_EXCEEDED = 4
    DUPLICATE_KEY = 8
    BAD_CAST = 16
    OUT_OF_DOMAIN = 32
    TOO_FEW = 64


_MEANINGS: Final = {
    Flag.OVERFLOW: "a number does not fit its type",
    Flag.DIVISION_BY_ZERO: "a division by zero, or a regression that the rows do not determine",
    Flag.BOUND_EXCEEDED: "more rows or bytes than a declared bound",
    Flag.DUPLICATE_KEY: "a key that was declared unique occurs twice, or a subquery for one value "
    "gives several rows",
    Flag.BAD_CAST: "a value cannot be converted",
    Flag.OUT_OF_DOMAIN: "a value outside of its declared domain, or text beyond ASCII",
    Flag.TOO_FEW: "a leaf of a model has fewer rows, or rows of fewer owners, than the plan wants",
}


def use_threads(count: int) -> None:
    """How many threads kernels of this process use, at most 64."""
    _native.set_threads(max(1, min(count, _MOST_THREADS)))


def keep_memory() -> None:
    """Let columns that are no longer needed stay with the process: the next ones lie there.

    Else the system takes their pages and clears new ones for each: a tenth of a query's time. How
    much a run allocates is public.
    """
    allocator = ctypes.CDLL(None)
    if hasattr(allocator, "mallopt"):
        allocator.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        allocator.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


class Run:
    """What operators share while one plan is computed.

    `calls` lists every call of a kernel if `record` is set: it depends on public shapes alone, and
    tests compare it between data sets. `declassified` lists the reasons of every declassification.
    Beside the word of flags a run of several tasks keeps bits at public places (`keep_bits`), which
    travel with it and are only compared with one another.
    """

    def __init__(self, *, record: bool = False) -> None:
        self.calls: list[Call] | None = [] if record else None
        self.declassified: list[str] = []
        self._flags: Words = np.zeros(1, dtype=np.uint64)

    def call(self, kernel: Callable[..., Any], *arguments: Any) -> None:
        """Call a kernel, and keep a record of it."""
        if self.calls is not None:
            self.calls.append((kernel.__name__, tuple(_public(a) for a in arguments)))
        kernel(*arguments)

    def checked(self, kernel: Callable[..., Any], *arguments: Any) -> None:
        """Call a kernel that takes the flags as its last argument."""
        self.call(kernel, *arguments, self._flags[:1])

    def raise_where(self, marks: SecretMarks, flag: Flag) -> None:
        """Raise a flag if a mark is set."""
        self.checked(_native.raise_flag, marks_of(marks), int(flag))

    def keep_bits(self, count: int) -> None:
        """Make room for so many bits, which are all 0."""
        self._flags = np.concatenate(
            [self._flags[:1], np.zeros(-(-count // _WORD_BITS), dtype=np.uint64)]
        )

    def set_bit(self, place: int, marks: SecretMarks) -> None:
        """Make a bit 1 if a mark is set."""
        word = 1 + place // _WORD_BITS
        bit = 1 << (place % _WORD_BITS)
        self.call(_native.raise_flag, marks_of(marks), bit, self._flags[word : word + 1])

    def bit(self, place: int) -> SecretMarks:
        """One of the bits."""
        word, out = 1 + place // _WORD_BITS, np.empty(1, dtype=np.uint8)
        words = self._flags[word : word + 1]
        self.call(_native.spread_bit, words, place % _WORD_BITS, out)
        return SecretMarks(out)

    def flags(self) -> Words:
        """What went wrong so far, then the bits: secret, for whoever computes on."""
        return self._flags.copy()

    def add_flags(self, flags: Words) -> None:
        """Join the flags and bits of another task with those of this run."""
        if flags.shape != self._flags.shape:
            raise ValueError("tasks of one computation keep the same bits")
        self._flags |= flags

    def add_failures(self, flags: Words) -> None:
        """Join what went wrong elsewhere, where nobody keeps bits, with the flags of this run."""
        self._flags[:1] |= flags[:1]

    def declassify(self, words: Words, reason: str) -> list[int]:
        """Make secret words public, for a reason that the plan shows to its reviewers."""
        self.declassified.append(reason)
        _native.unpoison(words)
        return [int(word) for word in words.reshape(-1)]

    def finish(self) -> None:
        """Look at the flags, once and at the end. Raises: EngineError that names every kind."""
        (word,) = self.declassify(self._flags[:1], "whether the computation failed")
        if word:
            kinds = "; ".join(text for flag, text in _MEANINGS.items() if word & flag)
            raise EngineError(
                f"the computation failed: {kinds or 'for an unknown reason'}",
                hint="oblivious mode cannot say where; check the inputs and declared bounds",
            )


def _public(argument: Any) -> Any:
    """What of a kernel's argument may be in a record."""
    if isinstance(argument, np.ndarray):
        return argument.shape
    if isinstance(argument, (list, tuple)):
        return tuple(_public(item) for item in argument)
    return argument
