"""Bytes as digits and digits as bytes, characters by number, character sets."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import column, complement, conjunction
from mc2.operators.run import Flag, Run
from mc2.plan.oblivious_bytes import (
    NUMBER_DIGITS,
    base64_bytes,
    decoded_bytes,
    encoded_bytes,
    unbase64_bytes,
    unhex_bytes,
)
from mc2.plan.types import BINARY, INT32, STRING

_CHARSETS: Final = {"US-ASCII": 0, "ISO-8859-1": 1, "UTF-8": 2, "UTF-16BE": 3, "UTF-16LE": 4}
"""As the kernels number them."""
_CHARACTER: Final = Layout(STRING, 2)


def hexadecimal(run: Run, a: SecretColumn) -> SecretColumn:
    """The bytes of a text in hexadecimal digits, or a whole number without zeros at its start."""
    if not a.layout.is_text:
        return _digits(run, "hex", 4, a)
    layout = Layout(STRING, 2 * a.layout.text_bytes)
    out = np.empty((a.rows, layout.words), dtype=np.uint64)
    run.call(_native.hex_bytes, words_of(a), out)
    return column(run, layout, out, known_of(a))


def binary_digits(run: Run, a: SecretColumn) -> SecretColumn:
    """A whole number in binary digits, without zeros at its start."""
    return _digits(run, "binary_digits", 1, a)


def _digits(run: Run, function: str, bits: int, a: SecretColumn) -> SecretColumn:
    layout = Layout(STRING, NUMBER_DIGITS[function])
    out = np.empty((a.rows, layout.words), dtype=np.uint64)
    run.call(_native.spell_word, bits, flat_words_of(a), out)
    return column(run, layout, out, known_of(a))


def unhex(run: Run, a: SecretColumn) -> SecretColumn:
    """The bytes of hexadecimal digits; NULL where there are others."""
    layout = Layout(BINARY, unhex_bytes(a.layout.text_bytes))
    out, read = _room(a, layout)
    run.call(_native.unhex, words_of(a), out, read)
    return column(run, layout, out, conjunction(run, known_of(a), read))


def base64(run: Run, a: SecretColumn) -> SecretColumn:
    """Bytes in base64."""
    layout = Layout(STRING, base64_bytes(a.layout.text_bytes))
    out, _ = _room(a, layout)
    run.call(_native.base64, words_of(a), out)
    return column(run, layout, out, known_of(a))


def unbase64(run: Run, a: SecretColumn, counts: Marks) -> SecretColumn:
    """The bytes of base64; a flag is raised where a text is not that."""
    layout = Layout(BINARY, unbase64_bytes(a.layout.text_bytes))
    out, read = _room(a, layout)
    run.call(_native.unbase64, words_of(a), out, read)
    return _strictly(run, a, column(run, layout, out, conjunction(run, known_of(a), read)), counts)


def encode(run: Run, a: SecretColumn, charset: str, counts: Marks) -> SecretColumn:
    """Texts as bytes of a character set; a flag is raised where a character is not in it."""
    layout = Layout(BINARY, encoded_bytes(charset, a.layout.text_bytes))
    if charset == "UTF-8":
        return SecretColumn(layout, words_of(a), known_of(a))
    out, read = _room(a, layout)
    run.call(_native.encode, _CHARSETS[charset], words_of(a), out, read)
    return _strictly(run, a, column(run, layout, out, conjunction(run, known_of(a), read)), counts)


def decode(
    run: Run, a: SecretColumn, charset: str, counts: Marks, *, strict: bool = True
) -> SecretColumn:
    """Texts of bytes in a character set, NULL where they are none, which fails if `strict`."""
    layout = Layout(STRING, decoded_bytes(charset, a.layout.text_bytes))
    out, read = _room(a, layout)
    run.call(_native.decode, _CHARSETS[charset], words_of(a), out, read)
    found = column(run, layout, out, conjunction(run, known_of(a), read))
    return _strictly(run, a, found, counts) if strict else found


def code_point(run: Run, a: SecretColumn) -> SecretColumn:
    """The Unicode number of the first character, 0 if there is none."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.code_point, words_of(a), out)
    return column(run, Layout(INT32), out, known_of(a))


def character(run: Run, a: SecretColumn) -> SecretColumn:
    """The character of a whole number modulo 256; nothing for numbers below zero."""
    out, _ = _room(a, _CHARACTER)
    run.call(_native.character, flat_words_of(a), out)
    return column(run, _CHARACTER, out, known_of(a))


def _room(a: SecretColumn, layout: Layout) -> tuple[Words, Marks]:
    """Where a kernel writes an answer for each row, and whether there is one."""
    return np.empty((a.rows, layout.words), dtype=np.uint64), np.empty(a.rows, dtype=np.uint8)


def _strictly(run: Run, a: SecretColumn, found: SecretColumn, counts: Marks) -> SecretColumn:
    """What was found, with a flag where something was given and nothing found."""
    lost = conjunction(run, counts, known_of(a), complement(run, known_of(found)))
    run.raise_where(SecretMarks(lost), Flag.BAD_CAST)
    return found
