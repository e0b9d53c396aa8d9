"""Metric families that are cheap to count in and bounded in series.

`labels()` of the client library takes a lock and rebuilds its key, a microsecond each time; a
`Family` remembers its children, and folds what would be a series too many into `__other__`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from warmclaim.seams import Clock, SystemClock

OTHER = "__other__"
LABEL_CHARS_MAX = 253

ROUND_S = 60.0
IDLE_ROUNDS = 60
"""A series gives way when nothing was counted in it for that many rounds of want: an hour or more,
so what a load test left can still be read when its objects are gone."""

Labels: TypeAlias = tuple[str, ...]
M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class Metric(Protocol[M_co]):
    """A metric of the client library: its children by label values."""

    def labels(self, *values: Any) -> M_co: ...
    def remove(self, *values: Any) -> None: ...


class OpenSeries:
    """Room for series whose label values come from users, shared by all families that count them.

    When there is no room, what was not counted in for `IDLE_ROUNDS` rounds gives way. A round is a
    minute, and begins only when room is wanted: without want nothing is ever dropped. So series of
    namespaces and pools that are gone leave when others need their place.
    """

    def __init__(self, series_max: float, clock: Clock | None = None) -> None:
        self.round = 0
        self._left = series_max
        self._clock = clock or SystemClock()
        self._round_began_s = self._clock.monotonic()
        self._families: list[Callable[[int], int]] = []

    @property
    def left(self) -> float:
        """How many more may be taken now."""
        return self._left

    def shared_by(self, drop_idle: Callable[[int], int]) -> None:
        """`drop_idle(round)` drops what was last counted in before it; returns the series freed."""
        self._families.append(drop_idle)

    def take(self, series: int) -> bool:
        """Whether there is room for so many more; then it is taken. O(1), and once a minute of want
        O(children)."""
        if self._left < series:
            self._begin_round()
        if self._left < series:
            return False
        self._left -= series
        return True

    def _begin_round(self) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._round_began_s < ROUND_S:
            return
        self.round, self._round_began_s = self.round + 1, now_s
        self._left += sum(drop(self.round - IDLE_ROUNDS) for drop in self._families)


class _Child(Generic[M]):
    """One child and the last round in which it was counted in."""

    __slots__ = ("metric", "round")

    def __init__(self, metric: M, round_: int) -> None:
        self.metric = metric
        self.round = round_


class Family(Generic[M]):
    """The children of one metric by label values.

    `open_labels` are those whose values come from users: without room for a new combination it is
    counted under `__other__` in these labels. `series_each`: what one child exports.
    """

    def __init__(
        self,
        metric: Metric[M],
        label_names: Labels,
        *,
        open_labels: Collection[str] = (),
        room: OpenSeries,
        series_each: int = 1,
    ) -> None:
        self._metric = metric
        self._children: dict[Labels, _Child[M]] = {}
        self._is_open = tuple(name in open_labels for name in label_names)
        self._has_open = any(self._is_open)
        self._room = room
        self._series_each = series_each
        if self._has_open:
            room.shared_by(self._drop_idle)

    def of(self, *labels: str) -> M:
        """The child with these label values, in the declared order; not to be kept where values
        come from users. About 0.3 us once known, 4 us where it is folded.

        Raises ValueError for a wrong number of values.
        """
        child = self._children.get(labels)
        if child is None:
            child = self._add(labels)
        child.round = self._room.round
        return child.metric

    def _add(self, labels: Labels) -> _Child[M]:
        if self._has_open and not self._room.take(self._series_each):
            # Not taken from the room: as many as the closed labels have combinations.
            labels = self._folded(labels)
            if (child := self._children.get(labels)) is not None:
                return child
        metric = self._metric.labels(*_cut(labels))
        child = self._children[labels] = _Child(metric, self._room.round)
        return child

    def _folded(self, labels: Labels) -> Labels:
        return folded(labels, self._is_open)

    def _drop_idle(self, before_round: int) -> int:
        idle = [
            labels
            for labels, child in self._children.items()
            if child.round < before_round and labels != self._folded(labels)
        ]
        for labels in idle:
            del self._children[labels]
            self._metric.remove(*_cut(labels))
        return len(idle) * self._series_each


def folded(labels: Labels, is_open: tuple[bool, ...]) -> Labels:
    """`labels` with `__other__` for those that are open. Raises ValueError for a wrong number."""
    return tuple(
        OTHER if of_users else value for value, of_users in zip(labels, is_open, strict=True)
    )


def _cut(labels: Labels) -> Iterable[str]:
    return (value[:LABEL_CHARS_MAX] for value in labels)


Rows: TypeAlias = Iterable[tuple[Labels, float]]


class Sampled(Collector):
    """A family whose values are asked for at each scrape, from one or more sources.

    Rows with the same labels are added up; beyond `rows_max()` combinations, further ones are
    folded as in a `Family`. A source that fails gives nothing: a gap is honest, a half count is
    not. Cost is that of the sources, in the scrape, not in the hot path.
    """

    def __init__(
        self,
        name: str,
        text: str,
        label_names: Labels,
        *,
        open_labels: Collection[str] = (),
        rows_max: Callable[[], float],
        is_counter: bool = False,
    ) -> None:
        self._name = name
        self._text = text
        self._label_names = label_names
        self._is_open = tuple(name in open_labels for name in label_names)
        self._rows_max = rows_max
        self._is_counter = is_counter
        self._sources: list[Callable[[], Rows]] = []

    def read_from(self, source: Callable[[], Rows]) -> None:
        """Ask `source` for (label values, value) rows at each scrape."""
        self._sources.append(source)

    def count_from(self, source: Callable[[], Iterable[Labels]]) -> None:
        """Ask `source` for label values at each scrape and export how often each came."""
        self.read_from(lambda: ((labels, 1.0) for labels in source()))

    def describe(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """The family without samples, so that registering asks no source."""
        yield self._family()

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """The family with what the sources say now."""
        family = self._family()
        totals: dict[Labels, float] = {}
        rows_max = self._rows_max()
        for source in self._sources:
            try:
                rows = self._added_up(source(), rows_max)
            except Exception:  # the scrape must not fail for one family
                continue
            for labels, value in rows.items():
                self._add(totals, labels, value, rows_max)
        for labels, value in totals.items():
            family.add_metric(list(_cut(labels)), value)
        yield family

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if self._is_counter else GaugeMetricFamily
        return kind(self._name, self._text, labels=self._label_names)

    def _added_up(self, rows: Rows, rows_max: float) -> dict[Labels, float]:
        totals: dict[Labels, float] = {}
        for labels, value in rows:
            self._add(totals, labels, value, rows_max)
        return totals

    def _add(
        self, totals: dict[Labels, float], labels: Labels, value: float, rows_max: float
    ) -> None:
        if labels not in totals and len(totals) >= rows_max:
            labels = folded(labels, self._is_open)
        totals[labels] = totals.get(labels, 0.0) + value
