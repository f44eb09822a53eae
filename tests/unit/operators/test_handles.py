"""Handles let nothing out, and refuse arrays that kernels could not take."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from mc2.errors import EngineError
from mc2.formats.schema import DataType, decimal
from mc2.operators.constants import all_marks, constant
from mc2.operators.handles import Layout, SecretColumn, SecretMarks, SecretTable, flat_words_of
from mc2.operators.run import Flag, Run

INT = Layout(DataType("int64"))
SECRETS = [constant(INT, 5, 3), all_marks(3, value=True)]


@pytest.mark.parametrize("secret", SECRETS, ids=["column", "marks"])
@pytest.mark.parametrize(
    "peek",
    [
        bool, len, iter, list, int, float, bytes, hash, sorted, np.asarray, pickle.dumps, copy.copy,
        lambda s: s[0], lambda s: s == 0, lambda s: s < 1, lambda s: 1 in s, lambda s: [1, 2][s],
        lambda s: s or None,
    ],
)  # fmt: skip
def test_python_cannot_look(secret, peek):
    with pytest.raises(TypeError):
        peek(secret)


@pytest.mark.parametrize("secret", SECRETS, ids=["column", "marks"])
def test_what_is_public_is_said(secret):
    assert secret.rows == 3
    assert "5" not in repr(secret)


def test_arrays_of_another_shape_are_refused():
    words, known = np.zeros((3, 1), dtype=np.uint64), np.ones(3, dtype=np.uint8)
    with pytest.raises(TypeError, match="uint64"):
        SecretColumn(INT, words.astype(np.int64), known)
    with pytest.raises(TypeError, match="contiguous"):
        SecretColumn(INT, np.zeros((3, 2), dtype=np.uint64)[:, :1], known)
    with pytest.raises(ValueError, match="layout"):
        SecretColumn(INT, words, np.ones(2, dtype=np.uint8))
    with pytest.raises(TypeError):
        SecretMarks(np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="one length"):
        SecretTable({"a": constant(INT, 1, 2)}, all_marks(3, value=True))


def test_layouts():
    assert Layout(decimal(18, 2)).words == 1
    assert Layout(decimal(19, 2)).words == 2
    assert Layout(DataType("string"), 9).words == 3
    with pytest.raises(EngineError, match="1016 bytes"):
        Layout(DataType("string"), 2000)
    kind = DataType("list", element=DataType("int64"))
    assert Layout(kind, most=3, parts=(Layout(DataType("int64")),)).words == 6
    with pytest.raises(ValueError, match="what is inside"):
        Layout(kind)
    with pytest.raises(EngineError, match="1024 words"):
        Layout(kind, most=600, parts=(Layout(DataType("int64")),))
    with pytest.raises(TypeError, match="more than one word"):
        flat_words_of(constant(Layout(decimal(38, 0)), 1, 1))


def test_errors_are_told_at_the_end_by_kind_alone():
    run = Run()
    run.raise_where(all_marks(2, value=False), Flag.OVERFLOW)
    run.finish()
    run.raise_where(all_marks(2, value=True), Flag.DIVISION_BY_ZERO)
    run.raise_where(all_marks(2, value=True), Flag.BAD_CAST)
    with pytest.raises(EngineError, match=r"division by zero.*; a value cannot be converted"):
        run.finish()


def test_flags_are_those_of_the_kernels():
    header = (Path(__file__).parents[3] / "native/include/mc2/secret.hpp").read_text()
    for flag in Flag:
        assert f"{flag.name.lower()} = {flag.value}," in header


def test_words_of_a_domain_are_computed_once_somebody_asks():
    asked = []

    def words():
        asked.append(1)
        return np.array([[5], [7]], dtype=np.uint64)

    known = np.ones(2, dtype=np.uint8)
    codes = np.zeros(2, dtype=np.uint64)
    column = SecretColumn(INT, words, known, None, (b"A",), codes)
    assert column.rows == 2
    assert asked == []
    assert flat_words_of(column).tolist() == flat_words_of(column).tolist() == [5, 7]
    assert asked == [1]
    with pytest.raises(ValueError, match="layout"):
        flat_words_of(SecretColumn(INT, lambda: np.zeros((3, 1), np.uint64), known))
