"""What one attestation policy accepts that another does not, rule by rule.

Each field has one meaning here; a test holds this table against the fields of every section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mc2.attestation.allowed import ANY
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.tokens.policy import SUPPORT
from mc2.formats.canonical import Json


class Direction(StrEnum):
    """What a change does to the members' protection."""

    WEAKER = "weaker"
    STRONGER = "stronger"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that is not the same: where, which way, and in words."""

    kind: str
    field: str
    direction: Direction
    text: str


Judge = Callable[[Json, Json], tuple[Direction, str]]


def compare(old: AttestationPolicy, new: AttestationPolicy) -> tuple[Change, ...]:
    """All changes from one policy to another, by kind and field."""
    before, after = old.json(), new.json()
    assert isinstance(before, Mapping)  # noqa: S101  a policy is an object of sections
    assert isinstance(after, Mapping)  # noqa: S101  a policy is an object of sections
    return tuple(_compare(before, after))


def _compare(before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterator[Change]:
    for kind in sorted(before.keys() | after.keys()):
        if kind not in before:
            yield Change(kind, "", Direction.WEAKER, "evidence of this kind is newly accepted")
        elif kind not in after:
            yield Change(kind, "", Direction.STRONGER, "evidence of this kind is refused now")
        else:
            yield from compare_sections(kind, before[kind], after[kind])


def compare_sections(kind: str, before: Json, after: Json, within: str = "") -> Iterator[Change]:
    """The changes in one section, both in the form that is signed."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return
    for field in before:
        old, new = before[field], after[field]
        if old == new:
            continue
        if field == "hardware" and isinstance(old, Mapping):
            yield from compare_sections(kind, old, new, within="hardware.")
        else:
            direction, text = judge_of(field)(old, new)
            yield Change(kind, within + field, direction, text)


def judge_of(field: str) -> Judge:
    """How to compare two values of a field. Raises: KeyError for a field that is unknown here."""
    prefix = field.partition("_")[0]
    return _JUDGES[field] if field in _JUDGES else _PREFIXES[prefix]


# --- judges


def _accepted(old: Json, new: Json) -> tuple[Direction, str]:
    """Lists of what is accepted; `any` is everything."""
    if new == ANY:
        return Direction.WEAKER, "anything is accepted now"
    if old == ANY:
        return Direction.STRONGER, f"only these are accepted now: {_shown(new)}"
    more, less = _items(new) - _items(old), _items(old) - _items(new)
    return _direction(bool(more), bool(less)), _sets("accepts", more, less)


def _denied(old: Json, new: Json) -> tuple[Direction, str]:
    more, less = _items(new) - _items(old), _items(old) - _items(new)
    return _direction(bool(less), bool(more)), _sets("denies", more, less)


def _least(old: Json, new: Json) -> tuple[Direction, str]:
    weaker = str(new) < str(old) if isinstance(old, str) else _number(new) < _number(old)
    return _direction(weaker, not weaker), f"at least {_shown(new)}, was {_shown(old)}"


def _most(old: Json, new: Json) -> tuple[Direction, str]:
    weaker = _number(new) > _number(old)
    return _direction(weaker, not weaker), f"at most {_shown(new)}, was {_shown(old)}"


def _allowing(old: Json, new: Json) -> tuple[Direction, str]:
    del old
    text = "is allowed now" if new else "is refused now"
    return _direction(bool(new), not new), text


def _requiring(old: Json, new: Json) -> tuple[Direction, str]:
    del old
    text = "is needed now" if new else "is no longer needed"
    return _direction(not new, bool(new)), text


def _registers(old: Json, new: Json) -> tuple[Direction, str]:
    """Registers that must have accepted values: more registers are stronger, more values weaker."""
    before, after = _map(old), _map(new)
    parts = [
        (Direction.WEAKER, f"register {n} is no longer looked at") for n in before if n not in after
    ]
    parts += [(Direction.STRONGER, f"register {n} is looked at") for n in after if n not in before]
    for number in before.keys() & after.keys():
        if before[number] != after[number]:
            direction, text = _accepted(before[number], after[number])
            parts.append((direction, f"register {number} {text}"))
    return _together(parts)


