"""docs/howto/linear-models.md is true: its scripts compile, and PageRank is PageRank."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from tests.support.catalogs import AT, catalog_of, catalog_of_one_kind, contract, manifests
from tests.support.plans import LIMITS, Source, schema, table_rows

from mc2.client.review import review_plan, review_text
from mc2.engine.run import execute
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "linear-models.md"
MODELS, RANKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
KINDS = schema(payer="int64!", payee="int64!", amount="double")
BANKS = ("bank_a", "bank_b")


def test_models_compile_and_can_be_reviewed():
    rules, known = contract(), manifests()
    plan = compile_here(MODELS, name="example.py", catalog=catalog_of(rules, known))
    read = {i.dataset: known[i.dataset] for i in plan.inputs}
    assert "WHAT LEAVES" in review_text(review_plan(check_plan(plan), rules, read, at=AT))
    assert {o.name for o in plan.outputs} == {
        "curve", "kind_clinic_a", "kind_clinic_b", "kinds", "line", "risk",
    }  # fmt: skip


def power_iteration(edges, rounds):
    """PageRank as everybody writes it, over the distinct edges."""
    nodes = sorted({n for e in edges for n in e})
    place = {n: i for i, n in enumerate(nodes)}
    moves = np.zeros((len(nodes), len(nodes)))
    for source, target in edges:
        moves[place[target], place[source]] = 1
    degrees = moves.sum(axis=0)
    shares = np.divide(moves, degrees, out=np.zeros_like(moves), where=degrees > 0)
    ranks = np.full(len(nodes), 1 / len(nodes))
    for _ in range(rounds):
        lost = ranks[degrees == 0].sum()
        ranks = (0.15 + 0.85 * lost) / len(nodes) + 0.85 * (shares @ ranks)
    return sorted(zip(nodes, ranks, strict=True), key=lambda pair: (-pair[1], pair[0]))


def test_pagerank_is_the_power_iteration_over_both_banks():
    random = np.random.default_rng(5)
    drawn = random.integers(0, 40, (2, 60, 2)) ** 2 // 40  # some accounts get more than others
    rows = [[(int(a), int(b), 1.0) for a, b in half if a % 7] for half in drawn]
    tables = {f"{b}.transfers": Source(KINDS, r) for b, r in zip(BANKS, rows, strict=True)}
    catalog = catalog_of_one_kind(KINDS, *tables, rows=100)
    plan = compile_here(RANKS, name="ranks.py", catalog=catalog)
    found = table_rows(execute(check_plan(plan), tables, LIMITS, lambda _: None)["top"].table)
    wanted = power_iteration({(a, b) for half in rows for a, b, _ in half}, 20)[:10]
    assert [n for n, _ in found] == [n for n, _ in wanted]
    np.testing.assert_allclose([r for _, r in found], [r for _, r in wanted], rtol=1e-9)
