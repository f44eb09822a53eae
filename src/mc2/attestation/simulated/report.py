"""The bytes of simulated evidence. Spec: docs/spec/simulated-evidence.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha384
from typing import Final, Self

from mc2.attestation.policy import MEASUREMENT_BYTES, SimulatedSection
from mc2.attestation.simulated.root import POINT_BYTES, SIGNATURE_BYTES
from mc2.crypto.digest import Digest, digest
from mc2.crypto.labels import Label
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, to_base64

KIND: Final = SimulatedSection.KIND
REPORT_TYPE: Final = "mc2/simulated-report/v1"
EVIDENCE_TYPE: Final = "mc2/simulated-evidence/v1"
NOTICE: Final = "SIMULATED: says nothing about the machine, and protects nothing"
REPORT_DATA_BYTES: Final = 64
SERIAL_BYTES: Final = 16
EVIDENCE_BYTES: Final = 8192
"""A ceiling well above the about 1,100 bytes that evidence has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedReport:
    """What the pretended hardware says: the code, the machine, the enclave's 64 bytes."""

    measurement: str
    platform: str
    report_data: bytes
    serial: str

    def json(self) -> Json:
        """The report as canonical JSON has it, with a notice that no reader can overlook."""
        return {
            "type": REPORT_TYPE,
            "notice": NOTICE,
            "measurement": self.measurement,
            "platform": self.platform,
            "report_data": to_base64(self.report_data),
            "serial": self.serial,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read a decoded report. Raises: FormatError."""
        fields.type(REPORT_TYPE)
        if fields.text("notice") != NOTICE:
            raise FormatError("a simulated report says that it is one")
        found = cls(
            measurement=fields.hex("measurement", MEASUREMENT_BYTES),
            platform=fields.name("platform"),
            report_data=fields.base64("report_data", REPORT_DATA_BYTES, REPORT_DATA_BYTES),
            serial=fields.hex("serial", SERIAL_BYTES),
        )
        fields.done()
        return found

    def signed_bytes(self) -> bytes:
        """What the root signs: a domain string that no hardware uses, then the report."""
        return Label.SIMULATED_REPORT.prefix() + encode(self.json())

    @property
    def digest(self) -> Digest:
        """The report's name, whatever signature it came with."""
        return digest(self.signed_bytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedEvidence:
    """A report, the public point of the root, and the root's signature; nothing checked."""

    report: SimulatedReport
    root: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The evidence's bytes."""
        return encode(
            {
                "type": EVIDENCE_TYPE,
                "report": self.report.json(),
                "root": to_base64(self.root),
                "signature": to_base64(self.signature),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read evidence. Raises: FormatError."""
        fields = Fields(decode(raw, EVIDENCE_BYTES, "simulated evidence"), "simulated evidence")
        fields.type(EVIDENCE_TYPE)
        found = cls(
            report=SimulatedReport.read(fields.fields("report")),
            root=fields.base64("root", POINT_BYTES, POINT_BYTES),
            signature=fields.base64("signature", SIGNATURE_BYTES, SIGNATURE_BYTES),
        )
        fields.done()
        return found


def measure(code: Mapping[str, str]) -> str:
    """The measurement of a code identity (names and versions or digests), in hex.

    Hardware measures memory; a simulation can only name what it was told.
    """
    return sha384(Label.SIMULATED_CODE.prefix() + encode(dict(code))).hexdigest()
