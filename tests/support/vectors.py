"""The genuine attestation evidence next to the repository, where it is.

It is not part of the repository: it belongs to its sources. Tests over it are skipped where the
folder is missing, and say so.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"

needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the genuine evidence in ../shared/vectors is not here"
)


@cache
def case_files(name: str) -> dict[str, bytes]:
    """All files of one case, by name."""
    return {path.name: path.read_bytes() for path in sorted((VECTORS / name).iterdir())}


@cache
def expected(name: str) -> dict[str, Any]:
    """What the case's `expected.json` says."""
    return json.loads(case_files(name)["expected.json"])


def verify_at(name: str) -> datetime:
    """The moment as of which the case is to be verified."""
    return datetime.fromtimestamp(expected(name)["verify_at"], UTC)
