"""Opens the results of a verified job, for one recipient. Spec: docs/spec/result.md.

Nothing of a result is handed out before all its chunks have opened.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from mc2.client.proof import VerifiedJob
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest, same_digest
from mc2.crypto.secret import DataKey, ReceivingKey
from mc2.errors import CryptoError, FormatError, ReceiptError, UsageError
from mc2.formats.arrow import arrow_schema
from mc2.formats.result import Result, result_key_info
from mc2.formats.result_rows import model_file, result_rows
from mc2.formats.schema import Schema


@dataclass(frozen=True, slots=True)
class OpenedTable:
    """A table that a job gave."""

    schema: Schema
    table: pa.Table


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that a job gave: the bytes of an XGBoost JSON model, or of a linear one."""

    raw: bytes


def open_result(
    job: VerifiedJob,
    output: str,
    *,
    recipient: str,
    key: ReceivingKey,
    read_blob: Callable[[Digest], bytes],
) -> OpenedTable | OpenedModel:
    """Open one output with a recipient's key; `read_blob` fetches sealed chunks by digest.

    Raises: UsageError if there is no such output or it is not for this recipient; ReceiptError
    if a key or chunk is not what the receipt stands for; what `read_blob` raises.
    """
    result = job.results.get(output)
    if result is None:
        names = ", ".join(sorted(job.results))
        raise UsageError(f"the job has no output {output!r}", hint=f"its outputs are {names}")
    if result.kept is not None:
        raise UsageError(
            f"{output} is kept sealed: nobody can open it",
            hint=f"a later job can read it, if {', '.join(sorted(result.keys))} approve: "
            f'job.kept("{output}")',
        )
    if recipient not in result.keys:
        raise UsageError(
            f"{output} is not for {recipient}", hint=f"it is for {', '.join(sorted(result.keys))}"
        )
    try:
        cipher = _open_key(result, recipient, key)
        chunks = list(_open_chunks(result, cipher, read_blob))
        if result.schema is None:
            return OpenedModel(model_file(chunks))
        schema = result.schema
        batches = list(result_rows(result, chunks))
    except (CryptoError, FormatError) as error:
        raise ReceiptError(
            f"the result {output} does not open: {error}",
            hint="download it again; if that does not help, the store damaged it",
        ) from None
    return OpenedTable(schema, pa.Table.from_batches(batches, arrow_schema(schema)))


def _open_key(result: Result, recipient: str, key: ReceivingKey) -> ChunkCipher:
    info = result_key_info(result.context, result.output, recipient)
    with DataKey(key.open(result.keys[recipient], info)) as data_key:
        # AES-GCM does not bind a key: without this, two recipients could be given two results.
        if not hmac.compare_digest(data_key.commitment(), result.key_commitment):
            raise CryptoError("its key is not the one that it commits to")
        return ChunkCipher(data_key.raw)


def _open_chunks(
    result: Result, cipher: ChunkCipher, read_blob: Callable[[Digest], bytes]
) -> Iterator[bytes]:
    for index, expected in enumerate(result.chunks):
        raw = read_blob(expected.digest)
        if len(raw) != expected.size or not same_digest(digest(raw), expected.digest):
            raise CryptoError(f"chunk {index} is not the one that the result names")
        yield cipher.open(index, raw, result.associated_data(index))
