"""A job whose edges are drawn: from the key that follows from the job and all of its inputs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
from tests.support.enclave_jobs import Job, make_job, make_table, open_model, seal

from mc2.crypto.chunks import ChunkCipher
from mc2.enclave.drawing import drawing_key
from mc2.engine.noisy_edges import draw_edges
from mc2.formats.result import Result
from mc2.plan.build import PlanBuilder
from mc2.plan.models import Matrix, Train
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.parameters import parameters
from mc2.plan.plan import PlanOutput
from mc2.plan.relations import Scan
from mc2.plan.training import Controls

FEATURES = ("age", "glucose")
NOISY = (
    NoisyEdges("age", "0.0", "128.0", 512, 12, "1.0"),
    NoisyEdges("glucose", "0.0", "256.0", 512, 12, "1.0"),
)


def made() -> Job:
    """A model of the rows of two owners, for cy."""
    job = make_job(
        datasets={
            name: seal(name, make_table(seed, 400), dataset_id=f"{seed}{seed}" * 16)
            for seed, name in enumerate(("ada.visits", "bo.visits"), 3)
        }
    )
    builder = PlanBuilder(job.plan.inputs)
    rows = tuple(builder.add(Scan(i, (*FEATURES, "ill"))) for i in (0, 1))
    matrix = builder.add(Matrix(rows, FEATURES, label="ill", noisy=NOISY))
    controls = Controls(public_thresholds=True)
    model = builder.add(Train(matrix, parameters({"max_depth": 3}), 3, controls=controls))
    nodes, outputs = builder.finish(
        [PlanOutput(name="model", node=model, kind="model", recipients=("cy",))]
    )
    job.plan = replace(job.plan, nodes=nodes, outputs=outputs)
    return job


def splits(job: Job) -> set[tuple[str, float]]:
    outcome = job.attested().run()
    raw = open_model(Result.parse(outcome.results["model"]), job.parties["cy"], job.stored)
    return {
        (FEATURES[tree["split_indices"][node]], tree["split_conditions"][node])
        for tree in json.loads(raw)["learner"]["gradient_booster"]["model"]["trees"]
        for node, left in enumerate(tree["left_children"])
        if left >= 0
    }


def drawn(job: Job) -> set[tuple[str, float]]:
    """The edges as anybody works them out who has all rows and all keys."""
    rows = pa.concat_tables([make_table(seed, 400) for seed in (3, 4)])
    ciphers = {n: ChunkCipher(d.key) for n, d in job.datasets.items()}
    key = drawing_key(job.context, ciphers)
    values = {f: rows.column(f).to_numpy().astype(np.float32) for f in FEATURES}
    return {(n.feature, e) for n in NOISY for e in draw_edges(n, values[n.feature], key, 0).numbers}


def test_thresholds_are_drawn_from_the_key_of_the_job() -> None:
    job = made()
    found = splits(job)
    assert found
    assert found <= drawn(job)
