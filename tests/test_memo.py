"""Answers are kept for what is asked again, in bounded memory."""

from __future__ import annotations

import msgspec
import pytest

from warmclaim.api.memo import ENTRY_BYTES, Memo
from warmclaim.api.meta import shared_raw
from warmclaim.domain.quantity import quantity


class Counting:
    """A function of two arguments that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, text: bytes, flag: bool | None) -> bytes:
        self.calls += 1
        if text == b"bad":
            raise ValueError(text)
        return text + str(flag).encode()


def test_equal_arguments_are_asked_once() -> None:
    function = Counting()
    memo = Memo(function, entries_max=10, bytes_max=10_000)
    assert memo(b"a", None) is memo(b"a", None)
    assert memo(b"a", True) == b"aTrue"
    assert function.calls == 2


def test_the_number_is_bounded_and_what_is_asked_again_stays() -> None:
    function = Counting()
    memo = Memo(function, entries_max=3, bytes_max=100_000)
    for number in range(100):
        memo(b"often", None)
        memo(b"%d" % number, None)
        assert len(memo) <= 3
    assert function.calls == 101


def test_the_bytes_are_bounded() -> None:
    """What a tenant writes must not stay when its objects are gone."""
    memo = Memo(Counting(), entries_max=1_000, bytes_max=10_000)
    small = memo(b"small", None)
    for number in range(100):
        memo(b"%d" % number + b"x" * 4_000, None)
        assert memo.bytes_kept <= 10_000
    assert len(memo) == 2
    assert memo(b"small", None) is not small


def test_what_fits_nowhere_is_answered_and_not_kept() -> None:
    memo = Memo(Counting(), entries_max=10, bytes_max=2 * ENTRY_BYTES)
    assert memo(b"x" * ENTRY_BYTES * 2, None).startswith(b"xxx")
    assert (len(memo), memo.bytes_kept) == (0, 0)


def test_what_raises_is_not_kept() -> None:
    memo = Memo(Counting(), entries_max=10, bytes_max=10_000)
    with pytest.raises(ValueError, match="bad"):
        memo(b"bad", None)
    assert (len(memo), memo.bytes_kept) == (0, 0)


def test_equal_blobs_become_one() -> None:
    first = shared_raw(msgspec.Raw(b'{"a":1}'))
    assert shared_raw(msgspec.Raw(b'{"a":' + b"1}")) is first


def test_a_text_of_a_megabyte_is_no_quantity_and_is_not_remembered() -> None:
    assert quantity("1" * 1_000_000) is None
    assert quantity("0" * 40 + "." + "0" * 40 + "e-999") == 0
