"""Cases of public shapes on which operators go other ways: see `mc2.operators.cases`.

No rows, declared ends of numbers, more words to sort by than one network compares, types that need
no work.
"""

from __future__ import annotations

from typing import Final

from mc2.formats.facts import TableFacts
from mc2.formats.fixed import ChunkForm, fixed_places
from mc2.formats.schema import Column, DataType, Schema, decimal
from mc2.operators import (
    arithmetic,
    ascending,
    carried,
    comparisons,
    constants,
    conversions,
    dates,
    exact,
    grouping,
    joining,
    lining,
    ordering,
    packing,
    pairing,
    partial,
    planes,
    seams,
    sheets,
    spread,
    texts,
    windows,
)
from mc2.operators.grouping import Aggregate
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretMarks,
    SecretTable,
    flat_words_of,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.joining import On
from mc2.operators.made import INSTANT, KINDS, NARROW, TEXT, WIDE, Made, case, everywhere
from mc2.operators.ordering import Order, Ties
from mc2.operators.run import Run
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, INT32, INT64

_LONG: Final = 70
"""Bytes of texts that alone have more words than one network compares."""


def _within(value: SecretColumn, least: int, greatest: int) -> SecretColumn:
    """A column whose ends are declared; that values are between them is for its reader to see."""
    return SecretColumn(value.layout, words_of(value), known_of(value), (least, greatest))


def _declared(made: Made, rows: int | None = None) -> SecretTable:
    rows = made.rows if rows is None else rows
    columns = {
        "i": _within(made.column(INT64, rows=rows), 0, 99),
        "s": made.column(INT32, rows=rows),
        "d": _within(made.column(DATE, rows=rows), -5, 1000),
        "one": _within(made.column(INT64, 1, rows=rows), 0, 0),
        "yes": made.column(BOOLEAN, 2, rows=rows),
        "t": made.column(TEXT, text_bytes=9, rows=rows),
        "w": made.column(WIDE, rows=rows),
    }
    return SecretTable(columns, made.present(rows))


@case("arithmetic.compute/scales")
def _short_decimals(run: Run, made: Made) -> object:
    """Sums and products of decimals of one word, of two, and at other scales."""
    counts, add, times = everywhere(made), arithmetic.Operation.ADD, arithmetic.Operation.MULTIPLY
    tenths, hundredths = (made.column(decimal(4, scale), 9_999) for scale in (1, 2))
    kinds = (
        (add, decimal(6, 2)), (add, decimal(4, 2)), (add, decimal(30, 2)),
        (times, decimal(8, 3)), (times, decimal(20, 3)), (times, decimal(8, 2)),
        (arithmetic.Operation.REMAINDER, decimal(4, 2)),
    )  # fmt: skip
    return [arithmetic.compute(run, what, tenths, hundredths, kind, counts) for what, kind in kinds]


@case("packing.texts_of_codes")
def _texts_of_codes(run: Run, made: Made) -> object:
    """Texts that somebody reads: their words are looked up then, once."""
    codes, known = flat_words_of(made.column(INT64, 3)), made.marks()
    value = packing.texts_of_codes(run, Layout(TEXT, 9), (b"A", b"N", b"R"), codes, known)
    return [comparisons.same(run, value, value), value]


@case("packing/declared")
def _packed(run: Run, made: Made) -> object:
    table = _declared(made)
    orders = [
        Order(table.columns["d"], descending=True),
        Order(table.columns["yes"], True, False),
        Order(table.columns["i"], nullable=False),
        Order(table.columns["one"]),
    ]
    everything = list(table.columns)
    return [
        *(ordering.sort_table(run, table, orders, first=n) for n in (None, 3)),
        ordering.sort_table(run, table, orders, Ties(everything, nullable=everything)),
        ordering.bounded(run, table, 7),
        grouping.distinct(run, table, 11),
        grouping.group(run, table, ["d", "s"], [Aggregate("c", "count_star", None, INT64)], 9),
    ]


@case("packing/sort_packed")
def _many_keys(run: Run, made: Made) -> object:
    table = made.table(*KINDS, ("long", TEXT, _LONG))
    orders = [Order(table.columns[n]) for n in ("long", "t", "r")]
    packer = packing.Packer(run, packing.Form(), table.rows)
    packer.column(table.columns["long"])
    bits = packer.form.used
    packed = packer.table(table)
    rows = packing.Source(packing.sort_packed(run, packer.written(), bits))
    return [
        rows.highest(run, bits), rows.table(run, packed),
        ordering.sort_table(run, table, orders), grouping.distinct(run, table, 11),
    ]  # fmt: skip


@case("joining/declared")
def _joined(run: Run, made: Made) -> object:
    left = _declared(made)
    columns = {n.upper(): c for n, c in _declared(made, 13).columns.items()}
    columns["I"] = _within(columns["I"], -3, 400)
    right = SecretTable(columns, made.present(13))
    days = SecretColumn(Layout(DATE), words_of(columns["D"]), known_of(columns["D"]))
    columns["U"] = days
    found: list[object] = []
    for names in ("iI", "dD", "dU", "sS", "iIdD"):
        pairs = [
            On(left.columns[a], right.columns[b])
            for a, b in zip(names[::2], names[1::2], strict=True)
        ]
        found += [joining.look_up(run, left, right, pairs, unique=u) for u in (True, False)]
        found.append(joining.join_unique(run, left, right, pairs, outer=True))
    return found


