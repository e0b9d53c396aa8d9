"""Permissions that the manager lacks: each is said once, and forgotten when it works.

Told apart by the API server's own words. A 403 of its authorizer says that this account may not do
such a thing at all, and only that is a missing permission. Every other 403 is about one object: a
quota, an admission plug-in, a policy, a namespace that ends (`answers.error_for`).

P1 One log line, and one call of each listener, when a permission is first refused in a place;
   never one for each request, also where of several API servers one refuses and another does not:
   what was granted is said to be missing again after `QUIET_S` at the earliest.
P2 What is remembered is bounded: verbs x kinds x `PLACES_MAX`, whatever namespaces there are.
P3 An answer of another sort to the same verb, kind and place ends it. So do `FORGET_S` without
   another refusal, for objects that are gone are not asked for again.
P4 While nothing is missing, a success costs one look at an empty dictionary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from warmclaim.seams import Clock

PLACES_MAX: Final = 5
"""Namespaces remembered for a permission. A role of the cluster is missing in all of them."""

FORGET_S: Final = 900.0
"""Much longer than any retry of a refused request waits."""

QUIET_S: Final = 60.0

_log = logging.getLogger(__name__)


class Permission(NamedTuple):
    """What RBAC grants: a verb on a kind, "plural.group", or on its `subresource`."""

    verb: str
    resource: str
    subresource: str = ""

    def __str__(self) -> str:
        slash = "/" if self.subresource else ""
        return f"{self.verb} {self.resource}{slash}{self.subresource}"


class Missing(NamedTuple):
    """A permission that is missing in a namespace, or ("") in the cluster as a whole."""

    permission: Permission
    namespace: str

    def __str__(self) -> str:
        where = f'in namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f"{self.permission} {where}"


@dataclass(slots=True)
class _Refusal:
    """Where a permission is missing: when it was refused last, and whether that was said."""

    last_s: float
    is_said: bool = False


Listener: TypeAlias = Callable[[Missing], None]


class Permissions:
    """What was refused and has not worked since."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: dict[Permission, dict[str, _Refusal]] = {}  # by place
        self._quiet_until_s: dict[Permission, float] = {}
        self._on_missing: list[Listener] = []
        self._on_granted: list[Callable[[], None]] = []

    def on_missing(self, listener: Listener) -> None:
        """Have `listener` called with each new one. It must not block."""
        self._on_missing.append(listener)

    def on_granted(self, listener: Callable[[], None]) -> None:
        """Have `listener` called when a missing one works again. It must not block."""
        self._on_granted.append(listener)

    def missing(self) -> list[Missing]:
        """All that are missing now, in the order in which they were refused first."""
        self._forget_old()
        return [
            Missing(permission, namespace)
            for permission, places in self._refused.items()
            for namespace in places
        ]

    def refused(self, permission: Permission, namespace: str) -> None:
        """The authorizer said no to this in that namespace; "" for a request of the cluster."""
        self._forget_old()
        places = self._refused.setdefault(permission, {})
        if namespace not in places and len(places) >= PLACES_MAX:
            return
        now_s = self._clock.monotonic()
        refusal = places.setdefault(namespace, _Refusal(now_s))
        refusal.last_s = now_s
        if not refusal.is_said and now_s >= self._quiet_until_s.get(permission, now_s):
            refusal.is_said = True
            missing = Missing(permission, namespace)
            _log.error("permission missing: %s; the rest goes on", str(missing))
            for listener in self._on_missing:
                listener(missing)

    def worked(self, verb: str, resource: str, subresource: str, namespace: str) -> None:
        """Such a request was answered by more than the authorizer. O(1)."""
        if not self._refused:
            return
        permission = Permission(verb, resource, subresource)
        places = self._refused.get(permission, {})
        refusal = places.pop(namespace, None)
        if refusal is None:
            return
        if not places:
            del self._refused[permission]
        if not refusal.is_said:
            return
        self._quiet_until_s[permission] = self._clock.monotonic() + QUIET_S
        _log.info("permission granted: %s", str(Missing(permission, namespace)))
        for listener in self._on_granted:
            listener()

    def _forget_old(self) -> None:
        """O(what is missing), which is bounded."""
        oldest_s = self._clock.monotonic() - FORGET_S
        for permission, places in list(self._refused.items()):
            for namespace in [name for name, one in places.items() if one.last_s < oldest_s]:
                del places[namespace]
            if not places:
                del self._refused[permission]
