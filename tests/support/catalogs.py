"""Catalogs for planner tests: a collaboration of two clinics and an institute, without any data."""

from __future__ import annotations

from collections.abc import Mapping

from mc2.crypto.digest import digest
from mc2.formats.schema import Column, Schema, parse_type
from mc2.planner.catalog import Catalog, CatalogTable

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
