"""What members read before they sign: the same words each time, and no change goes unsaid."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.catalogs import AT, PACKAGES, catalog_of, contract, manifests
from tests.support.golden import SCRIPTS, review_of

from mc2.client.grain import GROUPS, HISTORY, ROWS, TOTAL, trace_grains
from mc2.client.plan_words import name_words, visible
from mc2.client.review import Review, review_plan, review_text
from mc2.crypto.digest import digest
from mc2.formats.canonical import encode
from mc2.formats.manifest import UsagePolicy
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.build import PlanBuilder
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import NamedExpression, Project, Scan, Union
from mc2.planner.script import compile_here

BASE = {
    "columns": "site, avg(glucose) AS glucose, count(*) AS n",
    "filter": "age >= 18",
    "group": "site",
    "having": "count(*) >= 10",
    "table": "clinic_a.visits",
    "name": "result",
    "to": "['clinic_a', 'institute']",
    "title": "A title",
}


def script_of(**parts):
    p = {**BASE, **parts}
    return (
        f"import mc2\njob = mc2.Job({p['title']!r})\n"
        f"r = job.sql('''SELECT {p['columns']} FROM {p['table']} WHERE {p['filter']} "
        f"GROUP BY {p['group']} HAVING {p['having']}''')\n"
        f"job.release('{p['name']}', r, to={p['to']})\n"
    )


def compiled(source, rules=None, known=None):
    rules, known = rules or contract(), known or manifests()
    return compile_here(source, name="s.py", catalog=catalog_of(rules, known), packages=PACKAGES)


def review(plan, rules=None, known=None, **more) -> Review:
    rules, known = rules or contract(), known or manifests()
    read = {i.dataset: known[i.dataset] for i in plan.inputs}
    return review_plan(check_plan(plan), rules, read, **{"at": AT, **more})


def words(plan, **more):
    """The review without the line of the plan's digest."""
    return re.sub(r"  plan .*\n", "", review_text(review(plan, **more)))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_the_review_is_the_one_on_file(path):
    assert review_of(path) == path.with_suffix(".txt").read_text()


CHANGES = {
    "another column": {"columns": "site, avg(bmi) AS glucose, count(*) AS n"},
    "one column more": {"columns": "site, avg(glucose) AS glucose, count(*) AS n, max(age) AS m"},
    "one column less": {"columns": "site, count(*) AS n"},
    "another name": {"columns": "site, avg(glucose) AS sugar, count(*) AS n"},
    "another aggregate": {"columns": "site, max(glucose) AS glucose, count(*) AS n"},
    "another filter": {"filter": "age >= 17"},
    "another comparison": {"filter": "age > 18"},
    "another group": {"group": "smoker", "columns": "smoker, count(*) AS n"},
    "finer groups": {"group": "site, smoker"},
    "smaller groups": {"having": "count(*) >= 9"},
    "no least size": {"having": "count(*) IS NOT NULL"},
    "another table": {"table": "clinic_b.visits"},
    "one recipient more": {"to": "['clinic_a', 'clinic_b', 'institute']"},
    "one recipient less": {"to": "['clinic_a']"},
    "another recipient": {"to": "['clinic_b', 'institute']"},
    "another output": {"name": "other"},
    "another title": {"title": "B title"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_goes_unsaid(change):
    before, after = compiled(script_of()), compiled(script_of(**CHANGES[change]))
    assert before.digest != after.digest
    assert words(before) != words(after)
    # Even without the script's own lines, which the digest covers, too.
    bare = replace(before, script=""), replace(after, script="")
    changes = review(bare[1], earlier=bare[0]).changes
    assert changes
    assert review(after, earlier=after).changes == ()
    assert "nothing: it is the same plan" in review_text(review(after, earlier=after))


def test_changes_name_what_is_grave_first():
    before = compiled(script_of())
    after = compiled(script_of(
        to="['clinic_a', 'clinic_b', 'institute']", filter="age >= 12 AND patient > 0",
        columns="site, avg(glucose) AS glucose, count(*) AS n, max(age) AS oldest",
    ))  # fmt: skip
    changes = review(after, earlier=before).changes
    assert changes[:3] == (
        "clinic_b NEWLY receives the result result",
        "the result result has the NEW column oldest int32",
        "the result result is computed in another way",
    )
    assert "NEWLY reads patient of clinic_a.visits" in changes
    assert any(c.startswith("NEW step: 2. Keep the rows") for c in changes)
    assert any(c.startswith("script adds:") for c in changes)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("contract", digest(b"other"), "the contract is sha256:"),
        ("script_name", "t.py", "the script's name is t.py, and was s.py"),
        ("packages", {**PACKAGES, "duckdb": "9"}, "duckdb is 9, and was 2.0.0"),
        ("packages", {"duckdb": "2.0.0"}, "xgboost is gone, and was 3.2.0"),
        ("script", "# other", "script adds: # other"),
    ],
)
def test_changes_of_single_fields(field, value, said):
    before = compiled(script_of())
    changes = review(before, earlier=replace(before, **{field: value})).changes
    after = review(replace(before, **{field: value}), earlier=before).changes
    assert changes
    assert any(said in c for c in after)


