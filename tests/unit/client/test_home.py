"""A party's home: private, whole after a crash, and not to be rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mc2.client.durable import create_file, replace_file
from mc2.client.home import Home, SeenVersion, check_not_older, find_home
from mc2.crypto.digest import digest
from mc2.errors import DatasetError, FormatError, UsageError
from mc2.formats.coordinator_file import CoordinatorFile
from mc2.formats.statement import Verified


@dataclass(frozen=True)
class Version:
    """As much of a manifest as rollback is about."""

    dataset: str
    version: int


def manifest(version, dataset="clinic_a.visits", salt=b""):
    name = digest(f"{dataset} {version}".encode() + salt)
    return Verified(Version(dataset, version), name, b"")


@pytest.fixture
def home(tmp_path):
    return Home.create(tmp_path / "home")


def test_is_private(home):
    assert home.path.stat().st_mode & 0o777 == 0o700
    home.contracts.put(digest(b"x"), b"{}")
    for found in home.path.rglob("*"):
        assert found.stat().st_mode & 0o077 == 0, found


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770])
def test_refuses_a_folder_that_others_can_look_into(tmp_path, mode):
    path = tmp_path / "home"
    path.mkdir()
    path.chmod(mode)
    for opening in (Home.open, Home.create):
        with pytest.raises(UsageError, match="others") as refused:
            opening(path)
        assert "chmod 700" in refused.value.hint


def test_a_missing_home_is_not_made_by_accident(tmp_path):
    with pytest.raises(UsageError, match="no home") as refused:
        Home.open(tmp_path / "home")
    assert "mc2 init" in refused.value.hint
    assert not (tmp_path / "home").exists()


def test_where_the_home_is():
    own = Path("/own")
    assert find_home(Path("/given"), {"MC2_HOME": "/env"}, lambda: own) == Path("/given")
    assert find_home(None, {"MC2_HOME": "/env"}, lambda: own) == Path("/env")
    assert find_home(None, {"MC2_HOME": ""}, lambda: own) == own
    assert find_home(None, {}).name == "mc2"


def test_remembers_its_coordinator(home):
    with pytest.raises(UsageError) as refused:
        home.coordinator_file()
    assert "coordinator.json" in refused.value.hint
    file = CoordinatorFile(
        url="https://coordinator.example:8443",
        certificate="-----BEGIN CERTIFICATE-----\n",
        fingerprint=digest(b"certificate"),
        invitation_file="",
    )
    home.write_coordinator_file(file)
    assert home.coordinator_file() == file
    (home.path / "coordinator.json").write_bytes(b"{}")
    with pytest.raises(FormatError):
        home.coordinator_file()


def test_a_shelf_keeps_files_by_name(home):
    name = digest(b"contract")
    assert home.contracts.get(name) is None
    assert home.contracts.names() == []
    home.contracts.put(name, b"one")
    home.contracts.put(name, b"two")
    assert home.contracts.get(name) == b"two"
    assert home.contracts.names() == [name]
    home.contracts.remove(name)
    home.contracts.remove(name)
    assert home.contracts.get(name) is None


def test_a_shelf_takes_plain_names_only(home):
    for bad in ("../identity", "a/b", "", ".", "a b"):
        with pytest.raises(ValueError):
            home.jobs.put(bad, b"")


def test_a_shelf_refuses_what_is_too_large(home):
    home.challenges.put("00", b"x" * 200_000)
    with pytest.raises(FormatError, match="larger"):
        home.challenges.get("00")


def test_a_crash_leaves_the_old_file_whole(home, monkeypatch):
    home.jobs.put("00", b"old")

    def crash(*_):
        raise OSError

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError):
        home.jobs.put("00", b"new")
    assert home.jobs.get("00") == b"old"
    assert home.jobs.names() == ["00"]


def test_create_file_refuses_to_overwrite(tmp_path):
    create_file(tmp_path / "a", b"1")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"1"
    replace_file(tmp_path / "a", b"3")
    assert (tmp_path / "a").read_bytes() == b"3"
    assert [f.name for f in tmp_path.iterdir()] == ["a"]


# --- rollback


def test_remembers_the_newest_version(home):
    assert home.versions() == {}
    home.see_manifests({"clinic_a.visits": manifest(1)})
    home.see_manifests(
        {"clinic_a.visits": manifest(3), "clinic_b.visits": manifest(1, "clinic_b.visits")}
    )
    assert home.versions()["clinic_a.visits"] == SeenVersion(3, manifest(3).digest)
    assert set(home.versions()) == {"clinic_a.visits", "clinic_b.visits"}


def test_seeing_the_same_version_again_is_no_error(home):
    for _ in range(2):
        home.see_manifests({"clinic_a.visits": manifest(1)})


def test_refuses_a_version_that_was_rolled_back(home):
    home.see_manifests({"clinic_a.visits": manifest(3)})
    with pytest.raises(DatasetError, match="older than version 3"):
        home.see_manifests({"clinic_a.visits": manifest(2)})
    assert home.versions()["clinic_a.visits"].version == 3


def test_refuses_two_manifests_of_one_version(home):
    home.see_manifests({"clinic_a.visits": manifest(3)})
    with pytest.raises(DatasetError, match="two manifests"):
        home.see_manifests({"clinic_a.visits": manifest(3, salt=b"other")})


def test_nothing_is_remembered_if_one_is_refused(home):
    home.see_manifests({"clinic_a.visits": manifest(3)})
    with pytest.raises(DatasetError):
        home.see_manifests(
            {"clinic_b.visits": manifest(7, "clinic_b.visits"), "clinic_a.visits": manifest(1)}
        )
    assert "clinic_b.visits" not in home.versions()


def test_an_unknown_dataset_has_nothing_to_be_older_than():
    check_not_older({}, manifest(1))


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"datasets":[],"type":"mc2/versions/v1"}'])
def test_refuses_damaged_versions_rather_than_forget(home, raw):
    (home.path / "versions.json").write_bytes(raw)
    with pytest.raises((FormatError, UsageError)):
        home.see_manifests({"clinic_a.visits": manifest(1)})
