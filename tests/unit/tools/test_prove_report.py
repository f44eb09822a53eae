"""The verdict of `make prove`: whatever does not hold, or was not looked at, fails it by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from tools.prove import binaries, mutants, report

from mc2.cli import obliviousness
from mc2.cli.findings import GOOD
from mc2.operators.cases import CASES

ISA = "portable"
FAMILY = binaries.families()[0]
CASE = next(iter(CASES))


def clean() -> dict[str, Any]:
    """A report of a build on which everything held."""
    kernel = {"memcheck": "clean", "trace": "equal", "threads": [1, 2], "traces": {}}
    planted: dict[str, Any] = {
        name: {"must_catch": sorted(gates), "caught": sorted(gates)}
        for name, gates in mutants.MUST_CATCH.items()
    }
    planted[mutants.CONTROL] = {"must_catch": [], "caught": []}
    operator = {"memcheck": "clean", "record": "equal", "calls": 3}
    return {
        "schema": report.SCHEMA,
        "mc2": "0.1.0",
        "build": {"compiler": "c++", "module_sha256": "ab", "build_id": "", "missing": []},
        "isas": [ISA],
        "data": ["random"],
        "kernels": {f"{f}.case": {ISA: kernel} for f in binaries.families()},
        "code": {ISA: {"findings": [], "allowed": [], "conditional_jumps": 100, "unseen_jumps": 1}},
        "operators": {"cases": dict.fromkeys(CASES, operator)},
        "mutants": {ISA: planted},
    }


def test_what_holds_passes_and_doctor_says_so(tmp_path: Any) -> None:
    found = clean()
    assert report.failures(found) == []
    report.write(found | {"passed": True}, tmp_path / "report.json")
    said = obliviousness._shipped(tmp_path / "report.json", "ab")
    assert [f.state for f in said] == [GOOD, GOOD]


def kernel(found: dict[str, Any]) -> dict[str, Any]:
    return found["kernels"][f"{FAMILY}.case"][ISA]  # type: ignore[no-any-return]  # parsed JSON has no types


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    f"{FAMILY}.case (portable): memcheck": lambda r: kernel(r).update(memcheck="leaks"),
    f"{FAMILY}.case (portable): the trace": lambda r: kernel(r).update(trace="differs"),
    "code is not in the Python module: x.o": lambda r: r["build"]["missing"].append("x.o"),
    "loop (portable): division div": lambda r: r["code"][ISA]["findings"].append(
        {"function": "loop", "kind": "division", "detail": "div"}
    ),
    "memcheck has not seen 14 jumps": lambda r: r["code"][ISA].update(unseen_jumps=14),
    "planted leak branch (portable) was not caught by ['memcheck', 'trace']": lambda r: r[
        "mutants"
    ][ISA]["branch"].update(caught=[]),
    "the control (portable), which does not leak, was caught": lambda r: r["mutants"][ISA][
        mutants.CONTROL
    ].update(caught=["lint"]),
    f"operator {CASE}: memcheck leaks": lambda r: r["operators"]["cases"][CASE].update(
        memcheck="leaks"
    ),
    f"operator {CASE}: memcheck clean, record differs": lambda r: r["operators"]["cases"][
        CASE
    ].update(record="differs"),
    f"no case of {FAMILY} was run": lambda r: r["kernels"].pop(f"{FAMILY}.case"),
    f"{FAMILY}.case was not run on portable": lambda r: r["kernels"][f"{FAMILY}.case"].clear(),
    f"operator {CASE} was not watched": lambda r: r["operators"]["cases"].pop(CASE),
    "not every planted leak was tried": lambda r: r["mutants"][ISA].pop("table"),
    "no code was read, on portable": lambda r: r["code"].clear(),
    "on any instruction set": lambda r: r["isas"].clear(),
}


@pytest.mark.parametrize("words", BROKEN)
def test_what_does_not_hold_is_named(words: str) -> None:
    found = copy.deepcopy(clean())  # cases share what they say
    BROKEN[words](found)
    assert any(words in line for line in report.failures(found))


def test_a_report_is_json_in_one_order(tmp_path: Any) -> None:
    for place, found in enumerate((clean(), dict(reversed(clean().items())))):
        report.write(found, tmp_path / str(place))
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()
    assert json.loads((tmp_path / "0").read_bytes())["schema"] == report.SCHEMA
