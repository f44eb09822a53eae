"""Enclaves of one epoch over padded tables: a job's plan in oblivious mode, in several tasks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import digest
from mc2.crypto.secret import DataKey
from mc2.formats.facts import TableFacts
from mc2.formats.manifest import ChunkRef, Manifest, UsagePolicy, dataset_associated_data
from mc2.formats.schema import Schema
from mc2.plan.check import check_plan
from tests.support.oblivious import facts_of, padded
from tests.support.plans import Job
from tests.support.task_cluster import THEN, SealedTable, TaskCluster


def sealed_padded(
    name: str, schema: Schema, table: pa.Table, facts: TableFacts, chunk: int
) -> SealedTable:
    """A dataset version in fixed places, with room for two rows more than it has."""
    key, identity = DataKey.generate(), secrets.token_hex(16)
    bound = table.num_rows + 2
    plains = list(padded(table, facts, bound, chunk).plains())
    refs, chunks = [], {}
    for index, plain in enumerate(plains):
        associated = dataset_associated_data(
            identity, 1, schema.digest, index, len(plains), range(len(schema))
        )
        raw = ChunkCipher(key.raw).seal(index, plain, associated)
        refs.append(ChunkRef(digest(raw), len(raw)))
        chunks[digest(raw)] = raw
    manifest = Manifest(
        dataset=name,
        owner=name.partition(".")[0],
        dataset_id=identity,
        version=1,
        created=THEN,
        schema=schema,
        sizes="padded",
        compression="none",
        row_bound=bound,
        rows_per_chunk=chunk,
        key_salt=secrets.token_hex(32),
        key_commitment=key.commitment(),
        policy=UsagePolicy(),
        chunks=tuple(refs),
        facts=facts,
    )
    return SealedTable(manifest, key, chunks)


def oblivious_cluster(
    job: Job, outputs: Mapping[str, int], chunk: int = 6, facts: Mapping[str, Any] = {}, **more: Any
) -> TaskCluster:
    """A cluster over padded copies of a job's tables; `facts` declared by table."""
    tables = {}
    for name, source in job.sources.items():
        found = facts_of(source.table, **facts.get(name, {}))
        tables[name] = sealed_padded(name, source.schema, source.table, found, chunk)
    plan = job.plan(**outputs)
    inputs = tuple(
        replace(
            i,
            manifest=tables[i.dataset].manifest.digest,
            row_bound=tables[i.dataset].manifest.row_bound,
            sizes="padded",
            facts=tables[i.dataset].manifest.facts,
        )
        for i in plan.inputs
    )
    checked = check_plan(replace(plan, mode="oblivious", inputs=inputs))
    return TaskCluster(checked, tables, **more)
