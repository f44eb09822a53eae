"""Runs every operator with its secrets poisoned, and says which of them memcheck reports.

    PYTHONMALLOC=malloc valgrind --quiet --error-limit=no python -m mc2.operators.watched [CASE ...]

Python itself has reports that mean nothing: some on its start and on first use, and a few whenever
it computes with negative numbers. So each case runs on public data first, twice: what memcheck says
on secrets beyond what it said the second time on public data is a leak. Its garbage collector
has reports of its own and runs when it likes: it waits until a case is done.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Mapping, Sequence

from mc2 import _native
from mc2.operators.cases import CASES, Case, Made
from mc2.operators.run import Run

_DATA = ("random", "absent")


def reports(cases: Mapping[str, Case], data: Sequence[str] = _DATA) -> dict[str, tuple[int, int]]:
    """For each case, how many reports on public data, and how many on secrets."""
    found = {}
    for name, one in cases.items():
        _reports(one, data[:1], poison=False)
        public = _reports(one, data, poison=False)
        found[name] = (public, _reports(one, data, poison=True))
    return found


def leaking(found: Mapping[str, tuple[int, int]]) -> list[str]:
    """The cases that memcheck reports on secrets."""
    return [name for name, (public, secret) in found.items() if secret > public]


def _reports(one: Case, data: Sequence[str], *, poison: bool) -> int:
    gc.collect()
    gc.disable()
    try:
        before = _native.poison_reports()
        for kind in data:
            one(Run(), Made(kind, poison=poison))
        return _native.poison_reports() - before
    finally:
        gc.enable()


def main() -> int:
    """Print a JSON object: the instruction set, whether valgrind watches, reports and leaks.

    Of all cases, or of those that the command names.
    """
    found = reports({name: CASES[name] for name in sys.argv[1:]} or CASES)
    watched = _native.under_valgrind()
    leaks = leaking(found)
    json.dump(
        {"isa": _native.isa(), "watched": watched, "operators": found, "leaking": leaks},
        sys.stdout,
    )
    sys.stdout.write("\n")
    return 0 if watched and not leaks else 1


if __name__ == "__main__":
    sys.exit(main())
