"""Our verdict against that of dcap-qvl, over genuine, mutated and synthetic quotes.

Where both accept they must agree on status and advisories. Ours is the stricter one, and where
is a list (docs/spec/evidence-dcap.md §9): bytes that no signature covers, the names and versions
of collateral, pceId, the validity of the root and the beginning of revocation lists.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.intel_hierarchy import (
    NEXT_UPDATE,
    NOW,
    PCK,
    PCK_SERIAL,
    PLATFORM_CA,
    ROOT,
    SIGNER,
    Intel,
    Machine,
    Qe,
    Sgx,
    Td,
    level,
    module,
    svn_level,
)
from tests.support.intel_quotes import (
    WITH_COLLATERAL,
    Verdict,
    evidence,
    oracle_verdict,
    our_verdict,
)
from tests.support.vectors import case_files, needs_vectors, verify_at

from mc2.attestation.dcap.folder import read_collateral
from mc2.attestation.dcap.status import COMPONENT_STATUSES, PLATFORM_STATUSES

TDX = bytes([5, 0, 4]) + bytes(13)
NEW, OLD = bytes([6, 1, 4]) + bytes(13), bytes([3, 1, 4]) + bytes(13)
SECOND = timedelta(seconds=1)


def both(intel: Intel, at: datetime = NOW) -> tuple[Verdict, Verdict]:
    """Ours and the oracle's, over one and the same bytes."""
    quote, collateral = intel.quote(), intel.collateral()
    endorsements = read_collateral(json.dumps(collateral).encode())
    raw = replace(intel.evidence(), evidence=quote, endorsements=endorsements)
    return our_verdict(raw, at, intel.pins()), oracle_verdict(quote, collateral, at, intel.root())


def agree(intel: Intel, at: datetime = NOW) -> Verdict:
    """Both say the same; what they say."""
    ours, theirs = both(intel, at)
    assert ours == theirs
    return ours


@needs_vectors
@pytest.mark.parametrize("case", WITH_COLLATERAL)
def test_both_agree_on_genuine_quotes(case: str) -> None:
    files, at = case_files(case), verify_at(case)
    theirs = oracle_verdict(files["quote.bin"], files["collateral.json"].decode(), at)
    assert our_verdict(evidence(case), at) == theirs


@needs_vectors
@pytest.mark.parametrize("case", WITH_COLLATERAL)
def test_we_accept_no_mutant_that_the_oracle_refuses(case: str) -> None:
    raw, at = evidence(case), verify_at(case)
    text = case_files(case)["collateral.json"].decode()
    signed, lenient = 0, 0
    for place in range(0, len(raw.evidence), 67):
        quote = bytearray(raw.evidence)
        quote[place] ^= 1 << place % 8
        ours = our_verdict(replace(raw, evidence=bytes(quote)), at)
        theirs = oracle_verdict(bytes(quote), text, at)
        assert ours is None
        signed += theirs is None
        lenient += theirs is not None
    assert signed > lenient


@needs_vectors
@pytest.mark.parametrize("case", ["sgx-v3-phala", "tdx-v4-phala-uptodate"])
def test_both_agree_on_every_day_of_the_collateral(case: str) -> None:
    raw, files, at = evidence(case), case_files(case), verify_at(case)
    text = files["collateral.json"].decode()
    for days in range(-40, 60, 3):
        then = at + timedelta(days=days)
        ours, theirs = our_verdict(raw, then), oracle_verdict(raw.evidence, text, then)
        assert ours in (theirs, None)  # before its lists were issued only ours refuses
        if days >= 0:
            assert ours == theirs


@pytest.mark.parametrize("status", sorted(PLATFORM_STATUSES))
@pytest.mark.parametrize("qe", sorted(COMPONENT_STATUSES))
def test_both_join_the_ratings_of_platform_and_quoting_enclave(status: str, qe: str) -> None:
    changes = {
        "qe_levels": (svn_level(8, qe, ["INTEL-SA-00001"]),),
    }
    advisories = ["INTEL-SA-00002"]
    agree(Intel(tcb_levels=(level(status=status, advisories=advisories),), **changes))
    levels = (level(tdx=TDX, status=status, advisories=advisories),)
    agree(Intel(body=Td(), version=4, tcb_levels=levels, **changes))


