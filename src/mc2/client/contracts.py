"""A party's contracts: read, sign, see who is missing, leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mc2.client.contract_toml import read_contract_toml
from mc2.client.desk import Desk
from mc2.client.durable import read_file
from mc2.client.ledger_events import ContractAccepted, ContractRevoked
from mc2.crypto.digest import Digest, same_digest
from mc2.errors import ContractError, CoordinatorError, FormatError, SignatureError, UsageError
from mc2.formats.contract import Contract, VerifiedContract, sign_contract, verify_contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import to_time
from mc2.formats.limits import LIMITS

_MISSING_HINT: Final = "each of them must sign: mc2 join"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractStatus:
    """A contract, and who has signed it. `accepted` says whether this party has, and stays."""

    contract: Contract
    digest: Digest
    signed: tuple[str, ...]
    missing: tuple[str, ...]
    accepted: bool

    @property
    def complete(self) -> bool:
        """Whether it is in force: all members have signed."""
        return not self.missing


def read_contract_file(path: Path) -> Contract:
    """Read a contract as people wrote it; cards are named relative to its folder.

    Raises: UsageError if a file is missing, FormatError that names the line.
    """
    raw = _read(path, LIMITS.contract_bytes)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not UTF-8 text") from None
    return read_contract_toml(
        text, lambda name: _read(path.parent / name, 2 * LIMITS.card_bytes), file=path.name
    )


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_file(path, limit)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def join(desk: Desk, contract: Contract) -> ContractStatus:
    """Sign a contract and hand it to the coordinator. Signing the same one again is no error.

    Raises: UsageError, ContractError, LedgerError, CoordinatorError.
    """
    desk.trust.check_wanted(contract)
    desk.trust.verifiers_for(contract)  # the policy can be read here
    if contract.member(desk.name).card != desk.identity.card:
        raise ContractError(
            f"the contract {contract.name} has another card of {desk.name} than this home",
            hint="draw it up again with the card of this home: mc2 card",
        )
    now = desk.clock()
    if now > contract.not_after:
        raise ContractError(f"the contract ended on {to_time(contract.not_after)}")
    name = contract.digest
    with desk.ledger.open() as book:
        if name not in book.state.contracts:
            accepted = ContractAccepted(contract=name, name=contract.name, epoch=contract.epoch)
            book.record(accepted, now)
        book.state.check_in_force(name)
    signed = sign_contract(contract, desk.identity.signing)
    desk.home.contracts.put(name, signed)
    if not same_digest(desk.coordinator.put_contract(signed), name):
        raise CoordinatorError("the coordinator calls the contract by another digest than its own")
    return contract_status(desk, name)


def contract_status(desk: Desk, name: Digest) -> ContractStatus:
    """A contract as the coordinator has it; only genuine signatures count.

    Raises: FormatError, CoordinatorError.
    """
    envelope = _parse(desk.coordinator.contract(name), name)
    contract = Contract.parse(envelope.payload)
    signed = tuple(m.name for m in contract.members if _has_signed(envelope, contract, m.name))
    with desk.ledger.open() as book:
        accepted = book.state.takes_part(name)
    return ContractStatus(
        contract=contract,
        digest=name,
        signed=signed,
        missing=tuple(m.name for m in contract.members if m.name not in signed),
        accepted=accepted,
    )


def contract_statuses(desk: Desk) -> list[ContractStatus]:
    """All contracts that the coordinator has for this party, in the order of name and epoch."""
    found = [contract_status(desk, name) for name in desk.coordinator.contracts()]
    return sorted(found, key=lambda s: (s.contract.name, s.contract.epoch, s.digest))


def find_contract(desk: Desk, which: str = "") -> Digest:
    """A contract that this party takes part in: by digest, by name, or the only one.

    Of one name the newest epoch counts. Raises: ContractError, UsageError.
    """
    with desk.ledger.open() as book:
        if which.startswith("sha256:"):
            book.state.check_in_force(Digest(which))
            return Digest(which)
        mine = [c for n, c in book.state.contracts.items() if book.state.takes_part(n)]
    named = {c.name for c in mine if which in {"", c.name}}
    if not named:
        raise ContractError(
            f"this party has signed no contract {which}".rstrip(),
            hint="read it and sign it: mc2 join",
        )
    if len(named) > 1:
        raise UsageError(
            "this party takes part in more than one collaboration",
            hint=f"say which: --contract {' or '.join(sorted(named))}",
        )
    return max((c for c in mine if c.name in named), key=lambda c: c.epoch).contract


def verified_contract(desk: Desk, name: Digest) -> VerifiedContract:
    """A contract that is in force: accepted here, signed by all, not ended.

    Raises: ContractError that says who is missing, LedgerError, CoordinatorError.
    """
    with desk.ledger.open() as book:
        book.state.check_in_force(name)
    kept = desk.home.contracts.get(name)
    envelopes = [] if kept is None else [_parse(kept, name)]
    if not envelopes or len(envelopes[0].signatures) < len(_members(envelopes[0])):
        envelopes.append(_parse(desk.coordinator.contract(name), name))
    raw = envelopes[0].merge(envelopes[1:]).encode()
    try:
        verified = verify_contract(raw, at=desk.clock())
    except SignatureError as error:
        raise ContractError(
            f"the contract is not signed by all its members: {error}", hint=_MISSING_HINT
        ) from None
    desk.home.contracts.put(name, raw)
    return verified


def accepted_contract(desk: Desk, name: Digest) -> Contract:
    """A contract that this party has signed at some time, ended and left ones among them.

    Raises: ContractError.
    """
    with desk.ledger.open() as book:
        book.state.check_known(name)
    kept = desk.home.contracts.get(name)
    if kept is None:
        raise ContractError(
            f"the contract {name} is missing from this home", hint="sign it again: mc2 join"
        )
    return Contract.parse(_parse(kept, name).payload)


def leave(desk: Desk, name: Digest) -> None:
    """Release nothing more under a contract. Raises: ContractError, LedgerError."""
    desk.ledger.record(ContractRevoked(contract=name), desk.clock())


def _parse(raw: bytes, name: Digest) -> Envelope:
    envelope = Envelope.parse(raw, PayloadType.CONTRACT, LIMITS.contract_bytes)
    if not same_digest(envelope.payload_digest, name):
        raise CoordinatorError(f"asked for the contract {name}, another one came")
    return envelope


def _members(envelope: Envelope) -> tuple[str, ...]:
    return tuple(m.name for m in Contract.parse(envelope.payload).members)


def _has_signed(envelope: Envelope, contract: Contract, name: str) -> bool:
    key = contract.key_of(name)
    own = tuple(s for s in envelope.signatures if s.key_id == key.key_id)
    try:
        Envelope(envelope.payload_type, envelope.payload, own).verify({name: key})
    except SignatureError:
        return False
    return True
