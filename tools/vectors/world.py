"""Fixed parties and objects for vectors: everything derives from short seeds, nothing is secret."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache

from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import ReceivingKey, SigningKey
from mc2.formats.card import Card
from mc2.formats.contract import Contract, Member
from mc2.formats.release import Challenge, Evidence, Grant, JobContext, RuntimeData, SealedKey

THEN = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2030, 1, 1, 0, 0, 0, tzinfo=UTC)
JOB_ID = "00112233445566778899aabbccddeeff"
MANIFEST = digest(b"a manifest")


@cache
def signing_key(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(b"vector signing key " + name.encode()).digest())


@cache
def receiving_key(name: str) -> ReceivingKey:
    seed = hashlib.sha512(b"vector receiving key " + name.encode()).digest()
    return ReceivingKey(seed + hashlib.sha256(seed).digest())


def card(name: str) -> Card:
    return Card(name, f"{name} of Examples", signing_key(name).public, receiving_key(name).public)


def contract(*names: str) -> Contract:
    return Contract(
        name="study",
        epoch=1,
        supersedes=None,
        not_after=LATER,
        min_tier="simulated",
        approvers="owners",
        max_attempts=3,
        members=tuple(Member(card(n), ("analyst", "owner", "recipient")) for n in sorted(names)),
        attestation={"mc2-simulated/v1": {"measurements": ["00" * 48], "root": digest(b"root")}},
    )


def context(attempt: int = 1) -> JobContext:
    agreed = contract("ada", "bo")
    return JobContext(
        contract=agreed.digest,
        policy=agreed.policy_digest,
        plan=digest(b"a plan"),
        job_id=JOB_ID,
        attempt=attempt,
    )


def challenge(owner: str = "ada") -> Challenge:
    return Challenge(
        context=context(),
        owner=owner,
        nonce=hashlib.sha256(owner.encode()).digest(),
        issued=THEN,
        not_after=THEN.replace(minute=2),
    )


def evidence() -> Evidence:
    return Evidence(
        kind="mc2-simulated/v1",
        evidence=b"what a collector gave",
        endorsements={"chain": b"certificates"},
        runtime_data=RuntimeData(
            context=context(),
            boot_id="ff" * 16,
            receiving_key=receiving_key("enclave").public,
            signing_key=signing_key("enclave").public,
            challenges={"ada": challenge("ada").digest, "bo": challenge("bo").digest},
        ),
    )


def grant(owner: str = "ada") -> Grant:
    return Grant(
        context=context(),
        owner=owner,
        evidence=evidence().digest,
        challenge=challenge(owner).digest,
        sequence=1,
        lease_seconds=3600,
        activation=None,
        keys=(SealedKey(f"{owner}.visits", MANIFEST, b"sealed" * 8),),
    )


def other(name: str) -> Digest:
    return digest(name.encode())
