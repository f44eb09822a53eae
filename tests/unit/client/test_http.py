"""The client of a coordinator: true to the protocol, patient with trouble, wary of answers."""

import contextlib
import inspect
import secrets
import socket
import threading
import time

import httpx
import pytest
from tests.support.coordinator_world import FakePool, World

from mc2.client.coordinator import Coordinator as Protocol
from mc2.client.http import HttpCoordinator
from mc2.client.http_errors import refusal
from mc2.coordinator.folder import CoordinatorFolder
from mc2.coordinator.server import Coordinator, ServerConfig
from mc2.coordinator.service import PartyAccess
from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.errors import (
    ApprovalError,
    ContractError,
    CoordinatorError,
    DatasetError,
    FormatError,
    JobError,
    Mc2Error,
    SignatureError,
    UsageError,
)
from mc2.formats.canonical import encode
from mc2.formats.coordinator_file import CoordinatorFile
from mc2.formats.status import DatasetEntry, JobChanges, JobNews, JobState, JobStatus

JOB = "0" * 32


# --- against a real one ---


class Site:
    """A running coordinator, and clients of it."""

    def __init__(self, folder):
        self.folder = folder
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(
            Coordinator(ServerConfig(folder=folder, port=0), FakePool()).in_background()
        )
        self.file = CoordinatorFile.parse((folder / "coordinator.json").read_bytes())
        self.token = CoordinatorFolder(folder).token()

    def client(self, person, **options):
        client = HttpCoordinator(
            self.file.url, person.signing, certificate=self.file.certificate, **options
        )
        self.stack.callback(client.close)
        return client


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    found = Site(tmp_path_factory.mktemp("site"))
    with found.stack:
        yield found


@pytest.fixture
def world():
    """People of other names in each test: the coordinator is shared."""
    return World()


@pytest.fixture
def fresh(tmp_path):
    found = Site(tmp_path)
    with found.stack:
        yield found


def enrolled(site, world):
    clients = {name: site.client(person) for name, person in world.people.items()}
    for name, client in clients.items():
        client.register(world[name].signed_card, site.token)
    return clients


def methods(kind):
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in vars(kind).items()
        if callable(member) and not name.startswith("_")
    }


def test_both_ways_to_a_coordinator_have_the_methods_of_the_protocol():
    wanted = methods(Protocol)
    for kind in (HttpCoordinator, PartyAccess):
        found = methods(kind)
        assert {name: found.get(name) for name in wanted} == wanted


def test_everything_goes_up_and_comes_down(fresh, world):
    clients = enrolled(fresh, world)
    ada, cy = clients["ada"], clients["cy"]
    assert ada.health()
    ada.register(world["ada"].signed_card, fresh.token)
    assert sorted(ada.cards()) == sorted(world.cards.values())
    name = cy.put_contract(world.signed_contract("cy"))
    assert ada.put_contract(world.signed_contract("ada", "bo")) == name
    assert cy.contracts() == [name]
    assert cy.contract(name) == world.signed_contract()
    names = [c for s in world.sealed.values() for c in s.chunks]
    assert ada.missing(names) == names
    world.upload(clients.__getitem__)
    assert ada.missing(names) == []
    assert ada.missing([]) == []
    entry = DatasetEntry("ada.visits", 1, world.sealed["ada"].manifest.digest)
    assert cy.datasets()[0] == entry
    assert cy.manifest(entry.manifest) == world.sealed["ada"].envelope
    proposal = world.proposal()  # it says when, to the second
    job_id = cy.propose(world.plan.encode(), proposal)
    assert cy.propose(world.plan.encode(), proposal) == job_id
    assert ada.jobs() == [cy.job(job_id)]
    seen = cy.news(job_id, 0, 5).event
    for owner in ("ada", "bo"):
        clients[owner].approve(job_id, world.approval(owner))
    changes = cy.changes(seen, 5)
    assert changes.event > seen
    assert changes.jobs == (cy.job(job_id),)
    news = cy.news(job_id, seen, 5)
    assert news.event > seen
    assert news.status == cy.job(job_id)
    assert cy.news(job_id, news.event, 0.01) == news
    assert cy.job(job_id).state.word == "approved"
    assert cy.job_bundle(job_id) == clients["bo"].job_bundle(job_id)
    assert cy.start(job_id) == 1
    deadline = time.monotonic() + 10
    while cy.job(job_id).phase != "challenge":
        assert time.monotonic() < deadline
    challenge = world.challenge("ada")
    ada.put_challenge(job_id, 1, challenge)
    assert cy.challenges(job_id, 1) == {"ada": challenge}
    assert cy.evidence(job_id, 1) is None
    rejection = world.rejection("bo")
    clients["bo"].reject(job_id, rejection)
    assert cy.rejections(job_id) == [rejection]
    with pytest.raises(JobError, match="rejected"):
        cy.cancel(job_id)
    with pytest.raises(JobError, match="only one that succeeded"):
        cy.proof(job_id)


