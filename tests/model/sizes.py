"""How hard the state machines try. WARMCLAIM_EXAMPLES=20000 is a night, 20 a quick look."""

import os

from hypothesis import HealthCheck, settings

MACHINE = settings(
    max_examples=int(os.environ.get("WARMCLAIM_EXAMPLES", "500")),
    stateful_step_count=int(os.environ.get("WARMCLAIM_STEPS", "50")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
