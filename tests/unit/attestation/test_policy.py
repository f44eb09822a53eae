"""Attestation policies: strict to read, and exactly what the contract's digest covers."""

from __future__ import annotations

import pytest

from mc2.attestation.policy import AttestationPolicy, SimulatedSection
from mc2.crypto.digest import digest
from mc2.errors import FormatError
from mc2.formats.canonical import encode

ROOT = digest(b"a root")
CODE = "ab" * 48


def policy_json(**changes):
    section = {"root": ROOT, "measurements": [CODE]} | changes
    return {"mc2-simulated/v1": {k: v for k, v in section.items() if v is not None}}


def test_reads_and_writes_the_same_value():
    policy = AttestationPolicy.read(policy_json())
    assert policy.sections["mc2-simulated/v1"] == SimulatedSection(root=ROOT, measurements=(CODE,))
    assert policy.json() == policy_json()
    assert policy.digest == digest(encode(policy_json()))


@pytest.mark.parametrize("empty", [{}, [], None, "", 3])
def test_refuses_a_policy_without_sections(empty):
    with pytest.raises(FormatError):
        AttestationPolicy.read(empty)


def test_refuses_a_kind_that_nobody_knows():
    with pytest.raises(FormatError, match="unknown here") as refused:
        AttestationPolicy.read(policy_json() | {"mc2-simulated/v2": {}})
    assert "mc2-simulated/v1" in refused.value.hint


@pytest.mark.parametrize("missing", ["root", "measurements"])
def test_no_rule_is_waived_by_leaving_it_out(missing):
    with pytest.raises(FormatError, match=missing):
        AttestationPolicy.read(policy_json(**{missing: None}))


@pytest.mark.parametrize(
    "change",
    [
        {"root": "sha256:00"},
        {"root": 7},
        {"measurements": []},
        {"measurements": CODE},
        {"measurements": [CODE, CODE]},
        {"measurements": ["cd" * 48, CODE]},
        {"measurements": [CODE.upper()]},
        {"measurements": ["ab" * 32]},
        {"measurements": [7]},
        {"measurements": ["*"]},
        {"debug": False},
    ],
)
def test_refuses_other_fields_and_values(change):
    with pytest.raises(FormatError):
        AttestationPolicy.read(policy_json(**change))


def test_says_loudly_that_a_simulation_is_accepted():
    lines = AttestationPolicy.read(policy_json()).describe()
    assert any("SIMULATED" in line for line in lines)
    assert any(CODE in line for line in lines)
