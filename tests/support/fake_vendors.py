"""A local server that plays AMD's key distribution service and Intel's certification service.

It listens on a random port of 127.0.0.1, serves synthetic hierarchies, remembers what it was
asked, and misbehaves as told: by path, with a list of faults that are used up one by one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mc2.client.endorsements_fetch import Vendors
from tests.support.amd_hierarchy import Amd
from tests.support.intel_hierarchy import Intel


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


@dataclass(frozen=True)
class Fault:
    """One wrong answer. `status` alone is an error; `sleep` comes before anything else."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str | None = None
    truncate: int = 0
    sleep: float = 0.0
    drop_chain: bool = False


@dataclass
class FakeVendors:
    """What the services answer; fields may be changed while it runs."""

    amd: Amd = field(default_factory=lambda: Amd(revoked=()))
    sgx: Intel = field(default_factory=Intel)
    tdx: Intel | None = None
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def vendors(self) -> Vendors:
        """Where to ask, and the synthetic roots."""
        return Vendors(
            amd_kds=self.url,
            intel_pcs=self.url,
            intel_certificates=self.url,
            amd_roots=self.amd.pins(),
            intel_roots=self.sgx.pins(),
        )

    def fault(self, part_of_path: str, *faults: Fault) -> None:
        """Answer the next questions whose path has this part with faults."""
        self.faults.setdefault(part_of_path, []).extend(faults)

    def answer(self, target: str) -> tuple[str, dict[str, str], bytes] | None:
        """Content type, further headers and body of the right answer."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.startswith(("/vcek/", "/vlek/")):
            return self._amd(parts.path.strip("/").split("/"), query)
        return self._intel(parts.path, query)

    def _amd(
        self, path: list[str], query: dict[str, str]
    ) -> tuple[str, dict[str, str], bytes] | None:
        key, _, line, what = path
        if line != self.amd.line:
            return None
        amd = self.amd.but(signing_key=key.upper())
        if what == "cert_chain":
            chain = pem(amd.authority_certificate()) + pem(amd.root())
            return "application/x-pem-file", {}, chain
        if what == "crl":
            return "application/pkix-crl", {}, amd.crl()
        reported = self.amd.guest.tcbs.get("reported", self.amd.guest.tcb)
        wanted = {f"{name}SPL": str(version) for name, version in reported.items()}
        same = all(query.get(name) == version for name, version in wanted.items())
        known = what == "cert" if key == "vlek" else what == self.amd.chip.hex()
        return ("application/pkix-cert", {}, amd.leaf()) if same and known else None

    def _intel(self, path: str, query: dict[str, str]) -> tuple[str, dict[str, str], bytes] | None:
        intel = self.tdx if path.startswith("/tdx/") and self.tdx else self.sgx
        found: dict[str, Any] = intel.collateral()
        if path == "/IntelSGXRootCA.der":
            return "application/x-x509-crl", {}, bytes.fromhex(found["root_ca_crl"])
        if path.endswith("/certification/v4/pckcrl"):
            if query.get("encoding") != "der" or query.get("ca") not in intel.ca.lower():
                return None
            chain = {"SGX-PCK-CRL-Issuer-Chain": quote(found["pck_crl_issuer_chain"])}
            return "application/pkix-crl", chain, bytes.fromhex(found["pck_crl"])
        if path.endswith("/certification/v4/tcb"):
            if query.get("fmspc") != intel.machine.fmspc:
                return None
            chain = {"TCB-Info-Issuer-Chain": quote(found["tcb_info_issuer_chain"])}
            return "application/json", chain, _signed(found, "tcbInfo", "tcb_info")
        if path.endswith("/certification/v4/qe/identity"):
            chain = {"SGX-Enclave-Identity-Issuer-Chain": quote(found["qe_identity_issuer_chain"])}
            return "application/json", chain, _signed(found, "enclaveIdentity", "qe_identity")
        return None


def _signed(found: dict[str, Any], name: str, part: str) -> bytes:
    return f'{{"{name}":{found[part]},"signature":"{found[part + "_signature"]}"}}'.encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeVendors

    def do_GET(self) -> None:
        self.fake.asked.append(self.path)
        fault = Fault()
        for part, waiting in self.fake.faults.items():
            if part in self.path and waiting:
                fault = waiting.pop(0)
                break
        if fault.sleep:
            time.sleep(fault.sleep)
        found = self.fake.answer(self.path) if fault.status == 200 else None
        status = fault.status if found or fault.status != 200 else 404
        kind, headers, body = found or ("text/plain", {}, b"no")
        body = fault.body if fault.body is not None else body
        self._send(status, kind, {} if fault.drop_chain else headers, body, fault)

    def _send(
        self, status: int, kind: str, headers: dict[str, str], body: bytes, fault: Fault
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", fault.content_type or kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in {**headers, **fault.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):  # whoever asked has had enough, as some tests want
            self.wfile.write(body[: len(body) - fault.truncate])

    def log_message(self, *args: object) -> None:
        """Say nothing on standard error."""


@contextmanager
def serving(fake: FakeVendors) -> Iterator[FakeVendors]:
    """Serve until the block ends."""
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
