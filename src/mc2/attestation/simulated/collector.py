"""Produces simulated evidence, in a worker that was started with --unsafe-simulation."""

from __future__ import annotations

import secrets
from typing import Final

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.simulated.report import (
    KIND,
    REPORT_DATA_BYTES,
    SERIAL_BYTES,
    SimulatedEvidence,
    SimulatedReport,
)
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.errors import AttestationError

WARNING: Final = (
    "SIMULATED ATTESTATION: the machine proved nothing; its operator can read all data and keys"
)
"""What every receipt below carries, and every command prints."""


class SimulatedCollector:
    """Pretends to be hardware that runs code with a given measurement on a given platform."""

    kind: str = KIND
    tier: Tier = Tier.SIMULATED

    def __init__(self, root: SimulatedRoot, measurement: str, platform: str) -> None:
        self._root = root
        self._measurement = measurement
        self._platform = platform

    def available(self) -> bool:
        """Everywhere: that is what is wrong with it."""
        return True

    def collect(self, report_data: bytes) -> RawEvidence:
        """Evidence over 64 bytes. Raises: AttestationError for another length."""
        if len(report_data) != REPORT_DATA_BYTES:
            raise AttestationError(f"report data have {REPORT_DATA_BYTES} bytes")
        report = SimulatedReport(
            measurement=self._measurement,
            platform=self._platform,
            report_data=report_data,
            serial=secrets.token_hex(SERIAL_BYTES),
        )
        signature = self._root.sign(report.signed_bytes())
        evidence = SimulatedEvidence(report=report, root=self._root.public, signature=signature)
        return RawEvidence(KIND, evidence.encode())
