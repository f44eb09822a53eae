"""The key of what a job draws at random: rows and columns to train on, roundings, shuffles.

Every attempt of a job, with any number of enclaves, draws the same, so its models have the same
bits. Each owner gives a share by the key of its dataset, which no host and no other party has:
nobody chooses the outcome, and nobody knows it who lacks one of the keys. Spec:
docs/spec/key-release.md, section "What a job draws".
"""

from __future__ import annotations

from collections.abc import Mapping

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.formats.canonical import encode
from mc2.formats.release import JobContext


def drawing_key(context: JobContext, ciphers: Mapping[str, ChunkCipher]) -> bytes:
    """32 bytes that follow from the job, whatever its attempt, and from all keys of its inputs.

    `ciphers` are those of all inputs, by dataset.
    """
    names = sorted(ciphers)
    shares = b"".join(ciphers[name].drawing_share for name in names)
    job = encode(
        {
            "contract": context.contract,
            "plan": context.plan,
            "job_id": context.job_id,
            "inputs": names,
        }
    )
    return derive(shares, Label.DRAWING_KEY, job)
