"""S10: nothing that a tenant may hold for a secret is told on; and nothing of another tenant.

Templates, claims and foreign sandboxes are planted with canaries as they are made: an environment
value, an argument, annotation values. Where an object legitimately carries what its template says,
a canary may stand: in the body of a sandbox or a pod, and only one of the same namespace (else it
is S11). Nowhere else: not in another write of a manager (so in no status, condition message, label
or Event), not in a path, not in a log record of any level as production renders it, not
in the metrics. Tokens of the connection are below the seam at which the simulation begins, and so
not in it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from warmclaim.api.resources import CLAIM, POD, SANDBOX, TEMPLATE
from warmclaim.app import App
from warmclaim.telemetry.exposition import exposition
from warmclaim.telemetry.logs import JsonFormatter
from warmclaim.testing.cluster import Target
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import part, parts
from warmclaim.testing.sim.sim_cluster import SimCluster
from warmclaim.testing.sim.trace import Attribution, is_manager
from warmclaim.testing.sim.wire import Exchange, Report
from warmclaim.testing.store import Commit

HEARD_SHARE: Final = 16
"""Of so many seeds one has its log records and metrics looked through: that has its price."""

_MARK: Final = b"c4nary"
_CANARY: Final = re.compile(rb"c4nary\.(\w+)\.([-a-z0-9]+?)\.end")
_ANNOTATION: Final = "example.com/credentials"
_BODIES: Final = (str(SANDBOX), str(POD))
_FROM_TEMPLATE: Final = frozenset((b"env", b"argument", b"pod"))


def canary(what: str, namespace: str) -> str:
    """The canary of that sort in that namespace. Sorts: env, argument, pod, annotation."""
    return f"{_MARK.decode()}.{what}.{namespace}.end"


class PlantedCluster(SimCluster):
    """Plants canaries into what anybody but a manager creates."""

    def __init__(self, attribution: Attribution, **arguments: Any) -> None:
        self._attribution = attribution
        super().__init__(**arguments)

    def create(self, target: Target, body: Json, *, dry_run: bool = False) -> Commit:
        """As every cluster does."""
        if target.kind.kind in _PLANTED and not is_manager(self._attribution.who):
            body = planted(target.kind.kind, target.namespace, body)
        return super().create(target, body, dry_run=dry_run)


_PLANTED: Final = frozenset((TEMPLATE.kind, CLAIM.kind, SANDBOX.kind))


def planted(kind: str, namespace: str, body: Json) -> Json:
    """A copy of a template's, claim's or sandbox's body with canaries in it."""
    grown = body
    if kind != SANDBOX.kind:  # one without any annotation is patched in another way
        note = {_ANNOTATION: canary("annotation", namespace)}
        grown = {**body, "metadata": _annotated(part(body, "metadata"), note)}
    if kind == CLAIM.kind:
        return grown
    pod: Json = part(body, "spec", "podTemplate")
    secret: Json = {
        "env": [{"name": "TOKEN", "value": canary("env", namespace)}],
        "args": [canary("argument", namespace)],
    }
    containers = [{**container, **secret} for container in parts(pod, "spec", "containers")]
    metadata = _annotated(pod.get("metadata") or {}, {_ANNOTATION: canary("pod", namespace)})
    pod = {**pod, "metadata": metadata, "spec": {**pod["spec"], "containers": containers}}
    return {**grown, "spec": {**body["spec"], "podTemplate": pod}}


def _annotated(metadata: Json, more: dict[str, str]) -> Json:
    return {**metadata, "annotations": {**metadata.get("annotations", {}), **more}}


class Silence:
    """Hears of writes; and of the logs, and reads the metrics, where that is on."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def sent(self, exchange: Exchange) -> None:
        """No write says what it should not."""
        request = exchange.request
        if request.body is not None and _MARK in request.body:
            self._judge_body(exchange, request.body)
        if _MARK in request.path.encode():
            self._report("S10", f"{exchange}: a canary in the path")

    def read_metrics(self, app: App) -> None:
        """No label of a metric may show one. Cost: one scrape."""
        if (found := _CANARY.search(exposition(app.metrics.registry))) is not None:
            self._report("S10", f"{found[0].decode()} in the metrics")

    @contextmanager
    def hearing(self) -> Generator[None]:
        """Inside, every log record is rendered as production renders it and looked through."""
        ear = _Ear(self._report)
        loggers = [logging.getLogger(name) for name in ("warmclaim", "warmqueue")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.addHandler(ear)
            logger.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.removeHandler(ear)
                logger.setLevel(level)

    def _judge_body(self, exchange: Exchange, body: bytes) -> None:
        place = exchange.place
        may_carry = place.resource in _BODIES and exchange.request.method == "POST"
        for sort, namespace in _CANARY.findall(body):
            if not may_carry or sort not in _FROM_TEMPLATE:
                self._report("S10", f"{exchange}: the canary {sort.decode()} is told on")
            elif namespace != place.namespace.encode():
                self._report("S11", f"{exchange}: it carries what is {namespace.decode()}'s")


class _Ear(logging.Handler):
    def __init__(self, report: Report) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("warmclaim.testing"):
            return
        line = self.format(record)
        if _MARK.decode() in line:
            self._report("S10", f"a canary in the log: {line[:300]}")
