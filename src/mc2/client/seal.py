"""Seals a table: rows become encrypted chunks, and a signed manifest that names them.

The table is read twice: once to find its schema and size, since the number of chunks is bound
into each of them, and once to seal it. A run that breaks off leaves nothing that could be
continued under the same key: the next one has a fresh salt, hence another key.
Spec: docs/spec/dataset.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import pyarrow as pa

from mc2.client.append import check_may_append, joined
from mc2.client.blobs import BlobSink
from mc2.client.data_key import derive_data_key
from mc2.client.facts import FactsCheck
from mc2.client.padding import check_declared, padded_bytes
from mc2.client.progress import Progress, no_progress
from mc2.client.rows import choose_cuts, choose_rows_per_chunk, cut
from mc2.client.seal_chunks import ChunkSealer
from mc2.client.sources.source import RowSource, Survey, changed, exactly
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.crypto.signatures import Signer
from mc2.errors import DatasetError, FormatError, UsageError
from mc2.formats.arrow import arrow_schema
from mc2.formats.canonical import encode
from mc2.formats.facts import Range, TableFacts
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import (
    COMPRESSIONS,
    HOSTED,
    PLACEMENTS,
    SIZES,
    ChunkRef,
    Manifest,
    UsagePolicy,
    chunk_count,
)

DEFAULT_COMPRESSION: Final = "zstd"
"""What exact sizes are sealed with unless told otherwise; the numbers: docs/benchmarks.md."""

_SALT_BYTES: Final = 32
_DATASET_ID_BYTES: Final = 16
_NO_CHUNK: Final = ChunkRef(digest(b""), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What the owner says of a dataset version.

    `dataset_id` is that of its earlier versions; empty for a new dataset, which gets a random one.
    `after` is the version whose rows this one keeps, if it only adds to them.
    """

    dataset: str
    version: int
    created: datetime
    policy: UsagePolicy = field(default_factory=UsagePolicy)
    dataset_id: str = ""
    after: Manifest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerKeys:
    """What the owner seals and signs with: the master secret and the signing key."""

    secret: bytes | bytearray = field(repr=False)
    signer: Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class SealOptions:
    """How a table is sealed.

    With sizes `padded`, `row_bound` is required, and `widths` for all that has no fixed width
    (`mc2.formats.schema.width_paths`); ciphertext sizes then say nothing more than those.
    `rows_per_chunk` zero and `compression` empty leave the choice to mc2. `unique`, `ranges`,
    `domains` and `ascending` are facts for everybody to know (`mc2.formats.facts`), checked here
    over all rows. With placement `home` the sealed chunks are not uploaded (docs/spec/home.md).
    """

    sizes: str = "exact"
    row_bound: int | None = None
    widths: Mapping[str, int] = field(default_factory=dict)
    rows_per_chunk: int = 0
    compression: str = ""
    unique: tuple[tuple[str, ...], ...] = ()
    ranges: Mapping[str, Range] = field(default_factory=dict)
    domains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ascending: tuple[str, ...] = ()
    append: bool = False
    placement: str = HOSTED

    def like(self, after: Manifest) -> SealOptions:
        """The same, sealed as an earlier version was; only the bound of the new rows is free."""
        return SealOptions(
            sizes=after.sizes,
            row_bound=self.row_bound,
            widths=after.facts.widths,
            rows_per_chunk=after.rows_per_chunk,
            compression=after.compression,
            unique=after.facts.unique,
            ranges=after.facts.ranges,
            domains=after.facts.domains,
            ascending=after.facts.ascending,
            placement=after.placement,
        )

    @property
    def facts(self) -> TableFacts:
        """What the manifest declares, in its one order."""
        return TableFacts(
            dict(self.widths),
            tuple(sorted({tuple(sorted(set(key))) for key in self.unique})),
            dict(self.ranges),
            {name: tuple(sorted(set(values))) for name, values in self.domains.items()},
            tuple(sorted(set(self.ascending))),
        )

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise UsageError(f"a placement is one of {', '.join(PLACEMENTS)}")
        if self.sizes not in SIZES:
            raise UsageError(f"sizes are one of {', '.join(SIZES)}")
        if self.compression not in {"", *COMPRESSIONS}:
            raise UsageError(f"compression is one of {', '.join(COMPRESSIONS)}")
        if not 0 <= self.rows_per_chunk <= LIMITS.chunk_rows:
            raise UsageError(f"a chunk has at most {LIMITS.chunk_rows} rows")
        padded = self.sizes == "padded"
        if padded and self.row_bound is None:
            raise UsageError("a padded table needs a bound on its rows", hint="for instance 100000")
        if padded and self.compression not in {"", "none"}:
            raise UsageError("a padded table is not compressed: the size would tell of the data")
        if not padded and (self.row_bound is not None or self.widths):
            raise UsageError("a row bound and widths are for padded tables")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed dataset version, ready to be published once all its chunks are."""

    manifest: Manifest
    envelope: bytes
    digest: Digest
    rows: int


def seal_table(
    source: RowSource,
    version: NewVersion,
    owner: OwnerKeys,
    sink: BlobSink,
    options: SealOptions | None = None,
    progress: Progress = no_progress,
) -> Sealed:
    """Seal a table into a sink, chunk by chunk; the manifest is signed when all are stored.

    Raises: DatasetError if the table changes meanwhile or breaks its declared shape, UsageError,
    and what the sink raises.
    """
    options = options or SealOptions()
    if version.after is not None:
        options = options.like(version.after)
    survey = source.survey(lambda rows: progress("reading", rows, 0))
    draft, size = _draft(source.name, survey, version, options)
    salt = secrets.token_bytes(_SALT_BYTES)
    with derive_data_key(owner.secret, salt) as key:
        draft = replace(draft, key_salt=salt.hex(), key_commitment=key.commitment())
        _check_draft(draft)
        cipher = ChunkCipher(key.raw)
        whole = draft
        if version.after is not None:
            check_may_append(version.after, survey.schema)
            whole = joined(draft, version.after, owner.secret, key)
            _check_draft(whole)
    sealer = ChunkSealer(cipher, draft, sink, table=source.name, size=size, widths=options.widths)
    count = len(draft.chunks)
    refs: list[ChunkRef] = []
    for ref in sealer.seal(_chunks(source, survey, draft)):
        refs.append(ref)
        progress("sealing", len(refs), count)
    manifest = replace(whole, chunks=(*whole.chunks[: len(whole.chunks) - count], *refs))
    return Sealed(manifest, manifest.sign(owner.signer), manifest.digest, survey.rows)


def _draft(
    table: str, survey: Survey, version: NewVersion, options: SealOptions
) -> tuple[Manifest, int]:
    """The manifest without key and chunks, and the chunks' size if it is fixed."""
    padded = options.sizes == "padded"
    row_bound = survey.rows if options.row_bound is None else options.row_bound
    if survey.rows > row_bound:
        raise DatasetError(
            f"{table} has more rows than the declared bound of {row_bound}",
            hint="declare a larger bound",
        )
    if row_bound > LIMITS.row_bound:
        raise UsageError(f"a table has at most {LIMITS.row_bound} rows")
    size = 0
    if padded:
        check_declared(survey.schema, options.widths)
        rows = options.rows_per_chunk or _padded_rows(survey, options.widths, row_bound)
        size = padded_bytes(survey.schema, options.widths, rows)
        if size > LIMITS.chunk_plain_bytes:
            raise UsageError(
                f"{rows} padded rows do not fit into a chunk", hint="take fewer rows per chunk"
            )
    else:
        rows = options.rows_per_chunk or choose_rows_per_chunk(survey.row_bytes, parted=True)
    count = chunk_count(row_bound, rows)
    cuts = () if padded else choose_cuts(survey.schema, min(rows, row_bound), count)
    if version.after is not None:
        cuts = version.after.cuts  # all segments of a table are cut alike
    if count * (len(cuts) + 1) > LIMITS.chunks:
        raise UsageError(
            f"{table} would have more than {LIMITS.chunks} chunks",
            hint="take more rows per chunk, or split the table",
        )
    try:
        return Manifest(
            dataset=version.dataset,
            owner=version.dataset.partition(".")[0],
            dataset_id=version.dataset_id or secrets.token_hex(_DATASET_ID_BYTES),
            version=version.version,
            created=version.created,
            schema=survey.schema,
            sizes=options.sizes,
            placement=options.placement,
            compression=options.compression or ("none" if padded else DEFAULT_COMPRESSION),
            row_bound=row_bound,
            rows_per_chunk=rows,
            key_salt="",
            key_commitment="",
            policy=version.policy,
            chunks=(_NO_CHUNK,) * (count * (len(cuts) + 1)),
            cuts=cuts,
            facts=options.facts,
        ), size
    except FormatError as error:
        raise UsageError(str(error), hint=error.hint) from None


