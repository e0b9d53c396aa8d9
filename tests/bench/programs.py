"""Programs of a benchmark, each a process of its own that answers lines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A program of this benchmark; each line is answered by one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """The first line that it prints is its URL."""
        self._process = process
        self.url = self._line()

    def ask(self, words: str) -> str:
        """The answer to this line."""
        assert self._process.stdin is not None
        print(words, file=self._process.stdin, flush=True)
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def program(module: str, *words: str) -> Generator[Process]:
    """The module below tests.bench, run with these words; ended at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.{module}", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Process(process)
        finally:
            process.terminate()
