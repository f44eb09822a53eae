"""`mc2-enclave`: the worker process. Starts, warms up, gives up its privileges, serves hosts.

Exit codes are those of `mc2.errors`: 0 when its only host hung up, 2 for wrong arguments, 8 where
the machine has no TEE, 19 where the process cannot be confined.
"""

from __future__ import annotations

import argparse
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from mc2.attestation.claims import Collector
from mc2.attestation.collect.tees import AUTO, TEES, TPM, TPM_CODE_LOG, TPM_DEVICE, TpmSource
from mc2.enclave.cluster_server import TURN_SECONDS
from mc2.enclave.code_identity import code_identity
from mc2.enclave.hardening import keep_outputs
from mc2.enclave.known_packages import import_only_known_packages
from mc2.enclave.peers import PeerTrust
from mc2.errors import AttestationError, Mc2Error, UsageError
from mc2.formats.address import parse_address
from mc2.version import VERSION

_INTERRUPTED: Final = 130
_SIMULATION_HINT: Final = (
    "for a demonstration that protects nothing: --tee simulated --unsafe-simulation"
)

MEASURED_BOOT_WARNING: Final = (
    "MEASURED BOOT: the evidence says which software was started; the machine's host can read and "
    "change its memory"
)
"""What receipts of workers with a TPM carry: their tier is below hardware."""

