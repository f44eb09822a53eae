"""checkpoint, localCheckpoint: a DataFrame that the client names by a number from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mc2.errors import PlanError


def without_checkpoints(value: Any, kept: Mapping[str, Any]) -> Any:
    """A message in which such numbers became the DataFrames that they stand for.

    Raises: PlanError for a number that was never given out here, or is forgotten.
    """
    if isinstance(value, Mapping):
        found = {name: without_checkpoints(inner, kept) for name, inner in value.items()}
        if "cached_remote_relation" in found:
            number = str(found.pop("cached_remote_relation").get("relation_id"))
            if number not in kept:
                raise PlanError("the checkpoint is gone", hint="make the DataFrame again")
            # A hint changes no row: so the DataFrame keeps its own number beside the new one.
            found["hint"] = {"input": kept[number]}
        return found
    if isinstance(value, (list, tuple)):
        return [without_checkpoints(inner, kept) for inner in value]
    return value
