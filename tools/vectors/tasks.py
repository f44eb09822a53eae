"""Vectors of what enclaves of one epoch exchange: orders and receipts of tasks, sealed blocks.

All blocks are of the task `TASK` under the block key `KEY` and the salt `SALT`, in the place
`PLACE`, with rows of `SCHEMA`: what docs/spec/block.md binds them to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mc2.crypto.digest import Digest, digest
from mc2.formats.arrow import schema_of
from mc2.formats.block import SALT_BYTES, BlockCipher, BlockPlace, BlockRef, TaskName
from mc2.formats.canonical import decode, encode
from mc2.formats.release import JobContext
from mc2.formats.schema import DataType
from mc2.formats.task import TaskOrder, TaskReceipt
from mc2.formats.training_message import TrainingName
from mc2.formats.training_receipt import TrainingReceipt
from mc2.operators.blocks import MAGIC
from mc2.operators.handles import Layout

Case = dict[str, str]
_ZERO = Digest("sha256:" + "0" * 64)
TASK = TaskName(
    context=JobContext(contract=_ZERO, policy=_ZERO, plan=_ZERO, job_id="00" * 16, attempt=1),
    epoch=1,
    stages=digest(b"stages"),
    stage=2,
    partition=3,
    attempt=1,
)
KEY = bytes(range(32))
SALT = b"\x5a" * SALT_BYTES
PLACE = BlockPlace(exchange=0, part=1, sequence=0, last=True)
ROWS = pa.record_batch({"n": pa.array([1, None, 3], pa.int64()), "t": pa.array(["a", "", None])})
SCHEMA = schema_of(ROWS.schema)
LAYOUTS = {"n": Layout(DataType("int64")), "t": Layout(DataType("string"), text_bytes=9)}
"""The columns of all plaintexts of blocks in oblivious mode: a row has five words."""


def cases() -> Iterator[Case]:
    """All cases, in a fixed order."""
    yield from _orders()
    yield from _receipts()
    yield from _training_receipts()
    yield from _collective_orders()
    yield from _blocks()
    yield from _oblivious_blocks()
    yield from _oblivious_sheets()


def _case(format_name: str, name: str, raw: bytes, error: str, comment: str) -> Case:
    case = {"format": format_name, "name": name, "comment": comment}
    case |= {"expect": "reject", "error": error} if error else {"expect": "accept"}
    return case | (
        {"hex": raw.hex()} if format_name.endswith(("block", "sheet")) else {"text": raw.decode()}
    )


def _edited(raw: bytes, edit: Callable[[Any], None]) -> bytes:
    value = decode(raw, 1 << 20, "vector")
    edit(value)
    return encode(value)


def _orders() -> Iterator[Case]:
    raw = TaskOrder(TASK, ((_ZERO, digest(b"receipt")), ())).encode()

    def bad(name: str, edit: Callable[[Any], None], comment: str) -> Case:
        return _case("task-order", name, _edited(raw, edit), "FormatError", comment)

    yield _case("task-order", "good", raw, "", "two exchanges, one of them without a producer")
    yield _case("task-order", "spaces", raw + b" ", "FormatError", "not canonical")
    yield bad("no-inputs", lambda v: v.pop("inputs"), "a field is missing")
    yield bad("more", lambda v: v.update(more=1), "a field too many")
    yield bad("attempt-zero", lambda v: v["task"].update(attempt=0), "attempts count from 1")
    yield bad("epoch-zero", lambda v: v["task"].update(epoch=0), "epochs count from 1")
    yield bad("no-piece", lambda v: v["task"].pop("piece"), "a task says that it is whole")
    yield bad("piece-below-zero", lambda v: v["task"].update(piece=-1), "pieces count from 1")
    yield bad("input-no-digest", lambda v: v["inputs"][0].append("x"), "receipts go by digest")
    yield bad("job-of-five", lambda v: v["task"]["job"].pop("policy"), "the whole context is named")


def _training_receipts() -> Iterator[Case]:
    name = TrainingName(context=TASK.context, epoch=1, node=3, places=(50, 90))
    receipt = TrainingReceipt(training=name, partition=1, member=2, log=digest(b"log"))
    raw = encode(receipt.json())

    def bad(name: str, edit: Callable[[Any], None], comment: str) -> Case:
        return _case("training-receipt", name, _edited(raw, edit), "FormatError", comment)

    yield _case("training-receipt", "good", raw, "", "the second of two partitions")
    yield bad("partition-2", lambda v: v.update(partition=2), "there are two partitions")
    yield bad("member-64", lambda v: v.update(member=64), "an epoch has at most 64 members")
    yield bad("no-places", lambda v: v["training"].update(places=[]), "a training has partitions")
    yield bad("empty", lambda v: v["training"].update(places=[50, 0]), "no partition is empty")
    yield bad("no-log", lambda v: v.pop("log"), "a field is missing")
    yield bad("more", lambda v: v["training"].update(more=1), "a field too many")
    yield bad("type", lambda v: v.update(type="mc2/training-receipt/v2"), "another version")


def _collective_orders() -> Iterator[Case]:
    raw = encode(
        {
            "type": "mc2/collective-order/v1",
            "partitions": 3,
            "stages": TASK.stages,
            "inputs": [[0, [_ZERO, digest(b"receipt")]], [2, []]],
        }
    )

    def bad(name: str, edit: Callable[[Any], None], comment: str) -> Case:
        return _case("collective-order", name, _edited(raw, edit), "FormatError", comment)

    yield _case("collective-order", "good", raw, "", "two sources, one of them without a task")
    yield _case("collective-order", "spaces", raw + b" ", "FormatError", "not canonical")
    yield _case("collective-order", "cut", raw[:-1], "FormatError", "the last byte is missing")
    yield bad("type", lambda v: v.update(type="mc2/collective-order/v2"), "another version")
    yield bad("no-stages", lambda v: v.pop("stages"), "a field is missing")
    yield bad("more", lambda v: v.update(more=1), "a field too many")
    yield bad("no-partition", lambda v: v.update(partitions=0), "a plan is cut into one or more")
    yield bad("partitions-text", lambda v: v.update(partitions="3"), "partitions are a number")
    yield bad("stages-no-digest", lambda v: v.update(stages="x"), "stages go by digest")
    yield bad("inputs-no-list", lambda v: v.update(inputs={}), "inputs are a list")
    yield bad("source-twice", lambda v: v["inputs"].append([2, []]), "a source is named once")
    yield bad("out-of-order", lambda v: v["inputs"].reverse(), "sources ascend")
    yield bad(
        "source-below-zero", lambda v: v["inputs"][0].__setitem__(0, -1), "places count from 0"
    )
    yield bad("source-truth", lambda v: v["inputs"][0].__setitem__(0, False), "a place is a number")
    yield bad("source-alone", lambda v: v["inputs"][0].pop(), "a source has its receipts")
    yield bad("three", lambda v: v["inputs"][0].append(0), "an input is a pair")
    yield bad("receipt-no-digest", lambda v: v["inputs"][0][1].append("x"), "receipts go by digest")
    yield _case(
        "collective-order",
        "other-cut",
        _edited(raw, lambda v: v.update(stages=_ZERO)),
        "JobError",
        "the stages are not those that the member cuts: here, those of all cases' task",
    )


def _receipts() -> Iterator[Case]:
    receipt = TaskReceipt(
        task=TASK,
        member=1,
        salt=SALT.hex(),
        inputs=((_ZERO,),),
        scanned=(12,),
        written=(((BlockRef(digest(b"block"), 100, 3),), ()),),
    )
    raw = encode(receipt.json())

    def bad(name: str, edit: Callable[[Any], None], comment: str) -> Case:
        return _case("task-receipt", name, _edited(raw, edit), "FormatError", comment)

    yield _case("task-receipt", "good", raw, "", "one block for the first of two parts")
    yield bad("short-salt", lambda v: v.update(salt="5a"), "a salt has 32 bytes")
    yield bad("member-64", lambda v: v.update(member=64), "an epoch has at most 64 members")
    yield bad("empty-block", lambda v: v["written"][0][0][0].update(rows=0), "parts without rows "
              "have no block")  # fmt: skip
    yield bad("rows-below-zero", lambda v: v.update(scanned=[-1]), "rows are counted")
    yield bad("type", lambda v: v.update(type="mc2/task-receipt/v2"), "another version")


def _blocks() -> Iterator[Case]:
    def sealed(place: BlockPlace = PLACE, task: TaskName = TASK, salt: bytes = SALT) -> bytes:
        return BlockCipher(KEY, task, salt).seal(place, ROWS, SCHEMA.digest)

    def bad(name: str, raw: bytes, comment: str) -> Case:
        return _case("block", name, raw, "CryptoError", comment)

    raw = sealed()
    yield _case("block", "good", raw, "", "three rows, sealed in the place that all cases are for")
    yield bad("flipped", raw[:-1] + bytes([raw[-1] ^ 1]), "one bit of the tag differs")
    yield bad("truncated", raw[:-1], "the last byte is missing")
    yield bad("other-part", sealed(replace(PLACE, part=2)), "for another reader")
    yield bad("other-place", sealed(replace(PLACE, sequence=1)), "the second block of the part")
    yield bad("not-last", sealed(replace(PLACE, last=False)), "more blocks would follow")
    yield bad("other-exchange", sealed(replace(PLACE, exchange=1)), "of another exchange")
    yield bad("other-attempt", sealed(task=replace(TASK, attempt=2)), "of the task's next attempt")
    piece = replace(TASK, piece=1, pieces=2)
    yield bad("other-piece", sealed(task=piece), "of a piece of the same partition")
    yield bad("other-epoch", sealed(task=replace(TASK, epoch=2)), "of the next epoch")
    yield bad("other-run", sealed(salt=b"\xa5" * SALT_BYTES), "of another run of the same attempt")


def _oblivious_blocks() -> Iterator[Case]:
    def bad(name: str, raw: bytes, comment: str) -> Case:
        return _case("oblivious-block", name, raw, "FormatError", comment)

    def places(count: int) -> bytes:
        return MAGIC + count.to_bytes(4, "little")

    no_flags, overflow = bytes(8), (1).to_bytes(8, "little")
    # (1, "a"), (3, NULL), and no row: planes of n, of the two words of t and its length, then bits.
    planes = [[1, 3, 0], [ord("a") << 56, 0, 0], [0, 0, 0], [1, 0, 0], [0b111, 0b011, 0]]
    words = b"".join(word.to_bytes(8, "little") for plane in planes for word in plane)
    raw = places(3) + no_flags + words
    empty = places(1) + no_flags + bytes(8 * len(planes))
    yield _case("oblivious-block", "good", raw, "", "two rows, and a place without one")
    yield _case("oblivious-block", "empty", empty, "", "no rows: one place")
    flagged = places(3) + overflow + words
    yield _case("oblivious-block", "flag", flagged, "", "its task overflowed: told at the end")
    yield bad("nothing", b"", "a part without rows has a block with one place")
    yield bad("no-places", places(0) + no_flags, "a block has at least one place")
    yield bad("other-magic", b"MC2C" + raw[4:], "of another format")
    yield bad("header-alone", raw[:16], "the planes are missing")
    yield bad("short-header", raw[:15], "the flags are cut")
    yield bad("short", raw[:-1], "the last byte is missing")
    yield bad("long", raw + b"\0", "a byte too many")
    yield bad("fewer-places", places(2) + raw[8:], "more words than two places have")
    yield bad("more-places", places(4) + raw[8:], "fewer words than four places have")
    yield bad("no-bits", places(3) + raw[8:-24], "the plane of bits is missing")
    yield bad("big-endian", MAGIC + (3).to_bytes(4, "big") + raw[8:], "places are little-endian")
    yield bad("most-places", places(2**32 - 1) + raw[8:], "more places than any block holds")


def _oblivious_sheets() -> Iterator[Case]:
    def bad(name: str, raw: bytes, comment: str) -> Case:
        return _case("oblivious-sheet", name, raw, "FormatError", comment)

    def number(value: int, size: int = 4) -> bytes:
        return value.to_bytes(size, "little")

    def head(places: int = 2, keys: int = 1, planes: int = 3, flags: int = 0) -> bytes:
        return b"MC2T" + number(places) + number(flags, 8) + number(keys) + number(planes)

    # Rows 1 and 3 by one unsigned key: its plane, that of the value, that of the bits.
    words = b"".join(number(w, 8) for w in (1, 3, 1, 3, 0b11, 0b11))
    flips = number(1 << 63, 8)
    raw = head() + flips + words
    yield _case("oblivious-sheet", "good", raw, "", "two rows by one key")
    flagged = head(flags=1) + flips + words
    yield _case("oblivious-sheet", "flag", flagged, "", "its task overflowed: told at the end")
    yield bad("nothing", b"", "there is no block without places")
    yield bad("other-magic", b"MC2S" + raw[4:], "a table, not a sheet")
    yield bad("no-places", head(places=0) + flips, "a block has at least one place")
    yield bad("no-keys", head(keys=0) + words, "rows are in some order")
    yield bad("keys-alone", head(keys=3) + flips * 3 + words, "rows have bits beside their keys")
    yield bad("short-header", raw[:23], "the number of planes is cut")
    yield bad("no-flips", head() + words, "how keys compare is missing")
    yield bad("short", raw[:-1], "the last byte is missing")
    yield bad("long", raw + b"\0", "a byte too many")
    yield bad("more-places", head(places=3) + flips + words, "fewer words than three places have")
    yield bad("more-planes", head(planes=4) + flips + words, "fewer words than four planes have")
