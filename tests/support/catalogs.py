"""A collaboration of two clinics and an institute, without any data: the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from mc2.crypto.digest import digest
from mc2.crypto.hpke import RECEIVING_PUBLIC_BYTES, ReceivingPublicKey
from mc2.crypto.signatures import VerifyKey
from mc2.formats.card import Card
from mc2.formats.contract import Contract, Member
from mc2.formats.facts import TableFacts
from mc2.formats.manifest import ChunkRef, Manifest, UsagePolicy
from mc2.formats.schema import Column, Schema, parse_type, width_paths
from mc2.planner.catalog import Catalog, CatalogTable
from tests.support.plans import NO_DIGEST

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PACKAGES = {"duckdb": "2.0.0", "mc2": "0.1.0", "numpy": "2", "pyarrow": "26", "xgboost": "3.2.0"}
"""Versions for plans whose digests stand in golden files."""

VISITS = {
    "visit": "int64 not null",
    "patient": "int64",
    "site": "string",
    "day": "date",
    "glucose": "double",
    "bmi": "float",
    "age": "int32",
    "smoker": "boolean",
    "cost": "decimal(10,2)",
    "seen": "timestamp_utc",
    "entered": "timestamp",
    "diabetic": "int8",
}
LABS = {"patient": "int64", "test": "string", "value": "double", "taken": "date"}
ROLES = {
    "clinic_a": ("owner", "recipient"),
    "clinic_b": ("owner", "recipient"),
    "institute": ("analyst", "recipient"),
    "operator": ("analyst",),
}


def schema(columns: Mapping[str, str]) -> Schema:
    """A schema from names and types; `not null` may follow a type."""
    return Schema(
        tuple(
            Column(name, parse_type(kind.removesuffix(" not null")), not kind.endswith("not null"))
            for name, kind in columns.items()
        )
    )


def catalog(
    tables: Mapping[str, Mapping[str, str]] | None = None,
    *,
    rows: int = 1000,
    allowed: tuple[str, ...] | None = None,
) -> Catalog:
    """A catalog with these tables; by default both clinics' visits, and labs of the second."""
    known = tables or {
        "clinic_a.visits": VISITS,
        "clinic_b.visits": VISITS,
        "clinic_b.labs": LABS,
    }
    return Catalog(
        contract=digest(b"contract"),
        name="diabetes",
        members=ROLES,
        datasets={
            name: CatalogTable(
                manifest=digest(name.encode()),
                owner=name.partition(".")[0],
                schema=schema(columns),
                row_bound=rows,
                allowed=allowed,
            )
            for name, columns in known.items()
        },
    )


def contract(**changes: Any) -> Contract:
    """The contract of the clinics and the institute. Its keys sign nothing."""
    members = tuple(
        Member(
            Card(
                name=name,
                organisation=name.replace("_", " ").title(),
                signing_key=VerifyKey(sha256(name.encode()).digest()),
                receiving_key=ReceivingPublicKey(bytes(RECEIVING_PUBLIC_BYTES)),
            ),
            roles,
        )
        for name, roles in sorted(ROLES.items())
    )
    found = Contract(
        name="diabetes",
        epoch=1,
        supersedes=None,
        not_after=datetime(2030, 1, 1, tzinfo=UTC),
        min_tier="hardware-cvm",
        approvers="owners",
        max_attempts=3,
        members=members,
        attestation={},
    )
    return replace(found, **changes)


def manifests(
    tables: Mapping[str, Mapping[str, str]] | None = None,
    policies: Mapping[str, UsagePolicy] | None = None,
    **changes: Any,
) -> dict[str, Manifest]:
    """Manifests of sealed tables of one chunk each, by dataset."""
    known = tables or {"clinic_a.visits": VISITS, "clinic_b.visits": VISITS, "clinic_b.labs": LABS}
    found = {}
    for name, columns in known.items():
        manifest = Manifest(
            dataset=name,
            owner=name.partition(".")[0],
            dataset_id=sha256(name.encode()).hexdigest()[:32],
            version=1,
            created=AT,
            schema=schema(columns),
            sizes="exact",
            compression="lz4",
            row_bound=1000,
            rows_per_chunk=1000,
            key_salt="00" * 32,
            key_commitment="11" * 32,
            policy=(policies or {}).get(name, UsagePolicy()),
            chunks=(ChunkRef(digest(name.encode()), 4096),),
        )
        widths = width_paths(manifest.schema) if changes.get("sizes") == "padded" else ()
        facts = TableFacts(dict.fromkeys(widths, 40))
        found[name] = replace(manifest, **{"facts": facts, **changes})
    return found


def catalog_of(rules: Contract, known: Mapping[str, Manifest]) -> Catalog:
    """The catalog of a contract and manifests."""
    return Catalog.of(rules, {m.digest: m for m in known.values()})


def catalog_of_one_kind(kind: Schema, *datasets: str, rows: int = 1000) -> Catalog:
    """Tables of one schema, each of the party that its name begins with; all may do everything."""
    owners = {name: name.partition(".")[0] for name in datasets}
    return Catalog(
        name="peers",
        contract=NO_DIGEST,
        members=dict.fromkeys(owners.values(), ("analyst", "owner", "recipient")),
        datasets={
            name: CatalogTable(owner=owner, manifest=NO_DIGEST, schema=kind, row_bound=rows)
            for name, owner in owners.items()
        },
    )
