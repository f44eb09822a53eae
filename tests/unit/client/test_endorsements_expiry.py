"""Warnings about what of the endorsement cache ends: in time, once, and without stopping anybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from mc2.client.endorsements import SOON, EndorsementCache
from mc2.client.endorsements_expiry import LOOK_EVERY, ExpiryWatch, expiring
from mc2.client.endorsements_index import Endorsement, Index

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


def endorsement(subject: str, ends: datetime, number: int = 1) -> Endorsement:
    return Endorsement(
        subject=subject,
        contents={"crl": bytes([number])},
        ordered=True,
        issued=NOW - timedelta(days=30 - number),
        number=number,
        ends=ends,
    )


def index(*found: Endorsement) -> Index:
    made = Index()
    for one in found:
        made = made.with_kept([one], now=NOW, source="a test")
    return made


def test_only_what_ends_soon_and_only_the_newest_counts() -> None:
    made = index(
        endorsement("amd/crl/Milan", NOW + SOON),
        endorsement("amd/crl/Genoa", NOW + SOON + timedelta(seconds=1)),
        endorsement("amd/crl/Turin", NOW - timedelta(days=1)),
    )
    assert expiring(made, NOW) == {
        "amd/crl/Milan": "amd/crl/Milan ends on 2026-06-08T12:00:00Z",
        "amd/crl/Turin": "amd/crl/Turin ended on 2026-05-31T12:00:00Z",
    }
    newer = endorsement("amd/crl/Turin", NOW + timedelta(days=60), number=2)
    assert list(expiring(made.with_kept([newer], now=NOW, source="a test"), NOW)) == [
        "amd/crl/Milan"
    ]


def test_each_end_is_told_once_and_looked_for_now_and_then(tmp_path: Path) -> None:
    cache, said, times = EndorsementCache(tmp_path / "e"), [], [NOW]
    watch = ExpiryWatch(cache, lambda: times[0], said.append)
    watch.look()
    assert said == []
    cache.keep([endorsement("amd/crl/Milan", NOW + timedelta(days=1))], now=NOW, source="a test")
    watch.look()
    assert said == []  # not looked again yet
    times[0] = NOW + LOOK_EVERY
    watch.look()
    assert len(said) == 1
    assert "amd/crl/Milan ends on" in said[0]
    assert "mc2 endorsements fetch" in said[0]
    for days in (0.5, 2, 3):
        times[0] = NOW + timedelta(days=days)
        watch.look()
    assert [line.split(" on ")[0].split()[-1] for line in said] == ["ends", "ended"]


def test_a_broken_cache_is_told_of_and_stops_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "e"
    folder.mkdir(mode=0o700)
    (folder / "index.json").write_text("broken")
    said: list[str] = []
    ExpiryWatch(EndorsementCache(folder), lambda: NOW, said.append).look()
    assert len(said) == 1
    assert "cannot be read" in said[0]
