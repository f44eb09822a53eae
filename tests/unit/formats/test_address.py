from __future__ import annotations

import pytest

from mc2.errors import UsageError
from mc2.formats.address import (
    VSOCK_ANY,
    Address,
    InheritedAddress,
    TcpAddress,
    UnixAddress,
    VsockAddress,
    parse_address,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/mc2/worker.sock", UnixAddress("/run/mc2/worker.sock")),
        ("tcp:127.0.0.1:7000", TcpAddress("127.0.0.1", 7000)),
        ("tcp:[::1]:7000", TcpAddress("::1", 7000)),
        ("tcp:worker-1.example:0", TcpAddress("worker-1.example", 0)),
        ("vsock:3:7000", VsockAddress(3, 7000)),
        ("vsock:any:7000", VsockAddress(VSOCK_ANY, 7000)),
        ("fd:3", InheritedAddress(3)),
    ],
)
def test_reads_and_writes_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "/run/x", "unix:", "unix:run/x", "unix:/" + "x" * 107, "unix:/a\0b",
        "tcp:7000", "tcp::7000", "tcp:host:", "tcp:host:65536", "tcp:host:-1", "tcp:host:07",
        "tcp:ho st:1", "tcp:::1:7000", "vsock:3", "vsock:3:x", "vsock:4294967295:1",
        "vsock:1:4294967295", "fd:0", "fd:2", "fd:x", "fd:٣", "http:host:80",
    ],
)  # fmt: skip
def test_refuses_everything_else(text: str) -> None:
    with pytest.raises(UsageError, match="not the address") as caught:
        parse_address(text)
    assert "unix:/path" in caught.value.hint
