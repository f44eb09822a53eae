from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.support.scripted_session import CHUNK, READY, RECEIPT, SECRET

from mc2.coordinator.worker_pool import WorkerAddress, WorkerCommand, WorkerPool, worker_commands
from mc2.coordinator.workers import Worker
from mc2.crypto.digest import Digest, digest
from mc2.errors import (
    AttestationError,
    CoordinatorError,
    EngineError,
    JobError,
    Mc2Error,
    PlanError,
    UsageError,
    WorkerError,
)
from mc2.formats.canonical import encode
from mc2.formats.frames import Frame
from mc2.formats.worker import Chunk, Hello, JobOutcome, Progress, Read, Refused

ROOT = Path(__file__).resolve().parents[3]
SOME = encode({})
COMMAND = (sys.executable, "-m", "tests.support.scripted_session")
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}
SOON = 60.0


def command(folder: Path, *more: str) -> WorkerCommand:
    return WorkerCommand((*COMMAND, *more), folder / "logs" / "worker.log", ENVIRONMENT)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    started = command(tmp_path).start()
    started.hello()
    yield started
    started.kill()


class Store:
    """Chunks by digest, and what the worker said."""

    def __init__(self) -> None:
        self.chunks = {digest(CHUNK): CHUNK}
        self.said: list[str] = []

    def read(self, name: Digest) -> bytes:
        return self.chunks[name]

    def write(self, name: Digest, raw: bytes) -> None:
        self.chunks[name] = raw


def finish(worker: Worker, script: str = "good", store: Store | None = None) -> JobOutcome:
    """A whole job."""
    kept = store or Store()
    assert worker.open(script.encode()).owners == ("ada", "bo")
    assert worker.attest({"ada": SOME}) == b"evidence for ada"
    return worker.run({"ada": SOME}, kept.read, kept.write, kept.said.append, timeout_seconds=SOON)


def until(condition: object, seconds: float = SOON) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# one worker


def test_runs_jobs_one_after_the_other(worker: Worker) -> None:
    assert worker.ready == READY
    for _ in range(2):
        store = Store()
        assert finish(worker, store=store) == JobOutcome(RECEIPT, {"ada": RECEIPT})
        assert store.said == ["reading"]
        assert store.chunks[digest(CHUNK[::-1])] == CHUNK[::-1]


def test_a_refusal_comes_back_as_its_own_error_and_the_worker_lives_on(worker: Worker) -> None:
    with pytest.raises(PlanError, match="the plan is wrong") as caught:
        worker.open(b"bad plan")
    assert caught.value.hint == "compile it again"
    with pytest.raises(JobError):
        worker.attest({"ada": SOME})
    assert worker.usable
    finish(worker)


def test_a_defect_in_the_enclave_comes_back_without_its_text(worker: Worker) -> None:
    with pytest.raises(Mc2Error, match="ValueError") as caught:
        finish(worker, "defect")
    assert SECRET not in str(caught.value) + caught.value.hint
    finish(worker)


def test_what_the_store_raised_is_what_the_host_sees(worker: Worker) -> None:
    store = Store()
    store.chunks.clear()
    with pytest.raises(KeyError):
        finish(worker, store=store)

    def full(name: Digest, raw: bytes) -> None:
        raise CoordinatorError("the disk is full")

    store = Store()
    store.write = full  # type: ignore[method-assign]
    with pytest.raises(CoordinatorError, match="disk is full"):
        finish(worker, store=store)
    finish(worker)


def test_a_wrong_chunk_is_refused(worker: Worker) -> None:
    store = Store()
    store.chunks[digest(CHUNK)] = b"another"
    with pytest.raises(EngineError):
        finish(worker, store=store)
    finish(worker)


def test_close_drops_the_job(worker: Worker) -> None:
    worker.close()
    worker.open(b"good")
    worker.close()
    with pytest.raises(JobError):
        worker.attest({"ada": SOME})
    finish(worker)


def test_a_worker_that_dies_is_a_worker_error_that_says_how(worker: Worker) -> None:
    worker.open(b"die in attest")
    with pytest.raises(WorkerError, match="exit status 3") as caught:
        worker.attest({"ada": SOME})
    assert "log" in caught.value.hint
    assert not worker.usable
    with pytest.raises(WorkerError, match="is gone"):
        worker.hello()


