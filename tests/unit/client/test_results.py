"""Results open for their recipients, whole, and only from a verified job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.party_jobs import (
    MODEL,
    ROWS,
    FakeEnclave,
    Pieces,
    identity,
    make_proof,
    simulation,
)

from mc2.client.proof import verify_proof
from mc2.client.results import OpenedModel, OpenedTable, open_result
from mc2.crypto.secret import ReceivingKey
from mc2.errors import ReceiptError, UsageError
from mc2.formats.chunk import pack, pack_rows


class Verified:
    """A verified job and the blobs of its results."""

    def __init__(self, change=None):
        self.pieces = Pieces()
        self.enclave = FakeEnclave(self.pieces)
        if change is not None:
            results = self.enclave.results() | change(self.enclave)
            self.enclave.results = lambda: results
        proof, _ = make_proof(self.pieces, self.enclave)
        self.blobs = self.enclave.blobs
        self.job = verify_proof(
            proof.encode(),
            contract=self.pieces.contract.digest,
            job_id=self.pieces.job_id,
            verifiers=simulation(),
        )

    def open(self, output, recipient="cy", key=None):
        return open_result(
            self.job,
            output,
            recipient=recipient,
            key=key or identity(recipient).receiving,
            read_blob=self.blobs.__getitem__,
        )


def test_opens_a_table_for_each_of_its_recipients():
    verified = Verified()
    for name in ("ada", "cy"):
        opened = verified.open("rows", name)
        assert isinstance(opened, OpenedTable)
        assert opened.table.equals(ROWS)
        assert opened.schema.names == ("age", "ill")


def test_opens_a_model_as_the_bytes_that_it_is():
    opened = Verified().open("model")
    assert opened == OpenedModel(MODEL)


def test_opens_an_empty_table():
    empty = ROWS.to_batches()[0].slice(0, 0)
    verified = Verified(lambda e: {"rows": e.seal("rows", [pack_rows(empty)])})
    assert verified.open("rows").table.equals(ROWS.slice(0, 0))


def test_is_only_for_its_recipients():
    verified = Verified()
    with pytest.raises(UsageError, match="not for ada"):
        verified.open("model", "ada")
    with pytest.raises(UsageError, match="no output"):
        verified.open("nothing")


def test_a_key_sealed_to_another_does_not_open():
    verified = Verified()
    with pytest.raises(ReceiptError, match="does not open"):
        verified.open("rows", "cy", identity("ada").receiving)
    with pytest.raises(ReceiptError, match="does not open"):
        verified.open("rows", "cy", ReceivingKey.generate())


def test_one_recipient_s_key_in_another_s_place_does_not_open():
    def swap(enclave):
        rows = enclave.results()["rows"]
        return {"rows": replace(rows, keys={"ada": rows.keys["cy"], "cy": rows.keys["cy"]})}

    verified = Verified(swap)
    with pytest.raises(ReceiptError):
        verified.open("rows", "ada")


def test_a_key_that_is_not_committed_to_does_not_open():
    def other(enclave):
        return {"rows": replace(enclave.results()["rows"], key_commitment="00" * 32)}

    with pytest.raises(ReceiptError, match="commits to"):
        Verified(other).open("rows")


@pytest.mark.parametrize("chunk", [0, 1])
def test_a_chunk_that_was_altered_cut_or_swapped_is_refused(chunk):
    verified = Verified()
    first, second = (c.digest for c in verified.job.results["rows"].chunks)
    mine, other = (first, second) if chunk == 0 else (second, first)
    whole = dict(verified.blobs)
    for bad in (
        whole[mine][:-1],
        whole[mine] + b"\0",
        whole[mine][:-1] + bytes([whole[mine][-1] ^ 1]),
        whole[other],
        b"",
    ):
        verified.blobs = {**whole, mine: bad}
        with pytest.raises(ReceiptError, match=f"chunk {chunk}"):
            verified.open("rows")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, chunks=r.chunks[:1]),
        lambda r: replace(r, chunks=r.chunks[::-1]),
        lambda r: replace(r, chunks=(*r.chunks, r.chunks[0])),
        lambda r: replace(r, chunks=(r.chunks[0], r.chunks[0])),
    ],
)
def test_chunks_dropped_swapped_or_repeated_do_not_open(change):
    """Even if the receipt stands for it: each chunk is bound to its place and their number."""
    verified = Verified(lambda e: {"rows": change(e.results()["rows"])})
    with pytest.raises(ReceiptError, match="does not open"):
        verified.open("rows")


def test_a_table_that_is_not_in_its_schema_is_refused():
    verified = Verified(lambda e: {"rows": e.seal("rows", [pack(b"no arrow")])})
    with pytest.raises(ReceiptError, match="does not open"):
        verified.open("rows")


def test_a_model_with_rows_is_refused():
    verified = Verified(lambda e: {"model": e.seal("model", [pack(MODEL, rows=3)])})
    with pytest.raises(ReceiptError, match="rows"):
        verified.open("model")


def test_a_failing_store_is_not_a_false_proof():
    verified = Verified()
    verified.blobs = {}
    with pytest.raises(KeyError):
        verified.open("rows")
