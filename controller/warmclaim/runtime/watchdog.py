"""The event loop's pulse, and a thread that ends the process when the pulse is gone.

A loop that stalls (a huge JSON, a stopped machine) cannot step down in time by itself: its timers
do not fire either. So a thread on monotonic time watches, and exits before another process may
take the Lease and both act.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from warmclaim.seams import Clock

BEAT_S = 1.0
LIVE_S_MAX = 30.0
STALL_EXIT_CODE = 1

_STDERR = 2


class Heartbeat:
    """Beats once a second while the loop runs; anyone may ask how long ago, from any thread.

    `on_lag` is told with each beat how many seconds late the loop woke it.
    """

    def __init__(self, clock: Clock, *, on_lag: Callable[[float], None] | None = None) -> None:
        self._clock = clock
        self._on_lag = on_lag
        self._last_s = clock.monotonic()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self.beat()
            due_s = self._last_s + BEAT_S
            await self._clock.sleep(BEAT_S)
            if self._on_lag is not None:
                self._on_lag(max(self._clock.monotonic() - due_s, 0.0))

    def beat(self) -> None:
        """Say that the loop is alive just now."""
        self._last_s = self._clock.monotonic()

    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._clock.monotonic() - self._last_s

    def problem(self) -> str | None:
        """A live check: None, or why the loop is not well."""
        age_s = self.age_s()
        return f"no heartbeat for {age_s:.0f} s" if age_s > LIVE_S_MAX else None


def exit_process(code: int) -> None:
    """End the process at once. The Lease is not released: it runs out by itself."""
    os._exit(code)


class StallWatchdog:
    """Ends the process when the loop has not beaten for `limit_s` seconds while `is_armed`.

    With the lease's renew deadline as `limit_s`, a stalled leader is gone before its lease is.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        *,
        limit_s: float,
        is_armed: Callable[[], bool],
        exit_with: Callable[[int], None] = exit_process,
    ) -> None:
        self._heartbeat = heartbeat
        self._limit_s = limit_s
        self._is_armed = is_armed
        self._exit_with = exit_with
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall-watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on, in a thread that does not keep the process alive."""
        self._heartbeat.beat()
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer. May be called twice, and without start."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        step_s = min(self._limit_s / 10, BEAT_S)
        while not self._stopped.wait(step_s):
            age_s = self._heartbeat.age_s()
            if age_s > self._limit_s and self._is_armed():
                self._say(age_s)
                self._exit_with(STALL_EXIT_CODE)
                return

    def _say(self, age_s: float) -> None:
        # Straight to stderr: the log thread may be what hangs, and os._exit flushes nothing.
        line = f'{{"level":"error","logger":"watchdog","msg":"event loop stalled {age_s:.1f}s"}}\n'
        try:
            os.set_blocking(_STDERR, False)
            os.write(_STDERR, line.encode())
        except OSError:
            pass
