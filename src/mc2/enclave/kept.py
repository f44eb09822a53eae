"""Results that stay sealed: their rows for a later job, and what is written of a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest
from mc2.crypto.hpke import ReceivingPublicKey
from mc2.crypto.secret import DataKey
from mc2.crypto.shares import join_shares, split_key
from mc2.errors import CryptoError, DatasetError, GrantError, Mc2Error
from mc2.formats.fixed import ChunkForm
from mc2.formats.kept_open import kept_cipher, open_kept_chunks, open_kept_rows
from mc2.formats.release import JobContext
from mc2.formats.result import Kept, Result, result_share_info
from mc2.formats.result_rows import model_file, places_of
from mc2.formats.schema import Schema
from mc2.plan.kept import KeptFacts


class KeptTable:
    """A kept result as the engine reads it: like `mc2.enclave.tables.SealedTable`.

    A model is one row with its file.
    """

    def __init__(
        self, result: Result, cipher: ChunkCipher, read_chunk: Callable[[Digest], bytes]
    ) -> None:
        if result.columns is None or result.kept is None:
            raise DatasetError(f"{result.output} was not kept")
        self.schema: Schema = result.columns
        self.row_bound: int = result.row_bound
        self._result = result
        self._cipher: ChunkCipher | None = cipher
        self._read_chunk = read_chunk
        self.failure: Mc2Error | None = None
        self.whole = False
        self.coded = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in order. Raises: DatasetError, CryptoError, FormatError, GrantError."""
        return self.columns(())

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows; all columns if none is named. Raises: as `batches`."""
        if self._cipher is None:
            raise RuntimeError("the table was closed")
        try:
            yield from open_kept_rows(self._cipher, self._result, self._read_chunk, names)
            self.whole = True
        except Mc2Error as error:
            self.failure = error
            raise

    @property
    def form(self) -> ChunkForm:
        """What is public of the chunks of a padded table. Raises: FormatError if it is none."""
        result = self._result
        return ChunkForm(self.schema, result.facts, places_of(result), (result.row_bound,))

    def plains(self) -> Iterator[bytes]:
        """The plaintexts of all chunks, in order: nobody has looked at a value of them.

        Raises: DatasetError, CryptoError, GrantError.
        """
        if self._cipher is None:
            raise RuntimeError("the table was closed")
        try:
            yield from open_kept_chunks(self._cipher, self._result, self._read_chunk)
            self.whole = True
        except Mc2Error as error:
            self.failure = error
            raise

    def file(self) -> bytes:
        """The file of a kept model, as it was sealed. Raises: as `plains`, FormatError."""
        return model_file(self.plains())

    def read_rest(self) -> None:
        """See all chunks that no engine asked for. Raises: as `batches`."""
        if not self.whole:
            for _ in self.batches():
                pass

    def close(self) -> None:
        """Forget the key."""
        self._cipher = None


@dataclass(frozen=True, slots=True)
class Shared:
    """Who keeps a result, with their keys, and what later jobs must know of it."""

    facts: KeptFacts
    owners: Mapping[str, ReceivingPublicKey]

    def split(
        self, key: DataKey, context: JobContext, output: str
    ) -> tuple[dict[str, bytes], Kept]:
        """Split a result's key: a share sealed to each owner, and what to write of them."""
        sealed: dict[str, bytes] = {}
        commitments: dict[str, str] = {}
        shares = split_key(key.raw, len(self.owners))
        for (name, public), raw in zip(sorted(self.owners.items()), shares, strict=True):
            with DataKey(raw) as share:
                sealed[name] = public.seal(share.raw, result_share_info(context, output, name))
                commitments[name] = share.commitment()
        facts = self.facts
        return sealed, Kept(
            row_bound=facts.row_bound,
            policy=facts.policy,
            origins=facts.origins,
            shares=commitments,
            unique=facts.unique,
            model=None if facts.model is None else facts.model.json(),
        )


def join_key(result: Result, shares: Mapping[str, DataKey]) -> tuple[DataKey, ChunkCipher]:
    """The key of a kept result from the shares of all its owners, by owner. Step E15.

    Raises: GrantError that names who granted another share, or that one is missing.
    """
    kept = result.kept
    if kept is None or shares.keys() != kept.shares.keys():
        raise GrantError(
            f"shares of {result.dataset} are needed from exactly all its owners",
            hint="propose the job again, so that every owner grants it anew",
        )
    for name, share in shares.items():
        if share.commitment() != kept.shares[name]:
            raise GrantError(
                f"what {name} granted is not its share of {result.dataset}",
                hint=f"{name} opens its share with the identity that it had when it was kept",
            )
    key = DataKey(join_shares([shares[name].raw for name in sorted(shares)]))
    try:
        return key, kept_cipher(result, key.raw)
    except (CryptoError, DatasetError) as error:
        key.close()
        raise GrantError(str(error), hint="run the job that keeps it again") from None
