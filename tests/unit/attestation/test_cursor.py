"""Reading binary structures without slack."""

from __future__ import annotations

import pytest

from mc2.attestation.cursor import Cursor
from mc2.errors import EvidenceError


def test_fields_are_taken_in_order() -> None:
    cursor = Cursor(b"\x01\x02\x03\x00\x02abrest", "it", "big")
    assert (cursor.number(1), cursor.number(2), cursor.sized(2, 4)) == (1, 0x0203, b"ab")
    assert (cursor.position, cursor.left) == (7, 4)
    assert cursor.rest() == b"rest"
    cursor.done()


def test_the_order_is_the_formats() -> None:
    assert Cursor(b"\x01\x02", "it", "little").number(2) == 0x0201


def test_nothing_is_shorter_than_it_says() -> None:
    for read in (lambda c: c.take(4), lambda c: c.number(4), lambda c: c.sized(1, 9)):
        with pytest.raises(EvidenceError, match="it ends too early"):
            read(Cursor(b"\x03ab", "it", "big"))


def test_lengths_have_a_ceiling_and_leftovers_are_refused() -> None:
    with pytest.raises(EvidenceError, match="longer than 2"):
        Cursor(b"\x03abc", "it", "big").sized(1, 2)
    with pytest.raises(EvidenceError, match="1 bytes too many"):
        Cursor(b"x", "it", "big").done()
