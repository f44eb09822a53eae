"""Makes TPM evidence, inside the enclave: quotes, and the TPM's part in activations.

Works over `/dev/tpmrm0` and over the socket of a software TPM alike. The keys are primary keys:
made anew for each use, equal each time, and gone when the block ends.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mc2.attestation.certificate_path import PATH_LENGTH
from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.pem import split_pem
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.client import LoadedKey, TpmClient
from mc2.attestation.tpm.code_file import CodeLogFile
from mc2.attestation.tpm.code_log import CodeEvent
from mc2.attestation.tpm.commands import EK_CERTIFICATE_INDEX
from mc2.attestation.tpm.credential import Credential
from mc2.attestation.tpm.evidence import (
    CODE_LOG,
    EK_CERTIFICATE,
    EK_CHAIN,
    EVENT_LOG,
    TpmEvidence,
)
from mc2.attestation.tpm.structures import parse_attest
from mc2.attestation.tpm.transport import DeviceTransport, SocketTransport, Transport
from mc2.attestation.tpm.verify import platform_id
from mc2.attestation.x509 import parse_certificate
from mc2.crypto.digest import Digest, digest
from mc2.errors import AttestationError

_LARGEST_LOG: Final = 512 * 1024  # evidence with its log stays below what an envelope takes

Address = Path | tuple[str, int]


@dataclass(frozen=True, slots=True)
class TpmMachine:
    """A TPM as it is now: its name, the digest of its maker's root, its counter, its registers."""

    platform: str
    root: Digest
    reset_count: int
    pcrs: Mapping[int, bytes]


class TpmCollector:
    """Produces TPM evidence.

    `address` is a device or Unix socket, or host and port of a software TPM. `chain` are the
    authorities of the endorsement certificate in PEM, root last: TPMs do not store them.
    `event_log` is a file such as /sys/kernel/security/tpm0/binary_bios_measurements, or None.
    `code_log` says which workers were started since the reset, or is None on a machine whose
    boot covers them.
    """

    kind = KIND
    tier = Tier.MEASURED_BOOT

    def __init__(
        self,
        address: Address,
        *,
        chain: bytes,
        bank: str,
        selected: Sequence[int],
        event_log: Path | None,
        code_log: CodeLogFile | None = None,
    ) -> None:
        self._address = address
        self._chain = chain
        self._bank = bank
        self._selected = tuple(selected)
        self._event_log = event_log
        self._code_log = code_log

    def available(self) -> bool:
        """Whether there is a TPM to talk to."""
        return not isinstance(self._address, Path) or self._address.exists()

    def collect(self, report_data: bytes) -> RawEvidence:
        """A quote over SHA-256 of 64 bytes. Raises: AttestationError."""
        bound = hashlib.sha256(report_data).digest()
        logs: dict[str, bytes] = {}
        with ExitStack() as held:
            if self._code_log is not None:  # nobody may measure between the log and the quote
                logs[CODE_LOG] = held.enter_context(self._code_log.held()).encode()
            client = held.enter_context(self._client())
            key = held.enter_context(client.attestation_key())
            evidence = self._quote(client, key, bound)
            endorsements = {EK_CERTIFICATE: _certificate(client), EK_CHAIN: self._chain}
        if self._event_log is not None:
            logs[EVENT_LOG] = _read_log(self._event_log)
        return RawEvidence(KIND, evidence, endorsements | logs)

    def activate(self, blob: bytes, encrypted_seed: bytes) -> bytes:
        """Open what an owner sealed to this TPM and its attestation key.

        Raises: AttestationError for another TPM or key.
        """
        with (
            self._client() as client,
            client.attestation_key() as key,
            client.endorsement_key() as endorsement,
        ):
            return client.activate_credential(key, endorsement, Credential(blob, encrypted_seed))

    def measure(self, event: CodeEvent) -> None:
        """Extend the code register with a start of a worker, and log it. Raises: AttestationError.

        Without a code log nothing is measured: the boot covers the code then.
        """
        if self._code_log is None:
            return
        with self._client() as client:
            self._code_log.extend(client, event)

    def machine(self) -> TpmMachine:
        """What members need to know of this TPM to accept it. Raises: AttestationError."""
        with self._client() as client, client.attestation_key() as key:
            quote, _ = client.quote(key, b"", self._bank, self._selected)
            attest = parse_attest(quote)
            certificate = parse_certificate(_certificate(client), "the TPM's certificate")
            return TpmMachine(
                platform=platform_id("ek", certificate.spki),
                root=digest(split_pem(self._chain, "the chain", most=PATH_LENGTH - 1)[-1]),
                reset_count=attest.reset_count,
                pcrs=client.pcr_read(self._bank, self._selected),
            )

    def _quote(self, client: TpmClient, key: LoadedKey, extra_data: bytes) -> bytes:
        quote, signature = client.quote(key, extra_data, self._bank, self._selected)
        return TpmEvidence(
            quote=quote,
            signature=signature,
            ak_public=key.public,
            pcrs=client.pcr_read(self._bank, self._selected),
        ).encode()

    @contextmanager
    def _client(self) -> Iterator[TpmClient]:
        client = TpmClient(connect(self._address))
        try:
            client.startup()  # of a software TPM; firmware has started every other
            yield client
        finally:
            client.close()


def connect(address: Address) -> Transport:
    """Open a TPM device, or the socket of a software TPM. Raises: AttestationError."""
    if not isinstance(address, Path):
        return SocketTransport(address)
    try:
        mode = address.stat().st_mode
    except OSError as error:
        raise AttestationError(
            f"there is no TPM at {address}: {error.strerror}",
            hint="on a machine without one, start swtpm and name its socket",
        ) from None
    return SocketTransport(address) if stat.S_ISSOCK(mode) else DeviceTransport(address)


def _certificate(client: TpmClient) -> bytes:
    raw = client.nv_read(EK_CERTIFICATE_INDEX)
    if raw is None:
        raise AttestationError(
            "the TPM has no certificate for its RSA-2048 endorsement key",
            hint="the maker of the TPM or the cloud provider must supply it",
        )
    # Some makers reserve more room than the certificate takes; DER says where it ends.
    if raw[:2] == b"\x30\x82":
        return raw[: 4 + int.from_bytes(raw[2:4], "big")]
    return raw


def _read_log(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_LOG + 1)
    except OSError as error:
        raise AttestationError(f"the event log {path} cannot be read: {error.strerror}") from None
    if len(raw) > _LARGEST_LOG:
        raise AttestationError(f"the event log {path} is larger than {_LARGEST_LOG} bytes")
    return raw
