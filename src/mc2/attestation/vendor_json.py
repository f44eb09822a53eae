"""JSON that vendors sign, in whatever spelling they send it: each key once, and whole numbers."""

from __future__ import annotations

import json
from typing import NoReturn

from mc2.errors import EvidenceError
from mc2.formats.canonical import Json


def read_json(raw: bytes, what: str) -> Json:
    """A vendor's JSON. Raises: EvidenceError.

    A key that stands twice has another value for another reader, so there is none.
    """
    try:
        value: Json = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        raise EvidenceError(f"{what}: not JSON of distinct keys and whole numbers") from None
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
