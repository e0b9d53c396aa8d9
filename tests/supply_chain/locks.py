"""Lock files, and what is wrong with them. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = {path.stem: path for path in sorted((ROOT / "requirements").glob("*.txt"))}
ALLOWED = tomllib.loads((ROOT / "requirements" / "allowed.toml").read_text(encoding="utf-8"))
LICENCES = ALLOWED.pop("licences")
REASONS: dict[str, str] = {
    name: why for section in ALLOWED.values() for name, why in section.items()
}

_PINNED = re.compile(r"([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==([0-9][0-9a-z.]*)(?: ; (.+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Locked:
    """One package of a lock file; `marker` says where it is installed, None for everywhere."""

    name: str
    version: str
    marker: Marker | None
    hashes: frozenset[str]

    def is_for_here(self) -> bool:
        return self.marker is None or self.marker.evaluate()


class LockError(ValueError):
    """A lock file that must not be installed from."""


def parsed(text: str) -> list[Locked]:
    """The packages of a lock file. Raises LockError for whatever is no pinned name with hashes:
    an address, a path, an option such as an index, a package without a hash, a name twice."""
    found: list[Locked] = []
    for line in text.replace(" \\\n", "\n").splitlines():
        if match := _HASH.fullmatch(line.strip()):
            if not found:
                raise LockError(f"a hash of nothing: {line}")
            last = found.pop()
            found.append(
                Locked(last.name, last.version, last.marker, last.hashes | {match.group(1)})
            )
        elif match := _PINNED.fullmatch(line):
            marker = Marker(match.group(3)) if match.group(3) else None
            found.append(Locked(match.group(1), match.group(2), marker, frozenset()))
        else:
            raise LockError(f"neither a pinned package nor a hash: {line!r}")
    if bare := [package.name for package in found if not package.hashes]:
        raise LockError(f"without a hash: {', '.join(bare)}")
    if len({package.name for package in found}) != len(found):
        raise LockError("a name stands there twice")
    return found


def read(name: str) -> list[Locked]:
    """The packages of requirements/<name>.txt."""
    return parsed(LOCKS[name].read_text(encoding="utf-8"))


def strangers(names: set[str], allowed: Mapping[str, str]) -> set[str]:
    """Names that have no reason to be there."""
    return {name for name in names if not allowed.get(name)}


def direct(requirements: Iterable[str]) -> set[str]:
    """The names in a list of requirements."""
    return {Requirement(line).name.lower() for line in requirements}


def installs(text: str) -> Iterator[str]:
    """Each call of `pip install` in a script, on one line."""
    for line in text.replace("\\\n", " ").splitlines():
        if re.search(r"(pip|PIP\)) .*?\binstall\b", line) and not line.lstrip().startswith("#"):
            yield " ".join(line.split())
