"""The cluster of a run: as any other, but for the uids that it gives."""

from __future__ import annotations

from typing import Any

from warmclaim.api.names import name_hash
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.json_values import Json
from warmclaim.testing.store import Commit


class SimCluster(Cluster):
    """Gives uids by what an object is called and how many of that name came before.

    So an object keeps its uid, and a member its name, in a run from which something was left out.
    """

    def __init__(self, **arguments: Any) -> None:
        self._uids_given: dict[str, int] = {}
        self._uid_for = ""
        super().__init__(**arguments)

    def create(self, target: Target, body: Json, *, dry_run: bool = False) -> Commit:
        """As every cluster does."""
        name = body.get("metadata", {}).get("name", target.name) if target.name == "" else ""
        self._uid_for = f"{target.kind.resource}/{target.namespace}/{name or target.name}"
        return super().create(target, body, dry_run=dry_run)

    def new_uid(self) -> str:
        """A uid that says nothing and follows from the name."""
        number = self._uids_given[self._uid_for] = self._uids_given.get(self._uid_for, 0) + 1
        text = f"{self._uid_for}#{number}"
        return f"{name_hash(text)}-{name_hash(text[::-1])[:4]}-4000-8000-{number:012d}"
