"""Whatever is changed in a plan's JSON: a typed error, or a plan that checks and encodes to itself."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tools.vectors.plan import whole_plan

from mc2.errors import Mc2Error
from mc2.formats.canonical import encode
from mc2.plan.check import check_plan
from mc2.plan.plan import Plan

WHOLE = whole_plan().encode()
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1, 7, 2**53 - 1, "", "x", "id", "int8", "NaN", "cost", [], {}, [[]], ["id"],
    {"kind": "column", "name": "id"}, {"kind": "literal", "type": "boolean", "value": None},
)  # fmt: skip


def places(value, way=()):
    """The ways to all values inside."""
    yield way
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inner:
        yield from places(item, (*way, key))


def changed(random, value):
    ways = [w for w in places(value) if w]
    *path, last = random.choice(ways)
    at = value
    for step in path:
        at = at[step]
    other = value
    for step in random.choice(ways):
        other = other[step]
    match random.randrange(4):
        case 0:
            at[last] = random.choice(ODD)
        case 1:
            at[last] = json.loads(json.dumps(other))
        case 2:
            del at[last]
        case 3 if isinstance(at, list):
            at.insert(last, json.loads(json.dumps(at[last])))
        case _:
            at["extra" if isinstance(at, dict) else last] = 1


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_changed_plans(seed):
    random = Random(seed)
    value = json.loads(WHOLE)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        changed(random, value)
    try:
        raw = encode(value)
        plan = check_plan(Plan.parse(raw)).plan
    except Mc2Error:
        return
    assert plan.encode() == raw


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=200) | st.text().map(str.encode))
def test_arbitrary_bytes(raw):
    try:
        Plan.parse(raw)
    except Mc2Error:
        return
    raise AssertionError("no such plan")
