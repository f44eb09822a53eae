"""A software TPM with a certificate, for tests: Debian's swtpm, its state in a folder of its own.

swtpm's certificate tool keeps its authority where its configuration says; here that is a
temporary folder, so that nothing of the machine is used or changed.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from mc2.attestation.pem import join_pem, split_pem
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.tpm.client import TpmClient
from mc2.attestation.tpm.transport import SocketTransport

_TOOLS = ("swtpm", "swtpm_setup", "swtpm_localca")

needs_swtpm = pytest.mark.skipif(
    not all(map(shutil.which, _TOOLS)),
    reason="swtpm is not installed (Debian: apt-get install swtpm swtpm-tools)",
)


class SoftwareTpm:
    """A TPM's lasting state; `powered` runs it. Each run is a reset."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._authority = folder / "authority"

    @classmethod
    def make(cls, folder: Path) -> SoftwareTpm:
        """A new TPM with an endorsement key and its certificate, by an authority of its own."""
        made = cls(folder)
        made.state.mkdir(parents=True)
        made._authority.mkdir()
        options, local, setup = (folder / name for name in ("options", "local", "setup"))
        options.write_text(
            "--platform-manufacturer mc2\n--platform-version 1\n--platform-model t\n"
        )
        local.write_text(
            f"statedir = {made._authority}\n"
            f"signingkey = {made._authority}/signkey.pem\n"
            f"issuercert = {made._authority}/issuercert.pem\n"
            f"certserial = {made._authority}/certserial\n"
        )
        setup.write_text(
            f"create_certs_tool= {shutil.which('swtpm_localca')}\n"
            f"create_certs_tool_config = {local}\n"
            f"create_certs_tool_options = {options}\n"
            "active_pcr_banks = sha256\n"
        )
        subprocess.run(
            [
                "swtpm_setup", "--tpm2", "--tpmstate", str(made.state), "--config", str(setup),
                "--createek", "--create-ek-cert", "--lock-nvram", "--overwrite", "--logfile",
                str(folder / "setup.log"),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        return made

    def chain(self) -> bytes:
        """The authorities of its endorsement certificate: issuer, root, in PEM."""
        names = ("issuercert.pem", "swtpm-localca-rootca-cert.pem")
        return join_pem(
            split_pem((self._authority / name).read_bytes(), name, most=1)[0] for name in names
        )

    def pins(self) -> tuple[PinnedRoot, ...]:
        """Its root, as a verifier wants it."""
        root = split_pem(self.chain(), "the chain", most=2)[-1]
        return (
            PinnedRoot(
                vendor="swtpm",
                meaning="a test's root",
                of="certificate",
                sha256=hashlib.sha256(root).hexdigest(),
                not_after=datetime(9999, 1, 1, tzinfo=UTC),
            ),
        )

    @contextmanager
    def powered(self) -> Iterator[Path]:
        """Run the TPM; the path of its socket. Leaving the block cuts the power."""
        with tempfile.TemporaryDirectory(prefix="swtpm") as short:  # socket paths are short
            path = Path(short) / "s"
            process = subprocess.Popen(
                [
                    "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}",
                    "--server", f"type=unixio,path={path}", "--flags", "not-need-init",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                _wait_for(path, process)
                yield path
            finally:
                process.terminate()
                process.wait(10)

    @contextmanager
    def client(self) -> Iterator[TpmClient]:
        """Run the TPM, started, with a client."""
        with self.powered() as path, SocketTransport(path) as transport:
            client = TpmClient(transport)
            client.startup()
            yield client


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until it listens: the socket's file is there a moment earlier, and refuses connections."""
    for _ in range(1000):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        if process.poll() is not None:
            raise RuntimeError(f"swtpm ended with {process.returncode}")
        time.sleep(0.01)
    raise RuntimeError("swtpm does not listen")


@cache
def _made(number: int) -> SoftwareTpm:
    folder = Path(tempfile.mkdtemp(prefix="mc2-swtpm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return SoftwareTpm.make(folder)


def software_tpm(folder: Path, number: int = 0) -> SoftwareTpm:
    """One of a few TPMs that the test process makes once; a copy of its state."""
    copy = folder / f"tpm{number}"
    shutil.copytree(_made(number).folder, copy)
    return SoftwareTpm(copy)
