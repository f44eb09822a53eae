"""Packed rows: what goes in comes out, in as few words as types and ranges need, in order."""

from __future__ import annotations

import numpy as np
import pytest

from mc2.errors import EngineError
from mc2.formats.schema import DataType
from mc2.operators import joining
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretMarks,
    SecretTable,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.joining import On
from mc2.operators.packing import Form, Packer, Source, parts_of, sort_packed
from mc2.operators.run import Run
from mc2.plan.types import DATE, DOUBLE, INT64, decimal

ROWS = 700  # more than one block of the kernels


def numbers(low, high, kind=INT64, ends=None):
    values = np.random.default_rng(5).integers(low, high, ROWS, endpoint=True)
    words = values.astype(np.int64).view(np.uint64).reshape(-1, 1)
    return SecretColumn(Layout(kind), words, np.ones(ROWS, dtype=np.uint8), ends)


def texts(size):
    layout = Layout(DataType("string"), size)
    words = np.zeros((ROWS, layout.words), dtype=np.uint64)
    for row in range(ROWS):
        value = (b"\xff\x01" * size)[: row % (size + 1)].ljust(8 * (layout.words - 1), b"\0")
        words[row, :-1] = np.frombuffer(value, dtype=">u8")
        words[row, -1] = row % (size + 1)
    return SecretColumn(layout, words, np.ones(ROWS, dtype=np.uint8))


def wide():
    values = np.random.default_rng(6).integers(-(2**62), 2**62, (ROWS, 2))
    values[:, 1] %= 1000  # the higher word, of 30 digits
    layout = Layout(decimal(30, 2))
    return SecretColumn(layout, values.view(np.uint64), np.ones(ROWS, dtype=np.uint8))


COLUMNS = {
    "whole": numbers(-(2**63), 2**63 - 1),
    "key": numbers(1, 600_000, ends=(1, 600_000)),
    "one value": numbers(7, 7, ends=(7, 7)),
    "day": numbers(-700_000, 700_000, DATE),
    "price": numbers(1 - 10**12, 10**12 - 1, decimal(12, 2)),
    "real": numbers(0, 2**62, DOUBLE),
    "short": texts(3),
    "long": texts(21),
    "wide": wide(),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("used", [0, 1, 37, 63])
def test_a_column_comes_back_from_wherever_its_bits_lie(name, used):
    run, value = Run(), COLUMNS[name]
    packer = Packer(run, Form(used), ROWS)
    lying = packer.column(value)
    back = Source(packer.written()).column(run, lying, known_of(value))
    assert (words_of(back) == words_of(value)).all()
    assert back.ends == value.ends


def test_rows_that_are_not_there_come_back_as_zeros():
    run = Run()
    present = (np.arange(ROWS) % 3 == 0).astype(np.uint8)
    packer = Packer(run, Form(), ROWS)
    packed = packer.table(SecretTable(COLUMNS, SecretMarks(present)))
    back = Source(packer.written()).table(run, packed)
    assert (marks_of(back.present) == present).all()
    for column in back.columns.values():
        assert not words_of(column)[present == 0].any()


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", ["whole", "key", "day", "price"])
def test_packed_keys_sort_as_their_values(name, descending):
    run, value = Run(), COLUMNS[name]
    packer = Packer(run, Form(), ROWS)
    lying = packer.key(value, descending=descending)
    planes = sort_packed(run, packer.written(), packer.form.used)
    back = Source(planes).column(run, lying, known_of(value))
    expected = np.sort(words_of(value).reshape(-1).view(np.int64))
    expected = expected[::-1] if descending else expected
    assert (words_of(back).reshape(-1).view(np.int64) == expected).all()


def test_declared_ranges_take_few_bits():
    bits = {n: sum(p.bits for p in parts_of(c.layout, c.ends)) for n, c in COLUMNS.items()}
    assert bits["key"] == 20
    assert bits["one value"] == 1
    assert bits["price"] == 41
    assert bits["short"] == 3 * 8 + 2


@pytest.mark.parametrize("rights", [3, 64, 65])
def test_few_rows_are_found_as_many_are(rights):
    """By comparing with all of them, up to 64, and by a sort from there on."""
    run = Run()
    keys = np.arange(rights, dtype=np.uint64).reshape(-1, 1)
    known = np.ones(rights, dtype=np.uint8)
    right = SecretTable(
        {
            "k": SecretColumn(Layout(INT64), keys, known),
            "v": SecretColumn(Layout(INT64), keys * 9, known),
        },
        SecretMarks(known),
    )
    mine = SecretColumn(
        Layout(INT64),
        np.arange(ROWS, dtype=np.uint64).reshape(-1, 1) % 100,
        np.ones(ROWS, np.uint8),
    )
    left = SecretTable({"m": mine}, SecretMarks(np.ones(ROWS, dtype=np.uint8)))
    found = joining.join_unique(run, left, right, [On(mine, right.columns["k"])], outer=False)
    there = marks_of(found.present) == 1
    asked = words_of(found.columns["m"])[there]
    assert len(asked) == 7 * min(rights, 100)
    assert (words_of(found.columns["v"])[there] == asked * 9).all()
    run.finish()


def test_few_rows_of_one_key_fail_the_run():
    run = Run()
    twice = SecretColumn(Layout(INT64), np.ones((2, 1), np.uint64), np.ones(2, np.uint8))
    right = SecretTable({"k": twice}, SecretMarks(np.ones(2, dtype=np.uint8)))
    mine = COLUMNS["whole"]
    left = SecretTable({"m": mine}, SecretMarks(np.ones(ROWS, dtype=np.uint8)))
    joining.join_unique(run, left, right, [On(mine, twice)], outer=False)
    with pytest.raises(EngineError, match="unique occurs twice"):
        run.finish()
