"""Vectors of the signed objects: cards, contracts, job statements, key release, receipts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

from mc2.crypto.digest import digest
from mc2.formats.canonical import decode, encode
from mc2.formats.card import sign_card
from mc2.formats.contract import sign_contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.job import Approval, Proposal, Rejection
from mc2.formats.receipt import Receipt
from mc2.formats.statement import Statement
from tools.vectors import world

Case = dict[str, str]
Edit = Callable[[Any], None]
_LIMIT = 1 << 24


def cases() -> Iterator[Case]:
    """All cases, in a fixed order."""
    yield from _canonical()
    yield from _cards()
    yield from _contracts()
    for format_name, signer, statement in _statements():
        yield from _statement_cases(format_name, signer, statement)
    yield from _receipts()


def _case(format_name: str, name: str, raw: bytes, error: str, comment: str) -> Case:
    case = {"format": format_name, "name": name, "comment": comment}
    case |= {"expect": "reject", "error": error} if error else {"expect": "accept"}
    return case | {"text": raw.decode("utf-8")}


def _canonical() -> Iterator[Case]:
    accept = {
        "empty_object": (b"{}", "the smallest object"),
        "order": ('{"a":1,"b":[true,null,"\u20ac"]}'.encode(), "keys sorted, no spaces"),
        "largest": (b"9007199254740991", "2^53 - 1"),
        "utf16_order": ('{"\U0001f600":1,"\ufb33":2}'.encode(), "keys sort by UTF-16 units"),
    }
    for name, (raw, comment) in accept.items():
        yield _case("canonical-json", name, raw, "", comment)
    reject = {
        "space": (b'{"a": 1}', "a space"),
        "key_order": (b'{"b":1,"a":2}', "keys out of order"),
        "duplicate": (b'{"a":1,"a":1}', "one key twice"),
        "float": (b"1.5", "a fraction"),
        "float_integer": (b"1.0", "an integer spelled as a fraction"),
        "exponent": (b"1e3", "an exponent"),
        "minus_zero": (b"-0", "negative zero"),
        "leading_zero": (b"01", "a leading zero"),
        "beyond": (b"9007199254740992", "2^53: two readers may round it differently"),
        "escape": (b'"\\u0061"', "an escape that is not needed"),
        "upper_escape": (b'"\\u001F"', "upper-case hex in an escape"),
        "surrogate": (b'"\\ud800"', "half a surrogate pair"),
        "newline": (b"{}\n", "a byte after the value"),
        "bom": ("\ufeff{}".encode(), "a byte order mark"),
        "nan": (b"NaN", "not JSON at all"),
        "empty": (b"", "nothing"),
        "deep": (b"[" * 200 + b"]" * 200, "nested too deep"),
    }
    for name, (raw, comment) in reject.items():
        yield _case("canonical-json", name, raw, "FormatError", comment)


def valid(format_name: str, raw: bytes) -> Case:
    """The case that every reader accepts."""
    return _case(format_name, "valid", raw, "", "as specified")


def reject(format_name: str, name: str, raw: bytes, comment: str) -> Case:
    """A case that every reader refuses by its form."""
    return _case(format_name, name, raw, "FormatError", comment)


def _edited(raw: bytes, edit: Edit) -> bytes:
    """Change the decoded envelope."""
    value = decode(raw, _LIMIT, "vector")
    edit(value)
    return encode(value)


def payload_edited(raw: bytes, payload_type: str, signer: str, edit: Edit) -> bytes:
    """Change the payload and sign it again, so that only the payload's own rules can object."""
    payload = decode(Envelope.parse(raw, payload_type, _LIMIT).payload, _LIMIT, "vector")
    edit(payload)
    return Envelope.sign(payload_type, encode(payload), world.signing_key(signer)).encode()


def _flip(raw: bytes) -> bytes:
    """Flip one bit of the first signature."""

    def edit(value: Any) -> None:
        signature = bytearray(base64.b64decode(value["signatures"][0]["sig"]))
        signature[5] ^= 1
        value["signatures"][0]["sig"] = base64.b64encode(signature).decode()

    return _edited(raw, edit)


