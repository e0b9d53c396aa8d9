"""Profiles as data: what is shipped, what is refused and how, what a profile asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmclaim.errors import UsageError
from warmclaim.loadtest.conditions import Quiet, Ready, Timer, Trigger
from warmclaim.loadtest.profile import BYTES_MAX, load, parse, shipped

DEPLOY = "{phase: deploy, members_each: 1}"
TIMED = "name: x\nphases: [{phase: deploy, members_each: 1, until: [%s]}]"

WRONG = {
    "unknown field": (f"name: x\nspeed: 1\nphases: [{DEPLOY}]", "speed: unknown field"),
    "unknown field of a phase": (
        f"name: x\nphases: [{DEPLOY}, {{phase: burst, claims: 1, rate: 5}}]",
        "phases[1].rate: unknown field",
    ),
    "unknown field of a condition": (
        TIMED % "{condition: timer, for_s: 1, unit: s}",
        "phases[0].until[0].unit: unknown field",
    ),
    "unknown phase": ("name: x\nphases: [{phase: rest}]", "phases[0].phase: Invalid value 'rest'"),
    "unknown condition": (
        TIMED % "{condition: moon}",
        "phases[0].until[0].condition: Invalid value 'moon'",
    ),
    "a field is missing": (
        f"name: x\nphases: [{DEPLOY}, {{phase: burst}}]",
        "phases[1]: Object missing required field `claims`",
    ),
    "no number": (
        "name: x\nphases: [{phase: deploy, members_each: many}]",
        "phases[0].members_each: Expected `int`, got `str`",
    ),
    "no claims": (
        f"name: x\nphases: [{DEPLOY}, {{phase: burst, claims: 0}}]",
        "phases[1].claims: Expected `int` >= 1",
    ),
    "no rate": (
        f"name: x\nphases: [{DEPLOY}, {{phase: burst, claims: 1, rate_per_s: 0}}]",
        "phases[1].rate_per_s: Expected `float` > 0.0",
    ),
    "a time that is no number": (
        TIMED % "{condition: timer, for_s: .nan}",
        "phases[0].until[0].for_s: Expected `float` >= 0.0",
    ),
    "endless": (
        TIMED % "{condition: timer, for_s: .inf}",
        "phases[0].until[0].for_s: Expected `float` <= 86400.0",
    ),
    "no phases": ("name: x\nphases: []", "phases: Expected `array` of length >= 1"),
    "a name that is no label": (f"name: A b\nphases: [{DEPLOY}]", "name: Expected `str` matching"),
    "no deploy": ("name: x\nphases: [{phase: delete}]", "phases: exactly one phase is deploy"),
    "two deploys": (f"name: x\nphases: [{DEPLOY}, {DEPLOY}]", "phases: exactly one phase is"),
    "something after the end": (
        f"name: x\nphases: [{DEPLOY}, {{phase: delete}}, {{phase: burst, claims: 1}}]",
        "phases[1]: delete is the last phase",
    ),
    "two of one name": (
        f"name: x\nphases: [{DEPLOY}, {{phase: burst, claims: 1}}, {{phase: burst, claims: 1}}]",
        "phases[2].name: another phase is 'burst' already",
    ),
    "no mapping": ("- 1", "Expected `object`, got `array`"),
    "no YAML": ("{", "not YAML: "),
    "deep": ("[" * 5000, "not YAML: "),
}


@pytest.mark.parametrize(("text", "problem"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_path_first(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text.encode())
    assert str(raised.value).startswith(problem)


def test_a_profile_is_data() -> None:
    profile = parse(
        b"""
name: mine
image: other:1
phases:
  - {phase: deploy, pools: 2, members_each: 3}
  - {phase: sustained, rate_per_s: 5, duration_s: 2, seed: 7}
  - phase: steady-state
    until:
      - {condition: timer, for_s: 120}
      - {condition: trigger, of: pools, timeout_s: 9}
  - {phase: scale, members_each: 1, until: [{condition: ready, of: members}]}
  - {phase: delete}
"""
    )
    assert [phase.title for phase in profile.phases] == [
        *("deploy", "sustained", "steady-state", "scale", "delete")
    ]
    assert profile.pool_names == ["pool-0", "pool-1"]
    assert profile.phases[2].until == (Timer(for_s=120), Trigger(of="pools", timeout_s=9))
    assert profile.phases[3].until == (Ready(of="members"),)
    assert profile.phases[0].until == (Ready(of="members"), Quiet())


def test_all_that_is_shipped_is_there_and_says_what_it_is() -> None:
    asked = {name: load(name) for name in shipped()}
    assert set(asked) == {
        *("tiny", "100-at-50", "300-at-300", "750-at-75", "300-at-once"),
        *("sustained-45", "1000-at-rest", "0-1000-0"),
    }
    assert all(profile.name == name and profile.about for name, profile in asked.items())
    assert asked["750-at-75"].deployed.members_each == 1050
    assert asked["300-at-once"].claims_by_pool() == {"pool-0": 300}
    # 45/s for 60 s: 2,700 expected, and a Poisson process is within 4 standard deviations of it.
    assert abs(asked["sustained-45"].claims_by_pool().total() - 2700) < 4 * 2700**0.5


def test_a_file_is_read_and_its_name_said_when_it_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: mine\nphases: [{DEPLOY}]")
    assert load(str(file)).name == "mine"
    file.write_text("name: mine")
    with pytest.raises(UsageError, match=r"--profile .*mine\.yaml: Object missing"):
        load(str(file))
    file.write_text(f"#{'x' * BYTES_MAX}")
    with pytest.raises(UsageError, match=f"more than {BYTES_MAX} bytes"):
        load(str(file))
    with pytest.raises(UsageError, match="No such file or directory"):
        load(str(tmp_path / "none.yaml"))
    with pytest.raises(UsageError, match="'100-at-5' is no file, and none of: 0-1000-0, 100-at-50"):
        load("100-at-5")
