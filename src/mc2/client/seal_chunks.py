"""Serialises, encrypts, names and stores chunks: in threads, with bounded and reused memory.

::

    rows ─▶ [ window of a few batches ] ─▶ thread: pack ▶ pad ▶ encrypt ▶ digest ▶ store ─▶ refs
                                            each with one plain and one sealed buffer

Each step lets go of Python's lock, so two threads use two cores. Order is kept by collecting
results in the order of submission.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Final

import pyarrow as pa

from mc2.client.blobs import BlobSink
from mc2.client.padding import check_widths
from mc2.client.rows import too_large
from mc2.crypto.chunks import TAG_BYTES, ChunkCipher
from mc2.crypto.digest import digest
from mc2.errors import DatasetError, FormatError
from mc2.formats.chunk import pack_rows_into, room_for
from mc2.formats.fixed import FixedPlaces, fixed_places, pack_fixed
from mc2.formats.manifest import ChunkRef, Manifest, dataset_associated_data

THREADS: Final = 2


class ChunkSealer:
    """Seals the chunks of one draft manifest. `size` is that of every plaintext, 0 if not fixed."""

    def __init__(
        self,
        cipher: ChunkCipher,
        draft: Manifest,
        sink: BlobSink,
        *,
        table: str,
        size: int,
        widths: Mapping[str, int],
    ) -> None:
        self._cipher = cipher
        self._draft = draft
        self._parts = draft.parts
        self._schema_digest = draft.schema.digest
        self._sink = sink
        self._table = table
        self._size = size
        self._widths = widths
        self._places: FixedPlaces | None = None
        if draft.fixed:
            self._places = fixed_places(draft.schema, widths, draft.rows_per_chunk)
        self._spaces: SimpleQueue[_Space] = SimpleQueue()

    def seal(self, batches: Iterable[pa.RecordBatch]) -> Iterator[ChunkRef]:
        """Seal batches in order, each into the parts of one chunk; the references in order.

        Raises: DatasetError, and what the sink raises.
        """
        for _ in range(THREADS):
            self._spaces.put(_Space())
        window: deque[Future[list[ChunkRef]]] = deque()
        try:
            with ThreadPoolExecutor(THREADS, thread_name_prefix="mc2-seal") as pool:
                for index, batch in enumerate(batches):
                    if len(window) > THREADS:
                        yield from window.popleft().result()
                    window.append(pool.submit(self._seal_one, index, batch))
                while window:
                    yield from window.popleft().result()
        finally:
            for _ in range(THREADS):
                self._spaces.get().wipe()

    def _seal_one(self, index: int, batch: pa.RecordBatch) -> list[ChunkRef]:
        batch = check_widths(self._table, batch, self._draft.schema, self._widths)
        space = self._spaces.get()
        try:
            return [self._seal_part(space, index, part, batch) for part in range(len(self._parts))]
        except FormatError:
            if self._size:
                raise DatasetError(
                    f"{self._table}: chunk {index} does not fit into its padded size",
                    hint="a NULL hides bytes beyond a declared width: copy the table, then seal",
                ) from None
            raise too_large(self._table, batch.num_rows) from None
        finally:
            self._spaces.put(space)

    def _seal_part(self, space: _Space, index: int, part: int, batch: pa.RecordBatch) -> ChunkRef:
        columns = self._parts[part]
        if self._places is not None:
            plain = space.pack_fixed(batch, self._places)
        else:
            of_part = batch.select(list(columns))
            plain = space.pack(of_part, self._draft.compression, self._size)
        sealed = space.sealed_view(len(plain) + TAG_BYTES)
        number = index * len(self._parts) + part
        self._cipher.seal_into(number, plain, self._bound_to(index, columns), sealed)
        ref = ChunkRef(digest(sealed), len(sealed))
        self._sink.put(ref.digest, sealed)
        return ref

    def _bound_to(self, index: int, columns: range) -> bytes:
        draft = self._draft
        return dataset_associated_data(
            draft.dataset_id,
            draft.version,
            self._schema_digest,
            index,
            draft.whole_chunks,
            columns,
        )


class _Space:
    """The two buffers of one thread; they grow to the largest chunk and are then reused.

    Fresh buffers of this size would cost more in page faults than the encryption.
    """

    def __init__(self) -> None:
        self._plain = bytearray()
        self._sealed = bytearray()

    def pack(self, batch: pa.RecordBatch, compression: str, size: int) -> memoryview:
        """The plaintext of a chunk, with its padding."""
        room = max(size, room_for(batch))
        if len(self._plain) < room:
            self.wipe()
            self._plain = bytearray(room)
        used = pack_rows_into(batch, compression, self._plain, size=size)
        if size > used:
            self._plain[used:size] = bytes(size - used)
        return memoryview(self._plain)[: size or used]

    def pack_fixed(self, batch: pa.RecordBatch, places: FixedPlaces) -> memoryview:
        """The plaintext of a chunk whose values have places of their own."""
        if len(self._plain) < places.size:
            self.wipe()
            self._plain = bytearray(places.size)
        pack_fixed(batch, places, self._plain)
        return memoryview(self._plain)[: places.size]

    def sealed_view(self, size: int) -> memoryview:
        """Room for so much ciphertext."""
        if len(self._sealed) < size:
            self._sealed = bytearray(size)
        return memoryview(self._sealed)[:size]

    def wipe(self) -> None:
        """Overwrite the plaintext."""
        self._plain[:] = bytes(len(self._plain))
