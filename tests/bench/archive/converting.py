"""Archives a spool on one core, and says what that took.

    python converting.py SPOOL TARGET by-node|whole

It prints one JSON object: rows, seconds by the clock and of the processor, bytes of the files, and
how far the peak was beyond the interpreter with pyarrow imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter, process_time

import pyarrow as pa
from pyarrow import parquet
from tests.bench.lists.memory import peak_bytes, reset_peak

from warmclaim.archive.columns import columns_of_node
from warmclaim.archive.convert import convert_closed, only_archiving
from warmclaim.archive.groups import ROWS_MAX
from warmclaim.archive.layout import batches, writers
from warmclaim.archive.parquet import ZSTD_LEVEL
from warmclaim.archive.spool_reader import HourReader, Skipped
from warmclaim.archive.target import open_target


def whole(spool: Path, target: Path) -> int:
    """The plain way with the same library: all rows in one table, sorted, written."""
    hours = [HourReader(batch, Skipped()) for writer in writers(spool) for batch in batches(writer)]
    nodes = sorted({name for hour in hours for name in hour.names()})
    table = pa.Table.from_batches([some for node in nodes for some in columns_of_node(node, hours)])
    table = table.sort_by([(name, "ascending") for name in ("node", "pool", "ready_us")])
    parquet.write_table(
        table,
        str(target / "whole.parquet"),
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        row_group_size=ROWS_MAX,
    )
    return table.num_rows


def main() -> None:
    spool, target, way = sys.argv[1:]
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    before, began, worked = reset_peak(), perf_counter(), process_time()
    if way == "whole":
        rows = whole(Path(spool), Path(target))
    else:
        only_archiving()
        rows = convert_closed(Path(spool), open_target(target)).rows
    found = {
        "rows": rows,
        "seconds": perf_counter() - began,
        "cpu_seconds": process_time() - worked,
        "beyond": peak_bytes() - before,
        "bytes": sum(path.stat().st_size for path in Path(target).rglob("*.parquet")),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
