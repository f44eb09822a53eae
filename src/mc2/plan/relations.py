"""Relational operations. Each names its sources by their place in the plan, always an earlier one.

The classes are plain data with one JSON form each; what an operation gives, and whether it is well
typed, is found by `mc2.plan.infer`. Spec: docs/spec/plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, text_item
from mc2.formats.limits import LIMITS
from mc2.plan.expressions import EXPRESSION_DEPTH, Expression, Literal, read_expression

JOIN_KINDS: Final = ("inner", "left", "right", "full", "semi", "anti", "cross", "single")
LEAKS: Final = ("none", "rounded", "sizes")
ROW_COUNT_LIMIT: Final = 1 << 40
_FUNCTION_NAME_LENGTH: Final = 63
SORT_KEYS: Final = 256
_INPUTS: Final = 4096
VALUES_ROWS: Final = 10_000


def read_names(fields: Fields, name: str) -> tuple[str, ...]:
    """A list of column names."""
    return fields.items(name, LIMITS.columns, text_item(f"an item of {name}", lambda text, _: text))


def read_node(fields: Fields, name: str) -> int:
    """The place of an earlier node."""
    return fields.integer(name, 0, LIMITS.nodes - 1)


def read_nodes(fields: Fields, name: str) -> tuple[int, ...]:
    """The places of earlier nodes."""

    def item(value: Json) -> int:
        return Fields({name: value}, fields.what).integer(name, 0, LIMITS.nodes - 1)

    return fields.items(name, _INPUTS, item)


@dataclass(frozen=True, slots=True)
class Scan:
    """Some columns of an input, in the order given. `input` is its place among the inputs."""

    OP: ClassVar[str] = "scan"

    input: int
    columns: tuple[str, ...]

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads: none."""
        return ()

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"input": self.input, "columns": list(self.columns)}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(fields.integer("input", 0, LIMITS.inputs - 1), read_names(fields, "columns"))


@dataclass(frozen=True, slots=True)
class NamedExpression:
    """A column that is computed, and its name."""

    name: str
    expression: Expression

    def json(self) -> Json:
        """The column as canonical JSON has it."""
        return {"name": self.name, "expression": self.expression.json()}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one column. Raises: FormatError."""
        fields = Fields(value, "a column of a projection")
        found = cls(fields.text("name", 255), read_expression(fields.value("expression")))
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Project:
    """New columns computed from those of the source; keeps the order of rows."""

    OP: ClassVar[str] = "project"

    source: int
    columns: tuple[NamedExpression, ...]

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"source": self.source, "columns": [c.json() for c in self.columns]}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        columns = fields.items("columns", LIMITS.columns, NamedExpression.read)
        return cls(read_node(fields, "source"), columns)


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows for which the predicate is true, not false or NULL; keeps their order."""

    OP: ClassVar[str] = "filter"

    source: int
    predicate: Expression

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"source": self.source, "predicate": self.predicate.json()}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(read_node(fields, "source"), read_expression(fields.value("predicate")))


@dataclass(frozen=True, slots=True)
class Join:
    """Pairs of rows of two sources for which `on` is true.

    The two sides share no column name. `left`, `right` and `full` also keep the rows of that side
    that match nothing, with NULL on the other; `semi` and `anti` give rows of the left side only,
    those that match or do not. `single` is `left` where no row may match more than one: it fails
    the job if one does. `cross` pairs all and has no `on`; every other kind has one, but `single`
    need not.
    """

    OP: ClassVar[str] = "join"

    left: int
    right: int
    how: str
    on: Expression | None

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.left, self.right)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "left": self.left,
            "right": self.right,
            "how": self.how,
            "on": None if self.on is None else self.on.json(),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        on = fields.value("on")
        return cls(
            read_node(fields, "left"),
            read_node(fields, "right"),
            fields.choice("how", JOIN_KINDS),
            None if on is None else read_expression(on),
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """The rows of the left side, each once, and whether it matches a row of the right side.

    The column is true if `on` is true for one row of the right side at least; else NULL if it is
    NULL for one; else false. So it is what SQL's IN gives, and EXISTS where `on` is never NULL.
    """

    OP: ClassVar[str] = "mark"

    left: int
    right: int
    name: str
    on: Expression

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.left, self.right)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"left": self.left, "right": self.right, "name": self.name, "on": self.on.json()}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            read_node(fields, "left"),
            read_node(fields, "right"),
            fields.text("name", 255),
            read_expression(fields.value("on")),
        )