def _envelope_rejects(format_name: str, raw: bytes, payload_type: str) -> Iterator[Case]:
    yield _case(format_name, "flipped_signature", _flip(raw), "SignatureError", "one bit flipped")
    stranger = world.signing_key("stranger")
    payload = Envelope.parse(raw, payload_type, _LIMIT).payload
    by_stranger = Envelope.sign(payload_type, payload, stranger)
    yield _case(
        format_name, "stranger", by_stranger.encode(), "SignatureError", "signed by another key"
    )
    both = Envelope.parse(raw, payload_type, _LIMIT).merge([by_stranger]).encode()
    yield _case(
        format_name, "extra_signature", both, "SignatureError", "one signature more than expected"
    )

    def unsigned(value: Any) -> None:
        value["signatures"] = []

    yield _case(format_name, "unsigned", _edited(raw, unsigned), "FormatError", "no signature")

    def unknown(value: Any) -> None:
        value["comment"] = "hello"

    yield _case(
        format_name, "envelope_field", _edited(raw, unknown), "FormatError", "an unknown field"
    )
    other = PayloadType.REJECTION if payload_type != PayloadType.REJECTION else PayloadType.CARD

    def retyped(value: Any) -> None:
        value["payloadType"] = other

    yield _case(format_name, "other_type", _edited(raw, retyped), "FormatError", "another type")
    yield _case(
        format_name, "trailing", raw + b"\n", "FormatError", "a byte after the canonical form"
    )


def payload_rejects(format_name: str, raw: bytes, payload_type: str, signer: str) -> Iterator[Case]:
    def added(value: Any) -> None:
        value["comment"] = "hello"

    def removed(value: Any) -> None:
        del value[min(key for key in value if key not in {"type", "_type"})]

    def retyped(value: Any) -> None:
        value["type" if "type" in value else "_type"] = "mc2/other/v1"

    for name, edit, comment in (
        ("payload_field", added, "an unknown field, signed"),
        ("payload_missing", removed, "a field left out, signed"),
        ("payload_type", retyped, "another type inside, signed"),
    ):
        edited = payload_edited(raw, payload_type, signer, edit)
        yield _case(format_name, name, edited, "FormatError", comment)


def _cards() -> Iterator[Case]:
    raw = sign_card(world.card("ada"), world.signing_key("ada"))
    yield _case("card", "valid", raw, "", "a card signed by its own key")
    yield from _envelope_rejects("card", raw, PayloadType.CARD)
    yield from payload_rejects("card", raw, PayloadType.CARD, "ada")
    bad_name = payload_edited(raw, PayloadType.CARD, "ada", lambda v: v.update(name="Ada Ltd"))
    yield _case("card", "bad_name", bad_name, "FormatError", "a name with a space and capitals")
    short = payload_edited(raw, PayloadType.CARD, "ada", lambda v: v.update(signing_key="AAAA"))
    yield _case("card", "short_key", short, "FormatError", "a signing key of three bytes")


def _contracts() -> Iterator[Case]:
    agreed = world.contract("ada", "bo")
    first = sign_contract(agreed, world.signing_key("ada"))
    second = sign_contract(agreed, world.signing_key("bo"))
    limit = 1 << 20
    merged = Envelope.parse(first, PayloadType.CONTRACT, limit).merge(
        [Envelope.parse(second, PayloadType.CONTRACT, limit)]
    )
    yield _case("contract", "valid", merged.encode(), "", "signed by both members")
    yield _case("contract", "one_missing", first, "SignatureError", "one member has not signed")
    yield _case(
        "contract", "flipped_signature", _flip(merged.encode()), "SignatureError", "one bit flipped"
    )
    third = Envelope.sign(PayloadType.CONTRACT, agreed.encode(), world.signing_key("stranger"))
    yield _case(
        "contract",
        "extra_signature",
        merged.merge([third]).encode(),
        "SignatureError",
        "signed by somebody who is no member",
    )

    def resigned(edit: Edit) -> bytes:
        value = decode(agreed.encode(), limit, "vector")
        edit(value)
        payload = encode(value)
        one, two = (
            Envelope.sign(PayloadType.CONTRACT, payload, world.signing_key(n))
            for n in ("ada", "bo")
        )
        return one.merge([two]).encode()

    def swap(value: Any) -> None:
        value["members"].reverse()

    def twice(value: Any) -> None:
        value["members"].append(value["members"][-1])

    edits: dict[str, tuple[Edit, str, str]] = {
        "lapsed": (
            lambda v: v.update(not_after="2025-01-01T00:00:00Z"),
            "ContractError",
            "it ended before the time of the check",
        ),
        "member_order": (swap, "FormatError", "members out of order"),
        "member_twice": (twice, "FormatError", "one member twice"),
        "no_members": (lambda v: v.update(members=[]), "FormatError", "nobody takes part"),
        "bad_tier": (lambda v: v.update(min_tier="none"), "FormatError", "a tier that is none"),
        "zero_attempts": (lambda v: v.update(max_attempts=0), "FormatError", "no attempt allowed"),
        "fraction_time": (
            lambda v: v.update(not_after="2030-01-01T00:00:00.5Z"),
            "FormatError",
            "a time with a fraction",
        ),
        "unknown_field": (lambda v: v.update(quorum=1), "FormatError", "an unknown field"),
    }
    for name, (edit, error, comment) in edits.items():
        yield _case("contract", name, resigned(edit), error, comment)


