"""What a party works with: home, keys, ledger, clock, coordinator, and which evidence it trusts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mc2.attestation.claims import Verifier
from mc2.attestation.policy import AttestationPolicy, SimulatedSection
from mc2.attestation.tpm.policy import TpmSection, section_verifier
from mc2.attestation.verifiers import Verifiers
from mc2.client.agent import KeyAgent
from mc2.client.coordinator import Coordinator
from mc2.client.home import Home
from mc2.client.identity import Identity
from mc2.client.ledger import Ledger
from mc2.crypto.digest import Digest
from mc2.errors import UsageError
from mc2.formats.contract import Contract

SIMULATED_TIER = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Which evidence this process is able to verify.

    `simulation` makes a verifier of simulated evidence for a root. It is there only if a person
    asked for it by flag, and even then it is used only under a contract whose signed minimum tier
    says `simulated`, for the root that this contract names. `vendors` makes more verifiers of
    hardware; it is called only where a policy names a kind that is not simulated.
    """

    hardware: tuple[Verifier, ...] = ()
    vendors: Callable[[], tuple[Verifier, ...]] | None = None
    simulation: Callable[[Digest], Verifier] | None = None

    def verifiers_for(self, contract: Contract) -> Verifiers:
        """The verifiers to use under a contract. Raises: FormatError for an unreadable policy."""
        sections = AttestationPolicy.read(contract.attestation).sections
        hardware = self.hardware
        if self.vendors is not None and sections.keys() - {SimulatedSection.KIND}:
            hardware = (*hardware, *self.vendors())
        tpm = sections.get(TpmSection.KIND)
        if isinstance(tpm, TpmSection):
            hardware = (*hardware, section_verifier(tpm))
        section = sections.get(SimulatedSection.KIND)
        if (
            self.simulation is None
            or contract.min_tier != SIMULATED_TIER
            or not isinstance(section, SimulatedSection)
        ):
            return Verifiers(*hardware)
        return Verifiers(*hardware, self.simulation(section.root))

    def check_wanted(self, contract: Contract) -> None:
        """Refuse to take part in a simulation that nobody here asked for. Raises: UsageError."""
        if contract.min_tier == SIMULATED_TIER and self.simulation is None:
            raise UsageError(
                f"the contract {contract.name} accepts simulated enclaves, which protect nothing",
                hint="for a demonstration or made-up data, add --unsafe-simulation",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that a party's work needs. `clock` is in UTC and the party's own.

    `unconfined` lets scripts be compiled where the system cannot confine the process.
    """

    home: Home
    identity: Identity
    ledger: Ledger
    coordinator: Coordinator
    trust: Trust
    clock: Callable[[], datetime]
    unconfined: bool = False

    @property
    def name(self) -> str:
        """The party's name."""
        return self.identity.name

    def agent(self) -> KeyAgent:
        """The party's key agent."""
        return KeyAgent(
            home=self.home,
            identity=self.identity,
            ledger=self.ledger,
            coordinator=self.coordinator,
            verifiers_for=self.trust.verifiers_for,
            clock=self.clock,
        )
