"""Two versions of the manager stand for one Lease and lead in turns, while claims come.

The older one is the tree of `PREVIOUS`, out of the repository's history. A clone without that much
history has its oldest commit for it, which may be this very tree: then the turns are shown all the
same. What was taken is told at the end of `make e2e`.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from e2e.burst.leaders import LeaseLog, Stage, candidate, is_adoption
from e2e.burst.process import ControllerProcess
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.figures import RunFigures
from tests.bench.figures import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PREVIOUS = "c82f0ae"
"""The last that managers in use were made from."""
MEMBERS = 40
TURNS, TURN_CLAIMS = 5, 50
"""How many leaders there are, and how many claims are made in the time of each."""
CLAIM_EVERY_S = 0.1


def git(*words: str) -> bytes:
    """What it printed. Raises CalledProcessError."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True)
    return done.stdout


def previous() -> str:
    """The commit of the older version."""
    with contextlib.suppress(subprocess.CalledProcessError):
        return git("rev-parse", "--verify", f"{PREVIOUS}^{{commit}}").decode().strip()
    return git("rev-list", "HEAD").decode().split()[-1]


def older_roots(commit: str, folder: Path) -> list[Path]:
    """Its source roots, unpacked into `folder`."""
    folder.mkdir()
    tree = git("archive", "--format=tar", commit, "controller", "queue")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=tree, check=True)
    return [folder / "controller", folder / "queue"]


class Turns:
    """Starts the next version beside the leader, and asks the leader to go, as claims are made.

    Nothing here waits for a process: the claims go on meanwhile.
    """

    def __init__(self, stage: Stage, folder: Path, older: Sequence[Path]) -> None:
        self._stage, self._folder, self._older = stage, folder, older
        self._processes = contextlib.ExitStack()
        self._stopping: list[threading.Thread] = []
        self.running: list[ControllerProcess] = []
        self.endings: list[str] = []

    def begin(self) -> ControllerProcess:
        """The next version, in turn."""
        number = len(self.running)
        roots = self._older if number % 2 == 0 else ()
        folder = self._folder / str(number)
        made = candidate(self._stage.cluster, self._stage.namespace, folder, roots=roots)
        self.running.append(self._processes.enter_context(made))
        return made

    def at(self, number: int) -> None:
        """Before a claim of this number."""
        turn, rest = divmod(number, TURN_CLAIMS)
        if number and not rest:
            self._end(self.running[-2])
        if rest == TURN_CLAIMS // 4 and turn + 1 < TURNS:
            self.begin()

    def close(self) -> None:
        """End the last, and hear how all ended."""
        self._end(self.running[-1])
        for stopping in self._stopping:
            stopping.join()
        self._processes.close()

    def _end(self, leader: ControllerProcess) -> None:
        stopping = threading.Thread(target=lambda: self.endings.extend(leader.stop()))
        self._stopping.append(stopping)
        stopping.start()


def test_two_versions_lead_in_turns_and_every_claim_is_served_once(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, run_figures: RunFigures
) -> None:
    commit = previous()
    stage = Stage(control_plane, namespace, MEMBERS)
    turns = Turns(stage, tmp_path, older_roots(commit, tmp_path / "older"))
    log = LeaseLog(control_plane.session("admin"), stage.lease)
    stop = threading.Event()
    reading = threading.Thread(target=log.run, args=(stop,))
    with contextlib.closing(turns):
        turns.begin().wait_ready()
        stage.wait_leader()
        stage.wait_full()
        mark = control_plane.audit_mark()
        reading.start()
        sandboxes = stage.claims(TURNS * TURN_CLAIMS, CLAIM_EVERY_S, turns.at)
        stop.set()
        reading.join()
    log.api.close()

    assert turns.endings == []
    leaders = [who for _, who in log.holders if who]
    assert len(set(leaders)) == len(leaders) == TURNS
    assert not [one for one in turns.running if "Traceback" in one.log.read_text()]
    assert len(set(sandboxes)) == TURNS * TURN_CLAIMS
    control_plane.audit_settle()
    events = control_plane.audit_events(mark, user=WARMCLAIM)
    adopted_s = sorted(event.received_s for event in events if is_adoption(event))
    pause_s = max(later - sooner for sooner, later in itertools.pairwise(adopted_s))
    note = f"older: {commit[:7]}; {TURNS} turns, claims at 10/s"
    run_figures.add("hand-over", "two versions in turns: longest pause", pause_s, 1.0, "s", note)
