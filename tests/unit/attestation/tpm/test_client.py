"""The client against a TPM that is busy, broken or away. The true one is in `test_swtpm`."""

from __future__ import annotations

import os
import socket
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from mc2.attestation.tpm import commands
from mc2.attestation.tpm.client import TpmClient
from mc2.attestation.tpm.collector import TpmCollector, connect
from mc2.attestation.tpm.transport import DeviceTransport, SocketTransport
from mc2.errors import AttestationError


def response(code: int = 0, body: bytes = b"") -> bytes:
    return b"\x80\x01" + (10 + len(body)).to_bytes(4, "big") + code.to_bytes(4, "big") + body


class Script:
    """A transport that answers from a list."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []
        self.closed = False

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        return self.answers.pop(0)

    def close(self) -> None:
        self.closed = True


RANDOM = response(body=b"\0\2ab")


@pytest.mark.parametrize("code", [0x922, 0x908, 0x90A])
def test_a_busy_tpm_is_asked_again(code: int) -> None:
    waits: list[float] = []
    script = Script(*[response(code)] * 9, RANDOM)
    assert TpmClient(script, sleep=waits.append).get_random(2) == b"ab"
    assert len(script.sent) == 10
    assert len(set(script.sent)) == 1
    assert waits == sorted(waits)
    assert waits[-1] <= 0.5


def test_a_tpm_that_stays_busy_is_given_up() -> None:
    waits: list[float] = []
    script = Script(*[response(0x922)] * 1000)
    with pytest.raises(AttestationError, match="stays busy") as caught:
        TpmClient(script, sleep=waits.append).get_random(2)
    assert "tpmrm0" in caught.value.hint
    assert len(waits) < 100


def test_a_refusal_says_what_was_refused_and_the_code() -> None:
    with pytest.raises(AttestationError, match=r"refused to extend a register \(TPM_RC 0x921\)"):
        TpmClient(Script(response(0x921))).pcr_extend(11, "sha256", bytes(32))


def test_a_tpm_that_runs_already_is_fine() -> None:
    TpmClient(Script(response(0x100))).startup()
    TpmClient(Script(response(0))).startup()
    with pytest.raises(AttestationError, match="refused to start"):
        TpmClient(Script(response(0x101))).startup()


def test_an_empty_nv_index_is_nothing() -> None:
    assert TpmClient(Script(response(0x18B))).nv_read(0x01C00002) is None
    with pytest.raises(AttestationError, match="refused to show"):
        TpmClient(Script(response(0x18C))).nv_read(0x01C00002)


def test_large_nv_contents_are_read_in_parts() -> None:
    public = b"\1\xc0\0\2" + b"\0\x0b" + bytes(4) + b"\0\0" + (1000).to_bytes(2, "big")
    body = len(public).to_bytes(2, "big") + public + b"\0\0"

    def part(raw: bytes) -> bytes:
        inner = len(raw).to_bytes(2, "big") + raw
        with_size = len(inner).to_bytes(4, "big") + inner + bytes(5)
        return b"\x80\x02" + (10 + len(with_size)).to_bytes(4, "big") + bytes(4) + with_size

    script = Script(response(body=body), part(b"a" * 512), part(b"b" * 488))
    assert TpmClient(script).nv_read(0x01C00002) == b"a" * 512 + b"b" * 488
    assert script.sent[1:] == [
        commands.nv_read(0x01C00002, 512, 0),
        commands.nv_read(0x01C00002, 488, 512),
    ]


def test_what_was_loaded_is_flushed_even_after_an_error() -> None:
    loaded = b"\x80\0\0\7" + b"\0\0\0\4" + b"\0\2pk" + bytes(5)
    raw = b"\x80\x02" + (10 + len(loaded)).to_bytes(4, "big") + bytes(4) + loaded
    script = Script(raw, response())

    def fail_while_loaded() -> None:
        with TpmClient(script).attestation_key() as key:
            assert (key.handle, key.public) == (0x80000007, b"pk")
            raise KeyError

    with pytest.raises(KeyError):
        fail_while_loaded()
    assert script.sent[-1] == commands.flush_context(0x80000007)


def test_a_missing_bank_is_seen() -> None:
    body = bytes(4) + bytes(4) + bytes(4)  # no selection, no values: what TPMs answer then
    with pytest.raises(AttestationError):
        TpmClient(Script(response(body=body))).pcr_read("sha384", (0,))


def test_registers_are_read_eight_at_a_time() -> None:
    def answer(numbers: range) -> bytes:
        values = b"".join(b"\0\x20" + bytes([n]) * 32 for n in numbers)
        chosen = commands.selection("sha256", tuple(numbers))
        return response(body=bytes(4) + chosen + len(numbers).to_bytes(4, "big") + values)

    script = Script(answer(range(8)), answer(range(8, 10)))
    found = TpmClient(script).pcr_read("sha256", range(10))
    assert found == {n: bytes([n]) * 32 for n in range(10)}


@pytest.mark.parametrize(
    "raw", [b"", b"\x80\x01", response(body=b"\0\5ab"), response(body=b"\0\3abc"), b"x" * 12]
)
def test_a_broken_answer_is_an_error(raw: bytes) -> None:
    with pytest.raises(AttestationError):
        TpmClient(Script(raw)).get_random(2)


# --- transports -----------------------------------------------------------------------------


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A listener that answers one command with whatever the test puts into the list."""
    path, answers = tmp_path / "s", []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            for part in answers:
                connection.sendall(part)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path, answers
    listener.close()
    thread.join(5)