def _padded_rows(survey: Survey, widths: Mapping[str, int], row_bound: int) -> int:
    """Rows per chunk by public facts alone, and so that the last chunk is not mostly padding."""
    many = 1 << 16
    most = choose_rows_per_chunk(padded_bytes(survey.schema, widths, many) / many)
    return max(1, -(-row_bound // chunk_count(row_bound, most)))


def _check_draft(draft: Manifest) -> None:
    """Refuse before the work what every reader would refuse after it. Raises: UsageError."""
    try:
        Manifest.parse(encode(draft.json()))
    except FormatError as error:
        raise UsageError(f"{draft.dataset} cannot be sealed: {error}", hint=error.hint) from None


def _chunks(source: RowSource, survey: Survey, draft: Manifest) -> Iterator[pa.RecordBatch]:
    """The rows cut into chunks, and empty ones up to the number of chunks."""
    expected = arrow_schema(survey.schema)
    facts = FactsCheck(source.name, draft.facts, survey.schema)
    # Sources check this themselves; what is signed does not rest on that.
    rows = exactly(source.name, survey.rows, source.batches(survey))
    made = 0
    for batch in cut(source.name, rows, draft.rows_per_chunk):
        if not batch.schema.equals(expected, check_metadata=True):
            raise changed(source.name)
        made += 1
        facts.see(batch)
        yield batch
    facts.done()
    empty = pa.RecordBatch.from_pylist([], schema=expected)
    for _ in range(draft.whole_chunks - made):
        yield empty
