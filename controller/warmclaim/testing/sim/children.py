"""S12: what a manager makes for a sandbox is that sandbox's, and its pod is one.

Judged at each commit of a manager: a pod, service or volume is made with one sandbox in control; no
pod comes to be a second living one of its sandbox; and no volume is deleted, that is the garbage
collector's.
"""

from __future__ import annotations

from warmclaim.api.resources import POD, SANDBOX, SERVICE, VOLUME_CLAIM
from warmclaim.testing.sim.objects import controller_of, is_deleting
from warmclaim.testing.sim.trace import Attribution, is_manager
from warmclaim.testing.sim.wire import Report
from warmclaim.testing.store import Commit, Verb

_PODS, _VOLUMES = str(POD), str(VOLUME_CLAIM)
_CHILDREN = frozenset((_PODS, str(SERVICE), _VOLUMES))


class Children:
    """An observer of the store."""

    def __init__(self, attribution: Attribution, report: Report) -> None:
        self._attribution = attribution
        self._report = report
        self._pods: dict[str, set[str]] = {}

    def on_commit(self, commit: Commit) -> None:
        """Hold it against the rules, and count the pods of each sandbox. O(1)."""
        if commit.resource not in _CHILDREN:
            return
        who = self._attribution.who
        if is_manager(who):
            self._judge(commit)
        if commit.resource == _PODS:
            self._count(commit, who)

    def _judge(self, commit: Commit) -> None:
        before = commit.before
        if commit.resource == _VOLUMES:
            is_ending = not commit.is_live or is_deleting(commit.object)
            if is_ending and before is not None and not is_deleting(before):
                self._say(commit, "a volume was deleted")
        if commit.verb is Verb.ADDED:
            owner = controller_of(commit.object)
            if owner is None or owner.kind != SANDBOX.kind:
                self._say(commit, f"made with {owner} in control")

    def _count(self, commit: Commit, who: str) -> None:
        before = controller_of(commit.before)
        after = controller_of(commit.object) if commit.is_live else None
        if before == after:
            return
        if before is not None:
            pods = self._pods.get(before.uid, set[str]())
            pods.discard(commit.key)
            if not pods:
                self._pods.pop(before.uid, None)
        if after is None:
            return
        pods = self._pods.setdefault(after.uid, set[str]())
        pods.add(commit.key)
        if is_manager(who) and len(pods) > 1:
            self._say(commit, f"the sandbox {after.name} has {len(pods)} pods")

    def _say(self, commit: Commit, text: str) -> None:
        who = self._attribution.who
        self._report("S12", f"{text} ({commit.resource} {commit.key}, by {who})")
