"""A row as a line: a JSON array of its values, in the order that `columns.json` beside it names.

Arrays, since reading ten million lines is the archive's work and names would be half of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final, Optional

import msgspec
from msgspec.structs import astuple

from warmclaim.domain.claim_history import ClaimRow

LINE_BYTES_MAX: Final = 64 * 1024
"""A row's names are at most some 2 kB; what is longer is no row."""

COLUMNS: Final = ClaimRow.__struct_fields__

Values = tuple[Any, ...]
"""A row's values in the order of COLUMNS."""

_FIELDS = msgspec.structs.fields(ClaimRow)
_64_BITS = msgspec.Meta(ge=-(2**63), le=2**63 - 1)
Counts = dict[str, Annotated[int, _64_BITS]]
_KINDS: dict[object, object] = {
    int: Annotated[int, _64_BITS],
    int | None: Optional[Annotated[int, _64_BITS]],  # noqa: UP045  (an Annotated knows no "|")
    dict[str, int]: Counts,
}
_KIND: Any = tuple[tuple(_KINDS.get(field.type, field.type) for field in _FIELDS)]  # type: ignore[misc]
_encode = msgspec.json.Encoder().encode
_one: msgspec.json.Decoder[Values] = msgspec.json.Decoder(_KIND)
_many: msgspec.json.Decoder[list[Values]] = msgspec.json.Decoder(list[_KIND])
_any = msgspec.json.Decoder(list[Any])


def line(row: ClaimRow) -> bytes:
    """A row with its line end. About 1 us."""
    return _encode(astuple(row)) + b"\n"


def columns_line() -> bytes:
    """What `columns.json` holds."""
    return _encode(COLUMNS)


class LineReader:
    """Makes values of lines that were written with these columns, maybe by another version.

    What cannot be read is skipped and counted in `unreadable`.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.unreadable = 0
        self._columns = tuple(columns)
        self.is_current = self._columns == COLUMNS

    def read(self, block: bytes) -> Sequence[Values]:
        """The rows of whole lines. About 1.3 us for each; 5 where a line of the block is bad.

        Blocks of some 1,000 lines are quickest: more objects at once cost garbage collections.
        """
        if self.is_current:
            text = block.rstrip(b"\n")
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                rows = _many.decode(b"[" + text.replace(b"\n", b",") + b"]")
                # JSON writes a line end within a text as \\n; one that stands there is damage.
                if len(rows) == text.count(b"\n") + 1:
                    return rows
        return list(self._one_by_one(block))

    def _one_by_one(self, block: bytes) -> Iterator[Values]:
        for text in block.split(b"\n"):
            if not text:
                continue
            try:
                yield self._values(text)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError):
                self.unreadable += 1

    def _values(self, text: bytes) -> Values:
        if self.is_current:
            return _one.decode(text)
        named = dict(zip(self._columns, _any.decode(text), strict=True))
        return astuple(msgspec.convert(named, ClaimRow))


def row_of(values: Values) -> ClaimRow:
    """The row of such values."""
    return ClaimRow(**dict(zip(COLUMNS, values, strict=True)))
