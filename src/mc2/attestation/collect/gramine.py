"""SGX quotes inside Gramine: files below /dev/attestation, which the library OS makes up.

Gramine asks for the quote when `quote` is opened, so each quote takes an opening of its own.
"""

from __future__ import annotations

from typing import Final

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.collect.machine import (
    Machine,
    check_is_about,
    check_report_data,
    read_file,
    write_file,
)
from mc2.attestation.dcap.claims import SGX_KIND
from mc2.attestation.dcap.quote import parse_quote
from mc2.errors import AttestationError

FOLDER: Final = "/dev/attestation"
QUOTE_BYTES: Final = 32 * 1024

_TYPE: Final = "dcap"
_TYPE_BYTES: Final = 64


class GramineCollector:
    """SGX quotes from Gramine."""

    kind = SGX_KIND
    tier = Tier.HARDWARE_ENCLAVE
    source = "Gramine"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def available(self) -> bool:
        """Whether this process runs inside SGX, with DCAP."""
        return not self.why_not()

    def why_not(self) -> str:
        """What is missing."""
        if not self._machine.exists(f"{FOLDER}/attestation_type"):
            return f"{FOLDER} does not exist"
        try:
            self._check_type()
        except AttestationError as error:
            return str(error)
        return ""

    def collect(self, report_data: bytes) -> RawEvidence:
        """A quote over 64 bytes. Raises: AttestationError."""
        check_report_data(report_data)
        self._check_type()
        write_file(self._machine, f"{FOLDER}/user_report_data", report_data)
        raw = read_file(self._machine, f"{FOLDER}/quote", QUOTE_BYTES)
        quote = parse_quote(raw)
        if quote.tee != "SGX":
            raise AttestationError("Gramine gave another quote than SGX's")
        check_is_about(quote.body.report_data, report_data, "the SGX quote")
        return RawEvidence(self.kind, raw)

    def _check_type(self) -> None:
        raw = read_file(self._machine, f"{FOLDER}/attestation_type", _TYPE_BYTES)
        found = raw.decode("ascii", "replace").strip()
        if found != _TYPE:
            raise AttestationError(
                f"Gramine attests by {found!r}, not {_TYPE!r}",
                hint='the manifest must say: sgx.remote_attestation = "dcap"',
            )
