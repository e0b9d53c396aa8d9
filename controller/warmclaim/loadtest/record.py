"""The time line of a run: JSON lines, each with `at_s` (since the run began) and `event`.

`phase` and `end` bound the phases; `milestone` says what held; `sample` is one look at everything;
`claim` is one claim from its POST to its Ready; `sandbox` one sandbox when it was Ready first.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

EVENTS, SUMMARY, LOG = "events.jsonl", "summary.json", "controller.log"
STACKS = "stacks-{phase}.txt"


class Record:
    """Writes the lines as they come; use it as a context. Holds nothing in memory."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / EVENTS).open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, event: str, at_s: float, **told: Any) -> None:
        """One line."""
        line = {"at_s": round(at_s, 4), "event": event} | told
        self._file.write(msgspec.json.encode(line) + b"\n")
