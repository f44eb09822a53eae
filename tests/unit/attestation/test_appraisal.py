"""Appraisal lists every failed rule, and accepts nothing that has one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.activating import Vault

from mc2.attestation.activation import seal_activation
from mc2.attestation.appraisal import appraise, appraise_to_activate
from mc2.attestation.claims import ClaimsToActivate, Tier, VerifiedClaims
from mc2.attestation.policy import AttestationPolicy, SimulatedSection
from mc2.crypto.digest import digest
from mc2.errors import AppraisalError

ROOT = digest(b"a root")
CODE = "ab" * 48
DATA = bytes(range(64))
POLICY = AttestationPolicy({"mc2-simulated/v1": SimulatedSection(root=ROOT, measurements=(CODE,))})
CLAIMS = VerifiedClaims(
    kind="mc2-simulated/v1",
    tier=Tier.SIMULATED,
    measurements={"MEASUREMENT": CODE},
    report_data=DATA,
    debug=False,
    platform_id="demo",
    evidence_digest=digest(b"evidence"),
    valid_until=None,
    details={"root": ROOT},
)

BREAKS = {
    "binding": {"report_data": bytes(64)},
    "debug": {"debug": True},
    "MEASUREMENT": {"measurements": {"MEASUREMENT": "cd" * 48}},
    "root": {"details": {"root": digest(b"another root")}},
}


def test_accepts_what_the_policy_names():
    accepted = appraise(CLAIMS, POLICY, Tier.SIMULATED, DATA)
    assert accepted.claims is CLAIMS
    assert accepted.policy == POLICY.digest
    assert accepted.tier is Tier.SIMULATED


@given(st.sets(st.sampled_from(sorted(BREAKS)), min_size=1), st.sampled_from(Tier))
def test_lists_every_failed_rule_and_no_other(broken, min_tier):
    changes = {}
    for rule in broken:
        changes |= BREAKS[rule]
    expected = broken | ({"tier"} if min_tier > Tier.SIMULATED else set())
    with pytest.raises(AppraisalError) as refused:
        appraise(replace(CLAIMS, **changes), POLICY, min_tier, DATA)
    assert {f.partition(":")[0] for f in refused.value.failures} == expected
    assert all(f in str(refused.value) for f in refused.value.failures)


@pytest.mark.parametrize("min_tier", [t for t in Tier if t > Tier.SIMULATED])
def test_a_simulation_never_passes_for_more(min_tier):
    with pytest.raises(AppraisalError, match="tier"):
        appraise(CLAIMS, POLICY, min_tier, DATA)


def test_a_kind_without_a_section_fails_and_the_general_rules_are_still_listed():
    other = replace(CLAIMS, kind="sev-snp", tier=Tier.HARDWARE_CVM, report_data=b"", debug=True)
    with pytest.raises(AppraisalError) as refused:
        appraise(other, POLICY, Tier.HARDWARE_CVM, DATA)
    rules = {f.partition(":")[0] for f in refused.value.failures}
    assert rules == {"kind", "binding", "debug"}


@pytest.mark.parametrize("report_data", [b"", DATA[:63], DATA + b"\0", bytes(64)])
def test_binding_is_to_all_64_bytes(report_data):
    with pytest.raises(AppraisalError, match="binding"):
        appraise(replace(CLAIMS, report_data=report_data), POLICY, Tier.SIMULATED, DATA)


def test_a_missing_measurement_is_not_an_allowed_one():
    with pytest.raises(AppraisalError, match="does not have this measurement"):
        appraise(replace(CLAIMS, measurements={"PCR4": CODE}), POLICY, Tier.SIMULATED, DATA)


def test_a_missing_root_is_not_the_right_one():
    with pytest.raises(AppraisalError, match="root"):
        appraise(replace(CLAIMS, details={}), POLICY, Tier.SIMULATED, DATA)


# --- evidence that an activation must complete


VAULT = Vault()
WAITING = appraise_to_activate(ClaimsToActivate(CLAIMS, VAULT), POLICY, Tier.SIMULATED, DATA)
SEALED = {name: seal_activation(VAULT) for name in ("ada", "bo")}
ACTIVATIONS = {name: activation for name, (_, activation) in SEALED.items()}
TOKENS = {name: secret.token() for name, (secret, _) in SEALED.items()}


def test_a_key_is_activated_by_the_tokens_of_all_who_granted():
    assert WAITING.activated(ACTIVATIONS, TOKENS).claims is CLAIMS


@pytest.mark.parametrize(
    ("activations", "tokens"),
    [
        ({}, {}),
        (ACTIVATIONS, {}),
        (ACTIVATIONS, {"ada": TOKENS["ada"]}),
        (ACTIVATIONS, {**TOKENS, "cy": TOKENS["bo"]}),
        ({"ada": ACTIVATIONS["ada"]}, TOKENS),
    ],
)
def test_a_key_is_activated_by_nobody_less_and_nobody_else(activations, tokens):
    with pytest.raises(AppraisalError, match="exactly the owners"):
        WAITING.activated(activations, tokens)


@pytest.mark.parametrize("token", [TOKENS["ada"], bytes(32), b"", TOKENS["bo"][:-1]])
def test_a_token_that_nobody_could_open_names_its_owner(token):
    with pytest.raises(AppraisalError, match="that bo sealed"):
        WAITING.activated(ACTIVATIONS, {**TOKENS, "bo": token})


def test_evidence_to_activate_is_appraised_as_all_evidence_is():
    broken = ClaimsToActivate(replace(CLAIMS, debug=True), VAULT)
    with pytest.raises(AppraisalError, match="debug"):
        appraise_to_activate(broken, POLICY, Tier.SIMULATED, DATA)