def test_a_worker_killed_in_mid_run_is_a_worker_error(worker: Worker) -> None:
    assert worker.process_id is not None
    pid = worker.process_id
    timer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    timer.start()
    with pytest.raises(WorkerError, match="signal 9"):
        finish(worker, "compute")
    timer.join()


def test_kill_from_another_thread_ends_a_call_under_way(worker: Worker) -> None:
    timer = threading.Timer(0.3, worker.kill)
    timer.start()
    with pytest.raises(WorkerError):
        finish(worker, "compute")
    timer.join()
    worker.kill()


def test_a_worker_that_misses_a_deadline_is_ended(worker: Worker) -> None:
    worker.open(b"hang in attest")
    begun = time.monotonic()
    with pytest.raises(WorkerError, match="in time"):
        worker.attest({"ada": SOME}, timeout_seconds=0.3)
    assert time.monotonic() - begun < 20
    assert not worker.usable


def test_a_worker_ends_when_its_host_is_gone_even_in_mid_job(tmp_path: Path) -> None:
    worker = command(tmp_path).start()
    process = worker._process
    assert process is not None
    worker.hello()
    worker.open(b"hang in attest")
    worker._connection.settimeout(5)
    worker.send(Hello(), time.monotonic() + 5)
    time.sleep(0.1)
    worker._connection.close()  # what the kernel does when this process is killed
    assert process.wait(SOON) == 0
    worker.kill()


# hostile enclaves


