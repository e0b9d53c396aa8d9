"""The auditor: a process of its own that reads etcd's history from revision 1 and judges it.

    python -m e2e.chaos.auditor --etcd http://127.0.0.1:2379          judge all up to now
    python -m e2e.chaos.auditor --etcd http://127.0.0.1:2379 --serve  for `AuditorProcess`

It shares nothing with the controllers, nor with the run that it judges: it takes no word about the
history but etcd's own. With `--serve` it follows along, and each line on its standard input is
answered with one line of JSON, once all of what etcd has at that moment was judged. It ends when
its standard input does, so it cannot outlive who started it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from e2e.chaos.audit import Audit, Findings
from e2e.chaos.etcd import OBJECTS, Etcd
from e2e.chaos.stored import place_of

_ROOT = Path(__file__).resolve().parent.parent.parent
_SETTLE_S_MAX = 60.0
_EXIT_S_MAX = 5.0
_LINE_BYTES_MAX = 16 * 1024 * 1024


class AuditError(Exception):
    """The history could not be judged as a whole; that is no verdict on it."""


class Reader:
    """Feeds etcd's history to an audit, from revision 1 on."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd
        self.audit = Audit()

    async def run(self) -> None:
        """Follow until cancelled. Raises HistoryLostError, msgspec.DecodeError."""
        async for change in self._etcd.follow(OBJECTS, 1):
            self.audit.feed(change)

    async def settled(self) -> Findings:
        """The findings since the last call, once what was rebuilt from the history is what etcd
        itself has.

        The comparison proves that nothing was left out on the way. Raises AuditError after 60 s
        without one moment of agreement.
        """
        until_s = time.monotonic() + _SETTLE_S_MAX
        difference = "etcd did not answer"
        while time.monotonic() < until_s:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                difference = await self._difference()
                if not difference:
                    return self.audit.take()
            await asyncio.sleep(0.1)
        raise AuditError(f"the history does not come to what etcd has: {difference}")

    async def _difference(self) -> str:
        there = await self._etcd.versions(OBJECTS)
        has = {key: revision for key, revision in there.items() if place_of(key) is not None}
        read = self.audit.tables.revisions
        odd = [key for key in has.keys() | read.keys() if has.get(key) != read.get(key)]
        return f"{len(odd)} keys differ, such as {min(odd)}" if odd else ""


async def _judge(url: str, judgement: Callable[[Reader], Awaitable[bool]]) -> bool:
    """Read along while the judgement is made; returns it. Raises what the reading raised."""
    async with Etcd(url) as etcd:
        reader = Reader(etcd)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(reader.run())
            try:
                return await judgement(reader)
            finally:
                reading.cancel()


async def _once(reader: Reader) -> bool:
    """Say what is found in all up to now; whether it is good."""
    findings = await reader.settled()
    sys.stdout.buffer.write(msgspec.json.encode(findings) + b"\n")
    sys.stdout.flush()
    return not findings.breaches


async def _serve(reader: Reader) -> bool:
    """Do so for each line of standard input until it ends; what is found is for the asker."""
    stdin = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    async with asyncio.TaskGroup() as group:
        answers: list[asyncio.Task[bool]] = []
        while await stdin.readline():
            # Not awaited here: the end of the input must be noticed while etcd is down.
            answers.append(group.create_task(_once(reader)))
        for answer in answers:
            answer.cancel()
    return True


class AuditorProcess:
    """The auditor, followed from another process; use it as a context."""

    def __init__(self, etcd_url: str, log: Path) -> None:
        """What it says on standard error goes to `log`."""
        self._command = ["-m", "e2e.chaos.auditor", "--etcd", etcd_url, "--serve"]
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with self._log.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                cwd=_ROOT,
                limit=_LINE_BYTES_MAX,
                # Ctrl-C is for the run, which then closes the input.
                start_new_session=True,
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(_EXIT_S_MAX):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def findings(self) -> Findings:
        """What it found in all that etcd has now and had not when it was asked last.

        Raises AuditError when the auditor has ended, with the last of what it said.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("the auditor is asked outside its context")
        with contextlib.suppress(ConnectionError):
            process.stdin.write(b"\n")
            await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            said = self._log.read_text(errors="replace").strip().splitlines()[-5:]
            raise AuditError("the auditor ended: " + " | ".join(said))
        return msgspec.json.decode(line, type=Findings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 1 when a promise was broken, else 0.

    Raises an ExceptionGroup of what kept it from judging.
    """
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos.auditor", description=__doc__)
    parser.add_argument("--etcd", required=True, help="client URL of etcd")
    parser.add_argument("--serve", action="store_true", help="answer lines on standard input")
    chosen = parser.parse_args(arguments)
    try:
        is_good = asyncio.run(_judge(chosen.etcd, _serve if chosen.serve else _once))
    except KeyboardInterrupt:
        return 130
    return int(not is_good)


if __name__ == "__main__":
    sys.exit(main())
