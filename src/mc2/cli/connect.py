"""`mc2 connect`: stock PySpark code over sealed tables, on this machine alone."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output, simulation
from mc2.cli.options import wait as wait_option
from mc2.errors import UsageError

if TYPE_CHECKING:
    from types import FrameType


@click.command(epilog="Example: mc2 connect --unsafe-simulation")
@click.option("--contract", default="", help="Which collaboration, if you are in several.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port on localhost [default: a free one].",
)
@click.option(
    "--public-rows",
    is_flag=True,
    help="Take createDataFrame: its rows stand in the plan, for all parties to read.",
)
@wait_option
@simulation
@home_option
@output
def command(
    console: Console,
    contract: str,
    port: int,
    public_rows: bool,
    timeout: float,
    unsafe_simulation: bool,
    home: Path | None,
) -> None:
    """Serve Spark Connect on localhost until ^C, and print its connection string.

    Whoever has the string acts for you: over data that is yours alone, jobs are approved by
    themselves. Code that reads other owners' tables waits for their approvals, and for yours.
    """
    if find_spec("pyspark") is None or find_spec("grpc") is None:
        raise UsageError("PySpark's client is not installed", hint="pip install 'mc2[connect]'")
    from mc2.client.connect.jobs import PartyRunner
    from mc2.client.connect.server import Endpoint

    party = open_party(home, unsafe_simulation=unsafe_simulation)
    runner = PartyRunner(
        party, contract=contract, timeout=timedelta(seconds=timeout), public_rows=public_rows
    )
    known = runner.catalog(fresh=True)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with Endpoint.start(runner, console.step, port=port) as endpoint:
        body = {"connection": endpoint.connection, "port": endpoint.port, "party": party.name}
        console.data(body, endpoint.connection)
        console.note(f"{party.name} in {known.name}; tables: {', '.join(known.datasets) or 'none'}")
        console.note("in PySpark: SparkSession.builder.remote(<the line above>).getOrCreate()")
        console.note("keep that line to yourself: it holds a token; stop with ^C")
        stop.wait()
    party.close()
