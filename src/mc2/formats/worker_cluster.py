"""The worker protocol's messages about clusters. Spec: docs/spec/worker-protocol.md.

A host passes signed objects between enclaves; what they mean is in `mc2.formats.cluster`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, check_name, check_sorted_unique, text_item, to_base64
from mc2.formats.frames import Frame
from mc2.formats.limits import LIMITS
from mc2.formats.nested import join_named, nest, read_named, split_named
from mc2.formats.release import read_token, read_tokens

# --- to an enclave that joins another one's cluster


@dataclass(frozen=True, slots=True)
class Join:
    """The host hands on a leader's invitation, with what proves the leader. Answer: `Joined`."""

    challenges: Mapping[str, bytes]
    evidence: bytes
    invitation: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        body = encode(
            {
                "challenges": {name: nest(raw) for name, raw in self.challenges.items()},
                "evidence": nest(self.evidence),
                "invitation": nest(self.invitation),
            }
        )
        return Frame({"type": "join"}, body)

    @classmethod
    def read(cls, _: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        inner = Fields(decode(body, LIMITS.frame_body_bytes, "the body of a join"), "a join")
        found = cls(
            split_named(inner.value("challenges")),
            encode(inner.value("evidence")),
            encode(inner.value("invitation")),
        )
        inner.done()
        return found


@dataclass(frozen=True, slots=True)
class Joined:
    """The signed member evidence."""

    evidence: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "joined"}, self.evidence)


@dataclass(frozen=True, slots=True)
class Prove:
    """The host hands on the leader's probe. Answer: `Proved`."""

    probe: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "prove"}, self.probe)


@dataclass(frozen=True, slots=True)
class Proved:
    """The token of what the enclave's machine opened."""

    token: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "proved", "token": to_base64(self.token)})

    @classmethod
    def read(cls, fields: Fields, _: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(read_token(fields, "token"))


@dataclass(frozen=True, slots=True)
class Enter:
    """The host hands on the leader's admission. Answer: `Entered`."""

    admission: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "enter"}, self.admission)


@dataclass(frozen=True, slots=True)
class Entered:
    """The enclave is a member of the epoch, until its job is closed."""

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "entered"})


# --- from and to the leader, while its job runs


@dataclass(frozen=True, slots=True)
class Gather:
    """The leader wants other enclaves invited. Answer: `Gathered`, or `Missing`."""

    invitation: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "gather"}, self.invitation)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Member evidence by the host's names of the workers that joined; none if there are none."""

    evidence: Mapping[str, bytes]

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "gathered"}, join_named(self.evidence))

    @classmethod
    def read(cls, _: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(read_named(body))


@dataclass(frozen=True, slots=True)
class Ask:
    """The leader's probes, by the host's names. Answer: `Told`, or `Missing`."""

    probes: Mapping[str, bytes]

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "ask"}, join_named(self.probes))

    @classmethod
    def read(cls, _: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(read_named(body))


@dataclass(frozen=True, slots=True)
class Told:
    """The tokens of those that answered, by the host's names."""

    tokens: Mapping[str, bytes]

    def frame(self) -> Frame:
        """The message's frame."""
        tokens: Json = {name: to_base64(token) for name, token in self.tokens.items()}
        return Frame({"type": "told", "tokens": tokens})

    @classmethod
    def read(cls, fields: Fields, _: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(read_tokens(fields.value("tokens"), LIMITS.cluster_members, "tokens"))


@dataclass(frozen=True, slots=True)
class Admit:
    """The leader's admissions, by the host's names. Answer: `Admitted`, or `Missing`."""

    admissions: Mapping[str, bytes]

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "admit"}, join_named(self.admissions))

    @classmethod
    def read(cls, _: Fields, body: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(read_named(body))


@dataclass(frozen=True, slots=True)
class Admitted:
    """Those of them that entered, in order."""

    names: tuple[str, ...]

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "admitted", "names": list(self.names)})

    @classmethod
    def read(cls, fields: Fields, _: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        names = fields.items("names", LIMITS.cluster_members, text_item("a worker", check_name))
        check_sorted_unique(names, "the names of workers")
        return cls(names)
