"""`mc2 reject`: refuse a job, or take an approval back."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import full_job_id, open_party, output
from mc2.cli.options import home as home_option


@click.command(epilog="Example: mc2 reject 3f2a --reason 'age is not needed for this question'")
@click.argument("job")
@click.option("--reason", required=True, help="What should be different.")
@home_option
@output
def command(console: Console, job: str, reason: str, home: Path | None) -> None:
    """Refuse JOB, with a reason for its proposer; an approval that you gave is void from now on.

    No key of yours is released for it any more, even if the coordinator suppresses this.
    """
    party = open_party(home)
    job_id = full_job_id(party, job)
    rejection = party.reject(job_id, reason)
    console.data({"job_id": job_id, "rejection": rejection.digest, "reason": reason})
