import copy
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.support.tables import NOW, SECRET, SIGNER

from mc2.client.data_key import derive_data_key
from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.errors import ContractError, FormatError, SignatureError
from mc2.formats.canonical import encode
from mc2.formats.facts import TableFacts
from mc2.formats.job import Approval
from mc2.formats.manifest import (
    ChunkRef,
    Manifest,
    UsagePolicy,
    chunk_count,
    dataset_associated_data,
)
from mc2.formats.schema import Column, DataType, Schema, width_paths

SCHEMA = Schema(
    (Column("id", DataType("int64"), nullable=False), Column("name", DataType("string")))
)
MANIFEST = Manifest(
    dataset="ada.people",
    owner="ada",
    dataset_id="00" * 16,
    version=3,
    created=NOW,
    schema=SCHEMA,
    sizes="exact",
    compression="zstd",
    row_bound=10,
    rows_per_chunk=4,
    key_salt="11" * 32,
    key_commitment=derive_data_key(SECRET, b"\x11" * 32).commitment(),
    policy=UsagePolicy(),
    chunks=tuple(ChunkRef(digest(bytes([i])), 100 + i) for i in range(3)),
)
VALUE = json.loads(encode(MANIFEST.json()))


def parse(value):
    return Manifest.parse(encode(value))


def test_reads_back():
    assert parse(VALUE) == MANIFEST
    limited = UsagePolicy(
        columns=("id",), recipients=("bo",), not_after=datetime(2030, 1, 1, tzinfo=UTC)
    )
    other = replace(MANIFEST, policy=limited)
    assert Manifest.parse(encode(other.json())) == other
    assert other.digest != MANIFEST.digest


def test_the_owner_signs():
    found = Manifest.verify(MANIFEST.sign(SIGNER), {"ada": SIGNER.public}.__getitem__)
    assert found.value == MANIFEST
    assert found.digest == MANIFEST.digest


def test_nobody_else_signs():
    def key_of(name):
        if name != "ada":
            raise ContractError(name)
        return SIGNER.public

    with pytest.raises(SignatureError):
        Manifest.verify(MANIFEST.sign(SigningKey.generate()), key_of)
    stranger = replace(MANIFEST, dataset="eve.people", owner="eve")
    with pytest.raises(ContractError):
        Manifest.verify(stranger.sign(SIGNER), key_of)


def test_a_signature_is_for_a_manifest_and_nothing_else():
    with pytest.raises(FormatError):
        Approval.verify(MANIFEST.sign(SIGNER), lambda _: SIGNER.public)


@pytest.mark.parametrize("field", sorted(VALUE))
def test_every_field_is_required(field):
    value = copy.deepcopy(VALUE)
    del value[field]
    with pytest.raises(FormatError):
        parse(value)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "mc2/manifest/v2"},
        {"more": 1},
        {"dataset": "people"},
        {"dataset": "bo.people"},
        {"dataset": "Ada.people"},
        {"owner": "bo"},
        {"dataset_id": "00" * 15},
        {"dataset_id": "0G" * 16},
        {"dataset_id": "AA" * 16},
        {"version": 0},
        {"version": (1 << 31) + 1},
        {"version": True},
        {"version": "3"},
        {"created": "2026-11-23T12:00:00+00:00"},
        {"created": "2026-11-23"},
        {"schema": []},
        {"schema": [VALUE["schema"][0], VALUE["schema"][0]]},
        {"sizes": "padded"},  # compressed, and of different sizes
        {"sizes": "hidden"},
        {"compression": "gzip"},
        {"compression": None},
        {"row_bound": 12 + 1},
        {"row_bound": 8},
        {"row_bound": -1},
        {"row_bound": 1 << 41},
        {"rows_per_chunk": 0},
        {"rows_per_chunk": (1 << 20) + 1},
        {"key_salt": "11" * 31},
        {"key_commitment": ""},
        {"chunks": []},
        {"chunks": VALUE["chunks"][:2]},
        {"chunks": [*VALUE["chunks"], VALUE["chunks"][0]]},
        {"chunks": [*VALUE["chunks"][:2], {"digest": "sha256:00", "bytes": 1}]},
        {"chunks": [*VALUE["chunks"][:2], VALUE["chunks"][2] | {"bytes": 0}]},
        {"chunks": [*VALUE["chunks"][:2], VALUE["chunks"][2] | {"bytes": (64 << 20) + 17}]},
        {"chunks": [*VALUE["chunks"][:2], VALUE["chunks"][2] | {"rows": 1}]},
        {"policy": {}},
        {"policy": VALUE["policy"] | {"purpose": "all"}},
        {"policy": VALUE["policy"] | {"columns": ["nobody"]}},
        {"policy": VALUE["policy"] | {"columns": ["name", "id"]}},
        {"policy": VALUE["policy"] | {"columns": ["id", "id"]}},
        {"policy": VALUE["policy"] | {"columns": "some"}},
        {"policy": VALUE["policy"] | {"columns": None}},
        {"policy": VALUE["policy"] | {"recipients": ["Bo"]}},
        {"policy": VALUE["policy"] | {"recipients": "all"}},
        {"policy": VALUE["policy"] | {"not_after": "never"}},
    ],
    ids=str,
)
def test_refuses(change):
    with pytest.raises(FormatError):
        parse(VALUE | change)


