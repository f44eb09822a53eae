"""What tests of shared trainings share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.collectives import Trainers


@pytest.fixture(scope="module")
def trainers() -> Iterator[Trainers]:
    """Processes for trainings, which the tests of a module use one after the other."""
    found = Trainers()
    yield found
    found.close()
