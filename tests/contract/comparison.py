"""What two servers said to the same requests, made comparable.

Uids, generated names, times and versions differ from server to server and mean the same: a uid
becomes its number in order of appearance, the version of an object its rank among all that were
seen, a time just a time. Versions of lists and bookmarks are left out: other parts of a real
cluster write, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contract.differences import causes_of, without_explained
from tests.contract.runner import Said

from warmclaim.testing.json_values import Json, is_array, is_object

_TIMES = frozenset({"creationTimestamp", "deletionTimestamp"})


def comparable(said: list[Said], namespace: str) -> list[Json]:
    """One record per answer or event, equal for two servers that behave alike."""
    bodies = [one.body for one in said]
    words = _words(bodies, namespace)
    ranks = _ranks(bodies)
    records = [
        {"about": one.about, "code": one.code, "body": _masked_body(one.body, words, ranks)}
        for one in said
    ]
    return _with_groups_sorted(said, records)


def first_difference(a: list[Json], b: list[Json]) -> str:
    """The first record that differs, in both forms; "" where none does."""
    for number, (one, other) in enumerate(zip(a, b, strict=False), 1):
        if one != other:
            return f"answer {number}, {one['about']}:\n  {one}\n  {other}"
    return "" if len(a) == len(b) else f"{len(a)} answers and {len(b)}"


def _words(bodies: list[Json], namespace: str) -> dict[str, str]:
    """Text to what stands for it: uids, generated names, the namespace."""
    words = {namespace: "{ns}"}
    for metadata in _all_metadata(bodies):
        if (uid := metadata.get("uid")) and uid not in words:
            words[uid] = f"<uid {len(words)}>"
        name = str(metadata.get("name", ""))
        if metadata.get("generateName") and name not in words:
            words[name] = f"<name {len(words)}>"
    return words


def _ranks(bodies: list[Json]) -> dict[str, str]:
    versions = (m.get("resourceVersion") for m in _all_metadata(bodies) if "uid" in m)
    seen = {int(version) for version in versions if version}
    return {str(rv): f"<version {rank}>" for rank, rv in enumerate(sorted(seen))}


def _all_metadata(value: Any) -> Iterator[Json]:
    if is_array(value):
        for item in value:
            yield from _all_metadata(item)
    elif is_object(value):
        metadata = value.get("metadata")
        if is_object(metadata):
            yield metadata
        if is_array(value.get("items")):
            yield from _all_metadata(value["items"])


def _masked_body(body: Json, words: dict[str, str], ranks: dict[str, str]) -> Json:
    kept = without_explained(body)
    if kept.get("kind") == "Status" and is_object(details := kept.get("details")):
        kept["details"] = {**details, "causes": causes_of(body)}
    if kept.get("kind") == "APIResourceList":
        kept["resources"] = sorted(kept["resources"], key=lambda resource: str(resource["name"]))
    masked: Json = _masked(kept, words, ranks)
    return masked


def _masked(value: Any, words: dict[str, str], ranks: dict[str, str]) -> Any:
    if is_object(value):
        return {
            _masked(name, words, ranks): _masked_member(name, member, words, ranks)
            for name, member in value.items()
            # Without a uid it is the version of a list or of a bookmark.
            if not (name == "resourceVersion" and "uid" not in value)
        }
    if is_array(value):
        return [_masked(item, words, ranks) for item in value]
    if isinstance(value, str):
        for text, word in words.items():
            value = value.replace(text, word) if text in value else value
    return value


def _masked_member(name: str, value: Any, words: dict[str, str], ranks: dict[str, str]) -> Any:
    if name in _TIMES:
        return "<time>"
    if name == "resourceVersion":
        return ranks.get(value, value)
    if name == "continue" and value:
        return "<token>"
    return _masked(value, words, ranks)


def _with_groups_sorted(said: list[Said], records: list[Json]) -> list[Json]:
    """Neighbours that came in no order, in order of name."""
    result: list[Json] = []
    group: list[Json] = []
    for one, record in zip(said, records, strict=True):
        if one.ordered:
            result += sorted(group, key=_name)
            group = []
            result.append(record)
        else:
            group.append(record)
    return result + sorted(group, key=_name)


def _name(record: Json) -> str:
    return str(record["body"].get("metadata", {}).get("name", ""))
