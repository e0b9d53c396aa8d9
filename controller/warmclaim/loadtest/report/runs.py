"""Runs as they are on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from warmclaim.errors import UsageError
from warmclaim.loadtest.record import EVENTS, STACKS, SUMMARY
from warmclaim.loadtest.result import FORMAT, RunResult

RUNS_MAX = 32
LINES_MAX = 2_000_000
_WAITING: Final = re.compile(r";(Condition\.)?wait \(threading\.py(:\d+)?\)$")
"""A third of what py-spy saw of a manager was its log's thread that waited for the next line, for
which the system counted no time at all (`perf`: 35 of 6,266 samples)."""


class Sample(msgspec.Struct, frozen=True):
    """One look at everything; None where it could not be seen."""

    at_s: float
    claims_sent: int
    claims_ready: int
    members: int
    members_ready: int
    cpu_s: float | None = None
    rss_bytes: int | None = None


class Claim(msgspec.Struct, frozen=True):
    """One claim: sent when, Ready how long after."""

    at_s: float
    phase: str
    ready_after_s: float | None = None


class _Event(msgspec.Struct, frozen=True):
    event: str


@dataclass(frozen=True)
class Run:
    """All that is known of a run. `stacks` has, by phase, how often each stack was seen."""

    name: str
    result: RunResult
    samples: Sequence[Sample]
    claims: Sequence[Claim]
    stacks: dict[str, dict[str, int]]


def read(words: Sequence[str]) -> list[Run]:
    """The runs in these folders; a folder of several runs stands for all of them.

    Raises UsageError, one line, for what is no run.
    """
    folders = [one for word in words for one in _folders(Path(word))]
    if len(folders) > RUNS_MAX:
        raise UsageError(f"{len(folders)} runs are too many for one page; {RUNS_MAX} at most")
    names = _names(folders)
    return [_read(folder, name) for folder, name in zip(folders, names, strict=True)]


def _folders(folder: Path) -> list[Path]:
    if (folder / SUMMARY).is_file():
        return [folder]
    found = sorted(one.parent for one in folder.glob(f"*/{SUMMARY}"))
    if not found:
        raise UsageError(f"{folder}: no run is in there, no {SUMMARY} at least")
    # The limit is what the others are measured by.
    return sorted(found, key=lambda one: not one.name.startswith("limit"))


def _names(folders: Sequence[Path]) -> list[str]:
    """The folder's own name, with its parent's where that is not enough, then with a number."""
    short = [one.resolve().name for one in folders]
    if len(set(short)) < len(short):
        short = [f"{one.resolve().parent.name}/{one.resolve().name}" for one in folders]
    if len(set(short)) < len(short):
        short = [f"{name} ({number})" for number, name in enumerate(short, 1)]
    return short


def _read(folder: Path, name: str) -> Run:
    file = folder / SUMMARY
    try:
        result = msgspec.json.decode(file.read_bytes(), type=RunResult)
        if result.format != FORMAT:
            raise UsageError(f"{file}: format {result.format}, this program reads {FORMAT}")
        file = folder / EVENTS
        samples, claims = list[Sample](), list[Claim]()
        for kind, line in _lines(file):
            if kind == "sample":
                samples.append(msgspec.json.decode(line, type=Sample))
            elif kind == "claim":
                claims.append(msgspec.json.decode(line, type=Claim))
        stacks = {
            phase.name: _stacks(folder / STACKS.format(phase=phase.name))
            for phase in result.phases
            if "/" not in phase.name
        }
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}") from None
    found = {phase: counts for phase, counts in stacks.items() if counts}
    return Run(name, result, samples, claims, found)


def _lines(file: Path) -> Iterator[tuple[str, bytes]]:
    with file.open("rb") as opened:
        for number, line in enumerate(opened):
            if number >= LINES_MAX:
                raise UsageError(f"{file}: more than {LINES_MAX} lines")
            yield msgspec.json.decode(line, type=_Event).event, line


def _stacks(file: Path) -> dict[str, int]:
    """Folded stacks: frames with `;` between, outermost first, a space, how often. Those of threads
    that wait are left out."""
    counts: dict[str, int] = {}
    if not file.is_file():
        return counts
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        stack, _, count = line.rpartition(" ")
        if stack and count.isdecimal() and not _WAITING.search(stack):
            counts[stack] = counts.get(stack, 0) + int(count)
    return counts
