"""Plans whose rows several tasks sort together, over tables of one shape and many kinds of data."""

from __future__ import annotations

from random import Random

from mc2.operators.sheets import Sheet, cut_sheet, write_sheet
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Filter,
    Join,
    Mark,
    Project,
    Sort,
    SortKey,
)
from mc2.plan.relations import NamedExpression as Named
from mc2.plan.types import INT64
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source, schema

K, T, X, J, Y = (ColumnRef(n) for n in ("k", "t", "x", "j", "y"))
FACTS = {"a.u": {"unique": (("j",),)}}
KINDS = ("few", "many", "one", "sorted", "nulls")


def rows_of(kind: str, many: int, seed: int = 1):
    """Rows of one shape, whose keys are few, many, one, in order, or mostly NULL."""
    random = Random(seed)

    def key(i: int):
        match kind:
            case "few":
                return random.randrange(5)
            case "many":
                return random.randrange(many)
            case "one":
                return 3
            case "sorted":
                return i
            case _:
                return None if random.random() < 0.7 else random.randrange(many)

    def text(i: int):
        return None if i % 11 == 0 else f"t{random.randrange(4)}"

    left = [(key(i), text(i), random.randrange(100) if i % 7 else None) for i in range(many)]
    right = [(i * 2, random.randrange(50)) for i in range(many)]
    return left, right


def plan_of(kind: str, many: int, what: str, seed: int = 1):
    """A job and a plan of it; `what` is done over all rows."""
    left, right = rows_of(kind, many, seed)
    widest = [(None, "tt", None)]  # so that texts have one width, whatever the rows are
    job = Job(
        t=Source(schema(k="int64", t="string", x="int64"), [*widest, *left[1:]], bound=0),
        u=Source(schema(j="int64!", y="int64!"), right, bound=0),
    )
    return job, job.plan(found=operation(job, what))


def job_of(kind: str, many: int, what: str, seed: int = 1):
    """A checked plan in oblivious mode and its inputs."""
    job, plan = plan_of(kind, many, what, seed)
    return obliviously(plan, job, {name: FACTS.get(name, {}) for name in job.sources})


def operation(job: Job, what: str) -> int:
    """Add what is to be tested; its node."""
    t, u = job.scan("t"), job.scan("u")
    on = call("eq", K, J)
    kept = job.add(Filter(t, call("gt", X, literal(10, INT64))))
    if what in {"inner", "left", "semi", "anti", "full"}:
        return job.add(Join(kept, u, what, on))
    match what:
        case "turned":
            return job.add(Join(u, kept, "inner", on))
        case "many-semi":
            return job.add(Join(u, kept, "semi", call("eq", J, K)))
        case "rest":
            both = call("and", on, call("lt", X, Y))
            return job.add(Join(kept, u, "left", both))
        case "turned-full":
            return job.add(Join(u, kept, "full", on))
        case "right":
            return job.add(Join(u, kept, "right", on))
        case "many-full":
            both = call("and", call("eq", K, Y), call("lt", J, literal(99, INT64)))
            return job.add(Join(kept, u, "full", both))
        case "full-rest":
            both = call("and", on, call("and", call("lt", X, Y), call("gt", Y, literal(3, INT64))))
            one = job.add(Aggregate(kept, ("k",), (AggregateColumn("x", "max", (X,)),)))
            return job.add(Join(one, u, "full", both))
        case "mark":
            half = job.add(Project(u, (Named("j", J),)))
            return job.add(Mark(kept, half, "has", call("same", K, J)))
        case "sort":
            order = (SortKey(T, True, False), SortKey(K, False, True))
            return job.add(Sort(kept, order))
        case "unique-sort":
            order = (SortKey(Y, True, False), SortKey(J, False, True))
            return job.add(Sort(u, order))
        case "distinct":
            return job.add(Distinct(job.add(Project(kept, (Named("k", K), Named("t", T))))))
        case _:
            return job.add(Aggregate(kept, ("k", "t"), _AGGREGATES))


_AGGREGATES = (
    AggregateColumn("n", "count_star", ()),
    AggregateColumn("s", "sum", (X,)),
    AggregateColumn("a", "avg", (X,)),
    AggregateColumn("g", "max", (X,)),
)
WHAT = (
    "inner", "left", "semi", "anti", "turned", "many-semi", "rest", "mark",
    "full", "sort", "unique-sort", "distinct", "groups",
)  # fmt: skip


def only_rows(run, sheet, parts):
    """A planted leak: places without a row are left out, so that sizes tell how many there are."""
    for places in parts:
        flips, planes = Sheet._open(cut_sheet(sheet, places))
        there = (planes[-1] & 1) == 1
        kept = Sheet(flips, [p[there].copy() for p in planes])
        yield from write_sheet(run, kept, [slice(None)])
