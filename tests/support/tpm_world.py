"""A world whose enclaves prove themselves by a software TPM; parties believe no simulation."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mc2.attestation.collect.choose import tpm_collector
from mc2.attestation.collect.tees import TpmSource
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.code_log import CodeEvent
from mc2.attestation.tpm.collector import TpmCollector
from mc2.client.desk import Trust
from mc2.enclave.__main__ import MEASURED_BOOT_WARNING
from mc2.enclave.session import JobSession
from tests.support.swtpm import SoftwareTpm
from tests.support.world import CODE, World, world

SCRIPT = """\
import mc2

job = mc2.Job("Visits")
counted = job.sql('''
    SELECT site, count(*) AS n
    FROM (SELECT site FROM ada.visits UNION ALL SELECT site FROM bo.visits) AS v
    GROUP BY site ORDER BY site
''')
job.release("counted", counted, to=["cy"])
"""
GOOD = CodeEvent({"mc2": "11" * 32, "python": "22" * 32})
BOOT = (0, 4, 7, 11)


def source(tpm: SoftwareTpm, path: Path, folder: Path) -> TpmSource:
    """What a worker is told of a running TPM."""
    chain = folder / "chain.pem"
    chain.write_bytes(tpm.chain())
    return TpmSource(path, tpm.chain(), folder / "code-log.json", chain)


def section(found: TpmSource, *code: str, **changes: Any) -> dict[str, Any]:
    """What members accept: this machine, as it stands now."""
    machine = tpm_collector(found).machine()
    return {
        "roots": [machine.root],
        "origins": ["activated"],
        "code": sorted(code),
        "resets": {machine.platform: [machine.reset_count, machine.reset_count]},
        "bank": "sha256",
        "pcrs": {str(n): [machine.pcrs[n].hex()] for n in BOOT},
        "events": {},
        "require_event_log": False,
        "require_safe_clock": False,
        "max_restarts": 0,
        "firmware": "any",
        "platforms": [machine.platform],
        "denied_platforms": [],
    } | changes


@dataclass
class TpmSessions:
    """Lends out sessions over a TPM's collector; `lie` may put another in its place."""

    collector: Any
    lie: Callable[[JobSession], Any] = lambda session: session

    def acquire(self, *, timeout_seconds: float) -> Any:
        session = JobSession(self.collector, CODE, (MEASURED_BOOT_WARNING,), secrets.token_hex(16))
        return _Borrowed(session)

    def release(self, worker: Any) -> None:
        worker.kill()


@dataclass
class _Borrowed:
    session: JobSession
    usable: bool = True

    def open(self, bundle: bytes, *, timeout_seconds: float) -> Any:
        return self.session.open(bundle)

    def attest(self, challenges: Mapping[str, bytes], *, timeout_seconds: float) -> bytes:
        return self.session.attest(challenges)

    def run(self, *given: Any, timeout_seconds: float, **named: Any) -> Any:
        return self.session.run(*given, **named)

    def kill(self) -> None:
        self.session.close()


def measured(found: TpmSource, event: CodeEvent = GOOD) -> TpmCollector:
    """The collector of an enclave that measured some code."""
    collector = tpm_collector(found)
    collector.measure(event)
    return collector


@contextmanager
def tpm_world(
    folder: Path, workers: Any, attestation: dict[str, Any], *, workers_per_job: int = 1
) -> Iterator[World]:
    """Three parties who agreed on a TPM, two of them with data."""
    made = world(
        folder,
        workers=lambda _: workers,
        workers_per_job=workers_per_job,
        trust=Trust(),
        min_tier="measured-boot",
    )
    with made as found:
        found.agree(attestation={KIND: attestation}, max_attempts=1)
        found.bring()
        yield found


def but(collector: TpmCollector, **methods: Callable[..., Any]) -> Any:
    """A collector with some methods replaced."""
    made = type("Lying", (_Delegating,), {n: staticmethod(m) for n, m in methods.items()})
    return made(collector)


class _Delegating:
    def __init__(self, honest: TpmCollector) -> None:
        self._honest = honest
        self.kind, self.tier = honest.kind, honest.tier

    def available(self) -> bool:
        return True

    def collect(self, report_data: bytes) -> Any:
        return self._honest.collect(report_data)

    def activate(self, blob: bytes, encrypted_seed: bytes) -> bytes:
        return self._honest.activate(blob, encrypted_seed)


__all__ = [
    "BOOT", "GOOD", "SCRIPT", "TpmSessions", "but", "measured", "replace", "section", "source",
    "tpm_world",
]  # fmt: skip
