"""
Oblivious kernels: the sequence of instructions and addresses depends on lengths only.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def isa() -> str:
    """The instruction set in use: avx2 or portable."""

def isa_supported(name: str) -> bool:
    """Whether this machine can run the kernels of that instruction set."""

def use_isa(name: str) -> None:
    """Use the kernels of another instruction set: for tests."""

def threads() -> int:
    """How many threads kernels may use."""

def set_threads(count: int) -> None:
    """Let kernels use this many threads (at least one)."""

def set_serial_below(rows: int) -> None:
    """Inputs of fewer rows than this run on one thread; the default is 2^18."""

def poison(array: NDArray[numpy.generic]) -> None:
    """Mark an array's bytes as secret for valgrind; natively nothing."""

def unpoison(array: NDArray[numpy.generic]) -> None:
    """Mark an array's bytes as public for valgrind; natively nothing."""

def poison_reports() -> int:
    """
    How many uses of secrets in branches and addresses valgrind has reported so far.
    """

def under_valgrind() -> bool:
    """Whether valgrind is watching."""

def select(keep: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """out[i] = a[i] if keep[i] else b[i], without a branch."""

def equal(a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """out[i] = 1 where a[i] == b[i], else 0, without a branch."""

def less(a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """out[i] = 1 where a[i] < b[i] (unsigned), else 0, without a branch."""

def integers(what: int, a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')], flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """
    Whole numbers: 0 a + b, 1 a - b, 2 a * b, 3 a / b cut towards zero, 4 a % b. Errors count where counts is 1.
    """

def check_range(a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], low: int, high: int, counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], flag: int, flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """Raise a flag where a whole number is outside of low to high."""

def doubles(what: int, a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')], flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """Doubles by their bits: 0 a + b, 1 a - b, 2 a * b, 3 a / b."""

def order_doubles(a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """
    Words whose unsigned order is that of the doubles: -0 is +0, NaN is one and the greatest.
    """

def restore_doubles(a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """The doubles of `order_doubles`'s words."""

def integer_to_double(a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """The nearest doubles."""

def double_to_integer(a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')], flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """Doubles cut towards zero."""

def compare(what: int, real: bool, a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """
    1 where 0 a = b, 1 a < b, 2 a <= b; words are doubles if `real`, else signed.
    """

def compare_wide(what: int, a: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """As `compare`, of wide numbers."""

def widen(a: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """Signed words as wide numbers, the lower word first."""

def narrow(a: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')], flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """Wide numbers that fit a signed word."""

def add_wide(a: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], subtract: bool, precision: int, counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """a + b or a - b, of at most `precision` digits."""

def multiply_wide(a: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], drop: int, precision: int, counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """a * b / 10^drop, halves away from zero."""

def divide_wide(a: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], raise_: int, precision: int, counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """a * 10^raise / b, halves away from zero."""

def remainder_wide(a: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], counts: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], flags: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """a % b with the sign of a."""

def sort(columns: Sequence[Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]], flips: Sequence[int]) -> None:
    """
    Sort rows, given as columns, in place by the first len(flips) columns. They compare as signed
    words after XOR with their flip: 2**63 unsigned, 2**63 - 1 unsigned and descending, 0 signed,
    2**64 - 1 signed and descending. Equal rows come in no promised order.
    """

def sort_rows(rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], flips: Sequence[int]) -> None:
    """The same for rows of words."""

def merge(columns: Sequence[Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]], flips: Sequence[int], first: int) -> None:
    """
    Sort rows of which the first `first` are sorted, and the others too: far cheaper than `sort`.
    """

def merge_rows(rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], flips: Sequence[int], first: int) -> None:
    """The same for rows of words."""

def top(columns: Sequence[Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)]], flips: Sequence[int], out: Sequence[Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]]) -> None:
    """The first rows of what `sort` would give, as many as `out` has."""

def compact(rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], keep: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
    """
    Move marked rows to the front, in order; the others stand behind them in reverse order.
    """

def compact_words(words: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')], keep: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
    """The same for rows of one word."""

def restore(rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], keep: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
    """Undo `compact` with the same marks."""

def distribute(rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')], to: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """
    Move row i to place to[i]; places ascend, and rows without one (len(rows) or more) stand last.
    Afterwards to[i] == i exactly where a row came to.
    """

def ranks(keep: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """out[i] = how many of keep[: i + 1] are marked."""

def pack(columns: Sequence[Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)]], rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """Write columns of words as rows."""

def unpack(rows: Annotated[NDArray[numpy.uint64], dict(shape=(None, None), order='C', device='cpu', writable=False)], columns: Sequence[Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')]]) -> None:
    """Write rows of words as columns."""
