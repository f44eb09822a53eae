"""Lays a review out for people: the warnings first, then what leaves, then the rest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from mc2.client.plan_words import name_words, names, rows, visible
from mc2.client.review_parts import (
    SIMULATED,
    Outgoing,
    Reading,
    Review,
    mode_words,
    tier_words,
)

_WIDTH: Final = 100


def review_text(review: Review) -> str:
    """The review as text, each line ended."""
    return "\n".join(_lines(review)) + "\n"


def _lines(review: Review) -> Iterator[str]:
    if review.simulated:
        yield from SIMULATED
        yield ""
    if review.objections:
        yield "THIS PLAN BREAKS A RULE AND WILL NOT RUN"
        yield from _items(review.objections)
        yield ""
    yield f'"{visible(review.title)}"'
    yield f"  plan      {review.plan}"
    yield f"  contract  {visible(review.contract_name)} ({review.contract})"
    yield f"  script    {visible(review.script_name)}"
    yield ""
    yield "WHAT LEAVES THE ENCLAVE"
    for output in review.outputs:
        yield from _outgoing(output)
    yield ""
    yield "WHAT IS READ"
    for reading in review.readings:
        yield from _reading(reading)
    yield ""
    yield "WHAT IS COMPUTED"
    for number, step in enumerate(review.steps, 1):
        yield from _wrapped(step, f"  {number:>3}. ", "       ")
    yield from _functions(review)
    yield ""
    yield "WHO MUST APPROVE"
    yield f"  {', '.join(review.approvers)}"
    yield ""
    yield "WHAT PROTECTS THE DATA"
    yield from _wrapped(f"at least: {tier_words(review.tier)}", "  ", "  ")
    yield from _wrapped(f"mode: {mode_words(review.mode)}", "  ", "  ")
    yield ""
    yield "WHAT THE HOST CAN SEE"
    yield from _items(review.host_sees)
    yield ""
    yield "SOFTWARE THAT COMPUTES"
    yield "  " + ", ".join(f"{visible(n)} {visible(v)}" for n, v in review.packages)
    if review.changes is not None:
        yield ""
        yield "WHAT CHANGED SINCE THE EARLIER PLAN"
        yield from _items(review.changes or ("nothing: it is the same plan",))


def _functions(review: Review) -> Iterator[str]:
    """The Python functions of the script, word for word."""
    if not review.functions:
        return
    yield ""
    yield "PYTHON FUNCTIONS OF THE SCRIPT"
    words = "The steps above hold each call as an expression over its columns. Nothing else runs."
    yield from _wrapped(words, "  ", "  ")
    for source in review.functions:
        yield from (f"  | {visible(line)}".rstrip() for line in source.split("\n"))


def _outgoing(output: Outgoing) -> Iterator[str]:
    to = f"to {', '.join(output.recipients)}" if output.recipients else "STAYS SEALED, to nobody"
    yield f"  {output.name} ({output.kind}, step {output.step}) {to}"
    if output.kept_by:
        yield from _wrapped(
            f"later jobs can read it, each with the approval and the share of all of "
            f"{', '.join(output.kept_by)}",
            "    ",
        )
    if output.warns:
        yield "    !!! DATA OF SINGLE ROWS LEAVES THE ENCLAVE !!!"
    if output.kind == "table" and output.row_bound is not None:
        yield from _wrapped(f"{rows(output.row_bound)}; each row is {output.each_row}", "    ")
    shared = len(output.columns) > 1 and len({c.values_of for c in output.columns}) == 1
    for column in output.columns:
        line = f"{name_words(column.name)} {column.type}: {column.how}"
        if column.values_of and not shared:
            line += f", from {names(column.values_of)}"
        yield from _wrapped(line, "    - ", "      ")
    if shared and output.columns[0].values_of:
        yield from _wrapped(f"all from {names(output.columns[0].values_of)}", "    ")
    for line in output.holds:
        yield from _wrapped(line, "    - ", "      ")
    if output.influenced_by:
        yield from _wrapped(f"also depends on {names(output.influenced_by)}", "    ")
    yield from _wrapped(f"derives from {', '.join(output.derived_from)}", "    ")


def _reading(reading: Reading) -> Iterator[str]:
    version = f"version {reading.version}" if reading.version else "version not at hand"
    yield f"  {reading.dataset} of {reading.owner}, {version}, {rows(reading.row_bound)}"
    yield f"    {reading.manifest}"
    rest = f" ({reading.unread} other columns are not read)" if reading.unread else ""
    yield from _wrapped(f"columns: {names(reading.columns)}{rest}", "    ")
    for line in reading.policy:
        yield from _wrapped(f"rule: {line}", "    ")


def _items(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from _wrapped(line, "  - ", "    ")


def _wrapped(text: str, first: str, later: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=first if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )
