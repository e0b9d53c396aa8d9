"""Lists in JSON, written and read item by item.

A list is an object with a member `items`; head and tail are what stands before and after them, in
whichever order a server writes its members.
"""

from warmclaim.streaming.json_list.reading import ListDecoder
from warmclaim.streaming.json_list.writing import (
    FLUSH_BYTES,
    EncodedList,
    ListEncoder,
    ListWriter,
    gzipped,
)

__all__ = ["FLUSH_BYTES", "EncodedList", "ListDecoder", "ListEncoder", "ListWriter", "gzipped"]
