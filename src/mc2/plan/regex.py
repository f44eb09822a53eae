r"""Regular expressions of plans: what Java's and RE2's have in common, with Java's meaning.

A pattern is read whole, and written anew for RE2, which needs time in proportion to the text
whatever the pattern. What RE2 lacks (lookaround, references to groups, possessive and atomic
parts) is refused, and so is what the two read differently. Two meanings are our own: `$` is the
very end of the text, and `(?i)` also takes letters beyond ASCII for equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mc2.errors import PlanError

_LONGEST: Final = 1000  # characters
_MOST_REPEATS: Final = 1000  # RE2's own limit
_MOST_COPIES: Final = 10_000  # of nested repetitions together, which RE2 writes out
_DEEPEST: Final = 32
_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")
_CLASSES: Final = {
    "d": "0-9", "w": "0-9A-Za-z_", "s": "\\t-\\r ", "h": "\\t \\x{a0}",
}  # fmt: skip
_OTHERS: Final = {
    "D": "\\x00-/:-\\x{10ffff}",
    "W": "\\x00-/:-@\\[-\\^`{-\\x{10ffff}",
    "S": "\\x00-\\x08\\x0e-\\x1f!-\\x{10ffff}",
}
"""What is not in such a class, for sets that hold more than that."""
_CONTROLS: Final = {"t": "\\t", "n": "\\n", "r": "\\r", "f": "\\f", "a": "\\x07", "e": "\\x1b"}
_CODE: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|x\{([0-9A-Fa-f]{1,6})\}")
_CATEGORY: Final = re.compile(r"[pP]\{((?:L[ultmo]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?))\}")
_REPEAT: Final = re.compile(r"\{([0-9]{1,4})(,([0-9]{1,4})?)?\}")
_FLAGS: Final = re.compile(r"\(\?([is]{1,2})\)")
_NAMED: Final = re.compile(r"\(\?<([A-Za-z][A-Za-z0-9]*)>")
_DOT: Final = "[^\\n\\r\\x{85}\\x{2028}\\x{2029}]"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern for RE2, how many groups it has, and whether it matches the empty text."""

    re2: str
    groups: int
    may_be_empty: bool


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    empty: bool  # matches the empty text
    copies: int = 1  # how often RE2 writes it out


def read_pattern(text: str) -> Pattern:
    """Read a pattern. Raises: PlanError if it is none, or engines differ on it."""
    if len(text) > _LONGEST:
        raise PlanError(f"a pattern has at most {_LONGEST} characters")
    reader = _Reader(text)
    part = reader.alternatives(0)
    if reader.at != len(text):
        raise PlanError("a bracket in the pattern is closed that was not opened")
    return Pattern(reader.flags + part.text, reader.groups, part.empty)


def plain_text(pattern: str) -> str | None:
    """The one text that a pattern matches, if no part of it could be another; None otherwise."""
    plain = re.sub(
        r"\\([\\^$.|?*+()\[\]{}])|\[([^\\^\[\]])\]|([\\^$.|?*+()\[\]{}])", _plain, pattern
    )
    return None if "\0" in plain or "\0" in pattern else plain


def _plain(found: re.Match[str]) -> str:
    return found[1] or found[2] or "\0"


