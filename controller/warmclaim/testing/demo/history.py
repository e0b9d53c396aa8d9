"""What the history tells of the demo's claims, asked as a user would."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from warmclaim.archive.extra import is_here
from warmclaim.archive.spool_reader import Skipped, spooled
from warmclaim.errors import UsageError
from warmclaim.testing.demo.process import DemoFailedError

QUESTION: Final = "latency"
"""A view that counts each claim that was served, once."""

Rows = tuple[dict[str, Any], ...]


class DemoHistory:
    """The history that the manager keeps below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spool = folder / "spool"

    @property
    def spooled(self) -> int:
        """Rows on disk by now."""
        try:
            return sum(1 for _ in spooled(self._spool, Skipped()))
        except UsageError:
            return 0  # its first file is just being made

    async def asked(self) -> Rows | None:
        """The answer of `warmclaim history`; None where what it needs is not installed.

        Raises DemoFailedError where there is none.
        """
        if not (is_here("duckdb") and is_here("pyarrow")):
            return None
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "warmclaim", "history", QUESTION),
            *("--spool", str(self._spool), "-o", "json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise DemoFailedError(f"the history gave no answer: {err.decode().strip()[-600:]}")
        return msgspec.json.decode(out, type=tuple[dict[str, Any], ...])


def problems(rows: Rows | None, served: int) -> list[str]:
    """Whether it tells of each claim that was served, once."""
    told = served if rows is None else sum(row["claims"] for row in rows)
    return [] if told == served else [f"the history tells of {told} claims, {served} were served"]