def test_another_version_of_a_dataset_is_said():
    before = compiled(script_of())
    known = manifests(version=2)
    after = compiled(script_of(), known=known)
    found = review(after, known=known, earlier=before)
    assert "reads another version of clinic_a.visits" in found.changes
    assert found.readings[0].version == 2


def test_the_script_is_compared_line_by_line():
    before = compiled(script_of() + "# harmless\n")
    changes = review(compiled(script_of()), earlier=before).changes
    assert changes == ("script drops: # harmless",)
    many = replace(before, script="\n".join(f"# {i}" for i in range(1000)))
    assert any("more lines differ" in c for c in review(many, earlier=before).changes)


def test_as_data_it_is_canonical_and_says_the_same():
    for path in SCRIPTS:
        source = path.read_text()
        if "# policy" in source:
            continue
        plan = compiled(source)
        data = review(plan, earlier=plan).json()
        read = json.loads(encode(data))
        assert read["plan"] == plan.digest
        assert [o["name"] for o in read["outputs"]] == [o.name for o in plan.outputs]
        assert len(read["steps"]) == len(plan.nodes)
        assert read["changes"] == []
        assert {r["dataset"] for r in read["reads"]} == {i.dataset for i in plan.inputs}


def test_a_bound_that_says_nothing_is_null():
    source = "import mc2\njob = mc2.Job('t')\n" + "t = job.table('clinic_a.visits')\n"
    source += "q = 'SELECT a.age FROM clinic_a.visits a' + ''.join([f' CROSS JOIN clinic_a.visits b{i}' for i in range(9)])\n"
    source += "job.release('r', job.sql(q), to='institute')\n"
    plan = compiled(source)
    found = review(plan)
    assert found.json()["outputs"][0]["row_bound"] is None
    assert "any number of rows" in review_text(found)


def test_objections_come_first():
    known = manifests(policies={"clinic_a.visits": UsagePolicy(columns=("age",))})
    plan = compiled(script_of(), known=known)
    found = review(plan, known=known)
    assert any("does not allow column" in o for o in found.objections)
    assert review_text(found).startswith("THIS PLAN BREAKS A RULE AND WILL NOT RUN")
    known = manifests(policies={"clinic_a.visits": UsagePolicy(recipients=("clinic_b",))})
    plan = compiled(script_of(), known=known)
    assert "institute" in review(plan, known=known).objections[0]
    known = manifests(policies={"clinic_a.visits": UsagePolicy(not_after=AT)})
    plan = compiled(script_of(), known=known)
    assert review(plan, known=known).objections == ()
    assert review(plan, known=known, at=AT + timedelta(seconds=1)).objections
    rules = contract()
    late = review(compiled(script_of()), at=rules.not_after + timedelta(seconds=1))
    assert "the contract ended" in late.objections[0]
    other = review(compiled(script_of()), rules=contract(epoch=2))
    assert "another contract" in other.objections[0]


