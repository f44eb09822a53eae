"""Azure VMs in software: synthetic hardware, runtime data, a vTPM; one part made wrong at will."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mc2.attestation.azure import SNP_KIND, TDX_KIND
from mc2.attestation.azure.evidence import AzureEvidence
from mc2.attestation.azure.verify import AzureSnpVerifier, AzureTdxVerifier
from mc2.attestation.claims import RawEvidence, VerifiedClaims
from tests.support.amd_hierarchy import NOW as AMD_NOW
from tests.support.amd_hierarchy import Amd
from tests.support.intel_hierarchy import NOW as INTEL_NOW
from tests.support.intel_hierarchy import Intel, Td
from tests.support.tpm_quotes import Tpm, rsa_key

QUOTING = Tpm(kind="rsa", key="vtpm")


def base64url(number: int) -> str:
    """A number as keys in JSON have it."""
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def json_key(name: str, key: str) -> dict[str, Any]:
    """An RSA key as runtime data have it."""
    numbers = rsa_key(key).public_key().public_numbers()
    return {
        "kid": name,
        "key_ops": ["sign"],
        "kty": "RSA",
        "e": base64url(numbers.e),
        "n": base64url(numbers.n),
    }


@dataclass(frozen=True, kw_only=True)
class Azure:
    """A VM; `but` changes one thing of it. `hardware` is the synthetic AMD or Intel below it."""

    hardware: Amd | Intel = field(default_factory=Amd)
    tpm: Tpm = QUOTING
    secure_boot: bool = True
    console: bool = False
    runtime_changes: Mapping[str, Any] = field(default_factory=dict)
    bound: bytes | None = None  # other report data than the right ones
    endorsements: Mapping[str, bytes] = field(default_factory=dict)

    def but(self, **changes: Any) -> Azure:
        """The same with something else."""
        return replace(self, **changes)

    @property
    def snp(self) -> bool:
        """Whether AMD is below."""
        return isinstance(self.hardware, Amd)

    def runtime_data(self) -> bytes:
        """The JSON that the hardware commits to."""
        found = {
            "keys": [json_key("HCLAkPub", "vtpm"), json_key("HCLEkPub", "vtpm ek")],
            "vm-configuration": {
                "console-enabled": self.console,
                "secure-boot": self.secure_boot,
                "tpm-enabled": True,
                "vmUniqueId": "00000000-0000-0000-0000-000000000001",
            },
            "user-data": "00" * 64,
        }
        return json.dumps({**found, **self.runtime_changes}).encode()

    def evidence(self) -> RawEvidence:
        """As our verifiers take it."""
        runtime = self.runtime_data()
        data = hashlib.sha256(runtime).digest() + bytes(32) if self.bound is None else self.bound
        if isinstance(self.hardware, Amd):
            below = self.hardware.guest_but(report_data=data).evidence()
        else:
            body = self.hardware.body
            assert isinstance(body, Td)
            below = self.hardware.but(body=replace(body, report_data=data)).evidence()
        attest = self.tpm.attest()
        found = AzureEvidence(
            report=below.evidence,
            runtime_data=runtime,
            quote=attest,
            signature=self.tpm.signature(attest),
            pcrs=self.tpm.pcrs,
        )
        kind = SNP_KIND if self.snp else TDX_KIND
        return RawEvidence(kind, found.encode(), {**below.endorsements, **self.endorsements})

    @property
    def now(self) -> datetime:
        """When its certificates are valid."""
        return AMD_NOW if self.snp else INTEL_NOW

    def verify(self, raw: RawEvidence | None = None) -> VerifiedClaims:
        """The claims of this VM, or of other evidence under its roots."""
        make = AzureSnpVerifier if self.snp else AzureTdxVerifier
        return make(self.hardware.pins()).verify(raw or self.evidence(), at=self.now)
