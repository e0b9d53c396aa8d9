"""Tenants of a long run: towns with templates and pools, and claims that live for a while.

A town is a namespace. Some stand for the whole run; others are founded, lived in and deleted with
all that is in them, each under a name of its own: what is kept by name and not given back grows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE
from warmclaim.api.timestamps import rfc3339
from warmclaim.testing import builders
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.json_values import Json
from warmclaim.testing.lag import Later
from warmclaim.testing.refusals import Refusal
from warmclaim.testing.resources import NAMESPACE
from warmclaim.testing.sim.dice import Dice
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.sim.objects import published_by
from warmclaim.testing.sim.tenants import a_volume_template, finish_pod

STANDING: Final = 3
STANDING_REPLICAS: Final = 10
PASSING_REPLICAS: Final = 3
PASSING_EVERY: Final = 30
"""Claims between one new town and the next."""

PASSING_LIFE_S: Final = 900.0
REPAIR_EVERY: Final = 47
"""Claims between two things that befall a standing town."""

LIFE_S: Final = (60.0, 600.0)
"""How long a claim lives: some 30 at a time where one comes every 10 s."""

REST_S: Final = 1_200.0
"""After the last claim: claims, passing towns and series of events have all ended by then."""

TEMPLATE_NAME: Final = "python"
WARM, COLD, NOWHERE = "warm", "cold", "nowhere"
"""The pools of a town, one without members, and a pool that no town has."""

_PASSING_SHARE: Final = 0.3
_POLICIES: Final = ("Delete", "DeleteForeground", "Retain", None)
_TTL_S: Final = 20


class _Stay(NamedTuple):
    """One claim: where it is, how long it is wanted, and a number that its other traits follow."""

    town: str
    name: str
    life_s: float
    x: float


_Sort: TypeAlias = Callable[[_Stay], Json]
"""Gives the spec of a claim of that sort, and has happen to it what happens to such."""


class Towns:
    """Acts on the cluster as tenants and admins do. `later(seconds, work)` is a timer.

    What does not fit any more (the town is gone, the claim has ended) is not done.
    """

    def __init__(self, cluster: Cluster, seed: int, later: Later) -> None:
        self._cluster = cluster
        self._grip = Grip(cluster)
        self._dice = Dice(seed)
        self._later = later
        self._passing: dict[str, None] = {}
        self._sorts: tuple[tuple[float, _Sort], ...] = (
            (0.54, self._plain),
            (0.16, self._brief),
            (0.05, self._job),
            (0.05, self._dressed),
            (0.05, self._own),
            (0.05, self._cold),
            (0.05, self._lost),
            (0.05, self._misled),
        )

    def begin(self) -> None:
        """Found what stands for the whole run."""
        for number in range(STANDING):
            self._found(f"standing-{number}", STANDING_REPLICAS)

    def send(self, number: int) -> None:
        """The claim with that number comes, and whatever comes along with it."""
        if number % PASSING_EVERY == 0:
            self._found_passing(f"passing-{number}")
        if number % REPAIR_EVERY == 0:
            self._quietly(partial(self._befall, number))
        where, life, sort, x = self._dice.units(f"claim {number}")
        low_s, high_s = LIFE_S
        stay = _Stay(self._town(where), f"c-{number}", low_s + (high_s - low_s) * life, x)
        spec = self._sort(sort)(stay)
        claim = builders.a_claim(stay.name, namespace=stay.town, merge={"spec": spec})
        body = builders.as_sent(claim)
        self._quietly(partial(self._grip.create, CLAIM, stay.town, body))
        # What ends by itself has half as long again to do so.
        wanted_s = stay.life_s * (1.5 if "lifecycle" in spec else 1.0)
        self._soon(wanted_s, partial(self._grip.delete, CLAIM, stay.town, stay.name))

    def _town(self, x: float) -> str:
        if x < _PASSING_SHARE and self._passing:
            return list(self._passing)[int(x / _PASSING_SHARE * len(self._passing))]
        return f"standing-{int(x * 97 % 1 * STANDING)}"

    def _sort(self, x: float) -> _Sort:
        for share, sort in self._sorts:
            if x < share:
                return sort
            x -= share
        return self._plain

    # --------------------------------------------------------- sorts of claims

    def _plain(self, _: _Stay) -> Json:
        return {"warmPoolRef": {"name": WARM}}

    def _cold(self, _: _Stay) -> Json:
        return {"warmPoolRef": {"name": COLD}}

    def _misled(self, _: _Stay) -> Json:
        return {"warmPoolRef": {"name": NOWHERE}}

    def _brief(self, stay: _Stay) -> Json:
        """It ends by itself, and what that means is up to its policy."""
        ends = rfc3339(self._cluster.clock.wall() + stay.life_s)
        lifecycle = {"shutdownTime": ends, "shutdownPolicy": _policy(stay.x)}
        return {"warmPoolRef": {"name": WARM}, "lifecycle": lifecycle}

    def _job(self, stay: _Stay) -> Json:
        """Its pod comes to an end, and the claim soon after."""
        self._soon(stay.life_s / 2, partial(self._finish, stay))
        lifecycle = {"ttlSecondsAfterFinished": _TTL_S, "shutdownPolicy": _policy(stay.x)}
        return {"warmPoolRef": {"name": WARM}, "lifecycle": lifecycle}

    def _dressed(self, stay: _Stay) -> Json:
        """It asks for a label of its pod; half of them for one that is not allowed."""
        label = "sandbox.users.io/team" if stay.x < 0.5 else "no-domain"
        wish = {"labels": {label: f"team-{stay.name}"}}
        return {"warmPoolRef": {"name": WARM}, "additionalPodMetadata": wish}

    def _own(self, stay: _Stay) -> Json:
        """It asks for what no warm sandbox has."""
        spec: Json = {"warmPoolRef": {"name": WARM}}
        if stay.x < 0.5:
            return {**spec, "env": [{"name": "WISH", "value": stay.name}]}
        return {**spec, "volumeClaimTemplates": [a_volume_template()]}

    def _lost(self, stay: _Stay) -> Json:
        """Its sandbox is deleted under it."""
        self._soon(stay.life_s / 2, partial(self._lose, stay))
        return self._plain(stay)

    def _finish(self, stay: _Stay) -> None:
        pod = self._grip.get(POD, stay.town, self._sandbox_of(stay))
        if pod is not None:
            finish_pod(self._grip, pod, stay.x)

    def _lose(self, stay: _Stay) -> None:
        self._grip.delete(SANDBOX, stay.town, self._sandbox_of(stay))

    def _sandbox_of(self, stay: _Stay) -> str:
        return published_by(self._grip.get(CLAIM, stay.town, stay.name) or {})

    # ------------------------------------------------------------------- towns

    def _found(self, town: str, replicas: int) -> None:
        self._cluster.create(Target(NAMESPACE), {"metadata": {"name": town}})
        allowed = {"envVarsInjectionPolicy": "Allowed", "volumeClaimTemplatesPolicy": "Allowed"}
        # An image of its own: templates of two towns have no blob in common.
        container = {"name": "sandbox", "image": f"registry.example/{town}:1"}
        spec = {**allowed, "podTemplate": {"spec": {"containers": [container]}}}
        template = builders.a_template(TEMPLATE_NAME, namespace=town, merge={"spec": spec})
        self._grip.create(TEMPLATE, town, builders.as_sent(template))
        for name, wanted in ((WARM, replicas), (COLD, 0)):
            pool = builders.a_pool(name, replicas=wanted, template=TEMPLATE_NAME, namespace=town)
            self._grip.create(POOL, town, builders.as_sent(pool))

    def _found_passing(self, town: str) -> None:
        self._found(town, PASSING_REPLICAS)
        self._passing[town] = None
        self._later(PASSING_LIFE_S, partial(self._end_passing, town))

    def _end_passing(self, town: str) -> None:
        del self._passing[town]
        self._quietly(partial(self._cluster.delete, Target(NAMESPACE, "", town)))

    def _befall(self, number: int) -> None:
        """An admin edits a template or moves a pool's size, or somebody deletes a member's pod."""
        town = f"standing-{number % STANDING}"
        match number // REPAIR_EVERY % 3:
            case 0:
                container = {"name": "sandbox", "image": f"registry.example/{town}:{number}"}
                pod = {"spec": {"podTemplate": {"spec": {"containers": [container]}}}}
                self._grip.patch(TEMPLATE, town, TEMPLATE_NAME, pod)
            case 1:
                replicas = STANDING_REPLICAS - number % 2
                self._grip.patch(POOL, town, WARM, {"spec": {"replicas": replicas}})
            case _:
                found = self._grip.some(POD, self._dice.unit(f"pod {number}"))
                if found is not None:
                    metadata = found["metadata"]
                    self._grip.delete(POD, metadata["namespace"], metadata["name"])

    # ----------------------------------------------------------------- helpers

    def _soon(self, delay_s: float, work: Callable[[], object]) -> None:
        self._later(delay_s, partial(self._quietly, work))

    def _quietly(self, work: Callable[[], object]) -> None:
        with suppress(Refusal):  # gone, ended, or not wanted: as it goes
            work()


def _policy(x: float) -> str | None:
    return _POLICIES[int(x * len(_POLICIES))]
