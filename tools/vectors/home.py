"""Vectors of what stands in files: identities, and the file by which a coordinator is reached."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mc2.client.identity import Identity, store_identity
from mc2.crypto.digest import digest
from mc2.formats.canonical import decode, encode
from mc2.formats.coordinator_file import CoordinatorFile
from tools.vectors import world

Case = dict[str, str]
_LIMIT = 1 << 16


def cases() -> Iterator[Case]:
    """All cases, in a fixed order."""
    yield from _rejects("identity", _identity(), "secret")
    yield from _rejects("coordinator-file", _coordinator_file(), "url")


def _identity() -> bytes:
    identity = Identity(
        world.card("ada"),
        world.signing_key("ada"),
        world.receiving_key("ada"),
        bytearray(hashlib.sha256(b"vector master secret").digest()),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "identity.json"
        store_identity(identity, path)
        return path.read_bytes()


def _coordinator_file() -> bytes:
    return CoordinatorFile(
        url="https://mc2.example:8765",
        certificate="-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        fingerprint=digest(b"a certificate"),
        invitation_file="/srv/mc2/invitation.token",
    ).encode()


def _rejects(format_name: str, raw: bytes, field: str) -> Iterator[Case]:
    def case(name: str, text: bytes, comment: str) -> Case:
        outcome = {"expect": "reject", "error": "FormatError"}
        return {
            "format": format_name,
            "name": name,
            "comment": comment,
            "text": text.decode(),
            **outcome,
        }

    def edited(**changes: Any) -> bytes:
        value: Any = decode(raw, _LIMIT, "vector")
        return encode({k: v for k, v in {**value, **changes}.items() if v is not ...})

    yield {
        "format": format_name,
        "name": "valid",
        "comment": "as specified",
        "expect": "accept",
        "text": raw.decode(),
    }
    yield case("missing", edited(**{field: ...}), f"without {field}")
    yield case("unknown", edited(comment="hello"), "an unknown field")
    yield case("other_type", edited(type="mc2/other/v1"), "another type")
    yield case("number", edited(**{field: 1}), f"{field} is a number")
    yield case("trailing", raw + b"\n", "a byte after the canonical form")
    if format_name == "identity":
        yield case("other_card", edited(card=world.card("bo").json()), "the card of other keys")
        yield case("protection", edited(protection="passphrase"), "locked, but without a salt")
        yield case("salt", edited(salt="AAAAAAAAAAAAAAAAAAAAAA=="), "a salt and no passphrase")