def _resets(old: Json, new: Json) -> tuple[Direction, str]:
    """Machines with the reset counts that are accepted of them, or `any`."""
    if ANY in (old, new):
        return _exact(old, new)
    before, after = _map(old), _map(new)
    more = {name for name in after if name not in before}
    less = {name for name in before if name not in after}
    parts = [(_direction(bool(more), bool(less)), _sets("accepts", more, less))] * bool(more | less)
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            text = f"{name} counts {_shown(after[name])}, was {_shown(before[name])}"
            parts.append((Direction.DIFFERENT, text))
    return _together(parts)


def _firmware(old: Json, new: Json) -> tuple[Direction, str]:
    """Least versions by product line; lines themselves are another field."""
    before, after = _map(old), _map(new)
    parts = []
    for line in sorted(before.keys() | after.keys()):
        was, now = _map(before.get(line)), _map(after.get(line))
        if line not in before or line not in after:
            word = "has" if line in after else "no longer has"
            parts.append((Direction.DIFFERENT, f"{line} {word} versions of its own"))
            continue
        for name in was:
            if was[name] != now[name]:
                direction, text = _least(was[name], now[name])
                parts.append((direction, f"{line} {name} {text}"))
    return _together(parts)


def _support(old: Json, new: Json) -> tuple[Direction, str]:
    weaker = SUPPORT.index(str(new)) > SUPPORT.index(str(old))  # LATEST first
    return _direction(weaker, not weaker), f"{new}, was {old}"


def _exact(old: Json, new: Json) -> tuple[Direction, str]:
    """One value, or `any`."""
    if new == ANY:
        return Direction.WEAKER, "may be anything now"
    if old == ANY:
        return Direction.STRONGER, f"must be {_shown(new)} now"
    return Direction.DIFFERENT, f"{_shown(new)}, was {_shown(old)}"


_ACCEPTED: Final = (
    "measurements", "host_data", "id_key_digests", "author_key_digests", "signing_keys",
    "product_lines", "waived", "platforms", "statuses", "sgx_types", "mrenclave", "mrsigner",
    "configid", "mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrseam", "mrconfigid", "mrowner",
    "mrownerconfig", "mrservicetd", "pcr0", "pcr1", "pcr2", "pcr3", "pcr4", "pcr8", "firmware",
    "image_digests", "audiences", "hardware", "tcb_statuses", "projects", "roots", "origins",
    "code",
    "allowed_attributes",
)  # fmt: skip
_JUDGES: Final[Mapping[str, Judge]] = {
    **dict.fromkeys(_ACCEPTED, _accepted),
    "min_tcb": _firmware,
    "pcrs": _registers,
    "events": _registers,
    "resets": _resets,
    "support": _support,
    "arguments": _exact,
    "environment": _exact,
    "isvprodid": _exact,
    "bank": _exact,
    "root": _exact,
}
_PREFIXES: Final[Mapping[str, Judge]] = {
    "min": _least,
    "max": _most,
    "allow": _allowing,
    "waive": _allowing,
    "require": _requiring,
    "denied": _denied,
}


# --- values


def _direction(weaker: bool, stronger: bool) -> Direction:  # noqa: FBT001  one of each, in order
    if weaker == stronger:
        return Direction.DIFFERENT
    return Direction.WEAKER if weaker else Direction.STRONGER


def _together(parts: Sequence[tuple[Direction, str]]) -> tuple[Direction, str]:
    found = {direction for direction, _ in parts if direction is not Direction.DIFFERENT}
    same = len(found) == 1 and all(direction in found for direction, _ in parts)
    return found.pop() if same else Direction.DIFFERENT, "; ".join(text for _, text in parts)


def _sets(verb: str, more: set[str], less: set[str]) -> str:
    parts = [f"also {verb} {', '.join(sorted(more))}"] if more else []
    parts += [f"no longer {verb} {', '.join(sorted(less))}"] if less else []
    return "; ".join(parts)


def _items(value: Json) -> set[str]:
    return {str(item) for item in value} if isinstance(value, list | tuple) else set()


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _shown(value: Json) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "nothing"
    return str(value)
