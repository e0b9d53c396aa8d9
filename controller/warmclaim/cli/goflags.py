"""The command line in Go's flag syntax, so that a Deployment of the Go manager starts unchanged.

`-x`, `--x`, `-x=v` and `-x v` are the same; a boolean takes a value only as `-x=v`; `--` ends the
flags; the last of a repeated flag wins. The flags themselves are data: see warmclaim.cli.flagtable.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Any

from warmclaim.cli.flag import GROUPS, Flag
from warmclaim.cli.flagtable import FLAGS
from warmclaim.cli.flagvalues import Kind, Value, parse_value, text_of
from warmclaim.errors import UsageError
from warmclaim.settings import CONTROLLERS, Settings

__all__ = ["FLAGS", "Flag", "ParsedArguments", "default_text", "help_text", "parse_settings"]

HELP_COLUMNS = 100
_BY_NAME: Mapping[str, Flag] = {flag.name: flag for flag in FLAGS}
_HELP_WORDS = frozenset({"h", "help"})


@dataclass(frozen=True, slots=True)
class ParsedArguments:
    """What the command line asks for.

    `ignored_flags` were given but have no meaning here, and `notes` are further lines for the log
    at start. With `show_version` or `show_help` nothing else is to be done.
    """

    settings: Settings
    ignored_flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    show_version: bool = False
    show_help: bool = False


def parse_settings(argv: Sequence[str], *, dropin: bool) -> ParsedArguments:
    """Read `argv` (without the program's name) into checked Settings.

    `dropin` takes the Go manager's defaults: without --extensions only the sandbox controller
    runs. Raises UsageError, one line, for an unknown flag, a bad value or a broken limit.
    """
    given = _given_values(argv)
    if given is None:
        return ParsedArguments(Settings(), show_help=True)
    if given.get("version") is True:
        return ParsedArguments(Settings(), show_version=True)
    settings, notes = _with_controllers(_filled(given), given, dropin=dropin)
    settings.check()
    ignored = tuple(name for name in given if not _BY_NAME[name].is_used)
    return ParsedArguments(settings, ignored, (*notes, *settings.warnings()))


def _given_values(argv: Sequence[str]) -> dict[str, Value] | None:
    """Flag name -> value in the order given; None where help is asked for."""
    given: dict[str, Value] = {}
    rest = list(reversed(argv))
    while rest:
        word = rest.pop()
        if word == "--":
            if rest:
                raise UsageError(f"unexpected argument {rest[-1]!r}: only flags are taken")
            break
        name, has_value, text = _split(word)
        if name in _HELP_WORDS and name not in _BY_NAME:
            return None
        flag = _find(name)
        if not has_value and flag.kind is Kind.BOOL:
            text = "true"
        elif not has_value:
            if not rest:
                raise UsageError(f"--{name} needs a value: {flag.kind.sample}")
            text = rest.pop()
        given[name] = _read(flag, text)
    return given


def _split(word: str) -> tuple[str, bool, str]:
    if len(word) < 2 or word[0] != "-":
        raise UsageError(f"unexpected argument {word!r}: flags start with - and come first")
    body = word[2:] if word.startswith("--") else word[1:]
    name, equals, text = body.partition("=")
    if not name or name.startswith("-"):
        raise UsageError(f"{word!r} is no flag: write it as --name, --name=value or --name value")
    return name, bool(equals), text


def _find(name: str) -> Flag:
    if flag := _BY_NAME.get(name):
        return flag
    near = difflib.get_close_matches(name, _BY_NAME, n=1)
    hint = f"did you mean --{near[0]}?" if near else "see --help"
    raise UsageError(f"unknown flag --{name[:64]}: {hint}")


def _read(flag: Flag, text: str) -> Value:
    try:
        return parse_value(flag.kind, text)
    except ValueError:
        raise UsageError(f"--{flag.name} takes {flag.kind.sample}, not {text[:64]!r}") from None


def _filled(given: Mapping[str, Value]) -> Settings:
    """The default Settings with the given values at their places."""
    groups: dict[str, dict[str, Value]] = {}
    for name, value in given.items():
        group, _, attribute = _BY_NAME[name].place.rpartition(".")
        if attribute:
            groups.setdefault(group, {})[attribute] = value
    base = Settings()
    changes: dict[str, Any] = dict(groups.pop("", {}))
    for group, values in groups.items():
        changes[group] = replace(getattr(base, group), **values)
    return replace(base, **changes)


def _with_controllers(
    settings: Settings, given: Mapping[str, Value], *, dropin: bool
) -> tuple[Settings, tuple[str, ...]]:
    """Which controllers run: --controllers says it, else --extensions, else the way of starting."""
    if "controllers" in given:
        return settings, ()
    extensions = given.get("extensions", not dropin)
    if extensions:
        return replace(settings, controllers=CONTROLLERS), ()
    note = "only the sandbox controller runs; --extensions adds claims and warm pools"
    return replace(settings, controllers=frozenset({"sandbox"})), (note,)


def default_text(flag: Flag) -> str:
    """The flag's default as it would be written on a command line."""
    if not flag.place:
        return "false"
    value: Any = Settings()
    for attribute in flag.place.split("."):
        value = getattr(value, attribute)
    return text_of(flag.kind, value)


def help_text(program: str) -> str:
    """All flags by group, at most 100 columns wide; ends with a newline."""
    lines = [
        f"Usage: {program} [flags]",
        "",
        "Hands pre-warmed sandboxes to SandboxClaims: watches claims, warm pools and sandboxes of",
        "the agent-sandbox API and acts on them while this process holds the Lease.",
        "",
        "Flags are written as -x or --x, with a value as --x=v or --x v; switches as --x or",
        "--x=false. Durations are written like 500ms, 90s, 5m0s or 1h30m.",
    ]
    for group in GROUPS:
        lines += ["", f"{group}:"]
        for flag in FLAGS:
            if flag.group == group:
                lines += _flag_lines(flag)
    return "\n".join(lines) + "\n"


def _flag_lines(flag: Flag) -> Iterable[str]:
    default = default_text(flag)
    word = "" if flag.kind is Kind.BOOL else f" {flag.kind.word}"
    shown = "" if default in {"", "false"} else f"  (default {default})"
    yield f"  --{flag.name}{word}{shown}"
    for line in wrap(flag.help, HELP_COLUMNS - 6):
        yield f"      {line}"
