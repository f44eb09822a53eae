"""Cards, contracts, sealed chunks and manifests: what parties leave for one another.

Every object is read strictly and its signature checked before it is kept: not because anybody
relies on that, but so that a broken object fails for its sender, now, and not for others later.
A party sees the contracts that it is a member of, and the datasets of those it shares one with.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mc2.coordinator.bell import Bell
from mc2.coordinator.refusals import NotFoundError, StrangerError
from mc2.coordinator.store import Party, Store
from mc2.crypto.digest import Digest
from mc2.crypto.signatures import VerifyKey
from mc2.errors import ContractError, DatasetError, SignatureError
from mc2.formats.card import Card, verify_card
from mc2.formats.contract import Contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import to_time
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import HOME, Manifest
from mc2.formats.status import DatasetEntry

MOST_NAMES = 10_000  # blobs asked for in one request


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The rules about everything but jobs. `invitation` gives the present token, or is empty."""

    store: Store
    bell: Bell
    clock: Callable[[], datetime]
    invitation: Callable[[], str]

    # --- parties ---

    def register(self, raw: bytes, token: str) -> None:
        """Enrol a card with the operator's token.

        Raises: StrangerError, FormatError, SignatureError, ContractError if the name is taken.
        """
        expected = self.invitation()
        if not expected or not hmac.compare_digest(token.encode(), expected.encode()):
            raise StrangerError(
                "the invitation token is wrong",
                hint="ask the coordinator's operator for the present one",
            )
        card = verify_card(raw).card
        key_id = card.signing_key.key_id
        with self.store.database.transaction():
            same_name, same_key = self.store.party(card.name), self.store.party_by_key(key_id)
            if same_name is not None and same_name.card_digest == card.digest:
                return
            if same_name is not None or same_key is not None:
                raise ContractError(
                    f"the name {card.name} or its key is enrolled already, with another card",
                    hint="choose another name with `mc2 init`, or ask the operator",
                )
            self.store.add_party(Party(card.name, key_id, card.digest, raw))
        self.bell.ring()

    def party(self, name: str) -> Party:
        """An enrolled party. Raises: StrangerError."""
        party = self.store.party(name)
        if party is None:
            raise StrangerError(f"{name} is not enrolled here", hint="enrol with `mc2 join`")
        return party

    def cards(self, caller: str) -> list[bytes]:
        """The signed cards of all parties. Raises: StrangerError."""
        self.party(caller)
        return [party.card for party in self.store.parties()]

    # --- contracts ---

    def put_contract(self, caller: str, raw: bytes) -> Digest:
        """Keep a contract, or add signatures to it.

        Raises: FormatError, SignatureError, ContractError, StrangerError, QuotaError.
        """
        party = self.party(caller)
        envelope = Envelope.parse(raw, PayloadType.CONTRACT, LIMITS.contract_bytes)
        contract = Contract.parse(envelope.payload)
        self._check_members(contract, party)
        if self.clock() > contract.not_after:
            raise ContractError(f"this contract ended on {to_time(contract.not_after)}")
        _check_each_signature(envelope, contract)
        name = envelope.payload_digest
        with self.store.database.transaction():
            held = self.store.database.value(
                "SELECT envelope FROM contracts WHERE digest = ?", name
            )
            if held is None:
                self.store.charge(caller, len(raw))
                self._add_contract(name, contract)
            else:
                known = Envelope.parse(held, PayloadType.CONTRACT, LIMITS.contract_bytes)
                envelope = known.merge([envelope])
            if held != envelope.encode():
                self.store.database.run(
                    "UPDATE contracts SET envelope = ?, event = ? WHERE digest = ?",
                    envelope.encode(),
                    self.store.database.next_event(),
                    name,
                )
        self.bell.ring()
        return name

    def _check_members(self, contract: Contract, caller: Party) -> None:
        if caller.card_digest != contract.member(caller.name).card.digest:
            raise ContractError(
                f"the contract has another card of {caller.name} than this coordinator",
                hint="draw the contract up again with the card that `mc2 init` made",
            )
        for member in contract.members:
            party = self.store.party(member.name)
            if party is not None and party.card_digest != member.card.digest:
                raise ContractError(
                    f"the contract has another card of {member.name} than this coordinator",
                    hint=f"compare the fingerprint with {member.name} by telephone, not by mail",
                )

    def _add_contract(self, name: Digest, contract: Contract) -> None:
        self.store.database.run("INSERT INTO contracts VALUES (?, x'', 0)", name)
        self.store.database.run_many(
            "INSERT INTO members VALUES (?, ?, ?)",
            [(m.name, name, m.card.digest) for m in contract.members],
        )

    def contract(self, caller: str, name: Digest) -> bytes:
        """A contract with its signatures. Raises: NotFoundError, also for those outside it."""
        found: bytes | None = self.store.database.value(
            "SELECT envelope FROM contracts WHERE digest = ?", name
        )
        if found is None or not self.is_member(caller, name):
            raise NotFoundError(
                f"there is no contract {name} with {caller} in it",
                hint="the member who drew it up puts it here first, with `mc2 join`",
            )
        return found

    def contracts(self, caller: str) -> list[Digest]:
        """All contracts with the caller in them. Raises: StrangerError."""
        party = self.party(caller)
        rows = self.store.database.rows(
            "SELECT contract FROM members WHERE party = ? AND card = ? ORDER BY contract",
            party.name,
            party.card_digest,
        )
        return [Digest(row["contract"]) for row in rows]

    def is_member(self, caller: str, name: Digest) -> bool:
        """Whether a contract has exactly the caller's card. Raises: StrangerError."""
        party = self.party(caller)
        return (
            self.store.database.value(
                "SELECT 1 FROM members WHERE party = ? AND contract = ? AND card = ?",
                party.name,
                name,
                party.card_digest,
            )
            is not None
        )

    # --- blobs and datasets ---

    def missing(self, caller: str, names: Sequence[Digest]) -> list[Digest]:
        """Those of some blobs that are not here. Raises: StrangerError, FormatError."""
        self.party(caller)
        return self.store.missing(names, self.clock())

    def put_blob(self, caller: str, name: Digest, raw: bytes) -> None:
        """Keep a sealed chunk. Raises: StrangerError, FormatError, QuotaError."""
        self.party(caller)
        if len(raw) > LIMITS.chunk_bytes:
            raise DatasetError(f"a sealed chunk has at most {LIMITS.chunk_bytes} bytes")
        self.store.put_blob(caller, name, raw, self.clock())

    def get_blob(self, caller: str, name: Digest) -> bytes:
        """A sealed chunk: whoever knows its name may have it. Raises: NotFoundError."""
        self.party(caller)
        return self.store.read_blob(name)

    def put_manifest(self, caller: str, raw: bytes) -> Digest:
        """Publish a version of one's dataset. Raises: FormatError, SignatureError, DatasetError."""
        party = self.party(caller)
        verified = Manifest.verify(raw, _only(party))
        manifest, name = verified.value, verified.digest
        database = self.store.database
        with database.transaction():
            there = database.value(
                "SELECT digest FROM manifests WHERE dataset = ? AND version = ?",
                manifest.dataset,
                manifest.version,
            )
            if there == name:
                return name
            if there is not None:
                raise DatasetError(
                    f"another version {manifest.version} of {manifest.dataset} is here already",
                    hint="seal the table again, with a higher version",
                )
            self._hold_chunks(manifest, name)
            self.store.charge(caller, len(raw))
            database.run(
                "INSERT INTO manifests VALUES (?, ?, ?, ?, ?)",
                name,
                manifest.dataset,
                manifest.owner,
                manifest.version,
                raw,
            )
        self.bell.ring()
        return name

    def _hold_chunks(self, manifest: Manifest, name: Digest) -> None:
        if manifest.placement == HOME:
            return  # they stay with their owner
        sizes = self.store.hold(name, (chunk.digest for chunk in manifest.chunks))
        absent = {chunk.digest for chunk in manifest.chunks} - set(sizes)
        if absent:
            raise DatasetError(
                f"{len(absent)} chunks of {manifest.dataset} are not here yet",
                hint="upload all chunks first, then the manifest: `mc2 upload` resumes",
            )
        if any(sizes[chunk.digest] != chunk.size for chunk in manifest.chunks):
            raise DatasetError(f"a chunk of {manifest.dataset} has another size than it should")

    def manifest(self, caller: str, name: Digest) -> bytes:
        """A signed manifest: whoever knows its name may have it. Raises: NotFoundError."""
        self.party(caller)
        found: bytes | None = self.store.database.value(
            "SELECT envelope FROM manifests WHERE digest = ?", name
        )
        if found is None:
            raise NotFoundError(
                f"there is no manifest {name}", hint="its owner must run `mc2 upload` first"
            )
        return found

    def datasets(self, caller: str) -> list[DatasetEntry]:
        """The dataset versions of the caller, and of all who share a contract with it."""
        party = self.party(caller)
        rows = self.store.database.rows(
            "SELECT dataset, version, digest FROM manifests WHERE owner = ?1 OR owner IN ("
            " SELECT parties.name FROM members AS mine"
            " JOIN members AS theirs ON theirs.contract = mine.contract"
            " JOIN parties ON parties.name = theirs.party AND parties.digest = theirs.card"
            " WHERE mine.party = ?1 AND mine.card = ?2"
            ") ORDER BY dataset, version",
            party.name,
            party.card_digest,
        )
        return [DatasetEntry(r["dataset"], r["version"], Digest(r["digest"])) for r in rows]


def card_of(party: Party) -> Card:
    """The card that a party enrolled with."""
    return verify_card(party.card).card


def _only(party: Party) -> Callable[[str], VerifyKey]:
    def key_of(name: str) -> VerifyKey:
        if name != party.name:
            raise SignatureError(f"{party.name} cannot hand in what {name} must sign")
        return card_of(party).signing_key

    return key_of


def _check_each_signature(envelope: Envelope, contract: Contract) -> None:
    """Signatures come in one by one: some may be missing, but none may be false or a stranger's."""
    names = {member.card.signing_key.key_id: member for member in contract.members}
    for signature in envelope.signatures:
        member = names.get(signature.key_id)
        if member is None:
            raise SignatureError("there is a signature by a key that has no say here")
        alone = Envelope(envelope.payload_type, envelope.payload, (signature,))
        alone.verify({member.name: member.card.signing_key})
