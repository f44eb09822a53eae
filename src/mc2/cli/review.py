"""`mc2 review`: what one would sign, in plain words."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console, one_line
from mc2.cli.options import full_job_id, open_party, output
from mc2.cli.options import home as home_option


@click.command(epilog="Example: mc2 review 3f2a --script-text")
@click.argument("job")
@click.option("--script-text", is_flag=True, help="Print the script too.")
@home_option
@output
def command(console: Console, job: str, script_text: bool, home: Path | None) -> None:
    """Say what JOB reads, computes and releases, to whom, and what the host can see.

    The words come from the plan that will run, not from its author. What differs from the last
    plan of the same script that you approved is shown too.
    """
    from mc2.client.review import review_text

    party = open_party(home)
    reviewed = party.review(full_job_id(party, job))
    data: dict[str, object] = {
        "job_id": reviewed.job.context.job_id,
        "proposer": reviewed.job.proposal.value.proposer,
        "note": reviewed.job.proposal.value.note,
        "review": reviewed.review.json(),
    }
    # The note is its author's; it must not be taken for a part of the review.
    text = (
        f"Job {data['job_id']}, proposed by {data['proposer']}"
        + (f', who notes: "{one_line(str(data["note"]))}"' if data["note"] else "")
        + "\n\n"
        + review_text(reviewed.review)
    )
    if script_text:
        data["script"] = reviewed.job.plan.script
        text += f"\n--- {one_line(reviewed.job.plan.script_name)} ---\n{reviewed.job.plan.script}"
    console.data(data, text)
    console.note(f"next: mc2 approve {job} or mc2 reject {job} --reason '…'")
