"""What all tests share."""

import sys

import pytest
from hypothesis import settings

# A suite that every change must pass draws the same examples each time; `make slow` draws new ones.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("new", deadline=None, print_blob=True)
settings.load_profile("same")

# A worker of pytest-xdist has a main module without a file. PySpark takes that for a run of its own
# doctests, looks for a whole Spark, and ends the process if there is none.
vars(sys.modules["__main__"]).setdefault("__file__", __file__)


@pytest.fixture(params=[pytest.param(n, marks=[pytest.mark.slow] * (n > 1)) for n in (1, 3)])
def enclaves(request, monkeypatch):
    """How many enclaves run the plans of a suite, each with a part of the rows; slow with three."""
    monkeypatch.setattr("tests.support.differential.ENCLAVES", request.param)
    return request.param


@pytest.fixture
def three_enclaves(monkeypatch):
    """Three enclaves run each plan."""
    monkeypatch.setattr("tests.support.differential.ENCLAVES", 3)


def pytest_make_parametrize_id(config, val, argname):
    """Name cases of bytes or long text by their argument: fresh keys would make fresh names, and
    parallel workers must collect the same tests."""
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 40):
        return argname
    return None
