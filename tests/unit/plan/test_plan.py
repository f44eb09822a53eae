from dataclasses import replace

import pytest
from tools.vectors.plan import small_plan, whole_plan

from mc2.crypto.digest import digest
from mc2.errors import FormatError
from mc2.plan.plan import OPERATIONS, Plan


def test_survives_its_encoding():
    plan = whole_plan()
    raw = plan.encode()
    assert Plan.parse(raw) == plan
    assert Plan.parse(raw).encode() == raw
    assert plan.digest == digest(raw)


def test_the_whole_vector_has_every_operation():
    assert {n.operation.OP for n in whole_plan().nodes} == set(OPERATIONS)


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "other"},
        {"script": "# other\n"},
        {"script_name": "other.py"},
        {"packages": {"duckdb": "2.0.1"}},
        {"contract": digest(b"other")},
    ],
)
def test_everything_is_under_the_digest(changes):
    assert replace(small_plan(), **changes).digest != small_plan().digest


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "x" * 201},
        {"script_name": "x" * 201},
        {"packages": {f"p{i}": "1" for i in range(65)}},
        {"packages": {"duckdb": "1" * 65}},
        {"mode": "fast"},
    ],
)
def test_limits(changes):
    with pytest.raises(FormatError):
        Plan.parse(replace(small_plan(), **changes).encode())


def test_the_nodes_of_a_plan_are_read_only():
    assert isinstance(whole_plan().nodes, tuple)
    with pytest.raises(AttributeError):
        whole_plan().title = "x"
