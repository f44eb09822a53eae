"""News about SEV-SNP that a policy must answer: nothing on the line is accepted unless waived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """A published break of a product line that no firmware version repairs.

    `name` is what a policy writes into `waived`; `dated` is the month of publication.
    """

    name: str
    product_line: str
    dated: str
    text: str


ADVISORIES: Final = {
    advisory.name: advisory
    for advisory in (
        Advisory(
            name="milan-vcek-seed",
            product_line="Milan",
            dated="2026-05",
            text=(
                "arXiv 2605.12990 reports that software extracted the seed of endorsement keys "
                "on Milan; whoever can do so forges any report of that chip. Not reproduced here."
            ),
        ),
    )
}
"""By name."""
