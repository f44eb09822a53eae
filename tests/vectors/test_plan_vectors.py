"""Every vector of plans, through the parser and the checks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools.vectors.plan import lambda_plan, whole_plan

from mc2.crypto.digest import digest
from mc2.errors import Mc2Error
from mc2.plan.check import check_plan
from mc2.plan.plan import Plan

FILE = Path(__file__).resolve().parents[2] / "vectors" / "plan.json"
CASES = {case["name"]: case for case in json.loads(FILE.read_text())}
WHOLE = "sha256:ca8e0b1e3c58c4409c64bae7abcb21847c6b410febb2e1a31f7368487050e6e9"

LAMBDAS = "sha256:ed29583724f6e15c258faea80d922cfb69493e647e7e8a0c770a9fbe691194a6"


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_vector(case):
    raw = case["text"].encode()
    if case["expect"] == "accept":
        plan = check_plan(Plan.parse(raw)).plan
        assert plan.encode() == raw
        assert plan.digest == digest(raw)
        return
    with pytest.raises(Mc2Error) as caught:
        check_plan(Plan.parse(raw))
    assert type(caught.value).__name__ == case["error"], caught.value


def test_the_digest_of_a_plan_never_changes():
    """A change here is a change of the format: old approvals would be for nothing."""
    assert whole_plan().digest == WHOLE
    assert lambda_plan().digest == LAMBDAS


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_digest_does_not_depend_on_the_hash_seed(seed):
    code = "from tools.vectors.plan import whole_plan; print(whole_plan().digest)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=FILE.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == WHOLE


def test_every_truncation_is_refused():
    raw = CASES["whole"]["text"].encode()
    for end in range(0, len(raw), 61):
        with pytest.raises(Mc2Error):
            Plan.parse(raw[:end])


def test_every_flipped_byte_is_another_plan_or_none():
    """One byte changed anywhere: a typed error, or a plan with another digest."""
    original = CASES["whole"]["text"].encode()
    for at in range(0, len(original), 13):
        raw = bytearray(original)
        raw[at] ^= 0x01
        try:
            plan = check_plan(Plan.parse(bytes(raw))).plan
        except Mc2Error:
            continue
        assert plan.digest != WHOLE