Log = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker; its exit code."""
    asked = _parser().parse_args(arguments)
    log = keep_outputs()
    _report_crashes_without_values(log)
    import_only_known_packages()
    try:
        _run(asked, log)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Mc2Error as error:
        log(f"mc2-enclave: {error}")
        if error.hint:
            log(f"  {error.hint}")
        return error.exit_code
    return 0


def _run(asked: argparse.Namespace, log: Log) -> None:
    address = parse_address(asked.listen)
    code = code_identity()
    collector, warnings, check_loaded = _collector(asked, code)
    # The engines come last: what they may import is settled by now.
    from mc2.enclave.process import WorkerOptions, run_worker
    from mc2.engine.limits import EngineLimits

    options = WorkerOptions(
        address=address,
        limits=EngineLimits(**_given(memory_bytes=asked.memory_bytes, threads=asked.threads)),
        peers=_peers(simulated=asked.tee == "simulated"),
        unsafe_unconfined=asked.unsafe_unconfined,
        turn_seconds=asked.turn_seconds,
        check_loaded=check_loaded,
    )
    run_worker(options, collector, code, warnings, log)


def _peers(*, simulated: bool) -> PeerTrust:
    """Whose evidence this worker believes when workers share a job.

    Vendors' hardware, and the TPMs of the makers that the contract names. Simulated peers only
    where this worker itself was started as one, by flag.
    """
    from mc2.attestation.tpm.policy import section_verifier
    from mc2.attestation.vendors import vendor_verifiers

    if not simulated:
        return PeerTrust(hardware=vendor_verifiers(), tpm=section_verifier)
    from mc2.attestation.simulated.verifier import SimulatedVerifier

    return PeerTrust(simulation=SimulatedVerifier)


def _given(**values: int | None) -> dict[str, int]:
    return {name: value for name, value in values.items() if value is not None}


def _collector(
    asked: argparse.Namespace, code: Mapping[str, str]
) -> tuple[Collector, tuple[str, ...], Callable[[], None]]:
    """What proves to owners which code this is, what receipts must warn of, a last check."""
    if asked.tee == "simulated":
        return (*_simulated(asked, code), _nothing)
    if asked.unsafe_simulation or asked.simulated_root:
        raise UsageError(
            "flags of the simulation, and no --tee simulated",
            hint="say --tee simulated too, or leave the flags out",
        )
    if asked.tee == TPM:
        return _measured_boot(asked)
    return _hardware(asked), (), _nothing


def _nothing() -> None:
    """What hardware measures needs no look at what was loaded."""


def _measured_boot(
    asked: argparse.Namespace,
) -> tuple[Collector, tuple[str, ...], Callable[[], None]]:
    """Measure first, before any engine is loaded; then nothing else may be."""
    from mc2.attestation.collect.apart import start_apart
    from mc2.attestation.collect.choose import tpm_collector
    from mc2.enclave.measured_code import measure_code, worker_configuration

    collector = tpm_collector(_tpm(asked))
    measured = measure_code(worker_configuration(unconfined=asked.unsafe_unconfined))
    collector.measure(measured.manifest.event())
    apart = collector if asked.unsafe_unconfined else start_apart(collector)
    return apart, (MEASURED_BOOT_WARNING,), measured.check_loaded


def _hardware(asked: argparse.Namespace) -> Collector:
    from mc2.attestation.collect.apart import start_apart
    from mc2.attestation.collect.choose import choose

    try:
        collector = choose(asked.tee, tpm=_tpm(asked))
    except AttestationError as error:
        if asked.tee != AUTO:
            raise
        raise AttestationError(str(error), hint=f"{error.hint}; {_SIMULATION_HINT}") from None
    # A confined process can open no device. The child that can is a fork, so it comes before the
    # engines and their threads.
    return collector if asked.unsafe_unconfined else start_apart(collector)


def _tpm(asked: argparse.Namespace) -> TpmSource | None:
    if asked.tee != TPM:
        if asked.tpm or asked.tpm_chain or asked.tpm_log:
            raise UsageError(
                "--tpm, --tpm-chain and --tpm-log are for --tee tpm", hint="leave them out"
            )
        return None
    if asked.tpm_chain is None:
        return None
    try:
        chain = asked.tpm_chain.read_bytes()
    except OSError as error:
        raise UsageError(f"{asked.tpm_chain} cannot be read: {error.strerror}") from None
    log = asked.tpm_log or TPM_CODE_LOG
    return TpmSource(asked.tpm or TPM_DEVICE, chain, log, asked.tpm_chain)


def _simulated(
    asked: argparse.Namespace, code: Mapping[str, str]
) -> tuple[Collector, tuple[str, ...]]:
    if not asked.unsafe_simulation or asked.simulated_root is None:
        raise UsageError(
            "simulated evidence protects nothing: it takes --unsafe-simulation "
            "and --simulated-root",
            hint="use it for demonstrations and tests only",
        )
    from mc2.attestation.simulated.collector import WARNING, SimulatedCollector
    from mc2.attestation.simulated.report import measure
    from mc2.attestation.simulated.root import SimulatedRoot

    root = SimulatedRoot.load(asked.simulated_root)
    collector = SimulatedCollector(root, measure(code), asked.simulated_platform)
    return collector, (WARNING,)


def _report_crashes_without_values(log: Log) -> None:
    """A traceback's last line may quote data: say where and what kind, and no more."""

    def report(
        kind: type[BaseException], _: BaseException | None, trace: TracebackType | None
    ) -> None:
        frames = traceback.extract_tb(trace)
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
        log(f"mc2-enclave: {kind.__name__} at {where}")

    sys.excepthook = report
    sys.unraisablehook = lambda said: report(said.exc_type, None, said.exc_traceback)
    threading.excepthook = lambda said: report(said.exc_type, None, said.exc_traceback)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mc2-enclave",
        description="An enclave worker: opens, computes and seals jobs that their owners allowed.",
        epilog="example: mc2-enclave --listen unix:/run/mc2/worker.sock",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--listen",
        required=True,
        metavar="ADDRESS",
        help="unix:/path, tcp:host:port, vsock:cid:port, or fd:number for a given socket",
    )
    _add_hardware(parser)
    parser.add_argument(
        "--memory-bytes",
        type=_positive,
        default=None,
        help="what a job's engine may use, beside its inputs and outputs (default: 4 GiB)",
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        default=None,
        help="how many processors a job may use (default: all)",
    )
    parser.add_argument(
        "--turn-seconds",
        type=_positive,
        default=TURN_SECONDS,
        help="how long this worker waits for a chunk, and for a member's turn in a training that "
        "it leads (default: %(default)s)",
    )
    unsafe = parser.add_argument_group("unsafe", "for demonstrations and tests only")
    unsafe.add_argument(
        "--unsafe-simulation",
        action="store_true",
        help="allow --tee simulated, which proves nothing",
    )
    unsafe.add_argument(
        "--simulated-root",
        type=Path,
        metavar="FILE",
        help="the private test root of the deployment",
    )
    unsafe.add_argument(
        "--simulated-platform",
        default="local",
        metavar="NAME",
        help="the machine it pretends to be",
    )
    unsafe.add_argument(
        "--unsafe-unconfined", action="store_true", help="keep all privileges while serving"
    )
    parser.add_argument("--version", action="version", version=f"mc2-enclave {VERSION}")
    return parser


def _add_hardware(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tee",
        choices=(*TEES, "simulated"),
        default=AUTO,
        help="which hardware proves the code (default: the strongest that keeps the host out)",
    )
    parser.add_argument(
        "--tpm",
        type=Path,
        metavar="PATH",
        help=f"with --tee tpm: the device, or a software TPM's socket (default: {TPM_DEVICE})",
    )
    parser.add_argument(
        "--tpm-chain",
        type=Path,
        metavar="FILE",
        help="with --tee tpm: PEM of the authorities above its endorsement certificate, root last",
    )
    parser.add_argument(
        "--tpm-log",
        type=Path,
        metavar="FILE",
        help="with --tee tpm: where all workers of this machine log what they measured "
        f"(default: {TPM_CODE_LOG})",
    )


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("not a positive number")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
