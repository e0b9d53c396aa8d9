"""A snapshot: one JSON text in a ZIP, written and read an element at a time.

    {
    "metadata":{"formatVersion":1,...},
    "queues":{
    "default/pool":{"ready":200,...,"entries":[
    {"sandbox":"default/pool-x7k2p",...},
    {"sandbox":"default/pool-9dl4c",...}
    ],"decisions":[
    {"claim":"default/a",...}
    ]}
    },
    "errors":[
    {"part":"rawObjects pods","reason":"403 Forbidden: ..."}
    ]
    }

It is one JSON value for every program, and each element stands on a line of its own: so it is read
with a line in memory, and `unzip -p snapshot.zip | grep` finds an object.
"""

from typing import Final

from warmclaim.streaming.snapshot.archive import MEMBER_NAME, ZipText
from warmclaim.streaming.snapshot.reading import Line, Sort, lines
from warmclaim.streaming.snapshot.redaction import PLACEHOLDER, redacted
from warmclaim.streaming.snapshot.text import SnapshotText

FORMAT_VERSION: Final = 1

__all__ = [
    "FORMAT_VERSION",
    "MEMBER_NAME",
    "PLACEHOLDER",
    "Line",
    "SnapshotText",
    "Sort",
    "ZipText",
    "lines",
    "redacted",
]
