"""Buckets fill at their rate."""

import pytest

from mc2.coordinator.rate import Buckets, Rate
from mc2.coordinator.refusals import BusyError


def test_a_burst_then_a_steady_rate():
    buckets = Buckets(Rate(per_second=2, burst=3))
    for _ in range(3):
        buckets.take("ada", 10.0)
    with pytest.raises(BusyError) as caught:
        buckets.take("ada", 10.0)
    assert caught.value.seconds == pytest.approx(0.5)
    buckets.take("bo", 10.0)
    buckets.take("ada", 10.5)
    with pytest.raises(BusyError):
        buckets.take("ada", 10.6)
    for _ in range(3):
        buckets.take("ada", 100.0)
    with pytest.raises(BusyError):
        buckets.take("ada", 100.0)


def test_strangers_cannot_fill_the_memory():
    buckets = Buckets(Rate(per_second=1, burst=1), most=2)
    for i in range(100):
        buckets.take(str(i), float(i) / 1000)
    assert len(buckets._buckets) == 2
    with pytest.raises(BusyError):
        buckets.take("99", 0.1)
