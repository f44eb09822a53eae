"""Functions of texts whose greatest length is public; characters are code points of UTF-8."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.formats.schema import DataType
from mc2.operators.handles import Layout, Marks, SecretColumn, known_of, words_of
from mc2.operators.logic import column, conjunction, truth
from mc2.operators.run import Run
from mc2.plan.oblivious_texts import CHARACTER_BYTES
from mc2.plan.types import INT32

Step = tuple[int, int]
"""A step of a pattern: (0, byte), (1, 0) for any one character, (2, 0) for any run of them."""

ANY_ONE: Final[Step] = (1, 0)
ANY_RUN: Final[Step] = (2, 0)


def literal_steps(text: str) -> tuple[Step, ...]:
    """Steps that match a text itself."""
    return tuple((0, byte) for byte in text.encode())


def like_steps(pattern: str, escape: str = "\\") -> tuple[Step, ...]:
    """The steps of a LIKE pattern. Raises: EngineError if an escape stands before nothing."""
    steps: list[Step] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            escaped = next(characters, "")
            if not escaped:
                raise EngineError("a LIKE pattern ends with its escape character")
            steps += literal_steps(escaped)
        elif character in "%_":
            steps.append(ANY_RUN if character == "%" else ANY_ONE)
        else:
            steps += literal_steps(character)
    return tuple(steps)


def matches(run: Run, a: SecretColumn, steps: tuple[Step, ...]) -> SecretColumn:
    """Whether the whole text matches public steps."""
    out = np.empty(a.rows, dtype=np.uint8)
    run.call(_native.like, words_of(a), list(steps), out)
    return truth(run, out, known_of(a))


def fitted(a: SecretColumn, text_bytes: int) -> SecretColumn:
    """The texts in rows for longer ones: copies at public places.

    Raises: ValueError if the rows would be shorter.
    """
    layout = Layout(a.type, text_bytes)
    if layout.words < a.layout.words:
        raise ValueError("texts are not cut")
    words = np.zeros((a.rows, layout.words), dtype=np.uint64)
    words[:, : a.layout.words - 1] = words_of(a)[:, :-1]
    words[:, -1] = words_of(a)[:, -1]
    return SecretColumn(layout, words, known_of(a))


def count_characters(run: Run, a: SecretColumn) -> SecretColumn:
    """How many characters of UTF-8; of binaries, bytes."""
    out = np.empty(a.rows, dtype=np.uint64)
    if a.type.name == "binary":
        out[:] = words_of(a)[:, -1]
    else:
        run.call(_native.count_characters, words_of(a), out)
    return column(run, Layout(INT32), out, known_of(a))


def change_case(run: Run, a: SecretColumn, counts: Marks, *, lower: bool) -> SecretColumn:
    """All letters in lower or upper case; text beyond ASCII raises a flag."""
    counted, out = conjunction(run, counts, known_of(a)), np.empty_like(words_of(a))
    run.checked(_native.change_case, lower, words_of(a), counted, out)
    return column(run, a.layout, out, known_of(a))


def substring(run: Run, a: SecretColumn, start: int, count: int) -> SecretColumn:
    """At most so many characters from a public place: 1 is the first, -1 the last."""
    out = np.empty_like(words_of(a))
    run.call(_native.substring, words_of(a), start, count, out)
    found = column(run, a.layout, out, known_of(a))
    return shortened(found, min(a.layout.text_bytes, CHARACTER_BYTES * max(count, 1)))


def shortened(a: SecretColumn, text_bytes: int) -> SecretColumn:
    """Texts that are known to be no longer than this, in rows of that size."""
    layout = Layout(a.type, text_bytes)
    words = np.empty((a.rows, layout.words), dtype=np.uint64)
    words[:, :-1] = words_of(a)[:, : layout.words - 1]
    words[:, -1] = words_of(a)[:, -1]
    return SecretColumn(layout, words, known_of(a))


def trim(run: Run, a: SecretColumn, *, start: bool, end: bool) -> SecretColumn:
    """Without spaces at the start, the end, or both."""
    out = np.empty_like(words_of(a))
    run.call(_native.trim, words_of(a), start, end, out)
    return column(run, a.layout, out, known_of(a))


def concat(run: Run, a: SecretColumn, b: SecretColumn, counts: Marks) -> SecretColumn:
    """One text after the other. Raises: EngineError if they could become too long."""
    layout = Layout(DataType(a.type.name), a.layout.text_bytes + b.layout.text_bytes)
    known = conjunction(run, known_of(a), known_of(b))
    out = np.empty((a.rows, layout.words), dtype=np.uint64)
    run.checked(_native.concat, words_of(a), words_of(b), conjunction(run, counts, known), out)
    return column(run, layout, out, known)
