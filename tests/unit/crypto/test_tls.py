"""A self-signed certificate that a client pins: it opens its own server's door and no other."""

import socket
import ssl
import threading
from datetime import UTC, datetime

import pytest

from mc2.crypto.tls import certificate_names, fingerprint, self_signed
from mc2.errors import FormatError, UsageError


def make(*names):
    return self_signed(names, at=datetime.now(UTC), days=10)


def handshake(tmp_path, identity, trusted: bytes, name: str, *, strict: bool = False) -> str:
    (tmp_path / "certificate.pem").write_bytes(identity.certificate)
    (tmp_path / "key.pem").write_bytes(identity.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=trusted.decode())
    if strict:
        client.verify_flags |= ssl.VERIFY_X509_STRICT
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as accepted:
                accepted.recv(1)
        except (ssl.SSLError, ConnectionError):
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=name) as connected:
            return str(connected.version())
    finally:
        near.close()
        thread.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
@pytest.mark.parametrize("strict", [False, True])
def test_the_pinned_server_is_accepted_under_all_its_names(tmp_path, name, strict):
    identity = make("127.0.0.1", "localhost", "::1")
    assert handshake(tmp_path, identity, identity.certificate, name, strict=strict) == "TLSv1.3"


def test_another_name_is_refused(tmp_path):
    identity = make("localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, identity, identity.certificate, "elsewhere.example")


def test_another_certificate_of_the_same_name_is_refused(tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, make("localhost"), make("localhost").certificate, "localhost")


def test_names_and_fingerprint_can_be_read():
    identity = make("b.example", "10.0.0.1", "a.example")
    assert certificate_names(identity.certificate) == ("10.0.0.1", "a.example", "b.example")
    assert fingerprint(identity.certificate) == fingerprint(identity.certificate)
    assert fingerprint(identity.certificate) != fingerprint(make("b.example").certificate)


def test_printing_shows_no_key():
    identity = make("localhost")
    assert "PRIVATE" not in repr(identity)
    assert fingerprint(identity.certificate) in repr(identity)


@pytest.mark.parametrize("names", [(), ("schl\u00f6sser.example",)])
def test_names_must_be_names(names):
    with pytest.raises(UsageError):
        make(*names)


def test_what_is_no_certificate_is_refused():
    with pytest.raises(FormatError):
        fingerprint(b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n")
