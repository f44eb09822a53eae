"""The gates over every operator in Python, and over operators that leak on purpose."""

import ast
import importlib
import inspect
import json
import shutil
import sys
from pathlib import Path

import pytest
from tests.oblivious.leaky_operators import LEAKY
from tools.prove import operators

import mc2.operators
from mc2.operators.cases import CASES, DATA, Made
from mc2.operators.run import Run

FOLDER = Path(mc2.operators.__file__).parent
# They read or write no secrets of a table, or are the machinery of verification itself; readers
# and writers of sealed chunks take bytes and not columns, and have gates in their own tests.
WITHOUT_CASES = {"cases", "watched", "handles", "constants", "run", "__init__"}
# The part of all statements that may be run by no case: what reads plans, and what runs once, when a
# module is loaded.
MOST_UNSEEN = 0.02
PARTS = 4  # of the cases under valgrind, which take minutes together

needs_valgrind = pytest.mark.skipif(
    shutil.which("valgrind") is None,
    reason="valgrind is not installed and could not be: tools/system-packages.sh",
)


def public_operators():
    """Every public function of an operator module whose first argument is the run."""
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem in WITHOUT_CASES:
            continue
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            if [a.arg for a in node.args.args][:1] == ["run"]:
                yield f"{path.stem}.{node.name}"


def test_no_operator_without_a_case():
    called = set()

    def watch(frame, event, _):
        if event == "call" and frame.f_globals.get("__name__", "").startswith("mc2.operators."):
            module = frame.f_globals["__name__"].rpartition(".")[2]
            called.add(f"{module}.{frame.f_code.co_name}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        for case in CASES.values():
            case(Run(), Made("random"))
    finally:
        sys.setprofile(before)
    assert set(public_operators()) - called == set(), "add a case to mc2/operators/cases.py"


def test_cases_run_nearly_every_statement_of_operators():
    modules = [p for p in sorted(FOLDER.glob("*.py")) if p.stem not in WITHOUT_CASES]
    modules = [p for p in modules if not p.stem.startswith(("cases", "made"))]
    unseen, count = operators.unseen_statements(CASES, modules)
    assert count > 1500
    assert len(unseen) <= MOST_UNSEEN * count, f"add cases: {unseen}"


def test_statements_that_no_case_runs_are_noticed():
    unseen, count = operators.unseen_statements({"logic": CASES["logic"]}, [FOLDER / "sheets.py"])
    assert len(unseen) == count > 50


@pytest.mark.parametrize("name", CASES)
def test_kernel_calls_and_declassifications_do_not_depend_on_data(name):
    first = operators.record(CASES[name], DATA[0])
    assert first.calls
    for data in DATA[1:]:
        assert operators.record(CASES[name], data) == first


def test_data_of_cases_differ():
    drawn = {json.dumps(Made(data).numbers(100)) for data in DATA}
    assert len(drawn) == len(DATA)


def test_the_recorder_catches_what_depends_on_data():
    caught = set(operators.differing(LEAKY))
    assert caught >= {
        "branch_on_declassified", "size_from_data", "chosen_reason", "any_by_numpy",
        "packed_by_values", "first_of_those_there", "few_if_there_are_few",
        "as_long_as_the_longest",
    }  # fmt: skip
    assert "control" not in caught


@needs_valgrind
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(PARTS))
def test_memcheck_sees_no_use_of_a_secret(part):
    found = operators.watch(names=list(CASES)[part::PARTS])
    assert found["leaking"] == []
    assert found["operators"], "nothing was watched"


@needs_valgrind
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memcheck_sees_no_use_of_a_secret_on_portable_kernels():
    found = operators.watch(isa="portable")
    assert (found["isa"], found["leaking"]) == ("portable", [])


@needs_valgrind
def test_memcheck_catches_what_is_decided_outside_of_kernels():
    caught = set(operators.watch("tests.oblivious.leaky_operators")["leaking"])
    assert caught >= {
        "rows_by_numpy", "any_by_numpy", "number_in_python", "spelled_in_python"
    }  # fmt: skip
    assert "control" not in caught


def test_operator_modules_are_all_looked_at():
    for path in FOLDER.glob("*.py"):
        if path.stem not in WITHOUT_CASES:
            module = importlib.import_module(f"mc2.operators.{path.stem}")
            assert inspect.getmembers(module, inspect.isfunction)
