"""What a scrape asks for: the state of caches, queues and workers at that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from warmclaim.api.meta import ObjectKey
from warmclaim.runtime.controller import Controller
from warmclaim.telemetry.families import Labels, Rows
from warmclaim.telemetry.manager_metrics import ManagerMetrics
from warmqueue import WarmDirectory

Controllers: TypeAlias = Mapping[str, Controller[ObjectKey]]

TIERS = ("ready", "not_ready", "held", "in_flight")


def sample_controllers(metrics: ManagerMetrics, controllers: Controllers) -> None:
    """Have each scrape ask the controllers, those that are added later too."""

    def of_each(value: Callable[[Controller[ObjectKey]], float]) -> Iterable[tuple[str, float]]:
        return [(name, value(controller)) for name, controller in controllers.items()]

    def of_queues(value: Callable[[Controller[ObjectKey]], float]) -> Callable[[], Rows]:
        return lambda: [((name, name), number) for name, number in of_each(value)]

    metrics.active_workers.read_from(
        lambda: [((name,), n) for name, n in of_each(lambda c: len(c.ages_s()))]
    )
    metrics.workqueue_depth.read_from(lambda: _depths(controllers))
    metrics.workqueue_adds.read_from(of_queues(lambda c: c.queue.core.statistics().added))
    metrics.workqueue_unfinished_s.read_from(of_queues(lambda c: sum(c.ages_s())))
    metrics.workqueue_longest_s.read_from(of_queues(lambda c: max(c.ages_s(), default=0.0)))


def _depths(controllers: Controllers) -> Rows:
    return [
        ((name, name, lane.name.lower()), count)
        for name, controller in controllers.items()
        for lane, count in controller.queue.core.statistics().waiting.items()
    ]


def tier_rows(warm: WarmDirectory) -> list[tuple[Labels, float]]:
    """Entries of each pool by how far they are from a claim. O(pools)."""
    rows: list[tuple[Labels, float]] = []
    for pool in warm.pools():
        counts = warm.statistics(pool)
        for tier in TIERS:
            rows.append(((pool.namespace, pool.name, tier), getattr(counts, tier)))
    return rows
