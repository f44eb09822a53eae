"""Operators that leak, each in another way, and one that does not; run by `test_operators`."""

import sys

import numpy as np

from mc2 import _native
from mc2.operators import cases, logic, watched
from mc2.operators.handles import flat_words_of, known_of, marks_of
from mc2.plan.types import BOOLEAN, INT64


def control(run, made):
    return logic.negation(run, made.column(BOOLEAN, 2))


def branch_on_declassified(run, made):
    """Decides by an answer that was made public without need."""
    found = made.column(INT64)
    (first, *_) = run.declassify(flat_words_of(found), "a planted leak")
    if first > 10:
        control(run, made)


def size_from_data(run, made):
    """Calls a kernel on as many rows as are there."""
    present = made.present()
    _native.unpoison(marks_of(present))
    rows = int(marks_of(present).sum())
    out = np.empty(rows, dtype=np.uint8)
    run.call(_native.not_marks, np.zeros(rows, dtype=np.uint8), out)


def chosen_reason(run, made):
    """Says more in a declassification than its reason may."""
    (first, *_) = run.declassify(flat_words_of(made.column(INT64)), "a number")
    run.declassify(np.zeros(1, dtype=np.uint64), f"it was {first}")


def rows_by_numpy(_run, made):
    """Chooses rows outside of any kernel."""
    known = known_of(made.column(INT64))
    return np.arange(made.rows, dtype=np.uint64)[known != 0]


def any_by_numpy(run, made):
    """Asks numpy, which stops at the first one."""
    if marks_of(made.present()).any():
        control(run, made)


LEAKY = {
    "control": control,
    "branch_on_declassified": branch_on_declassified,
    "size_from_data": size_from_data,
    "chosen_reason": chosen_reason,
    "rows_by_numpy": rows_by_numpy,
    "any_by_numpy": any_by_numpy,
}

if __name__ == "__main__":
    cases.CASES.clear()
    cases.CASES.update(LEAKY)
    sys.exit(watched.main())
