from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from mc2.crypto.digest import digest
from mc2.errors import UsageError
from mc2.spark.storage import BlobStorage, open_storage

RAW = b"sealed"
NAME = digest(RAW)


@pytest.fixture(params=["folder", "file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStorage:
    places = {
        "folder": str(tmp_path / "blocks"),
        "file": f"file://{tmp_path}/blocks",
        "memory": f"memory://{secrets.token_hex(8)}",
    }
    return open_storage(places[request.param])


def test_what_was_put_is_found_until_its_folder_is_cleared(storage: BlobStorage) -> None:
    assert storage.find("one", NAME) is None
    assert storage.folders() == []
    storage.put("one", NAME, RAW)
    storage.put("one", NAME, RAW)
    storage.put("two", NAME, RAW)
    assert storage.find("one", NAME) == RAW
    assert sorted(storage.folders()) == ["one", "two"]
    storage.clear("one")
    storage.clear("one")
    assert storage.find("one", NAME) is None
    assert storage.find("two", NAME) == RAW


def test_a_file_is_linked_or_copied(storage: BlobStorage, tmp_path: Path) -> None:
    source = tmp_path / "chunk"
    source.write_bytes(RAW)
    for _ in range(2):
        storage.link("one", NAME, source, source.read_bytes)
        assert storage.find("one", NAME) == RAW
    storage.link("two", NAME, tmp_path / "nothing", lambda: RAW)
    assert storage.find("two", NAME) == RAW
    storage.clear("one")
    assert source.read_bytes() == RAW


@pytest.mark.parametrize("place", ["blocks", "./blocks", "nosuch://bucket", "file://blocks"])
def test_other_places_are_refused(place: str) -> None:
    with pytest.raises(UsageError):
        open_storage(place)
