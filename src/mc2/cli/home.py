"""`mc2 home`: an enclave worker beside rows that stay here."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mc2.attestation.collect.tees import AUTO, TEES
from mc2.cli.console import SIMULATION_BANNER, Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output
from mc2.errors import UsageError

if TYPE_CHECKING:
    from types import FrameType

    from mc2.client.party import Party
    from mc2.coordinator.workers import Worker

_FOLDER = "home_worker"


@click.command(epilog="Example: mc2 home --tee sev-snp")
@click.option(
    "--tee",
    type=click.Choice([*TEES, "simulated"]),
    default=AUTO,
    show_default=True,
    help="What proves the worker's code; auto is the strongest that keeps the host out.",
)
@click.option("--worker-address", help="A worker that runs elsewhere on your premises.")
@click.option(
    "--simulated-root",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --tee simulated: the root of the deployment's simulation.",
)
@click.option(
    "--unsafe-simulation", is_flag=True, help="Allow --tee simulated, which protects nothing."
)
@click.option(
    "--unsafe-unconfined",
    is_flag=True,
    help="Start a worker that keeps its user's privileges, for hosts that cannot confine it.",
)
@home_option
@output
def command(
    console: Console,
    tee: str,
    worker_address: str | None,
    simulated_root: Path | None,
    unsafe_simulation: bool,
    unsafe_unconfined: bool,
    home: Path | None,
) -> None:
    """Run an enclave worker beside the tables that you keep at home, until ^C.

    It fetches its orders from the coordinator; nobody connects to it. It proves itself under the
    contract's policy as all workers do, opens the tables that you sealed with `mc2 upload
    --at-home`, for jobs that you approved, and answers the steps of trainings with sealed sums.
    Your keys go to it by your grants: leave `mc2 agent` running too.
    """
    if (tee == "simulated") != unsafe_simulation or (tee == "simulated") != bool(simulated_root):
        raise UsageError(
            "a simulated worker protects nothing, and needs the deployment's root",
            hint="say all of --tee simulated --unsafe-simulation --simulated-root FILE, or none",
        )
    party = open_party(home, unsafe_simulation=unsafe_simulation)
    if tee == "simulated":
        console.banner(SIMULATION_BANNER)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    arguments = ["-m", "mc2.enclave", "--tee", tee]
    if simulated_root is not None:
        arguments += ["--simulated-root", str(simulated_root.absolute()), "--unsafe-simulation"]
    if unsafe_unconfined:
        arguments.append("--unsafe-unconfined")
    enclave = _start(party, worker_address, arguments)
    console.step(f"an enclave of {party.name} waits for orders; stop with ^C")
    try:
        party.work_at_home(enclave, console.step, stop.is_set, lambda s: bool(stop.wait(s)))
    finally:
        enclave.kill()
    console.data({"stopped": party.name})


def _start(party: Party, address: str | None, arguments: list[str]) -> Worker:
    """The party's enclave, up and greeted. Raises: WorkerError."""
    import sys

    from mc2.coordinator.worker_pool import WorkerAddress, WorkerCommand

    if address is not None:
        enclave = WorkerAddress(address).start()
    else:
        log = party.home.path / _FOLDER / "worker.log"
        enclave = WorkerCommand((sys.executable, *arguments), log, {}).start()
    enclave.hello()
    return enclave
