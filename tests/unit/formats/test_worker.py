from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.crypto.digest import digest
from mc2.errors import FormatError
from mc2.formats.canonical import encode
from mc2.formats.fields import to_base64
from mc2.formats.frames import Frame
from mc2.formats.limits import LIMITS
from mc2.formats.worker import (
    PROTOCOL,
    Attest,
    Attested,
    Chunk,
    Close,
    Closed,
    FromEnclave,
    FromHost,
    Hello,
    JobOutcome,
    Missing,
    Open,
    OpenedJob,
    Progress,
    Read,
    Ready,
    Refused,
    Run,
    Stored,
    Write,
    parse_from_enclave,
    parse_from_host,
)
from mc2.formats.worker_cluster import (
    Admit,
    Admitted,
    Ask,
    Enter,
    Entered,
    Gather,
    Gathered,
    Join,
    Joined,
    Prove,
    Proved,
    Told,
)

TOKEN = b"\x70" * 32
SOME = encode({"signed": "object"})
NAME = digest(b"chunk")
READY = Ready(
    boot_id="ab" * 16,
    kind="mc2-simulated/v1",
    tier="simulated",
    code={"mc2.code": "00"},
    packages={"duckdb": "2"},
    warnings=("SIMULATED",),
)
FROM_HOST: list[FromHost] = [
    Hello(), Open(b"bundle"), Attest({"ada": SOME}), Run({"ada": SOME, "bo": SOME}),
    Chunk(b"sealed"), Missing(), Stored(), Close(), Join({"ada": SOME}, SOME, SOME), Enter(SOME),
    Gathered({"worker_2": SOME}), Gathered({}), Admitted(("worker_2",)), Admitted(()),
    Prove(SOME), Told({"worker_2": TOKEN}), Told({}),
]  # fmt: skip
FROM_ENCLAVE: list[FromEnclave] = [
    READY, OpenedJob(("ada", "bo")), Attested(b"evidence"), Read(NAME), Write(NAME, b"sealed"),
    Progress("step 1 of 2"), JobOutcome(SOME, {"model": SOME}), Closed(),
    Refused("grant", "no", "ask again"), Joined(SOME), Entered(), Gather(SOME),
    Admit({"worker_2": SOME}), Ask({"worker_2": SOME}), Proved(TOKEN),
]  # fmt: skip


@pytest.mark.parametrize("message", FROM_HOST, ids=lambda m: type(m).__name__)
def test_messages_from_hosts_come_back(message: FromHost) -> None:
    assert parse_from_host(message.frame()) == message
    with pytest.raises(FormatError):
        parse_from_enclave(message.frame())


@pytest.mark.parametrize("message", FROM_ENCLAVE, ids=lambda m: type(m).__name__)
def test_messages_from_enclaves_come_back(message: FromEnclave) -> None:
    assert parse_from_enclave(message.frame()) == message
    with pytest.raises(FormatError):
        parse_from_host(message.frame())


@pytest.mark.parametrize(
    "frame",
    [
        Frame({}),
        Frame({"type": 1}),
        Frame({"type": "hallo"}),
        Frame({"type": "hello"}),
        Frame({"type": "hello", "protocol": "mc2/worker/v2"}),
        Frame({"type": "hello", "protocol": PROTOCOL, "more": 1}),
        Frame({"type": "close"}, b"body"),
        Frame({"type": "close", "force": True}),
        Frame({"type": "attest"}, b""),
        Frame({"type": "attest"}, b"[]"),
        Frame({"type": "attest"}, b'{"Ada":{}}'),
        Frame({"type": "attest"}, b'{"bo":{},"ada":{}}'),
        Frame({"type": "run"}, b'{"ada": {}}'),
        Frame({"type": "join"}, b'{"challenges":{},"evidence":{}}'),
        Frame({"type": "join"}, b'{"challenges":{},"evidence":{},"invitation":{},"x":1}'),
        Frame({"type": "join"}, b'{"challenges":[],"evidence":{},"invitation":{}}'),
        Frame({"type": "enter"}, bytes(LIMITS.grant_bytes * 2 + 1)),
        Frame({"type": "gathered"}, b'{"worker 2":{}}'),
        Frame({"type": "prove"}, bytes(LIMITS.message_bytes * 2 + 1)),
        Frame({"type": "told", "tokens": []}),
        Frame({"type": "told", "tokens": {"worker_2": "AAAA"}}),
        Frame({"type": "told", "tokens": {"worker 2": to_base64(TOKEN)}}),
        Frame({"type": "told", "tokens": {f"w{i}": to_base64(TOKEN) for i in range(65)}}),
        Frame({"type": "admitted", "names": ["b", "a"]}),
        Frame({"type": "admitted", "names": ["a", "a"]}),
        Frame({"type": "admitted", "names": ["a"]}, b"x"),
        Frame({"type": "chunk"}, bytes(LIMITS.chunk_bytes + 1)),
    ],
    ids=lambda f: str(dict(f.header)),
)
def test_refuses_what_no_host_says(frame: Frame) -> None:
    with pytest.raises(FormatError):
        parse_from_host(frame)


@pytest.mark.parametrize(
    "frame",
    [
        Frame({"type": "read", "digest": "sha256:xyz"}),
        Frame({"type": "read", "digest": NAME}, b"x"),
        Frame({"type": "admit"}, b"[]"),
        Frame({"type": "ask"}, b"[]"),
        Frame({"type": "proved"}),
        Frame({"type": "proved", "token": to_base64(TOKEN[1:])}),
        Frame({"type": "entered"}, b"x"),
        Frame({"type": "gather"}, bytes(LIMITS.message_bytes * 2 + 1)),
        Frame({"type": "opened", "owners": ["bo", "ada"]}),
        Frame({"type": "opened", "owners": ["ada", "ada"]}),
        Frame({"type": "opened", "owners": ["../ada"]}),
        Frame({"type": "progress", "text": "x" * 4097}),
        Frame({"type": "done"}, b'{"receipt":{}}'),
        Frame({"type": "done"}, b'{"receipt":{},"results":{},"x":1}'),
        Frame({"type": "refused", "code": "grant", "message": 5, "hint": ""}),
        Frame({**READY.frame().header, "tier": "best"}),
        Frame({**READY.frame().header, "code": {"a": 1}}),
    ],
    ids=lambda f: str(dict(f.header))[:40],
)
def test_refuses_what_no_enclave_says(frame: Frame) -> None:
    with pytest.raises(FormatError):
        parse_from_enclave(frame)


@given(
    header=st.dictionaries(
        st.sampled_from(["type", "protocol", "digest", "text", "owners", "code"]),
        st.one_of(st.sampled_from(["hello", "open", "read", "done", "ready"]), st.integers(0, 9)),
    ),
    body=st.binary(max_size=30),
)
def test_any_frame_is_a_message_or_a_format_error(header: dict[str, object], body: bytes) -> None:
    frame = Frame(header, body)  # type: ignore[arg-type]  # anything JSON has
    for parse in (parse_from_host, parse_from_enclave):
        try:
            message = parse(frame)
        except FormatError:
            continue
        assert message.frame() == frame


def test_a_refusal_is_cut_to_what_a_frame_holds() -> None:
    refused = parse_from_enclave(Refused("engine", "\x01" * 9000, "é" * 9000).frame())
    assert isinstance(refused, Refused)
    assert len(refused.message) == len(refused.hint) == 4096
    Refused("engine", "\x01" * 9000, "\x02" * 9000).frame().encode()
