"""Functions of numbers in oblivious mode: what the encrypted engine gives, for awkward values."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError, PlanError
from mc2.formats.schema import decimal
from mc2.plan.expressions import Cast, ColumnRef, call, literal
from mc2.plan.relations import NamedExpression, Project
from mc2.plan.types import INT8, INT32, INT64

KINDS = schema(
    i="int64", j="int64", k="int32", d="double", e="double", n="decimal(7,2)", w="decimal(30,4)",
    t="timestamp", day="date", s="string",
)  # fmt: skip
DECIMALS = (decimal(5, 2), decimal(9, 0), decimal(38, 12), decimal(3, 3))
SMALL = 5e-324
EARLY = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC).replace(tzinfo=None)
ROWS = [
    (7, 2, 7, 1.5, 0.5, Decimal("1.50"), Decimal("2.5001"), EARLY, date(1969, 12, 31), "äé"),
    (-7, 2, -7, -1.5, 0.0, Decimal("-1.50"), Decimal("-2.5001"), EARLY, date(1970, 1, 4), ""),
    (7, -2, 1, -0.0, -0.0, Decimal("0.00"), Decimal("-1.0000"), EARLY, date(1970, 1, 5), "x"),
    (-7, -2, 2, SMALL, SMALL, Decimal("99999.99"), Decimal("0.0001"), None, None, "abc"),
    (-(2**63) + 1, -1, 3, -SMALL, -2.0, Decimal("-99999.99"), Decimal(10**25), None, None, None),
    (0, 3, 0, 4503599627370495.5, float("nan"), Decimal("0.01"), None, None, None, None),
    (6, 3, None, -4503599627370495.5, float("inf"), None, Decimal("-0.0001"), None, None, "q"),
    (None, 3, 1, None, 1.0, Decimal("0.05"), Decimal("0.0500"), None, None, None),
    (5, 2**62, 1, 2.0**62, None, Decimal("0.15"), Decimal("-0.0500"), None, None, None),
]
A, J, K, D, E, N, W, T, DAY, S = (ColumnRef(c.name) for c in KINDS.columns)
DIGITS = [literal(n, INT32) for n in (0, 1, 3, -1, -4)]
V = Cast(W, decimal(38, 0))
PARTS = [literal(Decimal(text), decimal(4, 3)) for text in ("3.700", "-0.007")]
TEN = literal(Decimal(10**9), decimal(10, 0))
SHIFTS = ("shift_left", "shift_right", "shift_right_unsigned")


def both(expression, rows=ROWS):
    made = Job(t=Source(KINDS, rows, bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert rows_of(fast) == rows_of(slow)
    assert [repr(v) for v in fast["r"].to_pylist()] == [repr(v) for v in slow["r"].to_pylist()]


@pytest.mark.parametrize(
    "expression",
    [
        call("integer_divide", A, J), call("modulo", A, J), call("try_remainder", A, J),
        call("try_remainder", A, A), call("modulo", K, literal(-3, INT32)),
        call("modulo", K, literal(3, INT32)), call("try_divide", D, E), call("try_divide", E, D),
        call("sign", D), call("sign", E), call("floor", D), call("ceil", D),
        *(call(f, x) for f in ("floor", "ceil") for x in (N, W)),
        *(call("round", x, n) for x in (N, W, K, D, E) for n in DIGITS),
        *(call("round_even", x, n) for x in (N, W, K) for n in DIGITS),
        *(call(f, x, n) for f in ("floor_to", "ceil_to") for x in (N, W) for n in DIGITS),
        *(call(f, x) for f in ("rint", "sqrt") for x in (D, E)), call("round_even", D, DIGITS[0]),
        *(call(f, A, J) for f in ("try_add", "try_subtract", "try_multiply")),
        call("try_add", A, A), call("try_multiply", A, A), call("try_multiply", D, E),
        call("try_subtract", call("negate", A), J), call("try_add", K, literal(2**31 - 5, INT32)),
        *(call(f, A, J) for f in ("bits_and", "bits_or", "bits_xor")), call("bits_not", K),
        *(call(f, x, K) for f in SHIFTS for x in (A, K)), call("bit_count", A),
        call("bit_count", K), call("bit_get", A, call("abs", K)),
        *(Cast(x, INT8, strict=False) for x in (A, J, D, E, N, W)),
        *(Cast(x, INT64, strict=False) for x in (D, E, W)),
        *(Cast(x, k, strict=False) for x in (A, N, W) for k in DECIMALS),
        call("iso_day_of_week", DAY), call("iso_day_of_week", T), call("epoch_second", T),
        call("byte_length", S),
        *(call("integer_divide", N, x) for x in (W, *PARTS)), call("integer_divide", W, TEN),
        *(call("modulo", x, y) for x in (N, W) for y in PARTS),
        *(call("try_remainder", x, y) for x in (N, W) for y in (N, W)),
        call("try_divide", N, N), call("try_multiply", N, N),
        *(call(f, x, y) for f in ("try_add", "try_subtract") for x, y in ((N, W), (W, N))),
    ],
)  # fmt: skip
def test_both_modes_agree(expression):
    both(expression)


@pytest.mark.parametrize(
    ("expression", "row"),
    [
        (call("integer_divide", A, J), {"i": 1, "j": 0}),
        (call("integer_divide", A, J), {"i": -(2**63), "j": -1}),
        (call("modulo", A, J), {"i": 1, "j": 0}),
        (call("modulo", N, W), {"n": Decimal("-0.01"), "w": Decimal(10**25)}),
        (call("modulo", N, W), {"n": Decimal("0.01"), "w": Decimal(0)}),
        (call("integer_divide", N, W), {"n": Decimal("0.01"), "w": Decimal(0)}),
        (call("integer_divide", W, N), {"n": Decimal("0.01"), "w": Decimal(10**25)}),
        (call("floor", D), {"d": float("nan")}),
        (call("ceil", D), {"d": 1e19}),
        (call("bit_get", A, K), {"i": 1, "k": 64}),
        (call("bit_get", A, K), {"i": 1, "k": -1}),
        (call("round", K, literal(-1, INT32)), {"k": 2**31 - 1}),
    ],
)
def test_what_has_no_answer_fails_the_job(expression, row):
    made = Job(t=Source(KINDS, [tuple(row.get(c.name) for c in KINDS.columns)], bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    checked, sources = obliviously(made.plan(out=node), made)
    with pytest.raises(EngineError, match="the computation failed"):
        run_obliviously(checked, sources)


@pytest.mark.parametrize(
    "expression",
    [
        call("try_divide", W, N), call("try_multiply", N, W), call("modulo", V, W),
        call("round", D, literal(23, INT32)), call("round_even", D, DIGITS[1]),
        call("round", W, literal(-34, INT32)), call("try_add", V, N),
    ],
)  # fmt: skip
def test_types_that_there_are_not_are_refused(expression):
    made = Job(t=Source(KINDS, ROWS, bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    with pytest.raises(PlanError, match="oblivious mode") as raised:
        obliviously(made.plan(out=node), made)
    assert raised.value.hint
