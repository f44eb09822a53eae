"""The same queries as whole jobs: a coordinator over HTTPS and a confined worker process."""

from __future__ import annotations

import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from bench import tpch
from bench.sql.sealed import PARTY

from mc2.cli.demo.stage import Stage, answering


@contextmanager
def parties_with(
    tables: dict[str, pa.Table], stage_in: Callable[[Path], Stage] = Stage
) -> Iterator[dict]:
    """The demonstration's parties, one of which has uploaded the tables."""
    with tempfile.TemporaryDirectory() as folder:
        stage = stage_in(Path(folder))
        root = stage.make_root()
        with stage.coordinator():
            parties = stage.create_parties()
            stage.enrol(parties)
            contract = stage.draw_up_contract(parties, root)
            for party in parties.values():
                party.join(contract)
            for name, table in tables.items():
                parties[PARTY].upload(table, name)
            yield parties
            for party in parties.values():
                party.close()


def job_seconds(parties: dict, number: int, repeats: int) -> float:
    """The median time from `run` to the receipt: attest, release keys, compute, seal."""
    seconds = []
    for _ in range(repeats):
        script = tpch.script(number, PARTY, to="institute")
        proposed = parties["institute"].propose(script, script_name="tpch.py")
        parties[PARTY].approve(proposed.job_id, plan=proposed.plan.digest)
        with answering(parties[PARTY]):
            began = time.perf_counter()
            parties["institute"].run(proposed.job_id, timeout=timedelta(minutes=10))
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


@dataclass(frozen=True)
class Used:
    """What a process took so far: its largest resident size in megabytes, and CPU seconds."""

    peak: int
    cpu: float


def enclaves() -> Mapping[int, Used]:
    """What each enclave process below this one has taken, by its id."""
    parents, found = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            command = (status.parent / "cmdline").read_bytes()
            ticks = (status.parent / "stat").read_text().rpartition(")")[2].split()[11:13]
        except OSError:  # it ended meanwhile
            continue
        process = int(status.parent.name)
        parents[process] = int(re.findall(r"PPid:\s+(\d+)", text)[0])
        peak = re.search(r"VmHWM:\s+(\d+) kB", text)
        if b"mc2.enclave" in command and peak:
            seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
            found[process] = Used(int(peak[1]) // 1024, seconds)

    def ours(process: int) -> bool:
        while process not in {0, os.getpid()}:
            process = parents.get(process, 0)
        return process != 0

    return {process: used for process, used in found.items() if ours(process)}