def test_a_missing_manifest_is_said_and_objected_to():
    plan = compiled(script_of())
    found = review_plan(check_plan(plan), contract(), {}, at=AT)
    assert found.objections
    assert "version not at hand" in review_text(found)


def test_simulation_is_loud_everywhere():
    rules = contract(min_tier="simulated")
    found = review(compiled(script_of(), rules=rules), rules=rules)
    assert found.simulated
    assert found.json()["simulated"] is True
    text = review_text(found)
    assert text.startswith("!!! SIMULATED: NOTHING PROTECTS THIS JOB !!!")
    assert "at least: NOTHING" in text
    assert "SIMULATED" not in review_text(review(compiled(script_of())))


def test_padded_datasets_hide_their_size():
    known = manifests(sizes="padded", compression="none")
    text = review_text(review(compiled(script_of(), known=known), known=known))
    assert "the padded size of clinic_a.visits, not its number of rows" in text


def test_all_members_approve_if_the_contract_says_so():
    rules = contract(approvers="members")
    found = review(compiled(script_of(), rules=rules), rules=rules)
    assert found.approvers == ("clinic_a", "clinic_b", "institute", "operator")


def grains_of(*queries):
    source = "import mc2\njob = mc2.Job('t')\n"
    for number, query in enumerate(queries):
        source += f"job.release('r{number}', job.sql({query!r}), to='institute')\n"
    plan = compiled(source)
    found = trace_grains(plan.nodes)
    return [found[o.node] for o in plan.outputs]


V, W = "clinic_a.visits", "clinic_b.visits"


