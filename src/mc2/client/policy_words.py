"""Policies in plain words, and where they are weaker than what mc2 proposes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mc2.attestation.claims import Tier
from mc2.attestation.policy import AttestationPolicy
from mc2.client.policy_defaults import KINDS, proposal
from mc2.client.policy_diff import Direction, compare_sections
from mc2.formats.canonical import Json


@dataclass(frozen=True, slots=True)
class Explained:
    """A policy in words, by kind: its rules, and the departures from the proposals with reasons."""

    digest: str
    min_tier: str | None
    rules: Mapping[str, tuple[str, ...]]
    weaker: Mapping[str, tuple[str, ...]]

    def json(self) -> dict[str, object]:
        """For programs."""
        return {
            "policy": self.digest,
            "min_tier": self.min_tier,
            "rules": {kind: list(rules) for kind, rules in self.rules.items()},
            "weaker_than_proposed": {kind: list(found) for kind, found in self.weaker.items()},
        }

    def text(self) -> str:
        """For people."""
        lines = [f"policy {self.digest}"]
        lines.append(
            f"Enclaves must be at least {self.min_tier}."
            if self.min_tier
            else "The least tier stands in the contract, not in this file."
        )
        lines.append("Evidence of any other kind, and of any enclave in debug mode, is refused.")
        for kind, rules in self.rules.items():
            lines += ["", f"{kind}: {KINDS[kind].title}", *(f"  {rule}" for rule in rules)]
            if self.weaker[kind]:
                lines += [
                    "  Weaker than proposed:",
                    *(f"    {found}" for found in self.weaker[kind]),
                ]
        return "\n".join(lines)


def explain_policy(policy: AttestationPolicy, min_tier: Tier | None) -> Explained:
    """Say what a policy accepts."""
    sections = dict(sorted(policy.sections.items()))
    return Explained(
        digest=policy.digest,
        min_tier=None if min_tier is None else min_tier.word,
        rules={kind: section.describe() for kind, section in sections.items()},
        weaker={kind: _weaker(kind, section.json()) for kind, section in sections.items()},
    )


def _weaker(kind: str, section: Json) -> tuple[str, ...]:
    if not isinstance(section, Mapping):
        return ()
    reasons = _reasons(kind)
    # The members' own values are as they are: only proposals are compared.
    plan = proposal(kind, _own(kind, section))
    return tuple(
        f"{change.field}: {change.text}. Proposed because: {reasons.get(change.field, '-')}"
        for change in compare_sections(kind, plan, section)
        if change.direction is not Direction.STRONGER
    )


def _own(kind: str, section: Mapping[str, Json]) -> dict[str, Json]:
    begin = KINDS[kind]
    found = {own.field: section[own.field] for own in begin.own}
    inner = section.get("hardware")
    if begin.hardware is not None and isinstance(inner, Mapping):
        found["hardware"] = _own(begin.hardware, inner)
    return found


def _reasons(kind: str, within: str = "") -> dict[str, str]:
    begin = KINDS[kind]
    found = {within + default.field: default.reason for default in begin.defaults}
    return found | (_reasons(begin.hardware, "hardware.") if begin.hardware else {})
