"""Requests by verb and resource, from an audit log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from warmclaim.errors import UsageError
from warmclaim.loadtest.requests import Audit
from warmclaim.loadtest.wire import USER_AGENT

MINE = "mine"


def line(at_s: float, verb: str, resource: str, **more: str) -> str:
    """One event of the log, of the controller unless `more` says otherwise."""
    stamp = datetime.fromtimestamp(at_s, UTC).isoformat()
    plural, _, subresource = resource.partition("/")
    about = {"resource": plural, "subresource": subresource, "namespace": more.get("ns", MINE)}
    event = {
        "auditID": "1",
        "stage": more.get("stage", "ResponseComplete"),
        "user": {"username": more.get("user", "controller")},
        "userAgent": more.get("agent", "manager/1"),
        "verb": verb,
        "requestURI": "/",
        "objectRef": about,
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": stamp,
        "stageTimestamp": stamp,
    }
    return json.dumps(event) + "\n"


async def test_requests_are_counted_by_phase_and_kind(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(line(10, "create", "pods"))
    audit = Audit(log, "")
    with log.open("a") as file:
        file.write(line(11, "patch", "sandboxes"))
        file.write(line(12, "patch", "sandboxclaims/status"))
        file.write(line(12.5, "patch", "sandboxes", ns="another"))
        file.write(line(12.6, "list", "nodes", ns=""))
        file.write(line(12.7, "watch", "pods", stage="ResponseStarted"))
        file.write(line(12.8, "create", "sandboxclaims", user="admin", agent=f"{USER_AGENT}/1"))
        file.write(line(12.9, "patch", "pods/status", user="system:node:a"))
        gc = "system:serviceaccount:kube-system:generic-garbage-collector"
        file.write(line(12.9, "delete", "pods", user=gc))
        file.write(line(12.9, "create", "pods", user="system:serviceaccount:agents:controller"))
        file.write(line(13, "patch", "sandboxes"))
        file.write('{"half')
    assert await audit.counted(MINE, [(11, 12), (12, 13), (20, 30)]) == [
        {"patch sandboxes": 1},
        {"patch sandboxclaims/status": 1, "list nodes": 1, "create pods": 1},
        {},
    ]
    assert await Audit(log, "").counted(MINE, [(0, 99)]) == [{}]


async def test_one_user_can_be_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.touch()
    audit = Audit(log, "system:sa:a")
    log.write_text(line(1, "get", "pods", user="system:sa:a") + line(1, "get", "pods"))
    assert await audit.counted(MINE, [(0, 2)]) == [{"get pods": 1}]


async def test_what_is_no_audit_log_is_the_users_to_change(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--audit-log .*none: No such file"):
        Audit(tmp_path / "none", "")
    log = tmp_path / "other.log"
    log.touch()
    for text in ("not JSON\n", "{}\n", "[1]\n"):
        audit = Audit(log, "")
        log.write_text(text)
        with pytest.raises(UsageError, match="no audit log of level Metadata or more"):
            await audit.counted(MINE, [(0, 1)])
        log.write_text("")
