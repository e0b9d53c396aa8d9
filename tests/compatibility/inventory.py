"""What pytest collects from test files, and which of it may be left out of a run.

    python -m tests.compatibility.inventory OUT FILE...

Writes to OUT, as JSON, the name of each test with the reason why it may not run, "" for none. A
process of its own: pytest inside of pytest would share modules and signal handlers.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# `e2e` tests run by a target of their own, so that mark is no reason.
_LEFT_OUT_MARKS = ("skip", "skipif", "xfail", "bench")
_LEAVING_CALLS = ("pytest.skip(", "pytest.xfail(", "pytest.importorskip(")


class Inventory:
    """A pytest plugin that looks at what was collected."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note every test."""
        self.found = {item.nodeid: _why_left_out(item) for item in session.items}


def _why_left_out(item: pytest.Item) -> str:
    marks = [mark.name for mark in item.iter_markers() if mark.name in _LEFT_OUT_MARKS]
    if marks:
        return f"marked {marks[0]}"
    if not isinstance(item, pytest.Function):
        return "no function"
    body: Callable[..., object] = item.obj  # pyright: ignore[reportUnknownMemberType]
    source = inspect.getsource(body)
    calls = [call for call in _LEAVING_CALLS if call in source]
    return f"calls {calls[0]}...)" if calls else ""


def main(out: Path, files: list[str]) -> int:
    """Collect `files`, write the inventory; pytest's exit code."""
    inventory = Inventory()
    code = pytest.main(["--collect-only", "-qq", "-m", "", *files], plugins=[inventory])
    out.write_text(json.dumps(inventory.found), encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
