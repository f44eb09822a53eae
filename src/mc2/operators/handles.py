"""Handles on secrets: columns, marks and tables whose shape is public and whose content is not.

Python code cannot branch on a handle, index it, or turn it into a number by accident: all of that
raises TypeError. What a handle holds is reached by `words_of`, `known_of` and `marks_of` alone,
which the operators use to call kernels and nobody else may import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from mc2.errors import EngineError
from mc2.formats.schema import DataType
from mc2.plan.oblivious_lists import MOST_NESTED_WORDS

Words = npt.NDArray[np.uint64]
Marks = npt.NDArray[np.uint8]
Ends = tuple[int, int]
Late = Callable[[], Words]
"""What computes words, once."""

_REFUSED: Final = "a secret decides nothing in Python: use an operator, or `Run.declassify`"
_WIDE_DIGITS: Final = 18
MOST_TEXT_BYTES: Final = 1016
_INTEGERS: Final = {"int8": 8, "int16": 16, "int32": 32, "date": 32}


def _refuse(*_: object) -> NoReturn:
    raise TypeError(_REFUSED)


class Opaque:
    """What cannot be looked at."""

    __slots__ = ()

    __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = _refuse
    __int__ = __float__ = __index__ = __array__ = __bytes__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __reduce_ex__ = _refuse
    __hash__ = None  # type: ignore[assignment]  # the language's way to say: not hashable

    def __repr__(self) -> str:
        """The kind of secret, and nothing of it."""
        return f"<{type(self).__name__}>"


@dataclass(frozen=True, slots=True)
class Layout:
    """How values of a type lie in words: so many for each value.

    Numbers of one word are signed (decimals of at most 18 digits unscaled, dates as days, times as
    microseconds, booleans as 0 and 1) or doubles by their bits; decimals of more digits are two
    words, the lower one first. Texts are their bytes, eight to a word, the first one highest, then
    a word with the length in bytes; `text_bytes` is the greatest length, which is public.
    Lists are places for `most` elements, structs one for each field: a word that is 2 where there
    is a value, 1 where there is NULL and 0 behind the last element, then the words of the value.
    `parts` are the layouts of the elements, or of the fields.
    """

    type: DataType
    text_bytes: int = 0
    most: int = 0
    parts: tuple[Layout, ...] = ()

    @property
    def words(self) -> int:
        """How many words a value takes."""
        if self.is_text:
            return -(-self.text_bytes // 8) + 1
        if self.is_nested:
            return sum(1 + part.words for _, part in self.places())
        return 2 if self.is_wide else 1

    def places(self) -> list[tuple[int, Layout]]:
        """Where the places of a list or struct begin, and what stands in each."""
        inside = self.parts * self.most if self.type.name == "list" else self.parts
        starts = accumulate((1 + part.words for part in inside), initial=0)
        return list(zip(starts, inside, strict=False))

    @property
    def is_nested(self) -> bool:
        """Whether values are lists or structs."""
        return self.type.name in {"list", "struct"}

    @property
    def is_text(self) -> bool:
        """Whether values are texts or binaries."""
        return self.type.name in {"string", "binary"}

    @property
    def is_wide(self) -> bool:
        """Whether values are decimals of more than 18 digits."""
        return self.type.name == "decimal" and self.type.precision > _WIDE_DIGITS

    @property
    def is_real(self) -> bool:
        """Whether values are doubles, or floats kept as such."""
        return self.type.name in {"float", "double"}

    def __post_init__(self) -> None:
        if self.is_nested:
            self._check_parts()
        if self.is_text and not 1 <= self.text_bytes <= MOST_TEXT_BYTES:
            raise EngineError(
                f"oblivious mode has texts of 1 to {MOST_TEXT_BYTES} bytes",
                hint="seal the table with a smaller width for this column",
            )

    def _check_parts(self) -> None:
        kind = self.type
        inside = [kind.element] if kind.name == "list" else [inner for _, inner in kind.fields]
        if [part.type for part in self.parts] != inside or (self.most < 1) != (kind.name != "list"):
            raise ValueError("a list or struct has a layout for what is inside")
        if self.words > MOST_NESTED_WORDS:
            raise EngineError(
                f"oblivious mode has lists and structs of at most {MOST_NESTED_WORDS} words",
                hint="let lists have fewer elements, or their texts fewer bytes",
            )


def layout_of(kind: DataType, widths: Mapping[str, int], path: str) -> Layout:
    """How values of a column lie: `widths` are the greatest sizes by path (`width_paths`)."""
    if kind.element is not None:
        inside = layout_of(kind.element, widths, f"{path}[]")
        return Layout(kind, most=max(1, widths.get(path, 0)), parts=(inside,))
    if kind.name == "struct":
        fields = (layout_of(inner, widths, f"{path}.{name}") for name, inner in kind.fields)
        return Layout(kind, parts=tuple(fields))
    return Layout(kind, max(1, widths.get(path, 0)) if kind.has_width else 0)


def ends_of(layout: Layout, declared: Ends | None = None) -> Ends | None:
    """The least and the greatest word that a value of one word could be; None if any could."""
    if declared is not None:
        return declared
    kind = layout.type
    if kind.name == "boolean":
        return 0, 1
    if kind.name in _INTEGERS:
        half = 1 << (_INTEGERS[kind.name] - 1)
        return -half, half - 1
    if kind.name == "decimal" and not layout.is_wide:
        return 1 - 10**kind.precision, 10**kind.precision - 1
    return None


class SecretMarks(Opaque):
    """A secret yes or no for each row."""

    __slots__ = ("__marks",)

    def __init__(self, marks: Marks) -> None:
        _check(marks, np.uint8, 1)
        self.__marks = marks

    @property
    def rows(self) -> int:
        """How many rows: public."""
        return len(self.__marks)

    @staticmethod
    def _open(handle: SecretMarks) -> Marks:
        return handle.__marks


class SecretColumn(Opaque):
    """A column of secret values, NULLs among them. The words of a NULL are zeros.

    `ends` are the least and the greatest of its words, of one each, where a flag was raised for
    every value outside of them: public. `domain` are all texts that there are, ascending, where a
    flag was raised for every other one: public; then `codes` say which of them a row has, and words
    may be given by what computes them, once somebody asks: most never do. So it is with the `truth`
    of a boolean, a mark for each row, 0 where it is NULL.

    A column that rows come in order of has a word for each row beside (`order_of`): they ascend
    over all rows as signed numbers, and are the column's in rows that are there, which all have a
    value. That there are such words is public. They stay with the column while rows only disappear.
    """

    __slots__ = (
        "__codes",
        "__known",
        "__late",
        "__order",
        "__truth",
        "__words",
        "domain",
        "ends",
        "layout",
    )

    def __init__(
        self,
        layout: Layout,
        words: Words | Late,
        known: Marks,
        ends: tuple[int, int] | None = None,
        domain: tuple[bytes, ...] | None = None,
        codes: Words | None = None,
    ) -> None:
        _check(known, np.uint8, 1)
        if (domain is None) != (codes is None):
            raise ValueError("codes are of a domain")
        if codes is not None:
            _check(codes, np.uint64, 1)
            if codes.shape != known.shape:
                raise ValueError("each row has a code")
        self.layout = layout
        self.ends = ends
        self.domain = domain
        self.__codes = codes
        self.__known = known
        self.__order: Words | None = None
        self.__truth: Marks | None = None
        self.__late: Late | None = None
        if callable(words):
            self.__words: Words | None = None
            self.__late = words
        else:
            self.__words = _checked(layout, words, known)

    @property
    def type(self) -> DataType:
        """The type of its values: public."""
        return self.layout.type

    @property
    def rows(self) -> int:
        """How many rows: public."""
        return len(self.__known)

    @staticmethod
    def _open(handle: SecretColumn) -> Words:
        if handle.__words is None:
            if handle.__late is None:
                raise ValueError("a column has words, or what computes them")
            handle.__words = _checked(handle.layout, handle.__late(), handle.__known)
            handle.__late = None
        return handle.__words

    @staticmethod
    def _open_known(handle: SecretColumn) -> Marks:
        return handle.__known

    @staticmethod
    def _open_codes(handle: SecretColumn) -> Words | None:
        return handle.__codes

    @staticmethod
    def _open_truth(handle: SecretColumn) -> Marks | None:
        return handle.__truth

    @staticmethod
    def _open_order(handle: SecretColumn) -> Words | None:
        return handle.__order

    @staticmethod
    def _with_order(handle: SecretColumn, order: Words) -> SecretColumn:
        _check(order, np.uint64, 1)
        if order.shape != handle.__known.shape or handle.layout.words != 1:
            raise ValueError("each row of a column of one word has a place in its order")
        words = SecretColumn._open(handle)
        found = SecretColumn(handle.layout, words, handle.__known, handle.ends)
        found.__order = order
        return found

    @staticmethod
    def _with_truth(layout: Layout, truth: Marks, known: Marks, late: Late) -> SecretColumn:
        _check(truth, np.uint8, 1)
        if truth.shape != known.shape:
            raise ValueError("each row has a truth value")
        found = SecretColumn(layout, late, known)
        found.__truth = truth
        return found


def _check(array: npt.NDArray[Any], kind: type[np.generic], dimensions: int) -> None:
    if array.dtype != kind or array.ndim != dimensions or not array.flags.c_contiguous:
        raise TypeError(f"kernels take contiguous arrays of {kind.__name__}")


def _checked(layout: Layout, words: Words, known: Marks) -> Words:
    _check(words, np.uint64, 2)
    if words.shape != (known.shape[0], layout.words):
        raise ValueError("the words of a column do not have its layout")
    return words


def words_of(column: SecretColumn) -> Words:
    """The words of a column, one row each: for kernels."""
    return SecretColumn._open(column)  # noqa: SLF001 - the one place that opens handles


def flat_words_of(column: SecretColumn) -> Words:
    """The words of a column whose values are one word each: for kernels."""
    words = words_of(column)
    if words.shape[1] != 1:
        raise TypeError(f"values of type {column.type} are more than one word")
    return words.reshape(-1)


def known_of(column: SecretColumn) -> Marks:
    """Which values are not NULL: for kernels."""
    return SecretColumn._open_known(column)  # noqa: SLF001 - the one place that opens handles


def codes_of(column: SecretColumn) -> Words | None:
    """The codes of a column with a domain, by place; of no meaning where it is NULL."""
    return SecretColumn._open_codes(column)  # noqa: SLF001 - the one place that opens handles


def truth_of(column: SecretColumn) -> Marks | None:
    """The truth of a boolean column that was made of marks; zero where it is NULL."""
    return SecretColumn._open_truth(column)  # noqa: SLF001 - the one place that opens handles


def order_of(column: SecretColumn) -> Words | None:
    """The words by which all rows ascend, of a column that they come in order of: for kernels."""
    return SecretColumn._open_order(column)  # noqa: SLF001 - the one place that opens handles


def with_order(column: SecretColumn, order: Words) -> SecretColumn:
    """The column with the words by which all rows ascend (`mc2.operators.ascending`)."""
    return SecretColumn._with_order(column, order)  # noqa: SLF001 - the one place that opens handles


def with_truth(layout: Layout, truth: Marks, known: Marks, late: Late) -> SecretColumn:
    """A boolean column of marks, 0 where it is NULL, with what makes words of them."""
    return SecretColumn._with_truth(layout, truth, known, late)  # noqa: SLF001 - handles are made here alone


def marks_of(marks: SecretMarks) -> Marks:
    """The marks themselves: for kernels."""
    return SecretMarks._open(marks)  # noqa: SLF001 - the one place that opens handles


@dataclass(frozen=True, slots=True, eq=False)
class SecretTable:
    """Columns of one length, and which rows are there. Names, types and length are public."""

    columns: Mapping[str, SecretColumn] = field(repr=False)
    present: SecretMarks = field(repr=False)

    def __post_init__(self) -> None:
        if any(c.rows != self.present.rows for c in self.columns.values()):
            raise ValueError("the columns of a table have one length")

    @property
    def rows(self) -> int:
        """The public bound of its rows: how many places there are."""
        return self.present.rows
