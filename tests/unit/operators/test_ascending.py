"""Tables whose rows come in order give what they give without: with merges, and without sorts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.secrets import secret, values

from mc2.errors import EngineError
from mc2.operators import ascending, grouping, joining, ordering
from mc2.operators.grouping import Aggregate
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretMarks,
    SecretTable,
    flat_words_of,
    known_of,
    marks_of,
    order_of,
    words_of,
)
from mc2.operators.joining import On
from mc2.operators.run import Run
from mc2.plan.types import INT64

NUMBER = Layout(INT64)
ROWS = st.lists(
    st.tuples(st.integers(-3, 5), st.booleans(), st.none() | st.integers(0, 9)), max_size=90
)


def table_of(rows, names, ends):
    """Rows of a key, whether they are there, and a value; keys of those that are there ascend."""
    keys = iter(sorted(key for key, there, _ in rows if there))
    columns = [
        [next(keys) if there else key for key, there, _ in rows],
        [value for _, _, value in rows],
    ]
    made = [secret(NUMBER, c) for c in columns]
    made[0] = SecretColumn(NUMBER, words_of(made[0]), known_of(made[0]), ends)
    present = SecretMarks(np.array([there for _, there, _ in rows], dtype=np.uint8))
    return SecretTable(dict(zip(names, made, strict=True)), present)


def ordered(run, table, name):
    column = ascending.checked_order(run, table.columns[name], marks_of(table.present))
    return SecretTable({**table.columns, name: column}, table.present)


def rows_of(table):
    columns = [values(c) for c in table.columns.values()]
    marks = marks_of(table.present).tolist()
    return sorted(
        (tuple(c[i] for c in columns) for i, mark in enumerate(marks) if mark),
        key=lambda row: [(v is not None, v or 0) for v in row],
    )


def check_order(table):
    """Whoever says that rows come in its order must be right."""
    marks = marks_of(table.present).astype(bool)
    for column in table.columns.values():
        order = order_of(column)
        if order is not None:
            signed = order.view(np.int64)
            assert (signed[:-1] <= signed[1:]).all()
            assert known_of(column)[marks].all()
            assert (flat_words_of(column) == order)[marks].all()


def kernels(run):
    return [name for name, _ in run.calls]


ENDS = st.sampled_from([None, (-3, 5), (-10, 100)])


@given(ROWS, ROWS, ENDS, ENDS, st.booleans(), st.sampled_from([0, 64]))
def test_joins_are_the_same(lefts, rights, left_ends, right_ends, nulls, few):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "_FEW", few)  # no rows are so few that all are looked at
        check_joins(lefts, rights, (left_ends, right_ends), nulls)


def check_joins(lefts, rights, ends, nulls):
    left = table_of(lefts, ("k", "v"), ends[0])
    right = table_of(rights, ("K", "V"), ends[1])
    made = []
    for which in ("", "k", "K", "kK"):
        run = Run(record=True)
        one = ordered(run, left, "k") if "k" in which else left
        two = ordered(run, right, "K") if "K" in which else right
        on = [On(one.columns["k"], two.columns["K"], nulls)]
        pairs = joining.match(run, one, two, on, 90 * 90)
        rows, found = joining.partnered(run, one, two, on)
        firsts = grouping.group(run, two, ["K"], [Aggregate("n", "count_star", None, INT64)])
        run.finish()
        once = [On(one.columns["k"], firsts.columns["K"])]
        inner = joining.join_unique(run, one, firsts, once, outer=False)
        outer = joining.join_unique(run, one, firsts, once, outer=True)
        run.finish()
        for table in (pairs, rows, firsts, inner, outer, ordering.bounded(run, inner, 89)):
            check_order(table)
        kept = SecretTable(rows.columns, SecretMarks(np.minimum(marks_of(rows.present), found)))
        made.append([rows_of(t) for t in (pairs, kept, firsts, inner, outer)])
        if which == "kK":
            assert "merge" in kernels(run)
    assert made[0] == made[1] == made[2] == made[3]


@given(ROWS, ENDS, st.integers(0, 90))
def test_groups_are_the_same_and_nothing_is_sorted(rows, ends, bound):
    table = table_of(rows, ("k", "v"), ends)
    count = len(set(values(table.columns["k"])))
    made = []
    for declared in (False, True):
        run = Run(record=True)
        source = ordered(run, table, "k") if declared else table
        double = SecretColumn(NUMBER, words_of(source.columns["k"]), known_of(source.columns["k"]))
        source = SecretTable({**source.columns, "same": double}, source.present)
        wanted = [
            Aggregate(f, f, source.columns["v"], INT64) for f in ("sum", "count", "min", "max")
        ]
        found = grouping.group(run, source, ["k", "same"], wanted, max(bound, count), ["k"])
        run.finish()
        check_order(found)
        made.append(rows_of(found))
        assert ("sort" in kernels(run)) != declared or not rows
    assert made[0] == made[1]


@pytest.mark.parametrize("keys", [[2, 1], [1, 3, 2, 4], [1, None]])
def test_a_false_order_fails_the_job(keys):
    run = Run()
    present = np.ones(len(keys), dtype=np.uint8)
    ascending.checked_order(run, secret(NUMBER, keys), present)
    with pytest.raises(EngineError, match="domain"):
        run.finish()


def test_groups_whose_rows_disagree_in_what_their_key_decides_fail_the_job():
    run = Run()
    table = SecretTable(
        {"k": secret(NUMBER, [1, 1, 1, 2]), "d": secret(NUMBER, [5, 7, 6, 5])},
        SecretMarks(np.array([1, 0, 1, 1], dtype=np.uint8)),
    )
    table = ordered(run, table, "k")
    grouping.group(run, table, ["k", "d"], [], None, ["k"])
    with pytest.raises(EngineError, match="unique"):
        run.finish()
