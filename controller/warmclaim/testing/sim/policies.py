"""S13 and L9: a template has the NetworkPolicy that it asks for, and nobody else's is touched.

S13, at each commit of a manager: a policy is made under the name of a living template, with that
template in control; one that changes or goes was a template's all the while, or one of those that
older versions made for each claim. What is deleted of a template's is no longer wanted, as far as
anybody could know. L9, in the end: each template has its hash label, its policy if that is managed
and the name is free, and none otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from warmclaim.api.names import LABEL_TEMPLATE_REF, name_hash
from warmclaim.api.resources import CLAIM, NETWORK_POLICY, TEMPLATE
from warmclaim.seams import Clock
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.admins import is_managed
from warmclaim.testing.sim.lifetimes import LAG_S_MAX
from warmclaim.testing.sim.objects import Owner, controller_of, is_deleting, part
from warmclaim.testing.sim.trace import Attribution, is_manager
from warmclaim.testing.sim.wire import Report
from warmclaim.testing.store import Commit, ObjectStore, Verb

_POLICIES: Final = str(NETWORK_POLICY)
_TEMPLATES: Final = str(TEMPLATE)
_SUFFIX: Final = "-network-policy"
_ANYBODY: Final[Json] = {}


class Policies:
    """An observer of the store."""

    def __init__(
        self, store: ObjectStore, attribution: Attribution, clock: Clock, report: Report
    ) -> None:
        self._store = store
        self._attribution = attribution
        self._clock = clock
        self._report = report
        # By uid of a template: until when it did not want its policy; and its key.
        self._unwanted_s: dict[str, float] = {}
        self._templates: dict[str, str] = {}

    def on_commit(self, commit: Commit) -> None:
        """Hold it against the rules. O(1)."""
        if commit.resource == _TEMPLATES:
            self._follow(commit)
        elif commit.resource == _POLICIES and is_manager(self._attribution.who):
            self._judge(commit)

    def _follow(self, commit: Commit) -> None:
        uid = commit.object["metadata"]["uid"]
        self._templates[uid] = commit.key
        states = [commit.before, commit.object if commit.is_live else None]
        if any(state is None or not is_managed(state) for state in states):
            self._unwanted_s[uid] = self._clock.monotonic()

    def _judge(self, commit: Commit) -> None:
        before = controller_of(commit.before)
        if commit.verb is Verb.ADDED:
            self._judge_new(commit)
        elif not commit.is_live or is_deleting(commit.object):
            self._judge_end(commit, before)
        elif not self._is_of_template(commit.key, before):
            self._say(commit, f"changed, and it was of {before}")
        elif controller_of(commit.object) != before:
            self._say(commit, f"the owner went from {before} to {controller_of(commit.object)}")

    def _judge_new(self, commit: Commit) -> None:
        owner = controller_of(commit.object)
        if not self._is_of_template(commit.key, owner):
            self._say(commit, f"made for {owner}")

    def _judge_end(self, commit: Commit, owner: Owner | None) -> None:
        if commit.before is not None and is_deleting(commit.before):
            return
        is_legacy = owner is not None and owner.kind == CLAIM.kind
        if is_legacy and owner is not None and commit.key.endswith(f"/{owner.name}{_SUFFIX}"):
            return
        if owner is None or not self._is_of_template(commit.key, owner):
            self._say(commit, f"deleted, and it was of {owner}")
        elif not self._may_be_unwanted(commit.key, owner):
            self._say(commit, f"deleted, and {owner.name} wants it")

    def _is_of_template(self, key: str, owner: Owner | None) -> bool:
        if owner is None or owner.kind != TEMPLATE.kind:
            return False
        return self._templates.get(owner.uid, "") + _SUFFIX == key

    def _may_be_unwanted(self, key: str, owner: Owner) -> bool:
        found = self._store.get(_TEMPLATES, key.removesuffix(_SUFFIX))
        if found is None or found.object["metadata"]["uid"] != owner.uid:
            return True
        since_s = self._clock.monotonic() - self._unwanted_s.get(owner.uid, 0.0)
        return not is_managed(found.object) or since_s <= LAG_S_MAX

    def _say(self, commit: Commit, text: str) -> None:
        self._report("S13", f"{text} (policy {commit.key}, by {self._attribution.who})")


def policy_problems(store: ObjectStore) -> Iterator[str]:
    """L9 and L5: what is not as it should be in the end. O(templates + policies)."""
    policies = {commit.key: commit.object for commit in store.scan(_POLICIES)}
    templates = {commit.key: commit.object for commit in store.scan(_TEMPLATES)}
    for key, template in templates.items():
        wanted = name_hash(template["metadata"]["name"])
        if part(template, "metadata", "labels", LABEL_TEMPLATE_REF) != wanted:
            yield f"L9 the template {key} lacks its label"
        yield from _settled(key, template, policies.get(key + _SUFFIX))
    uids = {template["metadata"]["uid"] for template in templates.values()}
    for key, policy in policies.items():
        owner = controller_of(policy)
        if owner is not None and owner.uid not in uids:
            yield f"L5 the policy {key} is left of {owner}"


def _settled(key: str, template: Json, policy: Json | None) -> Iterator[str]:
    owner, uid = controller_of(policy), template["metadata"]["uid"]
    is_own = owner is not None and owner.uid == uid
    if not is_managed(template):
        if is_own:
            yield f"L9 the template {key} does not want its policy"
        return
    if policy is None:
        yield f"L9 the template {key} has no policy"
    elif is_own:
        chosen = part(policy, "spec", "podSelector", "matchLabels", LABEL_TEMPLATE_REF)
        if chosen != name_hash(template["metadata"]["name"]):
            yield f"L9 the policy of {key} is for other pods: {chosen}"
        rules = part(template, "spec", "networkPolicy")
        for way in ("ingress", "egress"):
            shown: Any = part(policy, "spec", way) or []
            if rules is not None and shown != (part(rules, way) or []):
                yield f"L9 the policy of {key} has other rules for {way}"
            elif rules is None and _ANYBODY in shown:
                yield f"L9 the policy of {key} is open for {way}"
