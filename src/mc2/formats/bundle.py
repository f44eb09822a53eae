"""Bundles of signed objects: what an enclave needs to open a job, and the proof of a whole job.

Bundles add nothing of their own: every member is checked by its own rules. Being canonical JSON
themselves, signed objects nest without being encoded again. Spec: docs/spec/bundle.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from mc2.crypto.digest import Digest, parse_digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, check_dataset_name, check_name
from mc2.formats.limits import LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBundle:
    """All that people signed about a job: the enclave checks it before it proves itself.

    `kept` are the results of earlier jobs that the plan reads, by the names it has for them.
    """

    TYPE: ClassVar[str] = "mc2/job-bundle/v1"

    contract: bytes
    plan: bytes
    proposal: bytes
    approvals: Mapping[str, bytes]
    manifests: Mapping[str, bytes]
    attempt: int
    kept: Mapping[str, bytes] = field(default_factory=dict)

    def json(self) -> dict[str, Json]:
        """The bundle as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "contract": _nest(self.contract),
            "plan": _nest(self.plan),
            "proposal": _nest(self.proposal),
            "approvals": {name: _nest(raw) for name, raw in self.approvals.items()},
            "manifests": {name: _nest(raw) for name, raw in self.manifests.items()},
            "kept": {name: _nest(raw) for name, raw in self.kept.items()},
            "attempt": self.attempt,
        }

    def encode(self) -> bytes:
        """The bundle's bytes."""
        return encode(self.json())

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a bundle; nothing in it is verified. Raises: FormatError."""
        return cls.read(decode(raw, LIMITS.bundle_bytes, "a job bundle"))

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded bundle. Raises: FormatError."""
        fields = Fields(value, "a job bundle")
        fields.type(cls.TYPE)
        bundle = cls(
            contract=encode(fields.value("contract")),
            plan=encode(fields.value("plan")),
            proposal=encode(fields.value("proposal")),
            approvals=_named(fields.value("approvals"), "the approvals", datasets=False),
            manifests=_named(fields.value("manifests"), "the manifests", datasets=True),
            kept=_named(fields.value("kept"), "the kept results", datasets=True),
            attempt=fields.integer("attempt", 1, LIMITS.attempts),
        )
        fields.done()
        return bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Everything that a verifier needs, offline, to see that a job ran exactly as signed.

    `members` is the evidence of the other enclaves of a cluster, by its digest.
    """

    TYPE: ClassVar[str] = "mc2/proof/v1"

    job: JobBundle
    challenges: Mapping[str, bytes]
    evidence: bytes
    members: Mapping[Digest, bytes]
    grants: Mapping[str, bytes]
    receipt: bytes
    results: Mapping[str, bytes]

    def encode(self) -> bytes:
        """The proof's bytes."""
        return encode(
            {
                "type": self.TYPE,
                "job": self.job.json(),
                "challenges": {name: _nest(raw) for name, raw in self.challenges.items()},
                "evidence": _nest(self.evidence),
                "members": {name: _nest(raw) for name, raw in self.members.items()},
                "grants": {name: _nest(raw) for name, raw in self.grants.items()},
                "receipt": _nest(self.receipt),
                "results": {name: _nest(raw) for name, raw in self.results.items()},
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a proof; nothing in it is verified. Raises: FormatError."""
        fields = Fields(decode(raw, LIMITS.bundle_bytes, "a proof"), "a proof")
        fields.type(cls.TYPE)
        proof = cls(
            job=JobBundle.read(fields.value("job")),
            challenges=_named(fields.value("challenges"), "the challenges", datasets=False),
            evidence=encode(fields.value("evidence")),
            members=_members(fields.value("members")),
            grants=_named(fields.value("grants"), "the grants", datasets=False),
            receipt=encode(fields.value("receipt")),
            results=_named(fields.value("results"), "the results", datasets=False),
        )
        fields.done()
        return proof


def _nest(raw: bytes) -> Json:
    return decode(raw, LIMITS.bundle_bytes, "a nested object")


def _members(value: Json) -> dict[Digest, bytes]:
    if not isinstance(value, Mapping) or len(value) > LIMITS.epochs * LIMITS.cluster_members:
        raise FormatError("the members in a proof are not an object")
    return {parse_digest(n, "a member in a proof"): encode(item) for n, item in value.items()}


def _named(value: Json, what: str, *, datasets: bool) -> dict[str, bytes]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{what} in a bundle are not an object")
    check = check_dataset_name if datasets else check_name
    return {check(name, f"a name of {what}"): encode(item) for name, item in value.items()}
