"""One profile of HTTP signatures, and nothing else."""

import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.errors import CoordinatorError, FormatError, Mc2Error, SignatureError
from mc2.formats.signed_request import content_digest, sign_request, verify_request

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
URL = "https://coordinator.example:8765/v1/blobs/sha256:ab?x=1&y=%20"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NONCE = "0123456789abcdef0123456789abcdef"
BODY = digest(b"body")


def sign(**changes):
    said = {
        "method": "PUT",
        "url": URL,
        "body": BODY,
        "signer": KEY,
        "created": NOW,
        "nonce": NONCE,
    }
    return sign_request(**(said | changes))


def verify(headers, method="PUT", url=URL):
    return verify_request(method, url, headers.items(), lambda _: KEY.public)


def test_what_was_signed_comes_out():
    found = verify(sign())
    assert found.key_id == KEY.public.key_id
    assert (found.created, found.nonce, found.body) == (NOW, NONCE, BODY)


def test_the_form_on_the_wire():
    """A change here is a change of the interface: docs/spec/coordinator-api.md shows it."""
    headers = sign()
    assert headers["Content-Digest"] == content_digest(BODY)
    assert headers["Signature-Input"] == (
        'mc2=("@method" "@authority" "@path" "@query" "content-digest");created=1769860800;'
        f'keyid="{KEY.public.key_id}";alg="ed25519";nonce="{NONCE}";tag="mc2-coordinator-v1"'
    )
    assert headers["Signature"].startswith("mc2=:")


def test_the_signature_is_over_the_base_of_rfc_9421():
    """Checked by hand, not by the library that made it."""
    headers = sign()
    base = "\n".join(
        [
            '"@method": PUT',
            '"@authority": coordinator.example:8765',
            '"@path": /v1/blobs/sha256:ab',
            '"@query": ?x=1&y=%20',
            f'"content-digest": {headers["Content-Digest"]}',
            f'"@signature-params": {headers["Signature-Input"].removeprefix("mc2=")}',
        ]
    )
    import base64

    raw = base64.b64decode(headers["Signature"].removeprefix("mc2=:").removesuffix(":"))
    KEY.public.verify(raw, base.encode("ascii"))


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", URL),
        ("PUT", URL.replace("x=1", "x=2")),
        ("PUT", URL.replace("blobs", "blob")),
        ("PUT", URL.replace("8765", "8766")),
        ("PUT", URL.replace("coordinator", "other")),
        ("PUT", URL.partition("?")[0]),
        ("put", URL),
        ("PUT", "nonsense"),
    ],
)
def test_another_request_is_not_the_signed_one(method, url):
    with pytest.raises(SignatureError):
        verify(sign(), method, url)


def test_another_key_did_not_sign():
    with pytest.raises(SignatureError):
        verify(sign(signer=OTHER))


def test_an_unknown_key_is_the_callers_error():
    def unknown(_):
        raise CoordinatorError("not enrolled")

    with pytest.raises(CoordinatorError, match="not enrolled"):
        verify_request("PUT", URL, sign().items(), unknown)


@pytest.mark.parametrize("name", ["Content-Digest", "Signature-Input", "Signature"])
def test_each_header_is_needed_and_stands_once(name):
    headers = sign()
    with pytest.raises(SignatureError, match="missing"):
        verify({k: v for k, v in headers.items() if k != name})
    doubled = [*headers.items(), (name.lower(), headers[name])]
    with pytest.raises(SignatureError, match="twice"):
        verify_request("PUT", URL, doubled, lambda _: KEY.public)


def resigned(**params):
    """A true signature by the right key that has another form."""
    from http_message_signatures import HTTPMessageSigner

    from mc2.formats import signed_request as module

    message = module._Message(
        "PUT", URL, {"Content-Digest": params.pop("digest", content_digest(BODY))}
    )
    arguments = {
        "key_id": KEY.public.key_id,
        "created": NOW,
        "nonce": NONCE,
        "label": "mc2",
        "tag": "mc2-coordinator-v1",
        "covered_component_ids": module.COVERED,
        "use_existing_digest": True,
    } | params
    signer = HTTPMessageSigner(
        signature_algorithm=module._Ed25519, key_resolver=module._Keys(signer=KEY)
    )
    signer.sign(message, **arguments)
    return message.headers


def test_a_resigned_request_in_the_right_form_passes():
    assert verify(resigned()).nonce == NONCE


@pytest.mark.parametrize(
    "params",
    [
        {"covered_component_ids": ("@method",)},
        {"covered_component_ids": ("@method", "@authority", "@path", "content-digest")},
        {"covered_component_ids": ("@authority", "@method", "@path", "@query", "content-digest")},
        {"covered_component_ids": ("@method", "@authority", "@path", "@query")},
        {"label": "sig1"},
        {"tag": "other"},
        {"tag": None},
        {"nonce": None},
        {"nonce": "short"},
        {"nonce": NONCE.upper()},
        {"include_alg": False},
        {"expires": NOW},
        {"digest": "sha-512=:" + "A" * 86 + "==:"},
        {"digest": content_digest(BODY) + ", sha-512=:" + "A" * 86 + "==:"},
    ],
)
def test_other_forms_are_refused_even_if_true(params):
    with pytest.raises(SignatureError):
        verify(resigned(**params))


def test_two_signatures_are_refused():
    headers, more = resigned(), resigned(label="more")
    both = {
        "Content-Digest": headers["Content-Digest"],
        "Signature-Input": f"{headers['Signature-Input']}, {more['Signature-Input']}",
        "Signature": f"{headers['Signature']}, {more['Signature']}",
    }
    with pytest.raises(SignatureError):
        verify(both)


@pytest.mark.parametrize("nonce", ["", "x" * 32, NONCE[:-1], NONCE + "0", NONCE + "\n"])
def test_a_nonce_has_one_form(nonce):
    with pytest.raises(FormatError):
        sign(nonce=nonce)


@given(
    name=st.sampled_from(["Content-Digest", "Signature-Input", "Signature"]),
    text=st.text(st.characters(codec="latin-1"), max_size=300),
)
def test_junk_in_a_header_is_a_typed_error(name, text):
    with pytest.raises(Mc2Error):
        verify(sign() | {name: text})


def test_spare_bits_of_base64_are_zero():
    headers = sign()
    accepted = []
    for char in string.ascii_letters + string.digits + "+/":
        changed = headers["Signature"][:-4] + char + "==:"
        try:
            verify(headers | {"Signature": changed})
        except Mc2Error:
            continue
        accepted.append(changed)
    assert accepted == [headers["Signature"]]


@given(
    name=st.sampled_from(["Content-Digest", "Signature-Input", "Signature"]),
    data=st.data(),
)
def test_no_changed_character_passes(name, data):
    headers = sign()
    at = data.draw(st.integers(0, len(headers[name]) - 1))
    char = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    changed = headers[name][:at] + char + headers[name][at + 1 :]
    if changed == headers[name]:
        return
    with pytest.raises(Mc2Error):
        verify(headers | {name: changed})