def test_refusals_are_typed_on_this_side_too(fresh, world):
    clients = enrolled(fresh, world)
    cy = clients["cy"]
    with pytest.raises(DatasetError, match="not here yet") as caught:
        clients["ada"].put_manifest(world.sealed["ada"].envelope)
    assert "mc2 upload" in caught.value.hint
    with pytest.raises(ContractError, match="not a member"):
        clients["mallory"].put_contract(world.signed_contract())
    cy.put_contract(world.signed_contract())
    world.upload(clients.__getitem__)
    job_id = cy.propose(world.plan.encode(), world.proposal())
    with pytest.raises(ApprovalError, match="no say"):
        cy.approve(job_id, world.approval("cy"))
    with pytest.raises(SignatureError):
        clients["ada"].approve(job_id, world.approval("ada", signer="mallory"))
    with pytest.raises(JobError):
        cy.start(job_id)
    with pytest.raises(CoordinatorError, match="no job") as caught:
        clients["mallory"].job(job_id)
    assert type(caught.value) is CoordinatorError


def test_strangers_and_wrong_tokens_are_refused(site):
    world = World()
    client = site.client(world["mallory"])
    with pytest.raises(CoordinatorError, match="not enrolled"):
        client.jobs()
    with pytest.raises(CoordinatorError, match="token"):
        client.register(world["mallory"].signed_card, "wrong")
    for token in ("", "two\nlines", "schl\u00fcssel"):
        with pytest.raises(UsageError):
            client.register(world["mallory"].signed_card, token)


def test_a_wrong_clock_is_told(fresh, world):
    from datetime import UTC, datetime, timedelta

    enrolled(fresh, world)
    late = fresh.client(world["ada"], clock=lambda: datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(CoordinatorError) as caught:
        late.jobs()
    assert "clock is behind" in caught.value.hint


def test_big_chunks_pass(fresh, world):
    ada = enrolled(fresh, world)["ada"]
    raw = secrets.token_bytes(20_000_000)
    ada.put_blob(digest(raw), raw)
    assert ada.get_blob(digest(raw)) == raw
    with pytest.raises(UsageError):
        ada.put_blob(digest(raw), raw[:-1])
    with pytest.raises(CoordinatorError, match="no blob"):
        ada.get_blob(digest(b"absent"))


def test_another_certificate_is_refused_at_once(fresh, tmp_path_factory):
    from datetime import UTC, datetime

    from mc2.crypto.tls import self_signed

    other = self_signed(["127.0.0.1"], at=datetime.now(UTC), days=2)
    client = HttpCoordinator(
        fresh.file.url, SigningKey.generate(), certificate=other.certificate.decode()
    )
    begun = time.monotonic()
    with client, pytest.raises(CoordinatorError, match="does not show the coordinator's"):
        client.health()
    assert time.monotonic() - begun < 5
    trusting_the_system = HttpCoordinator(fresh.file.url, SigningKey.generate())
    with trusting_the_system, pytest.raises(CoordinatorError, match="does not show"):
        trusting_the_system.health()


def test_a_restart_in_between_is_bridged(tmp_path, world):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = ServerConfig(folder=tmp_path, port=port)
    with Coordinator(config, FakePool()).in_background():
        file = CoordinatorFile.parse((tmp_path / "coordinator.json").read_bytes())
        ada = HttpCoordinator(file.url, world["ada"].signing, certificate=file.certificate)
        ada.register(world["ada"].signed_card, CoordinatorFolder(tmp_path).token())
        raw = b"sealed"
        ada.put_blob(digest(raw), raw)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ada.get_blob(digest(raw))))
    asking.start()
    time.sleep(0.3)
    with Coordinator(config, FakePool()).in_background():
        asking.join(20)
        assert answers == [raw]
        ada.close()


def test_patience_ends():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = HttpCoordinator(
        f"https://127.0.0.1:{port}", SigningKey.generate(), patience_seconds=0.3
    )
    begun = time.monotonic()
    with client, pytest.raises(CoordinatorError, match="does not answer") as caught:
        client.health()
    assert 0.1 < time.monotonic() - begun < 5
    assert "mc2 start" in caught.value.hint


# --- against one that lies, or stumbles ---


