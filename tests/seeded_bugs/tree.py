"""A copy of the source tree with one mistake in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.seeded_bugs.bugs import SOURCES, Bug, CatalogueError

ROOT: Final = Path(__file__).parents[2]


@contextmanager
def copied_tree(bug: Bug | None, root: Path = ROOT) -> Generator[Path]:
    """The import packages below a temporary folder, with the bug in them, or as they are.

    CatalogueError where the bug's text does not stand in its file exactly once. Costs some 20 ms:
    compiled files are copied, too, and their sources keep their times.
    """
    with TemporaryDirectory(prefix="seeded-bug-") as folder:
        copy = Path(folder)
        for source in SOURCES:
            shutil.copytree(root / source, copy / source)
        if bug is not None:
            _plant(bug, copy)
        yield copy


def import_path(tree: Path) -> str:
    """PYTHONPATH of a tree's packages."""
    return os.pathsep.join(str((tree / source).parent) for source in SOURCES)


def require_applicable(bug: Bug, root: Path = ROOT) -> None:
    """CatalogueError unless the bug can be planted in the tree as it is now."""
    _planted(bug, root / bug.file)


def _plant(bug: Bug, tree: Path) -> None:
    path = tree / bug.file
    text = _planted(bug, path)
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()
    path.write_text(text, encoding="utf-8")


def _planted(bug: Bug, path: Path) -> str:
    if not path.is_file():
        raise CatalogueError(f"{bug.name}: there is no file {bug.file}")
    text = path.read_text(encoding="utf-8")
    if (times := text.count(bug.was)) != 1:
        raise CatalogueError(
            f"{bug.name}: its text stands {times} times in {bug.file}, once is wanted"
        )
    return text.replace(bug.was, bug.becomes)
