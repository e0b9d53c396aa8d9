"""Asks an archive, on one core: python scanning.py TARGET UID NODE

It prints one JSON object: milliseconds, the best of three, of a query over all rows, over one
node's rows, and for one claim.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

import duckdb

QUERIES = {
    "all": "select pool, quantile_cont(ready_us - seen_us, 0.99), count(*) from {rows} group by 1",
    "node": "select pool, max(ready_us - seen_us) from {rows} where node = '{node}' group by 1",
    "claim": "select * from {rows} where uid = '{uid}'",
}
TRIES = 3


def main() -> None:
    target, uid, node = sys.argv[1:]
    rows = f"read_parquet('{target}/**/*.parquet', hive_partitioning=true)"
    took_ms: dict[str, float] = {}
    with duckdb.connect(config={"threads": 1}) as database:
        for name, query in QUERIES.items():
            text = query.format(rows=rows, uid=uid, node=node)
            for _ in range(TRIES):
                began = perf_counter()
                if not database.execute(text).fetchall():
                    raise SystemExit(f"nothing found for {name}")
                took = (perf_counter() - began) * 1e3
                took_ms[name] = min(took, took_ms.get(name, took))
    print(json.dumps(took_ms))


if __name__ == "__main__":
    main()
