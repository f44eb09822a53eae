"""Identities: made once, kept to their owner, and read back exactly."""

from __future__ import annotations

import json

import pytest

from mc2.client.identity import Identity, load_identity, store_identity
from mc2.errors import CryptoError, FormatError, UsageError
from mc2.formats.canonical import encode
from mc2.formats.card import verify_card


@pytest.fixture(scope="module")
def identity():
    return Identity.generate("clinic_a", "Clinic A, Ltd.")


def same(a, b):
    return (
        a.card == b.card
        and a.signing.private_bytes() == b.signing.private_bytes()
        and a.receiving.private_bytes() == b.receiving.private_bytes()
        and a.master == b.master
    )


def rewrite(path, change):
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(encode(value))


def test_survives_its_file(tmp_path, identity):
    path = tmp_path / "identity.json"
    store_identity(identity, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert same(load_identity(path), identity)
    assert [f.name for f in tmp_path.iterdir()] == ["identity.json"]


def test_survives_its_file_under_a_passphrase(tmp_path, identity):
    path = tmp_path / "identity.json"
    store_identity(identity, path, "correct horse")
    raw = path.read_bytes()
    assert same(load_identity(path, lambda: "correct horse"), identity)
    for secret in (identity.signing.private_bytes(), bytes(identity.master)):
        assert secret not in raw
        assert secret.hex().encode() not in raw


def test_is_never_overwritten_and_says_so(tmp_path, identity):
    path = tmp_path / "identity.json"
    store_identity(identity, path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="never overwritten") as refused:
        store_identity(Identity.generate("clinic_a", ""), path)
    assert "home" in refused.value.hint
    assert path.read_bytes() == before


def test_refuses_the_wrong_passphrase(tmp_path, identity):
    path = tmp_path / "identity.json"
    store_identity(identity, path, "right")
    with pytest.raises(CryptoError):
        load_identity(path, lambda: "wrong")


def test_refuses_a_locked_identity_where_nobody_can_be_asked(tmp_path, identity):
    path = tmp_path / "identity.json"
    store_identity(identity, path, "right")
    with pytest.raises(UsageError, match="locked") as refused:
        load_identity(path)
    assert "MC2_PASSPHRASE" in refused.value.hint


def test_an_empty_passphrase_is_no_passphrase(tmp_path, identity):
    with pytest.raises(UsageError):
        store_identity(identity, tmp_path / "identity.json", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_refuses_a_file_that_others_can_reach(tmp_path, identity, mode):
    path = tmp_path / "identity.json"
    store_identity(identity, path)
    path.chmod(mode)
    with pytest.raises(UsageError, match="others can read"):
        load_identity(path)


def test_says_how_to_make_a_missing_one(tmp_path):
    with pytest.raises(UsageError) as refused:
        load_identity(tmp_path / "identity.json")
    assert "mc2 init" in refused.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(type="mc2/identity/v2"),
        lambda v: v.update(extra=1),
        lambda v: v.pop("salt"),
        lambda v: v.update(protection="password"),
        lambda v: v.update(salt="AAAAAAAAAAAAAAAAAAAAAA=="),
        lambda v: v.update(secret=v["secret"][:-8]),
        lambda v: v["card"].update(name="clinic_b"),
        lambda v: v["card"].update(organisation="Somebody else"),
        lambda v: v["card"].update(signing_key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        lambda v: v.update(card=Identity.generate("clinic_a", "Clinic A, Ltd.").card.json()),
    ],
)
def test_refuses_an_altered_file(tmp_path, identity, change):
    path = tmp_path / "identity.json"
    store_identity(identity, path)
    rewrite(path, change)
    with pytest.raises(FormatError):
        load_identity(path)


def test_refuses_a_renamed_locked_identity(tmp_path, identity):
    path = tmp_path / "identity.json"
    store_identity(identity, path, "right")
    rewrite(path, lambda v: v["card"].update(name="clinic_b"))
    with pytest.raises(FormatError, match="altered"):
        load_identity(path, lambda: "right")


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b"x" * 20_000])
def test_refuses_junk(tmp_path, raw):
    path = tmp_path / "identity.json"
    path.write_bytes(raw)
    path.chmod(0o600)
    with pytest.raises(FormatError):
        load_identity(path)


def test_a_card_is_signed_by_its_own_key(identity):
    verified = verify_card(identity.signed_card())
    assert verified.card == identity.card
    assert verified.card.name == "clinic_a"


def test_refuses_a_bad_name():
    with pytest.raises(FormatError):
        Identity.generate("Clinic A", "")


def test_close_wipes_the_master_secret():
    identity = Identity.generate("clinic_a", "")
    identity.close()
    assert identity.master == bytes(32)


def test_a_repr_shows_no_secret(identity):
    text = repr(identity)
    assert text == "<Identity clinic_a>"
