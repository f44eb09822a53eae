"""Scripts of stock XGBoost with their imports and data sources changed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from tests.support.catalogs import PACKAGES
from tests.support.plans import LIMITS, NO_DIGEST

from mc2.client.sources.open import open_source
from mc2.engine.run import execute
from mc2.errors import PlanError
from mc2.formats.arrow import arrow_schema, schema_of
from mc2.plan.check import check_plan
from mc2.planner.catalog import Catalog, CatalogTable
from mc2.planner.script import compile_here

DATA = Path(__file__).parents[4] / "shared" / "data"

# The library's own first example; two lines of it are others: where names come from, and rows.
MUSHROOMS = """\
import mc2
from mc2 import xgboost as xgb
job = mc2.Job("mushrooms")
dtrain = xgb.DMatrix(job.table("ada.train"), label="label")
dtest = xgb.DMatrix(job.table("ada.test"), label="label")
param = {"max_depth": 2, "eta": 1, "objective": "binary:logistic"}
bst = xgb.train(param, dtrain, 2, evals=[(dtest, "eval"), (dtrain, "train")])
preds = bst.predict(dtest, keep=["label"])
job.release("bst", bst, to=["ada"])
job.release("preds", preds, to=["ada"])
job.release("said", bst.history(), to=["ada"])
"""


class Rows:
    def __init__(self, table):
        self.schema, self._table = schema_of(table.schema), table

    def batches(self):
        return iter(self._table.to_batches())


def catalog(schemas):
    tables = {
        name: CatalogTable(owner="ada", manifest=NO_DIGEST, schema=schema, row_bound=10_000)
        for name, schema in schemas.items()
    }
    return Catalog(
        name="one",
        contract=NO_DIGEST,
        members={"ada": ("analyst", "owner", "recipient")},
        datasets=tables,
    )


def compiled(script, schemas):
    return compile_here(script, name="s.py", catalog=catalog(schemas), packages=PACKAGES)


def mushrooms(name):
    source = open_source(DATA / name, format="libsvm")
    survey = source.survey(lambda _: None)
    return pa.Table.from_batches(list(source.batches(survey)), arrow_schema(survey.schema))


def stock_matrix(table):
    names = [n for n in table.column_names if n != "label"]
    columns = [table.column(n).to_numpy(zero_copy_only=False).astype(np.float64) for n in names]
    label = table.column("label").to_numpy()
    return xgboost.DMatrix(np.stack(columns, axis=1), label, feature_names=names)


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here")
def test_the_first_example_of_the_library():
    tables = {"ada.train": mushrooms("agaricus.txt.train"), "ada.test": mushrooms("agaricus.txt.test")}  # fmt: skip
    sources = {name: Rows(table) for name, table in tables.items()}
    plan = compiled(MUSHROOMS, {name: rows.schema for name, rows in sources.items()})
    found = execute(check_plan(plan), sources, LIMITS, lambda _: None)
    train, test = (stock_matrix(tables[n]) for n in ("ada.train", "ada.test"))
    told = {}
    stock = xgboost.train(
        {"max_depth": 2, "eta": 1, "objective": "binary:logistic", "nthread": 1},
        train, 2, evals=[(test, "eval"), (train, "train")], evals_result=told, verbose_eval=False,
    )  # fmt: skip
    booster = xgboost.Booster(model_file=bytearray(found["bst"].raw))
    assert booster.get_dump(with_stats=True) == stock.get_dump(with_stats=True)
    said = found["preds"].table.to_pydict()["prediction"]
    assert np.asarray(said, np.float32).tobytes() == stock.predict(test).tobytes()
    for row in found["said"].table.to_pylist():
        wanted = told[row["evaluation"]][row["metric"]][row["round"]]
        assert row["value"] == pytest.approx(wanted, rel=1e-12)


ROWS = schema_of(pa.schema({"a": pa.float64(), "b": pa.float64(), "y": pa.float64()}))
START = """\
import mc2
from mc2 import xgboost as xgb
job = mc2.Job("names")
t = job.table("ada.t")
"""


def script(body):
    return f'{START}{body}\njob.release("m", xgb.train({{}}, d, 1), to=["ada"])\n'


@pytest.mark.parametrize("names", [["a", "a"], ["a"], ["a", "b", "b"]])
def test_names_of_features_that_stock_refuses_are_refused(names):
    columns = ["a", "b"]
    with pytest.raises(ValueError, match="feature"):
        xgboost.DMatrix(np.zeros((1, 2)), feature_names=names)
    body = f'd = xgb.DMatrix(t, label="y", features={columns}, feature_names={names})'
    with pytest.raises(PlanError):
        compiled(script(body), {"ada.t": ROWS})


@pytest.mark.parametrize("name", ["a[0]", "a]", "a<b"])
def test_columns_that_stock_takes_for_no_names_are_refused(name):
    with pytest.raises(ValueError, match="feature_names"):
        xgboost.DMatrix(np.zeros((1, 1)), feature_names=[name])
    kinds = schema_of(pa.schema({name: pa.float64(), "y": pa.float64()}))
    with pytest.raises(PlanError, match="feature"):
        compiled(script('d = xgb.DMatrix(t, label="y")'), {"ada.t": kinds})


def test_a_matrix_knows_its_columns_and_nobody_its_rows():
    good = 'd = xgb.DMatrix(t, label="y")\nassert_ = {2: 1}[d.num_col()]'
    assert compiled(script(good), {"ada.t": ROWS}).nodes
    for asked, said in (
        ("d.num_row()", "only the enclave knows how many rows"),
        ("d.get_label()", "get_label"),
        ("d.slice([0])", "slice"),
        ("d.get_data()", "get_data"),
        ('d.save_binary("d.bin")', "save_binary"),
    ):
        body = f'd = xgb.DMatrix(t, label="y")\nx = {asked}'
        with pytest.raises((PlanError, AttributeError), match=said):
            compiled(script(body), {"ada.t": ROWS})
