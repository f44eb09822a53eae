"""Cases of operators of lists and structs: see `mc2.operators.cases`."""

from __future__ import annotations

from typing import Final

from mc2.formats.schema import DataType, parse_type
from mc2.operators import collecting, comparisons, elements, lengths, lists, ordering
from mc2.operators.grouping import Aggregate, group
from mc2.operators.handles import SecretColumn, SecretTable, known_of, words_of
from mc2.operators.logic import column, conjunction
from mc2.operators.made import TEXT, WIDE, Made, case, everywhere
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE, INT32, INT64

_STRUCT: Final = parse_type("struct<a:int64,b:string>")
_MOST: Final = 3
_PAIRS: Final = {
    kind: parse_type(f"list<struct<first:{kind},second:{kind}>>") for kind in (INT64, DOUBLE, TEXT)
}


def _list(run: Run, made: Made, kind: DataType) -> SecretColumn:
    """Lists of no more elements than places; some are NULL, and so are some elements."""
    inside = made.column(kind, 3, 9 * kind.has_width, rows=made.rows * _MOST)
    sizes = words_of(made.column(INT64, _MOST + 1)).reshape(-1)
    there = elements.places_below(run, sizes, _MOST)
    known = conjunction(run, there, known_of(inside))
    value = column(run, inside.layout, words_of(inside), known)
    return elements.listed(run, elements.Elements(_MOST, there, value), made.marks())


for _kind, _name in ((INT64, "int64"), (DOUBLE, "double"), (TEXT, "text")):

    @case(f"lists/{_name}")
    def _functions(run: Run, made: Made, kind: DataType = _kind) -> object:
        counts, a, b = everywhere(made), _list(run, made, kind), _list(run, made, kind)
        one, place = made.column(kind, 3, 9 * kind.has_width), made.column(INT32, 4)
        small = made.column(INT32, 2)
        orders = [(up, first) for up in (True, False) for first in (True, False)]
        return [
            lists.list_size(run, a), lists.element(run, a, place, counts),
            lists.element(run, a, place, None), lists.contains(run, a, one),
            lists.position(run, a, one), lists.distinct(run, a),
            *(lists.in_order(run, a, rising=up, nulls_first=first) for up, first in orders),
            lists.extreme(run, a, most=True), lists.extreme(run, a, most=False),
            lists.joined_lists(run, [a, b, a]), lists.union(run, a, b),
            lists.intersection(run, a, b, inside=True), lists.intersection(run, a, b, inside=False),
            lists.overlap(run, a, b), lists.without(run, a, one), lists.without(run, a, None),
            lists.with_element(run, a, one, at_end=True), lists.backwards(run, a),
            lists.with_element(run, a, one, at_end=False),
            lists.part_of(run, a, place, small, counts),
            lists.part_of(run, a, place, small, counts, 1),
            lists.repeat(run, one, 2), lists.repeat(run, one, 0),
            lists.flattened(run, lists.make_list(run, [a, b])),
            lists.each(run, a, lambda value, _: value, counts),
            lists.zipped(run, _PAIRS[kind], a, b),
            lists.zipped(run, _PAIRS[kind], lists.part_of(run, a, place, small, counts, 1), b),
        ]  # fmt: skip


@case("lists/made")
def _made(run: Run, made: Made) -> object:
    counts, a = everywhere(made), _list(run, made, TEXT)
    mark, absent, n = made.column(TEXT, 127, 2), made.column(TEXT, 127, 20), made.column(INT64)
    whole = lists.make_struct(run, _STRUCT, [n, mark])
    pair = lists.make_list(run, [whole, whole])
    wider = elements.in_one_layout([pair, lists.make_list(run, [whole])])
    return [
        lists.in_one_text(run, a, mark, None, counts), lists.contains(run, pair, whole),
        lists.in_one_text(run, a, mark, absent, counts),
        lists.field(run, whole, "a"), lists.field(run, whole, "b"), *wider,
    ]  # fmt: skip


@case("lists/lengths")
def _lengths(run: Run, made: Made) -> object:
    counts, a = everywhere(made), _list(run, made, INT64)
    ends, step = (made.column(INT64, 9), made.column(INT64, 9)), made.column(INT64, 3)
    text, count = made.column(TEXT, 127, 9), made.column(INT32, 4)
    return [
        lengths.at_most(run, a, 2, counts), lengths.at_most(run, a, _MOST, counts),
        lengths.repeat_up_to(run, text, count, 2, counts),
        lengths.sequence(run, ends, step, 4, counts),
        *(lengths.split(run, text, b"a", 3, limit) for limit in (None, 2)),
    ]  # fmt: skip


@case("lists/compared")
def _compared(run: Run, made: Made) -> object:
    found = [_list(run, made, kind) for kind in (DOUBLE, TEXT, WIDE)]
    key = lists.make_struct(run, _STRUCT, [made.column(INT64), made.column(TEXT, 127, 2)])
    table = SecretTable({"k": key, "l": found[0]}, made.present())
    wanted = [Aggregate(f"m{i}", "max", one, one.type) for i, one in enumerate(found)]
    return [
        *(comparisons.less(run, one, _list(run, made, one.layout.parts[0].type)) for one in found),
        comparisons.greatest(run, key, key), group(run, table, ["k", "l"], wanted),
    ]  # fmt: skip


for _keys in ((), ("i",)):

    @case(f"collecting/{len(_keys)}")
    def _collecting(run: Run, made: Made, keys: tuple[str, ...] = _keys) -> object:
        table = made.table(("i", INT64, 0), ("t", TEXT, 9), ("r", DOUBLE, 0))
        wanted = [
            collecting.Collected(f"{n}{once}", table.columns[n], 3, once, mark, made.marks())
            for n, mark in (("i", None), ("r", None), ("t", b", "))
            for once in (True, False)
        ]
        none = ordering.cut(table, 0, 0)
        few = [collecting.Collected("i", none.columns["i"], 2)]
        return [
            collecting.collect_groups(run, table, keys, wanted, 12, keys),
            collecting.collect_groups(run, none, keys, few, 1 - len(keys), keys),
        ]  # fmt: skip


@case("lists/exploded")
def _exploded(run: Run, made: Made) -> object:
    table = made.table(("i", INT64, 0), ("t", TEXT, 9))
    a = _list(run, made, TEXT)
    rows = lists.exploded(run, table, a, "e", "p", outer=True)
    widths = {"t": 12, "e": 9}
    return [
        rows, lists.exploded(run, table, a, "e", None, outer=False),
        elements.fitted_columns(rows, ["i", "t", "e"], widths),
    ]  # fmt: skip
