"""The API of scripts: what it gives, and what it says when it is used in another way."""

from __future__ import annotations

import pytest
from tests.support.catalogs import PACKAGES, VISITS, catalog

import mc2
from mc2.errors import PlanError, UsageError
from mc2.plan.models import Categories, Edges, History, Matrix, Predict, Train
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.relations import Scan
from mc2.planner.job import Job
from mc2.planner.learning import Booster, DMatrix
from mc2.planner.script import compile_here
from mc2.planner.tables import Table

START = "import mc2\nfrom mc2 import xgboost\njob = mc2.Job('t')\n"
VISITS_A = START + "v = job.table('clinic_a.visits')\n"
W = "w = job.table('clinic_b.visits')\n"
END = "\njob.release('r', r, to='institute')\n"


def plan_of(body, start=VISITS_A, end=END):
    return compile_here(start + body + end, name="s.py", catalog=catalog(), packages=PACKAGES)


def error_of(body, start=VISITS_A, end=END):
    with pytest.raises(PlanError) as refused:
        plan_of(body, start, end)
    return refused.value


def operation(plan, kind):
    (found,) = (n.operation for n in plan.nodes if isinstance(n.operation, kind))
    return found


def test_a_table_says_what_it_is_and_holds_nothing():
    plan = plan_of(
        "r = job.sql('SELECT count(*) AS n FROM {v}', v=v)\n"
        "names = ','.join(v.column_names)\n"
        "job.release('x', job.sql(f\"SELECT '{names} {v.row_bound}' AS x FROM {{v}}\", v=v), to='institute')"
    )
    said = str(plan.json())
    assert f"{','.join(VISITS)} 1000" in said


def test_names_of_datasets_are_found_in_any_case():
    assert plan_of("r = job.table('Clinic_A.VISITS')").inputs[0].dataset == "clinic_a.visits"


def test_results_go_into_later_queries():
    plan = plan_of(
        "a = job.sql('SELECT age FROM {v} WHERE age > 3', v=v)\n"
        "job.view('adults', a)\n"
        "b = job.view('more', job.sql('SELECT age FROM adults UNION ALL SELECT age FROM {a}', a=a))\n"
        "r = job.sql('SELECT count(*) AS n FROM more, {b} AS x', b=b)"
    )
    assert len(plan.inputs) == 1


def test_an_argument_comes_before_a_view_of_its_name():
    plan = plan_of(
        W + "job.view('t', v)\nr = job.sql('SELECT age FROM {t}', t=w)\n"
        "job.release('x', job.sql('SELECT site FROM t'), to='institute')"
    )
    scans = [n.operation for n in plan.nodes if isinstance(n.operation, Scan)]
    read = {plan.inputs[s.input].dataset: s.columns for s in scans}
    assert read == {"clinic_b.visits": ("age",), "clinic_a.visits": ("site",)}


def test_only_what_is_needed_is_in_the_plan():
    plan = plan_of(
        "unused = job.sql('SELECT glucose FROM {v}', v=v)\nr = job.sql('SELECT age FROM {v}', v=v)"
    )
    assert operation(plan, Scan).columns == ("age",)


def test_a_dataset_that_no_result_needs_is_refused():
    """Owners compile the script again with the datasets of the plan, and no others."""
    with pytest.raises(PlanError, match=r"reads clinic_b\.visits, and no result needs it"):
        plan_of(W + "r = v")


