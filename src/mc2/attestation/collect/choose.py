"""Which collector a worker uses: the one that was asked for, or the strongest that there is.

What is weaker than asked for is never taken instead. `auto` knows only hardware that keeps the
host out of memory: a TPM proves how a machine started and no more, so it must be asked for by
name, as must the simulation, which is not known here at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mc2.attestation.claims import Collector, Tier
from mc2.attestation.collect.configfs_tsm import SnpTsmCollector, TdxTsmCollector
from mc2.attestation.collect.gramine import GramineCollector
from mc2.attestation.collect.machine import HardwareCollector, LocalMachine, Machine
from mc2.attestation.collect.nsm import NsmCollector
from mc2.attestation.collect.sev_guest import SevGuestCollector
from mc2.attestation.collect.tees import AUTO, TEES, TPM, TpmSource
from mc2.attestation.tpm.code_file import CodeLogFile
from mc2.attestation.tpm.collector import TpmCollector
from mc2.errors import AttestationError, UsageError

_SOURCES: Final[tuple[tuple[str, Callable[[Machine], HardwareCollector]], ...]] = (
    ("sgx", GramineCollector),
    ("sev-snp", SnpTsmCollector),
    ("sev-snp", SevGuestCollector),
    ("tdx", TdxTsmCollector),
    ("nitro", NsmCollector),
)
"""By the name of the hardware: strongest tier first, and each one's better source first."""

_HINTS: Final = {
    "sgx": "run the worker under gramine-sgx, with DCAP attestation in its manifest",
    "sev-snp": "boot an SEV-SNP guest with Linux 6.7 or later, load the module sev-guest, "
    "mount configfs, and start the worker as root",
    "tdx": "boot a TDX guest with Linux 6.7 or later, load the module tdx-guest, mount configfs, "
    "and start the worker as root",
    "nitro": "run the worker inside a Nitro enclave, as root",
    TPM: "name the TPM's device, or the socket of a software TPM",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One source of evidence on a machine: what it gives, and why it does not, if so."""

    tee: str
    source: str
    kind: str
    tier: Tier
    why_not: str


def survey(machine: Machine | None = None) -> tuple[Found, ...]:
    """Every known source but TPMs, strongest first, and how each stands on this machine."""
    looked = [(tee, make(machine or LocalMachine())) for tee, make in _SOURCES]
    return tuple(Found(t, c.source, c.kind, c.tier, c.why_not()) for t, c in looked)


def choose(name: str, machine: Machine | None = None, *, tpm: TpmSource | None = None) -> Collector:
    """The collector for one of `TEES`.

    Raises: UsageError for another name, or a TPM without its source; AttestationError if this
    machine has no such hardware: it says what was looked for, and why each was not there.
    """
    if name not in TEES:
        raise UsageError(f"there is no TEE {name!r}", hint=f"known are {', '.join(TEES)}")
    if name == TPM:
        return tpm_collector(tpm)
    looked: list[str] = []
    for tee, make in _SOURCES:
        if name not in {AUTO, tee}:
            continue
        collector = make(machine or LocalMachine())
        why_not = collector.why_not()
        if not why_not:
            return collector
        looked.append(f"{tee} by {collector.source}: {why_not}")
    what = "no TEE" if name == AUTO else f"no {name}"
    raise AttestationError(
        f"this machine has {what} that mc2 can use ({'; '.join(looked)})",
        hint=_HINTS.get(name, "`mc2 doctor` shows what is missing; docs/howto/run-on-hardware.md"),
    )


def tpm_collector(source: TpmSource | None) -> TpmCollector:
    """The collector of a TPM. Raises: UsageError, AttestationError."""
    if source is None:
        raise UsageError(
            "a TPM's evidence needs the certificates of its maker",
            hint="give the authorities above its endorsement certificate: --tpm-chain FILE",
        )
    # All registers are quoted; the policy says which ones matter.
    collector = TpmCollector(
        source.path,
        chain=source.chain,
        bank="sha256",
        selected=range(24),
        event_log=None,
        code_log=CodeLogFile(source.code_log),
    )
    if not collector.available():
        raise AttestationError(
            f"this machine has no tpm that mc2 can use ({source.path} does not exist)",
            hint=_HINTS[TPM],
        )
    return collector
