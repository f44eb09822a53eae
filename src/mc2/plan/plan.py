"""The plan: the agreed program in its canonical form. Spec: docs/spec/plan.md.

Its digest is what owners approve. It holds the script's text, every operation of the program in
order, each with the schema of its result, the inputs by their manifests' digests, and the outputs
with their recipients. Parsing checks the form; `mc2.plan.check` checks the meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest, digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.facts import TableFacts
from mc2.formats.fields import Fields, check_name, check_sorted_unique, text_item
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import HOME, HOSTED, PLACEMENTS, SIZES
from mc2.formats.result import KEPT, MODEL_COLUMNS
from mc2.formats.schema import Schema
from mc2.plan.kept_models import ModelFacts
from mc2.plan.linear_models import Apply, FitClusters, FitLinear, LinearOperation
from mc2.plan.models import (
    Annotate,
    CrossValidate,
    History,
    Inspect,
    Matrix,
    ModelOperation,
    Predict,
    Recall,
    Slice,
    Train,
)
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    Project,
    RelationalOperation,
    RowBound,
    Scan,
    Sort,
    Union,
    Values,
    read_node,
)
from mc2.plan.windows import Window

TYPE: Final = "mc2/plan/v1"
MODES: Final = ("encrypted", "oblivious")
OUTPUT_KINDS: Final = ("model", "table")
_TITLE_LENGTH: Final = 200
_SCRIPT_NAME_LENGTH: Final = 200
_PACKAGES: Final = 64
_VERSION_LENGTH: Final = 64

Operation = RelationalOperation | Window | ModelOperation | LinearOperation

OPERATIONS: Final[Mapping[str, type[Operation]]] = {
    kind.OP: kind
    for kind in (
        Scan, Project, Filter, Join, Mark, Aggregate, Window, Sort, Limit, RowBound, Union,
        Distinct, Explode, Values,
        Matrix, Train, CrossValidate, Recall, Predict, History, Slice, Annotate, Inspect,
        FitLinear, FitClusters, Apply,
    )
}  # fmt: skip
"""All operations by the word that names them."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operation and the schema of the relation that it gives; None where it gives none."""

    operation: Operation
    schema: Schema | None

    def json(self) -> Json:
        """The node as canonical JSON has it."""
        return {
            "op": self.operation.OP,
            **self.operation.json(),
            "schema": None if self.schema is None else self.schema.json(),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one node. Raises: FormatError, PlanError."""
        fields = Fields(value, "a node of a plan")
        op = fields.choice("op", tuple(OPERATIONS))
        schema = fields.value("schema")
        inner = OPERATIONS[op].read(fields)
        fields.done()
        return cls(inner, None if schema is None else Schema.read(schema))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInput:
    """A dataset that the plan reads: exactly the version whose manifest has this digest.

    `sizes` and `facts` are those of the manifest: what is public of the rows. `placement` is too:
    rows that stay at home are opened on their owner's premises alone (`mc2.plan.home`). Or a result
    of an earlier job that is kept sealed: then `kept` are the owners who share its key, all of whom
    must approve and grant, and `manifest` is the digest of that result. Of a kept model, `model`
    are the facts; it is read as one row.
    """

    dataset: str
    owner: str
    manifest: Digest
    schema: Schema
    row_bound: int
    sizes: str = "exact"
    facts: TableFacts = field(default_factory=TableFacts)
    kept: tuple[str, ...] | None = None
    model: ModelFacts | None = None
    placement: str = HOSTED

    def __post_init__(self) -> None:
        if self.model is not None and (
            self.owner != KEPT or self.schema != MODEL_COLUMNS or self.row_bound != 1
        ):
            raise FormatError(f"{self.dataset} is a model, and is kept and read as one row")
        if (self.owner == KEPT) != (self.kept is not None) or self.kept == ():
            raise FormatError(f"{self.dataset} is kept without owners, or owned and called kept")
        if self.at_home and self.kept is not None:
            raise FormatError(f"{self.dataset} is kept, and stays at nobody's home")
        check_sorted_unique(self.owners, f"the owners of {self.dataset}")
        if self.dataset.partition(".")[0] != self.owner:
            raise FormatError(f"{self.dataset} is not a dataset of {self.owner}")
        self.facts.check(self.schema)

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose approval and keys it takes to read this."""
        return self.kept or (self.owner,)

    @property
    def at_home(self) -> bool:
        """Whether the rows never leave their owner's premises."""
        return self.placement == HOME

    def json(self) -> Json:
        """The input as canonical JSON has it."""
        return {
            "dataset": self.dataset,
            "owner": self.owner,
            "manifest": self.manifest,
            "schema": self.schema.json(),
            "row_bound": self.row_bound,
            "sizes": self.sizes,
            "placement": self.placement,
            "facts": self.facts.json(),
            "kept": None if self.kept is None else list(self.kept),
            "model": None if self.model is None else self.model.json(),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one input. Raises: FormatError."""
        fields = Fields(value, "an input of a plan")
        model = fields.value("model")
        found = cls(
            dataset=fields.dataset("dataset"),
            owner=fields.name("owner"),
            manifest=fields.digest("manifest"),
            schema=Schema.read(fields.value("schema")),
            row_bound=fields.integer("row_bound", 0, LIMITS.row_bound),
            sizes=fields.choice("sizes", SIZES),
            placement=fields.choice("placement", PLACEMENTS),
            facts=TableFacts.read(fields.value("facts")),
            kept=fields.optional(
                "kept",
                lambda name: fields.items(name, LIMITS.members, text_item("an owner", check_name)),
            ),
            model=None if model is None else ModelFacts.read(model),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOutput:
    """What leaves the enclave: the result of a node, for some members of the collaboration.

    Or for none: what is to `keep` stays sealed for later jobs.
    """

    name: str
    node: int
    kind: str
    recipients: tuple[str, ...]
    keep: bool = False

    def json(self) -> Json:
        """The output as canonical JSON has it."""
        return {
            "name": self.name,
            "node": self.node,
            "kind": self.kind,
            "recipients": list(self.recipients),
            "keep": self.keep,
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one output. Raises: FormatError."""
        fields = Fields(value, "an output of a plan")
        found = cls(
            name=fields.name("name"),
            node=read_node(fields, "node"),
            kind=fields.choice("kind", OUTPUT_KINDS),
            recipients=fields.items(
                "recipients", LIMITS.members, text_item("a recipient", check_name)
            ),
            keep=fields.boolean("keep"),
        )
        fields.done()
        check_sorted_unique(found.recipients, f"the recipients of {found.name}")
        if found.keep and found.recipients:
            raise FormatError(f"the output {found.name} is kept, and has recipients")
        if not found.recipients and not found.keep:
            raise FormatError(f"the output {found.name} has no recipient")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole program. `inputs` are sorted by dataset, `outputs` by name, each name once."""

    title: str
    mode: str
    contract: Digest
    script_name: str
    script: str
    packages: Mapping[str, str]
    inputs: tuple[PlanInput, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[PlanOutput, ...]

    TYPE: ClassVar[str] = TYPE

    def __post_init__(self) -> None:
        check_sorted_unique(tuple(i.dataset for i in self.inputs), "the inputs of a plan")
        check_sorted_unique(tuple(o.name for o in self.outputs), "the outputs of a plan")
        if not self.inputs or not self.nodes or not self.outputs:
            raise FormatError("a plan has at least one input, one node and one output")

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose data it reads, in order: they approve, challenge and grant."""
        return tuple(sorted({owner for source in self.inputs for owner in source.owners}))

    def json(self) -> Json:
        """The plan as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "title": self.title,
            "mode": self.mode,
            "contract": self.contract,
            "script_name": self.script_name,
            "script": self.script,
            "packages": dict(self.packages),
            "inputs": [i.json() for i in self.inputs],
            "nodes": [n.json() for n in self.nodes],
            "outputs": [o.json() for o in self.outputs],
        }

    def encode(self) -> bytes:
        """The bytes that the digest names. Raises: FormatError if they are too many."""
        raw = encode(self.json())
        if len(raw) > LIMITS.plan_bytes:
            raise FormatError(f"the plan is larger than {LIMITS.plan_bytes} bytes")
        return raw

    @property
    def digest(self) -> Digest:
        """The plan's name, which approvals sign."""
        return digest(self.encode())

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the canonical form; whether it makes sense is for `check_plan`.

        Raises: FormatError, PlanError (a literal or parameter that is none).
        """
        fields = Fields(decode(raw, LIMITS.plan_bytes, "a plan"), "a plan")
        fields.type(cls.TYPE)
        plan = cls(
            title=fields.text("title", _TITLE_LENGTH),
            mode=fields.choice("mode", MODES),
            contract=fields.digest("contract"),
            script_name=fields.text("script_name", _SCRIPT_NAME_LENGTH),
            script=fields.text("script", LIMITS.script_bytes),
            packages=_read_packages(fields.value("packages")),
            inputs=fields.items("inputs", LIMITS.inputs, PlanInput.read),
            nodes=fields.items("nodes", LIMITS.nodes, Node.read),
            outputs=fields.items("outputs", LIMITS.outputs, PlanOutput.read),
        )
        fields.done()
        if plan.encode() != raw:  # an encoding that loses something must never pass
            raise FormatError("a plan does not encode to the bytes it was read from")
        return plan


def _read_packages(value: Json) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or len(value) > _PACKAGES:
        raise FormatError(f"the packages of a plan are not an object with at most {_PACKAGES}")
    fields = Fields(value, "the packages of a plan")
    return {name: fields.text(name, _VERSION_LENGTH) for name in value}