@pytest.mark.parametrize(
    ("query", "kind", "least"),
    [
        (f"SELECT age FROM {V}", ROWS, 1),
        (f"SELECT DISTINCT age FROM {V}", ROWS, 1),
        (f"SELECT count(*) AS n FROM {V}", TOTAL, 1),
        (f"SELECT count(*) AS n FROM {V} HAVING count(*) > 4", TOTAL, 5),
        (f"SELECT site, count(*) AS n FROM {V} GROUP BY site", GROUPS, 1),
        (f"SELECT site FROM {V} GROUP BY site HAVING count(*) >= 5", GROUPS, 5),
        (f"SELECT site FROM {V} GROUP BY site HAVING count(*) > 5", GROUPS, 6),
        (f"SELECT site FROM {V} GROUP BY site HAVING 5 <= count(*)", GROUPS, 5),
        (f"SELECT site FROM {V} GROUP BY site HAVING 5 < count(*)", GROUPS, 6),
        (f"SELECT site FROM {V} GROUP BY site HAVING count(*) >= 5 AND avg(age) > 3", GROUPS, 5),
        # None of these promises anything.
        (f"SELECT site FROM {V} GROUP BY site HAVING count(*) >= 5 OR avg(age) > 3", GROUPS, 1),
        (f"SELECT site FROM {V} GROUP BY site HAVING NOT count(*) >= 5", GROUPS, 1),
        (f"SELECT site FROM {V} GROUP BY site HAVING count(*) <= 5", GROUPS, 1),
        (f"SELECT site FROM {V} GROUP BY site HAVING count(*) + 9 >= 10", GROUPS, 1),
        (f"SELECT site FROM {V} GROUP BY site HAVING sum(age) >= 10", GROUPS, 1),
        (f"SELECT site FROM {V} GROUP BY site HAVING count(*) FILTER (WHERE smoker) >= 5",
         GROUPS, 1),
        ((f"SELECT x FROM (SELECT site, count(*) + 9 AS n, 'x' AS x FROM {V} GROUP BY site) AS t "
         "WHERE n >= 10"), GROUPS, 1),
        # A count of rows that are there several times.
        ((f"SELECT site FROM (SELECT site FROM {V} UNION ALL SELECT site FROM {V}) AS t "
         "GROUP BY site HAVING count(*) >= 5"), GROUPS, 1),
        (f"SELECT a.site FROM {V} a CROSS JOIN {V} b GROUP BY a.site HAVING count(*) >= 5",
         GROUPS, 1),
        ((f"SELECT a.site FROM {V} a JOIN {W} b ON a.age = b.age GROUP BY a.site "
         "HAVING count(*) >= 5"), GROUPS, 1),
        # These do.
        ((f"SELECT site FROM (SELECT site FROM {V} UNION ALL SELECT site FROM {W}) AS t "
         "GROUP BY site HAVING count(*) >= 5"), GROUPS, 5),
        ((f"SELECT a.site FROM {V} a SEMI JOIN {W} b ON a.age = b.age GROUP BY a.site "
         "HAVING count(*) >= 5"), GROUPS, 5),
        ((f"SELECT site AS s FROM (SELECT site, count(*) AS n FROM {V} GROUP BY site) AS t "
         "WHERE n >= 5 ORDER BY s LIMIT 3"), GROUPS, 5),
        ((f"SELECT site FROM (SELECT site, age FROM {V} GROUP BY site, age) AS t GROUP BY site "
         "HAVING count(*) >= 5"), GROUPS, 5),
        # Groups beside rows are rows; the smaller promise counts.
        (f"SELECT site FROM {V} GROUP BY site HAVING count(*) >= 5 UNION ALL SELECT site FROM {W}",
         ROWS, 1),
        ((f"SELECT site FROM {V} GROUP BY site HAVING count(*) >= 5 UNION ALL "
         f"SELECT site FROM {W} GROUP BY site HAVING count(*) >= 3"), GROUPS, 3),
        ((f"SELECT t.site, w.age FROM (SELECT site FROM {V} GROUP BY site) t "
         f"JOIN {W} w ON t.site = w.site"), ROWS, 1),
        # Looked up: whether there is a row, a total, a group, or a single row.
        ((f"SELECT site, site IN (SELECT site FROM {W}) AS i FROM {V} GROUP BY site "
         "HAVING count(*) >= 5"), GROUPS, 5),
        ((f"SELECT site FROM {V} GROUP BY site HAVING count(*) >= 5 AND avg(age) > "
         f"(SELECT avg(age) FROM {W})"), GROUPS, 5),
        ((f"SELECT site, (SELECT avg(w.age) FROM {W} w WHERE w.site = v.site) AS a FROM {V} v "
         "GROUP BY site HAVING count(*) >= 5"), GROUPS, 1),
        ((f"SELECT site, (SELECT w.age FROM {W} w WHERE w.site = v.site) AS a FROM {V} v "
         "GROUP BY site HAVING count(*) >= 5"), ROWS, 1),
        (f"SELECT (SELECT max(w.age) FROM {W} w) AS a, count(*) AS n FROM {V}", TOTAL, 1),
        # Windows keep their rows, and no number of rows in them is a promise.
        (f"SELECT sum(age) OVER (PARTITION BY site) AS s FROM {V}", ROWS, 1),
        (f"SELECT site FROM {V} QUALIFY count(*) OVER (PARTITION BY site) >= 5", ROWS, 1),
        ((f"SELECT site, rank() OVER (ORDER BY avg(age)) AS r FROM {V} GROUP BY site "
         "HAVING count(*) >= 5"), GROUPS, 5),
        (f"SELECT site, count(*) AS n FROM {V} GROUP BY ROLLUP (site) HAVING count(*) >= 5",
         GROUPS, 1),
        (f"SELECT explode(array(site, 'x')) AS e FROM {V}", ROWS, 1),
        (f"SELECT x FROM (VALUES (1)) t(x) CROSS JOIN {V}", ROWS, 1),
        (f"SELECT site FROM {V} INTERSECT SELECT site FROM {W}", ROWS, 1),
    ],
)  # fmt: skip
def test_what_a_row_stands_for(query, kind, least):
    (found,) = grains_of(query)
    assert (found.kind, found.least) == (kind, least)


