"""The HTTP interface: who gets in, how much of them, and that every answer is as documented."""

import hashlib
import json
import secrets
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.asgi_client import AsgiClient
from tests.support.coordinator_world import TOKEN, Clock, World, make_service

from mc2.coordinator import answers
from mc2.coordinator.app import create_app, openapi_document
from mc2.coordinator.rate import Rate
from mc2.coordinator.requests import Rates
from mc2.coordinator.store import Quotas
from mc2.crypto.digest import digest
from mc2.formats.canonical import encode
from mc2.formats.limits import LIMITS
from mc2.formats.signed_request import sign_request

ROOT = Path(__file__).resolve().parents[3]
HOST = "coordinator.test:8765"
EMPTY = digest(b"")
FAST = Rate(per_second=1e6, burst=10**6)


class Api:
    """A coordinator's application, and requests as any client may make them."""

    def __init__(self, folder, rates=None, quotas=None):
        self.world = World()
        self.clock = Clock()
        self.service = make_service(folder, self.clock, quotas)
        app = create_app(self.service, [HOST], rates)
        self.client = AsgiClient(app, f"https://{HOST}")
        self.world.enrol(self.service.for_party, "ada", "bo", "cy")

    def headers(self, name, method, path, body=b"", **changes):
        said = {
            "body": digest(body),
            "signer": self.world[name].signing,
            "created": datetime.now(UTC),
            "nonce": secrets.token_hex(16),
        }
        return sign_request(method, f"https://{HOST}{path}", **(said | changes))

    def send(self, name, method, path, body=b"", *, extra=None, **changes):
        headers = self.headers(name, method, path, body, **changes) | (extra or {})
        return self.client.request(method, path, content=body or None, headers=headers)

    def get(self, name, path, **more):
        return self.send(name, "GET", path, **more)


@pytest.fixture
def api(tmp_path):
    found = Api(tmp_path)
    with found.client:
        yield found
    found.service.store.close()


def refused(answer, status, code, text=""):
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert text in body["message"]
    assert sorted(body) == ["code", "hint", "message"]
    assert answer.content == encode(body)
    return body


# --- who gets in ---


