"""Takes snapshots of a manager on virtual time, and reads them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from warmclaim.app import App
from warmclaim.runtime.diagnostics import ReaderLeftError
from warmclaim.streaming.snapshot import MEMBER_NAME, Sort, lines


class Basket:
    """An Outlet that keeps what is sent; its reader leaves after `leaves_after` calls."""

    def __init__(self, leaves_after: int | None = None) -> None:
        self.pieces: list[bytes] = []
        self.asked = 0
        self._leaves_after = leaves_after

    def require_reader(self) -> None:
        self.asked += 1
        if self._leaves_after is not None and self.asked > self._leaves_after:
            raise ReaderLeftError

    async def send(self, data: bytes) -> None:
        self.require_reader()
        self.pieces.append(data)

    @property
    def text(self) -> bytes:
        """The snapshot; raises BadZipFile for what is no whole ZIP."""
        with zipfile.ZipFile(io.BytesIO(b"".join(self.pieces))) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == [MEMBER_NAME]
            return archive.read(MEMBER_NAME)


async def taken(app: App, *, is_redacted: bool = True) -> dict[str, Any]:
    """A snapshot as any JSON reader sees it; our own reader has read it too."""
    basket = Basket()
    await app.snapshots.take(basket, is_redacted)
    value: dict[str, Any] = json.loads(basket.text)
    assert items_of(basket.text) == _items(value)
    return value


def items_of(text: bytes) -> list[Any]:
    """What our own reader finds in the lists."""
    found = lines(io.BytesIO(text))
    return [json.loads(line.json) for line in found if line.sort is Sort.ITEM]


def _items(value: dict[str, Any]) -> list[Any]:
    groups = [*value.get("queues", {}).values(), *value.get("rawObjects", {}).values()]
    lists = ("entries", "decisions", "items")
    nested = [item for group in groups for name in lists for item in group.get(name, [])]
    return [*nested, *value.get("discovery", []), *value.get("errors", [])]


def errors_of(value: dict[str, Any]) -> dict[str, str]:
    return {error["part"]: error["reason"] for error in value["errors"]}
