"""A contract in plain words, for the people who are about to sign it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mc2.attestation.policy import AttestationPolicy
from mc2.client.plan_words import visible
from mc2.client.review_parts import SIMULATED, tier_words
from mc2.formats.contract import Contract, Member
from mc2.formats.fields import to_time

_ROLES: Final = {
    "analyst": "may propose jobs",
    "owner": "may bring data",
    "recipient": "may receive results",
}
_APPROVERS: Final = {
    "owners": "every owner of the data that a job reads must approve it",
    "members": "every member must approve every job",
}


def describe_contract(contract: Contract) -> str:
    """All that the contract says, in sentences; each line ended.

    Whether the cards are those of the right organisations, only people can compare: that is why
    the fingerprints stand here.
    """
    return "\n".join(_lines(contract)) + "\n"


def _lines(contract: Contract) -> Iterator[str]:
    if contract.min_tier == "simulated":
        yield from SIMULATED
        yield ""
    yield f"Collaboration {contract.name}, epoch {contract.epoch}"
    yield f"  {contract.digest}"
    if contract.supersedes is not None:
        yield f"  takes the place of {contract.supersedes}"
    yield f"  ends on {to_time(contract.not_after)}"
    yield ""
    yield "Who takes part. Compare each fingerprint with its holder by telephone, not by mail."
    for member in contract.members:
        yield from _member(member)
    yield ""
    yield "The rules"
    yield f"  - {_APPROVERS[contract.approvers]}"
    yield f"  - an approved job may be started {contract.max_attempts} times at most"
    yield f"  - what protects the data is at least {tier_words(contract.min_tier)}"
    yield ""
    yield "What an enclave must prove"
    for line in AttestationPolicy.read(contract.attestation).describe():
        yield f"  - {visible(line)}"


def _member(member: Member) -> Iterator[str]:
    yield f"  {member.name} ({visible(member.card.organisation)})"
    yield f"    {', '.join(_ROLES[role] for role in member.roles)}"
    yield f"    fingerprint {member.card.fingerprint}"
