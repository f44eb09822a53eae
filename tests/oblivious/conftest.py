"""What the gates share: one build of the programs that run the kernels."""

import shutil

import pytest
from tools.prove import binaries


@pytest.fixture(scope="session")
def built():
    """The verification programs, of the same objects as the Python module."""
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed and could not be: tools/system-packages.sh")
    return binaries.build()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Traces come first: they take minutes, and at the end one processor would wait for the other."""
    items.sort(key=lambda item: "test_traces" not in item.nodeid)