def test_one_result_can_have_several_names_and_recipients():
    plan = plan_of(
        "r = job.sql('SELECT age FROM {v}', v=v)\n"
        "job.release('x', r, to=['institute', 'clinic_a', 'clinic_a'])"
    )
    assert [(o.name, o.recipients) for o in plan.outputs] == [
        ("r", ("institute",)),
        ("x", ("clinic_a", "institute")),
    ]
    assert plan.outputs[0].node == plan.outputs[1].node


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("r = mc2.Job('again')", "a script has one job"),
        ("r = job.table('nope.t')", "no dataset 'nope.t'"),
        ("r = job.table(3)", "a dataset is given as text"),
        ("r = job.sql(3)", "a query is given as text"),
        ("r = job.sql('SELECT 1 AS x FROM {v}', v=3)", "v= is a int, not a table"),
        ("r = job.sql('SELECT 1 AS x FROM {v}', u=v)", "{v} names nothing"),
        ("r = job.sql('SELECT age FROM {v}', v=v, dialect='mysql')", "no dialect 'mysql'"),
        ("r = job.sql('SELECT age FROM {v}', v=v, dialect=1)", "a dialect is given as text"),
        ("r = job.sql('WITH v AS (SELECT age FROM {v}) SELECT age FROM v', v=v)", "given to this"),
        ("r = job.view('Upper', v)", "a view's name is not a name"),
        ("r = job.view('x', 3)", "is a int, not a table"),
        ("job.view('x', v)\nr = job.view('x', v)", "a view 'x' already"),
        ("r = 3", "a int cannot be released"),
        ("r = job.sql", "cannot be released"),
        ("r = v\njob.release('r', v, to='institute')", "'r' is released already"),
        ("r = v\njob.release('R', v, to='institute')", "a result's name is not a name"),
        ("r = v\njob.release('x', v, to=[])", "to= names at least one member"),
        ("r = v\njob.release('x', v, to=3)", "to= names at least one member"),
        ("r = v\njob.release('x', v, to=[3])", "a recipient is given as text"),
        ("r = v\njob.release('x', v, to='clinic_c')", "no member of diabetes"),
        ("r = v\njob.release('x', v, to='operator')", "operator may receive nothing"),
        ("r = mc2.Table(job, 0)", "tables come from job.table"),
        ("r = mc2.Table(3, 0)", "tables come from job.table"),
        ("r = xgboost.Booster(job, 0)", "models come from xgboost.train"),
        ("r = v.nope", "may not stand after a dot"),
        ("r = job.sql('SELECT age FROM {v}', v=v).sql('x')", "AttributeError"),
    ],
)
def test_says_what_is_wrong(body, words):
    error = error_of(body)
    assert words in str(error)
    assert error.line > 0


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("''", "one line of 1 to 200"),
        ("'x' * 201", "one line of 1 to 200"),
        ("'a\\nb'", "one line of 1 to 200"),
        ("3", "one line of 1 to 200"),
        ("'t', mode='fast'", "no mode 'fast'"),
    ],
)
def test_jobs_have_a_title_and_a_mode(argument, words):
    assert words in str(error_of("r = 1", start=f"import mc2\njob = mc2.Job({argument})\n"))


def test_suggests_what_may_have_been_meant():
    assert "clinic_a.visits" in error_of("r = job.table('clinic_a.visit')").hint
    assert "clinic_b" in error_of("r = v\njob.release('x', v, to='clinicb')").hint


def test_outside_a_script_there_is_no_job():
    with pytest.raises(UsageError, match="while a script is compiled") as refused:
        mc2.Job("t")
    assert "mc2 propose" in refused.value.hint


def test_representations_ask_nobody():
    from mc2.planner.draft import Draft, drafting

    draft = Draft(catalog(), name="s.py", script="", packages=PACKAGES)
    with drafting(draft):
        job = Job("t")
        table = job.sql("SELECT age, site FROM clinic_a.visits")
    assert repr(job) == "Job()"
    assert repr(table) == "Table(age int32, site string)"
    matrix = DMatrix(table, label="age", features=["site"], categorical=["site"])
    assert repr(matrix) == "DMatrix()"
    assert repr(mc2.xgboost.train({}, matrix)) == "Booster()"


# Models

D = W + "d = xgboost.DMatrix(v, w, label='diabetic', features=['age', 'bmi'])\n"


def test_a_matrix_takes_all_columns_but_those_that_are_named():
    start = (
        START
        + "v = job.sql('SELECT age, bmi, site, smoker, diabetic, glucose FROM clinic_a.visits')\n"
    )
    plan = plan_of(
        "r = xgboost.train({}, xgboost.DMatrix(v, label='diabetic', weight='glucose',"
        " exclude=['smoker'], enable_categorical=True, missing=-1))",
        start,
    )
    found = operation(plan, Matrix)
    assert found.features == ("age", "bmi", "site")
    assert (found.label, found.weight) == ("diabetic", "glucose")
    assert (found.categorical, found.missing) == (("site",), "-1.0")


def test_labels_may_be_several():
    plan = plan_of(
        "r = xgboost.train({}, xgboost.DMatrix(v, label=['age', 'glucose'], features=['bmi']))"
    )
    found = operation(plan, Matrix)
    assert (found.label, found.more_labels) == ("age", ("glucose",))
    assert found.labels == ("age", "glucose")


def test_edges_are_named_or_drawn_with_noise():
    plan = plan_of(
        "r = xgboost.train({}, xgboost.DMatrix(v, label='diabetic', features=['bmi', 'age'],"
        " bin_edges={'age': [30, 60], 'bmi':"
        " {'low': 10, 'high': 50.5, 'cells': 81, 'edges': 16, 'epsilon': 0.5}}),"
        " public_thresholds=True)"
    )
    found = operation(plan, Matrix)
    assert found.edges == (Edges("age", ("30.0", "60.0")),)
    assert found.noisy == (NoisyEdges("bmi", "10.0", "50.5", 81, 16, "0.5"),)


