"""Of several usage policies the strictest follows what is kept."""

from __future__ import annotations

from datetime import UTC, datetime

from mc2.formats.manifest import ModelPolicy, UsagePolicy
from mc2.plan.kept import strictest

SOON, LATER = (datetime(2030, month, 1, tzinfo=UTC) for month in (1, 2))


def test_no_rules_stay_none():
    assert strictest([UsagePolicy(), UsagePolicy()]) == UsagePolicy()


def test_recipients_are_those_whom_all_allow():
    found = strictest(
        [
            UsagePolicy(recipients=("ada", "bo")),
            UsagePolicy(),
            UsagePolicy(recipients=("bo", "cy")),
        ]
    )
    assert found.recipients == ("bo",)
    nobody = strictest([UsagePolicy(recipients=("ada",)), UsagePolicy(recipients=("bo",))])
    assert nobody.recipients == ()  # nobody, which is not the same as no rule


def test_the_earliest_day_counts_and_columns_fall_away():
    found = strictest(
        [UsagePolicy(not_after=LATER, columns=("a",)), UsagePolicy(not_after=SOON), UsagePolicy()]
    )
    assert found == UsagePolicy(not_after=SOON)


def test_of_rules_for_models_the_strictest_of_each_kind():
    found = strictest(
        [
            UsagePolicy(models=ModelPolicy(leaf_rows=5, bare=True)),
            UsagePolicy(models=ModelPolicy(leaf_rows=2, leaf_owners=3, public_thresholds=True)),
            UsagePolicy(),
        ]
    )
    assert found.models == ModelPolicy(5, 3, bare=True, public_thresholds=True)
