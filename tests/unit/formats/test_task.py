"""Orders and receipts of tasks have one encoding each."""

from __future__ import annotations

import pytest
from tests.unit.formats.test_block import TASK, ZERO

from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.errors import FormatError, SignatureError
from mc2.formats.block import BlockRef
from mc2.formats.canonical import decode, encode
from mc2.formats.task import TaskOrder, TaskReceipt, digest_of_receipts, member_name

KEY = SigningKey(bytes(32))
ORDER = TaskOrder(TASK, ((ZERO, digest(b"a")), ()))
RECEIPT = TaskReceipt(
    task=TASK,
    member=2,
    salt="00" * 32,
    inputs=((ZERO,),),
    scanned=(12,),
    written=(((BlockRef(ZERO, 100, 3),), ()),),
)


def test_an_order_reads_back():
    assert TaskOrder.parse(ORDER.encode()) == ORDER


def test_a_receipt_reads_back_and_names_who_signed():
    found = TaskReceipt.verify(RECEIPT.sign(KEY), {member_name(2): KEY.public}.__getitem__)
    assert found.value == RECEIPT
    assert found.digest == RECEIPT.digest


def test_a_receipt_by_another_key_is_refused():
    with pytest.raises(SignatureError):
        TaskReceipt.verify(RECEIPT.sign(SigningKey.generate()), lambda _: KEY.public)


@pytest.mark.parametrize("field", ["task", "inputs", "type"])
def test_an_order_lacks_nothing(field):
    value = dict(decode(ORDER.encode(), 10_000, "an order"))
    del value[field]
    with pytest.raises(FormatError):
        TaskOrder.parse(encode(value))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epoch", 0),
        ("attempt", 0),
        ("attempt", 65),
        ("stage", -1),
        ("partition", "0"),
        ("stages", "sha256:0"),
        ("more", 1),
    ],
)
def test_a_task_has_a_strict_name(field, value):
    changed = dict(decode(ORDER.encode(), 10_000, "an order"))
    changed["task"] = {**changed["task"], field: value}
    with pytest.raises(FormatError):
        TaskOrder.parse(encode(changed))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("member", 64),
        ("salt", "00"),
        ("scanned", [-1]),
        ("written", [[[{"bytes": 100, "digest": ZERO, "rows": 0}]]]),
        ("written", [[{"bytes": 100, "digest": ZERO, "rows": 1}]]),
        ("inputs", [ZERO]),
    ],
)
def test_a_receipt_is_strict(field, value):
    changed = dict(decode(encode(RECEIPT.json()), 10_000, "a receipt"))
    changed[field] = value
    with pytest.raises(FormatError):
        TaskReceipt.parse(encode(changed))


def test_receipts_have_one_digest_in_any_order():
    a, b = digest(b"a"), digest(b"b")
    assert digest_of_receipts([a, b]) == digest_of_receipts([b, a]) != digest_of_receipts([a])
    with pytest.raises(FormatError, match="twice"):
        digest_of_receipts([a, a])
