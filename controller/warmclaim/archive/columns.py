"""Lines of a spool as Arrow columns, with no object made for each of their values.

A line is a JSON array. Where nothing in it is escaped it is CSV too, with a bracket in its first
and its last value, and Arrow makes columns of that in a third of the time that rows would take.
Taking the brackets off in the columns costs a fifth of taking them off in the text. What is not
surely the same in both is left to the reader of JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from warmclaim.archive.layout import lines_file
from warmclaim.archive.lines import COLUMNS, Counts, Values
from warmclaim.archive.schema import REFUSED, SCHEMA, columns_of
from warmclaim.archive.spool_reader import HourReader, LinesFile
from warmclaim.domain.claim_history import ClaimEnd, ClaimRow

GATHERED_BYTES: Final = 1 << 20
"""Of lines that become columns together; there may be a file for every few rows."""

_NOT_PLAIN: Final = (b"\\", b" ", b"\t", b"\0")
"""An escape; what JSON allows between values; what the death of a machine leaves in a file."""

_NODE: Final = COLUMNS.index("node")
_FIRST, _LAST = COLUMNS[0], COLUMNS[-1]
_READ: Final = csv.ReadOptions(
    use_threads=False, column_names=list(COLUMNS), block_size=4 * GATHERED_BYTES
)
_PARSE: Final = csv.ParseOptions(double_quote=False, ignore_empty_lines=False)
_CONVERT: Final = csv.ConvertOptions(
    column_types={
        field.name: pa.string() if field.name == REFUSED else field.type for field in SCHEMA
    },
    null_values=["null"],
    strings_can_be_null=True,
    quoted_strings_can_be_null=False,
)
_NEVER_NULL: Final = tuple(
    field.name for field in msgspec.structs.fields(ClaimRow) if field.type != int | None
)
_TEXTS: Final = tuple(
    field.name for field in SCHEMA if field.type == pa.string() and field.name != _FIRST
)
_ENDS: Final = pa.array([end.value for end in ClaimEnd])
_counts: msgspec.json.Decoder[dict[str, int]] = msgspec.json.Decoder(Counts)

_Held = list[tuple[LinesFile, bytes]]


def columns_of_node(name: str, hours: Sequence[HourReader]) -> Iterator[pa.RecordBatch]:
    """The rows of one node's files, hour by hour. Memory: GATHERED_BYTES, and their columns.

    Raises OSError, and BrokenSpoolError where a file has lines and no row, or another node's.
    """
    files = [LinesFile(hour, name) for hour in hours]
    held: _Held = []
    held_bytes = 0
    for file in files:
        for block in file.blocks():
            held.append((file, block))
            held_bytes += len(block)
            if held_bytes >= GATHERED_BYTES:
                yield from _columns(name, held)
                held, held_bytes = [], 0
    yield from _columns(name, held)
    for file in files:
        file.check()


def plain_columns(lines: bytes) -> pa.RecordBatch | None:
    """Columns of this version's lines, less the last one's end; None where JSON must be read.

    About 0.6 us for a row.
    """
    if any(mark in lines for mark in _NOT_PLAIN):
        return None
    try:
        (read,) = csv.read_csv(pa.py_buffer(lines), _READ, _PARSE, _CONVERT).to_batches()
        if any(read[name].null_count for name in _NEVER_NULL) or not _is_bracketed(read):
            return None
        # In CSV a text may have line ends in it.
        if lines.count(b"\n") != read.num_rows - 1 or _has_stray_quote(read):
            return None
        mended = {
            _FIRST: _sliced(read[_FIRST], 2, -1),
            _LAST: _sliced(read[_LAST], 0, -1),
            REFUSED: _maps(read[REFUSED]),
        }
    except (pa.ArrowInvalid, msgspec.DecodeError):
        return None
    if not _all_in(read["outcome"], _ENDS):
        return None
    return pa.record_batch([mended.get(name, read[name]) for name in COLUMNS], schema=SCHEMA)


def _is_bracketed(read: pa.RecordBatch) -> bool:
    """Whether each line was an array that begins and ends with a text. The first one's quotes are
    part of the value, since it does not begin with one; those of the last are not."""
    first, last = read[_FIRST], read[_LAST]
    has_two = pc.equal(pc.count_substring(first, '"'), 2)
    begins = pc.and_(pc.and_(pc.starts_with(first, '["'), pc.ends_with(first, '"')), has_two)
    ends = pc.and_(pc.ends_with(last, "]"), pc.not_equal(last, "null]"))
    return bool(pc.all(pc.and_(begins, ends)).as_py())


def _has_stray_quote(read: pa.RecordBatch) -> bool:
    """Whether a quote stands within a text. CSV takes `team"` for a value when the first of its
    quotes is lost; as nothing is escaped here, no text of JSON has one."""
    return any(pc.sum(pc.count_substring(read[name], '"')).as_py() for name in _TEXTS)


def _sliced(texts: pa.StringArray, start: int, stop: int) -> pa.Array:
    # By bytes: Arrow would count the characters of each.
    return pc.binary_slice(texts.cast(pa.binary()), start, stop).cast(pa.string())


def _columns(name: str, held: _Held) -> Iterator[pa.RecordBatch]:
    """The held lines' rows, if there are any."""
    if all(file.is_current for file, _ in held):
        found = plain_columns(b"\n".join(block for _, block in held))
        if found is not None and _is_of(name, found["node"].unique().to_pylist()):
            yield _in_one_piece(found)
            return
    rows: list[Values] = []
    for file, block in held:
        some = file.rows(block)
        if not _is_of(name, {values[_NODE] for values in some}):
            raise file.broken("holds a row of another node")
        rows.extend(some)
    if rows:
        yield columns_of(rows)


def _in_one_piece(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A copy in one buffer: that of each column would keep a hole of the heap from being used."""
    return pa.ipc.read_record_batch(batch.serialize(), batch.schema)


def _is_of(name: str, nodes: Iterable[str]) -> bool:
    return all(lines_file(node) == name for node in nodes)


def _all_in(column: pa.Array, known: pa.Array) -> bool:
    return bool(pc.all(pc.is_in(column, value_set=known)).as_py())


def _maps(texts: pa.StringArray) -> pa.Array:
    """What JSON objects say. Few differ, so that each is read once."""
    few = texts.dictionary_encode()
    said = [list(_counts.decode(text).items()) for text in few.dictionary.to_pylist()]
    return pa.array(said, SCHEMA.field(REFUSED).type).take(few.indices)
