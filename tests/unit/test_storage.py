from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from mc2.crypto.digest import digest
from mc2.errors import DatasetError, JobError, UsageError
from mc2.storage import RESULTS, BlobStorage, ResultStorage, open_storage

RAW = b"sealed"
NAME = digest(RAW)


@pytest.fixture(params=["folder", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    places = {
        "folder": str(tmp_path / "blocks"),
        "file": f"file://{tmp_path}/blocks",
        "memory": f"memory://{secrets.token_hex(8)}",
    }
    return places[request.param]


@pytest.fixture
def storage(place: str) -> BlobStorage:
    return open_storage(place)


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
    storage.remove("two", NAME)
    storage.remove("two", NAME)
    assert storage.find("two", NAME) is None


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


def test_results_are_what_was_put_or_an_error(place: str, storage: BlobStorage) -> None:
    results = ResultStorage(place)
    with pytest.raises(DatasetError, match="has lost"):
        results.get(NAME)
    results.put(NAME, RAW)
    assert results.get(NAME) == RAW
    for other in (b"", RAW[:-1], RAW + b"!", b"swapped"):
        storage.put(RESULTS, NAME, other)
        with pytest.raises(DatasetError, match="other bytes"):
            results.get(NAME)
    results.remove(NAME)
    results.remove(NAME)
    assert storage.find(RESULTS, NAME) is None


def test_a_storage_of_results_that_fails_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no folder")
    results = ResultStorage(str(tmp_path / "file"))
    with pytest.raises(JobError, match="does not take"):
        results.put(NAME, RAW)
    with pytest.raises(DatasetError, match="does not give"):
        results.get(NAME)
    with pytest.raises(JobError, match="does not remove"):
        results.remove(NAME)


@pytest.mark.parametrize("place", ["blocks", "./blocks", "nosuch://bucket", "file://blocks"])
def test_other_places_are_refused(place: str) -> None:
    with pytest.raises(UsageError):
        open_storage(place)
