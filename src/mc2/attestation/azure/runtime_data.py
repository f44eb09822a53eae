"""The runtime data of an Azure confidential VM: the vTPM's key, and how the VM is set up."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mc2.attestation.vendor_json import read_json
from mc2.errors import EvidenceError, FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

_LARGEST: Final = 16 * 1024
_KEYS: Final = 16
_ATTESTATION_KEY: Final = "HCLAkPub"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeData:
    """What the paravisor says. `ak_spki` is the vTPM's attestation key (DER).

    `secure_boot` and `console` are switches of the VM: whether its firmware checks signatures,
    and whether the host has a serial console into it. `vm_id` is the provider's name for the VM.
    """

    ak_spki: bytes
    secure_boot: bool
    console: bool
    vm_id: str


def parse_runtime_data(raw: bytes) -> RuntimeData:
    """Read runtime data. Fields that are not known here are left alone. Raises: EvidenceError."""
    if len(raw) > _LARGEST:
        raise EvidenceError(f"runtime data are no larger than {_LARGEST} bytes")
    try:
        return _read(Fields(read_json(raw, "the runtime data"), "the runtime data"))
    except FormatError as error:
        raise EvidenceError(str(error)) from None


def _read(fields: Fields) -> RuntimeData:
    keys = fields.items("keys", _KEYS, _key)
    setup = fields.fields("vm-configuration")
    found = [spki for name, spki in keys if name == _ATTESTATION_KEY]
    if len(found) != 1:
        raise FormatError(f"the runtime data do not have one key {_ATTESTATION_KEY}")
    return RuntimeData(
        ak_spki=found[0],
        secure_boot=setup.boolean("secure-boot"),
        console=setup.boolean("console-enabled"),
        vm_id=setup.text("vmUniqueId", 64),
    )


def _key(value: Json) -> tuple[str, bytes]:
    fields = Fields(value, "a key of the runtime data")
    name = fields.text("kid", 64)
    fields.choice("kty", ("RSA",))
    exponent, modulus = _number(fields, "e"), _number(fields, "n")
    try:
        key = RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise FormatError(f"the key {name} of the runtime data is not an RSA key") from None
    return name, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _number(fields: Fields, name: str) -> int:
    text = fields.text(name, 1024)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(f"field {name!r} of {fields.what} is not base64url") from None
    return int.from_bytes(raw, "big")
