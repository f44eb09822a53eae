"""A padded table that grew: each version brought some rows, and places for more."""

from __future__ import annotations

import secrets
from pathlib import Path

import pyarrow as pa

from mc2.client.blobs import FolderBlobs
from mc2.client.data_key import own_data_key
from mc2.client.seal import NewVersion, OwnerKeys, SealOptions, seal_table
from mc2.client.sources.open import open_source
from mc2.crypto.secret import SigningKey
from mc2.formats.manifest import Manifest
from tests.support.enclave_jobs import HOUR, NOW, Sealed
from tests.support.oblivious import facts_of

SEGMENTS = 3
"""Versions of a table, each with a part of the rows and chunks of its own."""


def seal_segments(name: str, table: pa.Table, folder: Path, *, bound: int, chunk: int) -> Sealed:
    """Seal a table as its owner's client does, in versions of at most `bound` rows each."""
    owner = OwnerKeys(secret=secrets.token_bytes(32), signer=SigningKey.generate())
    widths, size = facts_of(table).widths, -(-table.num_rows // SEGMENTS)
    blobs = FolderBlobs(folder)
    manifest: Manifest | None = None
    for number in range(SEGMENTS):
        version = NewVersion(
            dataset=name,
            version=number + 1,
            created=NOW - 24 * HOUR,
            dataset_id=manifest.dataset_id if manifest else "",
            after=manifest,
        )
        options = SealOptions(
            sizes="padded",
            row_bound=bound,
            widths=widths,
            rows_per_chunk=chunk,
            append=number > 0,
        )
        rows = open_source(table.slice(number * size, size))
        manifest = seal_table(rows, version, owner, blobs, options).manifest
    assert manifest is not None
    with own_data_key(owner.secret, manifest) as key:
        raw_key = bytes(key.raw)
    return Sealed(manifest, raw_key, {c.digest: blobs.get(c.digest) for c in manifest.chunks})
