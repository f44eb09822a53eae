"""A job whose model several enclaves train: padded rows of two owners, in several chunks each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pyarrow as pa

from mc2.attestation.simulated.collector import SimulatedCollector
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey
from mc2.enclave.session import JobSession
from mc2.enclave.task_runner import Host
from mc2.errors import Mc2Error
from mc2.formats.arrow import schema_of
from mc2.formats.fixed import fixed_places, pack_fixed
from mc2.formats.manifest import (
    ChunkRef,
    Manifest,
    UsagePolicy,
    chunk_count,
    dataset_associated_data,
)
from mc2.formats.receipt import Receipt
from mc2.formats.result import Result
from mc2.formats.worker_tasks import Ended, Task, TrainStep
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.models import Evaluation, History, Matrix, Train
from mc2.plan.packages import package_versions
from mc2.plan.parameters import read_parameters
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    NamedExpression,
    Project,
    Scan,
    Union,
)
from mc2.plan.training import NO_CONTROLS, Controls
from mc2.plan.types import DOUBLE, INT64
from tests.support.clusters import MEASUREMENT, ROOT, TRUST, cluster_job
from tests.support.enclave_jobs import (
    CODE,
    NOW,
    Job,
    Party,
    Sealed,
    make_table,
    open_key,
    open_model,
    read_evidence,
)
from tests.support.oblivious import facts_of

SETTINGS: dict[str, Any] = {
    "objective": "binary:logistic",
    "max_depth": 2,
    "max_bin": 8,
    "subsample": "0.7",
}


def seal_padded(
    name: str, table: pa.Table, bound: int, places: int, number: int, gap: int | None = None
) -> Sealed:
    """Seal a table in chunks of so many places; the owner leaves one of chunk `gap` empty."""
    schema, facts, key = schema_of(table.schema), facts_of(table), bytes(DataKey.generate().raw)
    form, count, dataset_id = (
        fixed_places(schema, facts.widths, places),
        chunk_count(bound, places),
        f"{number:02x}" * 16,
    )
    sealed, start = [], 0
    for i in range(count):
        rows = table.slice(start, places - (i == gap)).combine_chunks().to_batches()
        start += places - (i == gap)
        batch = rows[0] if rows else pa.RecordBatch.from_pylist([], schema=table.schema)
        chunk = bytearray(form.size)
        pack_fixed(batch, form, chunk)
        width = range(len(schema))
        bound_to = dataset_associated_data(dataset_id, 1, schema.digest, i, count, width)
        sealed.append(ChunkCipher(key).seal(i, bytes(chunk), bound_to))
    manifest = Manifest(
        dataset=name,
        owner=name.partition(".")[0],
        dataset_id=dataset_id,
        version=1,
        created=NOW,
        schema=schema,
        sizes="padded",
        compression="none",
        row_bound=bound,
        rows_per_chunk=places,
        key_salt="22" * 32,
        key_commitment=DataKey(key).commitment(),
        policy=UsagePolicy(),
        chunks=tuple(ChunkRef(digest(c), len(c)) for c in sealed),
        facts=facts,
    )
    return Sealed(manifest, key, {digest(c): c for c in sealed})


def rows_of_inputs(builder: PlanBuilder) -> tuple[Matrix, Matrix]:
    """Filtered rows of ada and scaled rows of bo; other rows of ada to judge by."""
    names = ("age", "glucose", "ill")
    ada, bo = builder.add(Scan(0, names)), builder.add(Scan(1, names))
    old = call("gt", ColumnRef("age"), literal(40, INT64))
    young = call("le", ColumnRef("age"), literal(40, INT64))
    scaled = call("multiply", ColumnRef("glucose"), literal(1.5, DOUBLE))
    columns = tuple(NamedExpression(n, scaled if n == "glucose" else ColumnRef(n)) for n in names)
    sources = (builder.add(Filter(ada, old)), builder.add(Project(bo, columns)))
    judged = Matrix((builder.add(Filter(ada, young)),), names[:2], label="ill")
    return Matrix(sources, names[:2], label="ill"), judged


def joined_rows(builder: PlanBuilder) -> tuple[Matrix, Matrix]:
    """Rows of both, each beside the mean of all rows of its age; those of the old to judge by."""
    names = ("age", "glucose", "ill")
    rows = builder.add(Union((builder.add(Scan(0, names)), builder.add(Scan(1, names)))))
    mean = AggregateColumn("mean", "avg", (ColumnRef("glucose"),))
    of_age = builder.add(Aggregate(rows, ("age",), (mean,)))
    columns = (NamedExpression("at", ColumnRef("age")), NamedExpression("mean", ColumnRef("mean")))
    means = builder.add(Project(of_age, columns))
    same = call("eq", ColumnRef("age"), ColumnRef("at"))
    joined = builder.add(Join(rows, means, "inner", same))
    old = builder.add(Filter(joined, call("gt", ColumnRef("age"), literal(60, INT64))))
    features = ("age", "glucose", "mean")
    return Matrix((joined,), features, label="ill"), Matrix((old,), features, label="ill")


def plan_of(
    contract: Digest,
    datasets: Mapping[str, Sealed],
    settings: Mapping[str, Any],
    matrices: Callable[[PlanBuilder], tuple[Matrix, Matrix]] = rows_of_inputs,
    controls: Controls = NO_CONTROLS,
) -> Plan:
    """Trains on one of two matrices, and judges by the other one."""
    inputs = tuple(
        PlanInput(
            dataset=name,
            owner=d.manifest.owner,
            manifest=d.manifest.digest,
            schema=d.manifest.schema,
            row_bound=d.manifest.row_bound,
            sizes="padded",
            facts=d.manifest.facts,
        )
        for name, d in sorted(datasets.items())
    )
    builder = PlanBuilder(inputs)
    trained, judged = map(builder.add, matrices(builder))
    evaluations = (Evaluation("young", judged),)
    train = Train(trained, read_parameters(settings), 3, evaluations, controls=controls)
    model = builder.add(train)
    history = builder.add(History(model))
    nodes, outputs = builder.finish(
        [
            PlanOutput(name="history", node=history, kind="table", recipients=("cy",)),
            PlanOutput(name="model", node=model, kind="model", recipients=("cy",)),
        ]
    )
    return Plan(
        title="Trained together",
        mode="oblivious",
        contract=contract,
        script_name="test.py",
        script="# by hand",
        packages=package_versions(),
        inputs=inputs,
        nodes=nodes,
        outputs=outputs,
    )


def together_job(
    rows: tuple[int, int] = (90, 60),
    places: int = 16,
    settings: Mapping[str, Any] = SETTINGS,
    seed: int = 0,
    gaps: tuple[int | None, int | None] = (None, None),
    *,
    matrices: Callable[[PlanBuilder], tuple[Matrix, Matrix]] = rows_of_inputs,
    controls: Controls = NO_CONTROLS,
    **changes: Any,
) -> Job:
    """A job over so many rows, in chunks of so many places, and some empty places.

    `gaps`: of which chunk each owner leaves a place empty though rows follow. `matrices` adds
    what is trained on, and judged by, to the plan.
    """
    tables = [
        make_table(seed + i + 1, n, site)
        for i, (n, site) in enumerate(zip(rows, "ab", strict=True))
    ]
    datasets = {
        f"{owner}.visits": seal_padded(
            f"{owner}.visits", table, table.num_rows + 5, places, number, gap
        )
        for number, (owner, table, gap) in enumerate(
            zip(("ada", "bo"), tables, gaps, strict=True), start=1
        )
    }
    job = cluster_job(datasets=datasets, **changes)
    job.plan = plan_of(job.contract.digest, datasets, settings, matrices, controls)
    return job


def open_plain(result: Result, party: Party, stored: Mapping[Digest, bytes]) -> bytes:
    """The plaintexts of a result's chunks, one after the other."""
    cipher = ChunkCipher(open_key(result, party))
    return b"".join(
        cipher.open(i, stored[c.digest], result.associated_data(i))
        for i, c in enumerate(result.chunks)
    )


