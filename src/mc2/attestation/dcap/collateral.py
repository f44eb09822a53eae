"""Intel's statements about platforms and enclaves: TCB info and QE identity, layout only.

Intel signs the bytes of the inner JSON object as it sent them, so they are cut out of the
answer and never written again. Fields that are not known here are left alone: Intel adds some,
and signs them. Spec: docs/spec/evidence-dcap.md §4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from mc2.attestation.dcap.pck import COMPONENTS
from mc2.attestation.dcap.quote import Tee
from mc2.attestation.dcap.status import COMPONENT_STATUSES, PLATFORM_STATUSES, TcbStatus
from mc2.attestation.vendor_json import read_json
from mc2.errors import EvidenceError, FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

_LARGEST: Final = 256 * 1024  # genuine ones stay below 16 KiB
_LEVELS: Final = 256
_HEX: Final = re.compile(r"[0-9A-Fa-f]*")
_QE_IDS: Final[Mapping[Tee, str]] = {"SGX": "QE", "TDX": "TD_QE"}


@dataclass(frozen=True, slots=True)
class Signed:
    """A JSON object as Intel signed it, and the signature r ‖ s over these very bytes."""

    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SvnLevel:
    """What Intel says of an enclave or TDX module whose SVN is at least `svn`."""

    svn: int
    status: TcbStatus
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TcbLevel:
    """What Intel says of a platform whose SVNs are all at least these. `tdx` is for TDX only."""

    sgx: tuple[int, ...]
    pcesvn: int
    tdx: tuple[int, ...]
    date: datetime
    status: TcbStatus
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleIdentity:
    """Which TDX modules are Intel's: their signer, and SEAM attributes under a mask."""

    mrsigner: bytes
    attributes: bytes
    mask: bytes
    levels: tuple[SvnLevel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbInfo:
    """Intel's rating of one kind of platform, best level first. `number` never goes down."""

    tee: Tee
    issued: datetime
    next_update: datetime
    fmspc: bytes
    pceid: bytes
    number: int
    levels: tuple[TcbLevel, ...]
    module: ModuleIdentity | None
    modules: Mapping[str, ModuleIdentity]


@dataclass(frozen=True, slots=True, kw_only=True)
class QeIdentity:
    """Which quoting enclaves are Intel's, and how it rates each of their versions."""

    tee: Tee
    issued: datetime
    next_update: datetime
    number: int
    miscselect: int
    miscselect_mask: int
    attributes: bytes
    attributes_mask: bytes
    mrsigner: bytes
    isvprodid: int
    levels: tuple[SvnLevel, ...]


def split_signed(raw: bytes, name: str) -> Signed:
    """Cut the answer `{"name":{…},"signature":"…"}` apart, without any freedom in spelling.

    Raises: EvidenceError.
    """
    pattern = rb'\{"%s":(\{.*\}),"signature":"([0-9a-f]{128})"\}' % name.encode("ascii")
    match = re.fullmatch(pattern, raw, re.DOTALL) if len(raw) <= _LARGEST else None
    if match is None:
        raise EvidenceError(
            f"this is not a signed {name} as Intel's service sends it",
            hint="keep the answer of the provisioning certification service byte for byte",
        )
    return Signed(match[1], bytes.fromhex(match[2].decode("ascii")))


def parse_tcb_info(body: bytes, tee: Tee) -> TcbInfo:
    """Read the TCB info of an SGX or TDX platform, version 3. Raises: EvidenceError."""
    try:
        return _tcb_info(Fields(read_json(body, "the TCB info"), "the TCB info"), tee)
    except FormatError as error:
        raise EvidenceError(str(error)) from None


def parse_qe_identity(body: bytes, tee: Tee) -> QeIdentity:
    """Read the identity of the quoting enclave, version 2. Raises: EvidenceError."""
    try:
        return _qe_identity(Fields(read_json(body, "the QE identity"), "the QE identity"), tee)
    except FormatError as error:
        raise EvidenceError(str(error)) from None


def _tcb_info(fields: Fields, tee: Tee) -> TcbInfo:
    fields.choice("id", (tee,))
    fields.integer("version", 3, 3)
    fields.integer("tcbType", 0, 0)  # 0: levels are compared component by component
    module, modules = None, {}
    if tee == "TDX":
        module = _module(fields.fields("tdxModule"), levels=False)
        found = fields.items("tdxModuleIdentities", _LEVELS, _named_module)
        modules = dict(found)
        if len(modules) != len(found):
            raise FormatError("the TCB info names one TDX module twice")
    levels = fields.items("tcbLevels", _LEVELS, lambda value: _tcb_level(value, tee))
    return TcbInfo(
        tee=tee,
        issued=fields.time("issueDate"),
        next_update=fields.time("nextUpdate"),
        fmspc=_hex(fields, "fmspc", 6),
        pceid=_hex(fields, "pceId", 2),
        number=fields.integer("tcbEvaluationDataNumber", 0, 2**31),
        # Intel's own verifier orders the levels, best first, and so does not depend on the list.
        levels=tuple(sorted(levels, key=lambda x: (x.sgx, x.pcesvn, x.tdx), reverse=True)),
        module=module,
        modules=modules,
    )


def _qe_identity(fields: Fields, tee: Tee) -> QeIdentity:
    fields.choice("id", (_QE_IDS[tee],))
    fields.integer("version", 2, 2)
    return QeIdentity(
        tee=tee,
        issued=fields.time("issueDate"),
        next_update=fields.time("nextUpdate"),
        number=fields.integer("tcbEvaluationDataNumber", 0, 2**31),
        # The report has MISCSELECT as a little-endian integer, the JSON as its usual hex.
        miscselect=int.from_bytes(_hex(fields, "miscselect", 4), "big"),
        miscselect_mask=int.from_bytes(_hex(fields, "miscselectMask", 4), "big"),
        attributes=_hex(fields, "attributes", 16),
        attributes_mask=_hex(fields, "attributesMask", 16),
        mrsigner=_hex(fields, "mrsigner", 32),
        isvprodid=fields.integer("isvprodid", 0, 0xFFFF),
        levels=_svn_levels(fields),
    )


def _tcb_level(value: Json, tee: Tee) -> TcbLevel:
    fields = Fields(value, "a TCB level")
    tcb = fields.fields("tcb")
    sgx = tcb.items("sgxtcbcomponents", COMPONENTS, _component)
    tdx = tcb.items("tdxtcbcomponents", COMPONENTS, _component) if tee == "TDX" else ()
    if len(sgx) != COMPONENTS or (tee == "TDX" and len(tdx) != COMPONENTS):
        raise FormatError(f"a TCB level does not have {COMPONENTS} components")
    return TcbLevel(
        sgx=sgx,
        pcesvn=tcb.integer("pcesvn", 0, 0xFFFF),
        tdx=tdx,
        date=fields.time("tcbDate"),
        status=TcbStatus(fields.choice("tcbStatus", tuple(PLATFORM_STATUSES))),
        advisories=_advisories(value),
    )


def _component(value: Json) -> int:
    # There are 32 in each level: this one field is taken without the general reader.
    svn = value.get("svn") if isinstance(value, dict) else None
    if type(svn) is not int or not 0 <= svn <= 0xFF:
        raise FormatError("a TCB component has no field 'svn' from 0 to 255")
    return svn


def _named_module(value: Json) -> tuple[str, ModuleIdentity]:
    fields = Fields(value, "a TDX module's identity")
    return fields.text("id", 64), _module(fields, levels=True)


def _module(fields: Fields, *, levels: bool) -> ModuleIdentity:
    return ModuleIdentity(
        mrsigner=_hex(fields, "mrsigner", 48),
        attributes=_hex(fields, "attributes", 8),
        mask=_hex(fields, "attributesMask", 8),
        levels=_svn_levels(fields) if levels else (),
    )


def _svn_levels(fields: Fields) -> tuple[SvnLevel, ...]:
    levels = fields.items("tcbLevels", _LEVELS, _svn_level)
    # The first level that a version reaches counts, so the order is part of what Intel says.
    if any(better.svn <= worse.svn for better, worse in pairwise(levels)):
        raise FormatError(f"the TCB levels of {fields.what} are not in order, the best first")
    return levels


def _svn_level(value: Json) -> SvnLevel:
    fields = Fields(value, "a TCB level")
    status = fields.choice("tcbStatus", tuple(COMPONENT_STATUSES))
    svn = fields.fields("tcb").integer("isvsvn", 0, 0xFFFF)
    return SvnLevel(svn, TcbStatus(status), _advisories(value))


def _advisories(value: Json) -> tuple[str, ...]:
    if not isinstance(value, Mapping) or "advisoryIDs" not in value:  # Intel leaves out empty lists
        return ()
    return Fields(value, "a TCB level").items("advisoryIDs", _LEVELS, _advisory)


def _advisory(value: Json) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z0-9-]{1,64}", value):
        raise FormatError("an advisory's name in a TCB level is not INTEL-SA-…")
    return value


def _hex(fields: Fields, name: str, size: int) -> bytes:
    text = fields.text(name, 2 * size)
    if len(text) != 2 * size or not _HEX.fullmatch(text):
        raise FormatError(f"field {name!r} of {fields.what} is not {size} bytes in hex")
    return bytes.fromhex(text)
