"""What a TDX guest leaves in RTMR0 to RTMR2, from the log of a boot and the files that it started.

The firmware writes the log (CCEL) as it extends the registers; replayed, it gives their values. A
log is as good as the machine that it was taken on, so each of its entries is held to what members
have at hand: constants of the firmware, kernel, initrd and command line. Pure: bytes in, values
out. UEFI Specification §38, Linux's EFI stub; `docs/spec/measurements.md`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mc2.attestation.tpm.eventlog import Event, EventLog, parse_event_log
from mc2.attestation.tpm.uki import PeImage
from mc2.errors import EvidenceError, FormatError

BANK: Final = "sha384"
REGISTERS: Final = {"rtmr0": 1, "rtmr1": 2, "rtmr2": 3}
"""The log's own number of each register."""

_SHA384: Final = 0x000C
_SEPARATOR: Final = 0x00000004
_TAG: Final = 0x00000006
_BOOT_APPLICATION: Final = 0x80000003
_ACTION: Final = 0x80000007
_OF_THEIR_DATA: Final = frozenset({_SEPARATOR, _ACTION})
_INITRD: Final = 0x8F3B22EC
_LOAD_OPTIONS: Final = 0x8F3B22ED
_TAG_HEADER: Final = 8  # which tag, and how long its text is
_HINT: Final = "take the log from a guest that was started with exactly these files"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFiles:
    """What the firmware was given to start; None where members have no such file.

    `append` is the command line, as the monitor was told.
    """

    kernel: bytes | None = None
    initrd: bytes | None = None
    append: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPrediction:
    """Values of the registers by name. `taken` counts what only the log says, by register."""

    registers: Mapping[str, bytes]
    taken: Mapping[str, int]


def predict_boot(raw: bytes, files: BootFiles) -> BootPrediction:
    """Replay a log, and hold it to the files of the boot.

    Raises: FormatError for anything but a log of a TDX guest, for entries that contradict
    themselves, and for a file that the log does not have.
    """
    try:
        log = parse_event_log(raw)
        values = log.replay(BANK)
    except EvidenceError as error:
        raise FormatError(
            f"this is no log of a TDX guest: {error}",
            hint="give a copy of /sys/firmware/acpi/tables/data/CCEL",
        ) from None
    missing = sorted(name for name, number in REGISTERS.items() if number not in values)
    if missing:
        raise FormatError(f"the log extends no {missing[0].upper()}", hint=_HINT)
    _check_files(log, files)
    names = {number: name for name, number in REGISTERS.items()}
    taken = Counter(
        names[event.register]
        for event in log.events
        if event.register in names and not _explained(event, files)
    )
    return BootPrediction(
        registers={name: values[number] for name, number in REGISTERS.items()},
        taken={name: taken[name] for name in REGISTERS},
    )


def _check_files(log: EventLog, files: BootFiles) -> None:
    """Each file that was given has its entry in the log."""
    found = {event.digests[_SHA384] for event in log.events}
    for what, digests in _known(files).items():
        if not digests & found:
            raise FormatError(f"the log has no entry for this {what}", hint=_HINT)


def _known(files: BootFiles) -> dict[str, set[bytes]]:
    """What each file is in a log."""
    known: dict[str, set[bytes]] = {}
    if files.kernel is not None:
        known["kernel"] = {PeImage.parse(files.kernel).authenticode("sha384")}
    if files.initrd is not None:
        known["initrd"] = {_sha384(files.initrd)}
    if files.append is not None:
        known["command line"] = {_sha384(line) for line in _load_options(files.append)}
    return known


def _load_options(append: str) -> Iterator[bytes]:
    """The kernel's load options as UEFI has them; OVMF names the initrd where there is one."""
    for line in (append, f"{append} initrd=initrd"):
        yield (line + "\0").encode("utf-16-le")


def _explained(event: Event, files: BootFiles) -> bool:
    """Whether something but the log says what an entry measured.

    Raises: FormatError for an entry that measured other data than it has.
    """
    digest = event.digests[_SHA384]
    if event.kind in _OF_THEIR_DATA:
        if digest != _sha384(event.data):
            raise FormatError("an entry of the log is not the digest of its data", hint=_HINT)
        return True
    known = _known(files)
    if event.kind == _BOOT_APPLICATION:
        return digest in known.get("kernel", ())
    if event.kind == _TAG and len(event.data) >= _TAG_HEADER:
        tag = int.from_bytes(event.data[:4], "little")
        what = {_INITRD: "initrd", _LOAD_OPTIONS: "command line"}.get(tag, "")
        return digest in known.get(what, ())
    return False


def _sha384(raw: bytes) -> bytes:
    return hashlib.sha384(raw).digest()