def make_session() -> JobSession:
    """An enclave that the job's contract accepts."""
    collector = SimulatedCollector(ROOT, MEASUREMENT, "local")
    return JobSession(collector, CODE, ("TEST",), "cc" * 16, peers=TRUST)


class Hosted:
    """A host of a leader and of other enclaves, in one process. Tests make it lie."""

    def __init__(self, job: Job, others: Collection[str]) -> None:
        self.job = job
        self.leader = make_session()
        self.leader.open(job.bundle())
        self.challenges = job.challenges()
        self.evidence = self.leader.attest(self.challenges)
        self.sessions = {name: make_session() for name in others}
        self.kept: dict[Digest, bytes] = {}
        self.ends: list[Ended] = []
        self.steps: list[tuple[str, TrainStep]] = []
        self.lengths: list[tuple[str, int, int]] = []
        self.reads: dict[str, list[Digest]] = {name: [] for name in (*others, "leader")}
        self.lose_at: int = -1

    # what the leader asks for

    def gather(self, invitation: bytes) -> Mapping[str, bytes]:
        found = {}
        for name, session in self.sessions.items():
            session.open(self.job.bundle())
            found[name] = session.join(self.challenges, self.evidence, invitation)
        return found

    def admit(self, admissions: Mapping[str, bytes]) -> Collection[str]:
        for name, raw in admissions.items():
            self.sessions[name].enter(raw)
        return list(admissions)

    def assign(self, worker: str, step: Any) -> None:
        self.steps.append((worker, step))
        if len(self.steps) == self.lose_at:
            self.ends.append(Ended(worker=worker, code="worker", message="gone"))
            return
        try:
            answer = self.carried(worker, step)
        except Mc2Error as error:
            self.ends.append(Ended(worker=worker, code=error.code, message=str(error)))
        else:
            if isinstance(step, TrainStep):
                self.lengths.append((worker, len(step.message), len(answer)))
            self.ends.append(Ended(worker=worker, receipt=answer))

    def carried(self, worker: str, step: TrainStep) -> bytes:
        """Hand on a step or a task, and the answer."""
        host = Host(self.reader(worker), self.keep, lambda _: None)
        if isinstance(step, Task):
            return self.sessions[worker].task(step, host)
        return self.sessions[worker].train(step, host)

    def ended(self, *, wait: bool) -> Ended:
        assert wait or not self.ends or isinstance(self.steps[-1][1], Task)
        return self.ends.pop(0) if self.ends else Ended()

    def keep(self, name: Digest, raw: bytes) -> None:
        assert digest(raw) == name
        self.kept[name] = raw

    def reader(self, who: str) -> Any:
        def read(name: Digest) -> bytes:
            self.reads[who].append(name)
            return self.kept[name] if name in self.kept else self.job.read(name)

        return read

    # the job

    def run(self) -> tuple[bytes, bytes, Receipt]:
        """The model, the plaintext of the history and the receipt."""
        grants = {n: self.job.grant(n, self.evidence, self.challenges[n]) for n in self.job.owners}
        outcome = self.leader.run(
            grants, self.reader("leader"), self.job.write, lambda _: None, self
        )
        key = read_evidence(self.evidence).runtime_data.signing_key
        cy = self.job.parties["cy"]
        model = Result.parse(outcome.results["model"])
        history = Result.parse(outcome.results["history"])
        return (
            open_model(model, cy, self.job.stored),
            open_plain(history, cy, self.job.stored),
            Receipt.verify(outcome.receipt, lambda _: key).value,
        )
