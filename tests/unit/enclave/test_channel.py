"""Threads of the engine and the main thread ask the host over one connection."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mc2.crypto.digest import digest
from mc2.enclave.channel import Channel, ChannelClosedError
from mc2.formats.frames import FrameReader
from mc2.formats.worker import Chunk, Read, parse_from_enclave


def host(connection: socket.socket) -> None:
    """Answer each read with the name that was asked for."""
    reader = FrameReader()
    while data := connection.recv(reader.wanted):
        if (frame := reader.feed(data)) is not None:
            asked = parse_from_enclave(frame)
            assert isinstance(asked, Read)
            for part in Chunk(asked.digest.encode()).frame().encode():
                connection.sendall(part)


def test_every_thread_gets_its_own_answers() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    serving = threading.Thread(target=host, args=(theirs,))
    serving.start()

    def ask(thread: int) -> bool:
        names = [digest(b"%d %d" % (thread, i)) for i in range(300)]
        answers = [channel.ask(Read(name)) for name in names]
        return [a.sealed.decode() for a in answers if isinstance(a, Chunk)] == names

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(4)))
    channel.close()
    serving.join()
    theirs.close()


@pytest.mark.parametrize("sent", [b"", b"\0"])
def test_an_answer_that_does_not_come_in_time_ends_the_channel(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours)
        theirs.sendall(sent)  # the rest of the frame never comes
        with pytest.raises(TimeoutError):
            channel.ask(Read(digest(b"a")), seconds=0.01)
        for part in Chunk(b"late").frame().encode():
            theirs.sendall(part)
        with pytest.raises(ChannelClosedError):
            channel.receive()


def test_an_answer_in_time_is_one() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for part in Chunk(b"there").frame().encode():
            theirs.sendall(part)
        assert Channel(ours).ask(Read(digest(b"a")), seconds=0) == Chunk(b"there")
