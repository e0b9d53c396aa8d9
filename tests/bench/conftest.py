"""One collection of figures for a whole run of benchmarks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.bench.figures import OUT, ROOT, Figures


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """Takes figures; what was found is written at the end, unless this is an ordinary test run."""
    found = Figures()
    yield found
    if "bench" in str(request.config.getoption("markexpr")) and found.values:
        written = found.write(OUT / "bench")
        print(f"\n\n{len(found.values)} figures written to {written.relative_to(ROOT)}")
