"""Logs: one line for each record, bounded in size, written by a thread so that nothing waits.

A record is rendered where it is logged and handed to a writer thread over a bounded queue. A full
queue (blocked stderr) or a failed write (EPIPE, ENOSPC) drops the line and counts it; the program
goes on. What came from users is escaped and cut; whole objects are never rendered, only named.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from types import TracebackType
from typing import Any, Final

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import Resource

TEXT_CHARS_MAX = 256
MESSAGE_CHARS_MAX = 1024
STACK_FRAMES_MAX = 24
QUEUE_LINES_MAX = 4096
CLOSE_S_MAX = 1.0

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "panic": logging.CRITICAL,
}
_WORDS = {number: word for word, number in LEVELS.items()}
_OWN_LOGGERS = ("warmclaim", "warmqueue")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_STDERR = 2

# Objects that are nothing but a name.
_NAMES: tuple[type[object], ...] = (ObjectKey, Resource)

Scalar = str | int | float | bool | None


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Fields for `extra`: `log.info("adopted", extra=fields(name=..., claim=key))`.

    Unlike plain keys of `extra` these may have any name, also "name" and "args".
    """
    return {"fields": values}


def cut(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """`text`, at most `chars_max` characters long; an ellipsis shows that it was longer."""
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def scalar(value: object) -> Scalar:
    """`value` as a log may show it: numbers as they are, texts cut, objects only by their type.

    An object's content may hold environment variables or tokens, so it is never shown.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, str):
        return cut(str(value))
    if isinstance(value, _NAMES):
        return cut(str(value))
    if isinstance(value, BaseException):
        return _error(value)
    return f"<{type(value).__name__}>"


def _error(error: BaseException) -> str:
    return cut(f"{type(error).__name__}: {error}")


class LineFormatter(logging.Formatter):
    """Renders a record as one line without its end; never raises."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. About 10 us."""
        try:
            return self._line(record, _values(record))
        except Exception as error:  # a log line must not fail what is being logged
            return self._line(record, {"msg": f"log record could not be rendered: {_error(error)}"})

    def _line(self, record: logging.LogRecord, values: Mapping[str, Any]) -> str:
        raise NotImplementedError


class JsonFormatter(LineFormatter):
    """`{"level":"info","ts":"2026-01-02T03:04:05.678Z","logger":"x","msg":"y", fields...}`"""

    def _line(self, record: logging.LogRecord, values: Mapping[str, Any]) -> str:
        head = {"level": _level(record), "ts": _time(record), "logger": record.name}
        return _json({**head, **values})


def _json(values: Mapping[str, Any]) -> str:
    """Plain ASCII: no control character and no direction mark reaches a terminal."""
    try:
        line = msgspec.json.encode(values)  # a fifth of the price; leaves other characters alone
    except (msgspec.MsgspecError, OverflowError, ValueError):
        line = b""
    if line and line.isascii():
        return line.decode()
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))


class ConsoleFormatter(LineFormatter):
    """`2026-01-02T03:04:05.678Z INFO  x y key=value`; for people."""

    def _line(self, record: logging.LogRecord, values: Mapping[str, Any]) -> str:
        message = _quoted(values["msg"])[1:-1]
        rest = "".join(f" {key}={_plain(value)}" for key, value in values.items() if key != "msg")
        return f"{_time(record)} {_level(record).upper():<5} {record.name} {message}{rest}"


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)


def _plain(value: object) -> str:
    text = _quoted(value)
    if isinstance(value, str) and value and " " not in value and text == f'"{value}"':
        return value
    return text


def _values(record: logging.LogRecord) -> dict[str, Any]:
    """The message, the fields and the error of a record, each as a log may show it."""
    values: dict[str, Any] = {"msg": cut(_message(record), MESSAGE_CHARS_MAX)}
    own: dict[str, object] = getattr(record, "fields", {})
    extra = {k: v for k, v in vars(record).items() if k not in _STANDARD and k != "fields"}
    for key, value in (*extra.items(), *own.items()):
        values.setdefault(cut(key, 64), scalar(value))
    if record.exc_info and (error := record.exc_info[1]) is not None:
        values["error"] = _error(error)
        values["stack"] = _stack(error.__traceback__)
        if error.__cause__ is not None:
            values["cause"] = _error(error.__cause__)
    return values


def _message(record: logging.LogRecord) -> str:
    template = str(record.msg if isinstance(record.msg, str) else scalar(record.msg))
    if not record.args:
        return template
    if isinstance(record.args, tuple):
        return template % tuple(scalar(argument) for argument in record.args)
    if "%(" in template:
        return template % {key: scalar(value) for key, value in record.args.items()}
    # A lone mapping as argument: logging has unpacked it, take it for the object that it is.
    return template % scalar(record.args)


def _stack(trace: TracebackType | None) -> str:
    """Where, innermost last; no source lines and no values, since both may hold secrets."""
    frames: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(frames[-STACK_FRAMES_MAX:])


def _level(record: logging.LogRecord) -> str:
    return _WORDS.get(record.levelno, "info" if record.levelno < logging.WARNING else "error")


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_stderr(line: bytes) -> None:
    """Write all of `line` to standard error. Raises OSError."""
    while line:
        line = line[os.write(_STDERR, line) :]


class LogHandler(logging.Handler):
    """Hands rendered lines to a writer thread; drops and counts what does not fit.

    `write` may block and may raise OSError; `on_drop` is called from any thread.
    """

    def __init__(
        self,
        formatter: LineFormatter,
        write: Callable[[bytes], None] = write_stderr,
        *,
        on_drop: Callable[[], None] | None = None,
        lines_max: int = QUEUE_LINES_MAX,
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.on_drop = on_drop
        self._write = write
        self._lines: queue.Queue[bytes | None] = queue.Queue(lines_max)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written since the start."""
        return self._dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line; never waits."""
        try:
            self._lines.put_nowait(self.format(record).encode() + b"\n")
        except queue.Full:
            self._drop()

    def close(self) -> None:
        """Write what is queued, for at most `CLOSE_S_MAX` seconds, and stop the thread."""
        if self._thread.is_alive():
            try:
                self._lines.put(None, timeout=CLOSE_S_MAX)
                self._thread.join(CLOSE_S_MAX)
            except queue.Full:
                pass
        super().close()

    def _drop(self) -> None:
        self._dropped += 1
        if self.on_drop is not None:
            self.on_drop()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write(line)
            except OSError:
                self._drop()


def setup_logs(
    encoder: str,
    level: str,
    *,
    write: Callable[[bytes], None] = write_stderr,
    on_drop: Callable[[], None] | None = None,
) -> LogHandler:
    """Send all logs through one LogHandler; the caller closes it last.

    `encoder` is "json" or "console", `level` a word of `LEVELS`; other packages are heard from
    warnings upward. A handler of an earlier call is closed and replaced.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, LogHandler)]:
        root.removeHandler(old)
        old.close()
    formatter = ConsoleFormatter() if encoder == "console" else JsonFormatter()
    handler = LogHandler(formatter, write, on_drop=on_drop)
    root.addHandler(handler)
    root.setLevel(max(LEVELS[level], logging.WARNING))
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(LEVELS[level])
    logging.captureWarnings(True)
    return handler
