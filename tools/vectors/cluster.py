"""Vectors of the objects that enclaves exchange to form a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mc2.crypto.digest import digest
from mc2.formats.cluster import (
    Admission,
    Invitation,
    Member,
    MemberData,
    MemberEvidence,
    Probe,
)
from mc2.formats.release import CREDENTIAL_BLOB_BYTES, ENCRYPTED_SEED_BYTES, Activation
from mc2.formats.statement import Statement
from tools.vectors import world
from tools.vectors.objects import Case, Edit, payload_edited, payload_rejects, reject, valid

NONCE = b"\x5a" * 32
ACTIVATION = Activation(
    blob=b"\xb1" * CREDENTIAL_BLOB_BYTES,
    encrypted_seed=b"\x5e" * ENCRYPTED_SEED_BYTES,
    token=digest(b"a token"),
)


def invitation() -> Invitation:
    return Invitation(context=world.context(), leader=world.evidence().digest, epoch=1, nonce=NONCE)


def member_evidence() -> MemberEvidence:
    return MemberEvidence(
        kind="mc2-simulated/v1",
        evidence=b"what a collector gave",
        endorsements={"chain": b"certificates"},
        member_data=MemberData(
            context=world.context(),
            leader=world.evidence().digest,
            epoch=1,
            nonce=NONCE,
            boot_id="ee" * 16,
            receiving_key=world.receiving_key("member").public,
            signing_key=world.signing_key("member").public,
        ),
        activation=ACTIVATION,
    )


def probe() -> Probe:
    return Probe(
        context=world.context(),
        leader=world.evidence().digest,
        epoch=1,
        member=member_evidence().digest,
        activation=ACTIVATION,
    )


def admission() -> Admission:
    return Admission(
        context=world.context(),
        leader=world.evidence().digest,
        epoch=1,
        roster=(
            Member(0, world.evidence().digest, world.signing_key("leader").public),
            Member(1, member_evidence().digest, world.signing_key("member").public),
        ),
        number=1,
        token=b"\x70" * 32,
        sealed=b"sealed" * 8,
    )


def cases() -> Iterator[Case]:
    """All cases, in a fixed order."""
    statements: dict[str, tuple[str, Statement, dict[str, tuple[Edit, str]]]] = {
        "invitation": ("leader", invitation(), _invitation_edits()),
        "member-evidence": ("member", member_evidence(), _evidence_edits()),
        "probe": ("leader", probe(), _probe_edits()),
        "admission": ("leader", admission(), _admission_edits()),
    }
    for name, (signer, statement, edits) in statements.items():
        raw = statement.sign(world.signing_key(signer))
        yield valid(name, raw)
        yield from payload_rejects(name, raw, statement.PAYLOAD_TYPE, signer)
        for case, (edit, comment) in edits.items():
            edited = payload_edited(raw, statement.PAYLOAD_TYPE, signer, edit)
            yield reject(name, case, edited, comment)


def _invitation_edits() -> dict[str, tuple[Edit, str]]:
    return {
        "epoch_zero": (lambda v: v.update(epoch=0), "epochs count from 1"),
        "epoch_beyond": (lambda v: v.update(epoch=65), "more epochs than an attempt may have"),
        "short_nonce": (lambda v: v.update(nonce="AAAA"), "a nonce of three bytes"),
    }


def _evidence_edits() -> dict[str, tuple[Edit, str]]:
    def data(**changes: Any) -> Edit:
        return lambda v: v["member_data"].update(changes)

    return {
        "runtime_data": (data(type="mc2/runtime-data/v1"), "the data of an enclave with owners"),
        "member_epoch_zero": (data(epoch=0), "epochs count from 1"),
        "short_boot_id": (data(boot_id="ee"), "a boot id of one byte"),
        "long_seed": (
            lambda v: v["activation"].update(encrypted_seed="AAAA"),
            "a seed of three bytes",
        ),
        "superfluous_data": (data(challenges={}), "members have no challenges of their own"),
    }


def _probe_edits() -> dict[str, tuple[Edit, str]]:
    return {
        "probe_epoch_zero": (lambda v: v.update(epoch=0), "epochs count from 1"),
        "no_activation": (lambda v: v.update(activation=None), "a probe that asks for nothing"),
        "short_blob": (lambda v: v["activation"].update(blob="AAAA"), "a blob of three bytes"),
        "short_member": (
            lambda v: v.update(member=digest(b"x")[:-1]),
            "a member's digest cut short",
        ),
    }


def _admission_edits() -> dict[str, tuple[Edit, str]]:
    def long(value: Any) -> None:
        value["roster"] = [value["roster"][0]] * 65

    def numbered(value: Any) -> None:
        value["roster"][0]["number"] = 0

    return {
        "leader_number": (lambda v: v.update(number=0), "the leader admits itself"),
        "short_token": (lambda v: v.update({"token": "AAAA"}), "a token of three bytes"),
        "number_beyond": (lambda v: v.update(number=64), "a number that no member can have"),
        "long_roster": (long, "more members than a cluster may have"),
        "numbered_roster": (numbered, "a place said twice"),
        "member_digest": (
            lambda v: v["roster"][1].update(evidence=digest(b"x")[:-1]),
            "a digest cut short",
        ),
    }
