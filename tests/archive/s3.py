"""An S3 server in a process of its own, with packages of its own; `make test` installs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

PACKAGES = Path(sys.prefix) / "s3server"
CREDENTIALS = "test:not-a-secret"


class S3:
    """Where it listens, and the URLs of its buckets."""

    def __init__(self, address: str) -> None:
        self.address = address

    def url(self, path: str, more: str = "") -> str:
        query = f"endpoint_override={self.address}&scheme=http&region=us-east-1{more}"
        return f"s3://{CREDENTIALS}@{path}?{query}"

    def make_bucket(self, name: str) -> None:
        filesystem, _ = fs.FileSystem.from_uri(self.url(name, "&allow_bucket_creation=true"))
        filesystem.create_dir(name)


@contextmanager
def an_s3_server() -> Generator[S3]:
    assert PACKAGES.is_dir(), "the S3 server is not installed; make test does it"
    # Without site-packages: ours and its own cannot be installed together.
    with subprocess.Popen(
        [sys.executable, "-S", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"http://(127\.0\.0\.1:\d+)", line):
                    yield S3(found[1])
                    return
            raise AssertionError("the S3 server ended before it listened")
        finally:
            process.terminate()