@pytest.mark.parametrize("status", sorted(PLATFORM_STATUSES))
@pytest.mark.parametrize("old", sorted(COMPONENT_STATUSES))
@pytest.mark.parametrize("svn2", [OLD, NEW], ids=["now-old", "now-new"])
def test_both_advise_the_same_tds_to_relaunch(status: str, old: str, svn2: bytes) -> None:
    agree(
        Intel(
            body=Td(svn=OLD, svn2=svn2),
            version=5,
            tcb_levels=(level(tdx=TDX, status=status, advisories=["INTEL-SA-00002"]),),
            modules=(
                module(
                    1,
                    svn_level(5, "UpToDate", ["INTEL-SA-00009"]),
                    svn_level(2, old, ["INTEL-SA-00003"]),
                ),
            ),
        )
    )


@pytest.mark.parametrize("status", sorted(PLATFORM_STATUSES))
@pytest.mark.parametrize("launched", [NEW, OLD], ids=["launched-new", "launched-old"])
def test_both_refuse_a_td_that_now_runs_under_revoked_firmware(
    status: str, launched: bytes
) -> None:
    revoked = bytes([1, 1, 4]) + bytes(13)
    intel = Intel(
        body=Td(svn=launched, svn2=revoked),
        version=5,
        tcb_levels=(level(tdx=TDX, status=status),),
        modules=(module(1, svn_level(5), svn_level(2, "OutOfDate"), svn_level(1, "Revoked")),),
    )
    assert agree(intel) is None


