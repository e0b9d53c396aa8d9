"""Ends a process at one step of what changes the disk: before it, after it, or half-way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from warmclaim.archive import disk

STEPS: Final = (
    "append", "copy", "make_folder", "remove", "remove_folder", "rename", "sync", "sync_folder",
    "write_whole",
)  # fmt: skip


class Killer:
    """Counts the steps of `disk` and calls `kill` at one of them; 2 or 3 moments in each step."""

    def __init__(self, at: int, kill: Callable[[], object]) -> None:
        self.moments = 0
        self._at = at
        self._kill = kill

    def install(self, replace: Callable[[object, str, object], object] = setattr) -> None:
        for name in STEPS:
            replace(disk, name, self._killing(name, getattr(disk, name)))

    def moment(self) -> None:
        self.moments += 1
        if self.moments == self._at:
            self._kill()

    def _killing(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def killing(*arguments: Any) -> Any:
            self.moment()
            if name == "copy":
                self._half(lambda: arguments[1].write_bytes(_first_half(arguments[0].read_bytes())))
            if name == "write_whole":
                part: Path = arguments[0].with_name(arguments[0].name + ".part")
                self._half(lambda: part.write_bytes(_first_half(arguments[1])))
            done = step(*arguments)
            self.moment()
            return done

        return killing

    def _half(self, write: Callable[[], object]) -> None:
        if self.moments + 1 == self._at:
            write()
        self.moment()


def _first_half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Do `work` in a child that is killed (SIGKILL) at a moment of it; whether it came to that.

    Only for a process with one thread.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            Killer(moment, lambda: os.kill(os.getpid(), 9)).install()
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed by itself"
    return False
