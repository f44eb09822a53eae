"""How Intel rates a platform, and how the ratings of its parts become one.

The tables follow Intel's quote verification library: an enclave or module that is out of date
drags the platform down, and a TD that was launched under old firmware, which was replaced while
it ran, is advised to relaunch (docs/spec/evidence-dcap.md §6).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TcbStatus(StrEnum):
    """The rating, in Intel's words, from the best to the worst."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING = "SWHardeningNeeded"
    CONFIGURATION = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING = "ConfigurationAndSWHardeningNeeded"
    RELAUNCH = "TDRelaunchAdvised"
    RELAUNCH_CONFIGURATION = "TDRelaunchAdvisedConfigurationNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"


PLATFORM_STATUSES: Final = frozenset(TcbStatus) - {
    TcbStatus.RELAUNCH,
    TcbStatus.RELAUNCH_CONFIGURATION,
}
"""What a TCB level of a platform can state; the others are only ever concluded."""

COMPONENT_STATUSES: Final = frozenset(
    {TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE, TcbStatus.REVOKED}
)
"""What a level of the quoting enclave or of a TDX module can state."""

_CONFIGURATION: Final = frozenset(
    {
        TcbStatus.CONFIGURATION,
        TcbStatus.CONFIGURATION_AND_SW_HARDENING,
        TcbStatus.OUT_OF_DATE_CONFIGURATION,
    }
)
_OUT_OF_DATE: Final = frozenset({TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION})


def converge(platform: TcbStatus, component: TcbStatus) -> TcbStatus:
    """The rating of a platform that runs a component with a rating of its own."""
    if TcbStatus.REVOKED in (platform, component):
        return TcbStatus.REVOKED
    if component is TcbStatus.UP_TO_DATE:
        return platform
    if platform in _CONFIGURATION:
        return TcbStatus.OUT_OF_DATE_CONFIGURATION
    return TcbStatus.OUT_OF_DATE


def relaunch(launched: TcbStatus, current: TcbStatus) -> TcbStatus:
    """The rating of a TD from those of the firmware that launched it and that runs it now.

    If either is revoked, so is the TD: what runs now can read it, however well it was launched.
    Otherwise only a TD launched under old firmware differs: if what runs now is good, it needs
    no more than a new launch.
    """
    if TcbStatus.REVOKED in (launched, current):
        return TcbStatus.REVOKED
    if launched not in _OUT_OF_DATE or current in _OUT_OF_DATE:
        return launched
    if launched in _CONFIGURATION or current in _CONFIGURATION:
        return TcbStatus.RELAUNCH_CONFIGURATION
    return TcbStatus.RELAUNCH
