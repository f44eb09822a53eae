"""Epochs are rosters in order, without doubles, in which the own key stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mc2.crypto.digest import digest
from mc2.crypto.secret import DataKey, SigningKey
from mc2.enclave.epoch import Epoch, Member
from mc2.errors import AttestationError
from mc2.formats.limits import LIMITS
from mc2.formats.release import JobContext

_KEYS = tuple(SigningKey(bytes([i]) * 32) for i in range(3))
_MEMBERS = tuple(
    Member(i, digest(f"evidence {i}".encode()), key.public) for i, key in enumerate(_KEYS)
)
_CONTEXT = JobContext(
    contract=digest(b"contract"),
    policy=digest(b"policy"),
    plan=digest(b"plan"),
    job_id="00" * 16,
    attempt=1,
)


def _epoch(own: int = 0) -> Epoch:
    return Epoch(_CONTEXT, 1, _MEMBERS, DataKey(bytes(32)), own, _KEYS[own])


def test_an_epoch_knows_its_members() -> None:
    epoch = _epoch(own=2)
    assert epoch.member(2) == _MEMBERS[2]
    assert epoch.leader == _MEMBERS[0]
    assert not epoch.leads
    assert _epoch().leads


@pytest.mark.parametrize("number", [-1, 3])
def test_there_is_no_other_member(number: int) -> None:
    with pytest.raises(AttestationError, match="no member"):
        _epoch().member(number)


def test_wiping_forgets_the_block_key() -> None:
    epoch = _epoch()
    epoch.wipe()
    assert epoch.block_key.raw == bytearray()


def test_keys_do_not_show() -> None:
    assert "key=<" not in repr(_epoch())
    assert "block_key" not in repr(_epoch())


@pytest.mark.parametrize("number", [0, -1, LIMITS.epochs + 1])
def test_numbers_have_bounds(number: int) -> None:
    with pytest.raises(AttestationError, match="numbered"):
        replace(_epoch(), number=number)


def test_rosters_have_bounds() -> None:
    with pytest.raises(AttestationError, match="members"):
        replace(_epoch(), members=())
    keys = [SigningKey(i.to_bytes(32, "big")) for i in range(LIMITS.cluster_members + 1)]
    many = tuple(Member(i, digest(bytes([i])), k.public) for i, k in enumerate(keys))
    with pytest.raises(AttestationError, match="members"):
        Epoch(_CONTEXT, 1, many, DataKey(bytes(32)), 0, keys[0])


def test_members_stand_in_order() -> None:
    with pytest.raises(AttestationError, match="in order"):
        replace(_epoch(), members=tuple(reversed(_MEMBERS)))
    with pytest.raises(AttestationError, match="in order"):
        replace(_epoch(), members=_MEMBERS[:1] + _MEMBERS[2:])


def test_no_member_counts_twice() -> None:
    again = replace(_MEMBERS[2], evidence=_MEMBERS[1].evidence)
    with pytest.raises(AttestationError, match="one evidence"):
        replace(_epoch(), members=(*_MEMBERS[:2], again))
    again = replace(_MEMBERS[2], signing_key=_MEMBERS[1].signing_key)
    with pytest.raises(AttestationError, match="one key"):
        replace(_epoch(), members=(*_MEMBERS[:2], again))


def test_the_own_key_is_in_the_roster() -> None:
    with pytest.raises(AttestationError, match="own key"):
        replace(_epoch(), own=1)


def test_a_party_has_one_enclave_at_home_and_it_does_not_lead() -> None:
    at_home = tuple(replace(m, home=home) for m, home in zip(_MEMBERS[1:], "ab", strict=True))
    assert replace(_epoch(), members=(_MEMBERS[0], *at_home)).homes == {"a": 1, "b": 2}
    twice = (_MEMBERS[0], *(replace(m, home="a") for m in _MEMBERS[1:]))
    with pytest.raises(AttestationError, match="one enclave at home"):
        replace(_epoch(), members=twice)
    with pytest.raises(AttestationError, match="no leader"):
        replace(_epoch(), members=(replace(_MEMBERS[0], home="a"), *_MEMBERS[1:]))
