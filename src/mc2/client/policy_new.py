"""Writes a new policy section as TOML for people to fill in, with the reason of every proposal."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Final

from mc2.client.policy_defaults import KINDS, KindDefaults, OwnField, proposal, read_section
from mc2.errors import UsageError
from mc2.formats.canonical import Json

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_WIDTH: Final = 98
_ANY: Final = "any"


def read_settings(kind: str, settings: Iterable[str]) -> dict[str, Json]:
    """The members' own values from `NAME=VALUE`; repeated names make lists.

    Raises: UsageError for a name that is not one of the kind's own fields.
    """
    found: dict[str, Json] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not value:
            raise UsageError(f"{setting!r} is not NAME=VALUE")
        _set(KINDS[kind], found, name.split("."), value, setting)
    return found


def write_policy(kind: str, own: Mapping[str, Json]) -> str:
    """The section as TOML. A field that nobody filled in stands there as a comment.

    Such a file is refused by `mc2 policy check` until people fill it in.

    Raises: FormatError for own values of a wrong form.
    """
    begin = KINDS[kind]
    if not _missing(begin, own):
        read_section(kind, proposal(kind, own))
    lines = [
        f"# Which enclaves we accept: {begin.title}.",
        "# All fields are needed: leaving one out is an error, never a waiver. Lines that begin",
        "# with `# FILL IN` are yours. Then: mc2 policy check, mc2 policy explain.",
        "",
        f"[attestation.{_key(kind)}]",
        *_section(begin, own),
    ]
    if begin.hardware is not None:
        inner = own.get("hardware", {})
        lines += [
            "",
            "# The hardware underneath: what is measured there is the provider's paravisor.",
            f"[attestation.{_key(kind)}.hardware]",
            *_section(KINDS[begin.hardware], inner if isinstance(inner, Mapping) else {}),
        ]
    return "\n".join(lines) + "\n"


def _section(begin: KindDefaults, own: Mapping[str, Json]) -> list[str]:
    lines = []
    for field in begin.own:
        lines += _comment(f"{field.meaning}.")
        if field.field in own:
            lines.append(f"{field.field} = {toml(own[field.field])}")
        else:
            lines.append(f"# FILL IN: {field.field} = {toml(field.example)}")
    for default in begin.defaults:
        lines += ["", *_comment(f"{default.reason} ({default.dated})")]
        lines.append(f"{default.field} = {toml(default.value)}")
    return lines


def toml(value: Json) -> str:
    """A value in one line of TOML."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {toml(item)}" for name, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    # What JSON writes of texts, integers and switches is TOML as well.
    return json.dumps(value, ensure_ascii=True)


def _key(name: str) -> str:
    return name if _BARE_KEY.match(name) else json.dumps(name)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _missing(begin: KindDefaults, own: Mapping[str, Json]) -> bool:
    inner = own.get("hardware", {})
    within = begin.hardware is not None and (
        not isinstance(inner, Mapping) or _missing(KINDS[begin.hardware], inner)
    )
    return within or any(field.field not in own for field in begin.own)


def _set(
    begin: KindDefaults, found: dict[str, Json], path: list[str], value: str, setting: str
) -> None:
    fields = {field.field: field for field in begin.own}
    if path[0] == "hardware" and begin.hardware is not None and len(path) > 1:
        inner = found.setdefault("hardware", {})
        assert isinstance(inner, dict)  # noqa: S101  made in the line above
        _set(KINDS[begin.hardware], inner, path[1:], value, setting)
        return
    own = fields.get(path[0])
    if own is None or len(path) != (2 if isinstance(own.example, Mapping) else 1):
        names = ", ".join(_usage(field) for field in begin.own)
        raise UsageError(f"{setting!r} sets no field of this kind", hint=f"there are: {names}")
    if isinstance(own.example, Mapping):
        register = found.setdefault(own.field, {})
        assert isinstance(register, dict)  # noqa: S101  made in the line above
        _append(register, path[1], value)
    elif isinstance(own.example, str) or value == _ANY:
        found[own.field] = value
    else:
        _append(found, own.field, value)


def _append(found: dict[str, Json], name: str, value: str) -> None:
    before = found.get(name, [])
    values = [str(item) for item in before] if isinstance(before, list) else []
    found[name] = sorted({*values, value}) if name != "arguments" else [*values, value]


def _usage(field: OwnField) -> str:
    return f"{field.field}.NUMBER=…" if isinstance(field.example, Mapping) else f"{field.field}=…"
