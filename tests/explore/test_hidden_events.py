"""No event that is kept from the manager makes it break a promise, or keeps it from the end.

WARMCLAIM_HIDDEN_SCENARIO names the scenario, WARMCLAIM_HIDDEN_EVERY takes every N-th point only.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from warmclaim.api.meta import ObjectKey
from warmclaim.kube.informer import Informer
from warmclaim.testing.explore import hidden_events
from warmclaim.testing.explore.curtains import COUNTS, Explorer, Point

SCENARIO = os.environ.get("WARMCLAIM_HIDDEN_SCENARIO", "small-recreate")
EVERY = int(os.environ.get("WARMCLAIM_HIDDEN_EVERY", "1"))
JOBS = min(2, os.cpu_count() or 1)


@pytest.mark.timeout(900)
def test_every_event_and_every_pair_may_be_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--scenario", SCENARIO, "--every", str(EVERY), "--jobs", str(JOBS))
    code = hidden_events.main(options)
    said = capsys.readouterr()
    assert code == 0, said.err
    explorer = Explorer()
    planned = sum(len(explorer.points(SCENARIO, many)) for many in COUNTS)
    total = next(line for line in said.out.splitlines() if line.startswith("all"))
    assert int(total.split()[1]) == -(-planned // EVERY)


def test_every_kind_that_changes_has_events_to_hide() -> None:
    points = Explorer().points("small-recreate", "one")
    events = Counter(point.watch for point in points)
    assert len(events) >= 4  # claims, pools, sandboxes, pods
    assert len(points) >= 30


def test_what_names_no_point_is_refused() -> None:
    assert str(Point.parsed("small-burst/two/1/4")) == "small-burst/two/1/4"
    for text in ("small-burst/three/1/4", "x/one/1/4", "small-burst/one/1"):
        with pytest.raises(ValueError):  # noqa: PT011 (each has another text)
            Point.parsed(text)


def test_lists_that_are_skipped_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that believes its watch so much that it takes no second list."""
    replace = Informer[Any].replace

    def once(
        self: Informer[Any],
        items: Sequence[Any],
        resource_version: str,
        *,
        unreadable: Sequence[ObjectKey],
        is_reset: bool,
    ) -> None:
        if not self.is_synced:
            replace(self, items, resource_version, unreadable=unreadable, is_reset=is_reset)

    monkeypatch.setattr(Informer, "replace", once)
    explorer = Explorer()
    assert explorer.reference("small-burst").verdict == ""  # only a hidden event shows it
    results = [explorer.run(point) for point in explorer.points("small-burst", "one")]
    assert sum(result.verdict == "stuck" for result in results) >= 3
