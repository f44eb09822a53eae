"""Machines with TEEs, as far as a collector can tell: what their kernels would answer.

The structures are written down here a second time, with ctypes, so that a wrong offset in the
collectors does not go unnoticed. Everything a kernel may do to its user can be asked for: partial
reads and writes, passing and lasting errors, a second writer, a write that is lost.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mc2.attestation.cbor import decode_cbor, encode_cbor
from tests.support.amd_hierarchy import Amd
from tests.support.intel_hierarchy import Intel
from tests.support.nitro_hierarchy import Nitro

TSM = "/sys/kernel/config/tsm/report"

GUIDS = {
    "vcek": "63da758de6644564adc5f4b93be8accd",
    "vlek": "a8074bc2a25a483eaae639c045a0b8a1",
    "ask": "4ab7b379bbac4fe4a02f05aef327c782",
    "asvk": "4ab7b379bbac4fe4a02f05aef327c782",
    "ark": "c0b406a4a803495297433fb6014cd0ae",
    "crl": "92f81bc358114d3d97ffd19f88dc67ea",
}


def failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class FakeFile:
    """A file of the fake kernel, `content` made when it is first read, taken when it is closed."""

    def __init__(
        self,
        machine: FakeMachine,
        name: str,
        make: Callable[[], bytes] | None = None,
        take: Callable[[bytes], None] | None = None,
        ioctl: Callable[[int, bytearray], None] | None = None,
    ) -> None:
        self._machine = machine
        self._name = name
        self._make, self._take, self._ioctl = make, take, ioctl
        self._content: bytes | None = None
        self._at = 0
        self._written = bytearray()
        self._wrote = False
        machine.open_files += 1

    def read(self, size: int) -> bytes:
        assert self._make is not None
        self._machine.may_fail(f"read {self._name}")
        if self._content is None:
            self._content = self._make()
        part = self._content[self._at : self._at + min(size, self._machine.part)]
        self._at += len(part)
        return part

    def write(self, raw: bytes) -> int:
        assert self._take is not None
        self._machine.may_fail(f"write {self._name}")
        part = raw[: self._machine.part]
        self._written += part
        self._wrote = True
        return len(part)

    def ioctl(self, request: int, argument: bytearray) -> None:
        assert self._ioctl is not None
        self._machine.ioctls.append((request, bytes(argument)))
        self._ioctl(request, argument)

    def close(self) -> None:
        self._machine.open_files -= 1
        if self._take is not None and self._wrote:
            self._take(bytes(self._written))


class FakeMachine:
    """A machine with nothing in it; subclasses add what is opened and made."""

    def __init__(self) -> None:
        self.part = 1 << 20
        self.failures: dict[str, list[int]] = defaultdict(list)
        self.pauses: list[float] = []
        self.ioctls: list[tuple[int, bytes]] = []
        self.open_files = 0
        self.did: list[str] = []

    def may_fail(self, what: str) -> None:
        self.did.append(what)
        if self.failures[what]:
            raise failure(self.failures[what].pop(0))

    def open(self, path: str, access: Literal["read", "write", "both"]) -> FakeFile:
        raise failure(errno.ENOENT)

    def make_folder(self, path: str) -> None:
        raise failure(errno.ENOENT)

    def remove_folder(self, path: str) -> None:
        raise failure(errno.ENOENT)

    def exists(self, path: str) -> bool:
        return False

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@dataclass
class Report:
    """A report folder of configfs."""

    generation: int = 7
    privilege: int = 0
    inblob: bytes = b""


class FakeTsm(FakeMachine):
    """configfs-tsm: `make` gives the report for a report folder.

    `meddle` is called with a step's name and the folder before each step. `lost` writes of inblob
    are dropped without a word, as the kernel does when it refuses one as the file is closed.
    """

    def __init__(
        self,
        provider: str,
        make: Callable[[Report], bytes],
        table: bytes | None = None,
        floor: int | None = 0,
    ) -> None:
        super().__init__()
        self.provider = provider
        self.make = make
        self.table = table
        self.floor = floor
        self.reports: dict[str, Report] = {}
        self.names: list[str] = []
        self.lost = 0
        self.generation_text: bytes | None = None
        self.meddle: Callable[[str, Report], None] = lambda step, report: None

    def exists(self, path: str) -> bool:
        if path == TSM or path in self.reports:
            return True
        folder, _, name = path.rpartition("/")
        return folder in self.reports and name in self._files()

    def make_folder(self, path: str) -> None:
        self.may_fail("mkdir")
        assert path.rpartition("/")[0] == TSM
        assert path not in self.reports
        self.reports[path] = Report()
        self.names.append(path)

    def remove_folder(self, path: str) -> None:
        self.may_fail("rmdir")
        del self.reports[path]

    def open(self, path: str, access: Literal["read", "write", "both"]) -> FakeFile:
        folder, _, name = path.rpartition("/")
        if folder not in self.reports or name not in self._files():
            raise failure(errno.ENOENT)
        report = self.reports[folder]
        self.meddle(f"{access} {name}", report)
        self.may_fail(f"open {name}")
        reads: dict[str, Callable[[], bytes]] = {
            "provider": lambda: self.provider.encode("latin-1") + b"\n",
            "generation": lambda: self._generation(report),
            "privlevel_floor": lambda: b"%d\n" % (self.floor or 0),
            "outblob": lambda: self._outblob(report),
            "auxblob": lambda: self.table or b"",
        }
        writes: dict[str, Callable[[bytes], None]] = {
            "inblob": lambda raw: self._inblob(report, raw),
            "privlevel": lambda raw: self._privilege(report, raw),
        }
        if access == "read":
            return FakeFile(self, name, make=reads[name])
        assert access == "write"
        return FakeFile(self, name, take=writes[name])

    def _files(self) -> set[str]:
        files = {"provider", "generation", "inblob", "outblob"}
        files |= {"auxblob"} if self.table is not None else set()
        return files | ({"privlevel", "privlevel_floor"} if self.floor is not None else set())

    def _generation(self, report: Report) -> bytes:
        text = self.generation_text
        return b"%d\n" % report.generation if text is None else text

    def _inblob(self, report: Report, raw: bytes) -> None:
        if self.lost:
            self.lost -= 1
            return
        report.inblob, report.generation = raw, report.generation + 1

    def _privilege(self, report: Report, raw: bytes) -> None:
        report.privilege, report.generation = int(raw), report.generation + 1

    def _outblob(self, report: Report) -> bytes:
        if not report.inblob:
            raise failure(errno.EINVAL)
        if report.privilege < (self.floor or 0):
            raise failure(errno.EIO)
        return self.make(report)


def snp_report(amd: Amd, report_data: bytes, vmpl: int = 0) -> bytes:
    return amd.guest_but(report_data=report_data, vmpl=vmpl).report()


def certificate_table(amd: Amd, pad: int = 4096) -> bytes:
    """The host's table: entries, an empty one, certificates, zeros up to whole pages."""
    blobs = dict(amd.evidence().endorsements)
    at = 24 * (len(blobs) + 1)
    entries, content = b"", b""
    for name, raw in blobs.items():
        offset = at + len(content)
        entries += bytes.fromhex(GUIDS[name]) + offset.to_bytes(4, "little")
        entries += len(raw).to_bytes(4, "little")
        content += raw
    table = entries + bytes(24) + content
    return table + bytes(-len(table) % pad)


