"""`mc2 datasets`: the sealed tables of a collaboration, their manifests verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mc2.cli.console import Console, table
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output

if TYPE_CHECKING:  # `mc2 --help` stays light
    from mc2.formats.result import Result


@click.command(epilog="Example: mc2 datasets --contract study")
@click.option("--contract", default="", help="Which collaboration, if you are in several.")
@click.option("--columns", is_flag=True, help="Show the columns too.")
@home_option
@output
def command(console: Console, contract: str, columns: bool, home: Path | None) -> None:
    """List the newest version of each sealed table, with its schema and usage policy.

    And what jobs kept sealed for later ones: those need the approval of all who keep it.
    """
    party = open_party(home)
    found, kept = party.datasets(contract), party.kept(contract)
    rows = [
        {
            "dataset": name,
            "version": manifest.value.version,
            "row_bound": manifest.value.row_bound,
            "sizes": manifest.value.sizes,
            "chunks": manifest.value.whole_chunks,
            "manifest": manifest.digest,
            "schema": manifest.value.schema.json(),
            "policy": manifest.value.policy.json(),
        }
        for name, manifest in found.items()
    ]
    rows += [_kept_row(name, result) for name, result in kept.items()]
    text = table(rows, ["dataset", "version", "row_bound", "sizes", "chunks", "manifest"])
    if columns:
        schemas = {name: manifest.value.schema for name, manifest in found.items()}
        schemas |= {name: r.schema for name, r in kept.items() if r.schema is not None}
        for name, schema in schemas.items():
            text += f"\n\n{name}\n" + "\n".join(
                f"  {c.name:<32} {c.type}{'' if c.nullable else '  not null'}"
                for c in schema.columns
            )
    for name, result in kept.items():
        what = "a model that is kept" if result.kind == "model" else "kept"
        text += f"\n{name} is {what} by {', '.join(sorted(result.keys))}: all must approve its use"
    console.data(rows, text if rows else "no sealed tables yet; next: mc2 upload FILE")


def _kept_row(name: str, result: Result) -> dict[str, Any]:
    """A kept result in the fields of a sealed table; whose it is, and by which job."""
    facts = result.kept
    return {
        "dataset": name,
        "version": "kept",
        "kind": result.kind,
        "row_bound": 0 if facts is None else facts.row_bound,
        "sizes": "exact",
        "chunks": len(result.chunks),
        "manifest": result.digest,
        "schema": None if result.schema is None else result.schema.json(),
        "policy": None if facts is None else facts.policy.json(),
        "kept_by": sorted(result.keys),
        "job_id": result.context.job_id,
    }
