"""Takes out of an object in JSON what nobody but its owner should read; the rest stays as it is.

What is redacted is the text of a string, so the structure stays, and an object can still be used.
What counts as a secret, by where it stands and by what it looks like:

1. values of environment variables and of HTTP headers, whatever they are called;
2. annotations whose name speaks of a secret, and the copy of a whole object that kubectl keeps;
3. any other string whose name ends in such a word (`password`, `accessToken`); not what only names
   or refers to one (`secretName`, `secretKeyRef`);
4. in commands and arguments: the value of an option or variable with such a name;
5. any text of more than 32 kB;
6. anywhere: JSON web tokens, bearer tokens, private keys, tokens of well-known services, passwords
   in addresses. Names, namespaces and uids are never touched: other objects refer to them.

Only tokens of JSON are looked at, never a tree: 70 us for each kB, and an object of any size is
read in steps of 1 to 2 ms, but for texts that are searched (4 ms), whatever a tenant wrote into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

PLACEHOLDER: Final = b"<redacted>"

TEXT_BYTES_MAX: Final = 32 * 1024
"""A longer text is redacted whole: it may hold anything, and to search it takes 1 ms for 16 kB."""

NAME_BYTES_MAX, NAMES_MAX = 512, 1_024
"""Of names it is remembered whether they speak of a secret; no API server takes longer ones."""

STEP_BYTES_MAX: Final = 16 * 1024
"""After so many bytes there is a piece: 1 ms to search a text of that length, or to read tokens."""

TOKEN_BYTES: Final = 64
"""A token costs as much as so many bytes of text, where each has a name of its own."""

# What stands between, and then a string, with the colon that makes it a name, with the text that is
# its value; or a bracket. Each match begins where the one before it ended, so none is longer than a
# step where there is nothing but numbers.
_STRING: Final = rb'"([^"\\]*+(?:(?:\\.)++[^"\\]*+)*+)"'
_SPACE: Final = rb"[ \t\r\n]*+"
_BETWEEN: Final = rb'[^"{}\[\]]{0,%d}+' % STEP_BYTES_MAX
_NAMED: Final = _SPACE + rb"(:)" + _SPACE + rb"(?:" + _STRING + rb")?"
_TOKEN: Final = re.compile(
    _BETWEEN + rb"(?:" + _STRING + rb"(?:" + _NAMED + rb")?|([{}\[\]]))?", re.DOTALL
)
_TEXT, _NAME, _VALUE, _BRACKET = 1, 2, 3, 4  # the last group of a match tells which it is

_WORD: Final = (
    rb"(?:token|secret|passw(?:or)?d|passphrase|pwd|credentials?|api[-_.]?key|access[-_.]?key"
    rb"|private[-_.]?key|signing[-_.]?key|encryption[-_.]?key|authorization)"
)
_SECRET_WORD: Final = re.compile(_WORD, re.IGNORECASE)
_ENDS_IN_SECRET: Final = re.compile(_WORD + rb"$", re.IGNORECASE)
# As it is in quotes, which are escaped in JSON, or without.
_GIVEN: Final = rb"""(?:'[^']*'|\\"(?:\\\\\\"|\\[^"]|[^"\\])*\\"|[^\s"',;&|\\-][^\s"',;&|\\]*)"""
_ASSIGNED: Final = re.compile(
    rb"(?<![\w.-])([\w.-]{0,99}" + _WORD + rb"[\w.-]{0,99}=)-?" + _GIVEN, re.IGNORECASE
)
_OPTION: Final = re.compile(
    rb"(?<![\w.-])(--?[\w.-]{0,99}" + _WORD + rb"[\w.-]{0,99} +)" + _GIVEN, re.IGNORECASE
)
_LONE_OPTION: Final = re.compile(rb"--?[\w.-]{0,99}" + _WORD + rb"[\w.-]{0,99}", re.IGNORECASE)


class _Shape(NamedTuple):
    """What a secret looks like. One of `words` is in each: they are found a hundred times faster
    than the pattern."""

    words: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    shown: bytes = PLACEHOLDER


_SERVICE_TOKEN: Final = (
    rb"(?<![\w-])(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}"
    rb"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}|sk-(?:[a-z]+-)?\w{20,})"
)
_SERVICE_WORDS: Final = (
    *(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_", b"glpat-"),
    *(b"xox", b"AKIA", b"ASIA", b"AIza", b"sk-"),
)
_SHAPES: Final = (
    _Shape((b"eyJ",), re.compile(rb"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")),
    _Shape(
        (b"earer ", b"EARER "),
        re.compile(rb"\b([Bb]earer|BEARER) +[\w.~+/=-]{8,}"),
        rb"\1 " + PLACEHOLDER,
    ),
    _Shape(
        (b"PRIVATE KEY",),
        re.compile(rb"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----.*", re.DOTALL),
    ),
    _Shape(_SERVICE_WORDS, re.compile(_SERVICE_TOKEN)),
    _Shape(
        (b"@",),
        re.compile(rb"://[^/\s:@\"]*:[^/\s@\"]+@"),
        b"://" + PLACEHOLDER + b"@",
    ),
)
_IDENTITY: Final = frozenset((b"name", b"namespace", b"uid", b"nodeName", b"resourceVersion"))
_VALUES_IN: Final = frozenset((b"env", b"httpHeaders"))
_ARGUMENTS: Final = frozenset((b"command", b"args"))
_LAST_APPLIED: Final = b"kubectl.kubernetes.io/last-applied-configuration"


def redacted(item: bytes) -> Iterator[bytes]:
    """The object in pieces, each after 4 ms at most; joined they are JSON again.

    `item` is valid JSON. Where nothing is secret its bytes are given as they came.
    """
    done = 0
    for start, end, text in _replaced(item):
        yield item[done:start] + text
        done = end
    yield item[done:]


def _replaced(item: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Where a text is to be another: its begin, its end, the new one; and, so that nobody waits
    long for one, places where nothing is to be nothing."""
    shapes = _SHAPES if len(item) > TEXT_BYTES_MAX else _shapes_in(item)
    places: list[bytes] = [b""]
    name = before = b""
    left = STEP_BYTES_MAX
    for token in _TOKEN.finditer(item):
        last = token.lastindex
        if last == _BRACKET:
            if token.group(_BRACKET) in b"{[":
                places.append(name or places[-1])
            else:
                places.pop()
            name = before = b""
        elif last == _NAME:
            name = _plain(token.group(_TEXT))
        elif last is not None:
            is_member = last == _VALUE
            name = _plain(token.group(_TEXT)) if is_member else b""
            start, end = token.span(last)
            if end - start > TEXT_BYTES_MAX:  # not even copied
                text = b""
                yield start, end, PLACEHOLDER
            else:
                text = token.group(last)
                shown = _shown(places[-1], name, before, text, shapes)
                if shown is not text:
                    yield start, end, shown
            name, before = b"", text
        left -= TOKEN_BYTES + token.end() - token.start()
        if left < 0:
            left = STEP_BYTES_MAX
            yield token.end(), token.end(), b""


def _shapes_in(text: bytes) -> tuple[_Shape, ...]:
    return tuple([shape for shape in _SHAPES if any(word in text for word in shape.words)])


def _plain(name: bytes) -> bytes:
    """The name without escapes: no writer needs them in these names, but one may use them."""
    return msgspec.json.decode(b'"' + name + b'"', type=str).encode() if b"\\" in name else name


def _shown(
    place: bytes, name: bytes, before: bytes, text: bytes, shapes: tuple[_Shape, ...]
) -> bytes:
    """What may be shown of a text: itself, another, or the placeholder. `place` is the name of what
    holds the string, `name` its own, b"" in a list, `before` the text before it in that list."""
    if not text or name in _IDENTITY:
        return text
    if name and _is_secret(place, name):
        return PLACEHOLDER
    if not name and place in _ARGUMENTS:
        text = _shown_argument(before, text)
    for shape in shapes:
        if any(word in text for word in shape.words):
            shown = shape.pattern.sub(shape.shown, text)
            text = text if shown == text else shown
    return text


def _shown_argument(before: bytes, text: bytes) -> bytes:
    if _LONE_OPTION.fullmatch(before) and not text.startswith(b"-"):
        return PLACEHOLDER
    if not _SECRET_WORD.search(text):
        return text
    # A byte that is in each of them is found a hundred times faster.
    shown = _OPTION.sub(rb"\1" + PLACEHOLDER, text) if b"-" in text else text
    return _ASSIGNED.sub(rb"\1" + PLACEHOLDER, shown) if b"=" in shown else shown


def _is_secret(place: bytes, name: bytes) -> bool:
    if place in _VALUES_IN:
        return name == b"value"
    if place == b"annotations":
        return name == _LAST_APPLIED or _speaks_of_secret(name)
    return place != b"labels" and _ends_in_secret(name)


@lru_cache(maxsize=NAMES_MAX)
def _speaks_of_secret(name: bytes) -> bool:
    return len(name) > NAME_BYTES_MAX or _SECRET_WORD.search(name) is not None


@lru_cache(maxsize=NAMES_MAX)
def _ends_in_secret(name: bytes) -> bool:
    return _ENDS_IN_SECRET.search(name, max(0, len(name) - NAME_BYTES_MAX)) is not None
