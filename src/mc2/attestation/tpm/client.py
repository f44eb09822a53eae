"""A TPM client without any software stack: raw commands over a `Transport`.

Hardware TPMs have three slots for loaded keys, so what is loaded is flushed by a context
manager. Nothing here checks what the TPM says: that is the verifier's work, on another machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from mc2.attestation.cursor import Cursor
from mc2.attestation.tpm import commands
from mc2.attestation.tpm.algorithms import BANKS, DIGEST_BYTES
from mc2.attestation.tpm.credential import Credential
from mc2.attestation.tpm.transport import RESPONSE_BYTES, Transport
from mc2.errors import AttestationError

_TRIES: Final = 40
_FIRST_WAIT_SECONDS: Final = 0.01
_LONGEST_WAIT_SECONDS: Final = 0.5
_REGISTERS_AT_ONCE: Final = 8  # PCR_Read answers at most this many
_NV_AT_ONCE: Final = 512  # below TPM_PT_NV_BUFFER_MAX of every known TPM
_NONCE_BYTES: Final = 16
_HANDLE_UNKNOWN: Final = 0x18B  # TPM_RC_HANDLE for handle 1: there is no such NV index


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A key in the TPM: its handle, and its public part (TPMT_PUBLIC) as the TPM gave it."""

    handle: int
    public: bytes


