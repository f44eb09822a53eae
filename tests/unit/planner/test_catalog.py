"""What scripts may refer to, and its way to the process that compiles them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.catalogs import catalog, catalog_of, contract, manifests

from mc2.errors import FormatError
from mc2.formats.canonical import decode, encode
from mc2.formats.manifest import UsagePolicy
from mc2.planner.catalog import Catalog


def test_goes_through_its_encoding():
    for known in (catalog(), catalog(allowed=("age",)), catalog({"clinic_a.t": {"x": "int8"}})):
        raw = encode(known.json())
        assert Catalog.read(decode(raw, len(raw), "a catalog")) == known


def test_of_several_versions_the_newest_counts():
    known = manifests()
    newer = {n: replace(m, version=2, row_bound=7) for n, m in known.items()}
    both = {m.digest: m for m in (*newer.values(), *known.values())}
    found = Catalog.of(contract(), both)
    assert {t.row_bound for t in found.datasets.values()} == {7}
    assert found.datasets["clinic_a.visits"].manifest == newer["clinic_a.visits"].digest


def test_what_no_owner_brings_is_left_out():
    known = manifests({"institute.t": {"x": "int8"}, "clinic_a.t": {"x": "int8"}})
    found = catalog_of(contract(), known)
    assert list(found.datasets) == ["clinic_a.t"]
    assert found.members["institute"] == ("analyst", "recipient")
    assert (found.contract, found.name) == (contract().digest, "diabetes")


def test_counts_rows_by_a_column_that_is_allowed_and_narrow():
    columns = {"clinic_a.t": {"s": "string", "x": "int64", "y": "double"}}
    assert catalog(columns).datasets["clinic_a.t"].cheapest == "x"
    policy = {"clinic_a.t": UsagePolicy(columns=("s", "y"))}
    found = catalog_of(contract(), manifests(columns, policy))
    assert found.datasets["clinic_a.t"].cheapest == "y"
    policy = {"clinic_a.t": UsagePolicy(columns=("s",))}
    found = catalog_of(contract(), manifests(columns, policy))
    assert found.datasets["clinic_a.t"].cheapest == "s"
    policy = {"clinic_a.t": UsagePolicy(columns=())}
    found = catalog_of(contract(), manifests(columns, policy))
    assert found.datasets["clinic_a.t"].cheapest == "x"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "other"},
        {"contract": "x"},
        {"name": "A"},
        {"members": []},
        {"members": {"A": []}},
        {"members": {"a": ["boss"]}},
        {"datasets": []},
        {"datasets": {"nodot": {}}},
        {"datasets": {"a.b": {}}},
        {"more": 1},
    ],
)
def test_refuses_what_is_no_catalog(change):
    with pytest.raises(FormatError):
        Catalog.read({**catalog().json(), **change})
