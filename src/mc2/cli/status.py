"""`mc2 status`: jobs at a glance, as the coordinator tells it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mc2.cli.console import Console, plain, table
from mc2.cli.metrics import metrics_text
from mc2.cli.options import full_job_id, open_party, output
from mc2.cli.options import home as home_option
from mc2.cli.run import describe
from mc2.errors import Mc2Error

if TYPE_CHECKING:
    from mc2.client.party import Party


@click.command(epilog="Example: mc2 status 3f2a")
@click.argument("job", required=False)
@home_option
@output
def command(console: Console, job: str | None, home: Path | None) -> None:
    """Show your jobs, or one of them with its rejections, stages and workers.

    This is the coordinator's word, for orientation: decisions rest on signed objects alone.
    """
    party = open_party(home)
    if job is None:
        statuses = party.status()
        rows = [
            {
                "job": s.job_id[:8],
                "proposer": s.proposer,
                "state": s.state.word,
                "approved_by": ", ".join(s.approvals) or "-",
                "now": describe(s),
            }
            for s in statuses
        ]
        text = table(rows, ["job", "proposer", "approved_by", "now"])
        console.data([s.json() for s in statuses], text if rows else "no jobs yet")
        return
    (status,) = party.status(full_job_id(party, job))
    data: dict[str, object] = dict(status.json())
    data["now"] = describe(status)
    if status.rejections:
        data["reasons"] = _reasons(party, status.job_id)
    lines = {name: value for name, value in data.items() if name != "metrics"}
    tables = metrics_text(status.metrics)
    console.data(data, plain(lines) + (f"\n{tables}" if tables else ""))


def _reasons(party: Party, job_id: str) -> list[str]:
    """Who refused and why; a false rejection is named as such instead of hiding the rest."""
    try:
        return [f"{r.member}: {r.reason}" for r in party.rejections(job_id)]
    except Mc2Error as error:
        return [f"not genuine: {error}"]
