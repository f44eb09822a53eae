"""Expected measurements of images, computed on one's own machine, as sections of a policy.

What a file or an environment will measure is arithmetic: two people with the same commit get the
same value. Each function takes one sort of image apart; `section` writes it down for a contract.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mc2.attestation.dcap.boot_log import BootFiles, predict_boot
from mc2.attestation.dcap.firmware import predict_mrtd
from mc2.attestation.dcap.policy import SgxSection, TdxSection
from mc2.attestation.nitro.image import predict_image
from mc2.attestation.nitro.policy import NitroSection
from mc2.attestation.snp.policy import SnpSection
from mc2.attestation.tpm.policy import TpmSection
from mc2.attestation.tpm.uki import predict_uki
from mc2.client.policy_new import read_settings, write_policy
from mc2.errors import FormatError, UsageError
from mc2.formats.canonical import Json

_LARGEST_IMAGE: Final = 2 * 1024**3
_SIGSTRUCT_BYTES: Final = 1808
_SIGSTRUCT_HEADER: Final = bytes.fromhex("06000000e100000000000100")
_SIGSTRUCT_HEADER2: Final = bytes.fromhex("01010000600000006000000001000000")
_ENCLAVE_HASH: Final = 960
_SIGN: Final = "gramine-sgx-sign"
_SIGN_SECONDS: Final = 600
_ANY: Final = "any"
_NO_LOG: Final = ("for RTMR0 to RTMR2 give the log of a boot: --event-log",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What an image measures. `own` are fields of a policy section of `kind`.

    `details` are further values for people, by name; `notes` say under which conditions all this
    holds.
    """

    kind: str
    own: Mapping[str, Json]
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpGuest:
    """How an SEV-SNP guest is launched.

    `firmware` is its OVMF image; with a `kernel`, hashes of kernel, initrd and command line are
    measured too (direct boot). `processor` is QEMU's name of a model, `monitor` one of
    QEMU, ec2 and gce.
    """

    firmware: Path
    kernel: Path | None
    initrd: Path | None
    append: str
    processors: int
    processor: str
    guest_features: int
    monitor: str


def section(found: Measurement, settings: Iterable[str] = ()) -> str:
    """The measurement as a section of a policy, in TOML, with what else is proposed.

    `settings` (`NAME=VALUE`) are the values that no measurement gives; those that are missing
    stand there to be filled in.

    Raises: UsageError, FormatError for settings of a wrong name or form.
    """
    own = {**found.own, **read_settings(found.kind, settings)}
    return write_policy(found.kind, own)


def measure_uki(image: Path) -> Measurement:
    """Registers 4 and 11 after a unified kernel image was started. Raises: FormatError."""
    found = predict_uki(_read(image))
    details = {
        "systemd-stub": str(found.stub),
        "image (Authenticode)": found.image.hex(),
        "kernel (Authenticode)": found.kernel.hex(),
        **{f"section {name}": value.hex() for name, value in found.sections.items()},
    }
    return Measurement(
        kind=TpmSection.KIND,
        own={
            "code": _ANY,
            "pcrs": {str(number): [value.hex()] for number, value in found.pcrs.items()},
        },
        details=details,
        notes=(
            "register 4 holds where the firmware starts this image before anything else",
            "register 11 holds until something in the guest extends it",
        ),
    )


