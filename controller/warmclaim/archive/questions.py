"""The ready-made questions to the claim history: views in SQL, over one table `claims`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from warmclaim.domain.claim_history import ClaimRow

CLAIMS: Final = "claims"
CLAIMS_MEANING: Final = "each claim that is gone: its times, counts, sandbox, end and latency_ms"


@dataclass(frozen=True, slots=True)
class Question:
    """A view: its name, what it tells in one line, and how."""

    name: str
    meaning: str
    sql: str


_TIMES: Final = tuple(name for name in ClaimRow.__struct_fields__ if name.endswith("_us"))

_US_MAX: Final = 253_402_300_800_000_000
"""The end of the year 9999. One row with a time beyond it must not spoil every answer."""


def _timestamp(name: str) -> str:
    """A column of microseconds as a time; NULL for one that no calendar has."""
    is_one = f"{name} >= 0 AND {name} < {_US_MAX}"
    return f"CASE WHEN {is_one} THEN make_timestamp({name}) END AS {name.removesuffix('_us')}"


CLAIMS_SQL: Final = f"""
    SELECT
        * EXCLUDE ({", ".join(_TIMES)}, date),
        {", ".join(map(_timestamp, _TIMES))},
        try(ready_us - seen_us) / 1000.0 AS latency_ms,
        date
    FROM (SELECT * FROM spooled UNION ALL SELECT * FROM archived)
"""
"""Times in UTC. `latency_ms`: from the first sight of the claim to its Ready."""

QUESTIONS: Final = (
    Question(
        "latency",
        "milliseconds from the first sight of a claim to its Ready, by hour and pool",
        """
        SELECT
            date_trunc('hour', ready) AS hour,
            namespace,
            pool,
            count(*) AS claims,
            round(quantile_cont(latency_ms, 0.5), 1) AS p50_ms,
            round(quantile_cont(latency_ms, 0.9), 1) AS p90_ms,
            round(quantile_cont(latency_ms, 0.99), 1) AS p99_ms,
            round(max(latency_ms), 1) AS max_ms
        FROM claims
        WHERE latency_ms IS NOT NULL
        GROUP BY ALL
        ORDER BY hour, namespace, pool
        """,
    ),
    Question(
        "warm_share",
        "how many of the served claims got a warm sandbox, by day and pool",
        """
        SELECT
            date,
            namespace,
            pool,
            count(*) AS served,
            count(*) FILTER (launch_type = 'warm') AS warm,
            round(warm / served, 4) AS share
        FROM claims
        WHERE outcome = 'served' AND launch_type <> ''
        GROUP BY ALL
        ORDER BY date, namespace, pool
        """,
    ),
    Question(
        "refusals",
        "why claims were not served, and why candidates were not handed out",
        """
        SELECT what, reason, namespace, pool, sum(times)::BIGINT AS times, max(deleted) AS last
        FROM (
            SELECT
                'claim ' || outcome AS what,
                if(reason = '', 'nothing was said', reason) AS reason,
                namespace, pool, 1 AS times, deleted
            FROM claims
            WHERE outcome <> 'served'
            UNION ALL
            SELECT 'candidate', refused.key, namespace, pool, refused.value, deleted
            FROM (
                SELECT unnest(map_entries(candidates_refused)) AS refused, namespace, pool, deleted
                FROM claims
            )
        )
        GROUP BY ALL
        ORDER BY times DESC, what, reason, namespace, pool
        """,
    ),
    Question(
        "slowest",
        "the 20 claims that took longest, and in which stage: pick, reserve, publish",
        """
        SELECT
            namespace, name, pool, launch_type,
            round(latency_ms, 1) AS latency_ms,
            round(date_diff('microsecond', seen, picked) / 1000.0, 1) AS pick_ms,
            round(date_diff('microsecond', picked, reserved) / 1000.0, 1) AS reserve_ms,
            round(date_diff('microsecond', reserved, published) / 1000.0, 1) AS publish_ms,
            attempts, conflicts, pool_waiting, node, ready
        FROM claims
        WHERE latency_ms IS NOT NULL
        ORDER BY latency_ms DESC, ready, name
        LIMIT 20
        """,
    ),
    Question(
        "node_spread",
        "from how many nodes a pool's warm sandboxes were taken; lead: of the fullest at the pick",
        """
        SELECT
            namespace,
            pool,
            count(*) AS nodes,
            sum(claims)::BIGINT AS claims,
            max(claims) AS most_from_one,
            min(claims) AS least_from_one,
            round(sum(lead) / sum(claims), 2) AS mean_lead
        FROM (
            SELECT
                namespace, pool, node,
                count(*) AS claims,
                sum(best_node_waiting - second_node_waiting) AS lead
            FROM claims
            WHERE launch_type = 'warm' AND node <> ''
            GROUP BY ALL
        )
        GROUP BY ALL
        ORDER BY namespace, pool
        """,
    ),
)
