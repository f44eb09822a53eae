"""`python -m mc2.coordinator`: run a coordinator in the foreground."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from pathlib import Path

from mc2.coordinator.app import openapi_document
from mc2.coordinator.scheduler import Timeouts
from mc2.coordinator.server import DEFAULT_PORT, ServerConfig, serve
from mc2.coordinator.store import Quotas
from mc2.errors import Mc2Error


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code of the error that ended it, or 0."""
    options = parser().parse_args(arguments)
    if options.openapi:
        sys.stdout.write(openapi_document())
        return 0
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        serve(read_options(options))
    except Mc2Error as error:
        sys.stderr.write(f"mc2 coordinator: {error}\n")
        if error.hint:
            sys.stderr.write(f"  next: {error.hint}\n")
        return error.exit_code
    return 0


def read_options(options: argparse.Namespace) -> ServerConfig:
    """What the options of `parser` ask for."""
    quotas, timeouts = Quotas(), Timeouts()
    return ServerConfig(
        folder=options.folder,
        host=options.host,
        port=options.port,
        names=tuple(options.name),
        worker_command=tuple(shlex.split(options.worker_command)),
        worker_count=options.workers,
        worker_addresses=tuple(options.worker_address),
        workers_per_job=options.workers_per_job or options.workers + len(options.worker_address),
        quotas=Quotas(
            party_bytes=options.party_gib << 30,
            party_objects=quotas.party_objects,
            total_bytes=options.total_gib << 30,
            parties=quotas.parties,
        ),
        timeouts=Timeouts(
            waiting=timeouts.waiting,
            challenge=options.challenge_seconds,
            attest=timeouts.attest,
            grant=timeouts.grant,
            compute=options.compute_seconds,
            home=options.home_seconds,
        ),
        result_storage=options.result_storage,
    )


def parser(program: str = "python -m mc2.coordinator") -> argparse.ArgumentParser:
    """The options of a coordinator's process."""
    quotas, timeouts = Quotas(), Timeouts()
    found = argparse.ArgumentParser(
        prog=program,
        description="Run a coordinator: it stores sealed objects, relays them and schedules jobs.",
        epilog=f"example: {program} --folder /srv/mc2 --host 0.0.0.0 "
        "--name coordinator.example.org --workers 2",
    )
    found.add_argument("--folder", type=Path, default=Path("coordinator"), help="where it keeps")
    found.add_argument("--host", default="127.0.0.1", help="address to listen on")
    found.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 for a free one")
    found.add_argument(
        "--name", action="append", default=[], help="a name that clients use; repeat for more"
    )
    found.add_argument("--workers", type=int, default=0, help="enclave workers to start here")
    found.add_argument("--worker-command", default="mc2-enclave", help="how to start one")
    found.add_argument(
        "--worker-address", action="append", default=[], help="a worker that runs elsewhere"
    )
    found.add_argument(
        "--workers-per-job", type=int, default=0, help="how many may share a job; 0 for all"
    )
    found.add_argument("--party-gib", type=int, default=quotas.party_bytes >> 30)
    found.add_argument("--total-gib", type=int, default=quotas.total_bytes >> 30)
    found.add_argument("--challenge-seconds", type=float, default=timeouts.challenge)
    found.add_argument("--compute-seconds", type=float, default=timeouts.compute)
    found.add_argument(
        "--home-seconds",
        type=float,
        default=timeouts.home,
        help="how long a job waits for enclaves at parties' homes",
    )
    found.add_argument(
        "--result-storage",
        default="",
        help="a path or URL where sealed results stand instead of the folder",
    )
    found.add_argument("--openapi", action="store_true", help="print the OpenAPI document")
    return found


if __name__ == "__main__":
    sys.exit(main())
