"""Who is let in: what is a token, how long a ruling holds, how often the API server is asked."""

from __future__ import annotations

import hashlib

import pytest

from warmclaim.runtime.access import (
    ALLOWED,
    FORBIDDEN,
    NO_ANSWER,
    REMEMBERED_MAX,
    TOO_MANY,
    UNKNOWN,
    ReviewPace,
    Ruling,
    Rulings,
    asked,
    token_of,
)


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (["Bearer abc"], "abc"),
        (["bearer a.b-c_d~e+f/g=="], "a.b-c_d~e+f/g=="),
        (["BEARER   abc  "], "abc"),
        ([], None),
        ([""], None),
        (["Bearer"], None),
        (["Bearer "], None),
        (["Bearer a b"], None),
        (["Bearer a\tb"], None),
        (["Bearer =abc"], None),
        (["Bearer ü"], None),
        (["Bearer a\x00"], None),
        (["Basic abc"], None),
        (["Bearer abc", "Bearer abc"], None),
    ],
)
def test_a_bearer_token_is_one_header_of_token_characters(
    headers: list[str], token: str | None
) -> None:
    assert token_of(headers) == token


def test_what_is_kept_of_a_token_is_its_digest() -> None:
    question = asked("secret-token", "/metrics")
    assert question.digest == hashlib.sha256(b"secret-token").digest()
    assert "secret-token" not in repr(question)


@pytest.mark.parametrize(
    ("ruling", "holds_s"), [(ALLOWED, 60.0), (FORBIDDEN, 10.0), (UNKNOWN, 10.0)]
)
def test_a_ruling_holds_for_its_time(ruling: Ruling, holds_s: float) -> None:
    rulings, question = Rulings(), asked("t", "/metrics")
    rulings.remember(question, ruling, 100.0)
    assert rulings.of(question, 100.0 + holds_s - 0.001) is ruling
    assert rulings.of(question, 100.0 + holds_s) is None


@pytest.mark.parametrize("ruling", [NO_ANSWER, TOO_MANY])
def test_what_was_not_answered_is_asked_again(ruling: Ruling) -> None:
    rulings, question = Rulings(), asked("t", "/metrics")
    rulings.remember(question, ruling, 0.0)
    assert rulings.of(question, 0.0) is None
    assert len(rulings) == 0


def test_a_yes_for_one_path_is_none_for_another() -> None:
    rulings = Rulings()
    rulings.remember(asked("t", "/metrics"), ALLOWED, 0.0)
    assert rulings.of(asked("t", "/get-snapshot"), 0.0) is None
    assert rulings.of(asked("u", "/metrics"), 0.0) is None


def test_rulings_are_bounded_and_who_comes_often_stays() -> None:
    rulings, mine = Rulings(), asked("mine", "/metrics")
    rulings.remember(mine, ALLOWED, 0.0)
    for number in range(3 * REMEMBERED_MAX):
        rulings.remember(asked(str(number), "/metrics"), UNKNOWN, 0.0)
        assert rulings.of(mine, 1.0) is ALLOWED
    assert len(rulings) == REMEMBERED_MAX
    assert rulings.of(asked("0", "/metrics"), 1.0) is None


def test_a_yes_that_is_over_is_remembered_as_one() -> None:
    rulings, question = Rulings(), asked("t", "/metrics")
    assert not rulings.was_allowed(question)
    rulings.remember(question, ALLOWED, 0.0)
    assert rulings.of(question, 60.0) is None
    assert rulings.was_allowed(question)
    rulings.remember(question, UNKNOWN, 60.0)
    assert not rulings.was_allowed(question)


def test_no_second_has_more_than_ten_reviews_nor_more_than_six_of_strangers() -> None:
    pace = ReviewPace()
    moments = [number / 100 for number in range(500)]
    strangers = [now_s for now_s in moments if pace.begin(now_s, is_stranger=True)]
    assert max(_in_a_second(strangers, now_s) for now_s in moments) == 6
    assert len(strangers) == 6 * 5

    pace = ReviewPace()
    both = [
        (now_s, is_stranger)
        for now_s in moments
        for is_stranger in (True, False)
        if pace.begin(now_s, is_stranger=is_stranger)
    ]
    assert max(_in_a_second([now_s for now_s, _ in both], now_s) for now_s in moments) == 10
    assert any(not is_stranger for _, is_stranger in both)


def _in_a_second(moments: list[float], now_s: float) -> int:
    return sum(now_s - 1.0 < moment_s <= now_s for moment_s in moments)
