"""The verifiers that a process trusts, by evidence kind. There are none by default."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from mc2.attestation.claims import ClaimsToActivate, RawEvidence, VerifiedClaims, Verifier
from mc2.attestation.policy import SimulatedSection
from mc2.errors import EvidenceError, UsageError

_SIMULATION_HINT: Final = (
    "simulated evidence proves nothing about the machine; it is accepted only where the signed "
    "contract says so and the command was given --unsafe-simulation"
)


class Verifiers:
    """A fixed set of verifiers, each for one kind; whatever has none is refused."""

    __slots__ = ("_by_kind",)

    def __init__(self, *verifiers: Verifier) -> None:
        self._by_kind = {verifier.kind: verifier for verifier in verifiers}
        if len(self._by_kind) != len(verifiers):
            raise UsageError("two verifiers are for one kind of evidence")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The evidence kinds that can be verified, in order."""
        return tuple(sorted(self._by_kind))

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
        """Let the verifier of this kind check the evidence, as of `at`.

        Raises: EvidenceError, also for evidence that an activation must complete.
        """
        found = self.verify_to_activate(raw, at=at)
        if isinstance(found, ClaimsToActivate):
            raise EvidenceError(
                f"evidence of kind {raw.kind!r} proves nothing before its key is activated",
                hint="only a grant to the machine does that: docs/spec/key-release.md",
            )
        return found

    def verify_to_activate(
        self, raw: RawEvidence, *, at: datetime
    ) -> VerifiedClaims | ClaimsToActivate:
        """As `verify`, for those who can complete the evidence. Raises: EvidenceError."""
        verifier = self._by_kind.get(raw.kind)
        if verifier is None:
            simulated = raw.kind == SimulatedSection.KIND
            known = ", ".join(self.kinds) or "none"
            raise EvidenceError(
                f"no verifier here for evidence of kind {raw.kind!r}",
                hint=_SIMULATION_HINT if simulated else f"kinds that can be verified: {known}",
            )
        found = verifier.verify(raw, at=at)
        claims = found.claims if isinstance(found, ClaimsToActivate) else found
        # A verifier answers for its own kind only, and never claims more than that can mean.
        if claims.kind != raw.kind or claims.tier > verifier.tier:
            raise EvidenceError(f"the verifier of {raw.kind!r} gave claims beyond its kind")
        return found
