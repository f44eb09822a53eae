"""The vectors of orders, receipts and blocks, through their parsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tools.vectors.tasks import KEY, LAYOUTS, PLACE, ROWS, SALT, SCHEMA, TASK

from mc2.crypto.digest import digest
from mc2.enclave.collective_rows import encode_order, read_order
from mc2.errors import Mc2Error
from mc2.formats.block import BlockCipher, BlockRef
from mc2.formats.canonical import encode
from mc2.formats.task import TaskOrder, TaskReceipt
from mc2.formats.training_receipt import TrainingReceipt
from mc2.operators.blocks import read_blocks, write_blocks
from mc2.operators.run import Run
from mc2.operators.sheets import read_sheet, write_sheet

FOLDER = Path(__file__).resolve().parents[2] / "vectors"


def read_block(raw: bytes) -> bytes:
    named = BlockRef(digest(raw), len(raw), ROWS.num_rows)
    assert BlockCipher(KEY, TASK, SALT).open(PLACE, named, SCHEMA, raw).equals(ROWS)
    return raw


def read_oblivious_block(raw: bytes) -> bytes:
    run = Run()
    ((again, _),) = write_blocks(run, read_blocks(run, LAYOUTS, [raw]))
    return again


def read_oblivious_sheet(raw: bytes) -> bytes:
    run = Run()
    (((again, _),),) = write_sheet(run, read_sheet(run, [raw]), [slice(None)])
    return again


def read_collective_order(raw: bytes) -> bytes:
    cut: Any = SimpleNamespace(work=SimpleNamespace(digest=TASK.stages))
    asked = []

    def runner_of(partitions: int) -> Any:
        asked.append(partitions)
        return cut

    runner, inputs = read_order(raw, runner_of)
    assert runner is cut
    return encode_order(asked[0], TASK.stages, inputs)


READERS: dict[str, Callable[[bytes], bytes]] = {
    "task-order": lambda raw: TaskOrder.parse(raw).encode(),
    "task-receipt": lambda raw: encode(TaskReceipt.parse(raw).json()),
    "training-receipt": lambda raw: encode(TrainingReceipt.parse(raw).json()),
    "collective-order": read_collective_order,
    "block": read_block,
    "oblivious-block": read_oblivious_block,
    "oblivious-sheet": read_oblivious_sheet,
}
CASES = [
    pytest.param(case, id=f"{name}-{case['name']}")
    for name in READERS
    for case in json.loads((FOLDER / f"{name}.json").read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_vector(case: dict[str, str]) -> None:
    raw = bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()
    read = READERS[case["format"]]
    if case["expect"] == "accept":
        assert read(raw) == raw
        return
    with pytest.raises(Mc2Error) as caught:
        read(raw)
    assert type(caught.value).__name__ == case["error"]
