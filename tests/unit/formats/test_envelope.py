import pytest

from mc2.crypto.secret import SigningKey
from mc2.errors import FormatError, SignatureError
from mc2.formats.envelope import Envelope, PayloadType, pre_authentication_encoding

KEYS = {name: SigningKey(bytes([n]) * 32) for n, name in enumerate(("ada", "bo", "eve"), 1)}
PUBLIC = {name: key.public for name, key in KEYS.items()}


def signed(*names, kind=PayloadType.APPROVAL, payload=b"{}"):
    first, *rest = (Envelope.sign(kind, payload, KEYS[n]) for n in names)
    return first.merge(rest)


def only(*names):
    return {n: PUBLIC[n] for n in names}


def test_the_dsse_specification_example():
    assert (
        pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_exactly_the_named_signers_must_have_signed():
    envelope = signed("ada", "bo")
    assert envelope.verify(only("ada", "bo")) == b"{}"
    with pytest.raises(SignatureError, match="eve has not signed"):
        envelope.verify(only("ada", "bo", "eve"))
    with pytest.raises(SignatureError, match="no say"):
        envelope.verify(only("ada"))
    with pytest.raises(SignatureError):
        envelope.verify({})


def test_a_signature_does_not_move_to_another_type_or_payload():
    envelope = signed("ada")
    for kind, payload in ((PayloadType.GRANT, b"{}"), (PayloadType.APPROVAL, b"[]")):
        moved = Envelope(kind, payload, envelope.signatures)
        with pytest.raises(SignatureError, match="false"):
            moved.verify(only("ada"))


def test_encoding_round_trip_and_strict_type():
    raw = signed("bo", "ada").encode()
    again = Envelope.parse(raw, PayloadType.APPROVAL, 100)
    assert again.encode() == raw
    with pytest.raises(FormatError):
        Envelope.parse(raw, PayloadType.GRANT, 100)
    with pytest.raises(FormatError):
        Envelope.parse(raw, PayloadType.APPROVAL, 1)


def test_merging_keeps_one_signature_a_key_and_one_payload():
    merged = signed("ada").merge([signed("bo"), signed("ada")])
    assert len(merged.signatures) == 2
    with pytest.raises(FormatError):
        signed("ada").merge([signed("bo", payload=b"[]")])


def test_two_signatures_of_one_key_are_refused():
    envelope = signed("ada")
    twice = Envelope(envelope.payload_type, envelope.payload, envelope.signatures * 2)
    with pytest.raises(FormatError):
        Envelope.parse(twice.encode(), PayloadType.APPROVAL, 100)
