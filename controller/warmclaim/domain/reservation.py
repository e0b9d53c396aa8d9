"""Durable create reservations: which members of a pool may exist, known to every leader.

A pool member's name is made from an ordinal, and ordinals are reserved on the pool, by
compare-and-set, before any of them is created. So a create is idempotent by name, and nobody
reserves again before each ordinal of the last batch is known to exist or to be refused. That is
"expectations" that survive a crash and hold between two leaders; the usual in-memory kind allows
over-creation in both cases.

The reservation stands in an annotation, since the CRD's schema must stay that of the API:

    extensions.agents.x-k8s.io/create-reservation: {"first":12,"end":16,"replicas":20}

A sandbox that lost its owner is taken in the same way: by a batch that names it, so that whoever
counts the pool's members counts it too. Such a batch has no ordinals.

A leader that goes on with a batch which it did not reserve raises its turn, by compare-and-set as
well. So there is one at a time that counts by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec

from warmclaim.api.names import name_hash

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_NAME_LENGTH_MAX = 63  # names become label values and host names
_UID_DIGITS = 5  # 24 bits in base 36
_ORDINAL_MAX = 36**6
_TURN_MAX = 2**31  # counts on from 1: a tenant may have written the highest
_TEXT_CHARS_MAX = 512
_VERSIONED = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?@[0-9]{1,20}")

BATCH_MAX = 4096
"""No batch has more ordinals, whatever the settings say. Each look at an unfinished one costs that
many look-ups, so a batch that somebody forged must not be larger than one of ours."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Ordinals [first, end) may have been created, under a target of `replicas`.

    `turn`: how often the batch changed hands. `takes_in`: a batch of no ordinals may take in a
    sandbox that is there, at one version of it: "<name>@<resourceVersion>".
    """

    first: int
    end: int
    replicas: int
    turn: int = 0
    takes_in: str = ""

    @property
    def ordinals(self) -> range:
        return range(self.first, self.end)

    def encode(self) -> str:
        """The annotation's value; equal reservations have equal text."""
        turn = f',"turn":{self.turn}' if self.turn else ""
        orphan = f',"takesIn":"{self.takes_in}"' if self.takes_in else ""
        return f'{{"first":{self.first},"end":{self.end},"replicas":{self.replicas}{turn}{orphan}}}'

    def taken_over(self) -> Reservation:
        """The same batch, in the hands of another leader."""
        return replace(self, turn=self.turn % _TURN_MAX + 1)


class _Stored(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    first: int
    end: int
    replicas: int
    turn: int = 0
    takes_in: str = ""


def parse_reservation(text: str | None) -> Reservation | None:
    """The reservation in an annotation; None where it is absent, odd or out of bounds.

    The annotation is tenant-writable unless a policy forbids it, so nothing in it is believed
    that a batch of ours could not have been.
    """
    if text is None or len(text) > _TEXT_CHARS_MAX:
        return None
    try:
        stored = msgspec.json.decode(text.encode(), type=_Stored)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    is_sane = 0 <= stored.first <= stored.end <= _ORDINAL_MAX and stored.replicas >= 0
    is_bounded = stored.end - stored.first <= BATCH_MAX and 0 <= stored.turn <= _TURN_MAX
    if not is_sane or not is_bounded or not _is_one_kind(stored):
        return None
    return Reservation(stored.first, stored.end, stored.replicas, stored.turn, stored.takes_in)


def _is_one_kind(stored: _Stored) -> bool:
    """A batch has ordinals, or it takes something in, or neither."""
    if not stored.takes_in:
        return True
    return stored.first == stored.end and _VERSIONED.fullmatch(stored.takes_in) is not None


def member_name(pool_name: str, pool_uid: str, ordinal: int) -> str:
    """Name of the pool's member with that ordinal: `<pool, cut>-<pool uid hash><ordinal>`.

    The hash of the uid keeps a pool that was deleted and made again away from its forerunner's
    names. At most 63 characters.
    """
    suffix = _uid_part(pool_uid) + _base36(ordinal)
    return f"{pool_name[: _NAME_LENGTH_MAX - 1 - len(suffix)].rstrip('-.')}-{suffix}"


def ordinal_of(pool_name: str, pool_uid: str, name: str) -> int | None:
    """The inverse of `member_name`; None for a name that this pool never gives."""
    prefix, _, suffix = name.rpartition("-")
    uid_part = _uid_part(pool_uid)
    digits = suffix[len(uid_part) :]
    if not prefix or not suffix.startswith(uid_part) or not 1 <= len(digits) <= 6:
        return None
    if any(digit not in _DIGITS for digit in digits):
        return None
    ordinal = int(digits, 36)
    return ordinal if member_name(pool_name, pool_uid, ordinal) == name else None


def rebuilt(pool_name: str, pool_uid: str, names: Iterable[str], replicas: int) -> Reservation:
    """An empty batch that starts past every ordinal in use: for a pool whose annotation is gone."""
    used = (ordinal_of(pool_name, pool_uid, name) for name in names)
    first = max((ordinal + 1 for ordinal in used if ordinal is not None), default=0)
    return Reservation(first, first, replicas)


@lru_cache(maxsize=1024)
def _uid_part(pool_uid: str) -> str:
    return _base36(int(name_hash(pool_uid)[:6], 16)).rjust(_UID_DIGITS, "0")


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
        if number == 0:
            return digits
