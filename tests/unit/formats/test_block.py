"""A block opens in its place, for its task, in its epoch, under its salt, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from mc2.crypto.digest import Digest, digest
from mc2.errors import CryptoError, DatasetError, FormatError
from mc2.formats.arrow import schema_of
from mc2.formats.block import SALT_BYTES, BlockCipher, BlockPlace, BlockRef, TaskName, fitting
from mc2.formats.limits import LIMITS
from mc2.formats.release import JobContext

ZERO = Digest("sha256:" + "0" * 64)
CONTEXT = JobContext(contract=ZERO, policy=ZERO, plan=ZERO, job_id="00" * 16, attempt=1)
TASK = TaskName(context=CONTEXT, epoch=1, stages=ZERO, stage=2, partition=3, attempt=1)
KEY, SALT = bytes(range(32)), bytes(SALT_BYTES)
BATCH = pa.record_batch({"n": pa.array([1, 2, None], pa.int64())})
SCHEMA = schema_of(BATCH.schema)
PLACE = BlockPlace(1, 2, 3, last=True)


def seal(task=TASK, place=PLACE, key=KEY, salt=SALT):
    raw = BlockCipher(key, task, salt).seal(place, BATCH, SCHEMA.digest)
    return raw, BlockRef(digest(raw), len(raw), BATCH.num_rows)


def test_what_is_sealed_opens():
    raw, named = seal()
    assert BlockCipher(KEY, TASK, SALT).open(PLACE, named, SCHEMA, raw).equals(BATCH)


@pytest.mark.parametrize(
    "change",
    [{"exchange": 0}, {"part": 0}, {"sequence": 2}, {"last": False}],
    ids=lambda c: next(iter(c)),
)
def test_a_block_opens_nowhere_else(change):
    raw, named = seal()
    with pytest.raises(CryptoError):
        BlockCipher(KEY, TASK, SALT).open(replace(PLACE, **change), named, SCHEMA, raw)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 2},
        {"stages": digest(b"other")},
        {"stage": 1},
        {"partition": 2},
        {"attempt": 2},
        {"context": replace(CONTEXT, attempt=2)},
        {"context": replace(CONTEXT, job_id="01" * 16)},
        {"context": replace(CONTEXT, plan=digest(b"other"))},
    ],
    ids=str,
)
def test_a_block_opens_for_no_other_task(change):
    raw, named = seal()
    with pytest.raises(CryptoError):
        BlockCipher(KEY, replace(TASK, **change), SALT).open(PLACE, named, SCHEMA, raw)


def test_a_block_opens_under_no_other_key_salt_or_schema():
    raw, named = seal()
    with pytest.raises(CryptoError):
        BlockCipher(KEY, TASK, b"\1" * SALT_BYTES).open(PLACE, named, SCHEMA, raw)
    with pytest.raises(CryptoError):
        BlockCipher(b"\1" * 32, TASK, SALT).open(PLACE, named, SCHEMA, raw)
    other = schema_of(pa.schema([("m", pa.int64())]))
    with pytest.raises(CryptoError):
        BlockCipher(KEY, TASK, SALT).open(PLACE, named, other, raw)


def test_other_bytes_are_refused_before_they_are_opened():
    raw, named = seal()
    with pytest.raises(DatasetError, match="not the one"):
        BlockCipher(KEY, TASK, SALT).open(PLACE, named, SCHEMA, raw + b"\0")


def test_rows_are_counted():
    raw, named = seal()
    with pytest.raises(FormatError, match="as many rows"):
        BlockCipher(KEY, TASK, SALT).open(PLACE, replace(named, rows=2), SCHEMA, raw)


def test_nonces_are_unique():
    places = [BlockPlace(e, p, s, last=False) for e in (0, 1) for p in (0, 1) for s in (0, 1)]
    assert len({p.nonce for p in places}) == len(places)
    assert BlockPlace(2**16 - 1, 2**32 - 1, 2**48 - 1, last=True).nonce < 2**96
    with pytest.raises(FormatError):
        _ = BlockPlace(0, 2**32, 0, last=True).nonce


def test_a_salt_has_its_length():
    with pytest.raises(FormatError, match="32 bytes"):
        BlockCipher(KEY, TASK, b"")


def test_rows_are_cut_until_they_fit():
    wide = pa.record_batch({"t": pa.array(["x" * 1_000_000] * 40)})
    pieces = list(fitting(wide))
    assert sum(p.num_rows for p in pieces) == 40
    assert all(p.nbytes <= LIMITS.block_bytes for p in pieces)
    assert len(pieces) > 1


def test_a_huge_row_stays_whole():
    (one,) = fitting(pa.record_batch({"t": pa.array(["x" * (LIMITS.block_bytes + 1)])}))
    assert one.num_rows == 1
