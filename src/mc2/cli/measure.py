"""`mc2 measure`: what images and environments will measure, as values for a policy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mc2.cli.console import Console
from mc2.cli.options import output
from mc2.errors import UsageError

if TYPE_CHECKING:  # the command loads it only when it runs
    from mc2.client.measure import Measurement

_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.group(name="measure", epilog="Example: mc2 measure uki mc2.efi --set roots=sha256:5947…")
def command() -> None:
    """Compute what an enclave will measure, from its image or environment.

    The output is a section of a policy; `mc2 policy check` takes it once it is filled in. Compare
    the values with what the other members computed from the same commit.
    """


def _settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the section goes, and the values that are not measured."""
    settings = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="A value that no measurement gives, such as roots=DIGEST; repeatable.",
    )
    out = click.option("--out", type=_FILE, help="Write the policy to a file that does not exist.")
    return settings(out(output(function)))


@command.command(epilog="Example: mc2 measure uki mc2.efi --out tpm.toml")
@click.argument("image", type=_FILE)
@_settings
def uki(console: Console, image: Path, settings: tuple[str, ...], out: Path | None) -> None:
    """Predict the TPM's registers 4 and 11 from a unified kernel image."""
    from mc2.client.measure import measure_uki

    _report(console, measure_uki(image), settings, out)


@command.command(
    epilog="Example: mc2 measure snp --firmware OVMF.fd --kernel vmlinuz --initrd initrd --vcpus 4"
)
@click.option("--firmware", type=_FILE, required=True, help="The guest's OVMF image.")
@click.option("--kernel", type=_FILE, help="Kernel of a direct boot.")
@click.option("--initrd", type=_FILE, help="Its initial ramdisk.")
@click.option("--append", default="", help="Its command line.")
@click.option("--vcpus", type=click.IntRange(1, 1024), required=True, help="Processors.")
@click.option("--vcpu-type", default="EPYC-v4", show_default=True, help="As QEMU names it.")
@click.option(
    "--guest-features", default="0x1", show_default=True, help="SEV_FEATURES of the guest, in hex."
)
@click.option(
    "--monitor",
    type=click.Choice(["QEMU", "ec2", "gce"]),
    default="QEMU",
    show_default=True,
    help="Who starts the guest.",
)
@_settings
def snp(
    console: Console,
    firmware: Path,
    kernel: Path | None,
    initrd: Path | None,
    append: str,
    vcpus: int,
    vcpu_type: str,
    guest_features: str,
    monitor: str,
    settings: tuple[str, ...],
    out: Path | None,
) -> None:
    """Compute the launch digest of an SEV-SNP guest (needs the extra `measure`)."""
    from mc2.client.measure import SnpGuest, measure_snp

    try:
        features = int(guest_features, 16)
    except ValueError:
        raise UsageError(f"{guest_features!r} is not hex", hint="write 0x1") from None
    guest = SnpGuest(
        firmware=firmware,
        kernel=kernel,
        initrd=initrd,
        append=append,
        processors=vcpus,
        processor=vcpu_type,
        guest_features=features,
        monitor=monitor,
    )
    _report(console, measure_snp(guest), settings, out)


@command.command(epilog="Example: mc2 measure tdx OVMF.fd --event-log ccel.bin --out tdx.toml")
@click.argument("firmware", type=_FILE)
@click.option("--event-log", type=_FILE, help="The log (CCEL) of a boot on a trusted machine.")
@click.option("--kernel", type=_FILE, help="The kernel of that boot, as the firmware read it.")
@click.option("--initrd", type=_FILE, help="Its initrd.")
@click.option("--append", help="Its command line.")
@_settings
def tdx(
    console: Console,
    firmware: Path,
    event_log: Path | None,
    kernel: Path | None,
    initrd: Path | None,
    append: str | None,
    settings: tuple[str, ...],
    out: Path | None,
) -> None:
    """Compute MRTD of a TDX guest from its firmware, and RTMR0 to RTMR2 from the log of a boot.

    Kernel, initrd and command line are held to the log: files of another boot are refused.
    """
    from mc2.client.measure import TdxBoot, measure_tdx

    boot = None
    if event_log is not None:
        boot = TdxBoot(log=event_log, kernel=kernel, initrd=initrd, append=append)
    elif (kernel, initrd, append) != (None, None, None):
        raise UsageError("files of a boot, and no log of it", hint="give --event-log too")
    _report(console, measure_tdx(firmware, boot), settings, out)


@command.command(epilog="Example: mc2 measure nitro mc2.eif --out nitro.toml")
@click.argument("image", type=_FILE)
@_settings
def nitro(console: Console, image: Path, settings: tuple[str, ...], out: Path | None) -> None:
    """Compute registers 0 to 2 of a Nitro enclave from its image (EIF)."""
    from mc2.client.measure import measure_nitro

    _report(console, measure_nitro(image), settings, out)


@command.command(epilog="Example: mc2 measure gramine worker.sig")
@click.argument("file", type=_FILE)
@_settings
def gramine(console: Console, file: Path, settings: tuple[str, ...], out: Path | None) -> None:
    """Tell MRENCLAVE from a Gramine signature file, or from a manifest by Gramine's tools."""
    from mc2.client.measure import measure_gramine

    _report(console, measure_gramine(file), settings, out)


@command.command(epilog="Example: mc2 measure code --python /opt/mc2/bin/python")
@click.option("--python", default=sys.executable, help="The worker's Python [this one].")
@click.option("--manifest", type=_FILE, help="Also write the list of files to a new file.")
@click.option("--unsafe-unconfined", is_flag=True, help="For workers that are started so.")
@_settings
def code(
    console: Console,
    python: str,
    manifest: Path | None,
    unsafe_unconfined: bool,
    settings: tuple[str, ...],
    out: Path | None,
) -> None:
    """Digest an environment as a worker with a TPM measures it: every file that it may run."""
    from mc2.attestation.tpm.code_log import CODE_REGISTER, predicted_value
    from mc2.attestation.tpm.policy import TpmSection
    from mc2.client.measure import Measurement
    from mc2.enclave.measured_code import measure_in_fresh_process

    files = measure_in_fresh_process(python, unconfined=unsafe_unconfined)
    event = files.event()
    if manifest is not None:
        _write(manifest, files.encode())
    found = Measurement(
        kind=TpmSection.KIND,
        own={"code": [event.digest.hex()]},
        details={
            f"register {CODE_REGISTER} after one start": predicted_value(event),
            **{f"part {name}": value for name, value in event.parts.items()},
        },
        notes=("the kernel and what lies below it are for the registers of the boot",),
    )
    _report(console, found, settings, out)


def _report(
    console: Console, found: Measurement, settings: tuple[str, ...], out: Path | None
) -> None:
    from mc2.client.measure import section

    policy = section(found, settings)
    measured = {"kind": found.kind, "values": dict(found.own), "details": dict(found.details)}
    for name, value in found.details.items():
        console.note(f"{name}: {value}")
    for note in found.notes:
        console.note(f"note: {note}")
    if out is not None:
        _write(out, policy.encode())
        console.data(measured | {"file": str(out)}, f"{out}: a policy for {found.kind}")
        console.note(f"next: mc2 policy check {out}")
        return
    console.data(measured | {"policy": policy}, policy)


def _write(path: Path, raw: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(raw)
    except FileExistsError:
        raise UsageError(f"{path} exists already", hint="name another file") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
