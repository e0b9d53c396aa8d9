"""`warmclaim crds`: the definitions of the four kinds, for `kubectl apply` or as files."""

from __future__ import annotations

from pathlib import Path

from warmclaim.api.schema import crd_files, stale_crds, write_crds
from warmclaim.cli import OK
from warmclaim.errors import UsageError


def print_crds() -> int:
    """Print all definitions as one stream of YAML documents; returns the exit code."""
    for text in crd_files().values():
        print(f"---\n{text}", end="")
    return OK


def write_files(folder: Path) -> int:
    """Write the definitions into `folder`, made if missing; say what changed.

    Returns the exit code. Raises UsageError where the folder cannot be written.
    """
    try:
        known = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
        stale = {path.name for path in stale_crds(folder)}
        files = write_crds(folder)
    except OSError as error:
        raise UsageError(f"--write {folder}: {error.strerror or error}") from error
    for path in files:
        word = "unchanged" if path.name not in stale else "changed"
        print(f"{word if path.name in known else 'new':<10}{path}")
    print(f"{len(stale)} of {len(files)} files written anew" if stale else "all up to date")
    return OK
