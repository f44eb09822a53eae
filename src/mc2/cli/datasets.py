"""`mc2 datasets`: the sealed tables of a collaboration, their manifests verified."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console, table
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output


@click.command(epilog="Example: mc2 datasets --contract study")
@click.option("--contract", default="", help="Which collaboration, if you are in several.")
@click.option("--columns", is_flag=True, help="Show the columns too.")
@home_option
@output
def command(console: Console, contract: str, columns: bool, home: Path | None) -> None:
    """List the newest version of each sealed table, with its schema and usage policy."""
    found = open_party(home).datasets(contract)
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
    text = table(rows, ["dataset", "version", "row_bound", "sizes", "chunks", "manifest"])
    if columns:
        for name, manifest in found.items():
            text += f"\n\n{name}\n" + "\n".join(
                f"  {c.name:<32} {c.type}{'' if c.nullable else '  not null'}"
                for c in manifest.value.schema.columns
            )
    console.data(rows, text if rows else "no sealed tables yet; next: mc2 upload FILE")
