"""An epoch: the enclaves that compute one job together, and the key of the blocks they exchange.

Membership is fixed: whoever comes late, restarts or is lost begins another epoch, with another
number and another key, so that no block of one epoch opens in another. Only the rules of
`cluster_leader` and `cluster_member` make an epoch, once evidence was appraised on both sides.
Spec: docs/spec/cluster.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mc2.crypto.secret import DataKey, SigningKey
from mc2.errors import AttestationError
from mc2.formats.cluster import Member
from mc2.formats.limits import LIMITS
from mc2.formats.release import JobContext

__all__ = ("LEADER", "Epoch", "Member")

LEADER: Final = 0
"""The number of the enclave that the owners challenged and granted, in every epoch."""


@dataclass(frozen=True)
class Epoch:
    """One enclave's view of an epoch. All views agree but for `own` and `signing_key`.

    `number` counts from 1 within an attempt. `members` are numbered from 0, in order.
    `block_key` is known to exactly these members and encrypts nothing itself: keys of blocks
    are derived from it.

    Raises: AttestationError for members that are not one roster, or an own key that is not in it.
    """

    context: JobContext
    number: int
    members: tuple[Member, ...]
    block_key: DataKey = field(repr=False, compare=False)
    own: int
    signing_key: SigningKey = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check what must hold in every epoch."""
        if not 1 <= self.number <= LIMITS.epochs:
            raise AttestationError(f"epochs are numbered from 1 to {LIMITS.epochs}")
        if not 1 <= len(self.members) <= LIMITS.cluster_members:
            raise AttestationError(f"an epoch has 1 to {LIMITS.cluster_members} members")
        if tuple(m.number for m in self.members) != tuple(range(len(self.members))):
            raise AttestationError("the members of an epoch are not numbered from 0 in order")
        # One enclave that counts twice could do two members' work and check itself.
        if len({m.evidence for m in self.members}) != len(self.members):
            raise AttestationError("two members of an epoch have one evidence")
        if len({m.signing_key for m in self.members}) != len(self.members):
            raise AttestationError("two members of an epoch have one key")
        homes = [m.home for m in self.members if m.home is not None]
        if len(set(homes)) != len(homes) or self.members[LEADER].home is not None:
            raise AttestationError("a party has one enclave at home in an epoch, and no leader")
        if self.member(self.own).signing_key != self.signing_key.public:
            raise AttestationError("the own key is not the one that the epoch's roster names")

    @property
    def leader(self) -> Member:
        """The enclave that the owners granted their keys to."""
        return self.members[LEADER]

    @property
    def homes(self) -> dict[str, int]:
        """The numbers of the members that run on a party's premises, by party."""
        return {m.home: m.number for m in self.members if m.home is not None}

    @property
    def leads(self) -> bool:
        """Whether this is the leader's own view."""
        return self.own == LEADER

    def member(self, number: int) -> Member:
        """A member by its number. Raises: AttestationError."""
        if not 0 <= number < len(self.members):
            raise AttestationError(f"epoch {self.number} has no member {number}")
        return self.members[number]

    def wipe(self) -> None:
        """Forget the key of the blocks: none of this epoch opens here any more."""
        self.block_key.close()
