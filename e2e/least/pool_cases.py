"""What the pool controller does, right by right."""

from __future__ import annotations

from functools import partial
from typing import Any

from e2e.controlplane.api import Object
from e2e.least.behaviour import Behaviour, Case, nothing, pool_of_one
from e2e.least.rights import Right, right
from e2e.least.scene import Scene

from warmclaim.api.event import EVENT
from warmclaim.api.resources import POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.app.needs import Part
from warmclaim.kube.permissions import Permission
from warmclaim.loadtest.objects import POOLS, SANDBOXES, TEMPLATES


def _orphan(s: Scene, name: str) -> None:
    (member,) = s.members(name)
    s.change(SANDBOXES, member["metadata"]["name"], {"metadata": {"ownerReferences": None}})


def _grow_past_taken_name(s: Scene, name: str) -> None:
    """The manager has listed all sandboxes, to be sure of the pool; what is made after that it does
    not know of."""
    s.scale(name, 2)
    s.wait("a member more", lambda: s.differs(name, 2))
    s.sandbox(s.next_member(name))
    s.scale(name, 3)


def _lack_told_once(s: Scene, name: str) -> None:
    s.template(name)
    s.full_pool(name, 1, name)
    s.delete(TEMPLATES, name)
    s.wait("the lack told", lambda: s.told(name, "TemplateNotFound"))
    s.template(name)
    s.scale(name, 2)
    s.wait("members", lambda: s.differs(name, 2))


def _pool_on_a_new_template(s: Scene, name: str) -> None:
    s.template(name)
    s.pool(name, 1, name)


def _shown(s: Scene, name: str) -> str | None:
    status: Object = s.find(POOLS, name).get("status", {})
    found: int = status.get("replicas", 0)
    return None if found == 2 else f"pool {name} shows {found}"


GROWN = Behaviour(pool_of_one, lambda s, n: s.scale(n, 2), lambda s, n: s.differs(n, 2))
SHRUNK = Behaviour(
    lambda s, n: s.full_pool(n, 2), lambda s, n: s.scale(n, 1), lambda s, n: s.differs(n, 1)
)
SHOWN = Behaviour(pool_of_one, lambda s, n: s.scale(n, 2), _shown)
TAKEN_IN = Behaviour(pool_of_one, _orphan, lambda s, n: s.differs(n, 1))
NAME_SKIPPED = Behaviour(pool_of_one, _grow_past_taken_name, lambda s, n: s.differs(n, 3))
FILLED = Behaviour(nothing, _pool_on_a_new_template, lambda s, n: s.differs(n, 1))
REPLACED = Behaviour(
    pool_of_one,
    lambda s, n: s.delete(SANDBOXES, s.members(n)[0]["metadata"]["name"]),
    lambda s, n: s.differs(n, 1),
)
LACK_TOLD = Behaviour(
    nothing, lambda s, n: s.pool(n, 1, "none"), lambda s, n: s.told(n, "TemplateNotFound")
)
SECOND_LACK_COUNTED = Behaviour(
    _lack_told_once,
    lambda s, n: s.delete(TEMPLATES, n),
    lambda s, n: s.told(n, "TemplateNotFound", count=2),
)


def _may(verb: str, kind: Resource[Any], subresource: str = "") -> Right:
    return right(Part.POOLS, verb, kind, subresource)


_case = partial(Case, Part.POOLS)


POOL_CASES = (
    _case(LACK_TOLD, _may("create", EVENT), is_tried_again=False, shuts=True),
    _case(SECOND_LACK_COUNTED, _may("patch", EVENT), is_tried_again=False, shuts=True),
    _case(GROWN, _may("create", SANDBOX)),
    _case(GROWN, _may("patch", POOL)),
    _case(GROWN, _may("get", POOL), stuck_by=_may("create", SANDBOX)),
    _case(SHRUNK, _may("delete", SANDBOX)),
    _case(SHOWN, _may("patch", POOL, "status")),
    _case(TAKEN_IN, _may("patch", SANDBOX)),
    _case(
        GROWN,
        right(Part.OWNERS, "update", POOL, "finalizers"),
        refused=Permission("create", str(SANDBOX)),
        is_tried_again=False,
    ),
)
POOL_READS = (
    _case(NAME_SKIPPED, _may("get", SANDBOX), beside=_may("watch", SANDBOX)),
    _case(FILLED, _may("watch", POOL)),
    _case(FILLED, _may("watch", TEMPLATE)),
    _case(REPLACED, _may("watch", SANDBOX)),
)