REFUSED = {
    "pck revoked": {"ca_revokes": (PCK_SERIAL,)},
    "authority revoked": {"root_revokes": (22,)},
    "signer revoked": {"root_revokes": (44,)},
    "root revoked": {"root_revokes": (11,)},
    "root list old": {"root_crl_window": (NOW - 9 * SECOND, NOW - SECOND)},
    "pck list old": {"pck_crl_window": (NOW - 9 * SECOND, NOW - SECOND)},
    "tcb info old": {"tcb_window": (NOW - 9 * SECOND, NOW - SECOND)},
    "tcb info new": {"tcb_window": (NOW + SECOND, NEXT_UPDATE)},
    "qe identity old": {"qe_window": (NOW - 9 * SECOND, NOW - SECOND)},
    "qe identity new": {"qe_window": (NOW + SECOND, NEXT_UPDATE)},
    "pck certificate old": {"windows": {PCK: (NOW - 9 * SECOND, NOW - SECOND)}},
    "authority new": {"windows": {PLATFORM_CA: (NOW + SECOND, NEXT_UPDATE)}},
    "signer old": {"windows": {SIGNER: (NOW - 9 * SECOND, NOW - SECOND)}},
    "qe signer": {"qe": Qe(mrsigner=b"x" * 32)},
    "qe product": {"qe": Qe(isvprodid=2)},
    "qe svn": {"qe": Qe(isvsvn=7)},
    "qe miscselect": {"qe": Qe(miscselect=1)},
    "qe debug": {"qe": Qe(attributes=b"\x13" + bytes(15))},
    "qe binding": {"qe": Qe(report_data=bytes(64))},
    "fmspc": {"tcb_changes": {"fmspc": "00806f050001"}},
    "tcb level": {"machine": Machine(components=(4,) * 16)},
    "pcesvn": {"machine": Machine(pcesvn=12)},
    **{
        f"signature {what}": {"signed_by": {what: "mallory"}}
        for what in (
            "quote", "qe_report", "tcb_info", "qe_identity", PCK, PLATFORM_CA, SIGNER,
            "crl " + ROOT, "crl " + PLATFORM_CA,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(name: str) -> None:
    assert agree(Intel(**REFUSED[name])) is None
    assert agree(Intel(body=Td(svn2=NEW), version=5, **REFUSED[name])) is None


@pytest.mark.parametrize(
    "td",
    [
        Td(mrsignerseam=b"1" * 48),
        Td(seam_attributes=b"\1" + bytes(7)),
        Td(svn=bytes([6, 0, 4]) + bytes(13), mrsignerseam=b"1" * 48),
        Td(svn=bytes([6, 2, 4]) + bytes(13)),
        Td(svn=bytes([1, 1, 4]) + bytes(13)),
        Td(svn=bytes([6, 1, 3]) + bytes(13)),
        Td(svn2=bytes([1, 1, 4]) + bytes(13)),
        Td(svn2=bytes([6, 2, 4]) + bytes(13)),
        Td(attributes=bytes(8)),
        Td(svn2=NEW, mrservicetd=b"\1" * 48),
        *(
            Td(attributes=((1 << 28) | (1 << bit)).to_bytes(8, "little"))
            for bit in (*range(16), 29, 32, 61)
        ),
    ],
    ids=lambda td: f"{td.attributes.hex()}-{td.svn[:3].hex()}",
)
def test_both_refuse_these_trust_domains(td: Td) -> None:
    assert agree(Intel(body=td, version=4 if td.svn2 is None else 5)) is None


@pytest.mark.parametrize("bit", [27, 30, 31, 62, 63])
def test_both_accept_these_attributes(bit: int) -> None:
    attributes = ((1 << 28) | (1 << bit)).to_bytes(8, "little")
    assert agree(Intel(body=Td(attributes=attributes), version=4)) == ("UpToDate", ())


def test_both_refuse_debug_enclaves() -> None:
    assert agree(Intel(body=Sgx(attributes=b"\x07" + bytes(15)))) is None


STRICTER = {
    "pceid": {"tcb_changes": {"pceId": "0001"}},
    "tcb info version": {"tcb_changes": {"version": 2}},
    "tcb type": {"tcb_changes": {"tcbType": 1}},
    "signer name": {"signer_name": "Intel SGX TCB Signin"},
    "root ended": {"windows": {ROOT: (NOW - 9 * SECOND, NOW - SECOND)}},
    "root list of tomorrow": {"root_crl_window": (NOW + SECOND, NEXT_UPDATE)},
    "pck list of tomorrow": {"pck_crl_window": (NOW + SECOND, NEXT_UPDATE)},
    "rating of a quoting enclave": {"qe_levels": (svn_level(8, "ConfigurationNeeded"),)},
}


@pytest.mark.parametrize("name", STRICTER)
def test_where_ours_is_stricter(name: str) -> None:
    ours, theirs = both(Intel(**STRICTER[name]))
    assert ours is None
    assert theirs is not None


def test_the_one_second_where_the_oracle_is_stricter() -> None:
    """A list is current through the second of its nextUpdate; the oracle stops before it."""
    ours, theirs = both(Intel(pck_crl_window=(NOW - 9 * SECOND, NOW)))
    assert ours == ("UpToDate", ())
    assert theirs is None


svns = st.integers(3, 6)


@settings(max_examples=200, deadline=None)
@given(
    components=st.lists(svns, min_size=3, max_size=3),
    pcesvn=st.integers(11, 14),
    launched=st.tuples(svns, st.integers(0, 2), svns),
    current=st.none() | st.tuples(svns, st.integers(0, 2), svns),
    levels=st.lists(
        st.tuples(
            st.lists(svns, min_size=3, max_size=3),
            st.integers(11, 14),
            st.tuples(svns, st.integers(0, 1), svns),
            st.sampled_from(sorted(PLATFORM_STATUSES)),
        ),
        min_size=1,
        max_size=5,
    ),
    module_levels=st.lists(
        st.tuples(svns, st.sampled_from(sorted(COMPONENT_STATUSES))),
        min_size=1,
        max_size=3,
        unique_by=lambda pair: pair[0],
    ).map(lambda pairs: sorted(pairs, reverse=True)),
)
def test_both_choose_the_same_level(
    components, pcesvn, launched, current, levels, module_levels
) -> None:
    intel = Intel(
        machine=Machine(components=(*components, *(0,) * 13), pcesvn=pcesvn),
        body=Td(
            svn=bytes(launched) + bytes(13),
            svn2=None if current is None else bytes(current) + bytes(13),
        ),
        version=4 if current is None else 5,
        tcb_levels=tuple(
            level(
                sgx=(*sgx, *(0,) * 13),
                pcesvn=pce,
                tdx=(*tdx, *(0,) * 13),
                status=status,
                advisories=[f"INTEL-SA-{number:05}"],
            )
            for number, (sgx, pce, tdx, status) in enumerate(levels)
        ),
        modules=(
            module(1, *(svn_level(svn, status) for svn, status in module_levels)),
            module(2, svn_level(4)),
        ),
    )
    agree(intel)
