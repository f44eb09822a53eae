"""The register of operators with made-up secrets: what verification runs, on every kind of data.

A case makes secret columns of public shape and calls operators on them; no operator without a case
(tests hold that). The same cases are run under valgrind with their secrets poisoned (`watched`),
and recorded on other data: all records must be equal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from mc2.formats.facts import TableFacts
from mc2.formats.fixed import ChunkForm, fixed_places
from mc2.formats.schema import Column, DataType, Schema, decimal, parse_type
from mc2.operators import (
    arithmetic,
    bands,
    bits,
    blocks,
    cases_bytes,  # noqa: F401 - puts its cases into the register
    cases_dates,  # noqa: F401 - puts its cases into the register
    cases_lists,  # noqa: F401 - puts its cases into the register
    cases_shapes,  # noqa: F401 - puts its cases into the register
    cases_texts,  # noqa: F401 - puts its cases into the register
    chunks,
    comparisons,
    conversions,
    counting,
    dates,
    few_groups,
    grouping,
    joining,
    lenient,
    logic,
    numbers,
    ordering,
    packing,
    partial,
    planes,
    reach,
    rounding,
    spread,
    windows,
)
from mc2.operators.cases_sheets import sorted_together
from mc2.operators.grouping import Aggregate
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretTable,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.joining import On
from mc2.operators.made import (
    ALL_KINDS,
    CASES,
    DATA,
    INSTANT,
    KINDS,
    NARROW,
    TEXT,
    WIDE,
    Case,
    Made,
    case,
    count_words,
    everywhere,
)
from mc2.operators.ordering import Order, Ties
from mc2.operators.run import Run
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, FLOAT, INT32, INT64

__all__ = ["CASES", "DATA", "Case", "Made"]

_BOUND: Final = 23


# --- expressions


for _what in arithmetic.Operation:
    for _name, _kind in (
        ("integer", INT64),
        ("double", DOUBLE),
        ("wide", WIDE),
        ("narrow", NARROW),
    ):
        if (_what, _kind) == (arithmetic.Operation.REMAINDER, DOUBLE):
            continue

        @case(f"arithmetic.compute/{_what.name.lower()}_{_name}")
        def _compute(run: Run, made: Made, what: Any = _what, kind: Any = _kind) -> object:
            a, b = made.column(kind), made.column(kind)
            return arithmetic.compute(run, what, a, b, kind, everywhere(made))


for _name, (_kind, _width) in ALL_KINDS.items():

    @case(f"comparisons/{_name}")
    def _compare(run: Run, made: Made, kind: Any = _kind, width: Any = _width) -> object:
        a, b = made.column(kind, 2, width), made.column(kind, 2, width)
        return [
            function(run, a, b)
            for function in (
                comparisons.equal, comparisons.unequal, comparisons.less, comparisons.at_most,
                comparisons.same, comparisons.greatest, comparisons.least,
            )
        ]  # fmt: skip


@case("comparisons.equal_constant")
def _equal_constant(run: Run, made: Made) -> object:
    plain = made.column(TEXT, 2, 9)
    domain = (b"", b"\0", b"\1")
    codes = flat_words_of(made.column(INT64, 3))
    coded = SecretColumn(plain.layout, words_of(plain), known_of(plain), None, domain, codes)
    texts = b"", b"\1", b"not there", b"longer than nine"
    return [comparisons.equal_constant(run, value, *texts) for value in (plain, coded)]


@case("arithmetic.negative")
def _negative(run: Run, made: Made) -> object:
    return [
        arithmetic.negative(run, made.column(kind), everywhere(made))
        for kind in (INT64, DOUBLE, WIDE, INT32)
    ]


@case("numbers")
def _numbers(run: Run, made: Made) -> object:
    counts, days = everywhere(made), made.column(DATE, 20_000)
    found: list[object] = [
        numbers.whole(run, made.column(a), b, counts, upwards=up)
        for a, b in ((DOUBLE, INT64), (NARROW, decimal(11, 0)), (WIDE, decimal(27, 0)))
        for up in (False, True)
    ]
    a, b = made.column(INT64, 7), made.column(INT64, 3)
    found += [numbers.modulo(run, a, b, INT64, counts), numbers.sign(run, made.column(DOUBLE))]
    rest, ratio = arithmetic.Operation.REMAINDER, arithmetic.Operation.DIVIDE
    found.append(numbers.unless_zero(run, rest, a, b, INT64, counts))
    x, y = made.column(DOUBLE, 7), made.column(DOUBLE, 3)
    found.append(numbers.unless_zero(run, ratio, x, y, DOUBLE, counts))
    found.append(numbers.floored(run, made.column(INSTANT, 2**50), 10**6))
    found.append(numbers.count_bytes(run, made.column(TEXT, 127, 9), INT32))
    return [*found, dates.iso_day_of_week(run, days)]


@case("rounding")
def _rounding(run: Run, made: Made) -> object:
    counts = everywhere(made)
    kinds = ((NARROW, decimal(11, 0)), (WIDE, decimal(38, 0)), (INT64, INT64), (INT32, INT32))
    found: list[object] = [
        rounding.round_exact(run, made.column(a), digits, way, b, counts)
        for a, b in kinds
        for way in sorted(rounding.WAYS)
        for digits in (0, -2)
    ]
    found += [rounding.whole_double(run, made.column(DOUBLE), to_even=e) for e in (True, False)]
    return [*found, *(rounding.round_double(run, made.column(DOUBLE), d) for d in (0, 2, -1))]


@case("bits")
def _bits(run: Run, made: Made) -> object:
    a, b = made.column(INT64), made.column(INT64)
    small, places = made.column(INT32), made.column(INT32, 32)
    shifts = ("shift_left", "shift_right", "shift_right_unsigned")
    found: list[object] = [
        bits.combine_bits(run, what, a, b) for what in ("bits_and", "bits_or", "bits_xor")
    ]
    found += [bits.combine_bits(run, what, x, places) for what in shifts for x in (a, small)]
    found += [bits.turn_bits(run, a), bits.count_bits(run, small, INT32)]
    return [*found, bits.get_bit(run, small, places, everywhere(made))]


@case("lenient")
def _lenient(run: Run, made: Made) -> object:
    what = arithmetic.Operation
    found: list[object] = [
        lenient.try_compute(run, w, made.column(INT32, 2**31), made.column(INT32, 2**31), INT32)
        for w in (what.ADD, what.SUBTRACT, what.MULTIPLY)
    ]
    pairs = (
        (INT64, INT32), (DOUBLE, INT32), (DOUBLE, INT64), (WIDE, INT32), (NARROW, INT32),
        (INT64, NARROW), (WIDE, NARROW), (NARROW, WIDE), (BOOLEAN, NARROW), (INT64, DOUBLE),
        (DOUBLE, WIDE), (DOUBLE, FLOAT), (FLOAT, NARROW), (DATE, INSTANT),
    )  # fmt: skip
    return [*found, *(lenient.try_cast(run, made.column(a, 2), b) for a, b in pairs)]


@case("spread")
def _spread(run: Run, made: Made) -> object:
    starts, keep, value = made.marks(), made.marks(), made.column(DOUBLE)
    count = made.column(INT64)
    words = count_words(made)
    squares = spread.squared_distances(run, starts, keep, value, words)
    found = [spread.spread(run, f, squares, count, keep) for f in sorted(spread.SPREADS)]
    return [*found, spread.square_root(run, value)]


@case("conversions.cast")
def _cast(run: Run, made: Made) -> object:
    pairs = [
        (INT64, INT32), (DOUBLE, INT64), (NARROW, INT64), (WIDE, INT64), (INT64, NARROW),
        (NARROW, WIDE), (WIDE, NARROW), (INT64, DOUBLE), (BOOLEAN, INT64), (BOOLEAN, DOUBLE),
        (DATE, INSTANT), (INSTANT, DATE), (FLOAT, DOUBLE), (NARROW, DOUBLE),
        (WIDE, DOUBLE), (WIDE, BOOLEAN), (DOUBLE, BOOLEAN), (DOUBLE, NARROW), (DOUBLE, WIDE),
        (FLOAT, WIDE), (DOUBLE, FLOAT), (INT64, FLOAT), (WIDE, FLOAT),
    ]  # fmt: skip
    return [
        conversions.cast(run, made.column(a, 2), b, everywhere(made))
        for a, b in pairs
    ]  # fmt: skip


@case("dates")
def _dates(run: Run, made: Made) -> object:
    found: list[object] = []
    for kind in (DATE, INSTANT):
        days = made.column(kind, 2**30 if kind is INSTANT else 20_000)
        found += [dates.date_field(run, what, days) for what in dates.DATE_FIELDS]
        found += [dates.truncate(run, unit, days) for unit in dates.DATE_UNITS]
        found.append(dates.last_day(run, days))
    instants = made.column(INSTANT, 2**50)
    found += [dates.date_field(run, what, instants) for what in ("hour", "minute", "second")]
    found += [dates.truncate(run, unit, instants) for unit in dates.TIME_UNITS]
    day = made.column(DATE, 20_000)
    found.append(dates.add_months(run, day, made.column(INT32, 30)))
    year, month = made.column(INT32, 3000), made.column(INT32, 14)
    built = dates.make_date(run, year, month, made.column(INT32, 32), everywhere(made))
    return [*found, built]


@case("dates.shift")
def _shift(run: Run, made: Made) -> object:
    a, b = made.column(DATE, 20_000), made.column(DATE, 20_000)
    moved = dates.shift(run, a, made.column(INT32, 100), DATE, everywhere(made))
    return [moved, dates.difference(run, a, b, INT32, everywhere(made))]


@case("logic")
def _logic(run: Run, made: Made) -> object:
    a, b = made.column(BOOLEAN, 2), made.column(BOOLEAN, 2)
    value = made.column(INT64)
    return [
        logic.both(run, a, b), logic.either(run, a, b), logic.negation(run, a),
        logic.is_null(run, a), logic.is_null(run, a, negated=True), logic.is_true(run, a),
        logic.restrict(run, made.present(), a), logic.coalesce(run, value, made.column(INT64)),
        logic.choose(run, made.marks(), *(made.column(TEXT, text_bytes=9) for _ in range(2))),
    ]  # fmt: skip


# --- relations


@case("ordering")
def _ordering(run: Run, made: Made) -> object:
    table = made.table(*KINDS)
    orders = [Order(table.columns["r"], True, False), Order(table.columns["t"])]
    ordered = ordering.sort_table(run, table, orders)
    return [
        ordering.limit(run, ordered, 5, 2), ordering.rows_to_front(run, table),
        ordering.bounded(run, table, 7), ordering.union_all([table, ordered], list("itrwn")),
        ordering.present_marks(run, table, made.marks()),
    ]  # fmt: skip


_NUMBERS: Final = (("i", INT64), ("r", DOUBLE), ("w", WIDE), ("n", NARROW))


def _aggregates(made: Made, table: SecretTable, *, distinct: bool) -> list[Aggregate]:
    found = [Aggregate("c", "count_star", None, INT64)] if not distinct else []
    for name, kind in _NUMBERS:
        column = table.columns[name]
        summed = decimal(38, kind.scale) if kind.name == "decimal" else kind
        mean = decimal(38, kind.scale + 4) if kind.name == "decimal" else DOUBLE
        for function, result in (("sum", summed), ("avg", mean), ("min", kind), ("max", kind)):
            where = made.marks() if function == "sum" else None
            found.append(Aggregate(function + name, function, column, result, where, distinct))
    found.append(Aggregate("kt", "count", table.columns["t"], INT64, None, distinct))
    found.append(Aggregate("mt", "max", table.columns["t"], TEXT, None, distinct))
    found += [
        Aggregate(f, f, table.columns["r"], DOUBLE, None, distinct) for f in sorted(spread.SPREADS)
    ]
    truth = made.column(BOOLEAN, 2)
    found += [Aggregate(f, f, truth, BOOLEAN) for f in ("bool_and", "bool_or") if not distinct]
    return found


for _keys in ((), ("i",), ("t", "r", "w")):

    @case(f"grouping.group/{len(_keys)}")
    def _group(run: Run, made: Made, keys: Any = _keys) -> object:
        table = made.table(*KINDS)
        return grouping.group(run, table, keys, _aggregates(made, table, distinct=False), 12)


@case("grouping.group/distinct")
def _group_distinct(run: Run, made: Made) -> object:
    table = made.table(*KINDS)
    some = _aggregates(made, table, distinct=True)[::5]
    return [grouping.group(run, table, ["i"], some), grouping.group(run, table, [], some)]


@case("grouping.group/decided")
def _group_decided(run: Run, made: Made) -> object:
    table = made.table(*KINDS)  # facts that do not hold raise a flag, and nothing else shows it
    wanted = _aggregates(made, table, distinct=False)[:2]
    return grouping.group(run, table, ["i", "t", "r", "w"], wanted, 12, ["i"])


@case("ordering.sort_table/first")
def _sort_first(run: Run, made: Made) -> object:
    table = made.table(*KINDS)
    orders = [Order(table.columns["n"], True, False), Order(table.columns["i"], nullable=False)]
    return [ordering.sort_table(run, table, orders, first=n) for n in (0, 1, 2)]


@case("few_groups.group_few")
def _group_few(run: Run, made: Made) -> object:
    codes, days = flat_words_of(made.column(INT64, 3)), made.column(DATE, 4)
    known = made.marks()
    flags = packing.texts_of_codes(run, Layout(TEXT, 9), (b"A", b"N", b"R"), codes, known)
    small = SecretColumn(days.layout, words_of(days), known_of(days), (0, 3))
    columns = {"flag": flags, "day": small}
    table = SecretTable(columns, made.present())
    wanted = [
        Aggregate(f"{function}_{name}", function, value, kind, where)
        for name, value, kind in (
            ("wide", made.column(WIDE, 99), WIDE), ("whole", made.column(INT64, 99), INT64),
        )
        for function, where in (("sum", None), ("avg", made.marks()), ("count", None))
    ]  # fmt: skip
    wanted = [replace(a, kind=DOUBLE) if a.name == "avg_whole" else a for a in wanted]
    wanted.append(Aggregate("rows", "count_star", None, INT64))
    return [
        few_groups.group_few(run, table, ["flag", "day"], wanted, 16),
        few_groups.group_few(run, table, ["flag"], wanted, 4, ["flag"], []),
    ]


@case("joining.fetched")
def _fetched(run: Run, made: Made) -> object:
    rows, source, on = _sides(made)
    return joining.fetched(run, rows, source, on)


@case("bands")
def _bands(run: Run, made: Made) -> object:
    left, right, on = _sides(made)
    found = []
    for strict in (False, True):
        for name in ("i", "t", "r"):
            reach = bands.Reach(
                left.columns[name],
                right.columns[name.upper()],
                right.columns["I" if name == "i" else name.upper()],
                above_low=strict,
                below_high=strict,
            )
            keys = [On(one.left, one.right) for one in on[: 1 + strict]]
            found.append(bands.match_band(run, left, right, keys, reach, _BOUND))
    return found


@case("joining.look_up/few")
def _look_up_few(run: Run, made: Made) -> object:
    left, right, on = _sides(made)
    return joining.look_up(run, left, right, on[:1], unique=True)


@case("ordering.sort_table/unique")
def _sort_unique(run: Run, made: Made) -> object:
    table = made.table(*KINDS)
    orders = [Order(table.columns["r"], True, False), Order(table.columns["i"], nullable=False)]
    ties = Ties(["i", "t"], ["i"], ["t"], unique=True)
    return ordering.sort_table(run, table, orders, ties)


@case("grouping.distinct")
def _distinct(run: Run, made: Made) -> object:
    return grouping.distinct(run, made.table(*KINDS), 11)


def _sides(made: Made) -> tuple[SecretTable, SecretTable, list[On]]:
    left = made.table(*KINDS)
    right = made.table(*((n.upper(), k, w) for n, k, w in KINDS), rows=13)
    pairs = [On(left.columns["i"], right.columns["I"])]
    return left, right, [*pairs, On(left.columns["t"], right.columns["T"], nulls=True)]


@case("joining")
def _joining(run: Run, made: Made) -> object:
    left, right, on = _sides(made)
    return [
        joining.join_unique(run, left, right, on, outer=True),
        joining.join_unique(run, left, right, on[:1], outer=False),
        joining.partnered(run, left, right, on), joining.match(run, left, right, on, _BOUND),
        joining.cross(run, left, right), joining.numbered(left, "number"),
        joining.with_nulls(run, left, right, made.marks()),
        joining.look_up(run, left, right, on, unique=False),
    ]  # fmt: skip


_PLACES: Final = (
    windows.END, windows.Place(0), windows.Place(equals=True), windows.Place(2), windows.Place(-1),
)  # fmt: skip


def _ordered(run: Run, made: Made) -> windows.Ordered:
    table = made.table(*KINDS)
    orders = [Order(table.columns["r"], True, False)]
    ties = Ties(list(table.columns), nullable=list(table.columns))
    return windows.arrange(run, table, ["i"], orders, ties)


@case("windows.rank_rows")
def _rank_rows(run: Run, made: Made) -> object:
    rows = _ordered(run, made)
    names = ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile")
    return [rows.table, *(windows.rank_rows(run, rows, what, 3) for what in names)]


@case("windows.neighbour")
def _neighbour(run: Run, made: Made) -> object:
    rows = _ordered(run, made)
    pairs = [(rows.table.columns[n], made.column(k, text_bytes=w)) for n, k, w in KINDS]
    return [
        windows.neighbour(run, rows, value, away, default, ignore_nulls=ignore)
        for value, default in pairs
        for away, ignore in ((-1, False), (2, False), (-2, True), (1, True))
    ]


@case("windows.over_frame")
def _over_frame(run: Run, made: Made) -> object:
    rows = _ordered(run, made)
    ends = [e for e in _PLACES if not e.equals]
    spans = [windows.Span(windows.END, end) for end in _PLACES]
    spans += [windows.Span(start, windows.END) for start in _PLACES[1:]]
    spans += [windows.Span(a, b) for a in ends[1:] for b in ends[1:]]
    spans.append(windows.Span(_PLACES[2], _PLACES[2]))
    picks = [
        windows.Pick(rows.table.columns["t"], place, ignore)
        for place, ignore in ((1, False), (None, True))
    ]
    some = _aggregates(made, rows.table, distinct=False)[::5]
    wanted: list[Aggregate | windows.Pick] = [*some, *picks]
    found = [windows.over_frame(run, rows, what, span) for what in wanted for span in spans]
    nth = windows.Pick(rows.table.columns["w"], 2, True)
    return [*found, windows.over_frame(run, rows, nth, spans[1])]


@case("reach.over_span")
def _over_span(run: Run, made: Made) -> object:
    found: list[object] = []
    place, near = windows.Place, windows.Place(distance=1)
    spans = [
        windows.Span(start, end)
        for start in (windows.END, near, place(equals=True))
        for end in (windows.END, near, place(distance=-2))
        if start != windows.END or end != windows.END
    ]
    for key, descending in (("r", True), ("n", False), ("w", False)):
        table = made.table(*KINDS)
        orders = [Order(table.columns[key], descending, False)]
        rows = windows.arrange(run, table, ["i"], orders, Ties([]))
        order = Order(rows.table.columns[key], descending, False)
        picks = [
            windows.Pick(rows.table.columns["t"], place, ignore)
            for place, ignore in ((1, False), (None, True), (2, True))
        ]
        some = _aggregates(made, rows.table, distinct=False)[::5]
        wanted: list[Aggregate | windows.Pick] = [*some, *picks]
        found += [
            reach.over_span(run, rows, order, what, span) for what in wanted for span in spans
        ]
        ends = [windows.Span(start, windows.END) for start in (place(1), place(-1))]
        found += [reach.over_span(run, rows, None, picks[2], span) for span in ends]
    return found


@case("joining.check_one")
def _check_one(run: Run, made: Made) -> object:
    joining.check_one(run, made.column(INT64, 2), made.marks())
    return None


@case("counting.check_total")
def _check_total(run: Run, made: Made) -> object:
    table = made.table(("counts", INT64, 1))
    counting.check_total(run, table.present, table.columns["counts"], made.rows)
    return None


@case("ordering.declassified_rows")
def _declassified_rows(run: Run, made: Made) -> object:
    table = made.table(("i", INT64, 0))
    return [ordering.declassified_rows(run, table, leak) for leak in ("sizes", "rounded")]


@case("planes.canonical")
def _canonical(run: Run, made: Made) -> object:
    table = made.table(*KINDS)
    return [planes.canonical(run, c) for c in table.columns.values()]


def _carried(run: Run, tables: list[SecretTable]) -> SecretTable:
    """Tables of several tasks through their blocks, as one that another task reads."""
    plains = [plain for table in tables for plain, _ in blocks.write_blocks(run, table)]
    return blocks.read_blocks(run, planes.layouts_of(tables[0]), plains)


@case("blocks")
def _blocks(run: Run, made: Made) -> object:
    tables = [made.table(*KINDS), made.table(*KINDS, rows=5)]
    a, b = made.column(INT64, 2**62), made.column(INT64, 2**62)
    what = arithmetic.Operation.MULTIPLY  # may overflow: blocks carry the flag
    arithmetic.compute(run, what, a, b, INT64, everywhere(made))
    nothing = blocks.absent_row(planes.layouts_of(tables[0]))
    empty = SecretTable(
        {n: made.column(k, text_bytes=w, rows=0) for n, k, w in KINDS}, made.present(0)
    )
    return _carried(run, [*tables, nothing, empty])


@case("sheets")
def _sheets(run: Run, made: Made) -> object:
    return sorted_together([made.table(*KINDS), made.table(*KINDS, rows=7)], run)


for _keys in ((), ("i",), ("t", "r", "w")):

    @case(f"partial/{len(_keys)}")
    def _partial(run: Run, made: Made, keys: Any = _keys) -> object:
        found = []
        for rows in (made.rows, 7):
            task = Made(made.data, rows, made.poison)
            table = task.table(*KINDS)
            wanted = _mergeable(task, table)
            found.append(partial.partial_groups(run, table, keys, wanted, 12, None))
        merged = [partial.merged_aggregate(a.name, a.function, a.kind) for a in wanted]
        return partial.merged_groups(run, _carried(run, found), keys, merged, 12, None)


def _mergeable(made: Made, table: SecretTable) -> list[Aggregate]:
    """The aggregates that two steps give; of spread the second one, over squared distances."""
    return _aggregates(made, table, distinct=False)


_FORM_SCHEMA: Final = Schema(
    (
        Column("small", DataType("int16")),
        Column("t", TEXT, nullable=False),
        Column("w", WIDE),
        Column("n", NARROW),
        Column("yes", BOOLEAN),
        Column("f", FLOAT),
        Column("r", DOUBLE),
        Column("day", DATE),
        Column("l", parse_type("list<string>")),
        Column("s", parse_type("struct<a:boolean,l:list<decimal(30,4)>>")),
    )
)
_FORM_FACTS: Final = TableFacts(
    {"t": 9, "l": 2, "l[]": 3, "s.l": 3}, (), {"small": (0, 9)}, {"t": ("a", "b")}
)


@case("chunks")
def _chunks(run: Run, made: Made) -> object:
    places = fixed_places(_FORM_SCHEMA, _FORM_FACTS.widths, 7)
    form = ChunkForm(_FORM_SCHEMA, _FORM_FACTS, places, (made.rows, 5))
    plains = [made.chunk(places.size) for _ in range(-(-made.rows // 7) + 1)]
    names = ("t", "w", "small", "n", "yes", "f", "r", "day", "l", "s")
    found = chunks.read_chunks(run, form, plains, names)
    return [found, *chunks.write_chunks(run, found, _FORM_SCHEMA, places)]
