"""What a manager does, and the one right without which it does not: a case for each.

Behaviours are named for what a user sees. Each has what has to be there before (`prepare`), what
sets it off (`act`), and what is lacking until it has come about; all three take the name of the
objects, which is the case's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from e2e.least.rights import Right
from e2e.least.scene import Scene

from warmclaim.app.needs import Part
from warmclaim.kube.permissions import Permission

Act = Callable[[Scene, str], object]
Lack = Callable[[Scene, str], str | None]


@dataclass(frozen=True)
class Behaviour:
    """One thing that a user of the cluster can see happen."""

    prepare: Act
    act: Act
    lacking: Lack


def pool_of_one(s: Scene, name: str) -> None:
    """A pool with a member that is Ready."""
    s.full_pool(name, 1)


class Case(NamedTuple):
    """`needs`: the right that is taken away, from the role of `manager`. `stuck_by`: one that is
    taken away first, while the behaviour is set off. `refused`: the request that is refused for
    want of the right, if it is another one. `beside`: what the manager lacks all the time, from its
    start on. `is_tried_again`: whether it comes about by itself when the right is given back; else
    it is set off anew, on other objects. `shuts`: the manager leaves the namespace's events alone
    for a minute after the refusal."""

    manager: Part
    behaviour: Behaviour
    needs: Right
    stuck_by: Right | None = None
    refused: Permission | None = None
    beside: Right | None = None
    is_tried_again: bool = True
    shuts: bool = False

    @property
    def request(self) -> Permission:
        """What the refused request asks for."""
        return self.refused or self.needs.permission

    @property
    def at_start(self) -> Right | None:
        """The right that a manager finds lacking when it starts, and only then."""
        is_read = self.needs.permission.verb in ("list", "watch")
        return self.needs if is_read else self.beside

    @property
    def lacks(self) -> list[Right]:
        """All that is taken away."""
        return [self.needs, *([self.beside] if self.beside else [])]

    def listing(self) -> Case:
        """The same for the right to list the kind that this needs to watch."""
        needs = self.needs._replace(permission=self.needs.permission._replace(verb="list"))
        return self._replace(needs=needs)


def nothing(_: Scene, __: str) -> None:
    """No more than what every namespace here has: the template `base`."""
