"""Three things that a coordinator's operator would try, and what each comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from mc2.cli.demo.hostile import Lie, ReadChunk
from mc2.cli.demo.stage import Stage, answering
from mc2.crypto.digest import Digest
from mc2.errors import Mc2Error
from mc2.formats.bundle import Proof
from mc2.formats.canonical import decode, encode
from mc2.formats.limits import LIMITS

_TIMEOUT: Final = timedelta(seconds=60)
_OWNERS: Final = ("clinic_a", "clinic_b")


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack: what it is, and the lie that it takes."""

    what: str
    lie: Lie


def attacks(proof: bytes) -> tuple[Attack, ...]:
    """The attacks, with the proof of an honest job to take old objects from."""
    old = Proof.parse(proof)
    return (
        Attack("gives the enclave a chunk with one bit changed", Lie(chunk=_flip_a_bit)),
        Attack(
            "alters the plan: 3,000 rounds of training, enough to memorise patients",
            Lie(bundle=_memorise),
        ),
        Attack("replays a grant of the earlier job", Lie(grants=_replayed(old.grants))),
    )


def _flip_a_bit(name: Digest, read: ReadChunk) -> bytes:
    chunk = bytearray(read(name))
    chunk[len(chunk) // 2] ^= 0x01
    return bytes(chunk)


def _memorise(bundle: bytes) -> bytes:
    """The plan with one number changed; it is still well-formed and well typed."""
    value: Any = decode(bundle, LIMITS.bundle_bytes, "a bundle")
    for node in value["plan"]["nodes"]:
        if node["op"] == "train":
            node["num_boost_round"] = 3000
    return encode(value)


def _replayed(grants: Mapping[str, bytes]) -> Callable[[Mapping[str, bytes]], Mapping[str, bytes]]:
    def replay(fresh: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {**fresh, "clinic_a": grants["clinic_a"]}

    return replay


def attempt(stage: Stage, attack: Attack, script: str) -> Mc2Error | None:
    """Propose, approve and run a job under an attack; the error it ended in, or None.

    Everything but the operator is honest and real: the parties, their signatures, the enclave.
    """
    with stage.hostile_coordinator(attack.lie) as service:
        institute = stage.party("institute", service.for_party("institute"))
        owners = [stage.party(name, service.for_party(name)) for name in _OWNERS]
        proposed = institute.propose(script, script_name="study.py")
        for owner in owners:
            owner.approve(proposed.job_id, plan=proposed.plan.digest, script=script)
        with answering(*owners):
            try:
                institute.run(proposed.job_id, timeout=_TIMEOUT)
            except Mc2Error as error:
                return error
    return None
