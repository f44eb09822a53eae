"""`mc2 run`: start a job, answer for this party, wait, say who is missing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from mc2.cli.console import Console, one_line
from mc2.cli.metrics import metrics_text, show_bars
from mc2.cli.options import full_job_id, open_party, output, simulation
from mc2.cli.options import home as home_option
from mc2.cli.options import wait as wait_option
from mc2.cli.progress import Tell, bars_on_terminal
from mc2.formats.status import JobStatus


@click.command(epilog="Example: mc2 run 3f2a --unsafe-simulation")
@click.argument("job")
@wait_option
@simulation
@home_option
@output
def command(
    console: Console, job: str, timeout: float, unsafe_simulation: bool, home: Path | None
) -> None:
    """Start JOB and see it through; release your keys if you approved it.

    Waits for the other owners' approvals and answers. If this command is interrupted, run it
    again: the job goes on where it is.
    """
    party = open_party(home, unsafe_simulation=unsafe_simulation)
    job_id = full_job_id(party, job)
    with bars_on_terminal(console) as bars:
        watch = Watcher(console, bars).tell
        status = party.run(job_id, timeout=timedelta(seconds=timeout), watch=watch)
    console.data(status.json(), f"job {job_id} {status.state.word} (attempt {status.attempt})")
    if said := metrics_text(status.metrics):
        console.note(said)
    console.note(f"next: mc2 download {job} --to results")


class Watcher:
    """Tells a person what a job is doing: a line for each change, and bars where they are drawn."""

    def __init__(self, console: Console, bars: Tell | None = None) -> None:
        self._console = console
        self._bars = bars
        self._last = ""

    def tell(self, status: JobStatus) -> None:
        """Hear a status."""
        text = describe(status)
        if text != self._last:
            self._last = text
            self._console.step(text)
        if self._bars is not None:
            show_bars(status.metrics, self._bars)


def describe(status: JobStatus) -> str:
    """A status in words: where the job stands, and whom it waits for."""
    words = {
        "waiting": "waits for a free worker",
        "challenge": "waits for the owners to challenge the enclave",
        "attest": "the enclave proves itself",
        "grant": "waits for the owners to check the proof and release keys",
        "compute": "the enclave computes",
        "done": "done",
    }
    state = status.state.word
    if state == "running":
        text = f"attempt {status.attempt}: {words[status.phase]}"
        text += f" ({status.progress})" if status.progress else ""
    else:
        text = state
    if status.missing:
        text += f"; missing: {', '.join(status.missing)}"
    if status.error:
        text += f"; {status.error}"
    return one_line(text)