def snp_machine(amd: Amd, **changes: Any) -> FakeTsm:
    changes = {"table": certificate_table(amd)} | changes
    return FakeTsm("sev_guest", lambda r: snp_report(amd, r.inblob, r.privilege), **changes)


def quote_over(intel: Intel, report_data: bytes) -> bytes:
    """The synthetic Intel's quote over other report data."""
    return intel.but(body=replace(intel.body, report_data=report_data)).quote()


def tdx_machine(intel: Intel, **changes: Any) -> FakeTsm:
    changes = {"floor": None} | changes
    return FakeTsm("tdx_guest", lambda r: quote_over(intel, r.inblob), **changes)


class FakeDevice(FakeMachine):
    """A machine with one device."""

    device: str

    def __init__(self) -> None:
        super().__init__()
        self.there = True
        self.errors: list[int] = []

    def exists(self, path: str) -> bool:
        return self.there and path == self.device

    def open(self, path: str, access: Literal["read", "write", "both"]) -> FakeFile:
        self.may_fail("open")
        if not self.exists(path):
            raise failure(errno.ENOENT)
        assert access == "both"
        return FakeFile(self, path, ioctl=self._ioctl)

    def _ioctl(self, request: int, argument: bytearray) -> None:
        if self.errors:
            raise failure(self.errors.pop(0))
        self.answer(request, argument)

    def answer(self, request: int, argument: bytearray) -> None:
        raise failure(errno.ENOTTY)


class SnpRequest(ctypes.Structure):
    _fields_ = (
        ("user_data", ctypes.c_uint8 * 64),
        ("vmpl", ctypes.c_uint32),
        ("reserved", ctypes.c_uint8 * 28),
    )


class SnpExtRequest(ctypes.Structure):
    _fields_ = (
        ("data", SnpRequest),
        ("certs_address", ctypes.c_uint64),
        ("certs_len", ctypes.c_uint32),
    )


