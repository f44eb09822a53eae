"""`mc2 stop`: end a coordinator and its workers. Nothing that was acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import output
from mc2.errors import CoordinatorError


@click.command(epilog="Example: mc2 stop --folder /srv/mc2")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("coordinator"),
    show_default=True,
    help="The folder that the coordinator was started with.",
)
@output
def command(console: Console, folder: Path) -> None:
    """Stop a coordinator and its workers.

    Jobs under way lose their present attempt; they go on with the next one when the coordinator
    is started again.
    """
    from mc2.coordinator.folder import stop_process

    if not stop_process(folder):
        raise CoordinatorError(
            f"no coordinator runs on {folder}", hint="name the right one: mc2 stop --folder FOLDER"
        )
    console.data({"stopped": str(folder)})
