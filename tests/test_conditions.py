"""The upsert rule of conditions, and what of another hand's conditions is kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.views import NOW, a_claim, a_condition, a_sandbox

from warmclaim.api.conditions import FINISHED, Condition, is_admitted, upsert
from warmclaim.api.sandbox import SandboxStatus
from warmclaim.domain.claim_status import mirrored_status

READY = a_condition()
FOREIGN = a_condition(type="x.example/Checked", reason="By:me,too_")
UNSOUND: list[dict[str, Any]] = [
    {"type": ""},
    {"type": "x y"},
    {"type": "X.example/T"},
    {"type": "t" * 317},
    {"reason": ""},
    {"reason": "no reason!"},
    {"reason": "r" * 1_025},
    {"message": "m" * 32_769},
    {"last_transition_time": ""},
    {"last_transition_time": "then"},
    {"observed_generation": -1},
]


def test_the_time_moves_with_the_status_only() -> None:
    (kept,) = upsert([READY], a_condition(reason="Other", last_transition_time=""), now=NOW)
    assert (kept.reason, kept.last_transition_time) == ("Other", READY.last_transition_time)
    (moved,) = upsert([READY], a_condition("False", last_transition_time=""), now=NOW)
    assert moved.last_transition_time == NOW
    (brought,) = upsert([READY], a_condition("False"), now=NOW)
    assert brought.last_transition_time == READY.last_transition_time


def test_conditions_of_others_are_kept_in_their_place() -> None:
    assert upsert([FOREIGN, READY], READY, now=NOW) == (FOREIGN, READY)


@pytest.mark.parametrize("fields", UNSOUND, ids=str)
def test_what_no_schema_admits_is_left_out(fields: dict[str, Any]) -> None:
    odd = a_condition(**{"type": "x.example/Odd", **fields})
    assert not is_admitted(odd)
    assert upsert([odd, FOREIGN], READY, now=NOW) == (FOREIGN, READY)


def test_a_status_of_no_word_is_left_out() -> None:
    odd = Condition("x.example/Odd", "Perhaps", "R", "", NOW)
    assert upsert([odd], READY, now=NOW) == (READY,)


def test_an_odd_time_of_the_same_type_does_not_live_on() -> None:
    odd = a_condition(last_transition_time="then")
    (fresh,) = upsert([odd], a_condition(last_transition_time=""), now=NOW)
    assert fresh.last_transition_time == NOW


@pytest.mark.parametrize("type_", ["Ready", FINISHED])
def test_a_claim_shows_no_condition_of_its_sandbox_that_no_schema_admits(type_: str) -> None:
    odd = SandboxStatus(conditions=(a_condition(type=type_, reason="no reason!"),))
    sandbox = msgspec.structs.replace(a_sandbox(owner=a_claim()), status=odd)
    (ready,) = mirrored_status(a_claim(), sandbox, NOW).conditions
    assert (ready.type, ready.reason) == ("Ready", "SandboxNotReady")
