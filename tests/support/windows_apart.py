"""Windows that several tasks compute together: every frame that they can, over keys of all kinds."""

from __future__ import annotations

from dataclasses import replace

from mc2.plan.expressions import ColumnRef, Literal, call, literal
from mc2.plan.relations import SortKey
from mc2.plan.types import INT32, INT64, STRING
from mc2.plan.windows import SO_FAR, WHOLE, Bound, Frame, Window, WindowColumn
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source, schema
from tests.support.sorted_apart import rows_of

K, T, X, D = (ColumnRef(n) for n in ("k", "t", "x", "d"))
SHAPE = schema(k="int64", t="string", x="int64", d="double")
BEFORE, HERE, AFTER = (
    Bound("unbounded_preceding"),
    Bound("current_row"),
    Bound("unbounded_following"),
)


def away(rows: int) -> Bound:
    """A bound so many rows on."""
    return Bound("following" if rows > 0 else "preceding", literal(abs(rows), INT32))


FRAMES = {
    "whole": WHOLE,
    "so_far": SO_FAR,
    "rows_so_far": Frame("rows", BEFORE, HERE),
    "before": Frame("rows", BEFORE, away(-2)),
    "beyond": Frame("rows", BEFORE, away(3)),
    "from_here": Frame("rows", HERE, AFTER),
    "from_equals": Frame("range", HERE, AFTER),
    "from_before": Frame("rows", away(-2), AFTER),
    "equals": Frame("range", HERE, HERE),
    "near": Frame("rows", away(-3), away(2)),
    "behind": Frame("rows", away(1), away(2)),
    "nothing": Frame("rows", away(-1), away(-2)),
}


def over(frame: Frame) -> tuple[WindowColumn, ...]:
    """All functions of such a frame that tasks compute together."""
    some = call("gt", X, literal(20, INT64))
    columns = [
        WindowColumn("n", "count_star", (), frame),
        WindowColumn("c", "count", (T,), frame, where=some),
        WindowColumn("s", "sum", (X,), frame),
        WindowColumn("a", "avg", (X,), frame, where=some),
        WindowColumn("least", "min", (T,), frame),
        WindowColumn("most", "max", (D,), frame),
        *(
            WindowColumn(f"{name}{nulls}", name, (value,), frame, ignore_nulls=nulls)
            for name, value in (("first_value", X), ("last_value", T))
            for nulls in (False, True)
        ),
    ]
    if frame.unit == "rows" and frame.start.offset and frame.end.offset:
        columns += [
            WindowColumn("exact", "sum", (D,), frame),
            WindowColumn("spread", "var_samp", (D,), frame),
            WindowColumn("nth", "nth_value", (X, literal(2, INT32)), frame),
        ]
    return tuple(columns)


PLACES = (
    *(
        WindowColumn(name, name, ())
        for name in ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist")
    ),
    *(WindowColumn(f"part{n}", "ntile", (literal(n, INT32),)) for n in (1, 7)),
    WindowColumn("lag", "lag", (X, literal(1, INT32), Literal(None, INT64))),
    WindowColumn("lead", "lead", (T, literal(3, INT32), literal("none", STRING))),
    WindowColumn("back", "lag", (X, literal(-2, INT32), K)),
)
COLUMNS = {**{name: over(frame) for name, frame in FRAMES.items()}, "places": PLACES}


def window_job(kind: str, many: int, columns, keys=("k",), *, seed: int = 1):
    """A job over rows whose keys are of a kind, and a plan of it with one window."""
    left, _ = rows_of(kind, many, seed)
    rows = [(k, t, x, [0.1, -0.0, 1e16, None][i % 4]) for i, (k, t, x) in enumerate(left)]
    rows[0] = (rows[0][0], "tt", *rows[0][2:])
    job = Job(t=Source(SHAPE, rows, bound=0))
    order = (SortKey(T, False, True),)
    return job, job.plan(found=job.add(Window(job.scan("t"), keys, order, columns)))


def checked_window(kind: str, many: int, columns, keys=("k",), *, seed: int = 1):
    """The checked plan in oblivious mode, and its inputs."""
    job, plan = window_job(kind, many, columns, keys, seed=seed)
    return obliviously(plan, job)


def every(*names: str) -> tuple[WindowColumn, ...]:
    """The functions of several kinds of frame, under names of their own."""
    return tuple(replace(c, name=f"{name}_{c.name}") for name in names for c in COLUMNS[name])
