from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import ReceivingKey
from mc2.enclave import outputs
from mc2.enclave.outputs import Unsealed, seal_output
from mc2.engine.outputs import ModelOutput, Output, TableOutput
from mc2.errors import CryptoError, EngineError
from mc2.formats.arrow import schema_of
from mc2.formats.chunk import unpack, unpack_rows
from mc2.formats.release import JobContext
from mc2.formats.result import Result, result_key_info
from mc2.plan.plan import PlanOutput

CONTEXT = JobContext(
    contract=digest(b"c"), policy=digest(b"p"), plan=digest(b"n"), job_id="ab" * 16, attempt=1
)
READER = ReceivingKey.generate()
Sealing = Callable[[PlanOutput, Output], Result]


class Store:
    """What was handed to the host."""

    def __init__(self) -> None:
        self.chunks: dict[Digest, bytes] = {}

    def seal(self, output: Output, kind: str, schema: pa.Schema | None = None) -> Result:
        declared = PlanOutput(name="out", node=0, kind=kind, recipients=("ada",))
        planned = None if schema is None else schema_of(schema)
        if planned is None and isinstance(output, TableOutput):
            planned = output.schema
        unsealed = Unsealed(declared, planned, output)
        return seal_output(unsealed, CONTEXT, {"ada": READER.public}, self.chunks.__setitem__)

    def open(self, result: Result) -> list[bytes]:
        key = READER.open(result.keys["ada"], result_key_info(CONTEXT, "out", "ada"))
        cipher = ChunkCipher(key)
        return [
            cipher.open(i, self.chunks[c.digest], result.associated_data(i))
            for i, c in enumerate(result.chunks)
        ]

    def rows(self, result: Result) -> pa.Table:
        assert result.schema is not None
        return pa.Table.from_batches(
            [unpack_rows(plain, result.schema) for plain in self.open(result)]
        )


def table_output(table: pa.Table) -> TableOutput:
    return TableOutput(schema_of(table.schema), table)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.mark.parametrize("rows", [0, 1, 2, 1000])
def test_tables_come_back(store: Store, rows: int) -> None:
    table = pa.table(
        {"n": pa.array(range(rows), pa.int64()), "s": [f"row {i}" for i in range(rows)]}
    )
    table = table.cast(pa.schema([("n", pa.int64()), ("s", pa.string())]))
    result = store.seal(table_output(table), "table")
    assert store.rows(result).equals(table)
    assert len(result.chunks) == 1


def test_a_large_table_is_cut_into_chunks_in_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "_CHUNK_BYTES", 20_000)
    table = pa.table({"n": pa.array(range(9_999), pa.int64())})
    pieces = pa.concat_tables([table.slice(0, 5000), table.slice(5000)])
    result = store.seal(table_output(pieces), "table")
    assert 4 < len(result.chunks) < 20
    assert max(c.size for c in result.chunks) < 21_000
    assert store.rows(result).combine_chunks().equals(table)


@pytest.mark.parametrize("size", [0, 1, 100, 101, 250])
def test_models_come_back(store: Store, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(outputs, "_CHUNK_BYTES", 100)
    raw = bytes(i % 251 for i in range(size))
    result = store.seal(ModelOutput(raw), "model")
    assert b"".join(bytes(unpack(plain).payload) for plain in store.open(result)) == raw
    assert len(result.chunks) == max(1, -(-size // 100))
    assert result.schema is None


def test_chunks_are_bound_to_their_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_CHUNK_BYTES", 100)
    result = store.seal(ModelOutput(bytes(300)), "model")
    first, second, *_ = (c.digest for c in result.chunks)
    store.chunks[first], store.chunks[second] = store.chunks[second], store.chunks[first]
    with pytest.raises(CryptoError):
        store.open(result)


def test_a_row_that_no_chunk_can_hold_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"s": pa.array(["x" * (65 << 20)])})
    with pytest.raises(EngineError, match="a row of the output out"):
        store.seal(table_output(table), "table")


def test_an_output_is_what_the_plan_declares(store: Store) -> None:
    table = pa.table({"n": pa.array([1], pa.int64())})
    with pytest.raises(EngineError, match="another kind"):
        store.seal(table_output(table), "model")
    with pytest.raises(EngineError, match="another kind"):
        store.seal(ModelOutput(b"{}"), "table", table.schema)
    with pytest.raises(EngineError, match="other columns"):
        store.seal(table_output(table), "table", pa.schema([("m", pa.int64())]))
    with pytest.raises(EngineError, match="other columns"):
        store.seal(table_output(table), "table", pa.schema([("n", pa.int32())]))
    assert store.chunks == {}


def test_a_null_where_the_plan_has_none_is_refused(store: Store) -> None:
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    table = pa.table([pa.array([1, None], pa.int64())], schema=schema)
    with pytest.raises(EngineError, match="NULL in 'n'"):
        store.seal(table_output(table), "table")