def test_health_is_open_and_tells_the_time(api):
    answer = api.client.get("/v1/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert sorted(answer.json()) == ["status", "time", "version"]


ROUTES = [
    ("GET", "/v1/parties"),
    ("GET", "/v1/contracts"),
    ("POST", "/v1/contracts"),
    ("GET", f"/v1/contracts/{EMPTY}"),
    ("POST", "/v1/blobs/missing"),
    ("PUT", f"/v1/blobs/{EMPTY}"),
    ("GET", f"/v1/blobs/{EMPTY}"),
    ("POST", "/v1/manifests"),
    ("GET", f"/v1/manifests/{EMPTY}"),
    ("GET", "/v1/datasets"),
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs"),
    ("GET", f"/v1/jobs/{'0' * 32}"),
    ("GET", f"/v1/jobs/{'0' * 32}/bundle"),
    ("POST", f"/v1/jobs/{'0' * 32}/approvals"),
    ("POST", f"/v1/jobs/{'0' * 32}/rejections"),
    ("GET", f"/v1/jobs/{'0' * 32}/rejections"),
    ("POST", f"/v1/jobs/{'0' * 32}/cancel"),
    ("POST", f"/v1/jobs/{'0' * 32}/attempts"),
    ("PUT", f"/v1/jobs/{'0' * 32}/attempts/1/challenge"),
    ("GET", f"/v1/jobs/{'0' * 32}/attempts/1/challenges"),
    ("GET", f"/v1/jobs/{'0' * 32}/attempts/1/evidence"),
    ("PUT", f"/v1/jobs/{'0' * 32}/attempts/1/grant"),
    ("PUT", f"/v1/jobs/{'0' * 32}/attempts/1/refusal?code=attestation"),
    ("GET", f"/v1/jobs/{'0' * 32}/proof"),
    ("GET", "/v1/events"),
    ("POST", "/v1/home"),
    ("DELETE", f"/v1/home/{'0' * 32}"),
]


def test_the_list_of_routes_is_whole():
    document = json.loads(openapi_document())
    listed = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert len(listed) == len(ROUTES) + 2  # and health, and enrolment


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_else_is_open(api, method, path):
    refused(api.client.request(method, path), 401, "signature", "missing")
    refused(api.send("mallory", method, path), 403, "coordinator", "not enrolled")
    wrong = api.headers("ada", method, path, signer=api.world["mallory"].signing)
    wrong["Signature-Input"] = api.headers("ada", method, path)["Signature-Input"]
    refused(api.client.request(method, path, headers=wrong), 401, "signature")


def test_a_replayed_request_is_refused(api):
    headers = api.headers("ada", "GET", "/v1/jobs")
    assert api.client.get("/v1/jobs", headers=headers).status_code == 200
    refused(api.client.get("/v1/jobs", headers=headers), 401, "coordinator", "came before")


def test_a_stale_clock_is_told_so(api):
    old = datetime.now(UTC) - timedelta(minutes=5)
    body = refused(api.get("ada", "/v1/jobs", created=old), 401, "coordinator")
    assert "clock" in body["hint"]


def test_a_signature_for_another_path_or_server_is_refused(api):
    headers = api.headers("ada", "GET", "/v1/jobs")
    refused(api.client.get("/v1/datasets", headers=headers), 401, "signature")
    refused(api.client.get("/v1/jobs?x=1", headers=headers), 401, "signature")
    refused(
        api.client.get("/v1/jobs", headers=headers | {"Host": "elsewhere.test"}), 401, "signature"
    )


def test_a_body_that_was_not_signed_is_refused(api):
    body = encode({"names": []})
    headers = api.headers("ada", "POST", "/v1/blobs/missing", body)
    other = encode({"names": [EMPTY]})
    answer = api.client.post("/v1/blobs/missing", content=other, headers=headers)
    refused(answer, 400, "format", "not the one that was signed")


def test_a_get_has_no_body(api):
    headers = api.headers("ada", "GET", "/v1/jobs", b"x")
    answer = api.client.request("GET", "/v1/jobs", content=b"x", headers=headers)
    refused(answer, 413, "coordinator", "larger than 0")


def test_unknown_paths_and_methods_have_our_errors(api):
    refused(api.client.get("/v1/nothing"), 404, "coordinator")
    refused(api.client.delete("/v1/jobs"), 405, "coordinator")
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert api.client.get(path).status_code == 404


# --- enrolment ---


def test_enrolment_needs_the_token(api):
    card = api.world["mallory"].signed_card
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = api.client.post("/v1/parties", content=card, headers=headers)
        refused(answer, 403, "coordinator", "token")
    good = {"Authorization": f"Bearer {TOKEN}"}
    for _ in range(2):
        assert api.client.post("/v1/parties", content=card, headers=good).json() == {}
    assert len(api.get("mallory", "/v1/parties").json()["cards"]) == 4
    refused(api.client.post("/v1/parties", content=b"{}", headers=good), 400, "format")
    big = b"x" * (LIMITS.card_bytes * 2 + 70_000)
    refused(api.client.post("/v1/parties", content=big, headers=good), 413, "coordinator")


def test_guessing_tokens_is_slow(api):
    answers_ = [
        api.client.post("/v1/parties", content=b"", headers={"Authorization": f"Bearer {i}"})
        for i in range(25)
    ]
    refused(answers_[-1], 429, "coordinator", "too many")
    assert int(answers_[-1].headers["Retry-After"]) >= 1


# --- how much of them ---


def test_parties_and_addresses_have_rates(tmp_path):
    slow = Rate(per_second=0.01, burst=3)
    for rates in (Rates(party=slow), Rates(address=slow)):
        api = Api(tmp_path / str(rates.party.burst), rates)
        with api.client:
            for _ in range(3):
                assert api.get("ada", "/v1/jobs").status_code == 200
            answer = api.get("ada", "/v1/jobs")
            refused(answer, 429, "coordinator", "too many")
            assert int(answer.headers["Retry-After"]) > 60
            other = api.get("bo", "/v1/jobs").status_code
            assert other == (200 if rates.party is slow else 429)
        api.service.store.close()


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("POST", "/v1/contracts", LIMITS.contract_bytes),
        ("POST", "/v1/blobs/missing", 800_000),
        ("POST", f"/v1/jobs/{'0' * 32}/approvals", LIMITS.message_bytes),
        ("PUT", f"/v1/jobs/{'0' * 32}/attempts/1/grant", LIMITS.grant_bytes),
    ],
)
def test_bodies_have_ceilings(api, method, path, most):
    body = b"x" * (2 * most + 100_000)
    refused(api.send("ada", method, path, body), 413, "coordinator", "larger than")

    def pieces():
        for i in range(0, len(body), 50_000):
            yield body[i : i + 50_000]

    headers = api.headers("ada", method, path, body)
    answer = api.client.request(method, path, content=pieces(), headers=headers)  # no length given
    refused(answer, 413, "coordinator", "larger than")


