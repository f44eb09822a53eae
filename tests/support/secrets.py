"""Secret columns from Python values and back: for tests of operators."""

import struct

import numpy as np

from mc2.operators.constants import words_of_value
from mc2.operators.handles import Layout, SecretColumn, known_of, words_of


def secret(layout, values):
    """A column; None is NULL. What stands in the words of NULLs is zeros, as everywhere."""
    rows = [words_of_value(layout, v) if v is not None else [0] * layout.words for v in values]
    words = np.array(rows, dtype=np.uint64).reshape(-1, layout.words)
    return SecretColumn(layout, words, np.array([v is not None for v in values], dtype=np.uint8))


def everywhere(column):
    """Marks that let errors of every row count."""
    return np.ones(column.rows, dtype=np.uint8)


def opened(column):
    """The words of values, None for NULL; NULLs must have zeros."""
    found = []
    for words, known in zip(words_of(column).tolist(), known_of(column).tolist(), strict=True):
        assert known or not any(words), "a NULL has words"
        found.append(tuple(words) if known else None)
    return found


def values(column):
    """Numbers (unscaled decimals), doubles or bytes; None for NULL."""
    return [None if row is None else _value(column.layout, row) for row in opened(column)]


def _value(layout: Layout, words):
    if layout.is_text:
        raw = b"".join(struct.pack(">Q", word) for word in words[:-1])
        assert not raw[words[-1] :].strip(b"\0"), "what is after a text is not zero"
        return raw[: words[-1]]
    if layout.is_real:
        return struct.unpack("=d", struct.pack("=Q", words[0]))[0]
    number = sum(word << (64 * place) for place, word in enumerate(words))
    return number - (1 << 64 * len(words)) if number >> (64 * len(words) - 1) else number
