"""Seals what a job gives, for exactly the recipients that its plan names. Step E19.

What the plan keeps has none: its key is split among the owners of what it derives from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.crypto.hpke import ReceivingPublicKey
from mc2.crypto.secret import DataKey
from mc2.enclave.kept import Shared
from mc2.engine.outputs import ModelOutput, Output, PaddedOutput, TableOutput
from mc2.errors import EngineError, FormatError
from mc2.formats.arrow import arrow_schema
from mc2.formats.chunk import pack, pack_rows, room_for
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ChunkRef
from mc2.formats.release import JobContext
from mc2.formats.result import Kept, Padding, Result, result_associated_data, result_key_info
from mc2.formats.schema import Schema
from mc2.plan.plan import PlanOutput

_CHUNK_BYTES: Final = 8 * 1024 * 1024
"""How large a chunk of a result becomes at most, unless a single row is larger."""


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An output as the engine gave it, and as the plan declares it."""

    declared: PlanOutput
    schema: Schema | None
    output: Output

    def parts(self) -> list[_Part]:
        """What goes into its chunks. Raises: EngineError if it is not as declared."""
        if isinstance(self.output, TableOutput) and self.declared.kind == "table":
            return [_row_part(self.declared.name, b) for b in self._batches(self.output)]
        if isinstance(self.output, PaddedOutput) and self.declared.kind == "table":
            if self.output.schema != self.schema:
                raise EngineError(
                    f"the engine gave the output {self.declared.name} with other columns"
                )
            return [_padded_part(c) for c in self.output.chunks]
        if isinstance(self.output, ModelOutput) and self.declared.kind == "model":
            return [_model_part(p) for p in _cut(self.output)]
        raise EngineError(f"the engine gave the output {self.declared.name} in another kind")

    @property
    def padding(self) -> Padding | None:
        """How a padded output is laid out; None if it is none."""
        if not isinstance(self.output, PaddedOutput):
            return None
        return Padding(self.output.row_bound, self.output.places.rows, self.output.widths)

    def _batches(self, output: TableOutput) -> list[pa.RecordBatch]:
        name = self.declared.name
        if self.schema is None or not output.table.schema.equals(
            arrow_schema(self.schema), check_metadata=True
        ):
            raise EngineError(f"the engine gave the output {name} with other columns than planned")
        for column in self.schema.columns:
            if not column.nullable and output.table.column(column.name).null_count:
                raise EngineError(f"the engine gave NULL in {column.name!r} of the output {name}")
        pieces = _pieces(output.table)
        if len(pieces) > LIMITS.chunks:
            raise EngineError(f"the output {name} has more than {LIMITS.chunks} chunks")
        return pieces


def seal_output(
    unsealed: Unsealed,
    context: JobContext,
    recipients: Mapping[str, ReceivingPublicKey] | Shared,
    write_chunk: Callable[[Digest, bytes], None],
) -> Result:
    """Seal one output under a fresh key, hand out its chunks, and give the result that names them.

    Raises: EngineError if the output is not as declared, or a single row is larger than a chunk
    may be; what `write_chunk` raises.
    """
    name = unsealed.declared.name
    parts = unsealed.parts()
    with DataKey.generate() as key:
        cipher = ChunkCipher(key.raw)
        chunks = []
        for index, part in enumerate(parts):
            bound = result_associated_data(context, name, index, len(parts))
            sealed = cipher.seal(index, part(), bound)
            chunks.append(ChunkRef(digest(sealed), len(sealed)))
            write_chunk(chunks[-1].digest, sealed)
        keys, kept = _seal_keys(key, context, name, recipients)
        return Result(
            context=context,
            output=name,
            kind=unsealed.declared.kind,
            schema=unsealed.schema,
            key_commitment=key.commitment(),
            keys=keys,
            chunks=tuple(chunks),
            padding=unsealed.padding,
            kept=kept,
        )


def _seal_keys(
    key: DataKey,
    context: JobContext,
    name: str,
    recipients: Mapping[str, ReceivingPublicKey] | Shared,
) -> tuple[dict[str, bytes], Kept | None]:
    if isinstance(recipients, Shared):
        return recipients.split(key, context, name)
    return {
        who: public.seal(key.raw, result_key_info(context, name, who))
        for who, public in sorted(recipients.items())
    }, None


_Part = Callable[[], bytes]
"""Makes the plaintext of one chunk; all are counted before the first is made."""


def _row_part(name: str, batch: pa.RecordBatch) -> _Part:
    def make() -> bytes:
        try:
            return pack_rows(batch)
        except FormatError:
            raise EngineError(
                f"a row of the output {name} is larger than {LIMITS.chunk_plain_bytes} bytes",
                hint="release less in one row",
            ) from None

    return make


def _padded_part(chunk: bytearray) -> _Part:
    return lambda: bytes(chunk)


def _model_part(piece: memoryview) -> _Part:
    return lambda: pack(piece)


def _cut(output: ModelOutput) -> list[memoryview]:
    view = memoryview(output.raw)
    return [view[i : i + _CHUNK_BYTES] for i in range(0, max(1, len(view)), _CHUNK_BYTES)]


def _pieces(table: pa.Table) -> list[pa.RecordBatch]:
    """Cut a table into batches that fit into chunks; an empty table is one empty batch."""
    whole = table.combine_chunks().to_batches()
    pieces = [piece for batch in whole for piece in _halves(batch)]
    return pieces or [pa.RecordBatch.from_pylist([], schema=table.schema)]


def _halves(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Halve a batch until each part fits."""
    rows = batch.num_rows
    if rows <= 1 or (rows <= LIMITS.chunk_rows and room_for(batch) <= _CHUNK_BYTES):
        yield batch
        return
    yield from _halves(batch.slice(0, rows // 2))
    yield from _halves(batch.slice(rows // 2))