class SnpIoctl(ctypes.Structure):
    _fields_ = (
        ("msg_version", ctypes.c_uint8),
        ("req_data", ctypes.c_uint64),
        ("resp_data", ctypes.c_uint64),
        ("fw_error", ctypes.c_uint32),
        ("vmm_error", ctypes.c_uint32),
    )


@dataclass
class FakeSevGuest(FakeDevice):
    """/dev/sev-guest over a synthetic chip."""

    amd: Amd
    table: bytes = b""
    status: int = 0
    size: int = 1184
    other_data: bytes = b""
    requests: list[bytes] = field(default_factory=list)
    device: str = "/dev/sev-guest"

    def __post_init__(self) -> None:
        super().__init__()

    def answer(self, request: int, argument: bytearray) -> None:
        assert len(argument) == ctypes.sizeof(SnpIoctl) == 32
        said = SnpIoctl.from_buffer(argument)
        extended = {0xC0205300: False, 0xC0205302: True}[request]
        if said.msg_version != 1:
            raise failure(errno.EINVAL)
        kind = SnpExtRequest if extended else SnpRequest
        raw = ctypes.string_at(said.req_data, ctypes.sizeof(kind))
        self.requests.append(raw)
        asked = SnpRequest.from_buffer_copy(raw)
        if extended:
            self._give_table(SnpExtRequest.from_buffer_copy(raw), said)
        data = self.other_data or bytes(asked.user_data)
        report = snp_report(self.amd, data, asked.vmpl)
        answer = self.status.to_bytes(4, "little") + self.size.to_bytes(4, "little") + bytes(24)
        ctypes.memmove(said.resp_data, (answer + report).ljust(4000, b"\0"), 4000)

    def _give_table(self, asked: SnpExtRequest, said: SnpIoctl) -> None:
        if asked.certs_len > 0x4000 or asked.certs_len % 4096:
            raise failure(errno.EINVAL)
        if len(self.table) > asked.certs_len:
            said.vmm_error = 1
            raise failure(errno.EIO)
        ctypes.memmove(asked.certs_address, self.table, len(self.table))


class NsmMessage(ctypes.Structure):
    _fields_ = (
        ("request", ctypes.c_uint64),
        ("request_len", ctypes.c_uint64),
        ("response", ctypes.c_uint64),
        ("response_len", ctypes.c_uint64),
    )


@dataclass
class FakeNsm(FakeDevice):
    """/dev/nsm over a synthetic AWS. `says` replaces its answer; `claims` its size."""

    nitro: Nitro
    says: bytes | None = None
    claims: int | None = None
    other_data: bytes = b""
    requests: list[bytes] = field(default_factory=list)
    device: str = "/dev/nsm"

    def __post_init__(self) -> None:
        super().__init__()

    def answer(self, request: int, argument: bytearray) -> None:
        assert request == 0xC0200A00
        assert len(argument) == ctypes.sizeof(NsmMessage) == 32
        said = NsmMessage.from_buffer(argument)
        raw = ctypes.string_at(said.request, said.request_len)
        self.requests.append(raw)
        answer = self.says if self.says is not None else self._document(raw)
        assert len(answer) <= said.response_len == 0x3000
        ctypes.memmove(said.response, answer, len(answer))
        said.response_len = len(answer) if self.claims is None else self.claims

    def _document(self, raw: bytes) -> bytes:
        asked: Any = decode_cbor(raw, "a request")
        fields = asked["Attestation"]
        data = self.other_data or fields["user_data"]
        evidence, _ = self.nitro.fields_but(user_data=data).evidence()
        return encode_cbor({"Attestation": {"document": evidence.evidence}})


class FakeGramine(FakeMachine):
    """/dev/attestation: the quote is made when it is opened."""

    def __init__(self, quote: Callable[[bytes], bytes], kind: str = "dcap") -> None:
        super().__init__()
        self.quote = quote
        self.kind = kind
        self.report_data = bytes(64)

    def exists(self, path: str) -> bool:
        names = {"attestation_type", "user_report_data", "quote"}
        return path.removeprefix("/dev/attestation/") in names

    def open(self, path: str, access: Literal["read", "write", "both"]) -> FakeFile:
        if not self.exists(path):
            raise failure(errno.ENOENT)
        name = path.rpartition("/")[2]
        self.may_fail(f"open {name}")
        if name == "user_report_data":
            assert access == "write"
            return FakeFile(self, name, take=self._take)
        assert access == "read"
        content = self.kind.encode() if name == "attestation_type" else self.quote(self.report_data)
        return FakeFile(self, name, make=lambda: content)

    def _take(self, raw: bytes) -> None:
        self.report_data = raw
