"""Who may talk to a keeper, and what becomes of its enclave when a driver hangs up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.spark_jobs import SECONDS, enclave_command, make_root, make_settings

from mc2.coordinator.workers import Worker
from mc2.crypto.digest import digest
from mc2.errors import FormatError, WorkerError
from mc2.formats.frames import Frame
from mc2.formats.worker import Chunk
from mc2.formats.worker_tasks import TrainStep
from mc2.spark.fleet import SparkFleet
from mc2.spark.keeper import Keeper, source_of
from mc2.spark.on_executor import Errand, connect, muster, run_task
from mc2.spark.processes import ProcessWatch, executor_of_this_task
from mc2.spark.settings import KeeperSettings
from mc2.spark.wire import (
    BUSY,
    STRANGER,
    AskStep,
    AskTask,
    Attach,
    TaskAnswer,
    receive,
    send,
    watch_peer,
)

TOKEN = "ab" * 32


def ask(**changes: Any) -> AskTask:
    given: dict[str, Any] = {
        "token": TOKEN,
        "epoch": digest(b"an invitation"),
        "folder": "attempt-1",
        "seconds": 60,
        "partitions": 2,
        "order": b"an order",
    }
    return AskTask(**(given | changes))


class Nobody:
    """A source of enclaves that has none."""

    def start(self) -> Worker:
        raise WorkerError("there is no enclave")


def talk(keeper: Keeper, *frames: Frame) -> list[Frame]:
    """What a keeper answers before it hangs up."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=keeper.serve, args=(theirs,))
    thread.start()
    answers = []
    with ours:
        deadline = time.monotonic() + SECONDS
        try:
            for frame in frames:
                send(ours, frame, deadline)
                answers.append(receive(ours, deadline))
        except (ConnectionError, BrokenPipeError):
            pass
    thread.join()
    return answers


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(Nobody(), SimpleNamespace(), TOKEN)  # type: ignore[arg-type]  # never asked


def test_strangers_get_no_answer(keeper: Keeper) -> None:
    assert talk(keeper, Attach("cd" * 32).frame()) == []
    assert talk(keeper, ask(token="cd" * 32).frame()) == []
    assert talk(keeper, Frame({"type": "hello"})) == []


def test_an_enclave_of_no_epoch_runs_no_task(keeper: Keeper) -> None:
    (answer,) = talk(keeper, ask().frame())
    assert TaskAnswer.parse(answer).code == STRANGER


STEP = AskStep(folder="attempt-1", seconds=60, step=TrainStep(0, 0, 1, b"a message"))


def test_an_enclave_of_no_epoch_takes_no_step_and_a_step_needs_a_driver(keeper: Keeper) -> None:
    attached, answer = talk(keeper, Attach(TOKEN).frame(), STEP.frame())
    assert attached.header["type"] == "attached"
    assert TaskAnswer.parse(answer).code == STRANGER
    assert talk(keeper, STEP.frame()) == []


def test_a_keeper_has_one_driver_at_a_time_and_passes_on_what_is_a_drivers(keeper: Keeper) -> None:
    assert [f.header["type"] for f in talk(keeper, Attach(TOKEN).frame())] == ["attached"]
    answers = talk(keeper, Attach(TOKEN).frame(), Chunk(b"a chunk").frame())
    assert [f.header["type"] for f in answers] == ["attached"]
    keeper._attached.acquire()
    assert [f.header["type"] for f in talk(keeper, Attach(TOKEN).frame())] == [BUSY]


def test_where_an_enclave_comes_from(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, tmp_path)
    assert source_of(settings, tmp_path / "log").arguments == settings.enclave  # type: ignore[union-attr]
    elsewhere = KeeperSettings(
        enclave=("vsock:3:7",),
        token=TOKEN,
        storage="/",
        driver="",
        application="a",
        start_seconds=1,
    )
    assert source_of(elsewhere, tmp_path / "log").address == "vsock:3:7"  # type: ignore[union-attr]


def test_settings_have_one_encoding(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, tmp_path)
    assert KeeperSettings.parse(settings.encode()) == settings
    assert settings.token not in repr(settings)
    for wrong in (
        b"[]",
        b"{}",
        settings.encode() + b" ",
        settings.encode().replace(b"token", b"t"),
    ):
        with pytest.raises(FormatError):
            KeeperSettings.parse(wrong)