def test_a_strange_content_length_is_refused(api):
    for length in ("-1", "1e3", "9" * 30, "\u0663"):
        headers = api.headers("ada", "POST", "/v1/blobs/missing") | {
            "Content-Length": length.encode("utf-8")
        }
        answer = api.client.post("/v1/blobs/missing", headers=headers)
        refused(answer, 413, "coordinator")


# --- blobs ---


def test_a_chunk_goes_up_and_comes_down(api):
    raw = secrets.token_bytes(3_000_000)
    name = digest(raw)
    path = f"/v1/blobs/{name}"
    for _ in range(2):
        assert api.send("ada", "PUT", path, raw).status_code == 200
    answer = api.get("bo", path)
    assert answer.content == raw
    assert answer.headers["Accept-Ranges"] == "bytes"
    part = api.get("bo", path, extra={"Range": "bytes=2999990-"})
    assert (part.status_code, part.content) == (206, raw[-10:])
    assert part.headers["Content-Range"] == "bytes 2999990-2999999/3000000"
    assert api.get("bo", path, extra={"Range": "bytes=3000000-"}).status_code == 416
    asked = encode({"names": [EMPTY, name]})
    answer = api.send("bo", "POST", "/v1/blobs/missing", asked)
    assert answer.content == encode({"missing": [EMPTY]})


def test_a_chunk_under_a_wrong_name_is_refused(api):
    body = b"sealed"
    path = f"/v1/blobs/{digest(b'other')}"
    refused(api.send("ada", "PUT", path, body), 400, "format", "not the blob of this name")
    # Signed as what the name says, but other bytes.
    path = f"/v1/blobs/{digest(body)}"
    headers = api.headers("ada", "PUT", path, body)
    answer = api.client.put(path, content=b"sEaled", headers=headers)
    refused(answer, 400, "format", "do not have the digest")
    refused(api.get("ada", path), 404, "coordinator")
    assert api.service.store.database.integer("SELECT COUNT(*) FROM usage") == 0


def test_a_chunk_has_a_ceiling(api):
    body = bytes(LIMITS.chunk_bytes + 1)
    path = f"/v1/blobs/{digest(body)}"
    refused(api.send("ada", "PUT", path, body), 413, "coordinator", "larger than")
    assert list(api.service.store.blobs.walk()) == []


def test_a_quota_is_told_before_the_upload(tmp_path):
    api = Api(tmp_path, quotas=Quotas(party_bytes=1000))
    with api.client:
        body = bytes(2000)
        path = f"/v1/blobs/{digest(body)}"
        refused(api.send("ada", "PUT", path, body), 507, "coordinator", "used up")
    api.service.store.close()


@pytest.mark.parametrize(
    "name", ["sha256:x", "sha256:" + "A" * 64, "..%2f..%2fcoordinator.db", "sha512:" + "0" * 64]
)
def test_names_are_digests(api, name):
    for path in (f"/v1/blobs/{name}", f"/v1/contracts/{name}", f"/v1/manifests/{name}"):
        assert api.get("ada", path).status_code in (400, 404)
    refused(api.send("ada", "PUT", f"/v1/blobs/sha256:{'x' * 64}", b""), 400, "format")


def test_too_many_names_at_once_are_refused(api):
    body = encode({"names": [EMPTY] * 10_001})
    refused(api.send("ada", "POST", "/v1/blobs/missing", body), 400, "format", "10000")


# --- objects, jobs, errors ---


def prepared(api):
    """A proposed job, all of it over HTTP."""
    world = api.world
    assert api.send("cy", "POST", "/v1/contracts", world.signed_contract()).status_code == 200
    for name, sealed in world.sealed.items():
        for chunk, raw in sealed.chunks.items():
            assert api.send(name, "PUT", f"/v1/blobs/{chunk}", raw).status_code == 200
        answer = api.send(name, "POST", "/v1/manifests", sealed.envelope)
        assert answer.json() == {"digest": sealed.manifest.digest}
    body = encode(
        {"plan": json.loads(world.plan.encode()), "proposal": json.loads(world.proposal())}
    )
    answer = api.send("cy", "POST", "/v1/jobs", body)
    assert answer.json() == {"job_id": world.job_id}
    return f"/v1/jobs/{world.job_id}"


