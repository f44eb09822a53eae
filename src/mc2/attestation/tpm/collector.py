"""Makes TPM evidence, inside the enclave: quotes, and the TPM's part in an activation.

Works over `/dev/tpmrm0` and over the socket of a software TPM alike. The keys are primary keys:
made anew for each use, equal each time, and gone when the block ends.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.client import LoadedKey, TpmClient
from mc2.attestation.tpm.commands import EK_CERTIFICATE_INDEX
from mc2.attestation.tpm.enrolment import ActivationChallenge, TpmIdentity, activation_proof
from mc2.attestation.tpm.evidence import EK_CERTIFICATE, EK_CHAIN, EVENT_LOG, TpmEvidence
from mc2.attestation.tpm.structures import parse_public
from mc2.attestation.tpm.transport import DeviceTransport, SocketTransport, Transport
from mc2.errors import AttestationError

_LARGEST_LOG: Final = 512 * 1024  # evidence with its log stays below what an envelope takes

Address = Path | tuple[str, int]


class TpmCollector:
    """Produces TPM evidence.

    `address` is a device or Unix socket, or host and port of a software TPM. `chain` are the
    authorities of the endorsement certificate in PEM, root last: TPMs do not store them.
    `event_log` is a file such as /sys/kernel/security/tpm0/binary_bios_measurements, or None.
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
    ) -> None:
        self._address = address
        self._chain = chain
        self._bank = bank
        self._selected = tuple(selected)
        self._event_log = event_log

    def available(self) -> bool:
        """Whether there is a TPM to talk to."""
        return not isinstance(self._address, Path) or self._address.exists()

    def collect(self, report_data: bytes) -> RawEvidence:
        """A quote over SHA-256 of 64 bytes. Raises: AttestationError."""
        bound = hashlib.sha256(report_data).digest()
        with self._client() as client, client.attestation_key() as key:
            evidence = self._quote(client, key, bound)
            endorsements = {EK_CERTIFICATE: _certificate(client), EK_CHAIN: self._chain}
        if self._event_log is not None:
            endorsements[EVENT_LOG] = _read_log(self._event_log)
        return RawEvidence(KIND, evidence, endorsements)

    def identity(self) -> TpmIdentity:
        """What an owner needs for a challenge. Raises: AttestationError."""
        with self._client() as client, client.attestation_key() as key:
            return TpmIdentity(
                ek_certificate=_certificate(client), ek_chain=self._chain, ak_public=key.public
            )

    def answer(self, challenge: ActivationChallenge) -> bytes:
        """Open an owner's challenge, and quote the proof that it opened.

        Raises: AttestationError for a challenge that is for another TPM or key.
        """
        with self._client() as client, client.attestation_key() as key:
            name = parse_public(key.public).name
            if challenge.ak_name != name:
                raise AttestationError("the challenge is for another attestation key")
            with client.endorsement_key() as endorsement:
                secret = client.activate_credential(key, endorsement, challenge.credential)
            return self._quote(client, key, activation_proof(secret, name))

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
