"""`mc2 cancel`: take back a job that you proposed."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import full_job_id, open_party, output
from mc2.cli.options import home as home_option


@click.command(epilog="Example: mc2 cancel 3f2a")
@click.argument("job")
@home_option
@output
def command(console: Console, job: str, home: Path | None) -> None:
    """Take JOB back: only its proposer can, and it never runs again.

    A coordinator could go on with a job that is running. To forbid the use of your own data
    whatever it does: mc2 reject.
    """
    party = open_party(home)
    job_id = full_job_id(party, job)
    party.cancel(job_id)
    console.data({"job_id": job_id, "state": "cancelled"})