def test_an_executor_starts_one_keeper_which_ends_with_it(tmp_path: Path) -> None:
    """The executor is a process of the test's own: it musters twice, and then ends."""
    root = make_root(tmp_path)
    settings = make_settings(tmp_path, root)
    (tmp_path / "settings").write_bytes(settings.encode())
    script = (
        "import sys, time, pathlib, subprocess\n"
        "code = '''from mc2.spark.on_executor import muster\n"
        "from mc2.spark.settings import KeeperSettings\n"
        "import sys, pathlib\n"
        "s = KeeperSettings.parse(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "print(muster(s), muster(s), flush=True)'''\n"
        "subprocess.run([sys.executable, '-c', code, sys.argv[1]], check=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "settings")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as executor:
        assert executor.stdout is not None
        first, second = executor.stdout.readline().decode().split()
        assert first == second
        with connect(first) as connection:
            deadline = time.monotonic() + SECONDS
            send(connection, Attach(settings.token).frame(), deadline)
            assert receive(connection, deadline).header["type"] == "attached"
            driver = Worker(connection)
            assert driver.hello().tier == "simulated"
        (state,) = tmp_path.glob("mc2-*")
        assert state.stat().st_mode & 0o077 == 0
        executor.communicate(b"\n")
    until = time.monotonic() + SECONDS
    while _reachable(first) or list(tmp_path.glob("mc2-*")):
        assert time.monotonic() < until
        time.sleep(0.1)


def _reachable(address: str) -> bool:
    try:
        connect(address).close()
    except OSError:
        return False
    return True


@pytest.fixture
def own_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process stands for the executor, whoever started it."""
    own = ProcessWatch.of(os.getpid())
    monkeypatch.setattr("mc2.spark.on_executor.executor_of_this_task", lambda: own)


@pytest.mark.usefixtures("own_executor")
def test_an_enclave_that_does_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    settings = KeeperSettings(
        enclave=("/no/such/program", "at all"),
        token=TOKEN,
        storage=str(tmp_path),
        driver="",
        application="test",
        start_seconds=60,
    )
    with pytest.raises(WorkerError, match="does not start"):
        muster(settings)
    with pytest.raises(WorkerError, match="no enclave of the epoch is left"):
        run_task(Errand(settings=settings, ask=ask(), members=("tcp:127.0.0.1:9",)))


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    settings = make_settings(tmp_path, tmp_path)
    executor = ProcessWatch(1, "1")
    monkeypatch.setattr("mc2.spark.on_executor.executor_of_this_task", lambda: executor)
    folder = tmp_path / f"mc2-{os.getuid()}-{settings.application}-1-1"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(WorkerError, match="somebody else"):
        muster(settings)


def test_enclave_commands_name_the_root(tmp_path: Path) -> None:
    assert str(tmp_path) in enclave_command(tmp_path)


@pytest.mark.usefixtures("own_executor")
def test_a_look_for_the_nearest_enclave_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    settings = make_settings(tmp_path, tmp_path)
    with pytest.raises(WorkerError, match="is left for this task"):
        run_task(Errand(settings=settings, ask=ask(), members=("tcp:127.0.0.1:9",)))
    assert list(tmp_path.glob("mc2-*")) == []


class Places:
    """A pretended Spark with one executor."""

    slots = 1

    def __init__(self, address: str) -> None:
        self.address = address

    def run(self, *_: Any, **__: Any) -> list[str]:
        return [self.address]

    def cancel(self, group: str) -> None:
        raise AssertionError(group)


def test_an_enclave_at_the_end_of_a_job_is_waited_for(tmp_path: Path) -> None:
    """A keeper may hear of the end of a job after the driver has begun the next one."""
    settings = make_settings(tmp_path, tmp_path)
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for said in (BUSY, BUSY, "attached"):
                connection, _ = listener.accept()
                with connection:
                    deadline = time.monotonic() + SECONDS
                    asked.append(str(receive(connection, deadline).header["type"]))
                    send(connection, Frame({"type": said}), deadline)

        thread = threading.Thread(target=answer)
        thread.start()
        address = "tcp:{}:{}".format(*listener.getsockname())
        fleet = SparkFleet(Places(address), settings, seconds=SECONDS)  # type: ignore[arg-type]  # pretended
        with pytest.raises(WorkerError, match="no enclave beside an executor is free"):
            fleet.acquire(timeout_seconds=0)  # the pretended keeper hangs up after that
        thread.join()
    assert asked == ["attach"] * 3


def test_a_host_that_is_cut_off_is_missed_within_a_minute() -> None:
    with socket.socket() as connection:
        watch_peer(connection)
        idle, pause, count = (
            connection.getsockopt(socket.IPPROTO_TCP, name)
            for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert idle + pause * count <= 60
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 60_000


def test_a_worker_whose_daemon_died_starts_no_keeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It belongs to the first process, with which a keeper would live for ever."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("os.getppid", lambda: 1)
    monkeypatch.setattr("mc2.spark.processes._name", lambda _: "init")
    settings = make_settings(tmp_path, tmp_path)
    with pytest.raises(WorkerError, match="Python workers has died"):
        muster(settings)
    assert list(tmp_path.glob("mc2-*")) == []
    monkeypatch.setattr("mc2.spark.processes._name", lambda _: "java")  # in a container
    assert executor_of_this_task() == ProcessWatch.of(1)
