"""Appends rows to a dataset: a new version that keeps the sealed chunks of the one before it.

Nothing of the earlier rows is read, sealed or uploaded again; only their keys are sealed anew,
under the key of the new version. Spec: docs/spec/dataset.md, section "Segments".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mc2.client.data_key import own_data_key
from mc2.crypto.secret import DataKey
from mc2.errors import DatasetError, FormatError, UsageError
from mc2.formats.dataset_open import seal_segment_keys, segment_keys
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest, Segment
from mc2.formats.schema import Schema

_ANEW: Final = "upload the whole table as a new version, without --append"
_UNSEALED: Final = "00" * 48


def check_may_append(after: Manifest, schema: Schema) -> None:
    """Whether rows of this schema can follow. Raises: DatasetError, UsageError."""
    if after.facts.unique:
        raise UsageError(
            f"{after.dataset} declares columns that hold no value twice, which the new rows alone "
            "do not show",
            hint=_ANEW,
        )
    if after.facts.ascending:
        raise UsageError(
            f"{after.dataset} declares that its rows come in order, which the new rows alone do "
            "not show",
            hint=_ANEW,
        )
    if len(after.earlier) + 1 >= LIMITS.segments:
        raise UsageError(f"{after.dataset} has {LIMITS.segments} segments", hint=_ANEW)
    if schema != after.schema:
        named = {(c.name, str(c.type)) for c in after.schema.columns}
        other = [c.name for c in schema.columns if (c.name, str(c.type)) not in named]
        raise DatasetError(
            f"the new rows have other columns than {after.dataset}"
            + (f": {', '.join(other)}" if other else ""),
            hint="append rows of the very same columns, in their order and with their types",
        )


def joined(
    draft: Manifest, after: Manifest, owner_secret: bytes | bytearray, key: DataKey
) -> Manifest:
    """The draft of a version, with all that the version before it had in front of its own rows.

    Raises: DatasetError, CryptoError if the earlier version is not one's own; UsageError.
    """
    with own_data_key(owner_secret, after) as before:
        keys = [*segment_keys(after, before.raw), bytes(before.raw)]
    # Padded chunks have one size, also those that are still to be sealed.
    to_come = (replace(chunk, size=after.chunks[0].size) for chunk in draft.chunks)
    last = Segment(after.version, after.own_rows, after.key_commitment, _UNSEALED)
    try:
        whole = replace(
            draft,
            row_bound=after.row_bound + draft.row_bound,
            earlier=(*after.earlier, last),
            cuts=after.cuts,
            chunks=(*after.chunks, *to_come),
        )
    except FormatError as error:
        raise UsageError(f"{after.dataset} cannot grow so: {error}", hint=_ANEW) from None
    return replace(whole, earlier=seal_segment_keys(whole, key.raw, keys))
