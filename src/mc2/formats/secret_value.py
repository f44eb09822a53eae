"""What a secret value looks like to those who do not know it: a padded table of one cell.

Spec: docs/spec/dataset.md, section "Secret values".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SECRET_COLUMN: Final = "secret_value"  # noqa: S105 - a column's name


def is_secret_value(columns: Sequence[str], row_bound: int) -> bool:
    """Whether a table of these columns and so many rows at most is a secret value."""
    return row_bound == 1 and tuple(columns) == (SECRET_COLUMN,)
