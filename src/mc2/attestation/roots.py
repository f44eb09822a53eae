"""The vendors' roots that mc2 trusts, as data: digests, not certificates.

The certificate itself arrives with the evidence; it counts only if it matches a pin. AMD's roots
are pinned by key, so that a certificate reissued for the same key stays good; the others by
certificate.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from mc2.crypto.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedRoot:
    """One root: what it stands for, and the SHA-256 (hex) of its certificate or its key.

    `meaning` is the product line for AMD and a plain name otherwise. `not_after` is for people:
    verification looks at the certificate.
    """

    vendor: str
    meaning: str
    of: Literal["certificate", "key"]
    sha256: str
    not_after: datetime

    def matches(self, der: bytes, spki: bytes) -> bool:
        """Whether a root certificate, or its key (SubjectPublicKeyInfo), is the pinned one."""
        pinned = der if self.of == "certificate" else spki
        return hashlib.sha256(pinned).hexdigest() == self.sha256


def contract_root(name: Digest | str) -> PinnedRoot:
    """A root that the members of a contract pinned, by the digest of its certificate."""
    return PinnedRoot(
        vendor="the contract",
        meaning="named by all members",
        of="certificate",
        sha256=name.removeprefix("sha256:"),
        not_after=datetime.max.replace(tzinfo=UTC),
    )


AMD_ROOTS: Final = (
    PinnedRoot(
        vendor="AMD",
        meaning="Milan",
        of="key",
        sha256="9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9",
        not_after=datetime(2045, 10, 22, 17, 23, 5, tzinfo=UTC),
    ),
    PinnedRoot(
        vendor="AMD",
        meaning="Genoa",
        of="key",
        sha256="429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831",
        not_after=datetime(2047, 1, 26, 15, 34, 37, tzinfo=UTC),
    ),
    PinnedRoot(
        vendor="AMD",
        meaning="Turin",
        of="key",
        sha256="4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08",
        not_after=datetime(2048, 5, 15, 20, 3, 12, tzinfo=UTC),
    ),
)
"""ARK of each product line, from AMD's key distribution service."""

INTEL_ROOTS: Final = (
    PinnedRoot(
        vendor="Intel",
        meaning="Intel SGX Root CA",
        of="certificate",
        sha256="44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
        not_after=datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),
    ),
)
"""Root of PCK certificates, of TCB information and of QE identities, for SGX and TDX."""

NITRO_ROOTS: Final = (
    PinnedRoot(
        vendor="AWS",
        meaning="aws.nitro-enclaves G1",
        of="certificate",
        sha256="641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
        not_after=datetime(2049, 10, 28, 14, 28, 5, tzinfo=UTC),
    ),
)
"""Root of Nitro attestation documents; AWS publishes the digest."""

CONFIDENTIAL_SPACE_ROOTS: Final = (
    PinnedRoot(
        vendor="Google",
        meaning="Confidential Space Root CA",
        of="certificate",
        sha256="148b293821bb0c6a317f413c8ba475814091cb22d49b9e3c94198db8e8f86c39",
        not_after=datetime(2034, 1, 16, 22, 10, 49, tzinfo=UTC),
    ),
)
"""Root of Confidential Space tokens that carry their certificates."""

GOOGLE_VTPM_ROOTS: Final = (
    PinnedRoot(
        vendor="Google",
        meaning="EK/AK CA Root",
        of="certificate",
        sha256="594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2",
        not_after=datetime(2122, 7, 8, 5, 57, 23, tzinfo=UTC),
    ),
)
"""Root of the endorsement and attestation keys of Google Cloud's virtual TPMs."""
