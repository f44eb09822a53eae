"""`mc2 verify`: check a proof offline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mc2.cli.console import SIMULATION_BANNER, Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output, simulation, trust_of
from mc2.crypto.digest import Digest, parse_digest
from mc2.errors import FormatError, UsageError

if TYPE_CHECKING:
    from mc2.client.proof import VerifiedJob


@click.command(epilog="Example: mc2 verify results/proof.json --contract sha256:…")
@click.argument("proof", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--contract", help="The contract's digest that you trust [those you signed].")
@simulation
@home_option
@output
def command(
    console: Console,
    proof: Path,
    contract: str | None,
    unsafe_simulation: bool,
    home: Path | None,
) -> None:
    """Check, offline, that a job ran exactly as its owners signed it.

    PROOF is the file that `mc2 download` wrote. With --contract no party and no keys are needed.
    """
    try:
        raw = proof.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {proof}: {error.strerror}") from None
    trusted = None if contract is None else parse_digest(contract, "--contract")
    _check_is_proof(proof, raw)
    job = _verify(raw, trusted, home, unsafe_simulation=unsafe_simulation)
    warn(console, job)
    console.data(job_facts(job))


def _check_is_proof(proof: Path, raw: bytes) -> None:
    from mc2.client.downloads import contract_of_proof

    try:
        contract_of_proof(raw)
    except FormatError as error:
        raise FormatError(
            f"{proof} is not a proof: {error}",
            hint="give the proof.json that mc2 download wrote, as it was written",
        ) from None


def _verify(
    raw: bytes, contract: Digest | None, home: Path | None, *, unsafe_simulation: bool
) -> VerifiedJob:
    from mc2.client.downloads import verify_file
    from mc2.client.home import find_home

    if contract is not None:
        return verify_file(
            raw, contract, trust_of(unsafe_simulation=unsafe_simulation, home_folder=home)
        )
    if not (find_home(home, os.environ) / "identity.json").exists():
        raise UsageError(
            "a proof is checked against a contract, and no party is here that signed one",
            hint="name the contract that you trust: --contract sha256:…",
        )
    return open_party(home, unsafe_simulation=unsafe_simulation).verify(raw)


def warn(console: Console, job: VerifiedJob) -> None:
    """Say what the proof does not mean."""
    if job.tier.word == "simulated":
        console.banner(SIMULATION_BANNER)
    for warning in job.warnings:
        console.note(f"warning: {warning}")


def job_facts(job: VerifiedJob) -> dict[str, object]:
    """What a verified proof shows."""
    return {
        "verified": True,
        "job_id": job.context.job_id,
        "attempt": job.context.attempt,
        "title": job.plan.title,
        "contract": job.context.contract,
        "plan": job.context.plan,
        "tier": job.tier.word,
        "mode": job.plan.mode,
        "time": job.at.isoformat(),
        "inputs": {i.dataset: i.manifest for i in job.plan.inputs},
        "approved_by": sorted(job.job.approvals),
        "outputs": {n: sorted(r.keys) for n, r in job.results.items() if r.kept is None},
        "kept": {n: sorted(r.keys) for n, r in job.results.items() if r.kept is not None},
        "epochs": [list(roster) for roster in job.receipt.value.epochs],
        "code": dict(job.receipt.value.code),
        "warnings": list(job.warnings),
    }
