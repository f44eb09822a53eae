"""The signed manifest of a sealed dataset version. Spec: docs/spec/dataset.md."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest, digest_bytes
from mc2.crypto.labels import Label
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.envelope import PayloadType
from mc2.formats.facts import TableFacts
from mc2.formats.fields import Fields, check_name, check_sorted_unique, text_item, to_time
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Schema, width_paths
from mc2.formats.statement import Statement

LARGEST_VERSION: Final = 1 << 31
_COLUMN_NAME_LENGTH: Final = 255
_SEALED_KEY_BYTES: Final = 48  # 32 bytes and a tag

_LEAF_ROWS: Final = 10_000_000
_LEAF_OWNERS: Final = 64
ALL_COLUMNS: Final = "all"
ALL_MEMBERS: Final = "members"
SIZES: Final = ("exact", "padded")
COMPRESSIONS: Final = ("lz4", "none", "zstd")
HOSTED: Final = "hosted"
HOME: Final = "home"
PLACEMENTS: Final = (HOME, HOSTED)


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """What models must not tell of the rows that they are trained on.

    Each leaf holds at least `leaf_rows` rows, of at least `leaf_owners` owners. `bare` takes out
    how many rows reach each node and how much each split gained. `public_thresholds` lets models
    split at numbers that the plan names only.
    """

    leaf_rows: int = 0
    leaf_owners: int = 0
    bare: bool = False
    public_thresholds: bool = False

    def json(self) -> Json:
        """The rules as canonical JSON has them."""
        return {
            "leaf_rows": self.leaf_rows,
            "leaf_owners": self.leaf_owners,
            "bare": self.bare,
            "public_thresholds": self.public_thresholds,
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read the rules. Raises: FormatError."""
        fields = Fields(value, "the rules for models")
        found = cls(
            fields.integer("leaf_rows", 0, _LEAF_ROWS),
            fields.integer("leaf_owners", 0, _LEAF_OWNERS),
            fields.boolean("bare"),
            fields.boolean("public_thresholds"),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class UsagePolicy:
    """What the owner allows to be done with a dataset; the enclave enforces it on lineage.

    `columns`: those a plan may read, or None for all. `recipients`: the members that may receive
    anything derived from it, or None for every recipient of the contract. `not_after`: no job
    starts later, or None while the contract lasts. `models`: what models trained on it must not
    tell, or None for no rule.
    """

    columns: tuple[str, ...] | None = None
    recipients: tuple[str, ...] | None = None
    not_after: datetime | None = None
    models: ModelPolicy | None = None

    def json(self) -> Json:
        """The policy as canonical JSON has it: nothing is left out, so nothing is unsaid."""
        return {
            "columns": ALL_COLUMNS if self.columns is None else list(self.columns),
            "recipients": ALL_MEMBERS if self.recipients is None else list(self.recipients),
            "not_after": None if self.not_after is None else to_time(self.not_after),
            "models": None if self.models is None else self.models.json(),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read the policy. Raises: FormatError."""
        policy = cls(
            _names_or_word(fields, "columns", ALL_COLUMNS, _column_name),
            _names_or_word(fields, "recipients", ALL_MEMBERS, check_name),
            fields.optional("not_after", fields.time),
            fields.optional("models", lambda name: ModelPolicy.read(fields.value(name))),
        )
        fields.done()
        return policy


def _column_name(text: str, what: str) -> str:
    if not 1 <= len(text) <= _COLUMN_NAME_LENGTH:
        raise FormatError(f"{what} is not a column's name")
    return text


def _names_or_word(
    fields: Fields, name: str, word: str, check: Callable[[str, str], str]
) -> tuple[str, ...] | None:
    value = fields.value(name)
    if value == word:
        return None
    again = Fields({name: value}, fields.what)
    items = again.items(name, LIMITS.columns, text_item(f"an item of {name}", check))
    check_sorted_unique(items, name)
    return items


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """A sealed chunk, or part of one: its name, the ciphertext's digest, and its size in bytes."""

    digest: Digest
    size: int

    def json(self) -> Json:
        """The reference as canonical JSON has it."""
        return {"digest": self.digest, "bytes": self.size}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one reference. Raises: FormatError."""
        fields = Fields(value, "a chunk reference")
        found = cls(fields.digest("digest"), fields.integer("bytes", 1, LIMITS.chunk_bytes))
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows that an earlier version brought, and that this one keeps as they were sealed.

    `sealed_key` is their data key under that of the version which keeps them, in hex.
    """

    version: int
    row_bound: int
    key_commitment: str
    sealed_key: str

    def json(self) -> Json:
        """The segment as canonical JSON has it."""
        return {
            "version": self.version,
            "row_bound": self.row_bound,
            "key_commitment": self.key_commitment,
            "sealed_key": self.sealed_key,
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one segment. Raises: FormatError."""
        fields = Fields(value, "a segment")
        found = cls(
            fields.integer("version", 1, LARGEST_VERSION),
            fields.integer("row_bound", 0, LIMITS.row_bound),
            fields.hex("key_commitment", 32),
            fields.hex("sealed_key", _SEALED_KEY_BYTES),
        )
        fields.done()
        return found


def _place(value: Json) -> int:
    """Read the place of a column. Raises: FormatError."""
    fields = Fields({"place": value}, "a cut")
    return fields.integer("place", 1, LIMITS.columns - 1)


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """Where a chunk stands: in which segment, sealed with which version, the how many-th of it."""

    segment: int
    version: int
    index: int
    count: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Statement):
    """One version of one sealed table.

    `dataset` is `owner.table`; `dataset_id` is random and separates two tables of one name.
    `key_salt` is random for each sealing run: from it and the owner's master secret the data key
    is derived, and `key_commitment` binds that key, so that no two keys open one dataset.
    `earlier` are the segments that the version keeps of versions before it; `row_bound` and
    `chunks` are of all segments, the version's own being the last.
    Each chunk of rows is sealed in parts, so that a reader opens the columns it needs: `cuts` are
    the columns before which a chunk is cut, and `chunks` has the parts of the first chunk, then
    those of the second. A padded table is not cut.
    With sizes `exact`, `row_bound` is the number of rows; with `padded` it is only their bound,
    every chunk has the same size, and how many rows are real stands inside the chunks; `facts`
    then has the widths of all that has no fixed one.
    With placement `home` the chunks stay with the owner, and only an enclave on its premises opens
    them (docs/spec/home.md); with `hosted` a coordinator keeps them.
    """

    TYPE: ClassVar[str] = "mc2/manifest/v1"
    PAYLOAD_TYPE: ClassVar[str] = PayloadType.MANIFEST
    LIMIT: ClassVar[int] = LIMITS.manifest_bytes

    dataset: str
    owner: str
    dataset_id: str
    version: int
    created: datetime
    schema: Schema
    sizes: str
    compression: str
    row_bound: int
    rows_per_chunk: int
    key_salt: str
    key_commitment: str
    policy: UsagePolicy
    chunks: tuple[ChunkRef, ...]
    facts: TableFacts = field(default_factory=TableFacts)
    earlier: tuple[Segment, ...] = ()
    cuts: tuple[int, ...] = ()
    placement: str = HOSTED

    def __post_init__(self) -> None:
        versions = (*(s.version for s in self.earlier), self.version)
        if any(a >= b for a, b in pairwise(versions)):
            raise FormatError(f"the versions of the segments of {self.dataset} do not rise")
        if self.own_rows < 0:
            raise FormatError(f"{self.dataset} has fewer rows than its segments")
        if self.dataset.partition(".")[0] != self.owner:
            raise FormatError(f"{self.dataset} is not a dataset of {self.owner}")
        if any(a >= b for a, b in pairwise((0, *self.cuts, len(self.schema)))):
            raise FormatError(f"the cuts of {self.dataset} are not columns in rising order")
        if self.cuts and self.sizes == "padded":
            raise FormatError(f"{self.dataset} is padded, but its chunks are cut")
        if len(self.chunks) != self.whole_chunks * len(self.parts):
            raise FormatError(f"{self.dataset} has not as many chunks as its row bound says")
        if self.sizes == "padded" and (
            self.compression != "none" or len({c.size for c in self.chunks}) != 1
        ):
            raise FormatError(f"{self.dataset} is padded, but its chunks differ in size")
        if set(self.facts.widths) != set(
            width_paths(self.schema) if self.sizes == "padded" else ()
        ):
            raise FormatError(f"{self.dataset} has not the widths of exactly its columns")
        self.facts.check(self.schema)
        unknown = set(self.policy.columns or ()) - set(self.schema.names)
        if unknown:
            raise FormatError(f"the policy of {self.dataset} names no column: {min(unknown)!r}")

    @property
    def signer(self) -> str:
        """The owner signs."""
        return self.owner

    def json(self) -> Json:
        """The manifest as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "dataset": self.dataset,
            "owner": self.owner,
            "dataset_id": self.dataset_id,
            "version": self.version,
            "created": to_time(self.created),
            "schema": self.schema.json(),
            "sizes": self.sizes,
            "placement": self.placement,
            "compression": self.compression,
            "row_bound": self.row_bound,
            "rows_per_chunk": self.rows_per_chunk,
            "key_salt": self.key_salt,
            "key_commitment": self.key_commitment,
            "policy": self.policy.json(),
            "facts": self.facts.json(),
            "earlier": [s.json() for s in self.earlier],
            "cuts": list(self.cuts),
            "chunks": [c.json() for c in self.chunks],
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the manifest's fields. Raises: FormatError."""
        return cls(
            dataset=fields.dataset("dataset"),
            owner=fields.name("owner"),
            dataset_id=fields.hex("dataset_id", 16),
            version=fields.integer("version", 1, LARGEST_VERSION),
            created=fields.time("created"),
            schema=Schema.read(fields.value("schema")),
            sizes=fields.choice("sizes", SIZES),
            placement=fields.choice("placement", PLACEMENTS),
            compression=fields.choice("compression", COMPRESSIONS),
            row_bound=fields.integer("row_bound", 0, LIMITS.row_bound),
            rows_per_chunk=fields.integer("rows_per_chunk", 1, LIMITS.chunk_rows),
            key_salt=fields.hex("key_salt", 32),
            key_commitment=fields.hex("key_commitment", 32),
            policy=UsagePolicy.read(fields.fields("policy")),
            facts=TableFacts.read(fields.value("facts")),
            earlier=fields.items("earlier", LIMITS.segments, Segment.read),
            cuts=fields.items("cuts", LIMITS.columns, _place),
            chunks=fields.items("chunks", LIMITS.chunks, ChunkRef.read),
        )

    @property
    def own_rows(self) -> int:
        """The bound of the rows that came with this version."""
        return self.row_bound - sum(s.row_bound for s in self.earlier)

    @property
    def parts(self) -> tuple[range, ...]:
        """The columns of each part of a chunk, by their places in the schema."""
        return _parts(self.cuts, len(self.schema))

    @property
    def whole_chunks(self) -> int:
        """How many chunks there are, in as many parts each."""
        return sum(self._counts())

    def part(self, index: int, part: int) -> ChunkRef:
        """What part `part` of chunk `index` is called, and its size."""
        return self.chunks[index * len(self.parts) + part]

    def parts_with(self, names: Collection[str]) -> tuple[int, ...]:
        """The parts that hold some columns; all parts if none is named."""
        wanted = [i for i, column in enumerate(self.schema.columns) if column.name in names]
        return tuple(
            number
            for number, columns in enumerate(self.parts)
            if not names or any(i in columns for i in wanted)
        )

    def _counts(self) -> list[int]:
        rows = [*(s.row_bound for s in self.earlier), self.own_rows]
        return [chunk_count(bound, self.rows_per_chunk) for bound in rows]

    def place(self, index: int) -> ChunkPlace:
        """Where chunk `index` of the whole table stands. Raises: FormatError if there is none."""
        parts = [*((s.version, s.row_bound) for s in self.earlier), (self.version, self.own_rows)]
        first = 0
        for segment, ((version, rows), count) in enumerate(zip(parts, self._counts(), strict=True)):
            if first <= index < first + count:
                before = (index - first) * self.rows_per_chunk
                room = min(self.rows_per_chunk, rows - before)
                return ChunkPlace(segment, version, index - first, count, room)
            first += count
        raise FormatError(f"{self.dataset} version {self.version} has no chunk {index}")

    @property
    def fixed(self) -> bool:
        """Whether every value has a place of its own in a chunk: `mc2.formats.fixed`."""
        return self.sizes == "padded"

    def associated_data(self, index: int, part: int = 0) -> bytes:
        """What a part of chunk `index` is bound to (docs/spec/dataset.md, "Associated data")."""
        place = self.place(index)
        return dataset_associated_data(
            self.dataset_id,
            place.version,
            self.schema.digest,
            place.index,
            place.count,
            self.parts[part],
        )

    def segment_associated_data(self, number: int) -> bytes:
        """What the sealed key of segment `number` is bound to."""
        segment = self.earlier[number]
        return (
            Label.SEGMENT_KEY.prefix()
            + bytes.fromhex(self.dataset_id)
            + self.version.to_bytes(8, "big")
            + digest_bytes(self.schema.digest)
            + number.to_bytes(8, "big")
            + segment.version.to_bytes(8, "big")
            + segment.row_bound.to_bytes(8, "big")
            + bytes.fromhex(segment.key_commitment)
        )


@lru_cache(maxsize=256)
def _parts(cuts: tuple[int, ...], columns: int) -> tuple[range, ...]:
    """Each part of a chunk asks for all of them, in tables of up to thousands of columns."""
    return tuple(range(a, b) for a, b in pairwise((0, *cuts, columns)))


def chunk_count(row_bound: int, rows_per_chunk: int) -> int:
    """How many chunks a table has; an empty table has one empty chunk."""
    return max(1, -(-row_bound // rows_per_chunk))


def dataset_associated_data(
    dataset_id: str, version: int, schema: Digest, index: int, count: int, columns: range
) -> bytes:
    """Binds a part to its table, version and schema, its columns, its place, and being last or not.

    Without it a host could swap, drop, repeat or cut off chunks, swap columns of one type, or mix
    two versions.
    """
    return (
        Label.DATASET_CHUNK.prefix()
        + bytes.fromhex(dataset_id)
        + version.to_bytes(8, "big")
        + digest_bytes(schema)
        + index.to_bytes(8, "big")
        + count.to_bytes(8, "big")
        + (b"\x01" if index == count - 1 else b"\x00")
        + columns.start.to_bytes(8, "big")
        + columns.stop.to_bytes(8, "big")
    )
