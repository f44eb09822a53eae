"""`mc2 log`: the party's own record of what it agreed to and released."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output
from mc2.formats.fields import to_time


@click.command(epilog="Example: mc2 log --json")
@click.option("--job", default="", help="Only entries about one job.")
@home_option
@output
def command(console: Console, job: str, home: Path | None) -> None:
    """Show your ledger: contracts, approvals, every key that was released and to what.

    Each entry repeats the digest of the one before, so nothing can be taken out unnoticed.
    """
    entries = [
        {
            "index": entry.index,
            "time": to_time(entry.time),
            "kind": entry.event.KIND,
            "event": entry.event.json(),
        }
        for entry in open_party(home).log()
    ]
    if job:
        entries = [e for e in entries if job in json.dumps(e["event"])]
    lines = [
        f"{e['index']:>5}  {e['time']}  {e['kind']:<18} {json.dumps(e['event'])}" for e in entries
    ]
    console.data(entries, "\n".join(lines) or "nothing yet")
