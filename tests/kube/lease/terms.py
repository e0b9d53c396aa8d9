"""What tests of a term share."""

import asyncio
from typing import Any

import pytest

from warmclaim.kube.lease import LeadershipLost

FOREIGN: dict[str, Any] = {
    "holderIdentity": "go-manager_1",
    "leaseDurationSeconds": 15,
    "acquireTime": "2026-01-02T03:04:05.000000Z",
    "renewTime": "2026-01-02T03:04:05.000000Z",
    "leaseTransitions": 3,
}


async def lost(task: asyncio.Task[None]) -> LeadershipLost:
    with pytest.raises(LeadershipLost) as caught:
        await task
    return caught.value
