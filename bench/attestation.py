"""Time to verify evidence of each kind, against the cryptography that it cannot do without.

    python bench/attestation.py [--rounds N] [--case NAME ...] [--json]

Cases are folders as in ../shared/vectors; the lower bound of a kind is the bare signature checks
over keys and messages that were read beforehand. Rounds are interleaved, so that both numbers of a
ratio come from one run; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mc2.attestation.claims import RawEvidence, VerifiedClaims, Verifier
from mc2.attestation.dcap.endorsements import parse_collateral
from mc2.attestation.dcap.quote import parse_quote
from mc2.attestation.dcap.verify import SgxVerifier, TdxVerifier
from mc2.attestation.folder import load_case
from mc2.attestation.keys import ecdsa_signature
from mc2.attestation.nitro.document import parse_document
from mc2.attestation.nitro.verify import NitroVerifier
from mc2.attestation.roots import INTEL_ROOTS
from mc2.attestation.snp.report import parse_report
from mc2.attestation.snp.verify import SnpVerifier
from mc2.attestation.tokens.confidential_space import read_space_token
from mc2.attestation.tokens.jwt import parse_token
from mc2.attestation.tokens.verify import ConfidentialSpaceVerifier
from mc2.attestation.x509 import Certificate, parse_certificate

VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors"
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)

Check = Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """A verifier, and the signature checks that evidence of its kind needs in any case."""

    verifier: Verifier
    bound: Callable[[RawEvidence], list[Check]]


def ecdsa(spki: bytes, signature: bytes, message: bytes, digest: hashes.HashAlgorithm) -> Check:
    key = load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return lambda: key.verify(signature, message, ec.ECDSA(digest))


def rsa(spki: bytes, signature: bytes, message: bytes, pad: object, digest: object) -> Check:
    key = load_der_public_key(spki)
    return lambda: key.verify(signature, message, pad, digest)


def snp_bound(raw: RawEvidence) -> list[Check]:
    """One RSA-PSS chain of three certificates and one P-384 signature."""
    report = parse_report(raw.evidence)
    names = ("vcek", "ask", "ark") if "vcek" in raw.endorsements else ("vlek", "asvk", "ark")
    leaf, authority, root = (parse_certificate(raw.endorsements[name], name) for name in names)
    sha384 = hashes.SHA384()
    chain = [
        rsa(above.spki, below.signature, below.tbs, PSS, sha384)
        for below, above in ((leaf, authority), (authority, root), (root, root))
    ]
    return [*chain, ecdsa(leaf.spki, ecdsa_signature(*report.signature), report.signed, sha384)]


def nitro_bound(raw: RawEvidence) -> list[Check]:
    """A P-384 signature for each certificate of the path, and one for the document."""
    document, sha384 = parse_document(raw.evidence), hashes.SHA384()
    path = [
        parse_certificate(der, "x")
        for der in (document.certificate, *reversed(document.authorities))
    ]
    numbers = document.signature[:48], document.signature[48:]
    signature = ecdsa_signature(*(int.from_bytes(number, "big") for number in numbers))
    return [
        *(ecdsa(above.spki, below.signature, below.tbs, sha384) for below, above in links(path)),
        ecdsa(path[0].spki, signature, document.signed, sha384),
    ]


def token_bound(raw: RawEvidence) -> list[Check]:
    """An RSA signature for each certificate of the path, and one for the token."""
    token = parse_token(raw.evidence)
    path = [parse_certificate(der, "x") for der in read_space_token(token).certificates]
    pad, sha256 = padding.PKCS1v15(), hashes.SHA256()
    return [
        *(rsa(above.spki, below.signature, below.tbs, pad, sha256) for below, above in links(path)),
        rsa(path[0].spki, token.signature, token.signed, pad, sha256),
    ]


def intel_bound(raw: RawEvidence) -> list[Check]:
    """A P-256 signature for each certificate, list, statement and report."""
    quote, sha256 = parse_quote(raw.evidence), hashes.SHA256()
    found = parse_collateral(raw.endorsements, quote.tee)
    path = [parse_certificate(der, "x") for der in quote.pck_chain]
    checks = [ecdsa(above.spki, below.signature, below.tbs, sha256) for below, above in links(path)]
    for crl, issuer in ((found.root_crl, path[2]), (found.pck_crl, path[1])):
        checks.append(ecdsa(issuer.spki, crl.signature, crl.tbs, sha256))
    for chain, signed in (
        (found.tcb_info_chain, found.tcb_info_signed),
        (found.qe_identity_chain, found.qe_identity_signed),
    ):
        checks.append(ecdsa(path[2].spki, chain[0].signature, chain[0].tbs, sha256))
        checks.append(ecdsa(chain[0].spki, pair(signed.signature), signed.body, sha256))
    key = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), b"\4" + quote.attestation_key
    )
    return [
        *checks,
        ecdsa(path[0].spki, pair(quote.qe_report_signature), quote.qe_report_raw, sha256),
        lambda: key.verify(pair(quote.signature), quote.signed, ec.ECDSA(sha256)),
    ]


def pair(signature: bytes) -> bytes:
    return ecdsa_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))


def links(path: list[Certificate]) -> list[tuple[Certificate, Certificate]]:
    return list(zip(path, (*path[1:], path[-1]), strict=True))


SUBJECTS: dict[str, Subject] = {
    subject.verifier.kind: subject
    for subject in (
        Subject(SnpVerifier(), snp_bound),
        Subject(NitroVerifier(), nitro_bound),
        Subject(ConfidentialSpaceVerifier(), token_bound),
        Subject(SgxVerifier(INTEL_ROOTS), intel_bound),
        Subject(TdxVerifier(INTEL_ROOTS), intel_bound),
        # one line for each further kind
    )
}

CASES = (
    "amd-milan-vcek-ms",
    "amd-genoa-vcek-ms",
    "amd-turin-vcek-ms",
    "amd-milan-vlek-v3-coco-aws",
    "sgx-v3-phala",
    "tdx-v4-phala-uptodate",
    "tdx-v5-google-uptodate",
    "nitro-veracruz-prod",
    "jwt-gcp-confidential-space",
)


def milliseconds(run: Check) -> float:
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / 1e6


def measure(raw: RawEvidence, at: datetime, rounds: int) -> dict[str, float]:
    subject = SUBJECTS[raw.kind]
    checks = subject.bound(raw)

    def verify() -> VerifiedClaims:
        return subject.verifier.verify(raw, at=at)

    def bound() -> None:
        for check in checks:
            check()

    first = milliseconds(verify)
    bound()
    other = second_verifier(raw, at)
    triples = [
        (milliseconds(verify), milliseconds(bound), milliseconds(other) if other else 0.0)
        for _ in range(rounds)
    ]
    ours, least, theirs = (statistics.median(column) for column in zip(*triples, strict=True))
    found = {"first_ms": first, "verify_ms": ours, "bound_ms": least, "ratio": ours / least}
    return found | ({"dcap_qvl_ms": theirs} if other else {})


def second_verifier(raw: RawEvidence, at: datetime) -> Check | None:
    """The library dcap-qvl over the same quote, parsing included as in ours."""
    if raw.kind not in (SgxVerifier.kind, TdxVerifier.kind):
        return None
    import dcap_qvl

    from mc2.attestation.dcap.second_opinion import library_collateral

    given = library_collateral(raw.endorsements)
    root = parse_quote(raw.evidence).pck_chain[2]
    seconds = int(at.timestamp())
    return lambda: dcap_qvl.verify_with_root_ca(
        raw.evidence, dcap_qvl.QuoteCollateralV3(**given), root, seconds
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--case", action="append", help="a folder's name; all by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not VECTORS.is_dir():
        sys.exit(f"{VECTORS} is not here: there is no genuine evidence to measure with")
    results = {}
    for name in options.case or CASES:
        raw, at = load_case(VECTORS / name)
        assert at is not None, name
        results[name] = measure(raw, at, options.rounds)
    if options.json:
        print(json.dumps(results, indent=2))
        return
    heads = f"{'first':>9}{'verify':>9}{'bound':>9}{'ratio':>8}{'dcap-qvl':>10}"
    print(f"{'case':34}{heads}   (ms, medians)")
    for name, found in results.items():
        columns = "".join(f"{found[key]:9.2f}" for key in ("first_ms", "verify_ms", "bound_ms"))
        other = f"{found['dcap_qvl_ms']:10.2f}" if "dcap_qvl_ms" in found else ""
        print(f"{name:34}{columns}{found['ratio']:8.2f}{other}")


if __name__ == "__main__":
    main()