def test_a_job_over_http(api):
    world = api.world
    job = prepared(api)
    name = world.contract.digest
    assert api.get("ada", f"/v1/contracts/{name}").content == world.signed_contract()
    assert api.get("ada", "/v1/contracts").json() == {"contracts": [name]}
    manifest = world.sealed["bo"].manifest.digest
    assert api.get("ada", f"/v1/manifests/{manifest}").content == world.sealed["bo"].envelope
    assert len(api.get("ada", "/v1/datasets").json()["datasets"]) == 2
    for owner in ("ada", "bo"):
        assert api.send(owner, "POST", f"{job}/approvals", world.approval(owner)).json() == {}
    assert api.get("cy", job).json()["state"] == "approved"
    assert api.get("cy", "/v1/jobs").json()["jobs"] == [api.get("cy", job).json()]
    bundle = api.get("cy", f"{job}/bundle")
    assert bundle.content == api.service.for_party("cy").job_bundle(world.job_id)
    assert api.send("cy", "POST", f"{job}/attempts").json() == {"attempt": 1}
    assert api.get("ada", f"{job}/attempts/1/evidence").json() == {"evidence": None}
    assert api.get("ada", f"{job}/attempts/1/challenges").json() == {"challenges": {}}
    answer = api.send("ada", "PUT", f"{job}/attempts/1/challenge", world.challenge("ada"))
    refused(answer, 409, "job", "does not wait for a challenge")
    refused(api.get("ada", f"{job}/proof"), 409, "job")
    refused(api.send("ada", "POST", f"{job}/cancel"), 409, "job", "only cy")
    rejection = world.rejection("bo")
    assert api.send("bo", "POST", f"{job}/rejections", rejection).json() == {}
    assert api.get("cy", f"{job}/rejections").json() == {"rejections": [json.loads(rejection)]}
    refused(api.send("cy", "POST", f"{job}/cancel"), 409, "job")
    refused(api.send("mallory", "GET", job), 403, "coordinator")


def test_typed_errors_keep_their_types(api):
    job = prepared(api)
    world = api.world
    refused(api.send("cy", "POST", f"{job}/approvals", world.approval("cy")), 409, "approval")
    refused(api.send("ada", "POST", f"{job}/approvals", world.approval("bo")), 409, "approval")
    forged = world.approval("ada", signer="mallory")
    refused(api.send("ada", "POST", f"{job}/approvals", forged), 401, "signature")
    refused(api.send("bo", "POST", "/v1/manifests", world.sealed["ada"].envelope), 401, "signature")
    world.enrol(api.service.for_party, "mallory")
    answer = api.send("mallory", "POST", "/v1/contracts", world.signed_contract())
    refused(answer, 403, "contract")
    refused(api.get("mallory", job), 404, "coordinator")
    spaced = world.signed_contract().replace(b":", b": ", 1)
    refused(api.send("ada", "POST", "/v1/contracts", spaced), 400, "format", "canonical")


def test_a_manifest_without_its_chunks_is_refused(api):
    sealed = api.world.sealed["ada"]
    answer = api.send("ada", "POST", "/v1/manifests", sealed.envelope)
    body = refused(answer, 409, "dataset", "not here yet")
    assert "mc2 upload" in body["hint"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/nonsense",
        f"/v1/jobs/{'A' * 32}",
        f"/v1/jobs/{'0' * 32}/attempts/0/evidence",
        f"/v1/jobs/{'0' * 32}/attempts/17/evidence",
        f"/v1/jobs/{'0' * 32}/attempts/x/evidence",
        "/v1/events?seen=-1",
        "/v1/events?seen=x",
        "/v1/events?seconds=nan",
        "/v1/events?seconds=inf",
        "/v1/events?seconds=61",
        "/v1/events?job_id=x",
    ],
)
def test_malformed_parameters_are_refused(api, path):
    refused(api.get("ada", path), 400, "format", "is not what it must be")


def test_unexpected_errors_say_nothing(api, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a secret of the coordinator")

    monkeypatch.setattr(type(api.service.jobs), "statuses", fail)
    answer = api.get("ada", "/v1/jobs")
    refused(answer, 500, "coordinator")
    assert "secret" not in answer.text

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(api.service.jobs), "statuses", full)
    refused(api.get("ada", "/v1/jobs"), 507, "coordinator", "disk is full")


# --- waiting ---