def test_an_answer_in_pieces_is_put_together(peer: tuple[Path, list[bytes]]) -> None:
    path, answers = peer
    answers += [RANDOM[:3], RANDOM[3:11], RANDOM[11:]]
    with SocketTransport(path) as transport:
        assert TpmClient(transport).get_random(2) == b"ab"


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ([RANDOM[:-1]], "closed the connection"),
        ([], "closed the connection"),
        ([b"\x80\x01\xff\xff\xff\xff\0\0\0\0"], "impossible length"),
        ([b"\x80\x01\0\0\0\0\0\0\0\0"], "impossible length"),
    ],
)
def test_an_answer_that_does_not_come_whole(
    peer: tuple[Path, list[bytes]], parts: list[bytes], match: str
) -> None:
    path, answers = peer
    answers += parts
    with SocketTransport(path) as transport, pytest.raises(AttestationError, match=match):
        TpmClient(transport).get_random(2)


def test_nobody_listens(tmp_path: Path) -> None:
    for address in (tmp_path / "none", ("127.0.0.1", 1)):
        with pytest.raises(AttestationError, match="no software TPM listens"):
            SocketTransport(address)


def test_a_device_takes_and_gives_whole_messages(tmp_path: Path) -> None:
    """A pseudo-terminal stands in for the character device: one write in, one read out."""
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    transport = DeviceTransport(Path(os.ttyname(slave)))
    os.write(master, RANDOM)
    try:
        assert TpmClient(transport).get_random(2) == b"ab"
        assert os.read(master, 4096) == commands.get_random(2)
    finally:
        transport.close()
        os.close(master)
        os.close(slave)


def test_a_device_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AttestationError, match="does not open") as caught:
        DeviceTransport(tmp_path / "tpmrm0")
    assert "tss" in caught.value.hint
    with pytest.raises(AttestationError, match="no TPM at") as caught:
        connect(tmp_path / "tpmrm0")
    assert "swtpm" in caught.value.hint


def test_a_collector_knows_whether_there_is_a_tpm(tmp_path: Path) -> None:
    def collector(address: Path | tuple[str, int]) -> TpmCollector:
        return TpmCollector(address, chain=b"", bank="sha256", selected=(0,), event_log=None)

    assert not collector(tmp_path / "tpmrm0").available()
    (tmp_path / "tpmrm0").touch()
    assert collector(tmp_path / "tpmrm0").available()
    assert collector(("127.0.0.1", 1)).available()
