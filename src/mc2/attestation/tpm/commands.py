"""TPM 2.0 commands and responses as bytes (Part 3): what is sent, what comes back. Pure.

Every command here is authorised by an empty password, except the use of the endorsement key,
which its template binds to a policy session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mc2.attestation.cursor import Cursor
from mc2.attestation.tpm.algorithms import BANKS, DIGEST_BYTES, NIST_P256, PCRS, Alg
from mc2.errors import AttestationError

NO_SESSIONS: Final = 0x8001
SESSIONS: Final = 0x8002

CREATE_PRIMARY: Final = 0x131
NV_READ: Final = 0x14E
NV_READ_PUBLIC: Final = 0x169
ACTIVATE_CREDENTIAL: Final = 0x147
POLICY_SECRET: Final = 0x151
QUOTE: Final = 0x158
STARTUP: Final = 0x144
SHUTDOWN: Final = 0x145
FLUSH_CONTEXT: Final = 0x165
READ_PUBLIC: Final = 0x173
START_AUTH_SESSION: Final = 0x176
GET_RANDOM: Final = 0x17B
PCR_READ: Final = 0x17E
PCR_EXTEND: Final = 0x182

OWNER: Final = 0x40000001
ENDORSEMENT: Final = 0x4000000B
_NULL: Final = 0x40000007
_PASSWORD_SESSION: Final = 0x40000009

EK_CERTIFICATE_INDEX: Final = 0x01C00002
"""NV index of the RSA-2048 endorsement key's certificate (EK Credential Profile §2.2.1.4)."""

SUCCESS: Final = 0
INITIALIZE: Final = 0x100
RETRY_CODES: Final = frozenset({0x922, 0x908, 0x90A})
"""TPM_RC_RETRY, TPM_RC_YIELDED, TPM_RC_TESTING: the same command again, a little later."""

_POLICY: Final = 1  # TPM_SE_POLICY
_EK_POLICY: Final = bytes.fromhex(
    "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
)
_EMPTY: Final = b"\0\0"  # TPM2B without contents


def u16(number: int) -> bytes:
    """Two bytes, big-endian as all of TPM."""
    return number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    """Four bytes."""
    return number.to_bytes(4, "big")


def sized(raw: bytes) -> bytes:
    """TPM2B: a length of two bytes, and the bytes."""
    return u16(len(raw)) + raw


EK_TEMPLATE: Final = (
    u16(Alg.RSA)
    + u16(Alg.SHA256)
    + u32(0x000300B2)  # restricted, decrypt, adminWithPolicy, made by and fixed to the TPM
    + sized(_EK_POLICY)
    + (u16(Alg.AES) + u16(128) + u16(Alg.CFB))
    + u16(Alg.NULL)
    + (u16(2048) + u32(0))
    + sized(bytes(256))
)
"""The default endorsement key, RSA-2048 (EK Credential Profile, template L-1)."""

AK_TEMPLATE: Final = (
    u16(Alg.ECC)
    + u16(Alg.SHA256)
    # restricted, sign, used by (an empty) password, made by and fixed to the TPM; noDA: there is
    # nothing to guess, and power cuts must not count towards a lockout
    + u32(0x00050472)
    + sized(b"")
    + u16(Alg.NULL)
    + (u16(Alg.ECDSA) + u16(Alg.SHA256))
    + u16(NIST_P256)
    + u16(Alg.NULL)
    + (sized(b"") + sized(b""))
)
"""Our attestation key: ECDSA P-256. As a primary key it is the same after each reset."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response taken apart: the code, and what follows it without any session data."""

    code: int
    handle: int
    parameters: bytes


def command(
    code: int,
    *,
    handles: Sequence[int] = (),
    sessions: Sequence[bytes] = (),
    parameters: bytes = b"",
) -> bytes:
    """A whole command."""
    body = b"".join(map(u32, handles))
    if sessions:
        joined = b"".join(sessions)
        body += u32(len(joined)) + joined
    body += parameters
    return u16(SESSIONS if sessions else NO_SESSIONS) + u32(10 + len(body)) + u32(code) + body


def response_code(raw: bytes) -> int:
    """The code of a response. Raises: AttestationError for one that is not whole."""
    cursor = Cursor(raw, "the TPM's response", "big")
    tag, size, code = cursor.number(2), cursor.number(4), cursor.number(4)
    if size != len(raw) or tag not in (NO_SESSIONS, SESSIONS):
        raise AttestationError("the TPM's response has another length than it says")
    return code