def test_categories_can_be_named():
    plan = plan_of(
        "r = xgboost.train({}, xgboost.DMatrix(v, label='diabetic', features=['site', 'age'],"
        " categorical=['age', 'site']))"
    )
    assert operation(plan, Matrix).categorical == ("site", "age")
    plan = plan_of(
        "r = xgboost.train({}, xgboost.DMatrix(v, label='diabetic', features=['site', 'age'],"
        " categories={'site': ['west', 'east', 'west'], 'age': 120}))"
    )
    found = operation(plan, Matrix)
    assert found.categorical == ("site", "age")
    assert found.categories == (
        Categories("age", count=120),
        Categories("site", ("east", "west")),
    )


def test_training_has_stock_defaults():
    plan = plan_of(D + "r = xgboost.train({}, d)")
    assert operation(plan, Train).num_boost_round == 10
    assert operation(plan, Matrix).missing == "NaN"


def test_training_takes_what_stock_xgboost_takes():
    plan = plan_of(
        D
        + "r = xgboost.train({'objective': 'binary:logistic', 'learning_rate': 0.1, 'max_depth': 3,"
        " 'eval_metric': ['auc', 'logloss']}, d, 50, evals=[(d, 'train')],"
        " early_stopping_rounds=5)\n"
        "job.release('h', r.history(), to='institute')\n"
        "job.release('p', r.predict(d, keep=['patient'], name='risk', rounds='best'), to='institute')\n"
        "job.release('m', r.predict(d, output_margin=True), to='institute')\n"
        "job.release('l', r.predict(d, pred_leaf=True), to='institute')\n"
    )
    train = operation(plan, Train)
    assert {p.name: p.value for p in train.parameters} == {
        "eta": "0.1",
        "eval_metric": ("auc", "logloss"),
        "max_depth": 3,
        "objective": "binary:logistic",
    }
    assert train.evaluations[0].name == "train"
    assert operation(plan, History)
    predictions = [n.operation for n in plan.nodes if isinstance(n.operation, Predict)]
    assert {(p.what, p.rounds, p.name, p.keep) for p in predictions} == {
        ("value", "best", "risk", ("patient",)),
        ("margin", "all", "prediction", ()),
        ("leaf", "all", "prediction", ()),
    }


