"""W1-W9: etcd's guarantees of a watch, held against what each cache of a manager is told.

A tap sits between the reflector and its sink, and knows every commit of the run. The scope is what
the informer asks for: its kind, and its label where it selects by one.

* W1 ordered: events come in the order of their versions, and a list is never older than what was
  told before it, except by an explicit reset.
* W2 unique: no event comes twice.
* W3 reliable: between the list and now no commit in scope is left out; a list stands for all
  before it.
* W4 atomic: an event is a commit, the whole of it and nothing else: its version, key, uid and
  whether the object is there afterwards.
* W5 resumable: a watch is opened at a version up to which everything in scope was told.
* W6 bookmarkable: a bookmark comes when everything in scope up to its version was told.
* W7 whole lists: a list is what there was at its version, and nothing from before it is told.
* W8 previous state: each subscriber is told of changes from the state that it was told last.
* W9 in the end: when all is quiet, each cache is what the server has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from warmclaim.api.meta import Object, ObjectKey
from warmclaim.app import App
from warmclaim.kube.informer import Change, Informer
from warmclaim.testing.sim.objects import part
from warmclaim.testing.sim.wire import Exchange, Report
from warmclaim.testing.store import Commit, ObjectStore, Verb

_TAPPED: Final = ("replace", "put", "gone", "bookmark")


class WatchValidators:
    """Observes the store, hears of reads, and taps the informers of each App."""

    def __init__(self, store: ObjectStore, report: Report) -> None:
        self._store = store
        self._report = report
        self._commits: dict[str, list[Commit]] = {}
        self._unreadable: set[str] = set()
        self._followers: dict[tuple[str, str], Follower] = {}

    def on_commit(self, commit: Commit) -> None:
        """Keep every commit: the store forgets them."""
        self._commits.setdefault(commit.resource, []).append(commit)

    def attach(self, process: str, app: App) -> None:
        """Tap all of its informers, before it runs."""
        for resource, informer in app.caches.informers.items():
            self.follow(process, resource, informer)

    def follow(self, process: str, resource: str, informer: Informer[Any]) -> None:
        """Tap one."""
        commits = self._commits.setdefault(resource, [])

        def report(promise: str, text: str) -> None:
            self._report(promise, f"{process} {resource}: {text}")

        follower = Follower(commits, self._unreadable, report)
        for name in _TAPPED:
            setattr(informer, name, _both(getattr(follower, name), getattr(informer, name)))
        informer.subscribe(follower.changed)
        self._followers[process, resource] = follower

    def is_unreadable(self, resource: str, key: str) -> None:
        """An object that no manager can decode: no cache is told of it, lists only name it."""
        self._unreadable.add(f"{resource} {key}")

    def sent(self, exchange: Exchange) -> None:
        """The opening of a watch says from where on, and its label."""
        follower = self._followers.get((exchange.process, exchange.place.resource))
        if follower is None or exchange.work is not None:
            return
        query = dict(exchange.request.query)
        if "labelSelector" in query:
            follower.label = query["labelSelector"]
        if "watch" in query and "sendInitialEvents" not in query:
            follower.resumed(int(query.get("resourceVersion", "0")))

    def look_back(self, informers: Mapping[str, Informer[Any]]) -> None:
        """W9: hold each cache against the server. Only when all is quiet; O(objects)."""
        for resource, informer in informers.items():
            label = next(f.label for (_, of), f in self._followers.items() if of == resource)
            there = {
                commit.key: _identity(commit.object)
                for commit in self._store.scan(resource)
                if _is_in(commit.object, label)
                and f"{resource} {commit.key}" not in self._unreadable
            }
            cached = dict(_identified(informer.store.values()))
            if there != cached:
                self._report("W9", f"{resource}: {_difference(there, cached)}")


class Follower:
    """What one sink is told, held against the commits of its kind. `label`: the one by which it
    selects. Cost: O(commits) over a life, and O(objects) for each list."""

    def __init__(self, commits: list[Commit], unreadable: set[str], report: Report) -> None:
        self.label = ""
        self._commits = commits
        self._unreadable = unreadable
        self._report = report
        self._index = 0  # the commits before it are at or before `_position`
        self._position = self._listed = self._last = 0
        self._state: dict[str, tuple[str, int]] = {}
        self._told: dict[ObjectKey, tuple[str, int]] = {}
        self._is_reset = False

    # ------------------------------------------------------- as the sink is called

    def replace(
        self,
        items: Sequence[Object],
        resource_version: str,
        *,
        unreadable: Sequence[ObjectKey],
        is_reset: bool,
    ) -> None:
        """A list."""
        version = int(resource_version)
        self._is_reset = is_reset
        if version < self._position:
            if not is_reset:
                self._report("W1", f"a list of {version} after {self._position}")
            self._index, self._state = 0, {}
        for commit in self._until(version):
            self._apply(commit)
        self._position = self._listed = self._last = version
        hidden = {str(key) for key in unreadable}
        there = {key: known for key, known in self._state.items() if key not in hidden}
        listed = dict(_identified(items))
        if listed != there:
            self._report("W7", f"the list of {version}: {_difference(there, listed)}")

    def put(self, obj: Object) -> None:
        """An object came or changed."""
        metadata = obj.metadata
        self._event(metadata.version, str(metadata.key), metadata.uid, is_there=True)

    def gone(self, key: ObjectKey, uid: str, version: int) -> None:
        """An object went."""
        self._event(version, str(key), uid, is_there=False)

    def bookmark(self, resource_version: str) -> None:
        """Everything up to there was told."""
        self._pass_over(int(resource_version), "W6", "before the bookmark")
        self._position = max(self._position, int(resource_version))

    def resumed(self, version: int) -> None:
        """A watch is opened after that version."""
        for commit in self._commits[self._index :]:
            if commit.rv > version:
                return
            if self._verdict(commit) is not None:
                self._report("W5", f"resumed at {version}, {commit!r} was not told")
                return

    def changed(self, change: Change[Any]) -> None:
        """What the subscribers hear: W8."""
        subject = change.new or change.old
        if subject is None:
            self._report("W8", "a change of nothing")
            return
        key = subject.metadata.key
        known = self._told.pop(key, None)
        old = _told_of(change.old)
        if old != known:
            self._report("W8", f"{key} was {known}, and is told to have been {old}")
        if change.new is None:
            return
        new = self._told[key] = _told_of(change.new) or ("", 0)
        if known is not None and new[0] == known[0] and new[1] <= known[1] and not self._is_reset:
            self._report("W8", f"{key} went from {known} to {new}")

    # -------------------------------------------------------------------- insides

    def _event(self, version: int, key: str, uid: str, *, is_there: bool) -> None:
        self._is_reset = False
        if version <= self._position:
            promise = "W1"
            if version == self._last:
                promise = "W2"
            elif version <= self._listed:
                promise = "W7"
            self._report(promise, f"{key} at {version} is told at {self._position}")
            return
        commits, index = self._commits, self._index
        if index == len(commits) or commits[index].rv != version:
            self._pass_over(version - 1, "W3", f"before {key} at {version}")
        commit = next(self._until(version), None)
        if commit is None or not self._is_told(commit, key, uid, is_there=is_there):
            self._report("W4", f"{key} {uid} at {version} is told of {commit!r}")
        if is_there:
            self._state[key] = uid, version
        else:
            self._state.pop(key, None)
        self._position = self._last = version

    def _is_told(self, commit: Commit, key: str, uid: str, *, is_there: bool) -> bool:
        """Whether that is what the commit is about."""
        is_its = commit.key == key and commit.object["metadata"]["uid"] == uid
        return is_its and self._verdict(commit) == is_there

    def _pass_over(self, version: int, promise: str, when: str) -> None:
        """Nothing in scope may be left up to that version."""
        for commit in self._until(version):
            if self._verdict(commit) is not None:
                self._report(promise, f"{commit!r} was not told {when}")
            self._apply(commit)

    def _until(self, version: int) -> Iterator[Commit]:
        """The commits up to that version that were not passed yet; passes them."""
        commits = self._commits
        while self._index < len(commits) and commits[self._index].rv <= version:
            self._index += 1
            yield commits[self._index - 1]

    def _verdict(self, commit: Commit) -> bool | None:
        """Whether the object is there after a commit; None for a commit out of scope."""
        if self._unreadable and f"{commit.resource} {commit.key}" in self._unreadable:
            return None
        is_there = commit.verb is not Verb.DELETED and _is_in(commit.object, self.label)
        was_there = commit.before is not None and _is_in(commit.before, self.label)
        return is_there if is_there or was_there else None

    def _apply(self, commit: Commit) -> None:
        if self._verdict(commit):
            self._state[commit.key] = _identity(commit.object)
        else:
            self._state.pop(commit.key, None)


def _both(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def called(*arguments: Any, **named: Any) -> None:
        first(*arguments, **named)
        second(*arguments, **named)

    return called


def _is_in(value: Any, label: str) -> bool:
    return not label or part(value, "metadata", "labels", label) is not None


def _identity(value: Any) -> tuple[str, int]:
    metadata = value["metadata"]
    return metadata["uid"], int(metadata["resourceVersion"])


def _identified(objects: Any) -> Iterator[tuple[str, tuple[str, int]]]:
    for obj in objects:
        yield str(obj.metadata.key), (obj.metadata.uid, obj.metadata.version)


def _told_of(obj: Any) -> tuple[str, int] | None:
    return (obj.metadata.uid, obj.metadata.version) if obj is not None else None


def _difference(there: dict[str, Any], told: dict[str, Any]) -> str:
    """The first keys that differ."""
    keys = sorted({*there, *told})
    odd = [key for key in keys if there.get(key) != told.get(key)]
    words = (f"{key} is {there.get(key)}, told {told.get(key)}" for key in odd[:3])
    return "; ".join(words)