def read_response(raw: bytes, *, with_handle: bool = False) -> Response:
    """Take a response apart. Raises: AttestationError for one that is not whole."""
    code = response_code(raw)
    if code != SUCCESS:
        return Response(code, 0, b"")
    cursor = Cursor(raw, "the TPM's response", "big")
    tag = cursor.number(2)
    cursor.take(8)
    handle = cursor.number(4) if with_handle else 0
    if tag == SESSIONS:
        return Response(code, handle, cursor.take(cursor.number(4)))
    return Response(code, handle, cursor.rest())


def password_session() -> bytes:
    """Authorisation by an empty password."""
    return _session(_PASSWORD_SESSION)


def policy_session(handle: int) -> bytes:
    """Authorisation by a policy session that goes on after the command."""
    return _session(handle, attributes=1)


def _session(handle: int, attributes: int = 0) -> bytes:
    return u32(handle) + _EMPTY + bytes([attributes]) + _EMPTY


def startup() -> bytes:
    """TPM2_Startup with cleared state, what firmware does after a reset."""
    return command(STARTUP, parameters=u16(0))


def shutdown() -> bytes:
    """TPM2_Shutdown without saving state."""
    return command(SHUTDOWN, parameters=u16(0))


def create_primary(hierarchy: int, template: bytes) -> bytes:
    """TPM2_CreatePrimary with empty password and data."""
    sensitive = sized(_EMPTY + _EMPTY)
    parameters = sensitive + sized(template) + _EMPTY + u32(0)
    return command(
        CREATE_PRIMARY,
        handles=(hierarchy,),
        sessions=(password_session(),),
        parameters=parameters,
    )


def read_public(handle: int) -> bytes:
    """TPM2_ReadPublic."""
    return command(READ_PUBLIC, handles=(handle,))


def start_policy_session(nonce: bytes) -> bytes:
    """TPM2_StartAuthSession for a policy: no salt, no bound object, no parameter encryption."""
    parameters = sized(nonce) + _EMPTY + bytes([_POLICY]) + u16(Alg.NULL) + u16(Alg.SHA256)
    return command(START_AUTH_SESSION, handles=(_NULL, _NULL), parameters=parameters)


def policy_secret(session: int) -> bytes:
    """TPM2_PolicySecret for the endorsement hierarchy, which the endorsement key asks for."""
    return command(
        POLICY_SECRET,
        handles=(ENDORSEMENT, session),
        sessions=(password_session(),),
        parameters=_EMPTY + _EMPTY + _EMPTY + u32(0),
    )


def activate_credential(
    key: int, endorsement: int, session: int, blob: bytes, seed: bytes
) -> bytes:
    """TPM2_ActivateCredential: the key by password, the endorsement key by its policy."""
    return command(
        ACTIVATE_CREDENTIAL,
        handles=(key, endorsement),
        sessions=(password_session(), policy_session(session)),
        parameters=sized(blob) + sized(seed),
    )


def quote(key: int, extra_data: bytes, bank: str, selected: Sequence[int]) -> bytes:
    """TPM2_Quote in the key's own scheme."""
    return command(
        QUOTE,
        handles=(key,),
        sessions=(password_session(),),
        parameters=sized(extra_data) + u16(Alg.NULL) + selection(bank, selected),
    )


def selection(bank: str, selected: Sequence[int]) -> bytes:
    """TPML_PCR_SELECTION of one bank."""
    bitmap = bytearray(PCRS // 8)
    for number in selected:
        bitmap[number // 8] |= 1 << number % 8
    return u32(1) + u16(BANKS[bank]) + bytes([len(bitmap)]) + bytes(bitmap)


def pcr_read(bank: str, selected: Sequence[int]) -> bytes:
    """TPM2_PCR_Read: answers for at most eight registers at a time."""
    return command(PCR_READ, parameters=selection(bank, selected))


def pcr_extend(number: int, bank: str, digest: bytes) -> bytes:
    """TPM2_PCR_Extend of one bank."""
    if len(digest) != DIGEST_BYTES[BANKS[bank]]:
        raise ValueError(f"a digest of the bank {bank} has another size")
    return command(
        PCR_EXTEND,
        handles=(number,),
        sessions=(password_session(),),
        parameters=u32(1) + u16(BANKS[bank]) + digest,
    )


def nv_read_public(index: int) -> bytes:
    """TPM2_NV_ReadPublic."""
    return command(NV_READ_PUBLIC, handles=(index,))


def nv_read(index: int, size: int, offset: int) -> bytes:
    """TPM2_NV_Read, authorised by the owner hierarchy's empty password."""
    return command(
        NV_READ,
        handles=(OWNER, index),
        sessions=(password_session(),),
        parameters=u16(size) + u16(offset),
    )


def get_random(size: int) -> bytes:
    """TPM2_GetRandom."""
    return command(GET_RANDOM, parameters=u16(size))


def flush_context(handle: int) -> bytes:
    """TPM2_FlushContext."""
    return command(FLUSH_CONTEXT, parameters=u32(handle))
