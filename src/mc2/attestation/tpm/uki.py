"""What a unified kernel image leaves in a TPM's registers, from the file alone.

The firmware measures the whole image into register 4 (TCG PC Client Platform Firmware Profile,
"Measuring boot events"), and so it does with the kernel that systemd-stub takes out of the image
and starts; the stub measures its sections into register 11 (UAPI specification of unified kernel
images, systemd-stub(7)). Pure: bytes in, register values out. `docs/spec/measurements.md`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from mc2.attestation.cursor import Cursor
from mc2.attestation.tpm.eventlog import replay
from mc2.errors import EvidenceError, FormatError

BANK: Final = "sha256"
BOOT_REGISTER: Final = 4
SECTIONS_REGISTER: Final = 11

_BOOT_ATTEMPT: Final = b"Calling EFI Application from Boot Option"
_SEPARATOR: Final = bytes(4)
_PE_OFFSET: Final = 0x3C
_PE32_PLUS: Final = 0x20B
_FILE_HEADER: Final = 20
_SECTION_HEADER: Final = 40
_SECTIONS: Final = 96
_CHECKSUM: Final = 64  # within the optional header; so are the two below, of PE32+
_DIRECTORIES: Final = 112
_CERTIFICATES: Final = _DIRECTORIES + 4 * 8

_MEASURED_252: Final = (".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".pcrpkey")
_MEASURED_254: Final = (
    ".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat",
    ".pcrpkey",
)  # fmt: skip
_CHOSEN_AT_BOOT: Final = (".profile", ".dtbauto", ".hwids", ".efifw")
_STUB: Final = re.compile(rb"#### LoaderInfo: systemd-stub (\d{3})")


@dataclass(frozen=True, slots=True)
class Section:
    """A section of an image: its name, its bytes in memory, and where they are in the file."""

    name: str
    content: bytes
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class PeImage:
    """A PE32+ image, taken apart. `raw` is the file."""

    raw: bytes
    sections: tuple[Section, ...]
    headers_size: int
    checksum_at: int
    certificates_at: int

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Take an image apart. Raises: FormatError for anything but a well-formed PE32+."""
        try:
            return cls._parse(raw)
        except EvidenceError:
            raise FormatError(
                "the file ends in the middle of a PE image",
                hint="give a unified kernel image for UEFI on x86-64 or AArch64",
            ) from None

    @classmethod
    def _parse(cls, raw: bytes) -> Self:
        if raw[:2] != b"MZ":
            raise FormatError("this is not a PE image, which begins with MZ")
        at = _number(raw, _PE_OFFSET, 4)
        if raw[at : at + 4] != b"PE\0\0":
            raise FormatError("this is not a PE image: it has no PE signature")
        count, optional_size = _number(raw, at + 6, 2), _number(raw, at + 20, 2)
        optional = at + 4 + _FILE_HEADER
        if _number(raw, optional, 2) != _PE32_PLUS or optional_size < _CERTIFICATES + 8:
            raise FormatError("this is not a PE32+ image, as 64-bit UEFI starts them")
        table = optional + optional_size
        headers = _number(raw, optional + 60, 4)
        if count > _SECTIONS or not table + count * _SECTION_HEADER <= headers <= len(raw):
            raise FormatError("the headers of the PE image contradict its size")
        found = [_section(raw, table + n * _SECTION_HEADER) for n in range(count)]
        return cls(
            raw=raw,
            sections=tuple(found),
            headers_size=headers,
            checksum_at=optional + _CHECKSUM,
            certificates_at=optional + _CERTIFICATES,
        )

    def authenticode(self, bank: str = BANK) -> bytes:
        """The image's digest as Secure Boot and the firmware compute it, of a bank's algorithm.

        Windows Authenticode Portable Executable Signature Format, "Calculating the PE image
        hash": everything but the checksum, the place and the bytes of the signatures.

        Raises: FormatError.
        """
        hasher = hashlib.new(bank, self.raw[: self.checksum_at])
        hasher.update(self.raw[self.checksum_at + 4 : self.certificates_at])
        hasher.update(self.raw[self.certificates_at + 8 : self.headers_size])
        placed = sorted((s for s in self.sections if s.size), key=lambda section: section.start)
        if any(one.start + one.size > two.start for one, two in pairwise(placed)):
            raise FormatError("sections of the PE image overlap")
        hashed = self.headers_size
        for section in placed:
            hasher.update(self.raw[section.start : section.start + section.size])
            hashed += section.size
        signatures = _number(self.raw, self.certificates_at + 4, 4)
        place = _number(self.raw, self.certificates_at, 4)
        if signatures and (place < hashed or place + signatures != len(self.raw)):
            raise FormatError("the signatures of the PE image are not at its end")
        if place and not signatures:  # a value that no digest would cover
            raise FormatError("the PE image has a place for signatures, and none")
        hasher.update(self.raw[hashed : len(self.raw) - signatures])
        return hasher.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class UkiPrediction:
    """Values of registers (SHA-256 bank) after a unified kernel image was started.

    `image` and `kernel` are the digests that the firmware measures; `sections` those of the
    stub, in its order; `pcrs` the values of registers 4 and 11.
    """

    stub: int
    image: bytes
    kernel: bytes
    sections: Mapping[str, bytes]
    pcrs: Mapping[int, bytes]


