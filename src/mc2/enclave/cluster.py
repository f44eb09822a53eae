"""The enclaves that compute one job together, as their leader works with them.

`Cluster` forms epochs out of what the host offers and keeps account of who was in which. Tasks
are sent to the members of `epoch`; when one is lost, `form` begins the next epoch with whoever is
there. The rules are in `cluster_leader`. Spec: docs/spec/cluster.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mc2.attestation.claims import Tier
from mc2.crypto.digest import Digest
from mc2.crypto.secret import DataKey
from mc2.enclave.cluster_leader import ClusterLeader, FormedEpoch, LeftOut
from mc2.enclave.epoch import Epoch
from mc2.enclave.release import Lease
from mc2.formats.other_workers import OtherWorkers

_TRIES: Final = 3
"""How often workers may get lost between their evidence and their admission; then the leader
goes on alone."""


class Cluster:
    """The epochs of one attempt, with the host's workers.

    `keys` are the data keys of the inputs, which each member gets; `tell` is told in words what
    happens.
    """

    def __init__(
        self,
        leader: ClusterLeader,
        workers: OtherWorkers,
        keys: Mapping[str, DataKey],
        lease: Lease,
        tell: Callable[[str], None],
    ) -> None:
        self._leader = leader
        self._workers = workers
        self._keys = keys
        self._lease = lease
        self._tell = tell
        self._left_out: list[LeftOut] = []
        self._names: dict[int, str] = {}

    @property
    def rosters(self) -> tuple[tuple[Digest, ...], ...]:
        """The evidence of the members of each epoch so far, for the receipt."""
        return self._leader.rosters

    @property
    def tier(self) -> Tier:
        """The weakest tier of all enclaves that ever had a key."""
        return self._leader.tier

    @property
    def names(self) -> Mapping[int, str]:
        """The host's name of each member of the present epoch but the leader, by number."""
        return dict(self._names)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for the receipt, if workers were left out: who, when, and a code of why."""
        if not self._left_out:
            return ()
        who = (f"{o.name} of epoch {o.epoch} ({o.error.code})" for o in self._left_out)
        return ("LEFT OUT of the cluster, for their evidence was refused: " + ", ".join(who),)

    def form(self) -> Epoch:
        """Begin an epoch with the workers that are there and hold up; the former one is over.

        Raises: AttestationError after too many epochs, GrantError after the lease; what the
        host's side raises.
        """
        for _ in range(_TRIES):
            invitation = self._leader.invite()
            formed = self._admit(self._workers.gather(invitation))
            if not formed.admissions:
                return formed.epoch
            if set(self._workers.admit(formed.admissions)) >= formed.admissions.keys():
                return formed.epoch
        # A member that did not come has keys of an epoch in which nobody waits for it.
        self._leader.invite()
        return self._admit({}).epoch

    def wipe(self) -> None:
        """Forget the key of the present epoch."""
        self._leader.wipe()

    def _admit(self, joins: Mapping[str, bytes]) -> FormedEpoch:
        probes = self._leader.examine(joins)
        tokens = self._workers.probe(probes) if probes else {}
        self._lease.check()  # no key is passed on after the lease
        left = max(1, self._lease.seconds_left)
        formed = self._leader.admit(tokens, self._keys, left)
        for out in formed.left_out:
            self._tell(f"{out.name} is left out of epoch {out.epoch}: {out.error}"[:1024])
        self._left_out += formed.left_out
        self._names = dict(enumerate(formed.admissions, start=1))
        return formed
