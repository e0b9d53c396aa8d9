"""Fills a spool as managers would: so many claims over so many nodes, one of them with a tenth."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from warmclaim.archive.spool_files import SpoolFiles
from warmclaim.domain.claim_history import ClaimEnd, ClaimRow
from warmclaim.seams import SystemClock, SystemRng

DAY_US = 24 * 3600 * 1_000_000
BEGAN_US = 1_790_294_400 * 1_000_000
FLUSH_ROWS = 50_000
BUSY_SHARE = 0.1


def claims(count: int, nodes: int) -> Iterator[ClaimRow]:
    """Rows over one day, in the order in which the claims ended."""
    chance = random.Random(1)
    for number in range(count):
        seen_us = BEGAN_US + number * DAY_US // count
        ready_us = seen_us + chance.randrange(8_000, 60_000)
        node = 0 if chance.random() < BUSY_SHARE else chance.randrange(1, nodes)
        pool = number % 20
        yield ClaimRow(
            uid=f"{chance.getrandbits(128):032x}",
            namespace=f"team-{number % 50}",
            name=f"task-{chance.getrandbits(32):08x}",
            pool=f"python-{pool}",
            outcome=ClaimEnd.SERVED,
            template=f"python-{pool % 5}",
            sandbox=f"python-{pool}-{chance.getrandbits(25):05x}",
            node=f"node-{node:04}",
            launch_type="warm" if number % 10 else "cold",
            created_us=seen_us // 1_000_000 * 1_000_000,
            seen_us=seen_us,
            picked_us=seen_us + 900,
            reserved_us=ready_us - 5_000,
            published_us=ready_us,
            ready_us=ready_us,
            deleted_us=ready_us + chance.randrange(600_000_000),
            attempts=1,
            candidates_refused={} if number % 10 else {"not-ready": number % 7},
            pool_waiting=chance.randrange(200),
            best_node_waiting=chance.randrange(1, 5),
            second_node_waiting=chance.randrange(5),
            controller_version="1.0.0",
        )


def main() -> None:
    folder, count, nodes = sys.argv[1:]
    files = SpoolFiles(
        Path(folder), identity="bench", token=lambda: SystemRng().token(10), clock=SystemClock()
    )
    rows = claims(int(count), int(nodes))
    while some := list(islice(rows, FLUSH_ROWS)):
        written, error = files.write(some)
        if written < len(some):
            raise SystemExit(f"the spool took {written} rows of {len(some)}: {error}")
    files.close()


if __name__ == "__main__":
    main()
