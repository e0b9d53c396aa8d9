"""Whether the packages of the extra `archive` are here. The manager spools without them."""

from __future__ import annotations

from importlib.util import find_spec

from warmclaim.errors import UsageError


def need(package: str, purpose: str) -> None:
    """Raises UsageError where `package` (pyarrow, duckdb) is not installed."""
    if find_spec(package) is None:
        raise UsageError(f"{purpose} needs {package}: pip install 'warmclaim[archive]'")