class TpmClient:
    """The few commands that attestation takes. `sleep` waits between tries of a busy TPM."""

    def __init__(
        self, transport: Transport, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._transport = transport
        self._sleep = sleep

    def close(self) -> None:
        """Let go of the TPM."""
        self._transport.close()

    def startup(self) -> None:
        """Start a TPM that no firmware started, such as swtpm; no harm if one did.

        Raises: AttestationError.
        """
        response = commands.read_response(self._send(commands.startup()))
        if response.code != commands.INITIALIZE:
            _succeeded(response, "start")

    @contextmanager
    def endorsement_key(self) -> Iterator[LoadedKey]:
        """The RSA-2048 endorsement key, loaded until the block ends. Raises: AttestationError."""
        with self._primary(commands.EK_TEMPLATE, "make its endorsement key") as key:
            yield key

    @contextmanager
    def attestation_key(self) -> Iterator[LoadedKey]:
        """Our attestation key, loaded until the block ends. Raises: AttestationError."""
        with self._primary(commands.AK_TEMPLATE, "make an attestation key") as key:
            yield key

    def read_public(self, handle: int) -> LoadedKey:
        """A key that stays in the TPM, such as a provider's. Raises: AttestationError."""
        answer = self._run(commands.read_public(handle), "show a key")
        return LoadedKey(handle, _cursor(answer).sized(2, RESPONSE_BYTES))

    def activate_credential(
        self, key: LoadedKey, endorsement: LoadedKey, credential: Credential
    ) -> bytes:
        """Open a secret that was sealed to this TPM and this key. Raises: AttestationError."""
        with self._endorsement_session() as session:
            answer = self._run(
                commands.activate_credential(
                    key.handle,
                    endorsement.handle,
                    session,
                    credential.blob,
                    credential.encrypted_seed,
                ),
                "open a credential: it is not for this TPM, or not for this key",
            )
        return _cursor(answer).sized(2, RESPONSE_BYTES)

    def quote(
        self, key: LoadedKey, extra_data: bytes, bank: str, selected: Sequence[int]
    ) -> tuple[bytes, bytes]:
        """TPMS_ATTEST and TPMT_SIGNATURE over registers. Raises: AttestationError."""
        answer = self._run(commands.quote(key.handle, extra_data, bank, selected), "quote")
        cursor = _cursor(answer)
        return cursor.sized(2, RESPONSE_BYTES), cursor.rest()

    def pcr_read(self, bank: str, selected: Sequence[int]) -> dict[int, bytes]:
        """Values of registers. Raises: AttestationError, also if the TPM lacks the bank."""
        found: dict[int, bytes] = {}
        wanted = sorted(set(selected))
        for start in range(0, len(wanted), _REGISTERS_AT_ONCE):
            part = wanted[start : start + _REGISTERS_AT_ONCE]
            cursor = _cursor(self._run(commands.pcr_read(bank, part), "read registers"))
            cursor.take(4)  # a counter of changes: whoever must know quotes instead
            if cursor.take(len(commands.selection(bank, part))) != commands.selection(bank, part):
                raise AttestationError(f"the TPM does not keep the bank {bank}")
            if cursor.number(4) != len(part):
                raise AttestationError("the TPM answered for other registers")
            found |= {n: cursor.sized(2, DIGEST_BYTES[BANKS[bank]]) for n in part}
        return found

    def pcr_extend(self, number: int, bank: str, digest: bytes) -> None:
        """Measure something into a register. Raises: AttestationError."""
        self._run(commands.pcr_extend(number, bank, digest), "extend a register")

    def nv_read(self, index: int) -> bytes | None:
        """All that is stored under an index; None if there is nothing. Raises: AttestationError."""
        response = commands.read_response(self._send(commands.nv_read_public(index)))
        if response.code == _HANDLE_UNKNOWN:
            return None
        answer = _cursor(_succeeded(response, "show an NV index"))
        public = Cursor(answer.sized(2, RESPONSE_BYTES), "an NV index", "big")
        public.take(10)  # index, name algorithm, attributes
        public.sized(2, RESPONSE_BYTES)  # its policy
        size = public.number(2)
        parts = bytearray()
        while len(parts) < size:
            part = min(_NV_AT_ONCE, size - len(parts))
            raw = self._run(commands.nv_read(index, part, len(parts)), "read an NV index")
            parts += _cursor(raw).sized(2, part)
        return bytes(parts)

    def get_random(self, size: int) -> bytes:
        """Random bytes from the TPM. Raises: AttestationError."""
        return _cursor(self._run(commands.get_random(size), "give random bytes")).sized(2, size)

    @contextmanager
    def _primary(self, template: bytes, what: str) -> Iterator[LoadedKey]:
        raw = self._send(commands.create_primary(commands.ENDORSEMENT, template))
        response = commands.read_response(raw, with_handle=True)
        answer = _cursor(_succeeded(response, what))
        try:
            yield LoadedKey(response.handle, answer.sized(2, RESPONSE_BYTES))
        finally:
            self._run(commands.flush_context(response.handle), "forget a key")

    @contextmanager
    def _endorsement_session(self) -> Iterator[int]:
        nonce = bytes(_NONCE_BYTES)  # no secret depends on it: the session has no key
        raw = self._send(commands.start_policy_session(nonce))
        response = commands.read_response(raw, with_handle=True)
        _succeeded(response, "open a session")
        try:
            self._run(commands.policy_secret(response.handle), "unlock its endorsement key")
            yield response.handle
        finally:
            self._run(commands.flush_context(response.handle), "forget a session")

    def _run(self, command: bytes, what: str) -> bytes:
        return _succeeded(commands.read_response(self._send(command)), what)

    def _send(self, command: bytes) -> bytes:
        """Send a command, again and again while the TPM is only busy."""
        wait = _FIRST_WAIT_SECONDS
        for _ in range(_TRIES):
            raw = self._transport.transmit(command)
            if commands.response_code(raw) not in commands.RETRY_CODES:
                return raw
            self._sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        raise AttestationError(
            "the TPM stays busy",
            hint="another process may hold it; use /dev/tpmrm0, which takes turns",
        )


def _succeeded(response: commands.Response, what: str) -> bytes:
    if response.code != commands.SUCCESS:
        raise AttestationError(
            f"the TPM refused to {what} (TPM_RC {response.code:#05x})",
            hint="tpm2_rc_decode of tpm2-tools explains the code",
        )
    return response.parameters


def _cursor(parameters: bytes) -> Cursor:
    return Cursor(parameters, "the TPM's response", "big")
