"""The pod metadata that a sandbox carries in its template, and the patches that change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from warmclaim.api import names
from warmclaim.api.claim import PodMetadata
from warmclaim.api.memo import Memo
from warmclaim.api.sandbox import Sandbox

_PATH: Final = "/spec/podTemplate/metadata"
_KEYS_CHARS_MAX: Final = 200_000


@dataclass(frozen=True, slots=True)
class PodMetadataChange:
    """What is to be set, and what is to be gone, where it is there."""

    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    no_labels: frozenset[str] = frozenset()
    no_annotations: frozenset[str] = frozenset()


class _Metadata(msgspec.Struct, frozen=True):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Template(msgspec.Struct, frozen=True):
    metadata: _Metadata | None = None


class GivenKeys(msgspec.Struct, frozen=True):
    """Keys of labels and of annotations."""

    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()


_decoder = msgspec.json.Decoder(_Template)
_keys = msgspec.json.Decoder(GivenKeys)


def _decode(raw: bytes) -> _Template | None:
    """None for a shape that the schema forbids: an older schema may have let it in."""
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError:
        return None


_decoded = Memo(_decode, entries_max=512, bytes_max=8 * 1024 * 1024)


def is_malformed(sandbox: Sandbox) -> bool:
    """Whether its pod metadata cannot be read, and so not be changed for a claim."""
    return _decoded(bytes(sandbox.spec.pod_template)) is None


def pod_metadata_of(sandbox: Sandbox) -> dict[str, Mapping[str, str]]:
    """Its labels and annotations, under these names; none where they are malformed. Not to be
    changed: sandboxes of one template share it."""
    template = _decoded(bytes(sandbox.spec.pod_template)) or _Template()
    found = template.metadata or _Metadata()
    return {"labels": found.labels or {}, "annotations": found.annotations or {}}


def given_keys(sandbox: Sandbox) -> GivenKeys:
    """The keys of its pod metadata that its claim gave it, as noted on the sandbox; none where the
    note is absent or odd."""
    text = sandbox.metadata.annotations.get(names.ANNOTATION_CLAIM_METADATA, "")
    if not text or len(text) > _KEYS_CHARS_MAX:
        return GivenKeys()
    try:
        return _keys.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return GivenKeys()


def keys_note(extra: PodMetadata) -> str:
    """The note of `given_keys`; "" where the claim gives nothing."""
    if not (extra.labels or extra.annotations):
        return ""
    keys = {"labels": sorted(extra.labels), "annotations": sorted(extra.annotations)}
    return msgspec.json.encode(keys).decode()


def change_operations(sandbox: Sandbox, change: PodMetadataChange) -> list[dict[str, Any]]:
    """JSON Patch operations for what differs from the view; none if nothing does."""
    raw = bytes(sandbox.spec.pod_template)
    template = _decoded(raw)
    if template is None or raw == b"{}":
        return []  # malformed, or no template at all to put it into: no pod comes of either
    metadata = template.metadata
    if metadata is None:
        parts = {"labels": dict(change.labels), "annotations": dict(change.annotations)}
        value = {name: part for name, part in parts.items() if part}
        return [{"op": "add", "path": _PATH, "value": value}] if value else []
    return [
        *_part("labels", metadata.labels, change.labels, change.no_labels),
        *_part("annotations", metadata.annotations, change.annotations, change.no_annotations),
    ]


def _part(
    name: str, found: dict[str, str] | None, wanted: Mapping[str, str], unwanted: frozenset[str]
) -> Iterator[dict[str, Any]]:
    path = f"{_PATH}/{name}"
    if found is None:
        if wanted:
            yield {"op": "add", "path": path, "value": dict(wanted)}
        return
    for key in sorted(unwanted & found.keys() - wanted.keys()):
        yield {"op": "remove", "path": f"{path}/{escaped(key)}"}
    for key, text in wanted.items():
        if found.get(key) != text:
            yield {"op": "add", "path": f"{path}/{escaped(key)}", "value": text}


def escaped(key: str) -> str:
    """A member's name as a part of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")