class Liar:
    """Answers as a test says, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.client = HttpCoordinator(
            "https://liar.test", SigningKey.generate(), patience_seconds=8
        )
        self.client._transport.close()
        self.client._transport._client = httpx.Client(
            transport=httpx.MockTransport(self._answer), trust_env=False
        )

    def _answer(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer


def answer(value, status=200, **headers):
    # A list of pieces is streamed: as over a network, nothing is read before it is asked for.
    raw = value if isinstance(value, bytes) else encode(value)
    return lambda: httpx.Response(status, content=iter([raw]), headers=headers)


def broken(raw, status=200, **headers):
    def pieces():
        yield raw
        raise httpx.ReadError("cut off")

    return lambda: httpx.Response(status, content=pieces(), headers=headers)


BLOB = secrets.token_bytes(1000)
NAME = digest(BLOB)


def test_a_broken_download_is_continued():
    liar = Liar(
        broken(BLOB[:300]),
        httpx.ConnectError("away"),
        broken(BLOB[300:700], 206, **{"Content-Range": "bytes 300-999/1000"}),
        answer(BLOB[700:], 206, **{"Content-Range": "bytes 700-999/1000"}),
    )
    assert liar.client.get_blob(NAME) == BLOB
    ranges = [request.headers.get("Range") for request in liar.asked]
    assert ranges == [None, "bytes=300-", "bytes=300-", "bytes=700-"]
    nonces = {request.headers["Signature-Input"] for request in liar.asked}
    assert len(nonces) == 4  # each was signed anew


def test_a_coordinator_that_knows_no_ranges_begins_again():
    liar = Liar(broken(BLOB[:300]), answer(BLOB))
    assert liar.client.get_blob(NAME) == BLOB
    liar = Liar(broken(BLOB), answer({}, 416), answer(BLOB))
    assert liar.client.get_blob(NAME) == BLOB


def test_an_error_in_the_midst_does_not_get_into_the_blob():
    liar = Liar(
        broken(BLOB[:300]),
        broken(b'{"code', 503),
        answer(BLOB[300:], 206, **{"Content-Range": "bytes 300-999/1000"}),
    )
    assert liar.client.get_blob(NAME) == BLOB


@pytest.mark.parametrize(
    "lie",
    [
        (answer(BLOB[:-1]),),
        (answer(BLOB + b"!"),),
        (answer(b""),),
        (
            broken(BLOB[:300]),
            answer(BLOB[300:-1] + b"!", 206, **{"Content-Range": "bytes 300-999/1000"}),
        ),
        (broken(BLOB[:300]), answer(BLOB[200:], 206, **{"Content-Range": "bytes 200-999/1000"})),
        (broken(BLOB[:300]), answer(BLOB[300:], 206)),
    ],
)
def test_other_bytes_are_not_the_blob(lie):
    with pytest.raises(CoordinatorError):
        Liar(*lie).client.get_blob(NAME)


def test_answers_have_ceilings():
    def endless():
        while True:
            yield bytes(1 << 20)

    for act in (
        lambda client: client.get_blob(NAME),
        lambda client: client.health(),
        lambda client: client.job(JOB),
        lambda client: client.contract(NAME),
        lambda client: client.jobs(),
    ):
        for status in (200, 400):
            liar = Liar(lambda status=status: httpx.Response(status, content=endless()))
            with pytest.raises(CoordinatorError, match="larger than"):
                act(liar.client)


def test_a_compressed_bomb_is_not_opened():
    import gzip

    bomb = gzip.compress(bytes(50_000_000))
    liar = Liar(answer(bomb, **{"Content-Encoding": "gzip"}))
    with pytest.raises(CoordinatorError, match="other bytes"):
        liar.client.get_blob(NAME)


def test_another_object_than_was_asked_for_is_refused():
    world, other = World(), World()
    liar = Liar(answer(other.signed_contract()))
    with pytest.raises(CoordinatorError, match="another object"):
        liar.client.contract(world.contract.digest)
    liar = Liar(answer(other.sealed["ada"].envelope))
    with pytest.raises(CoordinatorError, match="another object"):
        liar.client.manifest(world.sealed["ada"].manifest.digest)
    liar = Liar(answer({"digest": other.contract.digest}))
    with pytest.raises(CoordinatorError, match="for another object"):
        liar.client.put_contract(world.signed_contract())
    liar = Liar(answer({"job_id": JOB}))
    with pytest.raises(CoordinatorError, match="another id"):
        liar.client.propose(world.plan.encode(), world.proposal())
    liar = Liar(answer({"missing": [digest(b"unasked")]}))
    with pytest.raises(CoordinatorError, match="nobody asked"):
        liar.client.missing([NAME])


def test_news_of_another_job_are_refused():
    status = JobStatus(
        **dict.fromkeys(("approvals", "rejections", "challenges", "grants", "missing"), ()),
        **dict.fromkeys(("progress", "error_code", "error"), ""),
        job_id=JOB,
        contract=NAME,
        plan=NAME,
        proposer="cy",
        state=JobState.RUNNING,
        attempt=1,
        phase="grant",
    )
    liar = Liar(answer({"event": 3, "status": status.json()}))
    assert liar.client.news(JOB, 0, 0) == JobNews(3, status)
    with pytest.raises(CoordinatorError, match="another job"):
        liar.client.news("1" * 32, 0, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"event": 1}',
        b'{"event":-1}',
        b'{"event":1.5}',
        b"\xff",
    ],
)
def test_junk_for_an_answer_is_a_typed_error(raw):
    for act in (
        lambda client: client.changes(0, 0),
        lambda client: client.jobs(),
        lambda client: client.job(JOB),
        lambda client: client.news(JOB, 0, 0),
        lambda client: client.datasets(),
        lambda client: client.cards(),
        lambda client: client.contracts(),
        lambda client: client.challenges(JOB, 1),
        lambda client: client.evidence(JOB, 1),
        lambda client: client.start(JOB),
        lambda client: client.missing([NAME]),
    ):
        with pytest.raises(Mc2Error):
            act(Liar(answer(raw)).client)


def test_busy_coordinators_are_asked_again():
    busy = answer(
        {"code": "coordinator", "message": "busy", "hint": ""}, 429, **{"Retry-After": "0"}
    )
    liar = Liar(busy, answer({}, 503), httpx.ReadTimeout("slow"), answer({"event": 7, "jobs": []}))
    assert liar.client.changes(0, 0) == JobChanges(7, ())
    assert len(liar.asked) == 4
    liar = Liar(busy)
    liar.client._transport._patience = 0.3
    with pytest.raises(CoordinatorError, match="busy"):
        liar.client.jobs()


def test_refusals_are_not_asked_again():
    liar = Liar(answer({"code": "job", "message": "no", "hint": "yes"}, 409))
    with pytest.raises(JobError, match="no") as caught:
        liar.client.jobs()
    assert caught.value.hint == "yes"
    assert len(liar.asked) == 1


@pytest.mark.parametrize(
    "code", ["appraisal", "evidence", "receipt", "crypto", "ledger", "confinement", "error", "new"]
)
def test_a_coordinator_speaks_for_itself_only(code):
    """It cannot make this client say that a receipt or an enclave was found wanting."""
    raw = encode({"code": code, "message": "trust me", "hint": ""})
    assert type(refusal(400, raw)) is CoordinatorError


def test_terminals_obey_nobody_here():
    raw = encode({"code": "job", "message": "\x1b[2Jgone\r\n", "hint": "\u202eflip"})
    found = refusal(409, raw)
    assert str(found) == "?[2Jgone??"
    assert found.hint == "?flip"


def test_redirects_lead_nowhere():
    liar = Liar(answer({}, 307, Location="https://elsewhere.test/"))
    with pytest.raises(CoordinatorError, match="status 307"):
        liar.client.jobs()
    assert len(liar.asked) == 1


def test_the_token_goes_to_enrolment_alone():
    liar = Liar(answer({}), answer({"jobs": []}))
    liar.client.register(b"{}", "a-token")
    liar.client.jobs()
    first, second = liar.asked
    assert first.headers["Authorization"] == "Bearer a-token"
    assert "Signature" not in first.headers
    assert "Authorization" not in second.headers
    assert "Signature" in second.headers


def test_many_names_are_asked_in_parts():
    names = [digest(str(i).encode()) for i in range(10_001)]
    liar = Liar(answer({"missing": [names[0]]}), answer({"missing": [names[-1]]}))
    assert liar.client.missing(names) == [names[0], names[-1]]
    assert all(len(request.content) < 800_000 for request in liar.asked)


@pytest.mark.parametrize(
    "url",
    ["http://a.test", "https://", "a.test", "https://a.test/path", "https://a.test?x=1", "ftp://a"],
)
def test_a_url_is_https_and_a_host(url):
    with pytest.raises(UsageError):
        HttpCoordinator(url, SigningKey.generate())


def test_a_certificate_is_pem():
    for text in ("nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"):
        with pytest.raises(FormatError):
            HttpCoordinator("https://a.test", SigningKey.generate(), certificate=text)
