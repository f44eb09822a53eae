"""What a job draws at random follows from the job, and from the keys of all of its inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import digest
from mc2.enclave.drawing import drawing_key
from mc2.formats.release import JobContext

CONTEXT = JobContext(
    contract=digest(b"contract"),
    policy=digest(b"policy"),
    plan=digest(b"plan"),
    job_id="ab" * 16,
    attempt=1,
)
CIPHERS = {"ada.t": ChunkCipher(b"\x01" * 32), "bo.t": ChunkCipher(b"\x02" * 32)}


def test_every_attempt_draws_the_same():
    found = drawing_key(CONTEXT, CIPHERS)
    assert len(found) == 32
    other = dict(reversed(CIPHERS.items()))
    assert drawing_key(replace(CONTEXT, attempt=2, policy=digest(b"other")), other) == found


@pytest.mark.parametrize(
    ("context", "ciphers"),
    [
        (replace(CONTEXT, plan=digest(b"other")), CIPHERS),
        (replace(CONTEXT, contract=digest(b"other")), CIPHERS),
        (replace(CONTEXT, job_id="cd" * 16), CIPHERS),
        (CONTEXT, {**CIPHERS, "bo.t": ChunkCipher(b"\x03" * 32)}),
        (CONTEXT, {"ada.t": CIPHERS["bo.t"], "bo.t": CIPHERS["ada.t"]}),
        (CONTEXT, {"ada.t": CIPHERS["ada.t"], "cy.t": CIPHERS["bo.t"]}),
        (CONTEXT, {"ada.t": CIPHERS["ada.t"]}),
    ],
)
def test_another_job_or_key_draws_something_else(context, ciphers):
    assert drawing_key(context, ciphers) != drawing_key(CONTEXT, CIPHERS)


def test_the_share_of_a_key_is_not_the_key_of_its_chunks():
    raw = b"\x07" * 32
    share = ChunkCipher(raw).drawing_share
    assert share != raw
    sealed = ChunkCipher(raw).seal(0, b"rows", b"")
    with pytest.raises(Exception, match="does not open"):
        ChunkCipher(share).open(0, sealed, b"")
