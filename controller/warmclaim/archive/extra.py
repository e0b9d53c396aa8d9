"""Whether the packages of the extra `archive` are here. The manager spools without them."""

from __future__ import annotations

from importlib.util import find_spec

from warmclaim.errors import UsageError


def is_here(package: str) -> bool:
    """Whether `package` is installed; it is not imported."""
    return find_spec(package) is not None


def need(package: str, purpose: str) -> None:
    """Raises UsageError where `package` (pyarrow, duckdb) is not installed."""
    if not is_here(package):
        raise UsageError(f"{purpose} needs {package}: pip install 'warmclaim[archive]'")
