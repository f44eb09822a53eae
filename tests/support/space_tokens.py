"""A synthetic Google: a root, its authority, a token service, and Confidential Space tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from mc2.attestation.claims import RawEvidence
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.tokens import CONFIDENTIAL_SPACE_KIND
from mc2.crypto.digest import Digest, digest
from tests.support.amd_hierarchy import rsa_key
from tests.support.certificates import NOW, Link, build_path, pin

IMAGE = "ab" * 32
NONCE = "cd" * 32
AUDIENCE = "mc2"


def _key(name: str) -> Any:
    return rsa_key(f"space {name}", 2048)


def _link(name: str, **changes: Any) -> Link:
    return Link(name=name, key=_key(name), digest=hashes.SHA256(), **changes)


def space_path() -> tuple[Link, ...]:
    """Leaf, authority, root; Google's leaves have no key usage."""
    return (_link("leaf", ca=False, usage=frozenset()), _link("authority"), _link("root"))


def claims() -> dict[str, Any]:
    """What a good token says."""
    issued = int((NOW - timedelta(seconds=10)).timestamp())
    return {
        "iss": "https://confidentialcomputing.googleapis.com",
        "aud": AUDIENCE,
        "sub": "an instance",
        "iat": issued,
        "nbf": issued,
        "exp": issued + 3600,
        "eat_nonce": NONCE,
        "secboot": True,
        "hwmodel": "GCP_INTEL_TDX",
        "swname": "CONFIDENTIAL_SPACE",
        "swversion": ["250800"],
        "dbgstat": "disabled-since-boot",
        "submods": {
            "confidential_space": {"support_attributes": ["LATEST", "STABLE", "USABLE"]},
            "container": {
                "image_reference": f"example/image@sha256:{IMAGE}",
                "image_digest": f"sha256:{IMAGE}",
                "restart_policy": "Never",
                "env": {"HOSTNAME": "a-host", "PATH": "/bin"},
                "args": ["/bin/enclave"],
            },
            "gce": {"zone": "z", "project_id": "a-project", "instance_id": "123456789"},
        },
        "tdx": {
            "gcp_attester_tcb_status": "UpToDate",
            "gcp_attester_tcb_date": "2025-03-13T00:00:00Z",
        },
        "google_service_accounts": ["someone@example"],
    }


def encoded(value: object) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


@dataclass(frozen=True, kw_only=True)
class Space:
    """A token; each field can be made wrong. Paths of changed claims are written `a/b/c`."""

    path: tuple[Link, ...] = field(default_factory=space_path)
    header: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    signer: str = "leaf"

    def but(self, **changes: Any) -> Space:
        return replace(self, **changes)

    def payload(self) -> dict[str, Any]:
        found = claims()
        for where, value in self.changed.items():
            *parents, last = where.split("/")
            place = found
            for parent in parents:
                place = place[parent]
            place[last] = value
        for where in self.dropped:
            *parents, last = where.split("/")
            place = found
            for parent in parents:
                place = place[parent]
            del place[last]
        return found

    def token(self, certificates: tuple[bytes, ...], payload: object = None) -> bytes:
        chain = [base64.b64encode(der).decode() for der in certificates]
        header = {"alg": "RS256", "typ": "JWT", "kid": "a key", "x5c": chain, **self.header}
        signed = encoded(header) + b"." + encoded(self.payload() if payload is None else payload)
        key = _key(self.signer)
        return signed + b"." + encoded(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))

    def evidence(self) -> tuple[RawEvidence, tuple[PinnedRoot, ...]]:
        certificates = build_path(self.path)
        raw = RawEvidence(CONFIDENTIAL_SPACE_KIND, self.token(certificates))
        return raw, pin(certificates[-1])


def at(seconds: int) -> datetime:
    """A moment before or after now."""
    return NOW + timedelta(seconds=seconds)


def name_of(raw: RawEvidence) -> Digest:
    """The name that a token's evidence must have."""
    return digest(raw.evidence.rpartition(b".")[0])