class Impostor:
    """Speaks frames of our choice to a worker's host."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.socket = theirs
        self.worker = Worker(ours)

    def say(self, *raw: bytes | Frame) -> None:
        for part in raw:
            self.socket.sendall(part if isinstance(part, bytes) else b"".join(part.encode()))


@pytest.fixture
def impostor() -> Iterator[Impostor]:
    made = Impostor()
    yield made
    made.socket.close()
    made.worker.kill()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff" * 8,
        b"\0" * 8,
        Frame({"type": "hello"}),
        Frame({"type": "opened", "owners": ["b", "a"]}),
        Frame({"type": "closed"}),
        Progress("too early").frame(),
    ],
    ids=["huge", "empty", "type", "order", "other answer", "progress"],
)
def test_an_enclave_that_breaks_the_protocol_is_given_up(
    impostor: Impostor, raw: bytes | Frame
) -> None:
    impostor.say(raw)
    with pytest.raises(WorkerError):
        impostor.worker.open(b"")
    assert not impostor.worker.usable


@pytest.mark.parametrize("answer", [READY.frame(), Frame({"type": "closed"})])
def test_an_enclave_that_answers_something_else_in_a_run_is_given_up(
    impostor: Impostor, answer: Frame
) -> None:
    impostor.say(Progress("x").frame(), answer)
    store = Store()
    with pytest.raises(WorkerError, match="while a job runs"):
        impostor.worker.run({}, store.read, store.write, store.said.append, timeout_seconds=5)
    assert not impostor.worker.usable


def test_a_refusal_with_an_unknown_code_is_a_worker_error(impostor: Impostor) -> None:
    impostor.say(Refused("strange", "no").frame())
    with pytest.raises(WorkerError, match="refused: no"):
        impostor.worker.open(b"")
    assert impostor.worker.usable


def test_a_flood_of_progress_does_not_outlast_the_deadline(impostor: Impostor) -> None:
    def flood() -> None:
        try:
            while True:
                impostor.say(Progress("x").frame())
        except OSError:
            pass

    thread = threading.Thread(target=flood)
    thread.start()
    store = Store()
    with pytest.raises(WorkerError, match="in time"):
        impostor.worker.run({}, store.read, store.write, store.said.append, timeout_seconds=0.3)
    impostor.socket.close()
    thread.join(20)


def test_an_enclave_gets_only_what_the_store_gives(impostor: Impostor) -> None:
    impostor.say(Read(digest(b"anything")).frame())
    store = Store()
    impostor.say(Refused("dataset", "no chunk").frame())
    with pytest.raises(KeyError):
        impostor.worker.run({}, store.read, store.write, store.said.append, timeout_seconds=5)
    received = impostor.socket.recv(1 << 16)
    assert b"missing" in received
    assert b"".join(Chunk(b"").frame().encode()) not in received


# addresses


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_reaches_an_enclave_that_listens(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"unix:{path}" if kind == "unix" else f"tcp:127.0.0.1:{port}"
    process = subprocess.Popen(
        [*COMMAND, "--listen", address],
        stdout=subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(2):  # one connection after the other
            worker = Worker.connect(address)
            worker.hello()
            finish(worker)
            worker.kill()
        process.kill()
    with pytest.raises(WorkerError, match="no enclave answers"):
        Worker.connect(address)


def test_refuses_an_address_that_is_none() -> None:
    with pytest.raises(UsageError):
        Worker.connect("http://worker")


# the pool


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    with WorkerPool(worker_commands(2, COMMAND, tmp_path, ENVIRONMENT)) as started:
        yield started


def test_lends_each_worker_to_one_borrower(pool: WorkerPool) -> None:
    first = pool.acquire(timeout_seconds=SOON)
    second = pool.acquire(timeout_seconds=SOON)
    assert first is not second
    with pytest.raises(WorkerError, match="busy"):
        pool.acquire(timeout_seconds=0.1)
    finish(first)
    pool.release(first)
    assert pool.acquire(timeout_seconds=SOON) is first
    assert (pool.size, pool.ready_count, pool.idle_count) == (2, 2, 0)


def test_a_waiting_borrower_gets_what_is_given_back(pool: WorkerPool) -> None:
    first, second = (pool.acquire(timeout_seconds=SOON) for _ in range(2))
    timer = threading.Timer(0.2, pool.release, (second,))
    timer.start()
    assert pool.acquire(timeout_seconds=SOON) is second
    timer.join()
    pool.release(first)


def test_giving_back_drops_the_job(pool: WorkerPool) -> None:
    worker = pool.acquire(timeout_seconds=SOON)
    worker.open(b"good")
    pool.release(worker)
    pool.release(worker)  # twice is once
    assert pool.idle_count <= 2
    taken = [pool.acquire(timeout_seconds=SOON) for _ in range(2)]
    assert worker in taken
    with pytest.raises(JobError):
        worker.attest({"ada": SOME})


def test_a_worker_killed_in_mid_run_is_replaced(pool: WorkerPool) -> None:
    worker = pool.acquire(timeout_seconds=SOON)
    assert worker.process_id is not None
    timer = threading.Timer(0.3, os.kill, (worker.process_id, signal.SIGKILL))
    timer.start()
    with pytest.raises(WorkerError):
        finish(worker, "compute")
    pool.release(worker)
    timer.join()
    until(lambda: pool.idle_count == 2)
    taken = [pool.acquire(timeout_seconds=SOON) for _ in range(2)]
    assert worker not in taken
    for other in taken:
        finish(other)


def test_an_idle_worker_that_dies_is_replaced(pool: WorkerPool) -> None:
    until(lambda: pool.idle_count == 2)
    worker = pool.acquire(timeout_seconds=SOON)
    pool.release(worker)
    assert worker.process_id is not None
    os.kill(worker.process_id, signal.SIGKILL)
    until(lambda: not worker.usable)
    until(lambda: pool.idle_count == 2)
    assert pool.ready_count == 2


def test_stopping_ends_all_processes(tmp_path: Path) -> None:
    pool = WorkerPool(worker_commands(2, COMMAND, tmp_path, ENVIRONMENT))
    pool.start()
    until(lambda: pool.idle_count == 2)
    lent = pool.acquire(timeout_seconds=SOON)
    idle = pool.acquire(timeout_seconds=SOON)
    pids = [lent.process_id, idle.process_id]
    pool.release(idle)
    pool.stop()
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(WorkerError, match="stopping"):
        pool.acquire(timeout_seconds=5)


def test_keeps_what_workers_say_in_a_log_each(pool: WorkerPool, tmp_path: Path) -> None:
    until(lambda: pool.idle_count == 2)
    logs = sorted(tmp_path.glob("*.log"))
    assert [p.name for p in logs] == ["worker-1.log", "worker-2.log"]
    assert all("serving" in p.read_text() for p in logs)


def test_pauses_between_failures_and_says_what_is_wrong(tmp_path: Path) -> None:
    events: list[str] = []
    with WorkerPool([command(tmp_path, "--fail")], events=events.append) as pool:
        until(lambda: pool.troubles)
        assert "exit status 7" in pool.troubles[0]
        with pytest.raises(WorkerError, match="exit status 7"):
            pool.acquire(timeout_seconds=0.5)
        assert 1 <= len(events) <= 5
        assert pool.ready_count == 0


def test_a_command_that_is_not_there_is_a_trouble(tmp_path: Path) -> None:
    missing = WorkerCommand((str(tmp_path / "no-such-program"),), tmp_path / "w.log", {})
    with WorkerPool([missing]) as pool:
        until(lambda: pool.troubles)
        assert "does not start" in pool.troubles[0]


def test_takes_workers_that_run_elsewhere(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'w.sock'}"
    process = subprocess.Popen(
        [*COMMAND, "--listen", address],
        stdout=subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        with WorkerPool([WorkerAddress(address)]) as pool:
            worker = pool.acquire(timeout_seconds=SOON)
            assert worker.process_id is None
            finish(worker)
            pool.release(worker)
        process.kill()


def test_workers_see_little_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MC2_TOKEN", "secret of the coordinator")
    script = "import os,sys; print(sorted(os.environ), flush=True); sys.exit(1)"
    shown = WorkerCommand((sys.executable, "-c", script), tmp_path / "w.log", {"MORE": "1"})
    worker = shown.start()
    with pytest.raises(WorkerError):
        worker.hello()
    text = (tmp_path / "w.log").read_text()
    assert "MORE" in text
    assert "MC2_TOKEN" not in text


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "w.log"
    log.write_bytes(b"x" * (5 << 20))
    with pytest.raises(WorkerError):
        WorkerCommand((sys.executable, "-c", "0"), log, {}).start().hello()
    assert log.stat().st_size < 1000
    assert (tmp_path / "w.old.log").stat().st_size == 5 << 20


# workers that share a job


class Introducer:
    """Hands messages between a leader and one other worker, or fails."""

    def __init__(self, other: Worker, failure: Exception | None = None) -> None:
        self.other = other
        self.failure = failure

    def gather(self, invitation: bytes) -> dict[str, bytes]:
        if self.failure is not None:
            raise self.failure
        self.other.open(b"good")
        return {"worker_2": self.other.join({"ada": SOME}, SOME, invitation)}

    def probe(self, probes: Mapping[str, bytes]) -> dict[str, bytes]:
        return {name: self.other.prove(raw) for name, raw in probes.items()}

    def admit(self, admissions: Mapping[str, bytes]) -> tuple[str, ...]:
        self.other.enter(admissions["worker_2"])
        return ("worker_2",)


def lead(
    worker: Worker, store: Store, others: Introducer | None, script: bytes = b"cluster"
) -> JobOutcome:
    worker.open(script)
    worker.attest({"ada": SOME})
    return worker.run(
        {"ada": SOME}, store.read, store.write, store.said.append, others, timeout_seconds=SOON
    )


def test_a_leader_and_another_worker_are_introduced(worker: Worker, tmp_path: Path) -> None:
    other = command(tmp_path / "other").start()
    other.hello()
    store = Store()
    try:
        assert lead(worker, store, Introducer(other)).receipt == RECEIPT
        assert store.said == ["worker_2", "reading"]
        other.close()
        assert finish(other).receipt == RECEIPT  # it is as good as new
    finally:
        other.kill()


def test_a_leaders_probes_reach_the_other_worker(worker: Worker, tmp_path: Path) -> None:
    other = command(tmp_path / "other").start()
    other.hello()
    store = Store()
    try:
        lead(worker, store, Introducer(other), b"cluster of machines")
        assert store.said == ["worker_2", "reading"]
    finally:
        other.kill()


def test_without_others_a_leader_is_alone(worker: Worker) -> None:
    store = Store()
    lead(worker, store, None)
    assert store.said == ["", "reading"]


def test_what_the_introducer_raised_is_what_the_host_sees(worker: Worker) -> None:
    with pytest.raises(LookupError, match="of the host"):
        lead(worker, Store(), Introducer(worker, LookupError("of the host")))
    finish(worker)


def test_a_refused_admission_ends_that_workers_job(worker: Worker) -> None:
    worker.open(b"not admitted")
    worker.join({"ada": SOME}, SOME, SOME)
    with pytest.raises(AttestationError, match="another roster"):
        worker.enter(SOME)
    finish(worker)
