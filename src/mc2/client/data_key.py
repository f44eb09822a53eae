"""The keys of a party's own datasets: derived, never stored, so never lost and never copied.

And its shares of what it keeps with others, which came sealed to its card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from mc2.client.identity import Identity
from mc2.crypto.digest import Digest
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.crypto.secret import DataKey
from mc2.errors import CryptoError, DatasetError
from mc2.formats.dataset_open import dataset_cipher, open_rows
from mc2.formats.manifest import Manifest
from mc2.formats.result import Result, result_share_info


def derive_data_key(owner_secret: bytes | bytearray, key_salt: bytes) -> DataKey:
    """The key of one sealing run, from the owner's master secret and the run's random salt."""
    return DataKey(derive(owner_secret, Label.DATASET_KEY, key_salt))


def own_data_key(owner_secret: bytes | bytearray, manifest: Manifest) -> DataKey:
    """The key of a dataset version of one's own. Raises: DatasetError if it is someone else's."""
    key = derive_data_key(owner_secret, bytes.fromhex(manifest.key_salt))
    if key.commitment() != manifest.key_commitment:
        key.close()
        raise DatasetError(
            f"{manifest.dataset} version {manifest.version} was not sealed by this identity",
            hint="use the home of the party that sealed it, or seal the table again",
        )
    return key


def own_share(identity: Identity, result: Result) -> DataKey:
    """A party's share of the key of a kept result. Raises: DatasetError if it has none."""
    name, kept = identity.name, result.kept
    if kept is None or name not in result.keys:
        raise DatasetError(f"{name} has no share of {result.output}")
    info = result_share_info(result.context, result.output, name)
    try:
        share = DataKey(identity.receiving.open(result.keys[name], info))
    except CryptoError:
        raise DatasetError(
            f"the share of {result.dataset} was not sealed to this identity",
            hint="use the home of the party that it was kept for",
        ) from None
    if share.commitment() != kept.shares[name]:
        share.close()
        raise DatasetError(f"the share of {result.dataset} is not the one that it commits to")
    return share


def open_own_table(
    owner_secret: bytes | bytearray, manifest: Manifest, read: Callable[[Digest], bytes]
) -> Iterator[pa.RecordBatch]:
    """The rows of a table of one's own, from sealed chunks that `read` fetches.

    Raises: DatasetError, CryptoError, FormatError, and what `read` raises.
    """
    with own_data_key(owner_secret, manifest) as key:
        cipher = dataset_cipher(manifest, key.raw)
    return open_rows(cipher, manifest, read)
