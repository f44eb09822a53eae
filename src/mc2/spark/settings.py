"""What a driver tells keepers and tasks on other hosts. It holds nothing secret."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Final, Self

from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode

_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSettings:
    """How an enclave is kept beside an executor.

    `enclave`: the command that starts one, to which `--listen fd:N` is added; or one word, the
    address of an enclave that listens already (`tcp:`, `vsock:`, `unix:`). `token`: the
    application's. `storage`: where blocks are. `driver`: the host that keepers must be reached
    from; empty if it is this one alone.
    """

    enclave: tuple[str, ...]
    token: str = field(repr=False)
    storage: str
    driver: str
    application: str
    start_seconds: int

    def encode(self) -> bytes:
        """The settings in canonical JSON."""
        value: dict[str, Json] = {**asdict(self), "enclave": list(self.enclave)}
        return encode(value)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read settings. Raises: FormatError."""
        value = decode(raw, _BYTES, "a keeper's settings")
        names = {f.name for f in fields(cls)}
        if not isinstance(value, dict) or value.keys() != names:
            raise FormatError("a keeper's settings have other fields")
        enclave = value.pop("enclave")
        seconds = value.pop("start_seconds")
        if not isinstance(enclave, list) or not isinstance(seconds, int):
            raise FormatError("a keeper's settings have other types")
        texts = {name: str(text) for name, text in value.items()}
        return cls(enclave=tuple(map(str, enclave)), start_seconds=seconds, **texts)
