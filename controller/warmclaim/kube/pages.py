"""A list in JSON, page by page: what can be read of it, and which objects cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from warmclaim.api.meta import Object, ObjectKey
from warmclaim.errors import BrokenListError
from warmclaim.kube import answers
from warmclaim.streaming.json_list import ListDecoder

T = TypeVar("T", bound=Object)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `unreadable` are objects that exist but whose view does not decode
    (None where not even a name could be read): they must not be taken for gone."""

    items: list[T]
    resource_version: str
    continue_token: str
    unreadable: tuple[ObjectKey | None, ...] = ()


class ListMetadata(msgspec.Struct, rename="camel"):
    """The version a list is of, and the token of its next page, "" for none."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Envelope(msgspec.Struct):
    metadata: ListMetadata


def list_metadata(envelope: bytes) -> ListMetadata:
    """What a list says of itself. Raises BrokenListError for one without a version."""
    try:
        metadata = answers.decoder_for(_Envelope).decode(envelope).metadata
    except answers.DECODE_ERRORS as error:
        raise BrokenListError(f"a list without metadata: {error}") from error
    if answers.version_number(metadata.resource_version) is None:
        raise BrokenListError("a list without resourceVersion")
    return metadata


class PageReader(Generic[T]):
    """Takes the pieces of one page as they come; only the views of its objects are kept."""

    def __init__(self, view: type[T]) -> None:
        self._view = view
        self._list = ListDecoder()
        self._items: list[T] = []
        self._unreadable: list[ObjectKey | None] = []
        self._error: BrokenListError | None = None

    def feed(self, piece: bytes) -> None:
        """Never raises: what is wrong with the page is said at its end."""
        if self._error is None:
            try:
                self._take(self._list.feed(piece))
            except BrokenListError as error:
                self._error = error
                self._items.clear()

    def end(self) -> Page[T]:
        """The page. Raises BrokenListError where this is no whole list, or one without version."""
        if self._error is not None:
            raise self._error
        self._take(self._list.end())
        metadata = list_metadata(self._list.envelope)
        unreadable = tuple(self._unreadable)
        return Page(self._items, metadata.resource_version, metadata.continue_, unreadable)

    def _take(self, raw_items: list[bytes]) -> None:
        decoder = answers.decoder_for(self._view)
        for raw in raw_items:
            try:
                item = decoder.decode(raw)
            except answers.DECODE_ERRORS:
                identity = answers.identity_of(raw)
                self._unreadable.append(identity.key if identity else None)
                continue
            if answers.is_sound(item.metadata):
                self._items.append(item)
            else:
                self._unreadable.append(None)
