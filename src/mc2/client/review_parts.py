"""What a review consists of, as data. `mc2.client.review` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mc2.formats.canonical import Json

TYPE: Final = "mc2/review/v1"

SIMULATED: Final = (
    "!!! SIMULATED: NOTHING PROTECTS THIS JOB !!!",
    "The contract accepts enclaves without any hardware protection. Whoever runs the machine can",
    "read all data of this job. Use it for demonstrations and made-up data only.",
)
_TIERS: Final = {
    "hardware-enclave": "a hardware enclave: the machine's owner sees neither data nor keys",
    "hardware-cvm": "a confidential virtual machine: the machine's owner sees neither data nor "
    "keys; the whole guest system is trusted",
    "provider-attested": "a cloud provider's word: the provider could see the data",
    "measured-boot": "measured boot: whoever owns the hardware could see the data",
    "simulated": "NOTHING, for enclaves may be simulated: whoever runs the machine sees all data",
}
_MODES: Final = {
    "encrypted": "encrypted: data is in the clear inside the enclave only; sizes, timing and "
    "memory access patterns can be watched from outside",
    "oblivious": "OBLIVIOUS: data is in the clear inside the enclave only, and what can be watched "
    "from outside (memory accesses, branches, sizes) depends on the bounds shown here alone, not "
    "on the data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A dataset that the plan reads, and what its owner said about its use."""

    dataset: str
    owner: str
    version: int
    manifest: str
    row_bound: int
    sizes: str
    columns: tuple[str, ...]
    unread: int
    policy: tuple[str, ...]

    def json(self) -> Json:
        """The reading as data."""
        return {
            "dataset": self.dataset,
            "owner": self.owner,
            "version": self.version,
            "manifest": self.manifest,
            "row_bound": self.row_bound,
            "sizes": self.sizes,
            "columns": list(self.columns),
            "columns_not_read": self.unread,
            "policy": list(self.policy),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingColumn:
    """A column that leaves the enclave: its type, how it comes about, from which columns."""

    name: str
    type: str
    how: str
    values_of: tuple[str, ...]

    def json(self) -> Json:
        """The column as data."""
        return {
            "name": self.name,
            "type": self.type,
            "how": self.how,
            "values_of": list(self.values_of),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A result that leaves the enclave, for whom, and what is in it.

    One that stays sealed for later jobs has no recipients; `kept_by` then share its key. `warns`
    says that single rows of somebody's table leave.
    """

    name: str
    kind: str
    step: int
    recipients: tuple[str, ...]
    row_bound: int | None
    each_row: str
    warns: bool
    columns: tuple[OutgoingColumn, ...]
    holds: tuple[str, ...]
    derived_from: tuple[str, ...]
    influenced_by: tuple[str, ...]
    kept_by: tuple[str, ...] = ()

    def json(self) -> Json:
        """The output as data. A bound that says nothing is null."""
        bound = self.row_bound
        return {
            "name": self.name,
            "kind": self.kind,
            "step": self.step,
            "recipients": list(self.recipients),
            "kept_by": list(self.kept_by),
            "row_bound": None if bound is None or bound >= 2**53 else bound,
            "each_row": self.each_row,
            "single_rows_leave": self.warns,
            "columns": [c.json() for c in self.columns],
            "holds": list(self.holds),
            "derived_from": list(self.derived_from),
            "influenced_by": list(self.influenced_by),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """All that there is to know before one signs. `objections` are rules that the plan breaks."""

    title: str
    plan: str
    contract: str
    contract_name: str
    script_name: str
    tier: str
    mode: str
    approvers: tuple[str, ...]
    readings: tuple[Reading, ...]
    steps: tuple[str, ...]
    functions: tuple[str, ...]
    outputs: tuple[Outgoing, ...]
    host_sees: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]
    objections: tuple[str, ...]
    changes: tuple[str, ...] | None

    @property
    def simulated(self) -> bool:
        """Whether the contract accepts enclaves that protect nothing."""
        return self.tier == "simulated"

    def json(self) -> Json:
        """The review as data; `changes` is null if there was nothing to compare with."""
        return {
            "type": TYPE,
            "title": self.title,
            "plan": self.plan,
            "contract": self.contract,
            "contract_name": self.contract_name,
            "script_name": self.script_name,
            "tier": self.tier,
            "simulated": self.simulated,
            "mode": self.mode,
            "approvers": list(self.approvers),
            "reads": [r.json() for r in self.readings],
            "steps": list(self.steps),
            "python_functions": list(self.functions),
            "outputs": [o.json() for o in self.outputs],
            "host_sees": list(self.host_sees),
            "packages": dict(self.packages),
            "objections": list(self.objections),
            "changes": None if self.changes is None else list(self.changes),
        }


def tier_words(tier: str) -> str:
    """What a tier of enclaves protects against."""
    return _TIERS[tier]


def mode_words(mode: str) -> str:
    """What a mode hides."""
    return _MODES[mode]
