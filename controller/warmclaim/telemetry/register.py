"""Makes families on one registry, with one room for the series that users can make."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from warmclaim.seams import Clock
from warmclaim.telemetry.families import Family, OpenSeries, Sampled

SERIES_MAX = 2_000
"""Of a process, `process_*` not counted: 260 may be `__other__`, 600 are for users' values."""

CLOSED_SERIES_MAX = 1_140
"""What is left for labels from closed sets: some 90 for each controller, and 400."""

OPEN_SERIES_MAX = 400
"""What is counted with users' values. What is not used of it is lent to what is sampled."""

OPEN_ROWS_MAX = 100
"""What each of the two families that are sampled with users' values has in any case."""

_BORROWERS = 2
OPEN_LABELS = frozenset({"namespace", "sandbox_template", "warmpool_name", "pool"})

Names = tuple[str, ...]


class Register:
    """Every metric is made through here. `open_series_max` bounds what is counted with users'
    label values; what is sampled with them is bounded for each family."""

    def __init__(
        self,
        registry: CollectorRegistry,
        clock: Clock | None = None,
        *,
        open_series_max: int = OPEN_SERIES_MAX,
    ) -> None:
        # `_created` series have no counterpart in Go's exposition. (The call has no annotations.)
        cast("Callable[[], None]", disable_created_metrics)()
        ProcessCollector(registry=registry)
        self.registry = registry
        self._room = OpenSeries(open_series_max, clock)

    def total(self, name: str, text: str) -> Counter:
        """A counter without labels."""
        return Counter(name, text, registry=self.registry)

    def counter(self, name: str, text: str, labels: Names) -> Family[Counter]:
        """A family of counters."""
        metric = Counter(name, text, labels, registry=self.registry)
        return Family(metric, labels, open_labels=OPEN_LABELS, room=self._room)

    def gauge(self, name: str, text: str, labels: Names) -> Family[Gauge]:
        """A family of gauges that are set where something changes."""
        metric = Gauge(name, text, labels, registry=self.registry)
        return Family(metric, labels, open_labels=OPEN_LABELS, room=self._room)

    def histogram(
        self, name: str, text: str, labels: Names, buckets: Collection[float]
    ) -> Family[Histogram]:
        """A family of histograms; each child has a series for each bucket, +Inf, count and sum."""
        metric = Histogram(name, text, labels, buckets=tuple(buckets), registry=self.registry)
        each = len(buckets) + 3
        return Family(metric, labels, open_labels=OPEN_LABELS, room=self._room, series_each=each)

    def sampled(self, name: str, text: str, labels: Names, *, is_counter: bool = False) -> Sampled:
        """A family that is asked for at each scrape."""
        family = Sampled(
            name,
            text,
            labels,
            open_labels=OPEN_LABELS,
            rows_max=lambda: OPEN_ROWS_MAX + self._room.left // _BORROWERS,
            is_counter=is_counter,
        )
        self.registry.register(family)
        return family
