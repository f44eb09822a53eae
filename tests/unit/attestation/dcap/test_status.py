"""How ratings join."""

from __future__ import annotations

import itertools

import pytest

from mc2.attestation.dcap.status import (
    COMPONENT_STATUSES,
    PLATFORM_STATUSES,
    TcbStatus,
    converge,
    relaunch,
)

ORDER = {status: rank for rank, status in enumerate(TcbStatus)}
S = TcbStatus


@pytest.mark.parametrize(
    ("platform", "component", "joined"),
    [
        (S.UP_TO_DATE, S.UP_TO_DATE, S.UP_TO_DATE),
        (S.SW_HARDENING, S.UP_TO_DATE, S.SW_HARDENING),
        (S.UP_TO_DATE, S.OUT_OF_DATE, S.OUT_OF_DATE),
        (S.SW_HARDENING, S.OUT_OF_DATE, S.OUT_OF_DATE),
        (S.CONFIGURATION, S.OUT_OF_DATE, S.OUT_OF_DATE_CONFIGURATION),
        (S.CONFIGURATION_AND_SW_HARDENING, S.OUT_OF_DATE, S.OUT_OF_DATE_CONFIGURATION),
        (S.OUT_OF_DATE, S.OUT_OF_DATE, S.OUT_OF_DATE),
        (S.OUT_OF_DATE_CONFIGURATION, S.OUT_OF_DATE, S.OUT_OF_DATE_CONFIGURATION),
    ],
)
def test_platform_and_component(platform: S, component: S, joined: S) -> None:
    assert converge(platform, component) is joined


@pytest.mark.parametrize(
    ("platform", "component"),
    list(itertools.product(sorted(PLATFORM_STATUSES), sorted(COMPONENT_STATUSES))),
)
def test_joining_never_makes_it_better(platform: S, component: S) -> None:
    joined = converge(platform, component)
    assert ORDER[joined] >= max(ORDER[platform], ORDER[component])
    assert (joined is S.REVOKED) == (S.REVOKED in (platform, component))


@pytest.mark.parametrize(
    ("launched", "current", "rated"),
    [
        (S.OUT_OF_DATE, S.UP_TO_DATE, S.RELAUNCH),
        (S.OUT_OF_DATE, S.SW_HARDENING, S.RELAUNCH),
        (S.OUT_OF_DATE, S.CONFIGURATION, S.RELAUNCH_CONFIGURATION),
        (S.OUT_OF_DATE_CONFIGURATION, S.UP_TO_DATE, S.RELAUNCH_CONFIGURATION),
        (S.OUT_OF_DATE, S.OUT_OF_DATE, S.OUT_OF_DATE),
        (S.OUT_OF_DATE, S.REVOKED, S.REVOKED),
        (S.UP_TO_DATE, S.REVOKED, S.REVOKED),
        (S.CONFIGURATION, S.REVOKED, S.REVOKED),
        (S.UP_TO_DATE, S.OUT_OF_DATE, S.UP_TO_DATE),
        (S.REVOKED, S.UP_TO_DATE, S.REVOKED),
    ],
)
def test_launched_and_current(launched: S, current: S, rated: S) -> None:
    assert relaunch(launched, current) is rated


@pytest.mark.parametrize(
    ("launched", "current"), list(itertools.product(sorted(PLATFORM_STATUSES), repeat=2))
)
def test_a_td_that_was_launched_well_stays_so_and_no_other_becomes_good(
    launched: S, current: S
) -> None:
    rated = relaunch(launched, current)
    if S.REVOKED in (launched, current):
        assert rated is S.REVOKED
    elif rated is not launched:
        assert rated in (S.RELAUNCH, S.RELAUNCH_CONFIGURATION)
        assert launched in (S.OUT_OF_DATE, S.OUT_OF_DATE_CONFIGURATION)