def test_waiting_is_answered_by_a_change(api):
    job = prepared(api)
    seen = api.get("cy", "/v1/events").json()["event"]
    assert api.get("cy", f"/v1/events?seen={seen}&seconds=0.05").json() == {
        "event": seen,
        "status": None,
        "jobs": [],
    }
    change = threading.Timer(
        0.2, api.service.for_party("ada").approve, (api.world.job_id, api.world.approval("ada"))
    )
    change.start()
    answer = api.get("cy", f"/v1/events?seen={seen}&seconds=30&job_id={api.world.job_id}")
    assert answer.json()["event"] > seen
    assert answer.json()["status"]["approvals"] == ["ada"]
    change.join()
    refused(api.get("cy", f"/v1/events?job_id={'0' * 32}"), 404, "coordinator")
    assert api.get("cy", job).json()["approvals"] == ["ada"]


# --- the document ---


def test_the_checked_in_document_is_the_present_one():
    """`python -m mc2.coordinator --openapi > docs/openapi.json` renews it."""
    assert (ROOT / "docs" / "openapi.json").read_text("utf-8") == openapi_document()


def test_answers_are_as_documented(api):
    job = prepared(api)
    models = {
        "/v1/health": answers.Health,
        "/v1/parties": answers.Cards,
        "/v1/contracts": answers.Contracts,
        f"/v1/contracts/{api.world.contract.digest}": answers.SignedObject,
        "/v1/datasets": answers.Datasets,
        "/v1/jobs": answers.Jobs,
        job: answers.Status,
        f"{job}/bundle": answers.Bundle,
        f"{job}/rejections": answers.Rejections,
        "/v1/events": answers.Event,
        f"/v1/events?job_id={api.world.job_id}": answers.Event,
        f"/v1/jobs/{'0' * 32}": answers.Failure,
    }
    for path, model in models.items():
        raw = api.get("ada", path).content
        assert json.loads(model.model_validate_json(raw).model_dump_json()) == json.loads(raw)


# --- fuzz ---


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    found = Api(
        tmp_path_factory.mktemp("fuzz"),
        Rates(address=FAST, party=FAST, enrolment=FAST),
    )
    with found.client:
        prepared(found)
        yield found
    found.service.store.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    route=st.sampled_from([r for r in ROUTES if r[0] != "GET"]),
    body=st.binary(max_size=400) | JSON.map(lambda v: json.dumps(v).encode()),
)
def test_no_body_breaks_an_endpoint(fuzzed, route, body):
    method, path = route
    path = path.replace("0" * 32, fuzzed.world.job_id)
    if "blobs/sha256" in path:
        path = f"/v1/blobs/sha256:{hashlib.sha256(body).hexdigest()}"
    answer = fuzzed.send("cy", method, path, body)
    assert answer.status_code < 500, (route, body, answer.text)
    if answer.status_code >= 400:
        assert answer.json()["code"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(which=st.sampled_from(["contract", "manifest", "approval", "proposal"]), data=st.data())
def test_no_spoiled_object_breaks_an_endpoint_or_gets_in(fuzzed, which, data):
    world = fuzzed.world
    job = f"/v1/jobs/{world.job_id}"
    raw, method, path = {
        "contract": (world.signed_contract(), "POST", "/v1/contracts"),
        "manifest": (world.sealed["ada"].envelope, "POST", "/v1/manifests"),
        "approval": (world.approval("ada"), "POST", f"{job}/approvals"),
        "proposal": (
            encode(
                {"plan": json.loads(world.plan.encode()), "proposal": json.loads(world.proposal())}
            ),
            "POST",
            "/v1/jobs",
        ),
    }[which]
    at = data.draw(st.integers(0, len(raw) - 1))
    new = data.draw(st.binary(min_size=0, max_size=3))
    spoiled = raw[:at] + new + raw[at + 1 :]
    if spoiled == raw:
        return
    answer = fuzzed.send("cy" if which == "proposal" else "ada", method, path, spoiled)
    assert 400 <= answer.status_code < 500, (which, at, new, answer.text)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(
        ["Content-Digest", "Signature-Input", "Signature", "Host", "Content-Length"]
    ),
    value=st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1, max_size=60),
)
def test_no_header_breaks_an_endpoint(fuzzed, name, value):
    headers = fuzzed.headers("ada", "GET", "/v1/jobs") | {name: value.encode("latin-1")}
    answer = fuzzed.client.get("/v1/jobs", headers=headers)
    assert answer.status_code < 500, (name, value, answer.text)