def read_replacement(text: str, groups: int) -> str:
    r"""A replacement in RE2's words: `$1` becomes `\1`. Raises: PlanError."""
    written, at = [], 0
    while at < len(text):
        character, following = text[at], text[at + 1 : at + 2]
        if character == "$":
            if not following.isascii() or not following.isdigit() or int(following) > groups:
                raise PlanError(f"$ stands before the number of a group, 0 to {groups}")
            if text[at + 2 : at + 3].isdigit():
                raise PlanError("engines differ on a digit after the number of a group")
            written.append(f"\\{following}")
            at += 2
        elif character == "\\":
            if following not in {"$", "\\"}:
                raise PlanError("a backslash in a replacement stands before $ or a backslash")
            written.append("$" if following == "$" else "\\\\")
            at += 2
        else:
            written.append(character)
            at += 1
    return "".join(written)


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = 0
        self.flags = ""
        if found := _FLAGS.match(text):
            self.flags = found[0]
            self.at = found.end()

    def peek(self, many: int = 1) -> str:
        return self.text[self.at : self.at + many]

    def take(self) -> str:
        if self.at >= len(self.text):
            raise PlanError("the pattern ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def alternatives(self, depth: int) -> _Part:
        if depth > _DEEPEST:
            raise PlanError("the pattern nests too deeply")
        parts = [self.sequence(depth)]
        while self.peek() == "|":
            self.at += 1
            parts.append(self.sequence(depth))
        return _Part(
            "|".join(p.text for p in parts),
            any(p.empty for p in parts),
            sum(p.copies for p in parts),
        )

    def sequence(self, depth: int) -> _Part:
        parts = []
        while self.at < len(self.text) and self.peek() not in {"|", ")"}:
            parts.append(self.repeated(self.atom(depth)))
        return _Part(
            "".join(p.text for p in parts),
            all(p.empty for p in parts),
            sum(p.copies for p in parts) or 1,
        )

    def repeated(self, part: _Part) -> _Part:
        found = self._quantifier()
        if found is None:
            return part
        text, least, copies = found
        lazy = self.peek() == "?"
        self.at += lazy
        if self.peek() == "+":
            raise PlanError("possessive parts of patterns may not stand here", hint="leave + out")
        if self.peek() in {"*", "?"} or _REPEAT.match(self.text, self.at):
            raise PlanError("two signs of repetition stand together in the pattern")
        written = part.copies * copies
        if written > _MOST_COPIES:
            raise PlanError("the pattern repeats too much")
        return _Part(part.text + text + "?" * lazy, part.empty or least == 0, written)

    def _quantifier(self) -> tuple[str, int, int] | None:
        sign = self.peek()
        if sign and sign in "*+?":
            self.at += 1
            return sign, int(sign == "+"), 1
        if sign != "{":
            return None
        found = _REPEAT.match(self.text, self.at)
        if found is None:
            raise PlanError("a curly bracket in the pattern repeats nothing", hint="write \\{")
        least, most = int(found[1]), int(found[3] or found[1])
        if most < least or most > _MOST_REPEATS:
            raise PlanError(f"a part of a pattern is repeated at most {_MOST_REPEATS} times")
        self.at = found.end()
        return found[0], least, max(most, 1)

    def atom(self, depth: int) -> _Part:
        sign = self.take()
        match sign:
            case "(":
                found = self._group(depth)
            case "[":
                found = _Part(self._set(), empty=False)
            case "\\":
                found = self._escape()
            case ".":
                found = _Part("(?s:.)" if "s" in self.flags else _DOT, empty=False)
            case "^" | "$":
                found = _Part("\\A" if sign == "^" else "\\z", empty=True)
            case "*" | "+" | "?" | "{":
                raise PlanError("a sign in the pattern repeats nothing")
            case "]" | "}":
                found = _Part("\\" + sign, empty=False)
            case _:
                found = _Part(sign, empty=False)
        return found

    def _group(self, depth: int) -> _Part:
        opened = "("
        if self.peek(2) == "?:":
            opened = "(?:"
            self.at += 2
        elif named := _NAMED.match(self.text, self.at - 1):
            self.at = named.end()
            self.groups += 1
        elif self.peek() == "?":
            raise PlanError(
                "lookaround, atomic groups and flags inside a pattern may not stand here",
                hint="write (?i) or (?s) at the very start, and (?:...) for a group",
            )
        else:
            self.groups += 1
        inner = self.alternatives(depth + 1)
        if self.peek() != ")":
            raise PlanError("a bracket in the pattern is not closed")
        self.at += 1
        return _Part(f"{opened}{inner.text})", inner.empty, inner.copies)

    def _escape(self) -> _Part:
        if self.peek() and self.peek() in "bBAz":
            return _Part("\\" + self.take(), empty=True)
        kind = self.peek().lower()
        if kind and kind in _CLASSES:
            negated = "^" if self.take().isupper() else ""
            return _Part(f"[{negated}{_CLASSES[kind]}]", empty=False)
        return _Part(self._character(), empty=False)

    def _character(self) -> str:
        """What stands after a backslash and is one character, or a category of characters."""
        for pattern in (_CODE, _CATEGORY):
            if found := pattern.match(self.text, self.at):
                self.at = found.end()
                return "\\" + found[0] if pattern is _CATEGORY else _code(found)
        sign = self.take()
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign.isdigit():
            raise PlanError("references to groups may not stand in a pattern")
        if sign.isalnum() or not sign.isascii():
            raise PlanError(f"\\{sign} may not stand in a pattern")
        return "\\" + sign if sign in _SPECIAL or sign == "-" else sign

    def _set(self) -> str:
        negated = self.peek() == "^"
        self.at += negated
        written: list[str] = []
        while self.peek() != "]":
            low = self._member()
            if self.peek() == "-" and self.peek(2) not in {"-]", "-"}:
                self.at += 1
                high = self._member()
                if _is_class(low) or _is_class(high):
                    raise PlanError("a range in the pattern has no two ends")
                written.append(f"{low}-{high}")
            else:
                written.append(low)
        self.at += 1
        if not written:
            raise PlanError("square brackets in the pattern hold nothing")
        return f"[{'^' if negated else ''}{''.join(written)}]"

    def _member(self) -> str:
        if self.peek(2) == "&&":
            raise PlanError("intersections of sets may not stand in a pattern")
        sign = self.take()
        if sign == "[":
            raise PlanError("sets inside sets may not stand in a pattern", hint="write \\[")
        if sign != "\\":
            return "\\" + sign if sign in {"^", "-"} else sign
        kind = self.peek()
        for classes in (_CLASSES, _OTHERS):
            if kind in classes:
                self.at += 1
                return classes[kind]
        return self._character()


def _is_class(member: str) -> bool:
    several = {*_CLASSES.values(), *_OTHERS.values()}
    return member in several or member[:2] in {"\\p", "\\P"}


def _code(found: re.Match[str]) -> str:
    number = int(found[1] or found[2] or found[3], 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise PlanError("a number in the pattern is no character")
    return f"\\x{{{number:x}}}"