def test_predictions_are_rows_and_history_is_none():
    source = (
        "import mc2\njob = mc2.Job('t')\n"
        "d = mc2.xgboost.DMatrix(job.sql('SELECT age, diabetic FROM clinic_a.visits'), label='diabetic')\n"
        "m = mc2.xgboost.train({}, d, evals=[(d, 'd')])\n"
        "job.release('h', m.history(), to='institute')\n"
        "job.release('p', m.predict(d), to='institute')\n"
    )
    plan = compiled(source)
    found = trace_grains(plan.nodes)
    assert [found[o.node].kind for o in plan.outputs] == [HISTORY, ROWS]
    assert [o.warns for o in review(plan).outputs] == [False, True]


def hostile_plan() -> Plan:
    """A plan with more paths through it than there are atoms: each step is the last one twice."""
    schema = Schema((Column("x", parse_type("int64")),))
    known = manifests({"clinic_a.t": {"x": "int64"}})
    source = PlanInput(
        dataset="clinic_a.t", owner="clinic_a", manifest=known["clinic_a.t"].digest,
        schema=schema, row_bound=1000,
    )  # fmt: skip
    builder = PlanBuilder([source])
    node = builder.add(Scan(0, ("x",)))
    for _ in range(300):
        node = builder.add(Union((node, node)))
        value = call("add", ColumnRef("x"), ColumnRef("x"))
        node = builder.add(Project(node, (NamedExpression("x", value),)))
    nodes, outputs = builder.finish(
        [PlanOutput(name="r", node=node, kind="table", recipients=("institute",))]
    )
    return Plan(
        title="t", mode="encrypted", contract=contract().digest, script_name="s.py", script="",
        packages=PACKAGES, inputs=(source,), nodes=nodes, outputs=outputs,
    )  # fmt: skip


def test_a_plan_with_endless_paths_is_reviewed_at_once():
    plan = hostile_plan()
    known = manifests({"clinic_a.t": {"x": "int64"}})
    start = time.perf_counter()
    text = review_text(review(plan, known=known, earlier=compiled(script_of())))
    assert time.perf_counter() - start < 5
    assert "SINGLE ROWS" in text


@given(st.text(max_size=40))
def test_nothing_that_is_printed_can_move_a_cursor(text):
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [("age", "age"), ("v.age", "v.age"), ("a b", "`a b`"), ("n: 1", "`n: 1`"), ("a`b", "`a``b`"),
     ("\u202ex", "`\\u202ex`"), ("x\n", "`x\\u000a`"), ("", "``"), ("größe", "`größe`")],
)  # fmt: skip
def test_names_cannot_pass_for_words(name, shown):
    assert name_words(name) == shown


TITLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=60)


PLAN = compiled(script_of())


@settings(deadline=None, max_examples=30)
@given(title=TITLE, name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_no_text_of_a_stranger_adds_a_line_or_a_control(title, name):
    lines = review_text(review(replace(PLAN, title=title, script_name=name))).split("\n")
    assert len(lines) == len(review_text(review(PLAN)).split("\n"))
    assert all(line.isprintable() for line in lines)


def test_python_functions_stand_in_a_review_word_for_word():
    script = (
        "import mc2\njob = mc2.Job('t')\n@job.udf('string')\ndef band(g):\n"
        "    # Nobody is above.\n    return 'none' if g is None or g > 7.5 else 'low'\n"
        "job.release('r', job.sql('SELECT band(glucose) AS b FROM clinic_a.visits'), to='institute')\n"
    )
    text = words(compiled(script))
    assert "PYTHON FUNCTIONS OF THE SCRIPT" in text
    assert "  | def band(g):\n  |     # Nobody is above.\n" in text
    assert "  | @job.udf('string')\n" in text
    assert "glucose > 7.5" in text.partition("PYTHON FUNCTIONS")[0]
    plain = script.split("@", maxsplit=1)[0] + script.split("\n")[-2].replace(
        "band(glucose)", "site"
    )
    assert "PYTHON FUNCTIONS" not in words(compiled(plain))
