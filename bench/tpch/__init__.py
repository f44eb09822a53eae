"""TPC-H without its tools: tables with its schema and distributions, and its 22 queries.

The rows follow the rules of the specification's section 4.2 (keys, prices, dates, flags), with our
own words and random numbers, so counts differ from dbgen's; no query is empty at scale 0.01. The
same scale gives the same bytes everywhere. The queries stand in `q01.sql` to `q22.sql`, with the
specification's validation parameters, dates computed by hand, and tables by their plain names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TABLES: Final = (
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier",
)  # fmt: skip
QUERIES: Final = tuple(range(1, 23))

_MONEY: Final = pa.decimal128(12, 2)
_FIRST_DAY: Final = 8035  # 1992-01-01, in days since 1970
_LAST_ORDER: Final = 10440  # 1998-08-02
_TODAY: Final = 9298  # 1995-06-17
_REGIONS: Final = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
_NATIONS: Final = (
    ("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0),
    ("FRANCE", 3), ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4),
    ("JAPAN", 2), ("JORDAN", 4), ("KENYA", 0), ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1),
    ("CHINA", 2), ("ROMANIA", 3), ("SAUDI ARABIA", 4), ("VIETNAM", 2), ("RUSSIA", 3),
    ("UNITED KINGDOM", 3), ("UNITED STATES", 1),
)  # fmt: skip
_COLOURS: Final = (
    "almond", "azure", "beige", "black", "blue", "brown", "coral", "cream", "cyan", "dark",
    "forest", "ghost", "gold", "green", "grey", "honey", "indigo", "ivory", "khaki", "lemon",
    "lilac", "lime", "linen", "maroon", "mint", "navy", "olive", "orange", "peach", "pink",
    "plum", "purple", "red", "rose", "sand", "silver", "sky", "snow", "tan", "white",
)  # fmt: skip
_SYLLABLES: Final = (
    ("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"),
    ("ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"),
    ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER"),
)
_SIZES: Final = ("SM", "LG", "MED", "JUMBO", "WRAP")
_BOXES: Final = ("CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM")
_SEGMENTS: Final = ("AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD")
_PRIORITIES: Final = ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW")
_INSTRUCTIONS: Final = ("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN")
_MODES: Final = ("REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB")
_WORDS: Final = (
    "quickly", "packages", "wait", "special", "deposits", "sleep", "near", "requests", "final",
    "accounts", "above", "the", "bold", "theodolites", "express", "ideas", "pending", "foxes",
)  # fmt: skip


def query(number: int) -> str:
    """The text of a query, 1 to 22."""
    return (Path(__file__).parent / f"q{number:02}.sql").read_text()


def script(number: int, party: str, *, to: str) -> str:
    """A script that releases a query's result, `q01` to `q22`, over datasets `party.<table>`."""
    text = query(number)
    words = set(re.findall(r"[a-z]+", re.sub(r"--.*", "", text)))
    views = [f'job.view("{n}", job.table("{party}.{n}"))' for n in TABLES if n in words]
    lines = ["import mc2", f'job = mc2.Job("TPC-H query {number}")', *views]
    lines.append(f'job.release("q{number:02}", job.sql("""{text}"""), to="{to}")')
    return "\n".join(lines) + "\n"


def tables(scale: float) -> dict[str, pa.Table]:
    """All eight tables. Scale 1 has 6 million rows of lineitem."""
    make = _Maker(scale)
    orders = make.order_keys()
    lineitem, totals, status = make.lineitem(orders)
    return {
        "customer": make.customer(),
        "lineitem": lineitem,
        "nation": make.nation(),
        "orders": make.orders(orders, totals, status),
        "part": make.part(),
        "partsupp": make.partsupp(),
        "region": make.region(),
        "supplier": make.supplier(),
    }


