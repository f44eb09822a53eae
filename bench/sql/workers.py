"""Whole jobs over one and over two workers of one thread each: scans and aggregates.

    python -m bench.sql.workers --scale 3

Jobs run through a coordinator over HTTPS; only lineitem is uploaded. Prints wall seconds from `run`
to the receipt, their ratio, CPU seconds of the busiest worker and of the process that is
coordinator, owner and requester at once, each with one worker and with two, and the workers' peaks.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from bench import tpch
from bench.sql.worker import Used, enclaves, job_seconds, parties_with

from mc2.cli.demo.stage import Stage
from mc2.coordinator.server import Coordinator, ServerConfig

QUERIES = (1, 6)  # of lineitem alone: groups of all rows, and a sum of few


@dataclass(frozen=True)
class Machine(Stage):
    """A coordinator whose workers have one thread each, and all of them for each job."""

    workers: int = 1

    def worker_command(self) -> tuple[str, ...]:
        return (*Stage.worker_command(self), "--threads", "1")

    @contextmanager
    def coordinator(self) -> Iterator[Coordinator]:
        config = ServerConfig(
            folder=self.coordinator_folder,
            port=0,
            worker_command=self.worker_command(),
            worker_count=self.workers,
            workers_per_job=self.workers,
        )
        with Coordinator(config).in_background() as running:
            yield running


@dataclass(frozen=True)
class Measured:
    """Medians of one query over some workers, in seconds."""

    wall: float
    busiest: float
    coordinator: float


def measure(lineitem: pa.Table, workers: int, repeats: int) -> dict[int, Measured]:
    """Each query over so many workers; prints their peaks."""
    found = {}
    with parties_with({"lineitem": lineitem}, partial(Machine, workers=workers)) as parties:
        for number in QUERIES:
            job_seconds(parties, number, 1)  # whatever is loaded once
            runs = []
            for _ in range(repeats):
                before, own = enclaves(), time.process_time()
                wall = job_seconds(parties, number, 1)
                runs.append((wall, busiest(before, enclaves()), time.process_time() - own))
            found[number] = Measured(*map(statistics.median, zip(*runs, strict=True)))
        peaks = sorted(used.peak for used in enclaves().values())
        print(f"peak memory with {workers} workers, MB each: {peaks}", flush=True)
    return found


def busiest(before: dict[int, Used], after: dict[int, Used]) -> float:
    """The most CPU seconds that an enclave has taken in between."""
    return max(used.cpu - before[process].cpu for process, used in after.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=3)
    wanted = parser.parse_args()
    logging.getLogger("mc2").setLevel(logging.CRITICAL)
    lineitem = tpch.tables(wanted.scale)["lineitem"]
    one, two = (measure(lineitem, workers, wanted.repeats) for workers in (1, 2))
    print("\n| query | 1 worker | 2 workers | ratio | busiest, CPU | coordinator, CPU |")
    print("| --- " * 6 + "|")
    for number in QUERIES:
        a, b = one[number], two[number]
        print(
            f"| {number} | {a.wall:.2f} | {b.wall:.2f} | {a.wall / b.wall:.2f} "
            f"| {a.busiest:.2f}, {b.busiest:.2f} | {a.coordinator:.2f}, {b.coordinator:.2f} |"
        )


if __name__ == "__main__":
    main()
