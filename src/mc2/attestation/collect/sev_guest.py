"""SNP reports through /dev/sev-guest, for kernels without configfs-tsm (Linux 5.19 to 6.6).

Structures: <linux/sev-guest.h>, little-endian. The extended request also gives the table of
certificates that the host has; if it does not fit, the report is asked for alone.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Final

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.collect.device import Device
from mc2.attestation.collect.machine import (
    Machine,
    OpenFile,
    check_is_about,
    check_report_data,
    patiently,
)
from mc2.attestation.snp import KIND
from mc2.attestation.snp.certificate_table import read_certificate_table
from mc2.attestation.snp.report import REPORT_BYTES, parse_report
from mc2.errors import AttestationError

DEVICE: Final = "/dev/sev-guest"
GET_REPORT: Final = 0xC0205300
GET_EXT_REPORT: Final = 0xC0205302

REPORT_REQUEST: Final = struct.Struct("<64sI28x")  # data, VMPL
EXT_REQUEST: Final = struct.Struct("<64sI28xQI4x")  # the same, address and size of the table
RESPONSE: Final = struct.Struct("<II24x")  # status, size; the report follows
RESPONSE_BYTES: Final = 4000
ARGUMENT: Final = struct.Struct("<B7xQQQ")  # version 1, request, response, exitinfo2
MOST_TABLE_BYTES: Final = 16 * 1024  # the kernel's ceiling, a multiple of a page

_VERSION: Final = 1
_VMPL: Final = 0
_TABLE_TOO_SMALL: Final = 1  # the upper half of exitinfo2


class SevGuestCollector:
    """SEV-SNP reports from the guest's device."""

    kind = KIND
    tier = Tier.HARDWARE_CVM
    source = "guest device"

    def __init__(self, machine: Machine) -> None:
        self._device = Device(machine, DEVICE)

    def available(self) -> bool:
        """Whether the device is there and opens."""
        return not self.why_not()

    def why_not(self) -> str:
        """What is missing."""
        return self._device.why_not()

    def collect(self, report_data: bytes) -> RawEvidence:
        """A report over 64 bytes. Raises: AttestationError."""
        check_report_data(report_data)
        with self._device.opened() as device:
            raw, table = self._request(device, report_data)
        report = parse_report(raw)
        check_is_about(report.report_data, report_data, "the SNP report")
        return RawEvidence(KIND, raw, read_certificate_table(table, report.signing_key))

    def _request(self, device: OpenFile, report_data: bytes) -> tuple[bytes, bytes]:
        table = ctypes.create_string_buffer(MOST_TABLE_BYTES)
        extended = EXT_REQUEST.pack(report_data, _VMPL, ctypes.addressof(table), MOST_TABLE_BYTES)
        report = self._send(device, GET_EXT_REPORT, extended)
        if report is not None:
            return report, table.raw
        alone = self._send(device, GET_REPORT, REPORT_REQUEST.pack(report_data, _VMPL))
        if alone is None:
            raise AttestationError("the firmware wants room for a table that was not asked for")
        return alone, b""

    def _send(self, device: OpenFile, request: int, body: bytes) -> bytes | None:
        """One request; the report, or None if the host's table is too large."""
        asked = ctypes.create_string_buffer(body, len(body))
        answer = ctypes.create_string_buffer(RESPONSE_BYTES)

        def send() -> bytes | None:
            argument = bytearray(
                ARGUMENT.pack(_VERSION, ctypes.addressof(asked), ctypes.addressof(answer), 0)
            )
            try:
                device.ioctl(request, argument)
            except OSError as error:
                if error.errno == errno.EIO and _host_code(argument) == _TABLE_TOO_SMALL:
                    return None
                raise
            return _report(answer.raw)

        return patiently(self._device.machine, "the SNP firmware gave no report", send)


def _host_code(argument: bytearray) -> int:
    exitinfo2: int = ARGUMENT.unpack(argument)[3]
    return exitinfo2 >> 32


def _report(answer: bytes) -> bytes:
    status, size = RESPONSE.unpack_from(answer)
    if status != 0:
        raise AttestationError(f"the SNP firmware answered with status {status:#x}")
    if size != REPORT_BYTES:
        raise AttestationError(f"the SNP firmware gave {size} bytes, not {REPORT_BYTES}")
    return answer[RESPONSE.size : RESPONSE.size + REPORT_BYTES]
