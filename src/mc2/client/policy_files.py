"""Reads attestation policies from files: contracts as people write them, or policies alone.

A file is TOML or JSON. A policy alone has the table `attestation` and nothing else; as JSON it
may also be that table itself, as it stands in a signed contract.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mc2.attestation.claims import Tier
from mc2.attestation.policy import SECTION_TYPES, AttestationPolicy
from mc2.client.contracts import read_contract_file
from mc2.client.policy_defaults import KINDS, read_section, sample
from mc2.client.toml_source import TomlSource, plain
from mc2.errors import FormatError, Mc2Error, UsageError
from mc2.formats.canonical import Json
from mc2.formats.contract import TIERS

_FILE_BYTES: Final = 1024 * 1024
_LINE: Final = re.compile(r"line (\d+)")
_TOGETHER: Final = (("product_lines", "min_tcb"), ("bank", "pcrs", "events"))
"""Fields whose forms depend on each other, so that one alone cannot be called wrong."""

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy, and the minimum tier that stands beside it in a contract."""

    policy: AttestationPolicy
    min_tier: Tier | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file, at a line (from 1; 0 where none can be named)."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class _Document:
    source: TomlSource
    table: Mapping[str, Any]
    attestation: Json
    contract: bool
    toml: bool


def read_policy_file(path: Path) -> PolicyFile:
    """The policy in a file. Raises: UsageError, FormatError with the first problem."""
    document = _read(path)
    try:
        policy = AttestationPolicy.read(document.attestation)
    except FormatError as error:
        raise FormatError(
            f"{path.name}: {error}", hint=error.hint or f"all problems: mc2 policy check {path}"
        ) from None
    tier = document.table.get("min_tier")
    return PolicyFile(policy, Tier.of(tier) if tier in TIERS else None)


def check_policy_file(path: Path) -> tuple[Problem, ...]:
    """Everything that is wrong with the policy in a file, and the first thing beside it.

    A contract in TOML is read whole, with its members' cards, once its policy is right.

    Raises: UsageError if there is no such file.
    """
    try:
        document = _read(path)
    except FormatError as error:
        return (_problem(error),)
    problems = sorted(_problems(document), key=lambda problem: problem.line)
    if problems or not (document.contract and document.toml):
        return tuple(problems)
    try:
        read_contract_file(path)
    except Mc2Error as error:
        return (_problem(error),)
    return ()


def _problem(error: Mc2Error) -> Problem:
    """An error that says its line itself."""
    found = _LINE.search(str(error))
    return Problem(int(found[1]) if found else 0, str(error))


def _read(path: Path) -> _Document:
    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_BYTES + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FormatError(f"{path.name} is not text in UTF-8") from None
    if len(raw) > _FILE_BYTES:
        raise UsageError(f"{path} is larger than {_FILE_BYTES} bytes")
    if path.suffix == ".json" or text.lstrip().startswith("{"):
        return _document(_load_json(text, path.name), TomlSource("", path.name), toml=False)
    try:
        return _document(tomllib.loads(text), TomlSource(text, path.name), toml=True)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{path.name} is not TOML: {error}") from None


def _load_json(text: str, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FormatError(f"{name} is not a JSON object")
    return found if "attestation" in found else {"attestation": found}


def _document(table: Mapping[str, Any], source: TomlSource, *, toml: bool) -> _Document:
    if "attestation" not in table:
        raise source.error(
            "there is no table 'attestation'", (), hint="begin one: mc2 policy new --kind KIND"
        )
    value = plain(table["attestation"], ("attestation",), source)
    contract = "api_version" in table or "members" in table
    return _Document(source, table, value, contract, toml)


def _problems(document: _Document) -> Iterator[Problem]:
    def at(place: Place, text: str) -> Problem:
        return Problem(document.source.line(("attestation", *place)), text)

    if not document.contract:
        for name in sorted(document.table.keys() - {"attestation", "min_tier"}):
            line = document.source.line((name,))
            yield Problem(line, f"{name!r} is no part of a policy; only a contract has more")
    policy = document.attestation
    if not isinstance(policy, Mapping) or not policy:
        yield at((), "the attestation policy is empty: no enclave could ever run a job")
        return
    for kind, section in policy.items():
        if kind not in SECTION_TYPES:
            yield at((kind,), f"{kind!r} is no kind of evidence; known: {', '.join(SECTION_TYPES)}")
            continue
        for place, text in section_problems(kind, section):
            yield at((kind, *place), text)


def section_problems(kind: str, section: Json) -> tuple[tuple[Place, str], ...]:
    """Everything that is wrong with a section, each with its place within."""
    if not isinstance(section, Mapping):
        return (((), f"the section {kind} is not a table"),)
    good = sample(kind)
    meanings = {own.field: own.meaning for own in KINDS[kind].own}
    found: list[tuple[Place, str]] = [
        ((), f"{name!r} is missing" + (f": {meanings[name]}" if name in meanings else ""))
        for name in good
        if name not in section
    ]
    found += [((name,), f"{name!r} is no field of {kind}") for name in section if name not in good]
    for group in _groups(good):
        if all(name in section for name in group):
            found += _wrong(kind, section, good, group)
    if not found:
        found += _whole(kind, section)
    return tuple(found)


def _groups(good: Mapping[str, Json]) -> list[Place]:
    together = [group for group in _TOGETHER if all(name in good for name in group)]
    grouped = {name for group in together for name in group}
    return [*together, *((name,) for name in good if name not in grouped)]


def _wrong(
    kind: str, section: Mapping[str, Json], good: Mapping[str, Json], group: Place
) -> list[tuple[Place, str]]:
    """What is wrong with these fields, all others being right."""
    inner = KINDS[kind].hardware
    if group == ("hardware",) and inner is not None:
        return [
            (("hardware", *place), text)
            for place, text in section_problems(inner, section["hardware"])
        ]
    text = _refusal(kind, {**good, **{name: section[name] for name in group}})
    if text is None:
        return []
    # The one that the message names, or else the first that is wrong whatever the others are.
    named = [name for name in group if re.search(rf"\b{name}\b", text)]
    alone = [name for name in group if _refusal(kind, {**good, name: section[name]})]
    return [((*named, *alone, *group)[:1], text)]


def _refusal(kind: str, section: Mapping[str, Json]) -> str | None:
    try:
        read_section(kind, section)
    except FormatError as error:
        return str(error)
    return None


def _whole(kind: str, section: Mapping[str, Json]) -> list[tuple[Place, str]]:
    """What only shows when all fields are together."""
    text = _refusal(kind, section)
    return [] if text is None else [((), text)]