@pytest.mark.parametrize(
    ("body", "words", "hint"),
    [
        ("r = xgboost.DMatrix()", "made of tables", "DMatrix"),
        ("r = xgboost.DMatrix(3)", "made of tables", ""),
        ("r = xgboost.DMatrix(v, 'label')", "made of tables", ""),
        ("r = xgboost.DMatrix(v, label='nope')", "no column 'nope' for label=", "there are"),
        ("r = xgboost.DMatrix(v, weight='nope')", "no column 'nope' for weight=", ""),
        ("r = xgboost.DMatrix(v, features=['nope'])", "no column 'nope' for features=", ""),
        ("r = xgboost.DMatrix(v, features='age')", "features= is a list", ""),
        ("r = xgboost.DMatrix(v, features=[3])", "a name in features= is a text", ""),
        ("r = xgboost.DMatrix(v, exclude='age')", "exclude= is a list", ""),
        ("r = xgboost.DMatrix(v, features=['age'], categorical=['site'])", "'site' is no feature", ""),
        ("r = xgboost.DMatrix(v, features=['site'])", "a feature is a number or a category", ""),
        ("r = xgboost.DMatrix(v, label='diabetic')", "", "categorical"),
        ("r = xgboost.DMatrix(v, features=['age'], label='age')", "stands twice", ""),
        ("r = xgboost.DMatrix(v, features=['age', 'age'])", "stands twice", ""),
        ("r = xgboost.DMatrix(v, features=['age'], missing='x')", "missing= is a number", ""),
        ("r = xgboost.DMatrix(v, features=['age'], missing=True)", "missing= is a number", ""),
        ("r = xgboost.DMatrix(v, features=[])", "at least one source and one feature", ""),
        ("r = xgboost.DMatrix(v, job.table('clinic_b.labs'))", "differ in the column", "job.sql"),
        ("r = xgboost.DMatrix(v, base_margin='nope')", "no column 'nope' for base_margin=", ""),
        ("r = xgboost.DMatrix(v, group=[3])", "takes no group=", "qid"),
        ("r = xgboost.DMatrix(v, bin_edges={'age': [1, 'x']})", "bin_edges are numbers", ""),
        ("r = xgboost.DMatrix(v, bin_edges={'age': {'low': 0}})", "low, high, cells", "epsilon"),
        (D + "r = xgboost.train({}, xgboost.DMatrix(v, label='age', features=['bmi'],"
         " bin_edges={'bmi': {'low': 0, 'high': 9, 'cells': 9, 'edges': 3, 'epsilon': 1}}))",
         "thresholds lie at edges alone", "public_thresholds=True"),
        ("r = xgboost.DMatrix(v, categories={'site': []})", "no list of names", "ward"),
        ("r = xgboost.DMatrix(v, categories={'site': 2})", "do not fit string", "how many"),
        (D + "r = xgboost.train([], d)", "params is a dictionary", ""),
        (D + "r = xgboost.train({3: 4}, d)", "params is a dictionary", ""),
        ("r = xgboost.train({}, v)", "train takes a DMatrix", ""),
        (D + "r = xgboost.train({'max_dept': 3}, d)", "no training parameter 'max_dept'", ""),
        (D + "r = xgboost.train({'nthread': 3}, d)", "cannot be set", ""),
        (D + "r = xgboost.train({'eta': 'x'}, d)", "eta", ""),
        (D + "r = xgboost.train({}, d, 0)", "num_boost_round is a whole number", ""),
        (D + "r = xgboost.train({}, d, 1.5)", "num_boost_round is a whole number", ""),
        (D + "r = xgboost.train({}, d, True)", "num_boost_round is a whole number", ""),
        (D + "r = xgboost.train({}, d, evals=[d])", "evals is a list of pairs", ""),
        (D + "r = xgboost.train({}, d, evals=[(v, 'x')])", "evals is a list of pairs", ""),
        (D + "r = xgboost.train({}, d, early_stopping_rounds=5)", "needs an evaluation set", ""),
        (D + "r = xgboost.train({}, d, early_stopping_rounds=0)", "early_stopping_rounds is", ""),
        (D + "r = xgboost.train({}, d, obj=len)", "TypeError", ""),
        (D + "r = xgboost.train({}, d, evals_result={})", "takes no evals_result=", "history"),
        (D + "r = xgboost.train({}, d, feval=3)", "takes no feval=", "custom_metric"),
        (D + "r = xgboost.train({}, d, callbacks=[3])", "is no callback", "EarlyStopping"),
        (D + "r = xgboost.train({}, d, xgb_model='m.json')", "a model of this script", ""),
        (D + "r = xgboost.train({}, d, maximize=True)", "goes with early stopping", ""),
        (D + "r = xgboost.train({}, d, min_leaf_rows=-1)", "min_leaf_rows= is a whole", ""),
        (D + "r = xgboost.train({'max_dept': 3}, d)", "no training parameter 'max_dept'", "max_depth"),
        (D + "r = xgboost.train({'interaction_constraints': [['nope']]}, d)", "no feature", "age"),
        (D + "r = xgboost.cv({}, d, fpreproc=len)", "cv takes no fpreproc=", "SQL"),
        (D + "r = xgboost.cv({}, d, folds='nope')", "folds= is a column", "exclude"),
        (D + "r = xgboost.train({}, d)[3:1]", "a part of a model", ""),
        (D + "r = xgboost.train({}, d).save_model('m.json')", "writes no files", "release"),
        (D + "r = xgboost.train({}, d).best_iteration", "only the enclave knows", "summary"),
        (D + "r = d.num_row()", "only the enclave knows", "count"),
        (D + "r = xgboost.train({}, xgboost.DMatrix(v, features=['age']))", "no label", ""),
        (D + "r = xgboost.train({}, d).history()", "without evaluation sets", ""),
        (D + "r = xgboost.train({}, d).predict(v)", "predict takes a DMatrix", ""),
        (D + "r = xgboost.train({}, d).predict(d, keep=['nope'])", "no column 'nope' for keep=", ""),
        (D + "r = xgboost.train({}, d).predict(d, rounds='best')", "early stopping", ""),
        (D + "r = xgboost.train({}, d).predict(d, rounds='some')", "rounds= is none of", ""),
        (D + "r = xgboost.train({}, d).predict(d, output_margin=True, pred_leaf=True)",
         "exclude one another", ""),
        (D + "r = xgboost.train({}, d).predict(d, name=3)", "name is a text", ""),
        (D + "m = xgboost.train({}, d)\n"
         "r = m.predict(xgboost.DMatrix(v, features=['bmi', 'age']))", "not the features", ""),
        (D + "r = d", "a DMatrix cannot be released", ""),
    ],
)  # fmt: skip
def test_says_what_is_wrong_with_a_model(body, words, hint):
    error = error_of(body)
    assert words in str(error)
    assert hint in error.hint
    assert "node" not in str(error)  # numbers of nodes say nothing to the author of a script


def test_public_names():
    assert set(mc2.__all__) <= set(dir(mc2))
    assert len(mc2.__all__) <= 40
    assert (mc2.Job, mc2.Table) == (Job, Table)
    assert {"Booster", "DMatrix", "XGBClassifier", "cv", "train"} <= set(mc2.xgboost.__all__)
    assert (mc2.xgboost.Booster, mc2.xgboost.DMatrix) == (Booster, DMatrix)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        mc2.nope  # noqa: B018 - the access is the test
