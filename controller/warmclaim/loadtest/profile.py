"""Profiles: a run as data, in YAML.

    name: tiny
    about: three claims on a pool of four
    phases:
      - phase: deploy
        members_each: 4
      - phase: burst
        claims: 3
        rate_per_s: 50
      - phase: delete

A phase ends when all conditions of its `until` hold, one after the other; each kind has its own
where none are given.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import msgspec

from warmclaim.errors import UsageError
from warmclaim.loadtest.conditions import (
    Condition,
    Data,
    Gone,
    Quiet,
    Ready,
    Seconds,
    Timer,
)
from warmclaim.loadtest.objects import IMAGE
from warmclaim.loadtest.schedule import Due, even, poisson

BYTES_MAX: Final = 256 * 1024
AFTER_S: Final = 5.0
"""How long the controller is still watched when all is done: late work counts too."""

Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Members = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=10_000)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?\Z")]
Until = tuple[Condition, ...]

_FILLED: Until = (Ready(of="members"), Quiet())
_SERVED: Until = (Ready(of="claims"), Ready(of="members"), Timer(for_s=AFTER_S))


class _Phase(Data, frozen=True, kw_only=True, tag_field="phase"):
    """`name` tells two phases of one kind apart; without it the kind is the name."""

    name: Name | None = None

    @property
    def kind(self) -> str:
        """deploy, burst, sustained, steady-state, scale or delete."""
        return str(self.__struct_config__.tag)

    @property
    def title(self) -> str:
        """The name, or the kind."""
        return self.name or self.kind

    def dues(self, pools: list[str]) -> tuple[Due, ...]:
        """The claims that the phase creates on these pools."""
        return ()


class Deploy(_Phase, frozen=True, kw_only=True, tag="deploy"):
    """Creates the pools and fills them."""

    pools: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    members_each: Members
    until: Until = _FILLED


class Burst(_Phase, frozen=True, kw_only=True, tag="burst"):
    """Claims at a steady rate, all at once without one."""

    claims: Count
    rate_per_s: Rate | None = None
    until: Until = _SERVED

    def dues(self, pools: list[str]) -> tuple[Due, ...]:
        names = [f"{self.title}-{number:05}" for number in range(self.claims)]
        return even(names, pools, self.rate_per_s)


class Sustained(_Phase, frozen=True, kw_only=True, tag="sustained"):
    """Claims that come independently of each other at a mean rate (Poisson), however slow the
    answers are."""

    rate_per_s: Rate
    duration_s: Seconds
    seed: int = 1
    until: Until = _SERVED

    def dues(self, pools: list[str]) -> tuple[Due, ...]:
        return poisson(self.title, pools, self.rate_per_s, self.duration_s, self.seed)


class SteadyState(_Phase, frozen=True, kw_only=True, tag="steady-state"):
    """Nothing is asked for: what the controller costs at rest, or under a trigger."""

    until: Until


class Scale(_Phase, frozen=True, kw_only=True, tag="scale"):
    """Gives every pool another size."""

    members_each: Members
    until: Until = _FILLED


class Delete(_Phase, frozen=True, kw_only=True, tag="delete"):
    """Deletes pools and claims, and what they own."""

    until: Until = (Gone(),)


Phase = Deploy | Burst | Sustained | SteadyState | Scale | Delete


class Profile(Data, frozen=True, kw_only=True):
    """A run. `image` is what the sandboxes' pods run; fake nodes do not look at it."""

    name: Name
    about: str = ""
    image: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] = IMAGE
    phases: Annotated[tuple[Phase, ...], msgspec.Meta(min_length=1, max_length=100)]

    @property
    def pool_names(self) -> list[str]:
        """Names of all pools."""
        return [f"pool-{number}" for number in range(self.deployed.pools)]

    @property
    def deployed(self) -> Deploy:
        """The first phase."""
        first = self.phases[0]
        assert isinstance(first, Deploy)
        return first

    def claims_by_pool(self) -> Counter[str]:
        """How many claims each pool gets in the whole run."""
        pools = self.pool_names
        return Counter(due.pool for phase in self.phases for due in phase.dues(pools))


def shipped() -> list[str]:
    """Names of the profiles that come with the program."""
    folder = _folder()
    return sorted(one.stem for one in folder.glob("*.yaml"))


def load(word: str) -> Profile:
    """A shipped profile by its name, or one in a file.

    Raises UsageError, one line, for what is neither or no profile.
    """
    names = shipped()
    file = _folder() / f"{word}.yaml" if word in names else Path(word)
    if word not in names and not file.suffix and not file.exists():
        raise UsageError(f"--profile {word!r} is no file, and none of: {', '.join(names)}")
    try:
        with file.open("rb") as opened:
            text = opened.read(BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"--profile {word}: {error.strerror}") from None
    if len(text) > BYTES_MAX:
        raise UsageError(f"--profile {word}: more than {BYTES_MAX} bytes is no profile")
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"--profile {word}: {error}") from None


def parse(text: bytes) -> Profile:
    """Raises UsageError, one line, that begins with the path of the field at fault."""
    try:
        profile = msgspec.yaml.decode(text, type=Profile)
    except msgspec.ValidationError as error:
        raise UsageError(_located(str(error))) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"not YAML: {error}") from None
    _check(profile)
    return profile


def _located(problem: str) -> str:
    """msgspec's message with the path in front and the field that is too many in it."""
    said, _, where = problem.partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", said, re.DOTALL)
    if unknown:
        where, said = f"{where}.{unknown[1][:64]}".lstrip("."), "unknown field"
    return f"{where}: {said}" if where else said


def _check(profile: Profile) -> None:
    """What the types alone do not say. Raises UsageError."""
    kinds = [phase.kind for phase in profile.phases]
    if kinds[0] != "deploy" or kinds.count("deploy") > 1:
        raise UsageError("phases: exactly one phase is deploy, the first")
    if "delete" in kinds[:-1]:
        where = kinds.index("delete")
        raise UsageError(f"phases[{where}]: delete is the last phase, nothing is left after it")
    for number, phase in enumerate(profile.phases):
        if phase.title in [other.title for other in profile.phases[:number]]:
            raise UsageError(f"phases[{number}].name: another phase is {phase.title!r} already")


def _folder() -> Path:
    """Of the wheel, or of the checkout that this file is in."""
    carried = Path(str(resources.files("warmclaim"))) / "assets" / "loadtest"
    if carried.is_dir():
        return carried
    return Path(__file__).resolve().parents[3] / "config" / "loadtest"
