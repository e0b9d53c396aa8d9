"""A list in JSON, page by page: what can be read of it, and which objects cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from warmclaim.api.meta import Object, ObjectKey
from warmclaim.kube import answers

T = TypeVar("T", bound=Object)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `unreadable` are objects that exist but whose view does not decode
    (None where not even a name could be read): they must not be taken for gone."""

    items: list[T]
    resource_version: str
    continue_token: str
    unreadable: tuple[ObjectKey | None, ...] = ()


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, Generic[V]):
    metadata: _ListMetadata
    items: list[V] | None = None


def read_page(view: type[T], body: bytes) -> Page[T]:
    """A list in JSON. Raises one of `DECODE_ERRORS` where the list itself makes no sense."""
    decoder: msgspec.json.Decoder[_List[T]] = answers.decoder_for(_List[view])  # type: ignore[valid-type]
    unreadable: list[ObjectKey | None] = []
    try:
        whole = decoder.decode(body)
        metadata, items = whole.metadata, whole.items or []
    except answers.DECODE_ERRORS:
        # Some object, or the list. The second pass costs one more decode, only for such pages.
        raw = answers.decoder_for(_List[msgspec.Raw]).decode(body)
        metadata, items = raw.metadata, _readable(view, raw.items or (), unreadable)
    sound = [item for item in items if answers.is_sound(item.metadata)]
    unreadable += [None] * (len(items) - len(sound))
    if answers.version_number(metadata.resource_version) is None:
        raise ValueError("a list without resourceVersion")
    return Page(sound, metadata.resource_version, metadata.continue_, tuple(unreadable))


def _readable(
    view: type[T], entries: Sequence[msgspec.Raw], unreadable: list[ObjectKey | None]
) -> list[T]:
    items: list[T] = []
    for entry in entries:
        try:
            items.append(answers.decoder_for(view).decode(entry))
        except answers.DECODE_ERRORS:
            identity = answers.identity_of(entry)
            unreadable.append(identity.key if identity else None)
    return items
