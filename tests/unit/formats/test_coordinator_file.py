"""The file that an operator hands out."""

import pytest

from mc2.crypto.digest import digest
from mc2.errors import FormatError
from mc2.formats.coordinator_file import CoordinatorFile

FILE = CoordinatorFile(
    url="https://coordinator.example:8765",
    certificate="-----BEGIN CERTIFICATE-----\n",
    fingerprint=digest(b"der"),
    invitation_file="/srv/mc2/invitation.token",
)


def test_it_comes_back():
    assert CoordinatorFile.parse(FILE.encode()) == FILE


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        FILE.encode() + b"\n",
        FILE.encode().replace(b"mc2/coordinator/v1", b"mc2/coordinator/v2"),
        FILE.encode().replace(b"sha256:", b"sha512:"),
        FILE.encode()[:-1] + b',"x":1}',
    ],
)
def test_anything_else_is_refused(raw):
    with pytest.raises(FormatError):
        CoordinatorFile.parse(raw)
