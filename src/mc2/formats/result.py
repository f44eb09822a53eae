"""A sealed result: chunks under a fresh key, the key sealed to each recipient.

Spec: docs/spec/result.md. A result is not signed itself; its digest stands in the receipt, which
is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest, digest
from mc2.crypto.labels import Label
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, check_name, to_base64
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ChunkRef
from mc2.formats.release import JobContext
from mc2.formats.schema import Schema

KINDS: Final = ("model", "table")
_SEALED_KEY_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One output of a job, for its recipients.

    `kind` is `table` (chunks of Arrow rows in `schema`) or `model` (the bytes of an XGBoost JSON
    model; `schema` is None). `keys` holds, for each recipient, the result's key sealed to it.
    """

    TYPE: ClassVar[str] = "mc2/result/v1"

    context: JobContext
    output: str
    kind: str
    schema: Schema | None
    key_commitment: str
    keys: Mapping[str, bytes]
    chunks: tuple[ChunkRef, ...]

    def __post_init__(self) -> None:
        if (self.kind == "table") != (self.schema is not None):
            raise FormatError("a table result has a schema, and no other result has one")
        if not self.chunks:
            raise FormatError("a result has at least one chunk")

    def json(self) -> Json:
        """The result as canonical JSON has it."""
        return {
            "type": self.TYPE,
            **self.context.json(),
            "output": self.output,
            "kind": self.kind,
            "schema": None if self.schema is None else self.schema.json(),
            "key_commitment": self.key_commitment,
            "keys": {name: to_base64(sealed) for name, sealed in self.keys.items()},
            "chunks": [c.json() for c in self.chunks],
        }

    def encode(self) -> bytes:
        """The bytes that its digest names."""
        return encode(self.json())

    @property
    def digest(self) -> Digest:
        """The result's name, a subject of the receipt."""
        return digest(self.encode())

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a result. Raises: FormatError."""
        return cls.read(decode(raw, LIMITS.receipt_bytes, "a result"))

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded result. Raises: FormatError."""
        fields = Fields(value, "a result")
        fields.type(cls.TYPE)
        schema = fields.value("schema")
        keys = fields.value("keys")
        if not isinstance(keys, Mapping) or not 1 <= len(keys) <= LIMITS.members:
            raise FormatError("the keys of a result are not an object with its recipients")
        named = Fields(keys, "the keys of a result")
        found = cls(
            context=JobContext.read(fields),
            output=fields.name("output"),
            kind=fields.choice("kind", KINDS),
            schema=None if schema is None else Schema.read(schema),
            key_commitment=fields.hex("key_commitment", 32),
            keys={
                check_name(name, "a recipient"): named.base64(name, _SEALED_KEY_BYTES)
                for name in keys
            },
            chunks=fields.items("chunks", LIMITS.chunks, ChunkRef.read),
        )
        fields.done()
        return found

    def associated_data(self, index: int) -> bytes:
        """What chunk `index` is bound to."""
        return result_associated_data(self.context, self.output, index, len(self.chunks))


def result_associated_data(context: JobContext, output: str, index: int, count: int) -> bytes:
    """Binds a chunk to the attempt, the output, its place, and being last or not."""
    bound: Json = {**context.json(), "output": output, "index": index, "count": count}
    return Label.RESULT_CHUNK.prefix() + encode(bound)


def result_key_info(context: JobContext, output: str, recipient: str) -> bytes:
    """The HPKE `info` under which a result's key is sealed to one recipient."""
    bound: Json = {**context.json(), "output": output, "recipient": recipient}
    return Label.RESULT_INFO.prefix() + encode(bound)
