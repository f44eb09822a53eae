"""Operators that leak, each in another way, and one that does not; run by `test_operators`."""

import sys

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.operators import cases, joining, logic, ordering, packing, phrases, watched
from mc2.operators.handles import SecretColumn, flat_words_of, known_of, marks_of, words_of
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


def packed_by_values(run, made):
    """Packs a column by the values that it has, not by those that it could have."""
    found = made.column(INT64)
    words = flat_words_of(found)
    _native.unpoison(words)
    ends = int(words.min()), int(words.max())
    packer = packing.Packer(run, packing.Form(), found.rows)
    packer.column(SecretColumn(found.layout, words.reshape(-1, 1), known_of(found), ends))
    packer.written()


def first_of_those_there(run, made):
    """Keeps as many first rows as are there."""
    table = made.table(("i", INT64, 0))
    present = marks_of(table.present)
    _native.unpoison(present)
    orders = [ordering.Order(table.columns["i"])]
    ordering.sort_table(run, table, orders, first=int(present.sum()))


def few_if_there_are_few(run, made):
    """Takes the way for few rows if few rows are there."""
    left, right = made.table(("i", INT64, 0)), made.table(("j", INT64, 0))
    present = marks_of(right.present)
    _native.unpoison(present)
    on = [joining.On(left.columns["i"], right.columns["j"])]
    if present.sum() < 10:
        joining.look_up(run, left, right, on, unique=True)
    else:
        joining.join_unique(run, left, right, on, outer=False)


def as_long_as_the_longest(run, made):
    """Makes room for the longest text that there is."""
    text = made.column(DataType("string"), 127, 17)
    lengths = words_of(text)[:, -1].copy()
    _native.unpoison(lengths)
    phrases.repeat(run, text, 1 + int(lengths.max()), cases.everywhere(made))


def number_in_python(_run, made):
    """Makes a number of Python of a secret: small ones are looked up in a table."""
    return [int(word) for word in flat_words_of(made.column(INT64))]


def spelled_in_python(_run, made):
    """Spells numbers outside of any kernel."""
    return str(flat_words_of(made.column(INT64)))


LEAKY = {
    "control": control,
    "branch_on_declassified": branch_on_declassified,
    "size_from_data": size_from_data,
    "chosen_reason": chosen_reason,
    "rows_by_numpy": rows_by_numpy,
    "any_by_numpy": any_by_numpy,
    "packed_by_values": packed_by_values,
    "first_of_those_there": first_of_those_there,
    "few_if_there_are_few": few_if_there_are_few,
    "as_long_as_the_longest": as_long_as_the_longest,
    "number_in_python": number_in_python,
    "spelled_in_python": spelled_in_python,
}

if __name__ == "__main__":
    cases.CASES.clear()
    cases.CASES.update(LEAKY)
    sys.exit(watched.main())
