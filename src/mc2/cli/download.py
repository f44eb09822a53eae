"""`mc2 download`: fetch, verify, open, write."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import full_job_id, open_party, output, simulation
from mc2.cli.options import home as home_option
from mc2.cli.verify import job_facts, warn


@click.command(epilog="Example: mc2 download 3f2a --to results --format csv")
@click.argument("job")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="The folder to write into.",
)
@click.option(
    "--format",
    "ending",
    type=click.Choice(["parquet", "csv", "arrow", "jsonl"]),
    default="parquet",
    show_default=True,
    help="How tables are written; models are XGBoost JSON.",
)
@click.option("--only", multiple=True, help="Only this result; repeatable.")
@click.option(
    "--storage",
    metavar="URL",
    default="",
    help="Fetch them from here, if the coordinator has results stand in a storage of their own.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@simulation
@home_option
@output
def command(
    console: Console,
    job: str,
    to: Path,
    ending: str,
    only: tuple[str, ...],
    storage: str,
    overwrite: bool,
    unsafe_simulation: bool,
    home: Path | None,
) -> None:
    """Fetch the results of JOB that are for you, verify their proof, and write them as files.

    Nothing is opened before the proof has shown that exactly the signed plan ran over exactly the
    named datasets. The proof is written beside the results, for anybody to check again.
    """
    from mc2.client.downloads import Destination

    party = open_party(home, unsafe_simulation=unsafe_simulation)
    job_id = full_job_id(party, job)
    done = party.download(
        job_id,
        Destination(to, f".{ending}", overwrite),
        only=only,
        storage=storage,
        told=lambda verified: warn(console, verified),
    )
    files = {name: str(path) for name, path in done.files.items()}
    console.data({**job_facts(done.job), "files": files, "proof": str(done.proof)})
