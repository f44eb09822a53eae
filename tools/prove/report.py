"""All gates over one build, as one machine-readable report: docs/spec/obliviousness-report.md."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mc2.operators.cases import CASES
from mc2.operators.cases import DATA as OPERATOR_DATA
from mc2.version import VERSION
from tools.prove import lint, memcheck, mutants, operators, shipped, traces
from tools.prove.allowed import MOST_UNSEEN, reason_for
from tools.prove.binaries import DATA, ROOT, Binaries, families, here

SCHEMA = "https://mc2.dev/obliviousness-report/v1"
PLACE = ROOT / "src" / "mc2" / "_native" / "obliviousness-report.json"

_IN_PARTS = 300
"""The most rows of what is traced a second time, cut as for two threads."""

_THREADS = (1, 2)
_DATA_IN_PARTS = ("random", "equal", "sorted", "skewed")

Say = Callable[[str], None]


def prove(binaries: Binaries, say: Say, most_rows: int | None = None) -> dict[str, Any]:
    """Run every gate on every instruction set of this machine, on every kind of data.

    As many at once as there are processors: no run's trace knows of another's.
    """
    isas = [isa for isa in binaries.isas if here(isa)]
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "mc2": VERSION,
        "build": build_of(binaries),
        "tools": {
            "valgrind": _first_line("valgrind", "--version"),
            "objdump": _first_line("objdump", "--version"),
        },
        "isas": isas,
        "data": list(DATA),
        "most_rows": most_rows,
        "kernels": {},
        "code": {},
        "mutants": {},
    }
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        watched = [pool.submit(operators.watch, isa=isa) for isa in isas]  # the longest ones first
        looked = {isa: _Looked(pool, binaries, isa, most_rows) for isa in isas}
        for isa, one in looked.items():
            for name, found in one.kernels(say).items():
                report["kernels"].setdefault(name, {})[isa] = found
            report["code"][isa] = _code(binaries, isa, one.executed())
            say(f"{isa}: planted leaks")
            report["mutants"][isa] = _planted(isa, one.planted.result())
        say("operators")
        report["operators"] = _operators([one.result() for one in watched])
    report["passed"] = not failures(report)
    return report


class _Looked:
    """What is looked at of one instruction set under valgrind, each run by itself."""

    def __init__(self, pool: Executor, binaries: Binaries, isa: str, most_rows: int | None) -> None:
        few = min(most_rows or _IN_PARTS, _IN_PARTS)
        program, hasher = binaries.cases, binaries.trace_hash
        self.of_data = {
            data: pool.submit(traces.trace, program, hasher, isa, data, most_rows) for data in DATA
        }
        self.in_parts = {
            data: pool.submit(traces.trace, program, hasher, isa, data, few, 2)
            for data in _DATA_IN_PARTS
        }
        self.watched = [pool.submit(memcheck.watch, program, isa, n) for n in _THREADS]
        self.seen = [pool.submit(lint.executed, program, isa, n) for n in _THREADS]
        self.planted = pool.submit(mutants.caught, binaries, isa)
        self._isa = isa

    def kernels(self, say: Say) -> dict[str, dict[str, Any]]:
        """What memcheck and traces say of each case."""
        say(f"{self._isa}: traces")
        of_data, in_parts = (
            {data: one.result() for data, one in found.items()}
            for found in (self.of_data, self.in_parts)
        )
        say(f"{self._isa}: memcheck")
        return _kernels([one.result() for one in self.watched], of_data, in_parts)

    def executed(self) -> set[int]:
        """The addresses of all instructions that some case runs."""
        return set().union(*(one.result() for one in self.seen))


def _planted(isa: str, caught: Mapping[str, set[str]]) -> dict[str, Any]:
    return {
        name: {
            "must_catch": sorted(mutants.must_catch(isa, name))
            if name in mutants.MUST_CATCH
            else [],
            "caught": sorted(gates),
        }
        for name, gates in caught.items()
    }


def failures(report: dict[str, Any]) -> list[str]:
    """What did not hold, in words. What was not looked at did not hold either."""
    wrong = [f"code is not in the Python module: {code}" for code in report["build"]["missing"]]
    wrong += _not_looked_at(report)
    for name, found in report["kernels"].items():
        for isa, one in found.items():
            if one["memcheck"] != "clean":
                wrong.append(f"{name} ({isa}): memcheck reports uses of secrets")
            if one["trace"] != "equal":
                wrong.append(f"{name} ({isa}): the trace depends on data")
    for isa, found in report["code"].items():
        wrong += [
            f"{one['function']} ({isa}): {one['kind']} {one['detail']}" for one in found["findings"]
        ]
        if found["unseen_jumps"] > MOST_UNSEEN * found["conditional_jumps"]:
            wrong.append(f"{isa}: memcheck has not seen {found['unseen_jumps']} jumps")
    wrong += _missed(report)
    for name, one in report["operators"]["cases"].items():
        if one["memcheck"] != "clean" or one["record"] != "equal":
            wrong.append(f"operator {name}: memcheck {one['memcheck']}, record {one['record']}")
    return wrong


def _not_looked_at(report: dict[str, Any]) -> list[str]:
    """Families, cases, instruction sets and planted leaks that the report says nothing of."""
    of = {name.partition(".")[0] for name in report["kernels"]}
    wrong = [f"no case of {family} was run" for family in families() if family not in of]
    wrong += [
        f"{name} was not run on {isa}"
        for name, found in report["kernels"].items()
        for isa in report["isas"]
        if isa not in found
    ]
    for isa in report["isas"] or ["any instruction set"]:
        planted = report["mutants"].get(isa, {})
        if set(planted) != {mutants.CONTROL, *mutants.MUST_CATCH} or isa not in report["code"]:
            wrong.append(f"not every planted leak was tried, or no code was read, on {isa}")
    unwatched = set(CASES) - set(report["operators"]["cases"])
    return wrong + [f"operator {name} was not watched" for name in sorted(unwatched)]


def _missed(report: dict[str, Any]) -> list[str]:
    wrong = []
    for isa, planted in report["mutants"].items():
        for name, one in planted.items():
            if missed := set(one["must_catch"]) - set(one["caught"]):
                wrong.append(f"planted leak {name} ({isa}) was not caught by {sorted(missed)}")
        if planted[mutants.CONTROL]["caught"]:
            wrong.append(f"the control ({isa}), which does not leak, was caught")
    return wrong


def build_of(binaries: Binaries) -> dict[str, Any]:
    """Which build this is, and that the module that Python loads is made of it."""
    module = module_path()
    objects = [p for isa in binaries.isas for p in binaries.objects(isa).values()]
    cache = next(p for p in _caches(binaries.folder) if p.exists()).read_text()
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache, re.MULTILINE)
    return {
        "compiler": _first_line(compiler[1] if compiler else "c++", "--version"),
        "machine": platform.machine(),
        "module_sha256": hashlib.sha256(module.read_bytes()).hexdigest(),
        "build_id": shipped.build_id(module),
        "objects": {
            isa: {name: shipped.digest_of(path) for name, path in binaries.objects(isa).items()}
            for isa in binaries.isas
        },
        "missing": shipped.missing_code(objects, module),
    }


def module_path() -> Path:
    """The compiled module that Python loads."""
    script = "import mc2.operators.run, mc2._native.kernels as k; print(k.__file__)"
    return Path(_first_line(sys.executable, "-c", script))


def _caches(folder: Path) -> list[Path]:
    return [folder / "CMakeCache.txt", folder.parent / "CMakeCache.txt"]


def _kernels(
    watched: Sequence[memcheck.Watched],
    of_data: dict[str, traces.Traces],
    in_parts: dict[str, traces.Traces],
) -> dict[str, dict[str, Any]]:
    leaking = {name for one in watched for name in one.leaking}
    differing = set(traces.differing(of_data)) | set(traces.differing(in_parts))
    found: dict[str, dict[str, Any]] = {}
    for name, rows in of_data[DATA[0]]:
        one = found.setdefault(
            name,
            {
                "memcheck": "leaks" if name in leaking else "clean",
                "threads": [w.threads for w in watched],
                "trace": "differs" if name in differing else "equal",
                "traces": {},
                "traces_in_two": {},
            },
        )
        for kind, traced in (("traces", of_data), ("traces_in_two", in_parts)):
            if (name, rows) in traced[DATA[0]]:
                digest, lines = traced[DATA[0]][name, rows]
                one[kind][str(rows)] = {"hash": digest, "accesses": lines}
    return found


def _code(binaries: Binaries, isa: str, seen: set[int]) -> dict[str, Any]:
    found = [
        finding
        for family, path in binaries.objects(isa).items()
        for finding in lint.findings(isa, family, path)
    ]
    unseen = lint.unseen_jumps(binaries.cases, isa, seen)
    allowed, wrong = [], []
    for finding in [*found, *unseen]:
        reason = reason_for(finding)
        entry = {
            "family": finding.family, "function": finding.function, "kind": finding.kind,
            "detail": finding.detail, "count": finding.count,
        }  # fmt: skip
        if reason is None:
            wrong.append(entry)
        else:
            allowed.append({**entry, "reason": reason})
    return {
        "families": families(),
        "conditional_jumps": lint.jumps(binaries.cases, isa),
        "unseen_jumps": sum(finding.count for finding in unseen),
        "findings": wrong,
        "allowed": allowed,
    }


def _operators(watched: Sequence[dict[str, Any]]) -> dict[str, Any]:
    differing = set(operators.differing(CASES))
    leaking = {name for one in watched for name in one["leaking"]}
    return {
        "isas": [one["isa"] for one in watched],
        "data": list(OPERATOR_DATA),
        "cases": {
            name: {
                "memcheck": "leaks" if name in leaking else "clean",
                "record": "differs" if name in differing else "equal",
                "calls": len(operators.record(case, OPERATOR_DATA[0]).calls),
            }
            for name, case in CASES.items()
        },
    }


def write(report: dict[str, Any], path: Path = PLACE) -> None:
    """Write the report where the wheel takes it from."""
    path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")


def _first_line(*words: str) -> str:
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[0]
