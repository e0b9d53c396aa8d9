"""The whole manager in a simulated cluster: seeds, replay, known failures.

WARMCLAIM_SIM_SEEDS sets how many seeds are run, WARMCLAIM_SIM_FIRST the first of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from warmclaim.testing.sim.campaign import SeedResult, Summary, run_seeds
from warmclaim.testing.sim.case import Action, Case, Fault, Regression, encoded, read_regression
from warmclaim.testing.sim.judge import Breach
from warmclaim.testing.sim.shrink import Shrinker
from warmclaim.testing.sim.simulation import Outcome, drawn_case, run_case

SEEDS = int(os.environ.get("WARMCLAIM_SIM_SEEDS", "1500"))
FIRST = int(os.environ.get("WARMCLAIM_SIM_FIRST", "0"))
JOBS = min(2, os.cpu_count() or 1)
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.json"))
TRACED_SEEDS = (1, 4, 6)  # one manager, an elected one, two at once


@pytest.mark.timeout(60 + 2 * SEEDS)
def test_every_promise_holds_under_every_seed() -> None:
    failures: dict[int, str] = {}

    def tell(result: SeedResult, _: Summary) -> None:
        if result.failure:
            failures[result.seed] = result.failure

    seeds = range(FIRST, FIRST + SEEDS)
    summary = run_seeds(seeds, jobs=JOBS, on_result=tell)
    assert failures == {}
    assert summary.seeds == SEEDS
    if SEEDS >= 50:  # fewer may be thin, or miss a class of faults, by chance
        assert not summary.thin()
        assert summary.missing() == []


def _replays() -> list[object]:
    parameters: list[object] = []
    for path in REGRESSIONS:
        reason = read_regression(path.read_bytes()).open
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        parameters.append(pytest.param(path, id=path.stem, marks=marks))
    return parameters


@pytest.mark.parametrize("path", _replays())
def test_what_failed_once_holds(path: Path) -> None:
    breach = run_case(read_regression(path.read_bytes()).case).breach
    assert breach is None, str(breach)


@pytest.mark.parametrize("seed", TRACED_SEEDS)
def test_a_seed_twice_in_a_row_gives_the_same_trace(seed: int) -> None:
    assert run_case(drawn_case(seed)).digest == run_case(drawn_case(seed)).digest


_PRINT_DIGESTS = """
import sys
from warmclaim.testing.sim.simulation import drawn_case, run_case
print(*(run_case(drawn_case(int(seed))).digest for seed in sys.argv[1:]))
"""


def test_hash_seeds_do_not_matter() -> None:
    command = [sys.executable, "-c", _PRINT_DIGESTS, *map(str, TRACED_SEEDS)]
    processes = [
        subprocess.Popen(
            command,
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("0", "1", "4711")
    ]
    answers = [process.communicate(timeout=50)[0].split() for process in processes]
    assert len(answers[0]) == len(TRACED_SEEDS)
    assert answers[0] == answers[1] == answers[2]


def test_the_drawn_faults_replay_from_their_schedule() -> None:
    drawn = run_case(drawn_case(1))
    replayed = run_case(msgspec.structs.replace(drawn.case, faults=drawn.struck))
    assert replayed.digest == drawn.digest


def test_a_regression_file_says_all_that_a_run_needs() -> None:
    regression = Regression("S2: something", drawn_case(3), open="not mended yet")
    assert read_regression(encoded(regression)) == regression


def _fails_with(*needed: str) -> Shrinker:
    """A shrinker of runs that fail where all these are in it: actions or faults, by name."""

    def run(case: Case) -> Outcome:
        names = {action.do for action in case.actions}
        names |= {fault.name for fault in (case.faults or {}).values()}
        breach = Breach("S9", "planted") if names.issuperset(needed) else None
        return Outcome(case, breach)

    return Shrinker("S9", run=run)


def test_a_failing_run_shrinks_to_what_makes_it_fail() -> None:
    options = drawn_case(0).options
    actions = tuple(Action(float(n), f"act-{n}") for n in range(40))
    struck = {f"request {n}": Fault(f"A{n}.x", 0.5) for n in range(70)}
    outcome = Outcome(Case(options, actions), Breach("S9", "planted"), struck=struck)
    shrunk = _fails_with("act-7", "act-31", "A3.x", "A66.x").shrink(outcome)
    assert [action.do for action in shrunk.actions] == ["act-7", "act-31"]
    assert [fault.name for fault in (shrunk.faults or {}).values()] == ["A3.x", "A66.x"]


def test_a_run_that_does_not_fail_again_is_left_as_it_was() -> None:
    outcome = Outcome(drawn_case(0), Breach("S9", "planted"))
    assert _fails_with("nothing of the kind").shrink(outcome) == outcome.case
