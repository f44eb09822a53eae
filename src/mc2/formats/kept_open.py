"""Opens the rows of a kept result for the job that reads it. Spec: docs/spec/result.md.

The result is named by its digest in the plan, and names each chunk by digest, so nothing here
trusts who delivers the bytes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest, same_digest
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.errors import DatasetError, FormatError
from mc2.formats.arrow import arrow_schema
from mc2.formats.result import MODEL_COLUMNS, Result
from mc2.formats.result_rows import model_file, result_rows


def kept_cipher(result: Result, key: bytes | bytearray) -> ChunkCipher:
    """The cipher of a kept result, if this is the key that it commits to. Raises: DatasetError."""
    if not hmac.compare_digest(derive(key, Label.KEY_COMMITMENT).hex(), result.key_commitment):
        raise DatasetError(
            f"the shares do not make the key of {result.dataset}",
            hint="each owner must grant its share of this very result",
        )
    return ChunkCipher(key)


def open_kept_rows(
    cipher: ChunkCipher,
    result: Result,
    read: Callable[[Digest], bytes],
    names: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Open all chunks in order, or with `names` those columns; `read` fetches one by its digest.

    A model is one row with its file. Raises: DatasetError, CryptoError, FormatError, and what
    `read` raises.
    """
    schema, kept = result.schema, result.kept
    if kept is None:
        raise DatasetError(f"{result.output} was not kept")
    if schema is None:
        file = model_file(open_kept_chunks(cipher, result, read))
        yield pa.record_batch([pa.array([file], pa.binary())], schema=arrow_schema(MODEL_COLUMNS))
        return
    rows = 0
    try:
        for batch in result_rows(result, open_kept_chunks(cipher, result, read), names):
            rows += batch.num_rows
            if rows > kept.row_bound:
                raise DatasetError(f"{result.dataset} has more rows than its bound")
            yield batch
    except FormatError as error:
        raise FormatError(f"{result.dataset}: {error}") from None


def open_kept_chunks(
    cipher: ChunkCipher, result: Result, read: Callable[[Digest], bytes]
) -> Iterator[bytes]:
    """The plaintexts of all chunks, in order: nobody has looked at a value of them.

    Raises: DatasetError, CryptoError, and what `read` raises.
    """
    for index, expected in enumerate(result.chunks):
        raw = read(expected.digest)
        if len(raw) != expected.size or not same_digest(digest(raw), expected.digest):
            raise DatasetError(
                f"chunk {index} of {result.dataset} is not the one that the result names",
                hint="the store damaged or swapped it: run the job that keeps it again",
            )
        yield cipher.open(index, raw, result.associated_data(index))
