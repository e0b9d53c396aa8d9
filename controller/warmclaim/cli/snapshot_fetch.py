"""`warmclaim snapshot`: fetches one, checks it, and only then gives it its name."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from yarl import URL

from warmclaim.cli import OK
from warmclaim.cli.manager_access import Access, why_unreachable
from warmclaim.cli.snapshot_file import read_snapshot
from warmclaim.cli.snapshot_inspect import Summary
from warmclaim.errors import (
    NotSentError,
    StreamError,
    UnknownOutcomeError,
    UsageError,
    WarmclaimError,
)
from warmclaim.kube.answers import plain
from warmclaim.kube.config import Connection
from warmclaim.kube.transport import HttpTransport
from warmclaim.runtime.diagnostics import SNAPSHOT_PATH
from warmclaim.seams import ByteStream, Request

HEAD_S_MAX: Final = 20.0
"""To connect, and until the answer begins: two reviews of the API server may come before."""

SILENCE_S_MAX: Final = 60.0


DEFAULT_AUTHORITY: Final = "127.0.0.1:8082"


def fetch_snapshot(
    path: Path | None, *, url: str, access: Access, is_redacted: bool, is_forced: bool
) -> int:
    """Fetch a snapshot into `path`; returns the exit code. Raises UsageError where none is to be
    had, or it cannot be kept; then the file is as it was."""
    if path is None:
        raise UsageError("say where the snapshot goes: -o snapshot.zip")
    _require_place(path, is_forced=is_forced)
    asked = _Asked(_url(url or f"{access.scheme}://{DEFAULT_AUTHORITY}"), access)
    with _unnamed(path) as (file, unnamed):
        asyncio.run(asked.fetch(file, is_redacted=is_redacted))
        file.flush()
        os.fsync(file.fileno())
        summary = Summary.of(read_snapshot(unnamed, name="what came"))
        _name(unnamed, path, is_forced=is_forced)
    for error in summary.errors:
        print(f"not read: {error.part}: {error.reason}", file=sys.stderr)
    print(f"{path}: {summary.line}")
    return OK


def _require_place(path: Path, *, is_forced: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it")
    if path.exists() and not is_forced:
        raise UsageError(f"{path} is there already; --force replaces it")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}")


def _url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"--url takes http://HOST:PORT or https://, not {text[:64]!r}")
    return url.with_path(SNAPSHOT_PATH)


@contextmanager
def _unnamed(path: Path) -> Generator[tuple[BinaryIO, Path]]:
    """A file beside `path`, for its owner alone; gone after the block, unless it got its name."""
    try:
        number, name = mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be written to: {error.strerror}") from None
    try:
        with open(number, "wb") as file:  # noqa: PTH123 - a number, no path
            yield file, Path(name)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        Path(name).unlink(missing_ok=True)


def _name(unnamed: Path, path: Path, *, is_forced: bool) -> None:
    """A link, not a renaming, where nothing may be replaced: another may have written meanwhile."""
    if is_forced:
        unnamed.replace(path)
    else:
        try:
            os.link(unnamed, path)
        except FileExistsError:
            raise UsageError(f"{path} is there already; --force replaces it") from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _Asked:
    """A manager that is asked for its snapshot. Raises UsageError for what makes no connection."""

    def __init__(self, url: URL, access: Access) -> None:
        self._url = url
        self._access = access
        self._connection: Connection = access.connection(url)

    async def fetch(self, file: BinaryIO, *, is_redacted: bool) -> None:
        """Write it to `file`. Raises UsageError where it cannot be had as a whole."""
        query = () if is_redacted else (("redact", "false"),)
        request = Request("GET", SNAPSHOT_PATH, query, timeout_s=HEAD_S_MAX)
        transport = HttpTransport(self._connection)
        try:
            answer = await transport.stream(request)
            try:
                await self._taken(answer, file)
            finally:
                await answer.close()
        except (NotSentError, UnknownOutcomeError) as error:
            raise UsageError(self._silence(error)) from None
        finally:
            await transport.close()

    async def _taken(self, answer: ByteStream, file: BinaryIO) -> None:
        if (answer.status, answer.headers.get("content-type")) != (200, "application/zip"):
            raise UsageError(await self._refusal(answer))
        with _bar() as bar:
            await _saved(answer, file, partial(bar.update, bar.add_task("snapshot", total=None)))

    def _silence(self, error: WarmclaimError) -> str:
        why = why_unreachable(error, is_secure=self._url.scheme == "https")
        return (
            f"{self._url}: {why} ({plain(str(error))}); it needs --diagnostics-bind-address,"
            " and kubectl port-forward from elsewhere"
        )

    async def _refusal(self, answer: ByteStream) -> str:
        said = plain((await answer.read()).decode(errors="replace").strip())
        hint = self._access.why_refused(answer.status, SNAPSHOT_PATH)
        return f"{self._url} answers {answer.status}: {said}" + (f"; {hint}" if hint else "")


async def _saved(answer: ByteStream, file: BinaryIO, tell: Callable[..., None]) -> None:
    """Write the answer to `file`, and `tell` how much came. Raises UsageError where it breaks off,
    also by saying nothing for `SILENCE_S_MAX`."""
    size = 0
    try:
        while True:
            async with asyncio.timeout(SILENCE_S_MAX):
                piece = await answer.read()
            if not piece:
                return
            file.write(piece)
            size += len(piece)
            tell(completed=size)
    except (StreamError, TimeoutError) as error:
        why = plain(str(error) or type(error).__name__)
        raise UsageError(f"the snapshot broke off after {size} bytes: {why}") from None


def _bar() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", style="cyan"),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
