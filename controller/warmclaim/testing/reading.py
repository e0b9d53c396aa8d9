"""The rules of reading: which version a get, list or watch shows, and in how many pages.

| resourceVersion | list | watch |
|---|---|---|
| none | the newest, surely | all objects as ADDED, then changes |
| "0" | what this server has | the same |
| n | not older than n (Exact: as it was at n) | changes after n |
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import msgspec

from warmclaim.testing import refusals
from warmclaim.testing.json_values import Json
from warmclaim.testing.refusals import Refusal, cause
from warmclaim.testing.selectors import Matches, selector
from warmclaim.testing.store import Commit, CompactedError, ObjectStore
from warmclaim.testing.target import Target
from warmclaim.testing.watch import WatchCache, WatchPlan

EXACT, NOT_OLDER_THAN = "Exact", "NotOlderThan"
_TOKEN_FORM = "meta.k8s.io/v1"

_NO_VERSION_WITH_TOKEN = "specifying resource version is not allowed when using continue"
_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can "
    "start a new list without the continue parameter, or use the continue token in this response "
    "to retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The query of a get, list or watch, checked."""

    version: str = ""
    match: str = ""
    limit: int = 0
    continue_token: str = ""
    timeout_s: int | None = None
    bookmarks: bool = False
    is_watch: bool = False
    fails_late: bool = False
    initial_events: bool | None = None

    @classmethod
    def parsed(cls, target: Target, query: Mapping[str, str]) -> ReadOptions:
        """Refuses (400, 422) what the server would not take."""
        is_watch = bool(_flag(query, "watch"))
        # With a name in the path it is a get, whatever the query says.
        is_watch = is_watch and not target.name
        options = cls(
            version=query.get("resourceVersion", ""),
            match=query.get("resourceVersionMatch", ""),
            limit=max(0, _number(query.get("limit", ""))),
            continue_token=query.get("continue", ""),
            timeout_s=_number(query.get("timeoutSeconds", "")) or None,
            bookmarks=bool(_flag(query, "allowWatchBookmarks")),
            is_watch=is_watch,
            fails_late=bool(target.name) or is_watch,
            initial_events=_flag(query, "sendInitialEvents"),
        )
        options._require_sense()
        return options

    @property
    def rv(self) -> int:
        """The version as a number, 0 for none. Refuses what is no number (400, some 500)."""
        # int() would also take signs, spaces and underscores.
        if self.version and not (self.version.isascii() and self.version.isdigit()):
            said = (
                f'resourceVersion: Invalid value: "{self.version}": '
                f'strconv.ParseUint: parsing "{self.version}": invalid syntax'
            )
            if self.fails_late:
                raise refusals.Refusal(500, "", said)
            raise refusals.bad_request(f"invalid resource version: {said}")
        return int(self.version or 0)

    def _require_sense(self) -> None:
        match = self.match
        if self.initial_events is not None:
            if not self.is_watch:
                raise _forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
            if match != NOT_OLDER_THAN:
                raise _initial_events_need_match(match)
        if match and self.is_watch and self.initial_events is None:
            raise _forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
        if match and not self.is_watch:
            self._require_sense_of_list_match()

    def _require_sense_of_list_match(self) -> None:
        field = "resourceVersionMatch"
        if not self.version:
            raise _forbidden(field, f"{field} is forbidden unless resourceVersion is provided")
        if self.continue_token:
            raise _forbidden(field, f"{field} is forbidden when continue is provided")
        if self.match not in (EXACT, NOT_OLDER_THAN):
            said = (
                f'Unsupported value: "{self.match}": supported values: "Exact", "NotOlderThan", ""'
            )
            raise _invalid(cause("FieldValueNotSupported", said, field))
        if self.match == EXACT and self.version == "0":
            raise _forbidden(field, f'{field} "exact" is forbidden for resourceVersion "0"')


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list: the items, the version they are of, and where to go on."""

    rv: int
    items: list[Commit]
    next_token: str = ""
    remaining: int | None = None

    def listed(self, target: Target) -> Json:
        """The list to encode; the objects in it were encoded at their commits."""
        kind, version = target.kind, target.version or target.kind.version
        metadata: dict[str, object] = {"resourceVersion": str(self.rv)}
        if self.next_token or kind.custom:
            metadata["continue"] = self.next_token
        if self.remaining is not None:
            metadata["remainingItemCount"] = self.remaining
        # Items of a built-in kind carry neither apiVersion nor kind.
        cut = 0 if kind.custom else len(kind.head(version))
        opening = b"{" if cut else b""
        encoded = (kind.encoded(commit, version) for commit in self.items)
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version(version),
            "metadata": metadata,
            "items": (msgspec.Raw(opening + item[cut:]) for item in encoded),
        }


def list_page(cache: WatchCache, target: Target, matches: Matches | None, o: ReadOptions) -> Page:
    """The page that `o` asks for. Refuses with 410 where its version is compacted away.

    A version that `cache` has not reached is the caller's to wait for.
    Cost: O(objects in the namespace), with a limit O(objects looked at).
    """
    if o.continue_token:
        if o.version not in ("", "0"):
            raise refusals.bad_request(_NO_VERSION_WITH_TOKEN)
        rv, start = _read_token(o.continue_token, target.prefix)
    else:
        rv, start = _list_version(cache, o), ""
    pinned = rv or cache.store.rv
    try:
        found = cache.store.scan(target.kind.resource, prefix=target.prefix, after=start, at=pinned)
        # The watch cache, which answers for "0", knows no pages: the real one does not cut either.
        limit = 0 if o.version == "0" else o.limit
        return _cut(found, matches, pinned, limit, target.prefix)
    except CompactedError as error:
        if o.continue_token:
            raise refusals.gone(_EXPIRED, continue_token=_token(0, start, target.prefix)) from error
        raise refusals.too_old(error.asked, error.oldest) from error


def required_rv(o: ReadOptions) -> int:
    """The version that the server must have reached before it may answer; 0 for none."""
    return 0 if o.continue_token else o.rv


def watch_plan(
    cache: WatchCache, target: Target, matches: Matches | None, o: ReadOptions, timeout_s: float
) -> WatchPlan:
    """How the watch that `o` asks for begins. A version too old gives an ERROR event, no refusal:
    the answer's code is 200 all the same."""
    wants_list = o.initial_events or (o.initial_events is None and o.rv == 0)
    try:
        if not wants_list:
            cache.store.require_watchable(target.kind.resource, o.rv or cache.rv)
            return WatchPlan(o.rv or cache.rv, timeout_s, bookmarks=o.bookmarks)
        # Without a version the list part must be the newest, whatever this server's cache has.
        at = cache.rv if o.version else cache.store.rv
        start = list(_scoped(cache.store, target, matches, at))
    except CompactedError as error:
        gone = refusals.too_old(error.asked, error.oldest)
        return WatchPlan(0, timeout_s, error=gone.status_object)
    return WatchPlan(
        at,
        timeout_s,
        initial=start,
        # A start over all objects is a watch-list, whether or not it was asked for by name.
        ends_initial=o.bookmarks,
        bookmarks=o.bookmarks,
    )


