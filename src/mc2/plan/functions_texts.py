"""Functions of text and bytes. Lengths and positions count Unicode code points, from 1."""

from __future__ import annotations

from typing import Final

from mc2.errors import PlanError
from mc2.plan.like import check_pattern
from mc2.plan.regex import read_pattern, read_replacement
from mc2.plan.signatures import Arguments, Nulls, define

CHARSETS: Final = {
    "US-ASCII": "ascii",
    "ISO-8859-1": "latin-1",
    "UTF-8": "utf-8",
    "UTF-16BE": "utf-16-be",
    "UTF-16LE": "utf-16-le",
}
"""Character sets by the names that plans use, as Python calls them."""

_NUMBER_DIGITS: Final = 38
_TRIM: Final = ("string -> string", "string, string -> string")
_PAD: Final = "string, int32, string -> string"
_CONCAT: Final = (
    "string, string... -> string",
    "binary, binary... -> binary",
    "list<T>, list<T>... -> list<T> where T: any",
)


def _check_like(arguments: Arguments) -> None:
    check_pattern(arguments[1].text)


def _check_regex(arguments: Arguments) -> None:
    read_pattern(arguments[1].text)


def _check_group(arguments: Arguments) -> None:
    pattern = read_pattern(arguments[1].text)
    if not 0 <= int(arguments[2].text) <= pattern.groups:
        raise PlanError(f"the pattern has {pattern.groups} groups")


def _check_nonempty(arguments: Arguments) -> None:
    if read_pattern(arguments[1].text).may_be_empty:
        raise PlanError(
            "the pattern matches the empty text, on which engines differ",
            hint="write + for *, or leave out ?",
        )


def _check_replacement(arguments: Arguments) -> None:
    pattern = read_pattern(arguments[1].text)
    read_replacement(arguments[2].text, pattern.groups)
    if arguments[2].text:  # what is only taken away is the same in all engines
        _check_nonempty(arguments)


def _check_charset(arguments: Arguments) -> None:
    if arguments[1].text not in CHARSETS:
        raise PlanError(f"the character set is none of {', '.join(CHARSETS)}")


def _check_sha2(arguments: Arguments) -> None:
    if arguments[1].text not in {"224", "256", "384", "512"}:
        raise PlanError("SHA-2 has 224, 256, 384 or 512 bits")


def _check_number_digits(arguments: Arguments) -> None:
    if not 0 <= int(arguments[1].text) <= _NUMBER_DIGITS:
        raise PlanError(f"numbers are written with 0 to {_NUMBER_DIGITS} fraction digits")


TEXTS: Final = (
    # Text. Lengths and positions count Unicode code points, from 1.
    define("lower", "string -> string", "in lower case"),
    define("upper", "string -> string", "in upper case"),
    define("trim", _TRIM, "without spaces, or the second's characters, at both ends"),
    define("trim_start", _TRIM, "without spaces, or the second's characters, at the start"),
    define("trim_end", _TRIM, "without spaces, or the second's characters, at the end"),
    define("length", ("string -> int32", "binary -> int32"), "in characters, or in bytes"),
    define("substring", "string, int32, int32 -> string",
              "from a position, so many characters; a negative position counts from the end"),
    define("concat", _CONCAT, "one after the other"),
    define("like", "string, string -> boolean",
              "matches a pattern: % any text, _ one character, \\ escapes", literals=(1,),
           check=_check_like),
    define("contains", "string, string -> boolean", "the second occurs in the first"),
    define("starts_with", "string, string -> boolean", "the first starts with the second"),
    define("ends_with", "string, string -> boolean", "the first ends with the second"),
    define("replace", "string, string, string -> string",
              "the first, each occurrence of the second made the third"),
    define("position", "string, string -> int32",
              "where the second first occurs in the first; 0 if nowhere"),
    define("pad_start", _PAD, "filled up at the start, or cut, to so many characters"),
    define("pad_end", _PAD, "filled up at the end, or cut, to so many characters"),
    define("repeat", "string, int32 -> string", "so many times, one after the other"),
    define("reverse", ("string -> string", "list<T> -> list<T> where T: any"),
           "characters or elements from the last to the first"),
    define("capitalize", "string -> string",
           "in lower case, but the first letter of each word in upper case; spaces part words"),
    define("code_point", "string -> int32", "Unicode number of the first character; 0 if none"),
    define("character", "int64 -> string",
           "the character with that number modulo 256; empty below zero"),
    define("byte_length", "string -> int32", "length in bytes of UTF-8"),
    define("concat_with", "string, string... -> string",
           "the second and following, but NULL, with the first between them", Nulls.FIRST),
    define("split_part", "string, string, int32 -> string",
           "the part of that number, from the end if negative, between occurrences of the second",
           fails="the number is zero"),
    define("substring_index", "string, string, int32 -> string",
           "what stands before so many occurrences of the second, or after them from the end"),
    define("translate", "string, string, string -> string",
           "each character of the second made the one at its place in the third, or nothing"),
    define("levenshtein", "string, string -> int32", "how many edits of a character lie between"),
    define("soundex", "string -> string", "the Soundex code"),
    define("find_in_set", "string, string -> int32",
           "place of the first among the second's parts between commas; 0 if none"),
    define("format_number", ("double, int32 -> string", "P, int32 -> string where P: decimal"),
           "with so many fraction digits, rounded to even, and commas", literals=(1,),
           check=_check_number_digits),
    # Patterns: regular expressions of the common part of RE2 and Java, see "Patterns".
    define("matches", "string, string -> boolean", "the pattern matches somewhere",
           literals=(1,), check=_check_regex),
    define("regex_extract", "string, string, int32 -> string",
           "a group of the first match, 0 being the whole; empty if none", literals=(1, 2),
           check=_check_group),
    define("regex_extract_all", "string, string, int32 -> list<string>",
           "a group of each match", literals=(1, 2), check=_check_group),
    define("regex_replace", "string, string, string -> string",
           "each match made the third, in which $1 is a group", literals=(1, 2),
           check=_check_replacement),
    define("regex_count", "string, string -> int32", "how many matches", literals=(1,),
           check=_check_nonempty),
    define("split", "string, string, int32 -> list<string>",
           "parts between matches; at most so many if positive, without empty ones at the end if "
           "zero", literals=(1, 2), check=_check_nonempty),
    # Bytes.
    define("hex", ("int64 -> string", "string -> string", "binary -> string"),
           "in hexadecimal digits"),
    define("unhex", "string -> binary", "bytes from hexadecimal digits; NULL if it has others",
           Nulls.MAYBE),
    define("binary_digits", "int64 -> string", "in binary digits"),
    define("base64", "binary -> string", "in base64"),
    define("unbase64", "string -> binary", "bytes from base64", fails="it is not base64"),
    define("encode", "string, string -> binary", "bytes in a character set", literals=(1,),
           fails="a character is not in the set", check=_check_charset),
    define("decode", "binary, string -> string", "text from bytes in a character set",
           literals=(1,), fails="the bytes are no text", check=_check_charset),
    define("md5", "binary -> string", "MD5 in hexadecimal digits"),
    define("sha1", "binary -> string", "SHA-1 in hexadecimal digits"),
    define("sha2", "binary, int32 -> string",
           "SHA-2 of 224, 256, 384 or 512 bits in hexadecimal digits", literals=(1,),
           check=_check_sha2),
    define("crc32", "binary -> int64", "CRC-32"),
)  # fmt: skip
"""Text, patterns, and bytes."""