@case("grouping.group/no_rows")
def _no_rows(run: Run, made: Made) -> object:
    table = made.table(*KINDS, rows=0)
    count = Aggregate("c", "count_star", None, INT64)
    wanted = [count, Aggregate("s", "sum", table.columns["i"], INT64)]
    wanted.append(Aggregate("d", "count", table.columns["n"], INT64, distinct=True))
    return grouping.group(run, table, [], wanted)


@case("exact")
def _exact(run: Run, made: Made) -> object:
    value, keep, ends = made.column(DOUBLE), made.marks(), made.marks()
    starts = made.marks()
    found = [
        exact.group_states(run, starts, ends, keep, value, groups, least=4)
        for groups in (1, 3, made.rows)
    ]
    added = exact.added_up(
        run, starts[: found[1].rows].copy(), keep[: found[1].rows].copy(), found[1]
    )
    return [*found, SecretColumn(value.layout, added.reshape(-1, 1), keep[: len(added)].copy())]


@case("spread.distances")
def _distances(run: Run, made: Made) -> object:
    return spread.distances(run, made.column(DOUBLE), made.column(DOUBLE))


@case("partial/together")
def _together(run: Run, made: Made) -> object:
    table = made.table(*KINDS)
    wanted = [
        Aggregate("m", "avg", table.columns["n"], decimal(38, 6)),
        Aggregate("r", "sum", table.columns["r"], DOUBLE),
    ]
    found = [partial.partial_groups(run, table, ["i"], [one], 12, None) for one in wanted]
    layouts = dict(planes.layouts_of(found[0]))
    layouts["p2"] = planes.layouts_of(found[1])["p0"]
    functions = [(one.name, one.function) for one in wanted]
    every = partial.together(
        [([n], t) for (n, _), t in zip(functions, found, strict=True)], functions, layouts
    )
    merged = [partial.merged_aggregate(a.name, a.function, a.kind) for a in wanted]
    return partial.merged_groups(run, every, ["i"], merged, 24, None)


@case("partial/own")
def _partial_own(run: Run, made: Made) -> object:
    table = made.table(*KINDS)
    wanted = [Aggregate("m", "avg", table.columns["n"], decimal(38, 6))]
    found = partial.partial_groups(run, table, ["i"], wanted, 12, None)
    merged = [partial.merged_aggregate(a.name, a.function, a.kind) for a in wanted]
    own = sheets.edge_marks(found.rows, 1, 2)
    return partial.merged_groups(run, found, ["i"], merged, 12, None, own)


@case("sheets/one_network")
def _one_network(run: Run, made: Made) -> object:
    found = []
    for rows in (made.rows, 7, 5):
        table = made.table(*KINDS[:1], rows=rows)
        keys = planes.order_keys(run, table.columns["i"])
        found.append(sheets.table_sheet(run, table, keys, rows + 2))
    layouts = planes.layouts_of(table)
    return sheets.table_of(run, sheets.merged(run, found), layouts)


@case("carried")
def _carried(run: Run, made: Made) -> object:
    """A task's rows between those of two others, of whom each tells what it must."""
    whats: list[Aggregate | windows.Pick] = []
    lines = []
    for rows in (9, made.rows, 7):
        table = made.table(*KINDS, rows=rows)
        orders = [Order(table.columns["n"])]
        keys = windows.window_keys(run, table, ["t"], orders)
        columns = table.columns
        whats = [
            Aggregate("n", "count_star", None, INT64, made.marks(rows)),
            Aggregate("si", "sum", columns["i"], INT64),
            Aggregate("mt", "max", columns["t"], TEXT),
            windows.Pick(columns["t"], 1),
            windows.Pick(columns["i"], None, True),
        ]
        lines.append(carried.line_of(run, marks_of(table.present), keys, dict(enumerate(whats))))
    told = [carried.told(run, line) for line in lines]
    line = lines[1].around(told[0], told[2])
    places = carried.ordered(run, line)
    spans = (windows.Span(windows.END, windows.END), windows.Span(windows.END, windows.Place(-1)))
    found = [
        windows.over_frame(run, places, what, span)
        for what in carried.functions_of(run, line).values()
        for span in spans
    ]
    ranks = [windows.rank_rows(run, places, n) for n in ("row_number", "rank", "dense_rank")]
    return [*told, *found, *ranks]


