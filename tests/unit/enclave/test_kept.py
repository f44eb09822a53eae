"""The key of a kept result comes of all its owners' shares, and of no others."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import digest
from mc2.crypto.secret import DataKey, ReceivingKey
from mc2.enclave.kept import KeptTable, Shared, join_key
from mc2.enclave.outputs import Unsealed, seal_output
from mc2.engine.outputs import ModelOutput
from mc2.errors import CryptoError, DatasetError, FormatError, GrantError
from mc2.formats.arrow import arrow_schema
from mc2.formats.chunk import pack_rows
from mc2.formats.manifest import ChunkRef, UsagePolicy
from mc2.formats.release import JobContext
from mc2.formats.result import MODEL_COLUMNS, Result, result_key_info, result_share_info
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.kept import KeptFacts
from mc2.plan.kept_models import facts_of
from mc2.plan.linear_models import FitLinear
from mc2.plan.matrices import Matrix
from mc2.plan.plan import PlanOutput
from mc2.plan.shapes import Feature, LinearShape

CONTEXT = JobContext(
    contract=digest(b"c"), policy=digest(b"p"), plan=digest(b"q"), job_id="ab" * 16, attempt=1
)
SCHEMA = Schema((Column("x", parse_type("int64")),))


class Kept:
    """A kept result of two owners, with all that belongs to it."""

    def __init__(self, bound: int = 3) -> None:
        self.owners = {name: ReceivingKey.generate() for name in ("ada", "bo")}
        facts = KeptFacts(
            owners=("ada", "bo"),
            row_bound=bound,
            policy=UsagePolicy(),
            origins={"ada.visits": digest(b"m")},
        )
        shared = Shared(facts, {n: k.public for n, k in self.owners.items()})
        self.key = DataKey.generate()
        keys, kept = shared.split(self.key, CONTEXT, "base")
        blank = Result(
            context=CONTEXT,
            output="base",
            kind="table",
            schema=SCHEMA,
            key_commitment=self.key.commitment(),
            keys=keys,
            chunks=(ChunkRef(digest(b""), 1),),
            kept=kept,
        )
        rows = pa.record_batch({"x": [1, 2, 3]}, schema=arrow_schema(SCHEMA))
        self.sealed = ChunkCipher(self.key.raw).seal(0, pack_rows(rows), blank.associated_data(0))
        chunk = ChunkRef(digest(self.sealed), len(self.sealed))
        self.result = replace(blank, chunks=(chunk,))

    def share(self, name: str) -> DataKey:
        info = result_share_info(CONTEXT, "base", name)
        return DataKey(self.owners[name].open(self.result.keys[name], info))

    def shares(self) -> dict[str, DataKey]:
        return {name: self.share(name) for name in self.owners}


@pytest.fixture(scope="module")
def kept():
    return Kept()


def test_all_shares_open_it(kept):
    key, cipher = join_key(kept.result, kept.shares())
    assert key.raw == kept.key.raw
    table = KeptTable(kept.result, cipher, lambda _: kept.sealed)
    assert [b.to_pydict() for b in table.batches()] == [{"x": [1, 2, 3]}]
    table.read_rest()
    table.close()
    with pytest.raises(RuntimeError):
        list(table.batches())


@pytest.mark.parametrize("left", ["ada", "bo"])
def test_a_missing_share_is_refused(kept, left):
    shares = {n: s for n, s in kept.shares().items() if n != left}
    with pytest.raises(GrantError, match="exactly all its owners"):
        join_key(kept.result, shares)


def test_the_share_of_one_who_does_not_keep_it_is_refused(kept):
    with pytest.raises(GrantError, match="exactly all its owners"):
        join_key(kept.result, {**kept.shares(), "cy": DataKey.generate()})


def test_another_share_is_refused_by_the_name_of_who_granted_it(kept):
    shares = kept.shares()
    for name in shares:
        with pytest.raises(GrantError, match=f"what {name} granted"):
            join_key(kept.result, {**shares, name: DataKey.generate()})
    with pytest.raises(GrantError, match="what ada granted"):
        join_key(kept.result, {"ada": shares["bo"], "bo": shares["ada"]})


def test_shares_that_make_another_key_than_committed_to_are_refused(kept):
    lying = replace(kept.result, key_commitment="00" * 32)
    with pytest.raises(GrantError, match="do not make the key"):
        join_key(lying, kept.shares())


def test_a_share_opens_in_its_place_alone(kept):
    sealed, key = kept.result.keys["ada"], kept.owners["ada"]
    for info in (
        result_share_info(CONTEXT, "base", "bo"),
        result_share_info(CONTEXT, "other", "ada"),
        result_share_info(replace(CONTEXT, attempt=2), "base", "ada"),
        result_key_info(CONTEXT, "base", "ada"),
    ):
        with pytest.raises(CryptoError):
            key.open(sealed, info)


def test_altered_chunks_and_too_many_rows_are_refused(kept):
    _, cipher = join_key(kept.result, kept.shares())
    table = KeptTable(kept.result, cipher, lambda _: kept.sealed[:-1] + b"x")
    with pytest.raises(DatasetError, match="not the one that the result names"):
        table.read_rest()
    assert isinstance(table.failure, DatasetError)
    small = Kept(bound=2)
    _, cipher = join_key(small.result, small.shares())
    with pytest.raises(DatasetError, match="more rows than its bound"):
        KeptTable(small.result, cipher, lambda _: small.sealed).read_rest()


FACTS = facts_of(
    LinearShape(FitLinear(3, "linear", "1.0"), (Feature("x", parse_type("int64"), False),)),
    Matrix((1, 2), ("x",), "y"),
    "encrypted",
)


def test_a_kept_model_is_one_row_with_its_file():
    file = b"a file" * 100
    owner = ReceivingKey.generate()
    facts = KeptFacts(
        owners=("ada",),
        row_bound=1,
        policy=UsagePolicy(),
        origins={"ada.visits": digest(b"m")},
        model=FACTS,
    )
    written: dict[str, bytes] = {}
    declared = PlanOutput(name="risk", node=0, kind="model", recipients=(), keep=True)
    result = seal_output(
        Unsealed(declared, None, ModelOutput(file)),
        CONTEXT,
        Shared(facts, {"ada": owner.public}),
        written.__setitem__,
    )
    assert result.kept.model == FACTS.json()
    assert Result.parse(result.encode()) == result
    info = result_share_info(CONTEXT, "risk", "ada")
    _, cipher = join_key(result, {"ada": DataKey(owner.open(result.keys["ada"], info))})
    table = KeptTable(result, cipher, written.__getitem__)
    assert (table.schema, table.row_bound) == (MODEL_COLUMNS, 1)
    assert [b.to_pydict() for b in table.batches()] == [{"model": [file]}]
    assert table.whole
    (name,) = written
    swapped = KeptTable(result, cipher, lambda _: written[name][:-1] + b"x")
    with pytest.raises(DatasetError, match="not the one that the result names"):
        swapped.read_rest()
    for change in ({"model": None}, {"row_bound": 2}):
        with pytest.raises(FormatError):
            replace(result, kept=replace(result.kept, **change))


def test_a_chunk_of_a_kept_model_that_says_it_has_rows_is_refused():
    kept = Kept()
    facts = replace(kept.result.kept, row_bound=1, model=FACTS.json())
    lying = replace(kept.result, kind="model", schema=None, kept=facts)
    _, cipher = join_key(lying, kept.shares())
    with pytest.raises(FormatError, match="says that it has rows"):
        KeptTable(lying, cipher, lambda _: kept.sealed).read_rest()
