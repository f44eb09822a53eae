"""`mc2 agent`: answers challenges for approved jobs while it runs."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mc2.cli.console import Console, one_line
from mc2.cli.options import endorsement_cache, open_party, output, simulation
from mc2.cli.options import home as home_option

if TYPE_CHECKING:
    from types import FrameType

    from mc2.client.agent import AgentNews


@click.command(epilog="Example: mc2 agent --unsafe-simulation")
@simulation
@home_option
@output
def command(console: Console, unsafe_simulation: bool, home: Path | None) -> None:
    """Release your keys to enclaves that prove themselves, for jobs that you approved, until ^C.

    The agent decides nothing new: it checks the evidence against the contract that you signed and
    the plan that you approved, writes the decision to your ledger, and only then releases a key.
    It may be killed at any moment and started again. It warns when what you keep of the vendors'
    certificates and lists is about to end.
    """
    from mc2.cli.endorsements import clock
    from mc2.client.endorsements_expiry import ExpiryWatch

    party = open_party(home, unsafe_simulation=unsafe_simulation)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    watch = ExpiryWatch(endorsement_cache(home), clock, console.note)

    def stopped() -> bool:
        watch.look()
        return stop.is_set()

    console.step(f"answering for {party.name}; stop with ^C")
    party.serve(lambda news: _tell(console, news), stopped)
    console.data({"stopped": party.name})


def _tell(console: Console, news: AgentNews) -> None:
    if news.error is not None:
        console.step(f"job {news.job_id[:8] or '-'}: {news.error}")
        if news.error.hint:
            console.note(f"           next: {one_line(news.error.hint)}")
    elif news.answer is not None:
        console.step(f"job {news.job_id[:8]}: {news.answer.value}")
