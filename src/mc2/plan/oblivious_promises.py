"""What everybody relies on of a plan's results, and no way to compute them may change."""

from __future__ import annotations

from collections.abc import Sequence

from mc2.formats.schema import width_paths
from mc2.plan.facts import Facts
from mc2.plan.plan import Plan


def keeps_promises(
    before: tuple[Plan, Sequence[Facts]], after: tuple[Plan, Sequence[Facts]]
) -> bool:
    """Whether results are for the same people, have the same columns, and take no more room."""
    (written, known), (other, found) = before, after
    if len(written.outputs) != len(other.outputs):
        return False
    for one, two in zip(written.outputs, other.outputs, strict=True):
        schema, facts, less = written.nodes[one.node].schema, known[one.node], found[two.node]
        whose = (one.name, one.kind, one.recipients, one.keep)
        if whose != (two.name, two.kind, two.recipients, two.keep):
            return False
        if schema != other.nodes[two.node].schema or less.rows > facts.rows:
            return False
        paths = () if schema is None else width_paths(schema)
        if any(less.width(path) > facts.width(path) for path in paths):
            return False
    return True