def predict_uki(raw: bytes) -> UkiPrediction:
    """What registers 4 and 11 hold once `raw` was the first thing that the firmware started.

    Register 4 holds nothing else only where no earlier boot option was tried, no boot loader
    comes in between, and no driver was loaded from a card. Register 11 is as the stub leaves it:
    systemd inside the image extends it further (systemd-pcrphase), other inits do not.

    Raises: FormatError for an image whose registers do not follow from the file.
    """
    image = PeImage.parse(raw)
    stub = _stub_version(image)
    present = _unique(image.sections)
    order = _MEASURED_252 if stub == 252 else _MEASURED_254
    unsure = [name for name in _CHOSEN_AT_BOOT if name in present]
    if unsure:
        raise FormatError(
            f"the image has a section {unsure[0]}: what is measured depends on the machine",
            hint="build the image with one profile and one device tree",
        )
    if ".linux" not in present:
        raise FormatError("the image has no section .linux: it is no unified kernel image")
    measured = {name: present[name].content for name in order if name in present}
    kernel = PeImage.parse(measured[".linux"]).authenticode()
    whole = image.authenticode()
    boot = (_sha256(_BOOT_ATTEMPT), _sha256(_SEPARATOR), whole, kernel)
    parts = [
        digest
        for name, content in measured.items()
        for digest in (_sha256(name.encode("ascii") + b"\0"), _sha256(content))
    ]
    return UkiPrediction(
        stub=stub,
        image=whole,
        kernel=kernel,
        sections={name: _sha256(content) for name, content in measured.items()},
        pcrs={BOOT_REGISTER: replay(boot, BANK), SECTIONS_REGISTER: replay(parts, BANK)},
    )


def _stub_version(image: PeImage) -> int:
    """The stub says its version in a section; which sections it measures depends on it."""
    magic = next((s.content for s in image.sections if s.name == ".sdmagic"), b"")
    found = _STUB.match(magic)
    if found is None:
        raise FormatError(
            "the image was not made with systemd-stub, so its measurements are not known",
            hint="build it with systemd's linuxx64.efi.stub; see deploy/uki",
        )
    version = int(found[1])
    if version < 252 or version == 253:
        raise FormatError(
            f"which sections systemd-stub {version} measures is not known",
            hint="use systemd-stub 252, or 254 and newer",
        )
    return version


def _unique(sections: Iterable[Section]) -> dict[str, Section]:
    found: dict[str, Section] = {}
    for section in sections:
        if section.name in found:
            raise FormatError(f"the image has two sections {section.name}")
        found[section.name] = section
    return found


def _section(raw: bytes, at: int) -> Section:
    cursor = Cursor(raw[at : at + _SECTION_HEADER], "a section's header", "little")
    name = cursor.take(8).rstrip(b"\0")
    in_memory, _, size, start = (cursor.number(4) for _ in range(4))
    if start + size > len(raw):
        raise FormatError("a section of the PE image lies behind the end of the file")
    content = raw[start : start + min(in_memory, size)]
    # What memory has beyond the file is zero; only .bss-like sections have it, and code.
    content += bytes(min(max(in_memory - size, 0), 1 << 24))
    return Section(name.decode("ascii", "replace"), content, start, size)


def _number(raw: bytes, at: int, size: int) -> int:
    if at + size > len(raw):
        raise FormatError("the file ends in the middle of a PE image")
    return int.from_bytes(raw[at : at + size], "little")


def _sha256(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
