"""Rates a platform by Intel's TCB info and QE identity (docs/spec/evidence-dcap.md §6). Pure.

Everything here is already known to be genuine: the SVNs stand in the PCK certificate and in the
signed reports, the levels in signed collateral. What is left is comparing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mc2.attestation.dcap.collateral import ModuleIdentity, QeIdentity, SvnLevel, TcbInfo, TcbLevel
from mc2.attestation.dcap.pck import COMPONENTS, PckExtension
from mc2.attestation.dcap.quote import EnclaveReport, TdReport
from mc2.attestation.dcap.status import TcbStatus, converge, relaunch
from mc2.errors import EvidenceError

_MODULE_COMPONENTS: Final = 2
"""TEE_TCB_SVN[0] and [1], SVN and major version of the TDX module; the module's identity rates
them when the major version is not 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Intel's verdict on one platform, and what it was made of.

    `module` is the identity that rated the TDX module; empty for SGX and for the first modules,
    which the platform's level rates.
    """

    status: TcbStatus
    platform_status: TcbStatus
    qe_status: TcbStatus
    module_status: TcbStatus | None
    module: str
    tcb_date: datetime
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Firmware:
    """The rating of the firmware that one TEE_TCB_SVN names."""

    status: TcbStatus
    level: TcbLevel
    module: str
    module_level: SvnLevel | None


def rate_enclave(pck: PckExtension, info: TcbInfo, qe: SvnLevel) -> Rating:
    """Rate the platform of an SGX enclave. Raises: EvidenceError."""
    level = _level(info, pck, None)
    return Rating(
        status=converge(level.status, qe.status),
        platform_status=level.status,
        qe_status=qe.status,
        module_status=None,
        module="",
        tcb_date=level.date,
        advisories=_union(level.advisories, qe.advisories),
    )


def rate_domain(pck: PckExtension, info: TcbInfo, qe: SvnLevel, td: TdReport) -> Rating:
    """Rate the platform of a trust domain, as it was launched and as it runs now.

    Raises: EvidenceError.
    """
    launched = _firmware(pck, info, td.tee_tcb_svn)
    _check_module(info, td, launched.module)
    status = converge(launched.status, qe.status)
    if td.tee_tcb_svn2 is not None:
        current = _firmware(pck, info, td.tee_tcb_svn2)
        status = relaunch(status, converge(current.status, qe.status))
    module = launched.module_level
    return Rating(
        status=status,
        platform_status=launched.level.status,
        qe_status=qe.status,
        module_status=None if module is None else module.status,
        module=launched.module,
        tcb_date=launched.level.date,
        advisories=_union(
            launched.level.advisories, () if module is None else module.advisories, qe.advisories
        ),
    )


def match_qe(report: EnclaveReport, identity: QeIdentity) -> SvnLevel:
    """Check that the quoting enclave is Intel's; its level. Raises: EvidenceError."""
    if report.mrsigner != identity.mrsigner or report.isvprodid != identity.isvprodid:
        raise EvidenceError("the quoting enclave is not the one that Intel's QE identity names")
    if report.miscselect & identity.miscselect_mask != identity.miscselect:
        raise EvidenceError("MISCSELECT of the quoting enclave is not what Intel's identity says")
    if _masked(report.attributes, identity.attributes_mask) != identity.attributes:
        raise EvidenceError("ATTRIBUTES of the quoting enclave are not what Intel's identity says")
    if report.debug:  # the identity's mask covers it today; the rule must not depend on that
        raise EvidenceError("the quoting enclave is under debug, so anybody could sign with it")
    return _svn_level(identity.levels, report.isvsvn, "quoting enclave")


def _level(info: TcbInfo, pck: PckExtension, tee_tcb_svn: bytes | None) -> TcbLevel:
    skipped = _MODULE_COMPONENTS if tee_tcb_svn is not None and tee_tcb_svn[1] else 0
    for level in info.levels:
        if (
            _all_reach(pck.components, level.sgx)
            and pck.pcesvn >= level.pcesvn
            and (tee_tcb_svn is None or _all_reach(tee_tcb_svn[skipped:], level.tdx[skipped:]))
        ):
            return level
    raise EvidenceError(
        "Intel's TCB info has no level for firmware as old as this platform's",
        hint="the host must update its BIOS and microcode",
    )


def _firmware(pck: PckExtension, info: TcbInfo, tee_tcb_svn: bytes) -> _Firmware:
    level = _level(info, pck, tee_tcb_svn)
    svn, major = tee_tcb_svn[0], tee_tcb_svn[1]
    if not major:
        return _Firmware(level.status, level, "", None)
    name = f"TDX_{major:02X}"
    if name not in info.modules:
        raise EvidenceError(f"Intel's TCB info does not know the TDX module {name}")
    module = _svn_level(info.modules[name].levels, svn, "TDX module")
    return _Firmware(converge(level.status, module.status), level, name, module)


def _check_module(info: TcbInfo, td: TdReport, name: str) -> None:
    identity: ModuleIdentity | None = info.modules[name] if name else info.module
    if identity is None:
        raise EvidenceError("Intel's TCB info says nothing of TDX modules")
    if td.mrsignerseam != identity.mrsigner:
        raise EvidenceError("the TDX module is not signed by Intel")
    if _masked(td.seam_attributes, identity.mask) != identity.attributes:
        raise EvidenceError("the SEAM attributes of the TDX module are not what Intel says")


def _svn_level(levels: tuple[SvnLevel, ...], svn: int, what: str) -> SvnLevel:
    for level in levels:
        if svn >= level.svn:
            return level
    raise EvidenceError(f"Intel's collateral has no level for a {what} as old as this one")


def _all_reach(found: Sequence[int], least: Sequence[int]) -> bool:
    return len(found) == len(least) <= COMPONENTS and all(
        a >= b for a, b in zip(found, least, strict=True)
    )


def _masked(value: bytes, mask: bytes) -> bytes:
    return bytes(a & b for a, b in zip(value, mask, strict=True))


def _union(*lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({advisory for found in lists for advisory in found}))
