"""Metric families that are cheap to count in and bounded in series.

`labels()` of the client library takes a lock and rebuilds its key, a microsecond each time; a
`Family` remembers its children, and folds what would be a series too many into `__other__`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Generic, TypeAlias, TypeVar

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

OTHER = "__other__"
SERIES_MAX = 2_000
LABEL_CHARS_MAX = 253

Labels: TypeAlias = tuple[str, ...]
M = TypeVar("M")


class Family(Generic[M]):
    """The children of one metric by label values; `make` is the metric's own `labels`.

    `open_labels` are those whose values come from users: beyond `children_max`, new
    combinations are counted under `__other__` in these labels.
    """

    def __init__(
        self,
        make: Callable[..., M],
        label_names: Labels,
        *,
        open_labels: Collection[str] = (),
        children_max: int = SERIES_MAX,
    ) -> None:
        self._make = make
        self._children: dict[Labels, M] = {}
        self._is_open = tuple(name in open_labels for name in label_names)
        self._children_max = children_max

    def of(self, *labels: str) -> M:
        """The child with these label values, in the declared order. About 0.1 us once known.

        Raises ValueError for a wrong number of values.
        """
        child = self._children.get(labels)
        return child if child is not None else self._add(labels)

    def _add(self, labels: Labels) -> M:
        if len(self._children) >= self._children_max:
            labels = self._folded(labels)
            if (child := self._children.get(labels)) is not None:
                return child
        child = self._make(*(value[:LABEL_CHARS_MAX] for value in labels))
        self._children[labels] = child
        return child

    def _folded(self, labels: Labels) -> Labels:
        return tuple(
            OTHER if is_open else value
            for value, is_open in zip(labels, self._is_open, strict=True)
        )


Rows: TypeAlias = Iterable[tuple[Labels, float]]


class SampledGauge(Collector):
    """A gauge whose values are asked for at each scrape, from one or more sources.

    Rows with the same labels are added up. A source that fails gives nothing: a gap is honest, a
    half count is not. Cost is that of the sources, in the scrape, not in the hot path.
    """

    def __init__(
        self, name: str, text: str, label_names: Labels, *, series_max: int = SERIES_MAX
    ) -> None:
        self._name = name
        self._text = text
        self._label_names = label_names
        self._series_max = series_max
        self._sources: list[Callable[[], Rows]] = []

    def read_from(self, source: Callable[[], Rows]) -> None:
        """Ask `source` for (label values, value) rows at each scrape."""
        self._sources.append(source)

    def count_from(self, source: Callable[[], Iterable[Labels]]) -> None:
        """Ask `source` for label values at each scrape and export how often each came."""
        self.read_from(lambda: ((labels, 1.0) for labels in source()))

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The family without samples, so that registering asks no source."""
        yield GaugeMetricFamily(self._name, self._text, labels=self._label_names)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The family with what the sources say now."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._label_names)
        totals: dict[Labels, float] = {}
        for source in self._sources:
            try:
                rows = self._added_up(source())
            except Exception:  # the scrape must not fail for one gauge
                continue
            for labels, value in rows.items():
                self._add(totals, labels, value)
        for labels, value in totals.items():
            family.add_metric(labels, value)
        yield family

    def _added_up(self, rows: Rows) -> dict[Labels, float]:
        totals: dict[Labels, float] = {}
        for labels, value in rows:
            self._add(totals, labels, value)
        return totals

    def _add(self, totals: dict[Labels, float], labels: Labels, value: float) -> None:
        if labels not in totals and len(totals) >= self._series_max:
            labels = (OTHER,) * len(self._label_names)
        totals[labels] = totals.get(labels, 0.0) + value
