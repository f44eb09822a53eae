"""Chunks altered where it hurts, by the thousand: what the reader lets through harms nobody.

The work runs in a process of its own, so that a crash in native code is a failed test and not
the end of all tests.
"""

import faulthandler
import random
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    b"\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\x10\x00\x00\x00",
)
LONGS = (b"\xff" * 8, bytes(8), b"\xff" * 7 + b"\x7f", b"\x00\x00\x00\x00\x01\x00\x00\x00")


def altered(chance, plain):
    """A few values replaced by such as make arithmetic overflow and pointers stray."""
    raw = bytearray(plain)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(16, len(raw))
        kind = chance.random()
        if kind < 0.4:
            new = bytes([chance.randrange(256)])
        elif kind < 0.7:
            at, new = at & ~3, chance.choice(WORDS)
        else:
            at, new = at & ~7, chance.choice(LONGS)
        raw[at : at + len(new)] = new[: len(raw) - at]
    return bytes(raw)


def use(batch, connection):
    """Do to a batch what engines do: each of these has crashed on arrays that Arrow calls valid."""
    import duckdb
    import pyarrow as pa

    assert batch.nbytes >= 0
    batch.slice(1).serialize()
    batch.take(pa.array([0]))
    pa.concat_batches([batch, batch]).validate(full=True)
    names = [f"c{i}" for i in range(batch.num_columns)]
    table = pa.Table.from_batches([batch]).rename_columns(names)
    # A refusal is fine: the engine reports it as a failed job.
    with suppress(duckdb.Error, OverflowError, ValueError):
        connection.from_arrow(table).order("c0").distinct().fetchall()


def main(seed, examples):
    """Alter chunks of all types of columns; print how many were accepted and refused."""
    import duckdb
    from hypothesis import Phase, given, settings
    from hypothesis import seed as with_seed
    from tests.support.tables import tables

    from mc2.errors import FormatError
    from mc2.formats.chunk import pack_rows, unpack_rows

    chance = random.Random(seed)
    connection = duckdb.connect()
    ends = Counter()

    @with_seed(seed)
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate])
    @given(tables())
    def alter(drawn):
        schema, table = drawn
        for batch in table.combine_chunks().to_batches()[:1]:
            for compression in ("none", "lz4", "zstd"):
                plain = pack_rows(batch, compression)
                for _ in range(20):
                    try:
                        found = unpack_rows(altered(chance, plain), schema, compression)
                    except FormatError:
                        ends["refused"] += 1
                        continue
                    ends["accepted"] += 1
                    use(found, connection)

    alter()
    print(dict(ends))


def run(seed, examples):
    command = [sys.executable, __file__, str(seed), str(examples)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "accepted" in done.stdout
    assert "refused" in done.stdout


def test_altered_chunks_harm_nobody():
    run(1, 40)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_many_altered_chunks_harm_nobody(seed):
    run(seed, 1000)


if __name__ == "__main__":
    faulthandler.enable()
    sys.path.insert(0, str(ROOT))
    main(int(sys.argv[1]), int(sys.argv[2]))
