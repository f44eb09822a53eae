"""The rules on registers that TPM and Azure policies share: values, events, counters.

All fields are required; docs/spec/evidence-tpm.md §6 explains each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from mc2.attestation.allowed import Allowed
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.section import check_measurement, read_hex_set
from mc2.attestation.tpm.algorithms import BANKS, DIGEST_BYTES
from mc2.attestation.tpm.evidence import register_number
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

_COUNTER: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PcrRules:
    """Which registers must be quoted, with which values, after which boot.

    `pcrs` maps each register that must be in the quote to its accepted values; registers beside
    these may be quoted and are not looked at. `events` maps registers to the digests that may
    have been measured into them; for these the log must be there. `max_restarts` counts resumes
    from suspend since the last reset.
    """

    bank: str
    pcrs: Mapping[str, tuple[str, ...]]
    events: Mapping[str, tuple[str, ...]]
    require_event_log: bool
    require_safe_clock: bool
    max_restarts: int
    firmware: Allowed

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the rules' fields out of a section. Raises: FormatError."""
        bank = fields.choice("bank", tuple(BANKS))
        size = DIGEST_BYTES[BANKS[bank]]
        pcrs = _registers(fields, "pcrs", size)
        if not pcrs:
            raise FormatError(f"pcrs of {fields.what} names no register, so nothing is measured")
        return cls(
            bank=bank,
            pcrs=pcrs,
            events=_registers(fields, "events", size),
            require_event_log=fields.boolean("require_event_log"),
            require_safe_clock=fields.boolean("require_safe_clock"),
            max_restarts=fields.integer("max_restarts", 0, _COUNTER),
            firmware=Allowed.read_hex(fields, "firmware", 8),
        )

    def json(self) -> dict[str, Json]:
        """The rules' fields as canonical JSON has them."""
        return {
            "bank": self.bank,
            "pcrs": {number: list(values) for number, values in self.pcrs.items()},
            "events": {number: list(values) for number, values in self.events.items()},
            "require_event_log": self.require_event_log,
            "require_safe_clock": self.require_safe_clock,
            "max_restarts": self.max_restarts,
            "firmware": self.firmware.json(),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the boot breaks, in words."""
        found = claims.details
        if found["bank"] != self.bank:
            return [f"bank: the quote is over {found['bank']}, and the policy is for {self.bank}"]
        failed = [
            rule
            for number, values in self.pcrs.items()
            for rule in check_measurement(claims, f"PCR{number}", values)
        ]
        failed += self._check_events(found["events"])
        restarts = found["restart_count"]
        if not isinstance(restarts, int) or restarts > self.max_restarts:
            failed.append(f"restarts: the TPM resumed {restarts} times since its reset")
        if self.require_safe_clock and found["safe"] is not True:
            failed.append("clock: the TPM's clock may have been set back")
        return failed + self.firmware.check("firmware", str(found["firmware"]))

    def _check_events(self, events: Json) -> list[str]:
        if not isinstance(events, Mapping):
            needed = self.require_event_log or bool(self.events)
            return ["event_log: there is no event log with the evidence"] if needed else []
        failed = []
        for number, allowed in self.events.items():
            measured = events.get(number)
            if not isinstance(measured, list):
                failed.append(f"events: the log has nothing for register {number}")
                continue
            failed += [
                f"events: {digest} was measured into register {number}, and is not known"
                for digest in measured
                if digest not in allowed
            ]
        return failed

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        unsafe = "refused" if self.require_safe_clock else "accepted"
        return (
            *(
                f"Accepted value of register {number} ({self.bank}): {value}"
                for number, values in self.pcrs.items()
                for value in values
            ),
            "Registers that are not listed are not looked at.",
            *(
                f"May be measured into register {number}: {value}"
                for number, values in self.events.items()
                for value in values
            ),
            f"An event log is {'needed' if self.require_event_log else 'NOT needed'}.",
            f"A TPM clock that may have been set back is {unsafe}.",
            f"The machine may have resumed from suspend {self.max_restarts} times.",
            *self.firmware.describe("TPM firmware"),
        )


def _registers(fields: Fields, name: str, size: int) -> dict[str, tuple[str, ...]]:
    inner = fields.value(name)
    if not isinstance(inner, Mapping):
        raise FormatError(f"{name} of {fields.what} is not an object")
    values = Fields(inner, f"{name} of {fields.what}")
    numbers = sorted(inner, key=register_number)
    return {number: read_hex_set(values, number, size) for number in numbers}
