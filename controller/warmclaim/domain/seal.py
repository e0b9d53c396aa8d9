"""The seal of a pool's member: who holds the key made it, and nobody changed it since.

Whoever may edit sandboxes can write any owner reference and any label, with the true uid of a pool,
and can edit a true member. Without the key he cannot write the annotation that fits what he made.

Sealed is what a claim would get: the whole spec, as it is stored, and the labels that say which
template it is of. Byte by byte, and not by meaning as staleness is judged: a template and a sandbox
have the same schema, so the API server writes into a member nothing that it had not written into
the template before. A spec that was edited and put back has another generation, which the server
counts and nobody can set; so what a claim has had, whose pod metadata was changed for it, never
passes for a warm member again.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec

from warmclaim.api import names
from warmclaim.api.memo import Memo
from warmclaim.api.sandbox import Sandbox
from warmclaim.errors import SealKeyError

CURRENT, PREVIOUS = "current", "previous"
"""Names of the keys in the Secret."""

KEY_BYTES_MIN, KEY_BYTES_MAX = 32, 1024

UNTOUCHED_GENERATION: Final = 1
"""Of an object whose spec is the one that it was made with."""

_LABELS: Final = (names.LABEL_TEMPLATE_REF, names.LABEL_TEMPLATE_HASH)


@dataclass(frozen=True, slots=True)
class SealKeys:
    """`current` seals; what was sealed with `previous` is accepted, too, where there is one."""

    current: bytes = field(repr=False)
    previous: bytes = field(default=b"", repr=False)


def keys_of(data: Mapping[str, bytes]) -> SealKeys:
    """The keys that a Secret holds. Raises SealKeyError, which says what to change."""
    current, previous = data.get(CURRENT, b""), data.get(PREVIOUS, b"")
    if not current:
        raise SealKeyError(f"has no key {CURRENT!r}: {_WANTED}")
    for name, key in ((CURRENT, current), (PREVIOUS, previous)):
        if key and not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
            raise SealKeyError(f"has {len(key)} bytes under {name!r}: {_WANTED}")
    return SealKeys(current, previous)


_WANTED: Final = f"a key has {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes"


def seal_of(key: bytes, sandbox: Sandbox, pool_uid: str) -> str:
    """The seal of this sandbox as a member of the pool with that uid: 64 hex digits."""
    metadata = sandbox.metadata
    parts = (metadata.namespace, pool_uid, metadata.name, _digest_of(sandbox))
    return hmac.digest(key, "|".join(parts).encode(), "sha256").hex()


def is_sealed(keys: SealKeys, sandbox: Sandbox, pool_uid: str) -> bool:
    """Whether one of the keys sealed it for that pool, and its spec was never changed.

    `make bench` prints what a look costs. Never takes longer for a seal that is nearly right.
    """
    metadata = sandbox.metadata
    seal = metadata.annotations.get(names.ANNOTATION_SEAL, "").encode("utf-8", "replace")
    if not seal or metadata.generation != UNTOUCHED_GENERATION:
        return False
    accepted = (key for key in (keys.current, keys.previous) if key)
    return any(
        hmac.compare_digest(seal_of(key, sandbox, pool_uid).encode(), seal) for key in accepted
    )


def _digest_of(sandbox: Sandbox) -> str:
    """The hash of what is sealed of it; once for all members of a pool that are alike."""
    spec, labels = sandbox.spec, sandbox.metadata.labels
    life = [spec.service, spec.shutdown_time, spec.shutdown_policy, spec.operating_mode]
    made_of = [labels.get(name) for name in _LABELS]
    rest = msgspec.json.encode([life, made_of])
    return _digest(bytes(spec.pod_template), bytes(spec.volume_claim_templates), rest)


def _hashed(pod_template: bytes, volumes: bytes, rest: bytes) -> str:
    """The order of members says nothing: the API server sorts them. What is nested too deeply to be
    read has a hash of its own text."""
    try:
        parts = [msgspec.json.decode(text) for text in (pod_template, volumes, rest)]
        canonical = msgspec.json.encode(parts, order="deterministic")
    except (msgspec.DecodeError, RecursionError):
        canonical = b"\0".join((pod_template, volumes, rest))
    return sha256(canonical).hexdigest()


_digest = Memo(_hashed, entries_max=256, bytes_max=8 * 1024 * 1024)
