from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from mc2.enclave.listener import listen
from mc2.errors import UsageError
from mc2.formats.address import InheritedAddress, TcpAddress, UnixAddress


def test_a_unix_socket_is_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    before = os.umask(0)
    listener = listen(UnixAddress(str(path)))
    assert os.umask(before) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as host:
        host.connect(str(path))
        connection = next(listener.connections())
        host.sendall(b"x")
        assert connection.recv(1) == b"x"
        connection.close()
    listener.close()


def test_a_socket_that_nobody_serves_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    listen(UnixAddress(str(path))).close()
    assert path.is_socket()
    listen(UnixAddress(str(path))).close()


def test_a_socket_in_use_and_a_file_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    listener = listen(UnixAddress(str(path)))
    with pytest.raises(UsageError, match="cannot listen") as caught:
        listen(UnixAddress(str(path)))
    assert "another address" in caught.value.hint
    listener.close()
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UsageError):
        listen(UnixAddress(str(file)))
    assert file.read_text() == "mine"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_tcp_listener_may_choose_its_port(host: str) -> None:
    listener = listen(TcpAddress(host, 0))
    assert isinstance(listener.address, TcpAddress)
    assert listener.address.port > 0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as client:
        client.connect((host, listener.address.port))
        next(listener.connections()).close()
    listener.close()


def test_an_inherited_socket_is_served_once() -> None:
    ours, theirs = socket.socketpair()
    number = os.dup(theirs.fileno())
    os.set_inheritable(number, True)
    theirs.close()
    listener = listen(InheritedAddress(number))
    assert listener.inherited
    assert not os.get_inheritable(number)
    found = list(listener.connections())
    assert len(found) == 1
    ours.sendall(b"x")
    assert found[0].recv(1) == b"x"
    ours.close()
    found[0].close()


def test_only_a_socket_can_be_inherited(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(UsageError, match="cannot listen"):
        listen(InheritedAddress(file.fileno()))
    with pytest.raises(UsageError, match="cannot listen"):
        listen(InheritedAddress(65000))
