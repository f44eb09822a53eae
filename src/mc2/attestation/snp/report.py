"""The SEV-SNP attestation report: bytes to a frozen value. It knows the layout, and trusts nothing.

Layout: "SEV Secure Nested Paging Firmware ABI" (AMD 56860), ATTESTATION_REPORT; little-endian.
The signature covers the first 0x2A0 bytes. What stands behind the signature is not signed by
anybody, so it must be zero: one report has one spelling.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mc2.errors import EvidenceError

REPORT_BYTES: Final = 0x4A0
SIGNED_BYTES: Final = 0x2A0
VERSIONS: Final = range(2, 6)
CHIP_ID_BYTES: Final = 64

_NUMBER_BYTES: Final = 72  # of each half of the signature; P-384 fills 48
_HIGHEST_VMPL: Final = 3
_ECDSA_P384_SHA384: Final = 1
_SIGNING_KEYS: Final = {0: "VCEK", 1: "VLEK"}

# Bits of POLICY: what the guest's owner allowed the platform to do.
POLICY_BITS: Final = {
    "smt": 16,
    "migrate_ma": 18,
    "debug": 19,
    "single_socket": 20,
    "cxl": 21,
    "mem_aes_256_xts": 22,
    "rapl_disabled": 23,
    "ciphertext_hiding": 24,
    "page_swap_disabled": 25,
}
_POLICY_MUST_BE_ONE: Final = 17
KNOWN_POLICY: Final = 0xFFFF | 1 << _POLICY_MUST_BE_ONE | sum(1 << b for b in POLICY_BITS.values())

# Bits of PLATFORM_INFO: how the machine is configured. Others have been seen set.
PLATFORM_BITS: Final = {
    "smt": 0,
    "tsme": 1,
    "ecc": 2,
    "rapl_disabled": 3,
    "ciphertext_hiding": 4,
    "alias_check": 5,
    "tio": 7,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpReport:
    """A report as it was read; its signature is not verified.

    The four TCB versions stay 8 raw bytes: which byte is which depends on the product line, and
    that is known only once the endorsement key's certificates are verified. `cpuid` is family,
    model and stepping; None before version 3. `mitigations` are the launch and the current
    vector; None before version 5.
    """

    raw: bytes = field(repr=False)
    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signing_key: str
    author_key_enabled: bool
    mask_chip_key: bool
    platform_info: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    chip_id: bytes
    current_tcb: bytes
    reported_tcb: bytes
    committed_tcb: bytes
    launch_tcb: bytes
    cpuid: tuple[int, int, int] | None
    current_firmware: str
    committed_firmware: str
    mitigations: tuple[int, int] | None
    signature: tuple[int, int] = field(repr=False)

    @property
    def signed(self) -> bytes:
        """The part that the signature covers; it names the evidence."""
        return self.raw[:SIGNED_BYTES]

    def allows(self, bit: str) -> bool:
        """Whether POLICY has one of `POLICY_BITS`."""
        return bool(self.policy >> POLICY_BITS[bit] & 1)

    def platform_has(self, bit: str) -> bool:
        """Whether PLATFORM_INFO has one of `PLATFORM_BITS`."""
        return bool(self.platform_info >> PLATFORM_BITS[bit] & 1)


def parse_report(raw: bytes) -> SnpReport:
    """Read a report strictly. Raises: EvidenceError."""
    if len(raw) != REPORT_BYTES:
        raise EvidenceError(
            f"an SNP report has {REPORT_BYTES} bytes, not {len(raw)}",
            hint="give the bare report, without the status header of the guest device",
        )
    version = _number(raw, 0x000, 4)
    if version not in VERSIONS:
        raise EvidenceError(f"SNP report version {version} is not supported (2 to 5 are)")
    key_info = _number(raw, 0x048, 4)
    report = SnpReport(
        raw=raw,
        version=version,
        guest_svn=_number(raw, 0x004, 4),
        policy=_number(raw, 0x008, 8),
        family_id=raw[0x010:0x020],
        image_id=raw[0x020:0x030],
        vmpl=_number(raw, 0x030, 4),
        signing_key=_signing_key(key_info),
        author_key_enabled=bool(key_info & 1),
        mask_chip_key=bool(key_info >> 1 & 1),
        platform_info=_number(raw, 0x040, 8),
        report_data=raw[0x050:0x090],
        measurement=raw[0x090:0x0C0],
        host_data=raw[0x0C0:0x0E0],
        id_key_digest=raw[0x0E0:0x110],
        author_key_digest=raw[0x110:0x140],
        report_id=raw[0x140:0x160],
        report_id_ma=raw[0x160:0x180],
        chip_id=raw[0x1A0:0x1E0],
        current_tcb=raw[0x038:0x040],
        reported_tcb=raw[0x180:0x188],
        committed_tcb=raw[0x1E0:0x1E8],
        launch_tcb=raw[0x1F0:0x1F8],
        cpuid=(raw[0x188], raw[0x189], raw[0x18A]) if version >= 3 else None,
        current_firmware=_firmware(raw, 0x1E8),
        committed_firmware=_firmware(raw, 0x1EC),
        mitigations=(_number(raw, 0x1F8, 8), _number(raw, 0x200, 8)) if version >= 5 else None,
        signature=(_number(raw, 0x2A0, _NUMBER_BYTES), _number(raw, 0x2E8, _NUMBER_BYTES)),
    )
    _check(report)
    return report


def _check(report: SnpReport) -> None:
    # Signed or not, a report that breaks these is none that a guest asked its firmware for.
    if any(report.raw[SIGNED_BYTES + 2 * _NUMBER_BYTES :]):
        raise EvidenceError("bytes behind the signature of the SNP report are not zero")
    if _number(report.raw, 0x034, 4) != _ECDSA_P384_SHA384:
        raise EvidenceError("the SNP report is not signed by ECDSA P-384 with SHA-384")
    if not report.policy >> _POLICY_MUST_BE_ONE & 1:
        raise EvidenceError("bit 17 of the SNP guest policy is not set")
    # A report that the hypervisor asked for itself has VMPL 0xFFFFFFFF and no guest's data.
    if report.vmpl > _HIGHEST_VMPL:
        raise EvidenceError("the SNP report was not requested by the guest")


def _signing_key(key_info: int) -> str:
    number = key_info >> 2 & 7
    if number not in _SIGNING_KEYS:
        raise EvidenceError("the SNP report says that no key signed it")
    if key_info >> 5:
        raise EvidenceError("reserved bits beside the SNP signing key are set")
    return _SIGNING_KEYS[number]


def _firmware(raw: bytes, at: int) -> str:
    build, minor, major = raw[at : at + 3]
    return f"{major}.{minor}.{build}"


def _number(raw: bytes, at: int, size: int) -> int:
    return int.from_bytes(raw[at : at + size], "little")
