"""Digests of bytes: MD5, SHA-1, SHA-2 and CRC-32."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.handles import Layout, SecretColumn, known_of, words_of
from mc2.operators.logic import column
from mc2.operators.run import Run
from mc2.plan.oblivious_bytes import DIGEST_DIGITS
from mc2.plan.types import INT64, STRING

_DIGESTS: Final = {"md5": 0, "sha1": 1, "sha224": 2, "sha256": 3, "sha384": 4, "sha512": 5}
"""As the kernel numbers them."""


def digest(run: Run, name: str, a: SecretColumn) -> SecretColumn:
    """`md5`, `sha1`, `sha224`, `sha256`, `sha384` or `sha512`, in hexadecimal digits."""
    layout = Layout(STRING, DIGEST_DIGITS[name])
    out = np.empty((a.rows, layout.words), dtype=np.uint64)
    run.call(_native.digest, _DIGESTS[name], words_of(a), out)
    return column(run, layout, out, known_of(a))


def crc32(run: Run, a: SecretColumn) -> SecretColumn:
    """CRC-32, from 0 on."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.crc32, words_of(a), out)
    return column(run, Layout(INT64), out, known_of(a))