@dataclass(frozen=True, slots=True)
class AggregateColumn:
    """One aggregate: a function of `mc2.plan.aggregates` over its arguments.

    `distinct` takes each combination of arguments once; `where` takes only rows for which it is
    true.
    """

    name: str
    function: str
    arguments: tuple[Expression, ...]
    distinct: bool = False
    where: Expression | None = None

    def json(self) -> Json:
        """The aggregate as canonical JSON has it."""
        return {
            "name": self.name,
            "function": self.function,
            "arguments": [a.json() for a in self.arguments],
            "distinct": self.distinct,
            "where": None if self.where is None else self.where.json(),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one aggregate. Raises: FormatError."""
        fields = Fields(value, "an aggregate")
        where = fields.value("where")
        found = cls(
            fields.text("name", 255),
            fields.text("function", _FUNCTION_NAME_LENGTH),
            fields.items("arguments", 4, read_expression),
            fields.boolean("distinct"),
            None if where is None else read_expression(where),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One row for each combination of the key columns; without keys exactly one row.

    Its columns are the keys under their names, then the aggregates. NULL is a key like others.
    """

    OP: ClassVar[str] = "aggregate"

    source: int
    keys: tuple[str, ...]
    aggregates: tuple[AggregateColumn, ...]

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "source": self.source,
            "keys": list(self.keys),
            "aggregates": [a.json() for a in self.aggregates],
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            read_node(fields, "source"),
            read_names(fields, "keys"),
            fields.items("aggregates", LIMITS.columns, AggregateColumn.read),
        )


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of an order."""

    expression: Expression
    descending: bool
    nulls_first: bool

    def json(self) -> Json:
        """The key as canonical JSON has it."""
        return {
            "expression": self.expression.json(),
            "descending": self.descending,
            "nulls_first": self.nulls_first,
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one key. Raises: FormatError."""
        fields = Fields(value, "a sort key")
        found = cls(
            read_expression(fields.value("expression")),
            fields.boolean("descending"),
            fields.boolean("nulls_first"),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Sort:
    """The rows in order of the keys; equal ones in order of all columns, so that none is left."""

    OP: ClassVar[str] = "sort"

    source: int
    keys: tuple[SortKey, ...]

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"source": self.source, "keys": [k.json() for k in self.keys]}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(read_node(fields, "source"), fields.items("keys", SORT_KEYS, SortKey.read))


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` rows (None: all) after the first `offset`."""

    OP: ClassVar[str] = "limit"

    source: int
    count: int | None
    offset: int = 0

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"source": self.source, "count": self.count, "offset": self.offset}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""

        def count(name: str) -> int:
            return fields.integer(name, 0, ROW_COUNT_LIMIT)

        return cls(read_node(fields, "source"), fields.optional("count", count), count("offset"))


@dataclass(frozen=True, slots=True)
class RowBound:
    """The same rows, of which there are at most `rows`: more fail the job.

    An oblivious engine reserves room for exactly so many. `leak` says what the host learns of how
    many there are: `none`; `rounded`, the number rounded up to a power of two; `sizes`, the number
    itself. In encrypted mode it learns sizes anyway.
    """

    OP: ClassVar[str] = "bound"

    source: int
    rows: int
    leak: str = "none"

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"source": self.source, "rows": self.rows, "leak": self.leak}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            read_node(fields, "source"),
            fields.integer("rows", 0, LIMITS.row_bound),
            fields.choice("leak", LEAKS),
        )


@dataclass(frozen=True, slots=True)
class PairBound(RowBound):
    """A bound on how many rows those stand for that are there, as `counts` says of each.

    No plan that people sign has one: it is what becomes of a bound where rows have been grouped
    before (`mc2.plan.oblivious_eager`).
    """

    counts: Expression = field(kw_only=True)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "source": self.source,
            "rows": self.rows,
            "leak": self.leak,
            "counts": self.counts.json(),
        }


@dataclass(frozen=True, slots=True)
class Union:
    """All rows of the sources, one source after the other (UNION ALL).

    Columns go by place and take the first source's names; their types are the same in all.
    """

    OP: ClassVar[str] = "union"

    sources: tuple[int, ...]

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"sources": list(self.sources)}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(read_nodes(fields, "sources"))


@dataclass(frozen=True, slots=True)
class Distinct:
    """Each row once."""

    OP: ClassVar[str] = "distinct"

    source: int

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"source": self.source}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(read_node(fields, "source"))


@dataclass(frozen=True, slots=True)
class Explode:
    """A row for each element of a list, with the columns of the source before it.

    `position`, if not None, names a column that counts the elements of a list from 0. With `outer`
    a row whose list is empty or NULL stays, with NULL as its element and position.
    """

    OP: ClassVar[str] = "explode"

    source: int
    expression: Expression
    name: str
    position: str | None = None
    outer: bool = False

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "source": self.source,
            "expression": self.expression.json(),
            "name": self.name,
            "position": self.position,
            "outer": self.outer,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            read_node(fields, "source"),
            read_expression(fields.value("expression")),
            fields.text("name", 255),
            fields.optional("position", lambda name: fields.text(name, 255)),
            fields.boolean("outer"),
        )


@dataclass(frozen=True, slots=True)
class Values:
    """Rows that the plan itself holds, as literals; in each place they have one type."""

    OP: ClassVar[str] = "values"

    columns: tuple[str, ...]
    rows: tuple[tuple[Literal, ...], ...]

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads: none."""
        return ()

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        rows: list[Json] = [[item.json() for item in row] for row in self.rows]
        return {"columns": list(self.columns), "rows": rows}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(read_names(fields, "columns"), fields.items("rows", VALUES_ROWS, _read_row))


def _read_row(value: Json) -> tuple[Literal, ...]:
    def item(inner: Json) -> Literal:
        found = read_expression(inner, EXPRESSION_DEPTH)
        if not isinstance(found, Literal):
            raise FormatError("a row of values holds literals only")
        return found

    return Fields({"row": value}, "a row of values").items("row", LIMITS.columns, item)


RelationalOperation = (
    Scan
    | Project
    | Filter
    | Join
    | Mark
    | Aggregate
    | Sort
    | Limit
    | RowBound
    | Union
    | Distinct
    | Explode
    | Values
)
