"""SNP reports and TDX quotes through the kernel's configfs (Linux 6.7 and later).

One folder for each report: write `inblob`, read `outblob`. The kernel takes what was written when
the file is closed, and says nothing if it could not: `generation`, which counts what it took, is
the only proof. ABI: Documentation/ABI/testing/configfs-tsm-report of Linux.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar, Final

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.collect.machine import (
    Machine,
    check_is_about,
    check_report_data,
    patiently,
    read_file,
    write_file,
)
from mc2.attestation.dcap.claims import TDX_KIND
from mc2.attestation.dcap.quote import parse_quote
from mc2.attestation.snp import KIND as SNP_KIND
from mc2.attestation.snp.certificate_table import TABLE_BYTES, read_certificate_table
from mc2.attestation.snp.report import REPORT_BYTES, parse_report
from mc2.errors import AttestationError

FOLDER: Final = "/sys/kernel/config/tsm/report"
QUOTE_BYTES: Final = 32 * 1024  # the kernel's own ceiling

_ATTRIBUTE_BYTES: Final = 4096  # of a text attribute; a page
_HIGHEST_PRIVILEGE: Final = 3
_ATTEMPTS: Final = 3


class _ConfigfsTsm:
    """What the two kinds have in common: a report folder, and how to use one."""

    provider: ClassVar[str]
    largest: ClassVar[int]
    with_table: ClassVar[bool]
    source = "configfs-tsm"
    tier = Tier.HARDWARE_CVM

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def available(self) -> bool:
        """Whether this kernel makes such reports."""
        return not self.why_not()

    def why_not(self) -> str:
        """What is missing. Finding out takes a report folder, which goes again."""
        if not self._machine.exists(FOLDER):
            return f"{FOLDER} does not exist"
        try:
            with self._report() as report:
                self._check_provider(report)
        except AttestationError as error:
            return str(error)
        return ""

    def _collect(self, report_data: bytes) -> tuple[bytes, bytes]:
        """The report and the host's table (empty where there is none). Raises: AttestationError."""
        check_report_data(report_data)
        for _ in range(_ATTEMPTS):
            with self._report() as report:
                self._check_provider(report)
                found = self._attempt(report, report_data)
            if found is not None:
                return found
        raise AttestationError(
            f"the kernel did not take the report data as written, {_ATTEMPTS} times",
            hint=f"something else writes below {FOLDER}; only the worker should",
        )

    def _attempt(self, report: str, report_data: bytes) -> tuple[bytes, bytes] | None:
        """One use of a folder; None if it was not ours alone."""
        before = self._number(f"{report}/generation")
        writes = self._set_privilege(report)
        write_file(self._machine, f"{report}/inblob", report_data)
        expected = before + writes + 1
        if self._number(f"{report}/generation") != expected:
            return None
        evidence = read_file(self._machine, f"{report}/outblob", self.largest)
        table = self._table(report) if self.with_table else b""
        # The report and the table belong together only if nobody wrote in between.
        if self._number(f"{report}/generation") != expected:
            return None
        return evidence, table

    def _set_privilege(self, report: str) -> int:
        """Under a paravisor a guest may not ask as level 0: take its floor. How often it wrote."""
        path = f"{report}/privlevel_floor"
        if not self._machine.exists(path):
            return 0
        floor = self._number(path)
        if floor > _HIGHEST_PRIVILEGE:
            raise AttestationError(f"{path} is beyond {_HIGHEST_PRIVILEGE}")
        if floor:
            write_file(self._machine, f"{report}/privlevel", b"%d\n" % floor)
        return 1 if floor else 0

    def _table(self, report: str) -> bytes:
        path = f"{report}/auxblob"
        return (
            read_file(self._machine, path, TABLE_BYTES)
            if self._machine.exists(path)
            else b""  # the host gives no certificates
        )

    def _check_provider(self, report: str) -> None:
        raw = read_file(self._machine, f"{report}/provider", _ATTRIBUTE_BYTES)
        found = raw.decode("ascii", "replace").strip()
        if found != self.provider:
            raise AttestationError(f"the kernel's reports are by {found!r}, not {self.provider!r}")

    def _number(self, path: str) -> int:
        raw = read_file(self._machine, path, _ATTRIBUTE_BYTES).strip()
        if not raw.isdigit() or len(raw) > len(str(2**64)):
            raise AttestationError(f"{path} is not a number")
        return int(raw)

    @contextmanager
    def _report(self) -> Iterator[str]:
        """A report folder of our own, under a name that nobody can know before."""
        path = f"{FOLDER}/mc2-{secrets.token_hex(16)}"
        machine = self._machine
        patiently(machine, f"no report folder in {FOLDER}", lambda: machine.make_folder(path))
        try:
            yield path
        finally:
            # A folder that stays costs a little kernel memory; what was collected stays true.
            with suppress(AttestationError):
                patiently(machine, f"{path} stays", lambda: machine.remove_folder(path))


class SnpTsmCollector(_ConfigfsTsm):
    """SEV-SNP reports, with the certificates that the host hands to the guest."""

    kind = SNP_KIND
    provider = "sev_guest"
    largest = REPORT_BYTES
    with_table = True

    def collect(self, report_data: bytes) -> RawEvidence:
        """A report over 64 bytes. Raises: AttestationError."""
        raw, table = self._collect(report_data)
        report = parse_report(raw)
        check_is_about(report.report_data, report_data, "the SNP report")
        return RawEvidence(self.kind, raw, read_certificate_table(table, report.signing_key))


class TdxTsmCollector(_ConfigfsTsm):
    """TDX quotes. Intel's collateral does not come with them."""

    kind = TDX_KIND
    provider = "tdx_guest"
    largest = QUOTE_BYTES
    with_table = False

    def collect(self, report_data: bytes) -> RawEvidence:
        """A quote over 64 bytes. Raises: AttestationError."""
        raw, _ = self._collect(report_data)
        quote = parse_quote(raw)
        if quote.tee != "TDX":
            raise AttestationError("the kernel gave another quote than TDX's")
        check_is_about(quote.body.report_data, report_data, "the TDX quote")
        return RawEvidence(self.kind, raw)
