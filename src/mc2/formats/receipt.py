"""The receipt: an enclave's signed statement of what ran. Spec: docs/spec/receipt.md.

An in-toto Statement v1 in a DSSE envelope, so that any tool for attestations reads it. Its
subjects are the results; its predicate names everything that went in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest, parse_digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode
from mc2.formats.contract import TIERS
from mc2.formats.envelope import PayloadType
from mc2.formats.fields import (
    Fields,
    check_dataset_name,
    check_name,
    check_sorted_unique,
    text_item,
    to_base64,
)
from mc2.formats.limits import LIMITS
from mc2.formats.release import ENCLAVE, JobContext, read_tokens
from mc2.formats.statement import Statement
from mc2.formats.training_message import BOOST_ROUNDS

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:mc2:receipt:v1"
MODES: Final = ("encrypted", "oblivious")


@dataclass(frozen=True, slots=True)
class HomeShare:
    """What the enclave of a party at home did: who it was, and where it dropped out.

    `evidence` names it in an epoch, or is None if it never came. `dropped` are the trainings, by
    their places in the plan, that went on without its rows: from which round on, counted from 0.
    """

    evidence: Digest | None
    dropped: Mapping[int, int]

    def json(self) -> Json:
        """The share as canonical JSON has it."""
        pairs: list[Json] = [[node, turn] for node, turn in sorted(self.dropped.items())]
        return {"evidence": self.evidence, "dropped": pairs}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one share. Raises: FormatError."""
        fields = Fields(value, "a party at home of a receipt")
        evidence = fields.optional("evidence", fields.digest)
        pairs = fields.items("dropped", LIMITS.nodes, _read_dropped)
        fields.done()
        if [node for node, _ in pairs] != sorted({node for node, _ in pairs}):
            raise FormatError("a party dropped out of one training twice, or out of order")
        return cls(evidence, dict(pairs))


def _read_dropped(value: Json) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise FormatError("a dropout in a receipt is a pair of numbers")
    fields = Fields({"node": value[0], "round": value[1]}, "a dropout in a receipt")
    return fields.integer("node", 0, LIMITS.nodes - 1), fields.integer("round", 0, BOOST_ROUNDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Statement):
    """What ran: the attempt, its inputs, who allowed it, in which code, and what came out.

    `epochs` names the enclaves that had a key, by their evidence: one roster for each epoch, in
    order, the leader first. An enclave that computes alone is the one member of the one epoch.
    `homes` has the parties whose rows stayed at home. `tasks` names the receipts of all tasks
    (docs/spec/task.md), or is None for a job of one piece.
    `outputs` maps each output's name to the digest of its sealed result; `inputs` each dataset
    to its manifest; `approvals` and `grants` each member to its statement. `activations` maps each
    owner whose grant had an activation to the token that shows that it was opened. `code` maps
    what the enclave says of itself (measurement and package versions) to its value. `warnings`
    are for people, and never empty below a hardware tier.
    """

    TYPE: ClassVar[str] = PREDICATE_TYPE
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.RECEIPT
    LIMIT: ClassVar[int] = LIMITS.receipt_bytes

    context: JobContext
    tier: str
    mode: str
    evidence: Digest
    epochs: tuple[tuple[Digest, ...], ...]
    tasks: Digest | None
    homes: Mapping[str, HomeShare] = field(default_factory=dict)
    inputs: Mapping[str, Digest]
    approvals: Mapping[str, Digest]
    grants: Mapping[str, Digest]
    activations: Mapping[str, bytes]
    code: Mapping[str, str]
    warnings: tuple[str, ...]
    outputs: Mapping[str, Digest]

    @property
    def signer(self) -> str:
        """The enclave's key of this attempt signs."""
        return ENCLAVE

    def json(self) -> Json:
        """The in-toto statement."""
        subjects: list[Json] = [
            {"name": name, "digest": {"sha256": found.removeprefix("sha256:")}}
            for name, found in sorted(self.outputs.items())
        ]
        return {
            "_type": STATEMENT_TYPE,
            "subject": subjects,
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                **self.context.json(),
                "tier": self.tier,
                "mode": self.mode,
                "evidence": self.evidence,
                "epochs": [list(roster) for roster in self.epochs],
                "tasks": self.tasks,
                "homes": {name: share.json() for name, share in self.homes.items()},
                "inputs": dict(self.inputs),
                "approvals": dict(self.approvals),
                "grants": dict(self.grants),
                "activations": {n: to_base64(token) for n, token in self.activations.items()},
                "code": dict(self.code),
                "warnings": list(self.warnings),
            },
        }

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the payload; its signature is not looked at. Raises: FormatError."""
        statement = Fields(decode(raw, cls.LIMIT, "a receipt"), "a receipt")
        if statement.text("_type") != STATEMENT_TYPE:
            raise FormatError("a receipt is an in-toto Statement v1")
        if statement.text("predicateType") != PREDICATE_TYPE:
            raise FormatError(f"the predicate of a receipt is of type {PREDICATE_TYPE}")
        subjects = statement.items("subject", LIMITS.outputs, _read_subject)
        check_sorted_unique(tuple(name for name, _ in subjects), "the subjects of a receipt")
        fields = statement.fields("predicate")
        statement.done()
        found = cls._read(fields, dict(subjects))
        fields.done()
        return found

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Not used: a receipt's fields stand inside an in-toto statement, see `parse`."""
        raise FormatError(f"{fields.what} stands inside an in-toto statement; parse the whole")

    @classmethod
    def _read(cls, fields: Fields, outputs: Mapping[str, Digest]) -> Self:
        evidence = fields.digest("evidence")
        return cls(
            context=JobContext.read(fields),
            tier=fields.choice("tier", TIERS),
            mode=fields.choice("mode", MODES),
            evidence=evidence,
            epochs=_epochs(fields, evidence),
            tasks=fields.optional("tasks", fields.digest),
            homes=_homes(fields.value("homes")),
            inputs=_digests(fields, "inputs", dataset_names=True),
            approvals=_digests(fields, "approvals", dataset_names=False),
            grants=_digests(fields, "grants", dataset_names=False),
            activations=read_tokens(
                fields.value("activations"), LIMITS.members, "the activations of a receipt"
            ),
            code=_code(fields.value("code")),
            warnings=fields.items("warnings", 64, text_item("a warning", lambda text, _: text)),
            outputs=outputs,
        )


