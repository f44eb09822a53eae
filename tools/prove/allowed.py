"""What the lint finds and lets pass: each with the reason why it shows nothing of a secret.

A function that is not named here passes without any finding. Families and functions are regular
expressions that must match whole names; `kind` is the lint's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.prove.lint import Finding


@dataclass(frozen=True)
class Allowed:
    """A finding that is no leak."""

    family: str
    function: str
    kind: str
    reason: str


_SWITCH = (
    "a choice by a public argument (which operation, how wide rows are): memcheck sees the address"
)
_SHARE = "divides the public number of rows by the public number of threads"
_REAL = (
    "time does not depend on operands but for numbers near zero (denormals) and NaN on some "
    "processors: docs/limitations.md"
)
_DIVIDE = "the division of IEEE 754 may take longer for some operands: docs/limitations.md"
_MASKS = "the mask comes from positions and public lengths; memcheck reports masks made of secrets"
_NETWORKS = (
    "sizes and shares of threads that instances for other widths have in cases: the same templates "
    "are run there, but memcheck has not seen these jumps: docs/limitations.md"
)
_ENDS = (
    "ends of loops over rows, words and pieces of public numbers, and tests whether arrays "
    "overlap, that no case has; memcheck has not seen these jumps: docs/limitations.md"
)


def _any_of(names: str) -> str:
    """Functions of these names, what they are called with, and what stands inside of them."""
    return f"(?:{'|'.join(names.split())})(?:\\W.*)?"


ALLOWED = (
    Allowed(".*", ".*", "indirect jump", _SWITCH),
    Allowed("(?!leaky).*", ".*", "real arithmetic", _REAL),
    Allowed("numbers", "divide_doubles", "real division", _DIVIDE),
    Allowed(
        "dates", "floor_divide|modulo", "call __udivti3",
        "the reciprocal of the divisor, which is an argument of the plan and public",
    ),
    Allowed("\\w+", r"Parted<.*|Work<.*|Encoding::run|grouped", "division", _SHARE),
    Allowed(
        "splits", "Finder::run|Finder::run_window|leaf_values|find|refine", "verdict of vectors",
        "tells which of the training's parameters are in use: they are public",
    ),
    Allowed("texts", "like|concat|substring|trim", "masked move", _MASKS),
    Allowed("digits", "read_double", "masked move", _MASKS),
    Allowed("phrases", "substring_at|reverse|trim_any|part", "masked move", _MASKS),
    Allowed(
        "texts", "like", "lanes to a register",
        "the bits become a set of places that is only computed with: no jump or address reads it",
    ),
    Allowed(
        "",
        _any_of("Network Compaction Targets Rows sort_rows merge_rows top_rows")
        + "|void (Network|Rows|with_network)<.*",
        "unseen jump", _NETWORKS,
    ),
    Allowed(  # training
        "",
        _any_of(
            "Finder Parted advance cluster_sums counts_by_code cut_values direct ends_of find "
            "gradients grouped leaves_of losses places predict restore_centres route standardise "
            "sums_by_code transform unfold"
        ),
        "unseen jump", _ENDS,
    ),
    Allowed(  # elementwise kernels, scans and chunks
        "",
        _any_of(
            "add and_known and_marks bits clear_rows divide_wide_rows doubles equal_rows "
            "expand_rows extreme_rows gather_bits marks_to_words narrow_bytes narrow_floats "
            "not_marks or_known or_marks raise_flag read_texts select_rows spread_bit "
            "widen_bytes widen_floats words_to_marks write_texts count_rows count_marks extremes "
            "fill_down ranks_of sum_words"
        )
        + "|(void )?(over_shares|cut_scan|cut_over_threads)<.*",
        "unseen jump", _ENDS,
    ),
    Allowed(  # texts, numbers in texts, packed rows
        "",
        _any_of(
            "concat count_characters like map_letters match_few pack_bits part position "
            "read_double read_pieces replace reverse spell_decimal spell_double substring "
            "substring_at translate trim trim_any unpack_bits"
        ),
        "unseen jump", _ENDS,
    ),
    Allowed(  # digits, digests and edits
        "",
        _any_of(
            "base64 code_point count_edits decode digest_rows encode soundex spell_word unbase64 "
            "unhex"
        ),
        "unseen jump", _ENDS,
    ),
)  # fmt: skip


MOST_UNSEEN = 0.13
"""The part of all conditional jumps that may be unseen: it may fall, and not rise."""


def reason_for(finding: Finding) -> str | None:
    """Why a finding is let pass; None if it is not."""
    for one in ALLOWED:
        kinds = {finding.kind, f"{finding.kind} {finding.detail}"}
        if (
            one.kind in kinds
            and re.fullmatch(one.family, finding.family)
            and re.fullmatch(one.function, finding.function)
        ):
            return one.reason
    return None
