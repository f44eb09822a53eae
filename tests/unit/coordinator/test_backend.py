"""The local backend carries tasks and blocks, and hears of every end."""

from __future__ import annotations

import threading

import pytest

from mc2.coordinator.backend import BlockRoom, Blocks, LocalBackend
from mc2.crypto.digest import digest
from mc2.errors import EngineError, JobError, WorkerError
from mc2.formats.worker_tasks import Ended, Task

TASK = Task(2, b"{}")
SECONDS = 30.0


class Scripted:
    """A worker that does as its script says."""

    def __init__(self, act):
        self.act = act

    def task(self, task, read, keep, *, timeout_seconds):
        return self.act(read, keep)


def fail(error):
    def act(_read, _keep):
        raise error

    return Scripted(act)


@pytest.fixture
def backend(tmp_path):
    chunks = {digest(b"chunk"): b"chunk"}
    found = LocalBackend(chunks.__getitem__, room=BlockRoom(tmp_path), timeout_seconds=SECONDS)
    yield found
    found.close()
    assert not list(tmp_path.iterdir())


def test_a_task_reads_chunks_and_blocks_and_keeps_blocks(backend):
    backend.keep(digest(b"block"), b"block")

    def act(read, keep):
        keep(digest(b"more"), b"more")
        return read(digest(b"chunk")) + read(digest(b"block"))

    backend.assign("one", TASK, {"one": Scripted(act)})
    assert backend.ended(wait=True) == Ended(worker="one", receipt=b"chunkblock")
    assert backend.read(digest(b"more")) == b"more"


def test_nothing_has_ended_while_a_task_runs(backend):
    go = threading.Event()
    backend.assign("one", TASK, {"one": Scripted(lambda *_: go.wait() and b"r")})
    assert backend.ended(wait=False) == Ended()
    assert backend.busy == ("one",)
    with pytest.raises(JobError, match="already"):
        backend.assign("one", TASK, {})
    go.set()
    assert backend.ended(wait=True).receipt == b"r"
    assert backend.busy == ()


@pytest.mark.parametrize(
    ("error", "code"),
    [(WorkerError("gone"), "worker"), (EngineError("no"), "engine"), (KeyError("x"), "dataset")],
)
def test_whatever_fails_is_told(backend, error, code):
    backend.assign("one", TASK, {"one": fail(error)})
    assert backend.ended(wait=True).code == code


def test_a_worker_that_is_not_there_is_lost(backend):
    backend.assign("one", TASK, {})
    assert backend.ended(wait=True).code == "worker"


def test_waiting_for_nothing_is_refused(backend):
    with pytest.raises(JobError, match="nobody was given"):
        backend.ended(wait=True)


def test_a_block_has_its_own_name(tmp_path):
    blocks = Blocks(BlockRoom(tmp_path))
    with pytest.raises(JobError, match="another digest"):
        blocks.keep(digest(b"a"), b"b")
    assert blocks.find(digest(b"a")) is None
    blocks.keep(digest(b"a"), b"a")
    assert blocks.find(digest(b"a")) == b"a"
    assert blocks.kept_bytes == 1
    blocks.clear()
    assert blocks.find(digest(b"a")) is None


def test_blocks_have_a_quota(tmp_path):
    blocks = Blocks(BlockRoom(tmp_path, most_bytes=3))
    blocks.keep(digest(b"ab"), b"ab")
    blocks.keep(digest(b"ab"), b"ab")  # the same again takes no room
    with pytest.raises(JobError, match="more than 3 bytes"):
        blocks.keep(digest(b"cd"), b"cd")
    assert blocks.find(digest(b"cd")) is None
    blocks.keep(digest(b"c"), b"c")


def test_a_start_removes_what_a_crash_left(tmp_path):
    room = BlockRoom(tmp_path / "blocks")
    room.prepare()
    Blocks(room).keep(digest(b"a"), b"a")  # and nobody clears it
    (room.folder / "other").mkdir()
    room.prepare()
    assert [p.name for p in room.folder.iterdir()] == ["other"]
