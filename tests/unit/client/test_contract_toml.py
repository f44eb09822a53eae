"""Contracts that people write: what they mean, and where they are wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.support.party_jobs import MEASUREMENT, ROOT, identity

from mc2.attestation.simulated.report import KIND
from mc2.client.contract_toml import read_contract_toml
from mc2.client.contract_words import describe_contract
from mc2.client.identity import Identity
from mc2.crypto.digest import digest
from mc2.errors import FormatError
from mc2.formats.card import sign_card
from mc2.formats.contract import Contract

TEXT = f"""\
api_version = "mc2/contract/v1"
name = "trial"
epoch = 2
supersedes = "{digest(b"before")}"
not_after = 2027-12-31T23:59:59Z  # a moment, not a text
min_tier = "simulated"
approvers = "owners"
max_attempts = 3

[members.ada]
card = "ada.card"
roles = ["recipient", "owner"]

[members.cy]
card = "cards/cy.card"
roles = ["analyst"]

[attestation."{KIND}"]
root = "{ROOT.digest}"
measurements = [
  "{"ff" * 48}",
  "{MEASUREMENT}",
]
"""

CARDS = {
    "ada.card": identity("ada").signed_card(),
    "cards/cy.card": identity("cy").signed_card(),
}


def read(text=TEXT, cards=CARDS):
    return read_contract_toml(text, cards.__getitem__, file="contract.toml")


def changed(old, new):
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def test_means_what_people_wrote():
    contract = read()
    assert contract.name == "trial"
    assert contract.epoch == 2
    assert contract.supersedes == digest(b"before")
    assert contract.not_after == datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert [m.name for m in contract.members] == ["ada", "cy"]
    assert contract.member("ada").card == identity("ada").card
    assert contract.member("ada").roles == ("owner", "recipient")
    assert contract.attestation[KIND]["measurements"] == sorted(["ff" * 48, MEASUREMENT])
    assert Contract.parse(contract.encode()) == contract


def test_one_meaning_has_one_digest_however_it_is_written():
    other = (
        changed("epoch = 2\n", "")
        .replace('name = "trial"', "name = 'trial' # ours\nepoch = 2")
        .replace("2027-12-31T23:59:59Z", "2028-01-01T01:59:59+02:00")
        .replace('["recipient", "owner"]', '["owner", "recipient"]')
    )
    assert read(other).digest == read().digest


def test_a_contract_that_supersedes_nothing():
    assert read(changed(f'supersedes = "{digest(b"before")}"\n', "")).supersedes is None


@pytest.mark.parametrize(
    ("old", "new", "line", "match"),
    [
        ('api_version = "mc2/contract/v1"', 'api_version = "v9"', 1, "api_version"),
        ('name = "trial"', 'name = "Our Trial"', 2, "not a name"),
        ('name = "trial"', "name = 3", 2, "name"),
        ("epoch = 2", "epoch = 0", 3, "epoch"),
        ("epoch = 2", 'epoch = "2"', 3, "epoch"),
        ("epoch = 2", "epoch = 2.0", 3, "epoch|float"),
        ("2027-12-31T23:59:59Z", '"2027-12-31T23:59:59Z"', 5, "not_after"),
        ("2027-12-31T23:59:59Z", "2027-12-31", 5, "not_after"),
        ("2027-12-31T23:59:59Z", "2027-12-31T23:59:59", 5, "offset"),
        ("2027-12-31T23:59:59Z", "2027-12-31T23:59:59.5Z", 5, "whole seconds"),
        ('min_tier = "simulated"', 'min_tier = "any"', 6, "min_tier"),
        ('approvers = "owners"', 'approvers = "nobody"', 7, "approvers"),
        ("max_attempts = 3", "max_attempts = 99", 8, "max_attempts"),
        ("max_attempts = 3", "max_attempts = 3\ncolour = 1", 9, "colour"),
        ('roles = ["analyst"]', 'roles = ["analyst"]\nage = 3', 14, "card and roles"),
        ('roles = ["analyst"]', 'roles = "analyst"', 16, "list of words"),
        ('card = "cards/cy.card"', 'card = "ada.card"', 15, "card of ada, not of cy"),
        ('card = "cards/cy.card"', "card = 7", 15, "name of a file"),
        (f'root = "{ROOT.digest}"', 'root = "any"', 19, "root"),
        (f'root = "{ROOT.digest}"', "root = 1.5", 19, "float"),
        (f'root = "{ROOT.digest}"', f'root = "{ROOT.digest}"\ndebug = true', 20, "debug"),
    ],
)
def test_an_error_names_the_line_and_the_field(old, new, line, match):
    with pytest.raises(FormatError, match=match) as error:
        read(changed(old, new))
    assert str(error.value).startswith(f"contract.toml, line {line}:"), str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("epoch = 2\n", "", "no 'epoch'"),
        ('api_version = "mc2/contract/v1"\n', "", "no 'api_version'"),
        (f'[attestation."{KIND}"]', f'[attest."{KIND}"]', "no 'attestation'"),
        ('roles = ["analyst"]', 'roles = ["analyst", "analyst"]', "roles"),
        ('roles = ["analyst"]', "roles = []", "no role"),
        ('roles = ["analyst"]', 'roles = ["king"]', "role"),
        (f'[attestation."{KIND}"]', '[attestation."my-tee/v1"]', "my-tee/v1"),
        (f'  "{MEASUREMENT}",\n', f'  "{MEASUREMENT}",\n' * 2, "twice"),
        (f'  "{MEASUREMENT}",\n', "  [],\n", "measurements|text"),
    ],
)
def test_other_errors_say_what_is_wrong(old, new, match):
    with pytest.raises(FormatError, match=match) as error:
        read(changed(old, new))
    assert str(error.value).startswith("contract.toml")


@pytest.mark.parametrize("text", ["a = ", "name = 'a'\nname = 'b'", "\x00", "[members\n"])
def test_what_is_not_toml_is_said_to_be_none(text):
    with pytest.raises(FormatError, match="is not TOML"):
        read(text)


@pytest.mark.parametrize("members", ["members = {}\n", "members = 3\n", "members = []\n"])
def test_a_contract_has_members(members):
    start = TEXT.index("[members.ada]")
    end = TEXT.index("[attestation")
    with pytest.raises(FormatError, match="members"):
        read(members + TEXT[:start] + TEXT[end:])


def test_a_member_that_is_no_section():
    text = changed('[members.cy]\ncard = "cards/cy.card"\nroles = ["analyst"]\n', "")
    start = text.index("[members.ada]")
    with pytest.raises(FormatError, match="card and roles"):
        read(text[:start] + "[members]\ncy = 3\n" + text[start:])


def test_a_card_must_be_signed_by_its_own_key():
    other = Identity.generate("cy", "Cy")
    forged = sign_card(identity("cy").card, other.signing)
    with pytest.raises(FormatError, match="the card of cy") as error:
        read(cards=CARDS | {"cards/cy.card": forged})
    assert "line 15" in str(error.value)


@pytest.mark.parametrize("raw", [b"", b"{}", b"x" * 100_000])
def test_a_card_that_is_none(raw):
    with pytest.raises(FormatError, match="card of cy"):
        read(cards=CARDS | {"cards/cy.card": raw})


def test_two_members_with_one_key_are_refused():
    twin = identity("ada").card
    card = sign_card(
        type(twin)("zoe", "", twin.signing_key, twin.receiving_key), identity("ada").signing
    )
    text = TEXT.replace(
        "[members.cy]", '[members.zoe]\ncard = "zoe.card"\nroles = ["owner"]\n\n[members.cy]'
    )
    with pytest.raises(FormatError, match="one signing key"):
        read(text, CARDS | {"zoe.card": card})


# --- in plain words


def test_plain_words_say_everything_that_is_signed():
    contract = read()
    words = describe_contract(contract)
    for expected in (
        contract.digest,
        "epoch 2",
        "2027-12-31T23:59:59Z",
        "ada (Ada)",
        identity("ada").card.fingerprint,
        identity("cy").card.fingerprint,
        "may bring data, may receive results",
        "may propose jobs",
        "every owner of the data",
        "3 times at most",
        MEASUREMENT,
        ROOT.digest,
    ):
        assert expected in words, expected
    assert words.startswith("!!! SIMULATED")


def test_plain_words_cannot_be_rewritten_by_a_card():
    evil = Identity.generate("cy", "Cy\x1b[2K\u202e gnp.exe\n  - nothing to see")
    text = read(cards=CARDS | {"cards/cy.card": evil.signed_card()})
    words = describe_contract(text)
    assert "\x1b" not in words
    assert "\u202e" not in words
    assert "\n  - nothing" not in words