def measure_snp(given: SnpGuest) -> Measurement:
    """The launch digest of an SEV-SNP guest, by the library sev-snp-measure.

    Raises: UsageError without the library or for a processor that it does not know; FormatError
    for firmware that it cannot take.
    """
    if importlib.util.find_spec("sevsnpmeasure") is None:
        raise UsageError(
            "the library that computes SEV-SNP launch digests is not installed",
            hint="pip install 'mc2[measure]'",
        )
    from sevsnpmeasure import guest, vcpu_types
    from sevsnpmeasure.sev_mode import SevMode
    from sevsnpmeasure.vmm_types import VMMType

    if given.processor not in vcpu_types.CPU_SIGS:
        known = ", ".join(vcpu_types.CPU_SIGS)
        raise UsageError(
            f"the processor {given.processor!r} is not known", hint=f"known are {known}"
        )
    if given.kernel is None and (given.initrd is not None or given.append):
        raise UsageError("an initrd or a command line, and no kernel", hint="give --kernel too")
    for path in filter(None, (given.firmware, given.kernel, given.initrd)):
        _check_readable(path)
    try:
        digest: bytes = guest.calc_launch_digest(
            SevMode.SEV_SNP,
            given.processors,
            vcpu_types.CPU_SIGS[given.processor],
            str(given.firmware),
            str(given.kernel or ""),
            str(given.initrd or ""),
            given.append,
            given.guest_features,
            vmm_type=VMMType[given.monitor],
        )
    except (ValueError, RuntimeError, AssertionError, IndexError, KeyError) as error:
        raise FormatError(
            f"{given.firmware.name} cannot be measured: {error or type(error).__name__}",
            hint="give the OVMF image of the guest, built for SEV-SNP; for a kernel, AmdSevX64",
        ) from None
    return Measurement(
        kind=SnpSection.KIND,
        own={"measurements": [digest.hex()]},
        details={"processors": f"{given.processors} {given.processor}", "monitor": given.monitor},
        notes=("another number or type of processors, or another monitor, is another digest",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxBoot:
    """The boot of a TDX guest: its log, and what members have of the files that it started."""

    log: Path
    kernel: Path | None
    initrd: Path | None
    append: str | None


def measure_tdx(firmware: Path, boot: TdxBoot | None = None) -> Measurement:
    """MRTD of a TDX guest, from its firmware; with the log of a boot RTMR0 to RTMR2 as well.

    Raises: FormatError, also for files that are not those of the log.
    """
    found = predict_mrtd(_read(firmware))
    registers, said = ({}, _NO_LOG) if boot is None else _boot_registers(boot)
    return Measurement(
        kind=TdxSection.KIND,
        own={"mrtd": sorted({found.by_page.hex(), found.by_section.hex()}), **registers},
        details={
            "measured page by page": found.by_page.hex(),
            "all pages of a section added first": found.by_section.hex(),
        },
        notes=(
            "which MRTD it is depends on the monitor; both stand for this firmware alone",
            *said,
        ),
    )


def _boot_registers(boot: TdxBoot) -> tuple[dict[str, Json], tuple[str, ...]]:
    files = BootFiles(
        kernel=None if boot.kernel is None else _read(boot.kernel),
        initrd=None if boot.initrd is None else _read(boot.initrd),
        append=boot.append,
    )
    found = predict_boot(_read(boot.log), files)
    own: dict[str, Json] = {name: [value.hex()] for name, value in found.registers.items()}
    taken = ", ".join(f"{n} of {name.upper()}" for name, n in found.taken.items() if n)
    notes = (
        "RTMR0 holds for this firmware's settings, memory and devices: another size is another",
        f"entries that only the log stands for: {taken or 'none'}",
    )
    return own, notes


def measure_nitro(image: Path) -> Measurement:
    """Registers 0 to 2 of a Nitro enclave, from its image. Raises: FormatError."""
    found = predict_image(_read(image))
    values = {name: value.hex() for name, value in found.registers.items()}
    signed = ("the image is signed: register 8 is that of its certificate",) if found.signed else ()
    return Measurement(
        kind=NitroSection.KIND,
        own={"pcr0": [values["pcr0"]]},  # it covers what the two others do
        details={
            "format": f"version {found.version}",
            "pcr1": values["pcr1"],
            "pcr2": values["pcr2"],
        },
        notes=("an enclave started for debugging has zeros instead, and is refused", *signed),
    )


def measure_gramine(file: Path) -> Measurement:
    """MRENCLAVE, from the signature file (.sig) of a Gramine enclave or from its manifest.

    A manifest is measured by Gramine's own tool, which must be installed.

    Raises: UsageError without the tool; FormatError for anything else than these files.
    """
    raw = _read(file)
    if len(raw) == _SIGSTRUCT_BYTES and raw.startswith(_SIGSTRUCT_HEADER):
        mrenclave = _enclave_hash(raw)
    else:
        mrenclave = _enclave_hash(_sign(file))
    return Measurement(
        kind=SgxSection.KIND,
        own={"mrenclave": [mrenclave.hex()]},
        notes=("the signer's key has no part in MRENCLAVE; debug enclaves are refused anyway",),
    )


def _enclave_hash(raw: bytes) -> bytes:
    # Intel SDM volume 3D, table "Layout of Enclave Signature Structure (SIGSTRUCT)".
    if len(raw) != _SIGSTRUCT_BYTES or not raw.startswith(_SIGSTRUCT_HEADER):
        raise FormatError("this is not the signature structure of an SGX enclave")
    if raw[24:40] != _SIGSTRUCT_HEADER2:
        raise FormatError("the signature structure of the enclave contradicts itself")
    return raw[_ENCLAVE_HASH : _ENCLAVE_HASH + 32]


def _sign(manifest: Path) -> bytes:
    """Let Gramine measure a manifest, with a key that is thrown away."""
    tool = shutil.which(_SIGN)
    if tool is None:
        raise UsageError(
            f"{manifest.name} is no signature file, and Gramine's tools are not installed",
            hint=f"install Gramine ({_SIGN}), or give the file .sig of a signed enclave",
        )
    with tempfile.TemporaryDirectory(prefix="mc2-measure-") as folder:
        key, signed, signature = (Path(folder, name) for name in ("key", "manifest.sgx", "sig"))
        commands = (
            ["gramine-sgx-gen-private-key", str(key)],
            [tool, "--manifest", str(manifest), "--output", str(signed), "--key", str(key),
             "--date", "0000-00-00", "--sigfile", str(signature)],
        )  # fmt: skip
        for command in commands:
            _run(command)
        return _read(signature)


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SIGN_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise FormatError(
            f"{command[0]} failed: {said[-1] if said else 'no reason was given'}",
            hint="render the template first: gramine-manifest worker.manifest.template",
        ) from None


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_IMAGE:
            raise UsageError(f"{path} is larger than {_LARGEST_IMAGE} bytes")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
