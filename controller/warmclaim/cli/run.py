"""`warmclaim run`: from arguments to a running manager, and from its end to an exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn, cast

from warmclaim import __version__
from warmclaim.cli import FAILED, OK
from warmclaim.cli.goflags import ParsedArguments, help_text, parse_settings
from warmclaim.domain.pod_metadata import DEFAULT_LABEL_DOMAINS, parse_label_domains
from warmclaim.errors import UsageError
from warmclaim.kube.config import SERVICE_ACCOUNT, Connection, load_connection
from warmclaim.seams import Rng, SystemClock
from warmclaim.settings import Settings
from warmclaim.telemetry.logs import LogHandler, fields, setup_logs

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)


def run(argv: Sequence[str], *, program: str, dropin: bool = False) -> int:
    """Run the manager until a signal ends it; returns the exit code.

    `dropin` takes the Go manager's defaults. Raises UsageError for a wrong flag, an address that
    cannot be had, or a cluster that is not found.
    """
    parsed = parse_settings(argv, dropin=dropin)
    if parsed.show_help:
        print(help_text(program), end="")
        return OK
    if parsed.show_version:
        print(f"warmclaim {__version__}")
        return OK
    with _early_stop():
        return _run(parsed)


def _run(parsed: ParsedArguments) -> int:
    settings = parsed.settings
    # All before the first log line: what the user has to change is then all that is said.
    namespace = lease_namespace(settings, os.environ)
    domains = label_domains(settings.claims.allowed_label_domains_path)
    connection = load_connection(settings.api.kubeconfig, environ=os.environ, clock=SystemClock())
    logs = setup_logs(settings.logs.encoder, settings.logs.level)
    try:
        _log_start(parsed, connection)
        return _managed(settings, connection, namespace, domains, logs)
    finally:
        logs.close()


def _log_start(parsed: ParsedArguments, connection: Connection) -> None:
    """What the operator should know once: what runs, and which flags do nothing."""
    settings = parsed.settings
    _log.info(
        "starting",
        extra=fields(
            version=__version__,
            controllers=",".join(sorted(settings.controllers)),
            namespaces=",".join(settings.namespaces) or "all",
            server=connection.server_url,
            leader_election=settings.lease.enabled,
        ),
    )
    for note in parsed.notes:
        _log.warning(note)
    if parsed.ignored_flags:
        _log.warning("flags without effect", extra=fields(flags=",".join(parsed.ignored_flags)))


def _managed(
    settings: Settings,
    connection: Connection,
    namespace: str,
    domains: frozenset[str],
    logs: LogHandler,
) -> int:
    # Here, for their price: most of the start's time, and not needed for --help or a wrong flag.
    import uvloop

    from warmclaim.cli.manage import manage

    stop = StopSignals()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if not runner.run(manage(settings, connection, namespace, domains, logs, stop)):
                # What hangs would also keep the loop from closing.
                _log.warning("stopped, some work was abandoned")
                logs.close()
                os._exit(OK)
    except UsageError:
        raise
    except Exception as error:
        _log.error("the manager failed", exc_info=_first(error))
        return FAILED
    _log.info("stopped")
    return OK


def _first(error: BaseException) -> BaseException:
    """The error that began it: a group of tasks wraps what one of them raised."""
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


class StopSignals:
    """The first SIGTERM or SIGINT asks for a stop, the second ends the process at once.

    At once means exit 1 without releasing the lease: writes may be under way, and a successor must
    not start before they cannot arrive any more.
    """

    def __init__(self, exit_with: Callable[[int], object] = os._exit) -> None:
        self.requested = asyncio.Event()
        self._exit_with = exit_with

    def install(self) -> None:
        """Listen from now on, in the running loop."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.arrived, number)

    def arrived(self, number: int) -> None:
        """Take one signal."""
        if self.requested.is_set():
            self._exit_with(FAILED)
            return
        _log.info("stopping", extra=fields(signal=signal.Signals(number).name))
        self.requested.set()


@contextmanager
def _early_stop() -> Generator[None]:
    """A signal that comes before the loop listens ends the start quietly, exit 0."""

    def leave(*_: object) -> NoReturn:
        raise SystemExit(OK)

    before = {number: signal.signal(number, leave) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def identity(rng: Rng) -> str:
    """Who this process is among other replicas: unique for each start, so that a restarted pod is
    not taken for the one before."""
    return f"{platform.node()}_{int(rng.random() * 2**32):08x}"


def lease_namespace(
    settings: Settings, environ: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT
) -> str:
    """Where the Lease lives: the flag, else the pod's own namespace, else POD_NAMESPACE.

    "" without leader election and outside of a pod; with it that is a UsageError.
    """
    if settings.lease.namespace:
        return settings.lease.namespace
    try:
        own = (service_account / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        own = ""
    namespace = own or environ.get("POD_NAMESPACE", "").strip()
    if not namespace and settings.lease.enabled:
        raise UsageError(
            "leader election needs a namespace outside of a pod: give"
            " --leader-election-namespace, or --leader-elect=false for a single process"
        )
    return namespace


def label_domains(path: str) -> frozenset[str]:
    """The domains of labels that claims may put onto their pods: the operator's, from the file at
    `path`, or the API's own where there is no such file. Raises UsageError for an unreadable one.
    """
    try:
        return parse_label_domains(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return DEFAULT_LABEL_DOMAINS
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
        raise UsageError(f"--allowed-label-domains-file {path}: {problem}") from None
