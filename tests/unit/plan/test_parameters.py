import pytest

from mc2.errors import PlanError
from mc2.plan.parameters import ALIASES, ALLOWED, REFUSED, parameter, parameters, read_parameters


def test_canonical_form():
    found = parameters(
        {"random_state": 7, "learning_rate": 0.1, "max_depth": 3, "eval_metric": "auc"}
    )
    assert {p.name: p.json() for p in found} == {
        "eta": "0.1", "eval_metric": ["auc"], "max_depth": 3, "seed": 7}  # fmt: skip
    assert [p.name for p in found] == ["eta", "eval_metric", "max_depth", "seed"]
    assert read_parameters({p.name: p.json() for p in found}) == found


@pytest.mark.parametrize(
    ("name", "value", "argument"),
    [
        ("eta", 1, "1.0"),
        ("eta", "0.3", "0.3"),
        ("max_bin", 64, "64"),
        ("one_drop", True, "1"),
        ("seed_per_iteration", 0, "0"),
        ("objective", "multi:softprob", "multi:softprob"),
        ("eval_metric", ["auc", "error@0.7"], ["auc", "error@0.7"]),
        ("monotone_constraints", [1, 0, -1], "(1,0,-1)"),
        ("quantile_alpha", [0.1, 0.5], "[0.1,0.5]"),
        ("quantile_alpha", 0.5, "[0.5]"),
        ("base_score", -0.5, "-0.5"),
    ],
)
def test_what_xgboost_is_given(name, value, argument):
    assert parameter(name, value).argument == argument


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eta", -0.1), ("eta", 1.5), ("eta", True), ("eta", "fast"), ("eta", None), ("eta", "0.30"),
        ("eta", float("nan")), ("eta", [0.1]), ("max_depth", -1), ("max_depth", 6.0), ("max_depth", True),
        ("max_depth", "6"), ("max_depth", 65), ("subsample", 0), ("objective", "rank:map@3"),
        ("objective", 5), ("booster", "gbforest"), ("tree_method", "gpu_hist"), ("one_drop", "yes"),
        ("eval_metric", "ndcg@0"), ("eval_metric", []), ("eval_metric", ["auc", "auc"]),
        ("eval_metric", "error@"), ("monotone_constraints", [2]), ("monotone_constraints", "(1,0)"),
        ("num_class", 1), ("seed", -1), ("quantile_alpha", [1.5]), ("quantile_alpha", []),
    ],
)  # fmt: skip
def test_rejects_values(name, value):
    with pytest.raises(PlanError, match=f"the training parameter {name}"):
        parameter(name, value)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_parameters_say_why(name):
    with pytest.raises(PlanError, match="cannot be set"):
        parameter(name, 1)


def test_unknown_parameters_are_never_passed_on():
    with pytest.raises(PlanError, match="no training parameter 'max_dept'") as caught:
        parameter("max_dept", 3)
    assert "max_depth" in caught.value.hint


def test_an_alias_and_its_name_are_one():
    with pytest.raises(PlanError, match="set twice"):
        parameters({"eta": 0.1, "learning_rate": 0.1})


@pytest.mark.parametrize(
    "value",
    [None, [], "eta", {"learning_rate": "0.1"}, {"eta": "0.10"}, {"eta": 1}, {"eval_metric": "auc"},
     {"one_drop": 1}],
)  # fmt: skip
def test_a_plan_holds_the_one_spelling(value):
    with pytest.raises(PlanError):
        read_parameters(value)


def test_the_tables_do_not_overlap():
    assert not set(ALLOWED) & set(REFUSED)
    assert set(ALIASES.values()) <= set(ALLOWED)
    assert not set(ALIASES) & set(ALLOWED)