def test_a_policy_that_allows_no_column_and_no_recipient_is_one():
    policy = VALUE["policy"] | {"columns": [], "recipients": []}
    assert parse(VALUE | {"policy": policy}).policy == UsagePolicy((), ())


def test_padded_chunks_have_one_size():
    same = tuple(replace(c, size=4096) for c in MANIFEST.chunks)
    facts = TableFacts(dict.fromkeys(width_paths(MANIFEST.schema), 8))
    padded = replace(MANIFEST, sizes="padded", compression="none", chunks=same, facts=facts)
    assert Manifest.parse(encode(padded.json())) == padded
    with pytest.raises(FormatError):
        replace(padded, facts=TableFacts())
    with pytest.raises(FormatError):
        replace(padded, compression="lz4")
    with pytest.raises(FormatError):
        replace(padded, chunks=(*same[:2], replace(same[2], size=4097)))


@pytest.mark.parametrize(
    ("rows", "per_chunk", "count"), [(0, 4, 1), (1, 4, 1), (4, 4, 1), (5, 4, 2), (8, 4, 2)]
)
def test_an_empty_table_has_one_chunk(rows, per_chunk, count):
    assert chunk_count(rows, per_chunk) == count


def test_the_associated_data_is_as_the_page_says():
    assert MANIFEST.associated_data(2) == (
        b"mc2/dataset-chunk/v1\x00"
        + bytes(16)
        + (3).to_bytes(8, "big")
        + bytes.fromhex(SCHEMA.digest.removeprefix("sha256:"))
        + (2).to_bytes(8, "big")
        + (3).to_bytes(8, "big")
        + b"\x01"
        + (0).to_bytes(8, "big")
        + len(SCHEMA).to_bytes(8, "big")
    )


def test_each_part_of_the_associated_data_separates():
    one, other = range(3), range(3, 4)
    first = ("00" * 16, 1, SCHEMA.digest, 0, 2, one)
    others = [
        ("00" * 15 + "01", 1, SCHEMA.digest, 0, 2, one),
        ("00" * 16, 2, SCHEMA.digest, 0, 2, one),
        ("00" * 16, 1, digest(b"other"), 0, 2, one),
        ("00" * 16, 1, SCHEMA.digest, 1, 2, one),
        ("00" * 16, 1, SCHEMA.digest, 0, 3, one),
        ("00" * 16, 1, SCHEMA.digest, 0, 1, one),
        ("00" * 16, 1, SCHEMA.digest, 0, 2, other),
        ("00" * 16, 1, SCHEMA.digest, 0, 2, range(2)),
    ]
    assert len({dataset_associated_data(*parts) for parts in (first, *others)}) == len(others) + 1
