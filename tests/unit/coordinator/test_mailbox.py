"""Cards, contracts, chunks and manifests: what is kept, what is refused, who sees what."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.coordinator_world import ROLES, TOKEN, Clock, Person, World, make_service, seal

from mc2.coordinator.refusals import NotFoundError, QuotaError, StrangerError
from mc2.coordinator.store import Quotas
from mc2.crypto.digest import digest
from mc2.errors import ContractError, DatasetError, FormatError, Mc2Error, SignatureError
from mc2.formats.contract import Member, verify_contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ChunkRef


@pytest.fixture
def world():
    return World()


@pytest.fixture
def service(tmp_path):
    found = make_service(tmp_path)
    yield found
    found.store.close()


@pytest.fixture
def enrolled(service, world):
    world.enrol(service.for_party)
    return service.for_party


# --- parties ---


def test_enrolling_again_is_no_error(enrolled, world):
    world.enrol(enrolled)
    assert enrolled("ada").cards() == [world.cards[n] for n in sorted(world.people)]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "schl\u00fcssel"])
def test_no_token_no_card(service, world, token):
    with pytest.raises(StrangerError, match="token"):
        service.for_party("ada").register(world.cards["ada"], token)
    assert service.store.parties() == []


def test_without_a_token_on_the_coordinators_side_nobody_enrols(service, world):
    mailbox = replace(service.mailbox, invitation=lambda: "")
    with pytest.raises(StrangerError):
        mailbox.register(world.cards["ada"], "")


def test_a_name_or_a_key_belongs_to_one_card(enrolled, world):
    with pytest.raises(ContractError, match="enrolled already"):
        enrolled("ada").register(Person("ada").signed_card, TOKEN)
    same_key = replace(world["ada"], name="eve")
    with pytest.raises(ContractError, match="enrolled already"):
        enrolled("eve").register(same_key.signed_card, TOKEN)


def test_a_card_signed_by_another_is_refused(service, world):
    stolen = Envelope.sign(
        PayloadType.CARD,
        Envelope.parse(world.cards["ada"], PayloadType.CARD, LIMITS.card_bytes).payload,
        world["mallory"].signing,
    )
    with pytest.raises(SignatureError):
        service.for_party("ada").register(stolen.encode(), TOKEN)


def test_strangers_do_nothing(service, world):
    access = service.for_party("ada")
    for act in (
        access.cards,
        access.contracts,
        access.datasets,
        access.jobs,
        lambda: access.missing([]),
        lambda: access.put_blob(digest(b"x"), b"x"),
        lambda: access.get_blob(digest(b"x")),
        lambda: access.put_contract(world.signed_contract("ada")),
        lambda: access.put_manifest(world.sealed["ada"].envelope),
        lambda: access.manifest(digest(b"x")),
        lambda: access.wait(None, 0, 0),
    ):
        with pytest.raises(StrangerError, match="not enrolled"):
            act()


# --- contracts ---


def test_signatures_come_in_one_by_one(enrolled, world):
    name = world.contract.digest
    assert enrolled("ada").put_contract(world.signed_contract("ada")) == name
    assert enrolled("bo").contract(name) == world.signed_contract("ada")
    enrolled("bo").put_contract(world.signed_contract("bo"))
    enrolled("cy").put_contract(world.signed_contract("cy"))
    verified = verify_contract(enrolled("cy").contract(name), at=Clock()())
    assert verified.contract == world.contract
    event = enrolled("cy").wait(None, 0, 0)
    enrolled("cy").put_contract(world.signed_contract("cy"))  # nothing new
    assert enrolled("cy").wait(None, 0, 0) == event
    assert enrolled("ada").contracts() == [name]


def test_those_outside_a_contract_do_not_see_it(enrolled, world):
    name = enrolled("ada").put_contract(world.signed_contract())
    with pytest.raises(NotFoundError):
        enrolled("mallory").contract(name)
    assert enrolled("mallory").contracts() == []
    assert enrolled("mallory").wait(None, 0, 0) == 0
    with pytest.raises(ContractError, match="not a member"):
        enrolled("mallory").put_contract(world.signed_contract())


def test_a_contract_has_the_cards_that_are_enrolled_here(enrolled, world):
    for name in ("ada", "bo"):
        members = tuple(
            Member(Person(n).card if n == name else world[n].card, roles)
            for n, roles in ROLES.items()
        )
        false = world.signed_contract("cy", contract=replace(world.contract, members=members))
        with pytest.raises(ContractError, match=f"another card of {name}"):
            enrolled("ada").put_contract(false)


def test_a_member_may_enrol_after_the_contract_came(service, world):
    world.enrol(service.for_party, "ada")
    name = service.for_party("ada").put_contract(world.signed_contract())
    world.enrol(service.for_party, "bo")
    assert service.for_party("bo").contracts() == [name]
    # One of the same name and another key is not the member.
    service.for_party("cy").register(Person("cy").signed_card, TOKEN)
    assert service.for_party("cy").contracts() == []
    with pytest.raises(NotFoundError):
        service.for_party("cy").contract(name)


def test_false_and_foreign_signatures_on_contracts_are_refused(enrolled, world):
    whole = Envelope.parse(world.signed_contract(), PayloadType.CONTRACT, LIMITS.contract_bytes)
    false = replace(
        whole,
        signatures=tuple(
            replace(s, signature=bytes(64)) if i == 1 else s for i, s in enumerate(whole.signatures)
        ),
    )
    with pytest.raises(SignatureError, match="false"):
        enrolled("ada").put_contract(false.encode())
    with pytest.raises(SignatureError, match="no say"):
        enrolled("ada").put_contract(world.signed_contract("ada", "mallory"))
    assert enrolled("ada").contracts() == []


def test_a_contract_that_has_ended_is_not_taken(tmp_path):
    world, clock = World(), Clock(timedelta(days=365))
    service = make_service(tmp_path, clock)
    world.enrol(service.for_party)
    with pytest.raises(ContractError, match="ended"):
        service.for_party("ada").put_contract(world.signed_contract())
    service.store.close()


# --- chunks and manifests ---


def test_a_dataset_comes_back(enrolled, world):
    sealed = world.sealed["ada"]
    names = list(sealed.chunks)
    assert enrolled("ada").missing(names) == names
    for name, raw in sealed.chunks.items():
        enrolled("ada").put_blob(name, raw)
        enrolled("ada").put_blob(name, raw)
    assert enrolled("ada").missing(names) == []
    name = enrolled("ada").put_manifest(sealed.envelope)
    assert name == sealed.manifest.digest
    assert enrolled("ada").put_manifest(sealed.envelope) == name
    assert enrolled("bo").manifest(name) == sealed.envelope
    assert enrolled("bo").get_blob(names[0]) == sealed.chunks[names[0]]


def test_datasets_are_seen_by_those_who_share_a_contract(enrolled, world):
    world.upload(enrolled)
    assert [e.dataset for e in enrolled("ada").datasets()] == ["ada.visits"]
    assert enrolled("cy").datasets() == []
    enrolled("cy").put_contract(world.signed_contract("cy"))
    assert [e.dataset for e in enrolled("cy").datasets()] == ["ada.visits", "bo.visits"]
    assert enrolled("cy").datasets()[0].manifest == world.sealed["ada"].manifest.digest
    assert enrolled("mallory").datasets() == []


def test_a_manifest_waits_for_its_chunks(enrolled, world):
    sealed = world.sealed["ada"]
    (first, raw), *_ = sealed.chunks.items()
    enrolled("ada").put_blob(first, raw)
    with pytest.raises(DatasetError, match=r"1 chunks of ada\.visits are not here"):
        enrolled("ada").put_manifest(sealed.envelope)
    assert enrolled("ada").datasets() == []
    assert enrolled("ada").wait(None, 0, 0) == 0


def test_a_manifest_tells_the_true_sizes(enrolled, world):
    sealed = world.sealed["ada"]
    for name, raw in sealed.chunks.items():
        enrolled("ada").put_blob(name, raw)
    chunks = tuple(ChunkRef(c.digest, c.size + 1) for c in sealed.manifest.chunks)
    false = replace(sealed.manifest, chunks=chunks).sign(world["ada"].signing)
    with pytest.raises(DatasetError, match="another size"):
        enrolled("ada").put_manifest(false)


def test_nobody_publishes_for_another(enrolled, world):
    world.upload(enrolled)
    with pytest.raises(SignatureError, match="cannot hand in what ada must sign"):
        enrolled("bo").put_manifest(world.sealed["ada"].envelope)
    forged = world.sealed["ada"].manifest.sign(world["mallory"].signing)
    with pytest.raises(SignatureError):
        enrolled("ada").put_manifest(forged)


def test_a_version_is_published_once(enrolled, world):
    world.upload(enrolled)
    other = seal(world["ada"])
    for name, raw in other.chunks.items():
        enrolled("ada").put_blob(name, raw)
    with pytest.raises(DatasetError, match="another version 1"):
        enrolled("ada").put_manifest(other.envelope)
    newer = seal(world["ada"], version=2)
    for name, raw in newer.chunks.items():
        enrolled("ada").put_blob(name, raw)
    enrolled("ada").put_manifest(newer.envelope)
    assert [e.version for e in enrolled("ada").datasets()] == [1, 2]


def test_chunks_have_a_ceiling_and_their_true_names(enrolled):
    with pytest.raises(FormatError, match="digest"):
        enrolled("ada").put_blob(digest(b"x"), b"y")
    big = bytes(LIMITS.chunk_bytes + 1)
    with pytest.raises(DatasetError, match="at most"):
        enrolled("ada").put_blob(digest(big), big)


def test_quotas_hold_for_signed_objects_too(tmp_path, world):
    service = make_service(tmp_path, quotas=Quotas(party_bytes=1000))
    world.enrol(service.for_party)
    with pytest.raises(QuotaError):
        service.for_party("ada").put_contract(world.signed_contract())
    assert service.for_party("ada").contracts() == []
    service.store.close()


@pytest.mark.parametrize("act", ["put_contract", "put_manifest"])
@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b"\xff", b'{"a": 1}', b"{" * 100_000])
def test_junk_is_a_typed_error(enrolled, act, raw):
    with pytest.raises(FormatError):
        getattr(enrolled("ada"), act)(raw)


def test_another_spelling_of_the_same_object_is_refused(enrolled, world):
    world.upload(enrolled)
    for act, raw in (
        ("put_contract", world.signed_contract()),
        ("put_manifest", world.sealed["ada"].envelope),
    ):
        with pytest.raises(FormatError, match="canonical"):
            getattr(enrolled("ada"), act)(raw.replace(b'","', b'", "', 1))


def test_refusals_say_what_to_do(enrolled, world):
    with pytest.raises(Mc2Error) as caught:
        enrolled("ada").put_manifest(world.sealed["ada"].envelope)
    assert "mc2 upload" in caught.value.hint
