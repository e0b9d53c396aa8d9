"""The catalogue: mistakes that engineers make, each as one replacement in a production file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

CATALOGUE: Final = Path(__file__).parent / "catalogue"
SOURCES: Final = ("queue/warmqueue/", "controller/warmclaim/")
"""Where mistakes are made. The simulator itself is not to be changed by one."""
_JUDGES: Final = "controller/warmclaim/testing/"
_PROMISE: Final = re.compile(r"[SLW][1-9][0-9]?")


class CatalogueError(Exception):
    """The catalogue is not sound; the text names the bug and the file."""


class Bug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One seeded bug.

    `what`: the mistake in one sentence. `file`: below the root, with `/`. `was` stands in it
    exactly once and `becomes` takes its place. `caught_by`: the promises of which one must break.
    `seed`: a seed that shows it.
    """

    name: str
    what: str
    file: str
    was: str
    becomes: str
    caught_by: tuple[str, ...]
    seed: int

    def problem(self) -> str:
        """Why this is no seeded bug, or ""."""
        if not self.file.startswith(SOURCES) or self.file.startswith(_JUDGES):
            return f"{self.file} is no production code"
        if self.was == self.becomes:
            return "it changes nothing"
        if not self.caught_by or not all(map(_PROMISE.fullmatch, self.caught_by)):
            return f"caught_by must name promises, not {list(self.caught_by)}"
        return ""


class _Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bug: tuple[Bug, ...]


def read_catalogue(folder: Path = CATALOGUE) -> tuple[Bug, ...]:
    """All bugs, by file name and then as they stand there. CatalogueError for an odd one."""
    bugs: dict[str, Bug] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            family = msgspec.toml.decode(path.read_bytes(), type=_Family)
        except msgspec.DecodeError as error:
            raise CatalogueError(f"{path.name}: {error}") from error
        for bug in family.bug:
            if problem := "there are two of this name" if bug.name in bugs else bug.problem():
                raise CatalogueError(f"{bug.name} in {path.name}: {problem}")
            bugs[bug.name] = bug
    return tuple(bugs.values())


def chosen(bugs: Sequence[Bug], names: Sequence[str]) -> tuple[Bug, ...]:
    """Those with the names, all where none is given. CatalogueError for an unknown name."""
    by_name = {bug.name: bug for bug in bugs}
    if unknown := [name for name in names if name not in by_name]:
        raise CatalogueError(f"no such bug: {', '.join(unknown)}")
    return tuple(by_name[name] for name in names) if names else tuple(bugs)


def rewrite_seeds(seeds: Mapping[str, int], folder: Path = CATALOGUE) -> None:
    """Write other seeds into the catalogue, by name of the bug; everything else stays."""
    for path in folder.glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        parts = re.split(r"(?m)^(?=\[\[bug\]\]$)", text)
        path.write_text("".join(_with_seed(part, seeds) for part in parts), encoding="utf-8")


def _with_seed(part: str, seeds: Mapping[str, int]) -> str:
    found = re.search(r'(?m)^name = "(.*)"$', part)
    if found is None or found[1] not in seeds:
        return part
    return re.sub(r"(?m)^seed = \d+$", f"seed = {seeds[found[1]]}", part)
