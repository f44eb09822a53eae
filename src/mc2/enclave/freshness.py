"""Who asks an enclave to prove itself, and what time it is. Steps E9 to E11 of key-release.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mc2.enclave.admission import AdmittedJob
from mc2.errors import AttestationError
from mc2.formats.limits import LIMITS
from mc2.formats.release import Challenge
from mc2.formats.statement import Verified

_LONGEST: Final = timedelta(seconds=LIMITS.challenge_seconds)
_HINT: Final = "propose the job again, for every owner to challenge anew"


@dataclass(frozen=True, slots=True)
class FreshJob:
    """A job that all owners concerned have just asked about; only `check_challenges` makes one.

    `at` is the latest moment that an owner's challenge names. An owner that dates its challenge
    back cannot revive what has lapsed for the others, and one that dates it forward only makes
    its own job lapse.
    """

    job: AdmittedJob
    challenges: Mapping[str, Verified[Challenge]]
    at: datetime


def check_challenges(job: AdmittedJob, raw: Mapping[str, bytes]) -> FreshJob:
    """Check the challenges to one attempt, and what may have lapsed.

    Raises: FormatError, SignatureError, ContractError, AttestationError, ApprovalError,
    PolicyError.
    """
    # E9. Exactly one challenge by each owner of an input, for this very attempt.
    if raw.keys() != set(job.owners):
        raise AttestationError(
            f"challenges are needed from exactly {', '.join(job.owners)}", hint=_HINT
        )
    challenges = {name: Challenge.verify(raw[name], job.members.key_of) for name in job.owners}
    for name, challenge in challenges.items():
        if challenge.value.owner != name:
            raise AttestationError(
                f"the challenge of {name} is by {challenge.value.owner}", hint=_HINT
            )
        if challenge.value.context != job.context:
            raise AttestationError(
                f"the challenge by {name} is for another job, attempt, plan or contract",
                hint=_HINT,
            )
    _check_windows(challenges)
    # E11. The time is the latest that an owner states; by then nothing has lapsed.
    at = max(c.value.issued for c in challenges.values())
    for name, challenge in challenges.items():
        if at > challenge.value.not_after:
            raise AttestationError(f"the challenge by {name} has lapsed", hint=_HINT)
    job.check_time(at)
    return FreshJob(job, challenges, at)


def _check_windows(challenges: Mapping[str, Verified[Challenge]]) -> None:
    """E10. Nonces differ, and no challenge holds longer than it may."""
    if len({c.value.nonce for c in challenges.values()}) != len(challenges):
        raise AttestationError(
            "two owners sent one nonce: one of them repeats the other", hint=_HINT
        )
    for name, challenge in challenges.items():
        window = challenge.value.not_after - challenge.value.issued
        if not timedelta(0) <= window <= _LONGEST:
            raise AttestationError(
                f"the challenge by {name} does not hold for 0 to {LIMITS.challenge_seconds} s",
                hint="check the clock of that owner's machine, then propose the job again",
            )
