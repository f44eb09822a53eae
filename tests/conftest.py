"""What all tests share."""

import os
import sys
from functools import partial

import pytest
from hypothesis import settings

# A suite that every change must pass draws the same examples each time; `make slow` draws new ones.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("new", deadline=None, print_blob=True)
settings.load_profile("same")

# The client of PySpark's tests brings gRPC, whose threads come up again in whatever this process
# forks, and end it. No enclave has gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# A worker of pytest-xdist has a main module without a file. PySpark takes that for a run of its own
# doctests, looks for a whole Spark, and ends the process if there is none.
vars(sys.modules["__main__"]).setdefault("__file__", __file__)


@pytest.fixture(
    params=[1, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, "spark"))],
    ids=str,
)
def enclaves(request, monkeypatch):
    """Where plans of a suite run: in one enclave, in three with a part of the rows each, on Spark."""
    if request.param == "spark":
        plans = request.getfixturevalue("spark_plans")
        monkeypatch.setattr("tests.support.differential.RUN", plans.outputs)
    elif request.param > 1:
        run_in_enclaves(monkeypatch, request.param)
    return request.param


def run_in_enclaves(monkeypatch, count):
    from tests.support.differential import in_enclaves

    monkeypatch.setattr("tests.support.differential.RUN", partial(in_enclaves, count))


@pytest.fixture
def three_enclaves(monkeypatch):
    """Three enclaves run each plan."""
    run_in_enclaves(monkeypatch, 3)


@pytest.fixture(scope="session")
def spark_plans(tmp_path_factory):
    """A Spark of two processors that runs plans, for as long as tests ask it."""
    from tests.spark.conftest import started_plans

    with started_plans("local[2]", tmp_path_factory.mktemp("spark")) as found:
        yield found


def pytest_make_parametrize_id(config, val, argname):
    """Name cases of bytes or long text by their argument: fresh keys would make fresh names, and
    parallel workers must collect the same tests."""
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 40):
        return argname
    return None
