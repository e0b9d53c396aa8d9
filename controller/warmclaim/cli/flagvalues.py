"""Values of flags, read and written as Go does (strconv and time.ParseDuration)."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum

from warmclaim.domain.wording import duration_text

Value = bool | int | float | str | tuple[str, ...] | frozenset[str]

_INT64_MAX = 2**63 - 1
_DURATION_NS_MAX = float(2**63 - 1)
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INT = re.compile(
    r"([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?[0-9])*)"
)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.I | re.A)
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.A)
_UNIT_NS = {
    "ns": 1.0,
    "us": 1e3,
    "µs": 1e3,
    "μs": 1e3,
    "ms": 1e6,
    "s": 1e9,
    "m": 60e9,
    "h": 3600e9,
}


class Kind(Enum):
    """What a flag takes: the word that stands for it in the help, and a sample for errors."""

    BOOL = ("bool", "true or false")
    INT = ("int", "a whole number")
    FLOAT = ("number", "a number")
    TEXT = ("text", "a text")
    DURATION = ("duration", "a duration such as 500ms, 90s or 5m0s")
    NAMES = ("names", "names separated by commas")
    SET = ("set", "a set of names separated by commas")
    LEVEL = ("level", "a level: debug, info, warn, error, panic or a number from 1")

    def __init__(self, word: str, sample: str) -> None:
        self.word = word
        self.sample = sample


def parse_value(kind: Kind, text: str) -> Value:
    """`text` as a value of this kind. Raises ValueError; its message is not for the user."""
    match kind:
        case Kind.BOOL:
            return _parse_bool(text)
        case Kind.INT:
            return _parse_int(text)
        case Kind.FLOAT:
            return _parse_float(text)
        case Kind.DURATION:
            return parse_duration(text)
        case Kind.NAMES:
            return tuple(_items(text))
        case Kind.SET:
            return frozenset(_items(text))
        case Kind.LEVEL:
            return _parse_level(text)
        case Kind.TEXT:
            return text


def _items(text: str) -> Collection[str]:
    return [item.strip() for item in text.split(",")] if text else []


def _parse_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(text)


def _parse_int(text: str) -> int:
    """As strconv.ParseInt with base 0: 0x, 0b, 0o and a leading 0 choose the base."""
    match = _INT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    sign, digits = match.groups()
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_":
        digits = "0o" + digits[1:].lstrip("_")
    number = int(sign + digits, 0)
    if abs(number) > _INT64_MAX:
        raise ValueError(text)
    return number


def _parse_float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _parse_level(text: str) -> str:
    """zap's level words in any case; its verbosity numbers 1, 2, ... all mean debug."""
    if text.isascii() and text.isdigit() and 1 <= len(text) <= 3 and int(text) >= 1:
        return "debug"
    word = text.lower()
    if word not in {"debug", "info", "warn", "error", "panic"}:
        raise ValueError(text)
    return word


def parse_duration(text: str) -> float:
    """Seconds of a Go duration: "1h30m", "500ms", "-1.5s", "0". Raises ValueError."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    if body == "0":
        return 0.0
    total_ns, position = 0.0, 0
    while position < len(body):
        part = _DURATION_PART.match(body, position)
        if part is None:
            raise ValueError(text)
        total_ns += float(part[1]) * _UNIT_NS[part[2]]
        position = part.end()
    if not body or total_ns > _DURATION_NS_MAX:
        raise ValueError(text)
    return -total_ns / 1e9 if text[0] == "-" else total_ns / 1e9


def text_of(kind: Kind, value: Value) -> str:
    """`value` as it would be written on a command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, frozenset)):
        return ",".join(sorted(value))
    if kind is Kind.DURATION:
        return duration_text(float(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
