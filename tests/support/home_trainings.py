"""A training over rows of three parties, two of which keep theirs at home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mc2.crypto.digest import Digest
from mc2.enclave.task_runner import Host
from mc2.errors import DatasetError, Mc2Error
from mc2.formats.contract import Member
from mc2.formats.home import HomeEvidence
from mc2.formats.worker_tasks import Ended, TrainStep
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.matrices import Edges
from mc2.plan.models import Evaluation, History, Matrix, Train
from mc2.plan.packages import package_versions
from mc2.plan.parameters import read_parameters
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Filter, Scan
from mc2.plan.training import Dropout
from mc2.plan.types import INT64
from tests.support.clusters import cluster_job
from tests.support.enclave_jobs import Job, Sealed, make_table
from tests.support.shared_trainings import SETTINGS, Hosted, seal_padded

HOMES = ("ada", "bo")
EDGES = (
    Edges("age", ("20.0", "40.0", "60.0", "80.0")),
    Edges("glucose", ("60.0", "90.0", "110.0", "140.0")),
)
NAMES = ("age", "glucose", "ill")
ROUNDS = 3
CONTINUE = Dropout(2)


def home_plan(
    contract: Digest,
    datasets: Mapping[str, Sealed],
    *,
    dropout: Dropout | None = None,
    edges: tuple[Edges, ...] = EDGES,
    rounds: int = ROUNDS,
    parties: tuple[str, ...] = ("ada", "bo", "dee"),
    settings: Mapping[str, Any] = SETTINGS,
    **changes: Any,
) -> Plan:
    """Trains on rows of some parties, and judges the model by young ones among bo's."""
    inputs = tuple(
        PlanInput(
            dataset=name,
            owner=d.manifest.owner,
            manifest=d.manifest.digest,
            schema=d.manifest.schema,
            row_bound=d.manifest.row_bound,
            sizes=d.manifest.sizes,
            facts=d.manifest.facts,
            placement=d.manifest.placement,
        )
        for name, d in sorted(datasets.items())
        if d.manifest.owner in parties
    )
    builder = PlanBuilder(inputs)
    scans = [builder.add(Scan(i, NAMES)) for i in range(len(inputs))]
    trained = builder.add(Matrix(tuple(scans), NAMES[:2], label="ill", edges=edges))
    young = call("le", ColumnRef("age"), literal(40, INT64))
    kept = builder.add(Filter(scans[parties.index("bo")], young))
    judged = builder.add(Matrix((kept,), NAMES[:2], label="ill", edges=edges))
    train = Train(
        trained,
        read_parameters(settings),
        rounds,
        evaluations=(Evaluation("young", judged),),
        dropout=dropout,
    )
    model = builder.add(train)
    history = builder.add(History(model))
    outputs = [
        PlanOutput(name="history", node=history, kind="table", recipients=("cy",)),
        PlanOutput(name="model", node=model, kind="model", recipients=("cy",)),
    ]
    nodes, found = builder.finish(outputs)
    plan = Plan(
        title="Trained at home",
        mode="oblivious",
        contract=contract,
        script_name="test.py",
        script="# by hand",
        packages=package_versions(),
        inputs=inputs,
        nodes=nodes,
        outputs=found,
    )
    return replace(plan, **changes)


def home_job(*, homes: tuple[str, ...] = HOMES, rows: int = 40, **changes: Any) -> Job:
    """A job over `rows` rows of ada, bo and dee, of whom some keep theirs at home."""
    datasets = {}
    for number, owner in enumerate(("ada", "bo", "dee"), start=1):
        name = f"{owner}.visits"
        sealed = seal_padded(name, make_table(number, rows, owner[0]), rows + 3, 16, number)
        placement = "home" if owner in homes else "hosted"
        datasets[name] = replace(sealed, manifest=replace(sealed.manifest, placement=placement))
    job = cluster_job(datasets=datasets)
    owners = ("owner", "recipient")
    roles = {"ada": owners, "bo": owners, "cy": ("analyst", "recipient"), "dee": owners}
    members = tuple(Member(job.parties[n].card, r) for n, r in sorted(roles.items()))
    job.contract = replace(job.contract, members=members)
    job.plan = home_plan(job.contract.digest, datasets, **changes)
    used = {i.dataset for i in job.plan.inputs}
    job.datasets = {name: d for name, d in datasets.items() if name in used}
    return job


class AtHomes(Hosted):
    """A host whose other enclaves are at homes, or hosted. Tests make it lose them, or lie.

    `homes` are the parties that run an enclave. What stays at home is read there and nowhere else.
    """

    def __init__(
        self, job: Job, homes: tuple[str, ...] = HOMES, others: tuple[str, ...] = ()
    ) -> None:
        super().__init__(job, (*others, *(f"at_{party}" for party in homes)))
        self.homes = {f"at_{party}": party for party in homes}
        self.lose: dict[str, int] = {}
        self.signers: dict[str, str] = {}

    def gather(self, invitation: bytes) -> Mapping[str, bytes]:
        found = dict(super().gather(invitation))
        for name, party in self.homes.items():
            signer = self.job.parties[self.signers.get(name, party)].signing
            found[name] = HomeEvidence(party=party, evidence=found[name]).sign(signer)
        return found

    def assign(self, worker: str, step: Any) -> None:
        before = sum(1 for name, _ in self.steps if name == worker)
        if before >= self.lose.get(worker, 1 << 30):
            self.steps.append((worker, step))
            self.ends.append(Ended(worker=worker, code="worker", message="gone"))
            return
        super().assign(worker, step)

    def carried(self, worker: str, step: TrainStep) -> bytes:
        host = Host(self.reader(worker), lambda *_: None, lambda _: None)
        return self.sessions[worker].train(step, host)

    def reader(self, who: str) -> Any:
        def read(name: Digest) -> bytes:
            self.reads[who].append(name)
            for dataset in self.job.datasets.values():
                manifest = dataset.manifest
                if name in dataset.chunks:
                    at_home = manifest.placement == "home"
                    if at_home and self.homes.get(who) != manifest.owner:
                        raise DatasetError(f"{who} does not have what {manifest.owner} keeps")
                    return dataset.chunks[name]
            raise DatasetError("there is no such chunk")

        return read


def outcome(host: Hosted) -> Any:
    """What a run gives, or the error that it ends with."""
    try:
        return host.run()
    except Mc2Error as error:
        return error
