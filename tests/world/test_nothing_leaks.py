"""No plaintext value and no key occurs in anything that the coordinator stores or hands on."""

import struct

from tests.support.world import ALONE_AND_SHARED, VISITS_A, VISITS_B
from tests.support.world import world as make_world

from mc2.cli.demo.hostile import Lie
from mc2.client.data_key import derive_data_key
from mc2.client.seal import SealOptions

MARKERS = {
    "text": ["Zanzibar-marker-one", "Zanzibar-marker-two"],
    "number": [1.2345678901234567, 9.8765432109876543],
    "identifier": [918_273_645_546_372_819, 112_233_445_566_778_899],
}


def marked(table):
    import pyarrow as pa

    rows = table.num_rows
    for name, values in MARKERS.items():
        table = table.append_column(name, pa.array([values[i % 2] for i in range(rows)]))
    return table


SCRIPT = """\
import mc2

job = mc2.Job("Markers")
rows = job.sql('''
    SELECT text, identifier, number, glucose FROM ada.visits
    UNION ALL SELECT text, identifier, number, glucose FROM bo.visits
''')
matrix = mc2.xgboost.DMatrix(job.table("ada.visits"), label="ill", features=["number", "glucose"])
model = mc2.xgboost.train({"objective": "binary:logistic"}, matrix, num_boost_round=2)
job.release("rows", rows, to=["cy"])
job.release("model", model, to=["cy"])
"""


def needles(world):
    for values in MARKERS.values():
        for value in values:
            if isinstance(value, str):
                yield value.encode()
            elif isinstance(value, float):
                yield struct.pack("<d", value)
                yield repr(value).encode()
            else:
                yield struct.pack("<q", value)
                yield str(value).encode()
    for party in world.parties.values():
        identity = party.identity
        yield bytes(identity.master)
        yield identity.signing.private_bytes()
        yield identity.receiving.private_bytes()[:64]
        yield identity.receiving.private_bytes()[64:]
        for manifest in world.cy.datasets().values():
            with derive_data_key(identity.master, bytes.fromhex(manifest.value.key_salt)) as key:
                yield bytes(key.raw)


@ALONE_AND_SHARED
def test_the_coordinator_sees_no_plaintext_and_no_key(tmp_path, workers):
    seen = []

    def tapped(value):
        seen.append(value if isinstance(value, bytes) else b"".join(value.values()))
        return value

    options = SealOptions(rows_per_chunk=2) if workers > 1 else SealOptions()
    with make_world(tmp_path, workers_per_job=workers) as world:
        world.agree()
        world.ada.upload(marked(VISITS_A), "visits", options=options)
        world.bo.upload(marked(VISITS_B), "visits", options=options)
        # Chunks of inputs, and the blocks that enclaves hand to one another.
        world.lie = Lie(tapped, tapped, lambda name, read: tapped(read(name)))
        job_id = world.job(SCRIPT)
        opened = world.cy.results(job_id)["rows"].table
        assert sorted(set(opened["text"].to_pylist())) == sorted(MARKERS["text"])
        wanted = list(needles(world))
        stored = [p.read_bytes() for p in (tmp_path / "coordinator").rglob("*") if p.is_file()]
    stored += [p.read_bytes() for p in (tmp_path / "coordinator").rglob("*") if p.is_file()]
    assert sum(map(len, stored)) > 10_000
    assert seen
    for raw in (*stored, *seen):
        assert not [n for n in wanted if n in raw]


def test_the_search_would_find_a_leak(tmp_path):
    with make_world(tmp_path) as world:
        world.agree()
        world.ada.upload(marked(VISITS_A), "visits")
        planted = b"..." + bytes(world.ada.identity.master) + b"..."
        assert any(needle in planted for needle in needles(world))
        text = b"a row with Zanzibar-marker-one in it"
        assert any(needle in text for needle in needles(world))