def _read_subject(value: Json) -> tuple[str, Digest]:
    fields = Fields(value, "a subject of a receipt")
    name = fields.name("name")
    found = fields.fields("digest")
    fields.done()
    sha256 = Digest("sha256:" + found.hex("sha256", 32))
    found.done()
    return name, sha256


def _epochs(fields: Fields, leader: Digest) -> tuple[tuple[Digest, ...], ...]:
    """Rosters that the leader begins, in which nobody else stands twice, now or later."""
    epochs = fields.items("epochs", LIMITS.epochs, _read_roster)
    if not epochs or any(not roster or roster[0] != leader for roster in epochs):
        raise FormatError("the leader's evidence begins each epoch of a receipt")
    others = [evidence for roster in epochs for evidence in roster[1:]]
    if len({leader, *others}) != 1 + len(others):
        raise FormatError("one member stands twice in the epochs of a receipt")
    return epochs


def _read_roster(value: Json) -> tuple[Digest, ...]:
    if not isinstance(value, list) or len(value) > LIMITS.cluster_members:
        raise FormatError(f"an epoch is not a list of at most {LIMITS.cluster_members} members")
    read = text_item("a member of an epoch", parse_digest)
    return tuple(read(item) for item in value)


def _homes(value: Json) -> dict[str, HomeShare]:
    if not isinstance(value, Mapping) or len(value) > LIMITS.members:
        raise FormatError("the parties at home of a receipt are not an object")
    return {
        check_name(name, "a party at home"): HomeShare.read(share) for name, share in value.items()
    }


def _digests(fields: Fields, name: str, *, dataset_names: bool) -> dict[str, Digest]:
    value = fields.value(name)
    if not isinstance(value, Mapping) or len(value) > LIMITS.inputs:
        raise FormatError(f"{name} of a receipt is not an object")
    check = check_dataset_name if dataset_names else check_name
    named = Fields(value, f"{name} of a receipt")
    return {check(key, f"a name in {name}"): named.digest(key) for key in value}


def _code(value: Json) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > 256:
        raise FormatError("the code of a receipt is not an object")
    named = Fields(value, "the code of a receipt")
    return {key: named.text(key, 1024) for key in value}
