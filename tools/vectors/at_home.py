"""Vectors of rows at home, of what enclaves tell beside a job, and of a job's status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mc2.formats.canonical import Json, decode, encode
from mc2.formats.frames import Frame
from mc2.formats.home import HomeEvidence
from mc2.formats.home_line import HomeTurn
from mc2.formats.job_metrics import JobMetrics, StageMetrics, TrainingMetrics, WorkerMetrics
from mc2.formats.status import JobState, JobStatus
from mc2.formats.worker import Close, Closed
from mc2.formats.worker_cluster import Ask, Prove, Proved, Told
from mc2.formats.worker_progress import RoundTrained, StageBegun, StageHead, StagesCut
from tools.vectors import world
from tools.vectors.cluster import member_evidence
from tools.vectors.objects import Case, Edit, payload_edited, payload_rejects, reject, valid

_LIMIT = 1 << 20
_SESSION = "5e" * 16
TOKEN = bytes(range(32))


def cases() -> Iterator[Case]:
    """All cases, in a fixed order."""
    yield from _home_evidence()
    yield from _turns()
    yield from _messages()
    yield from _statuses()


def _home_evidence() -> Iterator[Case]:
    inner = member_evidence().sign(world.signing_key("member"))
    said = HomeEvidence(party="ada", evidence=inner)
    raw = said.sign(world.signing_key("ada"))
    name, kind = "home-evidence", HomeEvidence.PAYLOAD_TYPE
    yield valid(name, raw)
    yield from payload_rejects(name, raw, kind, "ada")
    by_other = member_evidence().sign(world.signing_key("stranger"))

    def within(raw: bytes) -> Edit:
        return lambda v: v.update(evidence=decode(raw, _LIMIT, "vector"))

    edits: dict[str, tuple[Edit, str]] = {
        "party_name": (lambda v: v.update(party="Ada Ltd"), "a name with a space and capitals"),
        "no_party": (lambda v: v.update(party=None), "nobody's premises"),
        "no_evidence": (lambda v: v.update(evidence=None), "nothing was signed for"),
        "as_text": (lambda v: v.update(evidence=inner.decode()), "an envelope spelled as a text"),
        "nested_twice": (within(raw), "a home's evidence within a home's"),
    }
    for case, (edit, comment) in edits.items():
        yield reject(name, case, payload_edited(raw, kind, "ada", edit), comment)
    for case, signer, edit, comment in (
        ("other_party", "bo", lambda _: None, "signed by a party that it does not name"),
        ("other_member", "ada", within(by_other), "signed inside by a key that it does not name"),
    ):
        edited = payload_edited(raw, kind, signer, edit)
        yield reject(name, case, edited, comment) | {"error": "SignatureError"}


def _bytes(format_name: str, name: str, raw: bytes, comment: str, *, accept: bool) -> Case:
    outcome = {"expect": "accept"} if accept else {"expect": "reject", "error": "FormatError"}
    said = {"format": format_name, "name": name, "comment": comment, "hex": raw.hex()}
    return said | outcome


def _turns() -> Iterator[Case]:
    order = b"".join(Close().frame().encode())
    answer = b"".join(Closed().frame().encode())
    accept = {
        "order": (HomeTurn(_SESSION, 7, order), "the seventh order"),
        "answer": (HomeTurn(_SESSION, 7, answer), "and its answer"),
        "alive": (HomeTurn(_SESSION, 7, b""), "somebody is there, and works at it"),
        "first": (HomeTurn(_SESSION, 0, b""), "a process that had no order yet"),
    }
    for name, (turn, comment) in accept.items():
        yield _bytes("home-turn", name, turn.encode(), comment, accept=True)
    head = bytes.fromhex(_SESSION)
    number = (7).to_bytes(8, "big")
    wrong = {
        "empty": (b"", "nothing"),
        "short_number": (head + number[:-1], "it ends in its number"),
        "large_number": (head + b"\xff" * 8, "a number that no process reaches"),
        "cut_frame": (head + number + order[:-1], "it ends inside its frame"),
        "cut_lengths": (head + number + order[:5], "it ends inside the lengths of its frame"),
        "two_frames": (head + number + order + order, "two frames"),
        "after_frame": (head + number + order + b"\0", "a byte after its frame"),
        "no_frame": (head + number + b"close, please", "what is no frame"),
    }
    for name, (raw, comment) in wrong.items():
        yield _bytes("home-turn", name, raw, comment, accept=False)


def _messages() -> Iterator[Case]:
    """Frames of both directions that came with clusters of TPMs and with numbers of jobs."""
    head = StageHead(("scan", "filter"), 4)
    accept = {
        "prove": (Prove(b"a probe").frame(), "a host hands on a probe"),
        "told": (Told({"worker_1": TOKEN}).frame(), "the tokens of those that answered"),
        "told_nobody": (Told({}).frame(), "nobody answered"),
        "proved": (Proved(TOKEN).frame(), "the token of what a machine opened"),
        "ask": (Ask({"worker_1": b"{}"}).frame(), "a leader's probes"),
        "stages": (StagesCut((head, StageHead((), 1))).frame(), "two stages"),
        "stage": (StageBegun(1).frame(), "the leader is at the second one"),
        "round": (RoundTrained(5, 2, 10).frame(), "two rounds of ten"),
    }
    for name, (frame, comment) in accept.items():
        yield _bytes("worker-message", name, b"".join(frame.encode()), comment, accept=True)
    stages: dict[str, Json] = {"operations": ["scan"], "tasks": 1}
    wrong: dict[str, tuple[Mapping[str, Json], bytes, str]] = {
        "proved_short": ({"type": "proved", "token": "AAAA"}, b"", "a token of three bytes"),
        "proved_body": (dict(Proved(TOKEN).frame().header), b"x", "a body where there is none"),
        "told_name": ({"type": "told", "tokens": {"W 1": ""}}, b"", "not the name of a worker"),
        "told_short": ({"type": "told", "tokens": {"w": "AAAA"}}, b"", "a token of three bytes"),
        "told_list": ({"type": "told", "tokens": []}, b"", "tokens have names"),
        "ask_nothing": ({"type": "ask"}, b"[]", "probes have names"),
        "stages_many": ({"type": "stages", "stages": [stages] * 101}, b"", "too many stages"),
        "stages_tasks": (_stages(tasks=0), b"", "a stage without a task"),
        "stages_text": (_stages(operations=["scan of visits"]), b"", "not the name of a kind"),
        "stages_more": (_stages(rows=5), b"", "a field that is not known"),
        "stage_text": ({"type": "stage", "stage": "1"}, b"", "a stage is a number"),
        "round_beyond": ({"type": "round", "node": 0, "done": 3, "of": 2}, b"", "three of two"),
        "round_none": ({"type": "round", "node": 0, "done": 0, "of": 0}, b"", "none of none"),
        "round_more": (
            {"type": "round", "node": 0, "done": 0, "of": 1, "loss": 1}, b"", "an unknown field"),
    }  # fmt: skip
    for name, (header, body, comment) in wrong.items():
        raw = b"".join(Frame(header, body).encode())
        yield _bytes("worker-message", name, raw, comment, accept=False)


def _stages(**changes: Json) -> Mapping[str, Json]:
    stage: dict[str, Json] = {"operations": ["scan"], "tasks": 1, **changes}
    return {"type": "stages", "stages": [stage]}


def _statuses() -> Iterator[Case]:
    numbers = {"blocks_in": 4, "bytes_in": 4096, "blocks_out": 2, "bytes_out": 512}
    stage = StageMetrics(head=StageHead(("scan",), 4), done=3, lost=1, milliseconds=80, **numbers)
    context = world.context()
    status = JobStatus(
        job_id=context.job_id,
        contract=context.contract,
        plan=context.plan,
        proposer="ada",
        state=JobState.RUNNING,
        attempt=1,
        phase="compute",
        approvals=("ada", "bo"),
        rejections=(),
        challenges=("ada", "bo"),
        grants=("ada", "bo"),
        missing=(),
        progress="node 5: trained round 2 of 10",
        error_code="",
        error="",
        metrics=JobMetrics(
            stages=(stage,),
            trainings=(TrainingMetrics(node=5, done=2, of=10, milliseconds=900),),
            workers=(WorkerMetrics(name="worker_1", peak_bytes=1 << 30),),
        ),
    )
    raw = encode(status.json())
    yield valid("job-status", raw)

    def part(which: str, **changes: Json) -> Edit:
        return lambda v: v["metrics"][which][0].update(changes)

    def twice(name: str) -> Edit:
        return lambda v: v["metrics"][name].append(v["metrics"][name][0])

    edits: dict[str, tuple[Edit, str]] = {
        "no_metrics": (lambda v: v.pop("metrics"), "a missing field"),
        "metrics_list": (lambda v: v.update(metrics=[]), "numbers have names"),
        "more_done": (part("stages", done=5), "five of four tasks"),
        "no_task": (part("stages", tasks=0, done=0), "a stage without a task"),
        "negative": (part("stages", lost=-1), "fewer than none"),
        "beyond": (part("stages", bytes_in=1 << 53), "2^53: two readers may round it differently"),
        "more_rounds": (part("trainings", done=11), "eleven of ten rounds"),
        "training_twice": (twice("trainings"), "one training twice"),
        "worker_twice": (twice("workers"), "one worker twice"),
        "worker_name": (part("workers", name="Worker 1"), "not the name of a worker"),
        "worker_more": (part("workers", rows=1), "a field that is not known"),
        "unknown_state": (lambda v: v.update(state="resting"), "a state that is none"),
        "unknown_phase": (lambda v: v.update(phase="rest"), "a phase that is none"),
    }
    for name, (edit, comment) in edits.items():
        value: Any = decode(raw, _LIMIT, "vector")
        edit(value)
        if name == "beyond":  # canonical JSON has no such number, so neither has its writer
            value["metrics"]["stages"][0]["bytes_in"] = 0
            text = encode(value).replace(b'"bytes_in":0', b'"bytes_in":9007199254740992')
        else:
            text = encode(value)
        yield reject("job-status", name, text, comment)