@case("pairing")
def _pairing(run: Run, made: Made) -> object:
    """A task's rows between those of two others, and its share of the places of pairs."""
    lined, left = [], made.table(*KINDS, rows=9)
    for size in (9, made.rows, 7):
        left, right = made.table(*KINDS, rows=size), made.table(*KINDS, rows=5)
        on = [On(left.columns["i"], right.columns["i"])]
        keys, words = lining.line_up(run, left, right, on)
        lined.append(sheets.sorted_sheet(run, keys, words, size + 6))
    told = sheets.joined_sheets([pairing.told_numbers(run, one) for one in lined])
    here = pairing.numbers(run, lined[1], told, 1, 50)
    rows, _ = sheets.both_sides(run, lined[1], planes.layouts_of(left), planes.layouts_of(left))
    rows = SecretTable({**rows.columns, "start": here.start}, SecretMarks(here.has_pairs))
    asked = pairing.markers(range(11, 11 + rows.rows), 50, "place")
    earlier = ordering.cut(rows, 0, 1)
    return [here, pairing.placed(run, rows, earlier, asked, ("start", "place"))]


@case("windows/unique")
def _unique(run: Run, made: Made) -> object:
    table = made.table(*KINDS)
    orders, ties = [Order(table.columns["n"], nullable=False)], Ties(["i"], ["i"], unique=True)
    rows = windows.arrange(run, table, ["t"], orders, ties)
    spans = [windows.Span(windows.Place(a), windows.Place(b)) for a, b in ((2, 0), (1, 1), (0, 3))]
    columns = rows.table.columns
    wanted = [
        Aggregate("si", "sum", columns["i"], INT64),
        Aggregate("an", "avg", columns["n"], decimal(38, 6)),
        Aggregate("sw", "sum", columns["w"], decimal(38, 4)),
    ]
    return [windows.over_frame(run, rows, what, span) for what in wanted for span in spans]


@case("conversions.cast/alike")
def _alike(run: Run, made: Made) -> object:
    pairs = [
        (INSTANT, DataType("timestamp_utc")), (NARROW, decimal(10, 2)), (WIDE, decimal(33, 4)),
        (INT64, decimal(20, 0)), (BOOLEAN, BOOLEAN), (TEXT, TEXT),
    ]  # fmt: skip
    counts = everywhere(made)
    found: list[object] = [
        conversions.cast(run, made.column(a, 2, 9 * a.has_width), b, counts) for a, b in pairs
    ]
    day, instant = made.column(DATE, 20_000), made.column(INSTANT, 2**50)
    found += [dates.truncate(run, "hour", day), dates.truncate(run, "hour", instant)]
    return [*found, dates.add_months(run, instant, made.column(INT32, 30))]


@case("constants")
def _constants(run: Run, made: Made) -> object:
    text = made.column(TEXT, 127, 9)
    values = constants.column_of_values(Layout(INT64), [None, *range(1, made.rows)])
    steps = texts.like_steps("a\\%_%")
    matched = texts.matches(run, text, steps)
    joined = On(values, made.column(INT64, made.rows))
    left = SecretTable({"v": joined.left}, constants.all_marks(made.rows, value=True))
    right = SecretTable({"w": joined.right}, made.present())
    return [matched, joining.partnered(run, left, right, [joined])]


@case("seams")
def _ends(run: Run, made: Made) -> object:
    schema = Schema((Column("i", INT64, nullable=False),))
    places = fixed_places(schema, {}, 4)
    readers = [
        seams.ends_of(
            run,
            made.present(made.rows),
            ChunkForm(schema, TableFacts({}), places, (made.rows,), goes_on),
        )
        for goes_on in ((False, True), (True, True), (True, False))
    ]
    seams.check_ends(run, [*readers[:2], seams.no_ends(), readers[2]])
    return [run.flags(), *readers]


@case("ascending")
def _ascending(run: Run, made: Made) -> object:
    left = _ordered(run, _declared(made), "i")
    right = _ordered(run, _declared(made, 67), "i")
    others = _declared(made, 67)
    found: list[object] = [
        ordering.bounded(run, left, 7),
        ordering.cut(left, 2, 9),
        grouping.group(run, left, ["i", "t"], _counted(left), 11, ["i"]),
        grouping.group(run, left, ["i"], [*_counted(left), *_counted(left, distinct=True)]),
    ]
    for one, other, nulls in ((left, right, True), (left, others, True), (others, right, False)):
        renamed = SecretTable({n.upper(): c for n, c in other.columns.items()}, other.present)
        on = [On(one.columns["i"], other.columns["i"], nulls)]
        found += [
            joining.join_unique(run, one, renamed, on, outer=False),
            joining.join_unique(run, one, renamed, on, outer=True),
            joining.partnered(run, one, renamed, on),
            joining.match(run, one, renamed, on, 50),
        ]
    return found


def _ordered(run: Run, table: SecretTable, name: str) -> SecretTable:
    """A table that somebody declared to come in order of a column, true or not."""
    column = ascending.checked_order(run, table.columns[name], marks_of(table.present))
    return SecretTable({**table.columns, name: column}, table.present)


def _counted(table: SecretTable, *, distinct: bool = False) -> list[Aggregate]:
    names = "distinct" if distinct else "all"
    return [
        Aggregate(f"{names}_{f}", f, table.columns["s"], INT64, None, distinct)
        for f in ("sum", "count")
    ]
