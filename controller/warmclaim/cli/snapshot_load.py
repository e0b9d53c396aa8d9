"""`warmclaim snapshot load`: a recorded state, up on this machine, with the manager at work."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from rich.console import Console

from warmclaim.cli import FAILED, INTERRUPTED, OK, PROGRAM
from warmclaim.cli.snapshot_file import read_snapshot
from warmclaim.errors import UsageError
from warmclaim.kube.answers import DECODE_ERRORS
from warmclaim.testing.demo.process import DemoFailedError
from warmclaim.testing.replay import Outcome, Recorded, Replay, replayed

SETTLE_S: Final = 60.0
SETTLE_EACH_S: Final = 0.02


def load_snapshot(path: Path, *, is_check: bool, as_json: bool) -> int:
    """Bring the state up until Ctrl-C, or with `is_check` until the manager has settled; returns
    the exit code. Raises UsageError for a file that is no whole snapshot."""
    try:
        recorded = Recorded.of(read_snapshot(path))
    except (*DECODE_ERRORS, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} has an object that makes no sense: {error}") from None
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(_loaded(recorded, is_check=is_check, as_json=as_json))
    except asyncio.CancelledError:
        return INTERRUPTED
    except DemoFailedError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return FAILED
    except KeyError as error:
        raise UsageError(f"{path} has objects that are not served here: {error}") from None
    return OK if outcome.is_good else FAILED


async def _loaded(recorded: Recorded, *, is_check: bool, as_json: bool) -> Outcome:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    told = Console(stderr=as_json)
    for note in recorded.notes:
        told.print(note, style="yellow", markup=False, soft_wrap=True)
    with TemporaryDirectory(prefix="warmclaim-snapshot-") as name:
        async with replayed(recorded, Path(name)) as replay:
            told.print(f"{len(recorded.objects)} objects loaded; the manager sees to them")
            settling = asyncio.create_task(
                replay.settled(within_s=SETTLE_S + SETTLE_EACH_S * len(recorded.objects))
            )
            ended = asyncio.create_task(replay.manager.ended())
            try:
                await asyncio.wait({settling, ended}, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    ended.result()
                outcome = replay.outcome()
                _print(outcome, told, as_json=as_json)
                if not is_check:
                    await _until_stopped(replay, ended, told)
                return outcome
            finally:
                settling.cancel()
                ended.cancel()
                await asyncio.gather(settling, ended, return_exceptions=True)


async def _until_stopped(replay: Replay, ended: asyncio.Task[None], told: Console) -> None:
    told.print(f"\nIt runs at {replay.url} until Ctrl-C. To look at it:\n", highlight=False)
    told.print(
        f"  kubectl --kubeconfig {replay.kubeconfig} get sandboxclaims -A",
        markup=False,
        soft_wrap=True,
    )
    told.print(
        f"  warmclaim export claims --kubeconfig {replay.kubeconfig}", markup=False, soft_wrap=True
    )
    await ended


def _print(outcome: Outcome, told: Console, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.flush()
        return
    rest = "has settled" if outcome.has_settled else "has not settled"
    told.print(f"the manager {rest} after {outcome.manager_writes} writes")
    told.print(f"{outcome.claims_ready} of {outcome.claims} claims are Ready")
    for pool, (ready, wanted) in sorted(outcome.pools.items()):
        told.print(f"{ready} of {wanted} sandboxes are ready in {pool}", markup=False)
    for twice in outcome.handed_out_twice:
        told.print(f"handed out twice: {twice}", style="red", markup=False)
