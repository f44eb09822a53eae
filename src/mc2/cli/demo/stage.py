"""Sets the stage: a coordinator with two enclave workers, and three parties at home."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from mc2.attestation.simulated.report import measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.cli.demo.hostile import HostileWorkers, Lie, LiedToWorker
from mc2.cli.options import trust_of
from mc2.client.agent import AgentNews
from mc2.client.contracts import read_contract_file
from mc2.client.coordinator import Coordinator as Mailbox
from mc2.client.party import Party, utc_now
from mc2.coordinator.folder import CoordinatorFolder
from mc2.coordinator.scheduler import Scheduler
from mc2.coordinator.server import Coordinator, ServerConfig, now
from mc2.coordinator.service import Service
from mc2.coordinator.store import Store
from mc2.coordinator.worker_pool import WorkerPool, worker_commands
from mc2.enclave.code_identity import code_identity
from mc2.formats.contract import Contract
from mc2.formats.coordinator_file import CoordinatorFile

WORKERS: Final = 2
MEMBERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "clinic_a": ("Clinic A", ("owner", "recipient")),
    "clinic_b": ("Clinic B", ("owner", "recipient")),
    "institute": ("Research institute", ("analyst", "recipient")),
}

_CONTRACT: Final = """\
api_version = "mc2/contract/v1"
name = "tumours"
epoch = 1
not_after = {end}
min_tier = "simulated"      # real data would demand "hardware-cvm" or better
approvers = "owners"
max_attempts = 3
{members}
[attestation."mc2-simulated/v1"]
root = "{root}"
measurements = ["{measurement}"]
"""
_MEMBER: Final = """
[members.{name}]
card = "{card}"
roles = [{roles}]
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """The folder of a demonstration and what stands in it."""

    folder: Path

    @property
    def coordinator_folder(self) -> Path:
        """Where the coordinator keeps everything."""
        return self.folder / "coordinator"

    @property
    def root_file(self) -> Path:
        """The private test root of the simulation."""
        return self.folder / "simulated-root.json"

    def worker_command(self) -> tuple[str, ...]:
        """How an enclave worker is started."""
        return (
            *(sys.executable, "-m", "mc2.enclave", "--tee", "simulated"),
            *("--simulated-root", str(self.root_file), "--unsafe-simulation"),
        )

    def make_root(self) -> SimulatedRoot:
        """Make the simulation's root."""
        root = SimulatedRoot.make()
        root.store(self.root_file)
        return root

    @contextmanager
    def coordinator(self) -> Iterator[Coordinator]:
        """A coordinator over HTTPS, with real worker processes."""
        config = ServerConfig(
            folder=self.coordinator_folder,
            port=0,
            worker_command=self.worker_command(),
            worker_count=WORKERS,
        )
        with Coordinator(config).in_background() as running:
            yield running

    @contextmanager
    def hostile_coordinator(self, lie: Lie) -> Iterator[Service]:
        """The operator's own version of it, over the same data."""
        folder = CoordinatorFolder(self.coordinator_folder)
        commands = worker_commands(1, self.worker_command(), folder.logs)
        store = Store(folder.data)
        service = Service(store, clock=now, invitation=folder.token)
        with WorkerPool(commands) as pool:
            scheduler: Scheduler[LiedToWorker] = Scheduler(service, HostileWorkers(pool, lie))
            scheduler.start()
            try:
                yield service
            finally:
                scheduler.stop()
                store.close()

    def create_parties(self) -> dict[str, Party]:
        """Make the three parties, each in a home of its own."""
        trust = trust_of(unsafe_simulation=True)
        return {
            name: Party.create(self.folder / name, name, organisation, trust=trust)
            for name, (organisation, _) in MEMBERS.items()
        }

    def party(self, name: str, mailbox: Mailbox) -> Party:
        """A party again, with another coordinator in between."""
        trust = trust_of(unsafe_simulation=True)
        return Party.open(self.folder / name, trust=trust, coordinator=mailbox)

    def enrol(self, parties: Mapping[str, Party]) -> None:
        """Enrol all with the coordinator's invitation."""
        folder = CoordinatorFolder(self.coordinator_folder)
        file = CoordinatorFile.parse(folder.file.read_bytes())
        for party in parties.values():
            party.enrol(file, folder.token())

    def draw_up_contract(self, parties: Mapping[str, Party], root: SimulatedRoot) -> Contract:
        """Write the contract as people would, and read it back."""
        members = []
        for name, party in parties.items():
            card = self.folder / f"{name}.card"
            card.write_bytes(party.card())
            roles = ", ".join(f'"{role}"' for role in MEMBERS[name][1])
            members.append(_MEMBER.format(name=name, card=card.name, roles=roles))
        end = (utc_now() + timedelta(days=365)).strftime("%Y-%m-%dT00:00:00Z")
        text = _CONTRACT.format(
            end=end,
            members="".join(members),
            root=root.digest,
            measurement=measure(code_identity()),
        )
        path = self.folder / "contract.toml"
        path.write_text(text)
        return read_contract_file(path)


@contextmanager
def answering(*parties: Party) -> Iterator[list[AgentNews]]:
    """Let the parties' key agents answer while the block lasts; what they told."""
    stop = threading.Event()
    news: list[AgentNews] = []

    def serve(party: Party) -> None:
        agent = party.desk.agent()
        agent.serve(news.append, stop.is_set, poll_seconds=0.5, pause=time.sleep)

    threads = [threading.Thread(target=serve, args=(party,), daemon=True) for party in parties]
    for thread in threads:
        thread.start()
    try:
        yield news
    finally:
        stop.set()
        for thread in threads:
            thread.join()
