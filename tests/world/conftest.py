import pytest
from tests.support.world import world as make_world


@pytest.fixture
def world(tmp_path):
    """Three parties that have agreed, two of them with data."""
    with make_world(tmp_path) as found:
        found.agree()
        found.bring()
        yield found