class _Maker:
    """Makes tables column by column; `n` is the number of rows of the table being made."""

    def __init__(self, scale: float) -> None:
        self.rng = np.random.Generator(np.random.PCG64(2))
        self.suppliers = max(round(10_000 * scale), 4)
        self.parts = max(round(200_000 * scale), 4)
        self.customers = max(round(150_000 * scale), 4)
        self.order_count = max(round(1_500_000 * scale), 8)

    def numbers(self, low: int, high: int, n: int) -> np.ndarray:
        return self.rng.integers(low, high, n, endpoint=True)

    def picks(self, words: Sequence[str], n: int) -> pa.Array:
        return pa.array(words).take(pa.array(self.numbers(0, len(words) - 1, n)))

    def text(self, n: int, words: int) -> pa.Array:
        return _joined(*(self.picks(_WORDS, n) for _ in range(words)))

    def region(self) -> pa.Table:
        keys = range(len(_REGIONS))
        return _table(
            r_regionkey=pa.array(keys, pa.int64()),
            r_name=pa.array(_REGIONS),
            r_comment=self.text(len(_REGIONS), 4),
        )

    def nation(self) -> pa.Table:
        return _table(
            n_nationkey=pa.array(range(len(_NATIONS)), pa.int64()),
            n_name=pa.array([name for name, _ in _NATIONS]),
            n_regionkey=pa.array([region for _, region in _NATIONS], pa.int64()),
            n_comment=self.text(len(_NATIONS), 4),
        )

    def _nations_and_phones(self, n: int) -> tuple[pa.Array, pa.Array]:
        nations = self.numbers(0, len(_NATIONS) - 1, n)
        parts = [nations + 10, self.numbers(100, 999, n), self.numbers(100, 999, n),
                 self.numbers(1000, 9999, n)]  # fmt: skip
        return pa.array(nations), _joined(*map(_digits, parts), by="-")

    def supplier(self) -> pa.Table:
        n = self.suppliers
        keys = np.arange(1, n + 1)
        nations, phones = self._nations_and_phones(n)
        complaint = pa.array(keys % 50 == 7)  # more than the specification's 5 of 10,000
        comment = self.text(n, 4)
        bad = _joined(comment, pa.scalar("Customer"), pa.scalar("Complaints"))
        return _table(
            s_suppkey=pa.array(keys),
            s_name=_numbered("Supplier", keys),
            s_address=self.text(n, 2),
            s_nationkey=nations,
            s_phone=phones,
            s_acctbal=_money(self.numbers(-99999, 999999, n)),
            s_comment=pc.if_else(complaint, bad, comment),
        )

    def part(self) -> pa.Table:
        n = self.parts
        keys = np.arange(1, n + 1)
        maker = self.numbers(1, 5, n)
        brand = _digits(maker * 10 + self.numbers(1, 5, n))
        kinds = [self.picks(s, n) for s in _SYLLABLES]
        return _table(
            p_partkey=pa.array(keys),
            p_name=_joined(*(self.picks(_COLOURS, n) for _ in range(5))),
            p_mfgr=_joined(pa.scalar("Manufacturer#"), _digits(maker), by=""),
            p_brand=_joined(pa.scalar("Brand#"), brand, by=""),
            p_type=_joined(*kinds),
            p_size=pa.array(self.numbers(1, 50, n), pa.int32()),
            p_container=_joined(self.picks(_SIZES, n), self.picks(_BOXES, n)),
            p_retailprice=_money(_retail(keys)),
            p_comment=self.text(n, 2),
        )

    def _supplier_of(self, part: np.ndarray, place: np.ndarray) -> np.ndarray:
        s = self.suppliers
        return (part + place * (s // 4 + (part - 1) // s)) % s + 1

    def partsupp(self) -> pa.Table:
        part = np.repeat(np.arange(1, self.parts + 1), 4)
        n = len(part)
        return _table(
            ps_partkey=pa.array(part),
            ps_suppkey=pa.array(self._supplier_of(part, np.tile(np.arange(4), self.parts))),
            ps_availqty=pa.array(self.numbers(1, 9999, n), pa.int32()),
            ps_supplycost=_money(self.numbers(100, 100000, n)),
            ps_comment=self.text(n, 6),
        )

    def customer(self) -> pa.Table:
        n = self.customers
        keys = np.arange(1, n + 1)
        nations, phones = self._nations_and_phones(n)
        return _table(
            c_custkey=pa.array(keys),
            c_name=_numbered("Customer", keys),
            c_address=self.text(n, 2),
            c_nationkey=nations,
            c_phone=phones,
            c_acctbal=_money(self.numbers(-99999, 999999, n)),
            c_mktsegment=self.picks(_SEGMENTS, n),
            c_comment=self.text(n, 6),
        )

    def order_keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys with gaps (8 of every 32 are used) and the days of the orders."""
        place = np.arange(self.order_count)
        days = self.numbers(_FIRST_DAY, _LAST_ORDER, self.order_count)
        return place // 8 * 32 + place % 8 + 1, days

    def orders(
        self, orders: tuple[np.ndarray, np.ndarray], totals: np.ndarray, status: pa.Array
    ) -> pa.Table:
        keys, days = orders
        n = len(keys)
        customer = self.numbers(0, self.customers // 3 * 2 - 1, n)
        customer = customer // 2 * 3 + customer % 2 + 1  # a third of the customers never orders
        return _table(
            o_orderkey=pa.array(keys),
            o_custkey=pa.array(customer),
            o_orderstatus=status,
            o_totalprice=_money(totals),
            o_orderdate=_dates(days),
            o_orderpriority=self.picks(_PRIORITIES, n),
            o_clerk=_numbered("Clerk", self.numbers(1, max(self.suppliers // 10, 1), n)),
            o_shippriority=pa.array(np.zeros(n), pa.int32()),
            o_comment=self.text(n, 7),
        )

    def lineitem(
        self, orders: tuple[np.ndarray, np.ndarray]
    ) -> tuple[pa.Table, np.ndarray, pa.Array]:
        """The lines, with the total price and the status of each order."""
        keys, days = orders
        bulk = np.arange(len(keys)) % 500 == 0  # orders that are large, at any scale
        counts = np.where(bulk, 7, self.numbers(1, 7, len(keys)))
        order = np.repeat(np.arange(len(keys)), counts)
        n = len(order)
        line = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        parts = self.numbers(1, self.parts, n)
        quantity = np.where(bulk[order], self.numbers(42, 50, n), self.numbers(1, 50, n))
        price = quantity * _retail(parts)
        discount, tax = self.numbers(0, 10, n), self.numbers(0, 8, n)
        shipped = days[order] + self.numbers(1, 121, n)
        received = shipped + self.numbers(1, 30, n)
        is_open = shipped > _TODAY
        back = pa.array(np.where(self.numbers(0, 1, n) == 1, "R", "A"))
        found = _table(
            l_orderkey=pa.array(keys[order]),
            l_partkey=pa.array(parts),
            l_suppkey=pa.array(self._supplier_of(parts, self.numbers(0, 3, n))),
            l_linenumber=pa.array(line, pa.int32()),
            l_quantity=_money(quantity * 100),
            l_extendedprice=_money(price),
            l_discount=_money(discount),
            l_tax=_money(tax),
            l_returnflag=pc.if_else(pa.array(received <= _TODAY), back, "N"),
            l_linestatus=pc.if_else(pa.array(is_open), "O", "F"),
            l_shipdate=_dates(shipped),
            l_commitdate=_dates(days[order] + self.numbers(30, 90, n)),
            l_receiptdate=_dates(received),
            l_shipinstruct=self.picks(_INSTRUCTIONS, n),
            l_shipmode=self.picks(_MODES, n),
            l_comment=self.text(n, 3),
        )
        paid = price * (100 - discount) * (100 + tax) // 10_000
        totals = np.bincount(order, paid.astype(float), len(keys)).astype(np.int64)
        opened = np.bincount(order, is_open, len(keys))
        status = np.where(opened == 0, "F", np.where(opened == counts, "O", "P"))
        return found, totals, pa.array(status)


def _retail(part: np.ndarray) -> np.ndarray:
    """The price of a part in cents."""
    return 90000 + part // 10 % 20001 + 100 * (part % 1000)


def _table(**columns: pa.Array) -> pa.Table:
    """A table whose columns hold no NULL."""
    fields = [pa.field(name, column.type, nullable=False) for name, column in columns.items()]
    return pa.table(list(columns.values()), schema=pa.schema(fields))


def _joined(*parts: pa.Array | pa.Scalar, by: str = " ") -> pa.Array:
    return pc.binary_join_element_wise(*parts, by)


def _digits(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _numbered(word: str, keys: np.ndarray) -> pa.Array:
    return _joined(pa.scalar(f"{word}#"), pc.utf8_lpad(_digits(keys), 9, "0"), by="")


def _money(cents: np.ndarray) -> pa.Array:
    """Decimals from their 128 bits, of which the upper half repeats the sign."""
    bits = np.stack([cents, cents >> 63], axis=1).astype("<i8")
    return pa.Array.from_buffers(_MONEY, len(cents), [None, pa.py_buffer(bits.tobytes())])


def _dates(days: np.ndarray) -> pa.Array:
    return pa.array(days, pa.int32()).cast(pa.date32())
