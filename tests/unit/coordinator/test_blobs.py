"""Blobs are whole or absent."""

import os
from pathlib import Path

import pytest

from mc2.coordinator.blobs import BlobFolder
from mc2.crypto.digest import digest
from mc2.errors import DatasetError, FormatError

RAW = b"some sealed bytes"
NAME = digest(RAW)


def put(folder: BlobFolder, raw: bytes = RAW) -> None:
    with folder.writer(digest(raw)) as writer:
        for i in range(0, len(raw), 5):
            writer.write(raw[i : i + 5])
        writer.flush()
        writer.settle()


def left_over(root: Path) -> list[Path]:
    return list((root / "tmp").iterdir())


def test_a_blob_comes_back(tmp_path):
    folder = BlobFolder(tmp_path)
    put(folder)
    put(folder)
    assert folder.read(NAME) == RAW
    assert list(folder.walk()) == [NAME]
    assert folder.path(NAME).stat().st_mode & 0o777 == 0o600


def test_other_bytes_do_not_get_the_name(tmp_path):
    folder = BlobFolder(tmp_path)
    with folder.writer(NAME) as writer:
        writer.write(b"something else")
        with pytest.raises(FormatError, match="digest"):
            writer.flush()
    assert list(folder.walk()) == []
    assert left_over(tmp_path) == []


def test_a_writer_that_is_left_leaves_nothing(tmp_path):
    folder = BlobFolder(tmp_path)
    with folder.writer(NAME) as writer:
        writer.write(RAW)
        writer.flush()
    assert list(folder.walk()) == []
    assert left_over(tmp_path) == []


def test_left_overs_of_a_crash_go_at_the_next_start(tmp_path):
    folder = BlobFolder(tmp_path)
    with folder.writer(NAME) as writer:
        writer.write(RAW[:4])
        assert len(left_over(tmp_path)) == 1
        BlobFolder(tmp_path)
        assert left_over(tmp_path) == []


def test_damage_on_disk_is_seen(tmp_path):
    folder = BlobFolder(tmp_path)
    put(folder)
    folder.path(NAME).write_bytes(RAW[:-1] + b"!")
    with pytest.raises(DatasetError, match="damaged"):
        folder.read(NAME)
    folder.remove(NAME)
    folder.remove(NAME)
    with pytest.raises(DatasetError, match="no blob"):
        folder.read(NAME)


def test_the_order_of_calls_is_kept(tmp_path):
    folder = BlobFolder(tmp_path)
    writer = folder.writer(NAME)
    with pytest.raises(RuntimeError):
        writer.write(RAW)
    with pytest.raises(RuntimeError):
        writer.flush()
    with writer:
        writer.write(RAW)
        with pytest.raises(RuntimeError):
            writer.settle()


def test_everything_is_on_disk_before_it_has_a_name(tmp_path, monkeypatch):
    """The order that makes a crash harmless: bytes, then name, then the folder's list of names."""
    steps = []
    folder = BlobFolder(tmp_path)
    put(folder, b"first")  # makes no difference; the next one is in other folders

    def fsync(descriptor: int) -> None:
        steps.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "bytes")

    monkeypatch.setattr(os, "fsync", fsync)
    rename = type(tmp_path).rename
    monkeypatch.setattr(
        type(tmp_path), "rename", lambda self, to: (steps.append("name"), rename(self, to))
    )
    put(folder)
    assert steps[0] == "bytes"
    assert steps[-2:] == ["name", "folder"]
    assert steps.count("bytes") == steps.count("name") == 1