def _statements() -> list[tuple[str, str, Statement]]:
    context = world.context()
    same = {"contract": context.contract, "plan": context.plan, "job_id": context.job_id}
    return [
        (
            "proposal",
            "ada",
            Proposal(**same, proposer="ada", created=world.THEN, note="first look"),
        ),
        (
            "approval",
            "ada",
            Approval(**same, approver="ada", max_attempts=2, not_after=world.LATER),
        ),
        ("rejection", "ada", Rejection(**same, member="ada", reason="too much")),
        ("challenge", "ada", world.challenge()),
        ("evidence", "enclave", world.evidence()),
        ("grant", "ada", world.grant()),
    ]


def _statement_cases(format_name: str, signer: str, statement: Statement) -> Iterator[Case]:
    raw = statement.sign(world.signing_key(signer))
    yield _case(format_name, "valid", raw, "", "as specified")
    yield from _envelope_rejects(format_name, raw, statement.PAYLOAD_TYPE)
    yield from payload_rejects(format_name, raw, statement.PAYLOAD_TYPE, signer)


def _receipts() -> Iterator[Case]:
    receipt = Receipt(
        context=world.context(),
        tier="simulated",
        mode="encrypted",
        evidence=world.evidence().digest,
        epochs=(
            (world.evidence().digest, digest(b"a member")),
            (world.evidence().digest, digest(b"a late member"), digest(b"the same, once more")),
        ),
        tasks=digest(b"the receipts of all tasks"),
        inputs={"ada.visits": world.MANIFEST, "bo.visits": world.MANIFEST},
        approvals={"ada": digest(b"approval of ada"), "bo": digest(b"approval of bo")},
        grants={"ada": world.grant("ada").digest, "bo": world.grant("bo").digest},
        activations={},
        code={"mc2": "0.1.0", "measurement": "00" * 48},
        warnings=("simulated: this protects nothing",),
        outputs={"model": digest(b"a model"), "report": digest(b"a report")},
    )
    raw = receipt.sign(world.signing_key("enclave"))
    yield _case("receipt", "valid", raw, "", "as specified")
    yield from _envelope_rejects("receipt", raw, receipt.PAYLOAD_TYPE)
    yield from payload_rejects("receipt", raw, receipt.PAYLOAD_TYPE, "enclave")

    def reorder(value: Any) -> None:
        value["subject"].reverse()

    def weak(value: Any) -> None:
        value["subject"][0]["digest"] = {"sha1": "00" * 20}

    def twice(value: Any) -> None:
        value["subject"][1] = value["subject"][0]

    def epochs(change: Callable[[Any], object]) -> Edit:
        return lambda value: change(value["predicate"]["epochs"]) and None

    edits: dict[str, tuple[Edit, str]] = {
        "no_epochs": (epochs(lambda e: e.clear()), "no epoch, not even the enclave's own"),
        "empty_epoch": (epochs(lambda e: e[0].clear()), "an epoch of nobody"),
        "leaderless_epoch": (epochs(lambda e: e[1].pop(0)), "an epoch without its leader"),
        "member_twice": (epochs(lambda e: e[0].append(e[0][1])), "one member twice in an epoch"),
        "member_again": (epochs(lambda e: e[1].append(e[0][1])), "one member in two epochs"),
        "leader_twice": (epochs(lambda e: e[0].append(e[0][0])), "the leader twice in an epoch"),
        "many_epochs": (
            epochs(lambda e: e.extend([[e[0][0]]] * 64)),
            "more epochs than an attempt may have",
        ),
        "subject_order": (reorder, "subjects out of order"),
        "weak_digest": (weak, "a subject named by SHA-1"),
        "subject_twice": (twice, "one subject twice"),
        "predicate_type": (lambda v: v.update(predicateType="urn:x"), "another predicate"),
        "tier": (lambda v: v["predicate"].update(tier="hardware"), "a tier that is none"),
    }
    for name, (edit, comment) in edits.items():
        edited = payload_edited(raw, receipt.PAYLOAD_TYPE, "enclave", edit)
        yield _case("receipt", name, edited, "FormatError", comment)
