"""What runs inside of Spark's Python workers, beside the enclaves: it moves orders and receipts.

`muster` sees that the executor has a keeper; `run_task` brings an order to an enclave of the epoch,
the executor's own one first. Neither sees a block.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mc2.crypto.digest import digest
from mc2.errors import FormatError, WorkerError
from mc2.formats.address import TcpAddress, parse_address
from mc2.spark.processes import ProcessWatch, executor_of_this_task
from mc2.spark.settings import KeeperSettings
from mc2.spark.wire import BUSY, STRANGER, AskTask, TaskAnswer, receive, send, watch_peer

_CONNECT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 60.0
"""How much longer than an enclave its keeper may take to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A task, and where the enclaves of its epoch are, as they were when it was assigned."""

    settings: KeeperSettings
    ask: AskTask
    members: tuple[str, ...]


def muster(settings: KeeperSettings) -> str:
    """The address of this executor's keeper, which is started if there is none.

    Raises: WorkerError.
    """
    executor = executor_of_this_task()
    folder = _own_folder(settings, executor)
    with _locked(folder):
        known = folder / "address"
        if known.exists() and _answers(address := known.read_text()):
            return address
        address = _start(settings, executor, folder)
        part = folder / "address.part"
        part.write_text(address)
        part.replace(known)
    return address


def run_task(errand: Errand) -> TaskAnswer:
    """Have an enclave of the epoch run a task. One that is lost is passed over.

    Raises: WorkerError if there is none left, for Spark to try elsewhere.
    """
    members = _nearest_first(errand)
    until = time.monotonic() + errand.ask.seconds
    pause = _PAUSE_SECONDS
    why = "none has joined"
    while members and time.monotonic() < until:
        for address in tuple(members):
            try:
                answer = _ask(address, errand.ask)
            except (OSError, FormatError) as error:
                why = type(error).__name__
                members.remove(address)
                continue
            if answer.code in {STRANGER, WorkerError.code}:
                why = answer.message or "it is not in this epoch any more"
                members.remove(address)
            elif answer.code != BUSY:
                return answer
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    raise WorkerError(f"no enclave of the epoch is left for this task: {why}")


def _nearest_first(errand: Errand) -> list[str]:
    """This executor's own enclave, then the others from a place that differs by task."""
    members = list(errand.members)
    if not members:
        return members
    turn = int.from_bytes(digest(errand.ask.order).encode()[-4:], "big") % len(members)
    members = members[turn:] + members[:turn]
    own = _folder_of(errand.settings, executor_of_this_task()) / "address"
    if own.exists() and (address := own.read_text()) in members:
        members.remove(address)
        members.insert(0, address)
    return members


def _ask(address: str, asked: AskTask) -> TaskAnswer:
    with connect(address) as connection:
        deadline = time.monotonic() + asked.seconds + GRACE_SECONDS
        send(connection, asked.frame(), deadline)
        return TaskAnswer.parse(receive(connection, deadline))


def connect(address: str) -> socket.socket:
    """A connection to a keeper. Raises: OSError, FormatError."""
    place = parse_address(address)
    if not isinstance(place, TcpAddress):
        raise FormatError("keepers listen on TCP")
    connection = socket.create_connection((place.host, place.port), _CONNECT_SECONDS)
    watch_peer(connection)
    return connection


def _answers(address: str) -> bool:
    try:
        connect(address).close()
    except (OSError, FormatError):
        return False
    return True


def _folder_of(settings: KeeperSettings, executor: ProcessWatch) -> Path:
    name = f"mc2-{os.getuid()}-{settings.application}-{executor.number}-{executor.began}"
    return Path(tempfile.gettempdir()) / name


def _own_folder(settings: KeeperSettings, executor: ProcessWatch) -> Path:
    folder = _folder_of(settings, executor)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise WorkerError(f"{folder} belongs to somebody else", hint="remove it")
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Tasks of one executor run side by side."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(settings: KeeperSettings, executor: ProcessWatch, folder: Path) -> str:
    with (folder / "keeper.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mc2.spark.keeper", str(executor.number), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Spark ends its Python workers by their group
        )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a process that was asked for pipes has them")
    late = threading.Timer(settings.start_seconds, process.kill)
    late.start()
    try:
        with process.stdin as stdin:
            stdin.write(settings.encode())
        with process.stdout as stdout:
            said = stdout.readline().decode(errors="replace").strip()
    except OSError:
        said = ""
    finally:
        late.cancel()
    if not said.startswith("tcp:"):
        process.kill()
        process.wait()
        why = said.removeprefix("error ") or "it said nothing"
        raise WorkerError(
            f"an executor's enclave does not start: {why}", hint=f"see the log in {folder}"
        )
    return said
