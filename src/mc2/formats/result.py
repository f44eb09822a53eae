"""A sealed result: chunks under a fresh key, the key sealed to each recipient.

Or kept: its key split among the owners of what it derives from, for later jobs and nobody.

Spec: docs/spec/result.md. A result is not signed itself; its digest stands in the receipt, which
is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest, digest
from mc2.crypto.labels import Label
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.facts import MOST_WIDTH, TableFacts, read_keys
from mc2.formats.fields import Fields, check_dataset_name, check_name, to_base64
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ChunkRef, UsagePolicy, chunk_count
from mc2.formats.release import JobContext
from mc2.formats.schema import Column, DataType, Schema, width_paths

KINDS: Final = ("model", "table")
KEPT: Final = "kept"
"""Stands where a dataset's name has its owner: `kept.base` is the kept result `base`."""

MODEL_COLUMNS: Final = Schema((Column("model", DataType("binary"), nullable=False),))
"""A kept model as a later job reads it: one row, whose one value is the model's file."""

_SEALED_KEY_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Padding:
    """How a padded result is laid out: at most so many rows, so many in a chunk, texts so wide."""

    row_bound: int
    rows_per_chunk: int
    widths: Mapping[str, int]

    def json(self) -> Json:
        """The padding as canonical JSON has it."""
        return {
            "row_bound": self.row_bound,
            "rows_per_chunk": self.rows_per_chunk,
            "widths": dict(self.widths),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read the padding. Raises: FormatError."""
        fields = Fields(value, "the padding of a result")
        widths = Fields(fields.value("widths"), "the widths of a result")
        names = sorted(_names(value))
        found = cls(
            fields.integer("row_bound", 0, LIMITS.row_bound),
            fields.integer("rows_per_chunk", 1, LIMITS.chunk_rows),
            {name: widths.integer(name, 0, MOST_WIDTH) for name in names},
        )
        fields.done()
        return found


def _names(value: Json) -> list[str]:
    widths = value.get("widths") if isinstance(value, Mapping) else None
    return list(widths) if isinstance(widths, Mapping) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What later jobs must know of a result that stays sealed.

    `policy` is the strictest of all that the result derives from, `origins`: datasets and kept
    results by name. `shares` holds, for each owner, the commitment to its share of the key, so
    that whoever grants a wrong one is known by name. `unique` are keys of a padded table, as in
    `mc2.formats.facts`. `model` are the facts of a model, which `mc2.plan.kept_models` reads; None
    for a table.
    """

    row_bound: int
    policy: UsagePolicy
    origins: Mapping[str, Digest]
    shares: Mapping[str, str]
    unique: tuple[tuple[str, ...], ...] = ()
    model: Mapping[str, Json] | None = None

    def __post_init__(self) -> None:
        if self.policy.columns is not None:
            raise FormatError("the policy of a kept result names columns: all of it was derived")
        if not self.origins:
            raise FormatError("a kept result derives from at least one dataset")
        if self.model is not None and self.row_bound != 1:
            raise FormatError("a kept model is read as one row")

    def json(self) -> Json:
        """These facts as canonical JSON has them."""
        return {
            "row_bound": self.row_bound,
            "policy": self.policy.json(),
            "origins": dict(self.origins),
            "shares": dict(self.shares),
            "unique": [list(key) for key in self.unique],
            "model": None if self.model is None else dict(self.model),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read them. Raises: FormatError."""
        fields = Fields(value, "what is kept")
        origins, shares = fields.value("origins"), fields.value("shares")
        model = fields.value("model")
        if model is not None and not isinstance(model, Mapping):
            raise FormatError("the facts of a kept model are not an object")
        if not isinstance(origins, Mapping) or len(origins) > LIMITS.inputs:
            raise FormatError("the origins of a kept result are not an object")
        if not isinstance(shares, Mapping) or len(shares) > LIMITS.members:
            raise FormatError("the shares of a kept result are not an object")
        of, by = Fields(origins, "the origins"), Fields(shares, "the shares")
        found = cls(
            row_bound=fields.integer("row_bound", 0, LIMITS.row_bound),
            policy=UsagePolicy.read(fields.fields("policy")),
            origins={check_dataset_name(n, "an origin"): of.digest(n) for n in origins},
            shares={check_name(n, "an owner"): by.hex(n, 32) for n in shares},
            unique=read_keys(fields),
            model=model,
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One output of a job, for its recipients.

    `kind` is `table` (chunks of Arrow rows in `schema`) or `model` (the bytes of an XGBoost JSON
    model; `schema` is None). `keys` holds, for each recipient, the result's key sealed to it.
    `padding` is that of oblivious mode: chunks in fixed places, all of one size, of which only
    recipients learn how full they are; otherwise None. A `kept` result has no recipients: `keys`
    then holds, for each owner of what it derives from, its share of the key.
    """

    TYPE: ClassVar[str] = "mc2/result/v1"

    context: JobContext
    output: str
    kind: str
    schema: Schema | None
    key_commitment: str
    keys: Mapping[str, bytes]
    chunks: tuple[ChunkRef, ...]
    padding: Padding | None = None
    kept: Kept | None = None

    def __post_init__(self) -> None:
        if self.kept is not None and (
            (self.kind == "model") != (self.kept.model is not None)
            or self.kept.shares.keys() != self.keys.keys()
        ):
            raise FormatError("a kept result has a key for each share; a model has its facts")
        if self.kept is not None and (
            (0 if self.padding is None else self.padding.row_bound) > self.kept.row_bound
            or (self.padding is None and self.kept.unique)
        ):
            raise FormatError("a kept result has room for more rows than its bound, or loose keys")
        if self.padding is not None and (
            self.schema is None
            or set(self.padding.widths) != set(width_paths(self.schema))
            or len({c.size for c in self.chunks}) != 1
            or len(self.chunks) != chunk_count(self.padding.row_bound, self.padding.rows_per_chunk)
        ):
            raise FormatError("the padding of a result is not that of its chunks")
        if (self.kind == "table") != (self.schema is not None):
            raise FormatError("a table result has a schema, and no other result has one")
        if not self.chunks:
            raise FormatError("a result has at least one chunk")
        if self.columns is not None:
            self.facts.check(self.columns)

    def json(self) -> Json:
        """The result as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "output": self.output,
            "kind": self.kind,
            "schema": None if self.schema is None else self.schema.json(),
            "padding": None if self.padding is None else self.padding.json(),
            "kept": None if self.kept is None else self.kept.json(),
            "key_commitment": self.key_commitment,
            "keys": {name: to_base64(sealed) for name, sealed in self.keys.items()},
            "chunks": [c.json() for c in self.chunks],
        }

    def encode(self) -> bytes:
        """The bytes that its digest names."""
        return encode(self.json())

    @property
    def digest(self) -> Digest:
        """The result's name, a subject of the receipt."""
        return digest(self.encode())

    @property
    def columns(self) -> Schema | None:
        """The columns that a later job reads of it: a table's own, or those of a kept model."""
        is_model = self.kept is not None and self.kept.model is not None
        return MODEL_COLUMNS if is_model else self.schema

    @property
    def sizes(self) -> str:
        """What a later job's plan says of its chunks: as of a dataset's."""
        return "exact" if self.padding is None else "padded"

    @property
    def facts(self) -> TableFacts:
        """What is public of a kept table's values: of a padded one, widths and unique keys."""
        if self.padding is None:
            return TableFacts()
        unique = () if self.kept is None else self.kept.unique
        return TableFacts(widths=self.padding.widths, unique=unique)

    @property
    def row_bound(self) -> int:
        """At most so many rows: as many as there are places, or as the plan that kept it says."""
        if self.padding is not None:
            return self.padding.row_bound
        return LIMITS.row_bound if self.kept is None else self.kept.row_bound

    @property
    def dataset(self) -> str:
        """The name under which later jobs read a kept result."""
        return kept_name(self.output)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a result. Raises: FormatError."""
        return cls.read(decode(raw, LIMITS.receipt_bytes, "a result"))

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded result. Raises: FormatError."""
        fields = Fields(value, "a result")
        fields.type(cls.TYPE)
        schema = fields.value("schema")
        padding, kept = fields.value("padding"), fields.value("kept")
        keys = fields.value("keys")
        if not isinstance(keys, Mapping) or not 1 <= len(keys) <= LIMITS.members:
            raise FormatError("the keys of a result are not an object with its recipients")
        named = Fields(keys, "the keys of a result")
        found = cls(
            context=JobContext.read(fields),
            output=fields.name("output"),
            kind=fields.choice("kind", KINDS),
            schema=None if schema is None else Schema.read(schema),
            key_commitment=fields.hex("key_commitment", 32),
            keys={
                check_name(name, "a recipient"): named.base64(name, _SEALED_KEY_BYTES)
                for name in keys
            },
            chunks=fields.items("chunks", LIMITS.chunks, ChunkRef.read),
            padding=None if padding is None else Padding.read(padding),
            kept=None if kept is None else Kept.read(kept),
        )
        fields.done()
        return found

    def associated_data(self, index: int) -> bytes:
        """What chunk `index` is bound to."""
        return result_associated_data(self.context, self.output, index, len(self.chunks))


def result_associated_data(context: JobContext, output: str, index: int, count: int) -> bytes:
    """Binds a chunk to the attempt, the output, its place, and being last or not."""
    bound: Json = {**context.json(), "output": output, "index": index, "count": count}
    return Label.RESULT_CHUNK.prefix() + encode(bound)


def result_key_info(context: JobContext, output: str, recipient: str) -> bytes:
    """The HPKE `info` under which a result's key is sealed to one recipient."""
    bound: Json = {**context.json(), "output": output, "recipient": recipient}
    return Label.RESULT_INFO.prefix() + encode(bound)


def kept_name(output: str) -> str:
    """The name under which later jobs read an output that is kept."""
    return f"{KEPT}.{output}"


def result_share_info(context: JobContext, output: str, owner: str) -> bytes:
    """The HPKE `info` under which an owner's share of a kept result's key is sealed to it."""
    bound: Json = {**context.json(), "output": output, "owner": owner}
    return Label.RESULT_SHARE.prefix() + encode(bound)
