"""Aggregates in parts, between tasks: `mc2.plan.oblivious_parts` says which there are.

Whatever a part needs first, what a task hands on of it are groups of its own rows, and one task
puts all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from mc2.engine.oblivious.run import PlanRun
from mc2.operators import grouping, joining, logic, ordering, partial, sheets, spread
from mc2.operators.elements import in_layout
from mc2.operators.handles import (
    Layout,
    SecretMarks,
    SecretTable,
    known_of,
    layout_of,
    marks_of,
)
from mc2.operators.joining import On
from mc2.operators.planes import equality_keys
from mc2.operators.sheets import Sheet
from mc2.plan.oblivious_parts import Part, parts_of
from mc2.plan.relations import Aggregate
from mc2.plan.types import INT64

_FIRST: Final = "\0first"
_MEAN: Final = "\0mean"
_VALUE: Final = "p0"
"""The column of a part's argument, beside keys `k0`, ...: as groups of one aggregate have it."""


class PartsRun(PlanRun):
    """A run of nodes over tables that several tasks have."""

    _keeps_scans = False  # other tasks have rows of them

    def table_layouts(self, index: int) -> dict[str, Layout]:
        """How the columns of a node that are read lie in words: facts alone decide."""
        facts = self._facts[index]
        named = [c for c in self._schema(index).columns if c.name in self._steps.needed[index]]
        return {c.name: layout_of(c.type, facts.widths or {}, c.name) for c in named}

    def group_layouts(self, operation: Aggregate) -> dict[str, Layout]:
        """How the columns of what tasks have aggregated lie in words."""
        facts = self._facts[operation.source]
        return partial.layouts(operation, self._schema(operation.source), facts.widths or {})

    def value_layouts(self, index: int, part: int) -> dict[str, Layout]:
        """How keys and argument of a part lie in words."""
        operation = self._aggregate_of(index)
        return self.group_layouts(self._part(index, part).values(operation))

    def _aggregate_of(self, index: int) -> Aggregate:
        operation = self._plan.nodes[index].operation
        if not isinstance(operation, Aggregate):
            raise TypeError("only aggregates have parts")
        return operation

    def _parts(self, index: int) -> tuple[Part, ...]:
        operation = self._aggregate_of(index)
        found = parts_of(operation, self._schema(operation.source))
        if found is None:
            raise TypeError("the aggregate has no parts")
        return found

    def _part(self, index: int, part: int) -> Part:
        return self._parts(index)[part]

    def copies(self, index: int) -> int:
        """In how many places one task's groups of one key may stand: one for each part."""
        return len(self._parts(index))

    def _keys(self, index: int) -> tuple[list[str], list[str]]:
        """The keys of a part's rows, and those of them that decide all."""
        operation = self._aggregate_of(index)
        by = self._facts[operation.source].fewest(operation.keys)
        every = {key: f"k{i}" for i, key in enumerate(operation.keys)}
        return list(every.values()), [every[key] for key in by]

    def _counted(self, index: int, table: SecretTable, part: int) -> SecretTable:
        """Keys and argument of the rows that count for a part."""
        operation = self._aggregate_of(index)
        first = replace(operation, aggregates=self._part(index, part).columns[:1])
        (one,) = self._wanted(first, table, index)
        if one.argument is None:
            raise TypeError("a part is of an argument")
        marks = [marks_of(table.present), known_of(one.argument)]
        marks += [] if one.where is None else [one.where]
        columns = {f"k{i}": table.columns[key] for i, key in enumerate(operation.keys)}
        columns[_VALUE] = one.argument
        kept = SecretMarks(logic.conjunction(self.trace, *marks))
        return fitted(SecretTable(columns, kept), self.value_layouts(index, part))

    # --- distinct values

    def values_arranged(self, index: int, table: SecretTable, places: int, part: int) -> Sheet:
        """The different values of each group of a task's own rows, next to those of others."""
        found = self._counted(index, table, part)
        by = [*self._keys(index)[1], _VALUE]
        found = grouping.group(self.trace, found, list(found.columns), [], None, by)
        found = ordering.bounded(self.trace, found, places)
        keys = equality_keys(self.trace, [found.columns[n] for n in by], found.present)
        return sheets.table_sheet(self.trace, found, keys, places)

    def values_here(
        self, index: int, part: int, sheet: Sheet, before: int, after: int
    ) -> SecretTable:
        """Each value once, if its first place is a task's own."""
        found = sheets.table_of(self.trace, sheet, self.value_layouts(index, part))
        where = sheets.edge_marks(found.rows, before, after)
        once = grouping.Aggregate(_FIRST, "min", where, INT64)
        by = [*self._keys(index)[1], _VALUE]
        found = grouping.group(self.trace, found, list(found.columns), [once], None, by)
        return sheets.of_own(self.trace, found, _FIRST)

    # --- distances from means

    def means(self, index: int, part: int, sums: SecretTable) -> SecretTable:
        """The mean of each group, of what all tasks have added up."""
        operation = self._part(index, part).means(self._aggregate_of(index))
        found = self.merged(index, operation, [(operation, sums)])
        columns = {f"k{i}": found.columns[key] for i, key in enumerate(operation.keys)}
        columns[_VALUE] = found.columns[operation.aggregates[0].name]
        return SecretTable(columns, found.present)

    def distances(
        self, index: int, part: int, table: SecretTable, means: SecretTable
    ) -> SecretTable:
        """A task's rows with squared distances from the means of their groups, as argument."""
        found = self._counted(index, table, part)
        keys, by = self._keys(index)
        on = [On(found.columns[k], means.columns[k], nulls=True) for k in by]
        theirs = SecretTable({_MEAN: means.columns[_VALUE]}, means.present)
        rows, partners, _ = joining.look_up(self.trace, found, theirs, on, unique=True)
        far = spread.distances(self.trace, rows.columns[_VALUE], partners.columns[_MEAN])
        columns = {k: rows.columns[k] for k in keys}
        return SecretTable({**columns, _VALUE: far}, rows.present)

    # --- groups of a task's rows, and of all

    def grouped(self, index: int, operation: Aggregate, table: SecretTable) -> SecretTable:
        """Groups of a task's own rows, for some aggregates of a node."""
        by = self._facts[operation.source].fewest(operation.keys)
        wanted = self._wanted(operation, table, index)
        groups = (operation.keys, wanted, self._facts[index].rows, by)
        return partial.partial_groups(self.trace, table, *groups)

    def grouped_parts(self, index: int, tables: Sequence[SecretTable]) -> SecretTable:
        """Groups of all parts of what a task has, one part after the other."""
        operation, parts = (
            self._aggregate_of(index),
            [p.of(self._aggregate_of(index)) for p in self._parts(index)],
        )
        found = [(parts[0], self.grouped(index, parts[0], tables[0]))]
        for part, table in zip(parts[1:], tables[1:], strict=True):
            found.append((part, self.grouped_values(index, part, table)))
        return self._together(operation, found)

    def _together(
        self, operation: Aggregate, found: Sequence[tuple[Aggregate, SecretTable]]
    ) -> SecretTable:
        functions = [(a.name, a.function) for a in operation.aggregates]
        parts = []
        for part, table in found:
            layouts = self.group_layouts(replace(part, source=operation.source))
            parts.append(([a.name for a in part.aggregates], fitted(table, layouts)))
        return partial.together(parts, functions, self.group_layouts(operation))

    def grouped_values(self, index: int, operation: Aggregate, table: SecretTable) -> SecretTable:
        """Groups of keys and argument, for the aggregates of a part."""
        kinds, value = self._schema(index).by_name(), table.columns[_VALUE]
        wanted = [
            grouping.Aggregate(a.name, a.function, value, kinds[a.name].type)
            for a in operation.aggregates
        ]
        keys, by = self._keys(index)
        return partial.partial_groups(self.trace, table, keys, wanted, self._facts[index].rows, by)

    def merged(
        self,
        index: int,
        operation: Aggregate,
        found: Sequence[tuple[Aggregate, SecretTable]],
    ) -> SecretTable:
        """An aggregate of what tasks have aggregated: `found` are its parts."""
        table, kinds = self._together(operation, found), self._schema(index).by_name()
        wanted = [
            partial.merged_aggregate(a.name, a.function, kinds[a.name].type)
            for a in operation.aggregates
        ]
        by = self._facts[operation.source].fewest(operation.keys)
        groups = (operation.keys, wanted, self._facts[index].rows, by)
        return partial.merged_groups(self.trace, table, *groups)


def fitted(table: SecretTable, layouts: Mapping[str, Layout]) -> SecretTable:
    """The columns that layouts name, in rows of their size."""
    columns = {n: in_layout(table.columns[n], la) for n, la in layouts.items()}
    return SecretTable(columns, table.present)
