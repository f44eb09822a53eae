"""Paths of any shape: what makes one whole, and each way to break it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.certificates import (
    DAY,
    NOW,
    WINDOW,
    Link,
    build_path,
    common_name,
    p384_key,
    pin,
)

from mc2.attestation.certificate_path import (
    PATH_LENGTH,
    PathRules,
    check_not_revoked,
    check_pinned,
    verify_authorities,
    verify_crl,
    verify_path,
)
from mc2.attestation.keys import Scheme
from mc2.attestation.roots import AMD_ROOTS
from mc2.attestation.x509 import parse_certificate, parse_crl
from mc2.errors import EvidenceError

RULES = PathRules(schemes=frozenset({Scheme.ECDSA_P384_SHA384}))
LEAF, MIDDLE, ROOT = Link(name="leaf", ca=False), Link(name="middle", length=0), Link(name="root")
SECOND = timedelta(seconds=1)


def parsed(*links: Link):
    names = [link.name for link in links]
    return [parse_certificate(der, n) for der, n in zip(build_path(links), names, strict=True)]


def refused(match: str, *links: Link, at=NOW, rules: PathRules = RULES) -> None:
    with pytest.raises(EvidenceError, match=match):
        verify_path(parsed(*links), at=at, rules=rules)


def test_a_right_path_ends_with_its_first_certificate_to_end() -> None:
    soon = LEAF.but(window=(NOW - DAY, NOW + DAY))
    assert verify_path(parsed(LEAF, MIDDLE, ROOT), at=NOW, rules=RULES) == WINDOW[1]
    assert verify_path(parsed(soon, MIDDLE, ROOT), at=NOW, rules=RULES) == NOW + DAY
    assert verify_path(parsed(LEAF, ROOT), at=NOW, rules=RULES) == WINDOW[1]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_certificate_has_its_time(place: int) -> None:
    links = [LEAF, MIDDLE, ROOT]
    links[place] = links[place].but(window=(NOW - DAY, NOW + DAY))
    for at in (NOW - DAY, NOW + DAY):
        verify_path(parsed(*links), at=at, rules=RULES)
    refused("not valid before", *links, at=NOW - DAY - SECOND)
    refused("ended on", *links, at=NOW + DAY + SECOND)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_signature_counts(place: int) -> None:
    links = [LEAF, MIDDLE, ROOT]
    links[place] = links[place].but(signer="a stranger")
    refused(f"signature of {links[place].name} is false", *links)


def test_names_must_chain() -> None:
    refused("was not issued by middle", LEAF.but(issuer="nobody"), MIDDLE, ROOT)
    refused("was not issued by root", LEAF, MIDDLE.but(issuer="nobody"), ROOT)
    refused("was not issued by root", LEAF, MIDDLE, ROOT.but(issuer="a higher root"))


def test_order_and_length_are_exact() -> None:
    leaf, middle, root = parsed(LEAF, MIDDLE, ROOT)
    for path in ([leaf], [root], [], [root] * (PATH_LENGTH + 1)):
        with pytest.raises(EvidenceError, match="has 2 to"):
            verify_path(path, at=NOW, rules=RULES)
    for path in (
        [leaf, root, middle],
        [leaf, middle],
        [middle, root],
        [leaf, middle, middle, root],
    ):
        with pytest.raises(EvidenceError):
            verify_path(path, at=NOW, rules=RULES)


@pytest.mark.parametrize("place", [1, 2])
def test_authorities_must_be_authorities(place: int) -> None:
    links = [LEAF, MIDDLE.but(length=None), ROOT]
    for change in (
        {"ca": False},
        {"constraints": False},
        {"usage": frozenset({"digital_signature"})},
        {"usage": frozenset()},
    ):
        broken = list(links)
        broken[place] = links[place].but(**change)
        refused(f"{links[place].name} may not sign certificates", *broken)


def test_path_lengths_are_kept() -> None:
    inner = Link(name="inner")
    verify_path(parsed(LEAF, inner, MIDDLE.but(length=1), ROOT), at=NOW, rules=RULES)
    refused("as long as this one", LEAF, inner, MIDDLE.but(length=0), ROOT)
    refused("as long as this one", LEAF, inner, MIDDLE.but(length=1), ROOT.but(length=1))


def test_an_authority_is_not_a_signer() -> None:
    refused("certificate of an authority", MIDDLE, ROOT)


def test_critical_extensions_must_be_understood() -> None:
    other = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for place in range(3):
        links = [LEAF, MIDDLE, ROOT]
        links[place] = links[place].but(extensions=((other, True),))
        refused("unknown critical extension 1.2.3.4", *links)
        understood = PathRules(schemes=RULES.schemes, understood=frozenset({"1.2.3.4"}))
        verify_path(parsed(*links), at=NOW, rules=understood)
        links[place] = links[place].but(extensions=((other, False),))
        verify_path(parsed(*links), at=NOW, rules=RULES)


def test_name_constraints_are_critical_and_refused() -> None:
    tree = x509.DirectoryName(common_name("somewhere"))
    constraint = x509.NameConstraints(permitted_subtrees=[tree], excluded_subtrees=None)
    refused("unknown critical", LEAF, MIDDLE.but(extensions=((constraint, True),)), ROOT)


def test_schemes_of_others_are_refused() -> None:
    p256 = ec.generate_private_key(ec.SECP256R1())
    refused("not allowed", LEAF.but(digest=hashes.SHA256()), MIDDLE, ROOT)
    # The right hash over a smaller curve is another scheme, too.
    refused("does not fit", LEAF, MIDDLE.but(key=p256), ROOT)


def test_pins_name_certificates_or_keys() -> None:
    root = parsed(ROOT)[0]
    assert check_pinned(root, pin(root.der)).meaning == "a test's root"
    with pytest.raises(EvidenceError, match="not a root that is trusted"):
        check_pinned(root, AMD_ROOTS)
    with pytest.raises(EvidenceError, match="not a root that is trusted"):
        check_pinned(parsed(ROOT)[0], pin(root.der))  # the same key, signed again


# --- revocation lists ---------------------------------------------------------------------------


def crl(
    *serials: int,
    issuer: str = "root",
    signer: str = "root",
    entries: tuple[x509.ExtensionType, ...] = (),
    critical: tuple[x509.ExtensionType, ...] = (),
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(common_name(issuer))
        .last_update(NOW - DAY)
        .next_update(NOW + DAY)
    )
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY)
        for extension in entries:
            entry = entry.add_extension(extension, critical=True)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(p384_key(signer), hashes.SHA384()).public_bytes(Encoding.DER)


def test_a_list_is_checked_like_a_certificate() -> None:
    _, middle, root = parsed(LEAF, MIDDLE, ROOT)
    found = parse_crl(crl(1, 2), "the list")
    verify_crl(found, root, at=NOW, rules=RULES)
    assert found.revoked == {1, 2}
    check_not_revoked(middle, found)
    with pytest.raises(EvidenceError, match="middle is revoked"):
        check_not_revoked(middle, parse_crl(crl(middle.serial), "the list"))
    with pytest.raises(EvidenceError, match="another issuer"):
        check_not_revoked(parsed(LEAF, MIDDLE)[0], found)
    assert parse_crl(crl(), "the list").revoked == set()


def test_false_lists_are_refused() -> None:
    _, middle, root = parsed(LEAF, MIDDLE, ROOT)
    with pytest.raises(EvidenceError, match="signature of the list is false"):
        verify_crl(parse_crl(crl(signer="middle"), "the list"), root, at=NOW, rules=RULES)
    with pytest.raises(EvidenceError, match="was not issued by middle"):
        verify_crl(parse_crl(crl(), "the list"), middle, at=NOW, rules=RULES)
    dumb = parsed(LEAF, MIDDLE, ROOT.but(usage=frozenset({"key_cert_sign"})))[-1]
    with pytest.raises(EvidenceError, match="may not sign revocation lists"):
        verify_crl(parse_crl(crl(), "the list"), dumb, at=NOW, rules=RULES)
    good = parse_crl(crl(), "the list")
    for at in (NOW - DAY, NOW + DAY):
        verify_crl(good, root, at=at, rules=RULES)
    with pytest.raises(EvidenceError, match="from the future"):
        verify_crl(good, root, at=NOW - DAY - SECOND, rules=RULES)
    with pytest.raises(EvidenceError, match="out of date"):
        verify_crl(good, root, at=NOW + DAY + SECOND, rules=RULES)


def test_partial_lists_are_refused() -> None:
    """A list for some certificates only would be taken for one about all."""
    point = x509.IssuingDistributionPoint(
        full_name=None, relative_name=None, only_contains_user_certs=True,
        only_contains_ca_certs=False, only_some_reasons=None, indirect_crl=False,
        only_contains_attribute_certs=False,
    )  # fmt: skip
    for extension in (point, x509.DeltaCRLIndicator(1)):
        with pytest.raises(EvidenceError, match="critical extension"):
            parse_crl(crl(critical=(extension,)), "the list")
    other = x509.CertificateIssuer([x509.DirectoryName(common_name("somebody"))])
    with pytest.raises(EvidenceError, match="critical extension"):
        parse_crl(crl(5, entries=(other,)), "the list")


def test_authorities_alone_are_held_to_the_same_rules() -> None:
    middle, root = parsed(MIDDLE, ROOT)
    assert verify_authorities((middle, root), at=NOW, rules=RULES) == WINDOW[1]
    assert verify_authorities((root,), at=NOW, rules=RULES) == WINDOW[1]
    for links, match in (
        ((LEAF, ROOT), "may not sign certificates"),
        ((MIDDLE.but(window=(NOW - DAY, NOW - SECOND)), ROOT), "ended on"),
        ((MIDDLE.but(signer="stranger"), ROOT), "signature"),
        ((MIDDLE.but(issuer="stranger"), ROOT), "was not issued by"),
        ((Link(name="low"), MIDDLE, ROOT), "does not allow a path as long"),
    ):
        with pytest.raises(EvidenceError, match=match):
            verify_authorities(parsed(*links), at=NOW, rules=RULES)
    for path in ((), (root,) * PATH_LENGTH):
        with pytest.raises(EvidenceError, match="authorities"):
            verify_authorities(path, at=NOW, rules=RULES)
