"""Secret values: what a script computes with, and only its owner knows.

A script's text is before everybody's eyes, so a threshold or name that others must not see cannot
stand in it. It is sealed instead, as a table of one row and one column: padded, so that its size
tells nothing, and released to the enclave by a grant of its own, as any table is.
Spec: docs/spec/dataset.md, section "Secret values".
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from mc2.client.datasets import upload
from mc2.client.desk import Desk
from mc2.client.seal import Sealed, SealOptions
from mc2.errors import DatasetError, FormatError, UsageError
from mc2.formats.arrow import arrow_type
from mc2.formats.manifest import UsagePolicy
from mc2.formats.schema import parse_type
from mc2.formats.secret_value import SECRET_COLUMN

DEFAULT_WIDTH: Final = 256
"""The most bytes of a text, in UTF-8; ciphertext is as long for every shorter one."""

_ONE_ROW: Final = 1


def upload_secret(
    desk: Desk, value: Any, name: str, kind: str, *, width: int = DEFAULT_WIDTH
) -> Sealed:
    """Seal a value of a type, or its text, and publish it as the next version of a secret.

    Raises: UsageError, DatasetError, CoordinatorError; none of them quotes the value.
    """
    try:
        found = parse_type(kind)
    except FormatError as error:
        raise UsageError(f"a secret has a type: {error}", hint="--type 'decimal(12,2)'") from None
    if found.name in {"list", "struct"}:
        raise UsageError(f"a secret is one value, and no {found}")
    if value is None:
        raise UsageError("a secret has a value: NULL would tell that there is none")
    loose = found.name in {"string", "binary"}
    try:
        array = pa.array([value], pa.string() if isinstance(value, str) else arrow_type(found))
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        raise UsageError(f"the value of {name} is no {found}") from None
    options = SealOptions(
        sizes="padded",
        row_bound=_ONE_ROW,
        widths={SECRET_COLUMN: width} if loose else {},
        rows_per_chunk=_ONE_ROW,
    )
    try:
        return upload(
            desk,
            pa.table({SECRET_COLUMN: array}),
            name,
            policy=UsagePolicy(),
            options=options,
            columns=[f"{SECRET_COLUMN}:{found} not null"],
        )
    except DatasetError as error:
        raise DatasetError(f"{name}: {error}", hint=error.hint) from None
