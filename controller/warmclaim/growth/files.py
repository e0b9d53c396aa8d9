"""Results as JSON lines: what the machine was, and a line for each size."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from warmclaim import __version__
from warmclaim.errors import UsageError
from warmclaim.growth.result import Real, Result, Simulated

RESULTS = "growth.jsonl"
LINES_MAX = 10_000


class Machine(msgspec.Struct, frozen=True, tag="machine"):
    """Where the sizes after it were run."""

    text: str


_Line = Machine | Simulated | Real


def this_machine() -> Machine:
    """In words: cores, processor, versions."""
    model = platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    python = platform.python_version()
    return Machine(f"{os.cpu_count()} cores ({model}), Python {python}, warmclaim {__version__}")


def line_of(one: _Line) -> bytes:
    """As it stands in a file."""
    return msgspec.json.encode(one) + b"\n"


def folder_for(word: str) -> Path:
    """The folder to write into, made where it is not there. Raises UsageError where it holds
    results already: they are not written over."""
    folder = Path(word)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out: {word} cannot be made: {error.strerror}") from error
    if (folder / RESULTS).exists():
        raise UsageError(f"--out: {folder / RESULTS} is there already; name another folder")
    return folder


def read(words: Iterable[str]) -> tuple[str, list[Result]]:
    """The machines and the results in these files. Raises UsageError, one line, for what is no
    file of results."""
    machines, results = dict[str, None](), list[Result]()
    decoder = msgspec.json.Decoder(_Line)
    for word in words:
        try:
            lines = Path(word).read_bytes().splitlines()[:LINES_MAX]
            found: Sequence[_Line] = [decoder.decode(line) for line in lines]
        except OSError as error:
            raise UsageError(f"{word} cannot be read: {error.strerror}") from error
        except msgspec.MsgspecError as error:
            raise UsageError(f"{word} holds no results of growth: {error}") from error
        for one in found:
            if isinstance(one, Machine):
                machines[one.text] = None
            else:
                results.append(one)
    if not results:
        raise UsageError(f"no results in {', '.join(words)}")
    return "; ".join(machines), results
