"""What the claim controller does, right by right."""

from __future__ import annotations

from functools import partial
from typing import Any

from e2e.least.behaviour import Behaviour, Case, nothing, pool_of_one
from e2e.least.rights import Right, right
from e2e.least.scene import FUTURE, PAST, Scene

from warmclaim.api.event import EVENT
from warmclaim.api.names import ANNOTATION_FIRST_READY
from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.app.needs import Part
from warmclaim.kube.permissions import Permission
from warmclaim.loadtest.objects import CLAIMS, SANDBOXES


def _served(s: Scene, name: str) -> None:
    s.full_pool(name, 1)
    s.served_claim(name, name)


def _expired(s: Scene, name: str) -> None:
    """Expired once, told, and prolonged."""
    _served(s, name)
    s.end(name, "Retain")
    s.wait("expiry", lambda: s.told(name, "ClaimExpired", word="Claim expired"))
    s.wait("end of the sandbox", lambda: None if not s.given(name) else "it has one")
    s.end(name, "Retain", FUTURE)
    s.wait("a sandbox again", lambda: None if s.given(name) else "no sandbox")


def _cold(s: Scene, name: str) -> None:
    s.template(name)
    s.pool(name, 0, name)
    s.claim(name, name)


def _lose(s: Scene, name: str) -> None:
    s.delete(SANDBOXES, s.given(name))


def _lost(s: Scene, name: str) -> str | None:
    given = s.given(name)
    is_there = given and not s.there(SANDBOXES, given)
    return None if not given or is_there else f"claim {name} names {given}, which is gone"


ADOPTED = Behaviour(
    pool_of_one,
    lambda s, n: s.claim(n, n),
    lambda s, n: None if s.given(n) not in ("", n) else f"claim {n} has {s.given(n)!r}",
)
COLD = Behaviour(
    nothing, _cold, lambda s, n: None if s.given(n) == n else f"claim {n} has {s.given(n)!r}"
)
CLAIM_ENDED = Behaviour(_served, lambda s, n: s.end(n, "Delete"), lambda s, n: s.gone(CLAIMS, n))
CLAIM_RETAINED = Behaviour(
    _served,
    lambda s, n: s.end(n, "Retain"),
    lambda s, n: f"claim {n} has {s.given(n)}" if s.given(n) else None,
)
LOSS_NOTICED = Behaviour(_served, _lose, _lost)
NOTED = Behaviour(
    pool_of_one,
    lambda s, n: s.claim(n, n),
    lambda s, n: s.noted(CLAIMS, n, ANNOTATION_FIRST_READY),
)
ADOPTION_TOLD = Behaviour(
    pool_of_one, lambda s, n: s.claim(n, n), lambda s, n: s.told(n, "SandboxAdopted")
)
SECOND_END_COUNTED = Behaviour(
    _expired,
    lambda s, n: s.end(n, "Retain", PAST),
    lambda s, n: s.told(n, "ClaimExpired", count=2, word="Claim expired"),
)


def _may(verb: str, kind: Resource[Any], subresource: str = "") -> Right:
    return right(Part.CLAIMS, verb, kind, subresource)


_case = partial(Case, Part.CLAIMS)


CLAIM_CASES = (
    _case(ADOPTION_TOLD, _may("create", EVENT), is_tried_again=False, shuts=True),
    _case(SECOND_END_COUNTED, _may("patch", EVENT), is_tried_again=False, shuts=True),
    _case(ADOPTED, _may("patch", SANDBOX)),
    _case(ADOPTED, _may("patch", CLAIM, "status")),
    _case(COLD, _may("create", SANDBOX)),
    _case(COLD, _may("get", CLAIM)),
    _case(CLAIM_ENDED, _may("delete", CLAIM)),
    _case(CLAIM_RETAINED, _may("delete", SANDBOX)),
    _case(LOSS_NOTICED, _may("get", SANDBOX)),
    _case(NOTED, _may("patch", CLAIM), is_tried_again=False),
    _case(
        COLD,
        right(Part.OWNERS, "update", CLAIM, "finalizers"),
        refused=Permission("create", str(SANDBOX)),
        is_tried_again=False,
    ),
)
CLAIM_READS = (
    _case(ADOPTED, _may("watch", CLAIM)),
    _case(LOSS_NOTICED, _may("watch", SANDBOX)),
    _case(COLD, _may("watch", POOL)),
    _case(COLD, _may("watch", TEMPLATE)),
)
