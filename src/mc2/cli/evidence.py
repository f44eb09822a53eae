"""`mc2 evidence`: verify evidence from anywhere, and say in full what it claims."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mc2.cli.console import Console
from mc2.cli.options import endorsement_cache, output, when
from mc2.cli.options import home as home_option
from mc2.errors import UsageError

if TYPE_CHECKING:
    from mc2.attestation.claims import RawEvidence, VerifiedClaims
    from mc2.attestation.verifiers import Verifiers
    from mc2.client.policy_files import PolicyFile

_REPORT_DATA_BYTES: Final = 64
_TO_ACTIVATE: Final = (
    "the key is not activated: anybody may hold it, until a grant to its machine is opened there"
)
_UNBOUND: Final = (
    "not checked: without --report-data nobody knows which keys or job this evidence is for"
)


@click.group(name="evidence", epilog="Example: mc2 evidence verify captured --policy policy.toml")
def command() -> None:
    """Verify attestation evidence, from this collaboration or from anywhere."""


@command.command(epilog="Example: mc2 evidence verify evidence/ --policy study.toml --json")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--at", "moment", help="Verify as of this time [verify_at of expected.json; now].")
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also appraise it under this policy or contract (TOML or JSON).",
)
@click.option("--report-data", help="64 bytes in hex that the evidence must be bound to.")
@home_option
@output
def verify(
    console: Console,
    folder: Path,
    moment: str | None,
    policy_file: Path | None,
    report_data: str | None,
    home: Path | None,
) -> None:
    """Verify the evidence in a folder and print what it claims.

    FOLDER holds report.bin, quote.bin, document.cbor, token.jwt, evidence.json or quote.attest,
    with the endorsements that came along; what is missing is taken from your endorsement cache.
    Nothing is fetched. Exit code 8 means refused. Without --policy a success says that the
    evidence is genuine, and nothing about whether anybody should accept it.
    """
    from mc2.attestation.claims import ClaimsToActivate
    from mc2.attestation.folder import load_case

    expected = None if report_data is None else _report_data(report_data)
    policy = None if policy_file is None else _policy(policy_file)
    raw, own_time = load_case(folder)
    at = when(moment) if moment else own_time or datetime.now(UTC)
    whole = _complete(raw, home, at)
    found = _verifiers(policy).verify_to_activate(whole, at=at)
    to_activate = isinstance(found, ClaimsToActivate)
    claims = found.claims if isinstance(found, ClaimsToActivate) else found
    binding = _appraise(claims, policy, expected)
    value = claim_facts(claims) | {
        "verified_as_of": at.isoformat(),
        "from_the_cache": sorted(
            name for name, part in whole.endorsements.items() if raw.endorsements.get(name) != part
        ),
        "policy": "accepted" if policy else "none was given: genuine, but accepted by nobody",
        "binding": binding,
        "warnings": _warnings(claims, policy) + [_TO_ACTIVATE] * to_activate,
    }
    console.data(value, _text(value))


def claim_facts(claims: VerifiedClaims) -> dict[str, object]:
    """Verified claims as JSON."""
    return {
        "verified": True,
        "kind": claims.kind,
        "tier": claims.tier.word,
        "debug": claims.debug,
        "measurements": dict(claims.measurements),
        "report_data": claims.report_data.hex(),
        "platform_id": claims.platform_id or None,
        "evidence_digest": claims.evidence_digest,
        "valid_until": claims.valid_until.isoformat() if claims.valid_until else None,
        "details": dict(claims.details),
    }


def _complete(raw: RawEvidence, home: Path | None, at: datetime) -> RawEvidence:
    from mc2.client.endorsements_complete import complete

    return complete(raw, endorsement_cache(home), at)


def _verifiers(policy: PolicyFile | None) -> Verifiers:
    """All vendors', and TPMs' under Google's root and those that the policy names."""
    from mc2.attestation.roots import GOOGLE_VTPM_ROOTS, contract_root
    from mc2.attestation.tpm.policy import TpmSection
    from mc2.attestation.tpm.verify import TpmVerifier
    from mc2.attestation.vendors import vendor_verifiers
    from mc2.attestation.verifiers import Verifiers

    roots = list(GOOGLE_VTPM_ROOTS)
    section = policy and policy.policy.sections.get(TpmSection.KIND)
    if isinstance(section, TpmSection):
        roots += map(contract_root, section.roots)
    return Verifiers(*vendor_verifiers(), TpmVerifier(roots))


def _appraise(claims: VerifiedClaims, policy: PolicyFile | None, expected: bytes | None) -> str:
    """Check the binding and the rules, as far as they were given; says what was checked.

    Raises: AppraisalError with every failed rule.
    """
    from mc2.attestation.appraisal import appraise, broken_rules, refuse
    from mc2.attestation.claims import Tier

    lowest = min(Tier)
    if policy is not None and expected is not None:
        appraise(claims, policy.policy, policy.min_tier or lowest, expected)
        return "checked: the evidence is for this report data"
    if policy is not None:
        refuse(broken_rules(claims, policy.policy, policy.min_tier or lowest))
    elif expected is not None:
        _check_bound(claims, expected)
        return "checked: the evidence is for this report data"
    return _UNBOUND


def _check_bound(claims: VerifiedClaims, expected: bytes) -> None:
    from mc2.attestation.appraisal import refuse
    from mc2.attestation.policy import SECTION_TYPES

    if claims.report_data != SECTION_TYPES[claims.kind].binding(expected):
        refuse(("binding: the evidence is for other report data",))


def _warnings(claims: VerifiedClaims, policy: PolicyFile | None) -> list[str]:
    found = []
    if claims.debug:
        found.append("debug: the host can look inside; every policy refuses this")
    if policy is None:
        from mc2.client.policy_defaults import default_objections

        found += [
            f"the proposed safe policy would refuse this: {rule}"
            for rule in default_objections(claims)
        ]
    elif policy.min_tier is None:
        found.append("the policy file names no minimum tier: the contract does, and it counts too")
    return found


def _policy(file: Path) -> PolicyFile:
    from mc2.client.policy_files import read_policy_file

    return read_policy_file(file)


def _report_data(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != _REPORT_DATA_BYTES:
        raise UsageError(
            f"--report-data is not {_REPORT_DATA_BYTES} bytes in hex",
            hint="it is the SHA-512 that the relying party computed itself",
        )
    return found


def _text(value: dict[str, object]) -> str:
    lines = []
    for name, found in value.items():
        if isinstance(found, list) and found:
            lines += [f"{name.replace('_', ' ')}:", *(f"  {item}" for item in found)]
        elif isinstance(found, dict):
            lines.append(f"{name.replace('_', ' ')}:")
            lines += [f"  {key:<24} {_short(item)}" for key, item in found.items()]
        else:
            lines.append(f"{name.replace('_', ' '):<26} {_short(found)}")
    return "\n".join(lines)


def _short(value: object) -> str:
    if value is None or value == []:
        return "-"
    plain = isinstance(value, str) and value.isprintable()
    return str(value) if plain else json.dumps(value, default=str)
