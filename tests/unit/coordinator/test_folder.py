"""One coordinator for a folder, and what it leaves there."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from mc2.coordinator.folder import (
    CoordinatorFolder,
    FolderLock,
    running_process,
    stop_process,
    write_file,
)
from mc2.crypto.tls import certificate_names
from mc2.errors import CoordinatorError, UsageError

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def test_the_token_and_the_key_are_nobody_elses_business(tmp_path):
    folder = CoordinatorFolder(tmp_path / "c")
    folder.prepare(["localhost"], NOW)
    for path in (folder.invitation, folder.key):
        assert path.stat().st_mode & 0o077 == 0
    assert folder.root.stat().st_mode & 0o077 == 0
    assert len(folder.token()) > 40
    assert certificate_names(folder.certificate.read_bytes()) == ("localhost",)


def test_preparing_again_changes_nothing(tmp_path):
    folder = CoordinatorFolder(tmp_path / "c")
    folder.prepare(["localhost", "127.0.0.1"], NOW)
    before = (folder.token(), folder.certificate.read_bytes(), folder.key.read_bytes())
    folder.prepare(["localhost"], NOW)
    assert (folder.token(), folder.certificate.read_bytes(), folder.key.read_bytes()) == before


def test_a_certificate_is_not_replaced_behind_the_clients_backs(tmp_path):
    folder = CoordinatorFolder(tmp_path / "c")
    folder.prepare(["localhost"], NOW)
    with pytest.raises(UsageError, match=r"not for other\.example"):
        folder.prepare(["localhost", "other.example"], NOW)


def test_an_operator_changes_or_removes_the_token(tmp_path):
    folder = CoordinatorFolder(tmp_path / "c")
    folder.prepare(["localhost"], NOW)
    folder.invitation.write_text("another\n")
    assert folder.token() == "another"
    folder.invitation.unlink()
    assert folder.token() == ""


def test_a_second_coordinator_is_refused(tmp_path):
    folder = CoordinatorFolder(tmp_path / "c")
    with FolderLock(folder):
        assert running_process(tmp_path / "c") == os.getpid()
        with pytest.raises(CoordinatorError, match=f"process {os.getpid()}"), FolderLock(folder):
            pass
    assert running_process(tmp_path / "c") is None
    with FolderLock(folder):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from mc2.coordinator.folder import CoordinatorFolder, FolderLock
with FolderLock(CoordinatorFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_holder_holds_nothing(tmp_path, how):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert running_process(tmp_path) == holder.pid
        if how == signal.SIGTERM:
            assert stop_process(tmp_path)
        else:
            holder.send_signal(how)
        holder.wait()
    assert running_process(tmp_path) is None
    assert not stop_process(tmp_path)
    with FolderLock(CoordinatorFolder(tmp_path)):
        pass


def test_one_that_does_not_stop_is_told(tmp_path):
    stubborn = HOLDER.replace("import sys, time", "import signal, sys, time").replace(
        'print("held"', 'signal.signal(signal.SIGTERM, signal.SIG_IGN); print("held"'
    )
    with subprocess.Popen(
        [sys.executable, "-c", stubborn, str(tmp_path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        begun = time.monotonic()
        with pytest.raises(CoordinatorError, match="does not stop"):
            stop_process(tmp_path, timeout_seconds=0.2)
        assert time.monotonic() - begun < 10
        holder.kill()


def test_files_are_written_whole(tmp_path):
    path = tmp_path / "file"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert running_process(tmp_path / "nowhere") is None
