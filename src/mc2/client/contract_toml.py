"""Contracts as people write them: TOML, with the members' cards in files beside it.

TOML is for people; what is signed is the canonical form that this makes of it, and `mc2 join`
shows that in plain words. Nothing has a default: what members sign, they have written.
Spec: docs/spec/contract.md, section "The file that people write".
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from mc2.attestation.policy import AttestationPolicy
from mc2.client.toml_source import TomlSource, plain
from mc2.errors import FormatError, Mc2Error
from mc2.formats.canonical import Json, encode
from mc2.formats.card import verify_card
from mc2.formats.contract import TYPE, Contract
from mc2.formats.fields import to_time
from mc2.formats.limits import LIMITS

API_VERSION: Final = TYPE
"""What `api_version` says: the version of the contract that the file becomes."""

_REQUIRED: Final = (
    "api_version",
    "name",
    "epoch",
    "not_after",
    "min_tier",
    "approvers",
    "max_attempts",
    "members",
    "attestation",
)
_OPTIONAL: Final = ("supersedes",)
_AS_WRITTEN: Final = ("name", "epoch", "min_tier", "approvers", "max_attempts", "attestation")


def read_contract_toml(
    text: str, read_card: Callable[[str], bytes], *, file: str = "the contract"
) -> Contract:
    """Make a contract of what people wrote.

    `read_card` gives the bytes of a signed card by the name in the file; `file` is how errors
    call the text.

    Raises: FormatError that names the line and the field; what `read_card` raises.
    """
    source = TomlSource(text, file)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{file} is not TOML: {error}") from None
    _check_fields(table, source)
    value: dict[str, Json] = {n: plain(table[n], (n,), source) for n in _AS_WRITTEN}
    value |= {
        "type": TYPE,
        "supersedes": plain(table.get("supersedes", ""), ("supersedes",), source) or None,
        "not_after": _time(table["not_after"], source),
        "members": [_member(n, m, source, read_card) for n, m in _members(table, source)],
    }
    try:
        contract = Contract.parse(encode(value))
        AttestationPolicy.read(contract.attestation)
    except Mc2Error as error:
        raise source.error(str(error), source.guess(str(error)), hint=error.hint) from None
    return contract


def _check_fields(table: Mapping[str, Any], source: TomlSource) -> None:
    if table.get("api_version", API_VERSION) != API_VERSION:
        raise source.error(
            f"api_version is not {API_VERSION!r}",
            ("api_version",),
            hint="another version of mc2 may read it",
        )
    missing = [name for name in _REQUIRED if name not in table]
    if missing:
        raise source.error(
            f"there is no {missing[0]!r}", (), hint=f"a contract has {', '.join(_REQUIRED)}"
        )
    unknown = sorted(table.keys() - {*_REQUIRED, *_OPTIONAL})
    if unknown:
        raise source.error(
            f"{unknown[0]!r} is no field of a contract",
            (unknown[0],),
            hint=f"the fields are {', '.join((*_REQUIRED, *_OPTIONAL))}",
        )


def _time(value: object, source: TomlSource) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None or value.microsecond:
        raise source.error(
            "'not_after' is not a moment in whole seconds with its offset",
            ("not_after",),
            hint="write it without quotes, such as 2027-12-31T23:59:59Z",
        )
    return to_time(value)


def _members(table: Mapping[str, Any], source: TomlSource) -> Iterator[tuple[str, Any]]:
    members = table["members"]
    if not isinstance(members, dict) or not members:
        raise source.error(
            "'members' is not a table of members",
            ("members",),
            hint="each member has a section, such as [members.clinic_a]",
        )
    yield from sorted(members.items())


def _member(
    name: str, value: object, source: TomlSource, read_card: Callable[[str], bytes]
) -> Json:
    path = ("members", name)
    if not isinstance(value, dict) or value.keys() != {"card", "roles"}:
        raise source.error(
            f"the member {name} has not exactly a card and roles",
            path,
            hint='write card = "file" and roles = ["owner", "recipient"]',
        )
    card_file, roles = value["card"], value["roles"]
    if not isinstance(card_file, str):
        raise source.error(f"the card of {name} is not the name of a file", (*path, "card"))
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise source.error(f"the roles of {name} are not a list of words", (*path, "roles"))
    raw = read_card(card_file)
    if len(raw) > 2 * LIMITS.card_bytes:
        raise source.error(f"the card of {name} is too large", (*path, "card"))
    try:
        card = verify_card(raw).card
    except Mc2Error as error:
        raise source.error(f"the card of {name}: {error}", (*path, "card")) from None
    if card.name != name:
        raise source.error(
            f"{card_file} is the card of {card.name}, not of {name}",
            (*path, "card"),
            hint="a member is called as its card says",
        )
    # Sets have one order in what is signed; people may write them in any.
    return {"card": card.json(), "roles": sorted(roles)}
