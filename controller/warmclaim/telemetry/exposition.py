"""What a scrape of /metrics gets: the text format, with numbers as Go writes them."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Python writes the bucket bound 1000 as "1000.0", Go as "1000"; queries written for the Go
# controller, such as le="1000", must go on matching.
_WHOLE_BOUND = re.compile(rb'(?<=[{,]le=")(\d+)\.0(?=")')


def exposition(registry: CollectorRegistry) -> bytes:
    """The registry as text. Runs every sampled gauge: cost O(series + what the sources count)."""
    return _WHOLE_BOUND.sub(rb"\1", generate_latest(registry))
