"""A file for programs that take nothing but files, in memory where the system can: nothing of it
reaches a disk, and a read-only root is no hindrance."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_file() -> Generator[tuple[int, str]]:
    """An empty file: its descriptor, and a path for this process and for a child that inherits the
    descriptor. Gone after the block. Raises OSError."""
    if sys.platform == "linux":
        number = os.memfd_create("warmclaim", os.MFD_CLOEXEC)
        path = f"/proc/self/fd/{number}"
    else:
        number, path = tempfile.mkstemp()
    try:
        yield number, path
    finally:
        os.close(number)
        if sys.platform != "linux":
            Path(path).unlink()
