"""The instructions of config/image/Containerfile, stage by stage."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONTAINERFILE = ROOT / "config" / "image" / "Containerfile"


@dataclass(frozen=True)
class Stage:
    """A FROM and what follows it: (instruction, the rest of its line)."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]

    def environ(self) -> dict[str, str]:
        words = [word for rest in self.all("ENV") for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words)

    def checks(self) -> list[list[str]]:
        """The RUNs that need no shell, as lists of words."""
        return [json.loads(rest) for rest in self.all("RUN") if rest.startswith("[")]

    def entrypoint(self) -> list[str]:
        (rest,) = self.all("ENTRYPOINT")
        words: list[str] = json.loads(rest)
        return words


def stages(text: str) -> list[Stage]:
    """The stages in their order; what stands before the first FROM is left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            found.append(Stage(rest))
        elif found:
            found[-1].steps.append((name, rest.strip()))
    return found