def scope_selector(target: Target, query: Mapping[str, str]) -> Matches | None:
    """The test for a list or watch; a name in the path is a field selector, too."""
    fields = query.get("fieldSelector", "")
    if target.name:
        fields = ",".join(filter(None, (fields, f"metadata.name={target.name}")))
    return selector(target.kind, query.get("labelSelector", ""), fields)


def _scoped(
    store: ObjectStore, target: Target, matches: Matches | None, at: int
) -> Iterator[Commit]:
    for commit in store.scan(target.kind.resource, prefix=target.prefix, at=at):
        if matches is None or matches(commit.object):
            yield commit


def _list_version(cache: WatchCache, o: ReadOptions) -> int:
    if not o.version:
        return cache.store.rv
    # With a limit, a version without a match is exact: a page must say which version it is of.
    is_exact = o.match == EXACT or (not o.match and o.limit and o.rv)
    return o.rv if is_exact else cache.rv


def _cut(
    found: Iterator[Commit], matches: Matches | None, rv: int, limit: int, prefix: str
) -> Page:
    matching = (c for c in found if matches is None or matches(c.object))
    if not limit:
        return Page(rv, list(matching))
    items = list(islice(matching, limit))
    # A full page goes on to whatever is left, without a look at whether any of it matches.
    remaining = sum(1 for _ in found) if len(items) == limit else 0
    if not remaining:
        return Page(rv, items)
    token = _token(rv, items[-1].key, prefix)
    return Page(rv, items, token, remaining if matches is None else None)


def _token(rv: int, start: str, prefix: str) -> str:
    """The continue token for what comes after the key `start`, which it has without `prefix`."""
    after = f"/{start.removeprefix(prefix)}\0"
    encoded = msgspec.json.encode({"v": _TOKEN_FORM, "rv": rv, "start": after})
    return base64.urlsafe_b64encode(encoded).decode().rstrip("=")


def _read_token(token: str, prefix: str) -> tuple[int, str]:
    try:
        padded = token.encode() + b"=" * (-len(token) % 4)
        if "=" in token:
            raise ValueError("illegal base64 data")
        decoded = base64.b64decode(padded, altchars=b"-_", validate=True)
        read = msgspec.json.decode(decoded, type=dict[str, int | str])
        if read["v"] != _TOKEN_FORM:
            raise ValueError("incorrect version")
        return int(read["rv"]), prefix + str(read["start"]).removeprefix("/").rstrip("\0")
    except (binascii.Error, msgspec.DecodeError, KeyError, ValueError) as error:
        why = f"invalid continue token: continue key is not valid: {error}"
        raise refusals.bad_request(why) from error


def _flag(query: Mapping[str, str], name: str) -> bool | None:
    """A boolean as the server reads it: there, and neither "false" nor "0"; None if not there."""
    text = query.get(name)
    return None if text is None else text.lower() not in ("false", "0")


def _number(text: str) -> int:
    try:
        return int(text or 0)
    except ValueError as error:
        why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise refusals.bad_request(why) from error


def _initial_events_need_match(match: str) -> Refusal:
    field = "resourceVersionMatch"
    needed = f"sendInitialEvents requires setting {field} to {NOT_OLDER_THAN}"
    causes = [cause("FieldValueForbidden", f"Forbidden: {needed}", field)]
    if match:
        said = f'Unsupported value: "{match}": supported values: "{NOT_OLDER_THAN}"'
        causes.append(cause("FieldValueNotSupported", said, field))
    return refusals.invalid("ListOptions", "meta.k8s.io", "", causes)


def _forbidden(field: str, why: str) -> Refusal:
    return _invalid(cause("FieldValueForbidden", f"Forbidden: {why}", field))


def _invalid(found: dict[str, str]) -> Refusal:
    return refusals.invalid("ListOptions", "meta.k8s.io", "", [found])
