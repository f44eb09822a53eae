"""A worker's life: open what it needs, warm up, give up everything else, serve until the end."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mc2.attestation.claims import Collector
from mc2.confine import confine
from mc2.enclave.channel import Channel
from mc2.enclave.hardening import keep_memory_private
from mc2.enclave.listener import Listener, listen
from mc2.enclave.peers import PeerTrust
from mc2.enclave.self_test import self_test
from mc2.enclave.server import Server
from mc2.enclave.session import JobSession
from mc2.engine.collective.apart import Trainer
from mc2.engine.limits import EngineLimits
from mc2.formats.address import Address
from mc2.formats.release import BOOT_ID_BYTES
from mc2.formats.worker import Ready
from mc2.plan.packages import PACKAGES
from mc2.version import VERSION

UNCONFINED_WARNING: Final = (
    "UNCONFINED: the worker kept the privileges of its user; a flaw in it reaches the machine"
)
"""What a worker says of itself, and every receipt below carries, where nothing confines it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Where a worker listens, what of the machine a job may use, and whether it is confined.

    `peers` says which evidence of other enclaves it believes, `turn_seconds` how long it waits for
    a chunk, or for a member's turn in a training that it leads. `check_loaded` has the last word,
    when all is loaded and nobody is served yet.
    """

    address: Address
    limits: EngineLimits
    peers: PeerTrust
    unsafe_unconfined: bool
    turn_seconds: int
    check_loaded: Callable[[], None]


def run_worker(
    options: WorkerOptions,
    collector: Collector,
    code: Mapping[str, str],
    warnings: tuple[str, ...],
    log: Callable[[str], None],
) -> None:
    """Serve hosts, one after the other; returns only if there was no more than one.

    Raises: UsageError, ConfinementError before anything is served.
    """
    # A fork, before there is any secret, any job and any thread that computes.
    trainer = Trainer.start(confined=not options.unsafe_unconfined)
    in_force = list(keep_memory_private())
    listener = listen(options.address)
    boot_id = secrets.token_hex(BOOT_ID_BYTES)

    def make_session() -> JobSession:
        return JobSession(
            collector,
            code,
            warnings,
            boot_id,
            limits=options.limits,
            peers=options.peers,
            trainer=trainer,
        )

    self_test(make_session)
    options.check_loaded()
    os.chdir("/")  # the one path that a confined process may still ask for
    if options.unsafe_unconfined:
        warnings += (UNCONFINED_WARNING,)
    else:
        in_force += confine(allow_threads=True, memory_bytes=None, cpu_seconds=None)
    # Nothing below opens a file or imports a module: from here on neither works.
    log(f"mc2-enclave {VERSION} listens at {listener.address}, tier {collector.tier.word}")
    for line in dict.fromkeys((*in_force, *warnings)):
        log(f"  {line}")
    ready = Ready(
        boot_id=boot_id,
        kind=collector.kind,
        tier=collector.tier.word,
        code=code,
        packages={name: code[name] for name in PACKAGES},
        warnings=warnings,
    )
    _serve(listener, Server(make_session, ready, log, options.turn_seconds))


def _serve(listener: Listener, server: Server) -> None:
    for connection in listener.connections():
        channel = Channel(connection)
        if listener.inherited:
            # Without the host that started it there is nobody to compute for, nor to hand
            # results to: keys and plaintext go with the process, even in mid-job.
            channel.when_host_is_gone(lambda: os._exit(0))
        server.serve(channel)
