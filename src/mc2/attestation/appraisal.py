"""Appraisal: the members' opinion of verified claims. No cryptography happens here.

Every rule is tried and every failed one is listed, so that people see the whole distance
between what runs and what they signed, not one step of it at a time.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from mc2.attestation.claims import ClaimsToActivate, KeyToActivate, Tier, VerifiedClaims
from mc2.attestation.policy import AttestationPolicy
from mc2.crypto.activation import check_token
from mc2.crypto.digest import Digest
from mc2.errors import AppraisalError, CryptoError
from mc2.formats.release import Activation


@dataclass(frozen=True, slots=True)
class Appraised:
    """Claims that a policy accepts, for one value of report data. Only `appraise` makes one."""

    claims: VerifiedClaims
    policy: Digest
    report_data: bytes

    @property
    def tier(self) -> Tier:
        """How much this evidence means."""
        return self.claims.tier


@dataclass(frozen=True, slots=True)
class AppraisedToActivate:
    """What a policy will accept once the key is activated. Only `appraise_to_activate` makes one.

    It is no `Appraised`, so that nothing which takes one takes this.
    """

    key: KeyToActivate
    _once_activated: Appraised

    @property
    def tier(self) -> Tier:
        """How much this evidence means once the key is activated."""
        return self._once_activated.tier

    def vouched_for(self) -> Appraised:
        """Appraised evidence, on the word of an enclave that was itself appraised.

        For the members in a receipt's roster alone: an appraised leader lets nobody into it who
        has not opened what it sealed (docs/spec/cluster.md, step C11).
        """
        return self._once_activated

    def activated(
        self, activations: Mapping[str, Activation], tokens: Mapping[str, bytes]
    ) -> Appraised:
        """Appraised evidence, if the machine opened what each owner sealed to it.

        `activations` are by owner, as the owners signed them; `tokens` is what was shown since.

        Raises: AppraisalError naming an owner whose secret was not opened.
        """
        if not activations or tokens.keys() != activations.keys():
            raise AppraisalError(
                "the key was not activated by exactly the owners who granted",
                failures=("activation: not by exactly those who granted",),
            )
        for name, activation in activations.items():
            try:
                check_token(tokens[name], activation.token)
            except CryptoError:
                raise AppraisalError(
                    f"nobody opened the activation that {name} sealed: the key may be anybody's",
                    failures=(f"activation: the token for {name} is another",),
                ) from None
        return self._once_activated


def appraise_to_activate(
    found: ClaimsToActivate, policy: AttestationPolicy, min_tier: Tier, report_data: bytes
) -> AppraisedToActivate:
    """As `appraise`, for claims that an activation must complete. Raises: AppraisalError."""
    return AppraisedToActivate(found.key, appraise(found.claims, policy, min_tier, report_data))


def appraise(
    claims: VerifiedClaims, policy: AttestationPolicy, min_tier: Tier, report_data: bytes
) -> Appraised:
    """Accept claims under a policy, or say all that speaks against them.

    `report_data` is what the enclave must have committed to: 64 bytes that the caller computed
    from the runtime data, never what the evidence says of itself.

    Raises: AppraisalError with every failed rule in `failures`.
    """
    section = policy.sections.get(claims.kind)
    failed: list[str] = []
    expected = report_data if section is None else section.binding(report_data)
    if not hmac.compare_digest(claims.report_data, expected):
        failed.append("binding: the evidence is for other keys, another attempt or other data")
    refuse((*failed, *broken_rules(claims, policy, min_tier)))
    return Appraised(claims, policy.digest, report_data)


def broken_rules(
    claims: VerifiedClaims, policy: AttestationPolicy, min_tier: Tier
) -> tuple[str, ...]:
    """Every rule but the binding that claims break: for people who look at evidence from afar.

    Nothing may be released on this alone. Without the binding, the evidence may be anybody's.
    """
    section = policy.sections.get(claims.kind)
    failed: list[str] = []
    if section is None:
        failed.append(f"kind: the policy has no section for {claims.kind}")
    if claims.debug:
        failed.append("debug: the enclave's host can look inside")
    if claims.tier < min_tier:
        failed.append(f"tier: {claims.tier.word} is below the contract's {min_tier.word}")
    if section is not None:
        failed.extend(section.check(claims))
    return tuple(failed)


def refuse(failed: tuple[str, ...]) -> None:
    """Raise an AppraisalError if any rule failed."""
    if failed:
        raise AppraisalError(
            "the evidence is genuine, but not acceptable: " + "; ".join(failed),
            failures=failed,
            hint="run on an enclave that satisfies the policy, or agree on a new contract",
        )
