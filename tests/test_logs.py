"""Logs: every record is one bounded line, nothing secret gets in, nothing waits for the writer."""

import errno
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from warmclaim.api.meta import ObjectKey, ObjectMeta
from warmclaim.telemetry.logs import (
    ConsoleFormatter,
    JsonFormatter,
    LogHandler,
    cut,
    fields,
    scalar,
    setup_logs,
)


def record(message: object, *args: Any, extra: dict[str, Any] | None = None) -> logging.LogRecord:
    made = logging.getLogger("warmclaim.test").makeRecord(
        "warmclaim.test", logging.INFO, "f", 1, message, args, None, extra=extra
    )
    made.created = 1_767_323_045.678
    return made


def parsed(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert line.isascii()
    values: dict[str, Any] = json.loads(line)
    return values


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield
    for handler in root.handlers:
        if isinstance(handler, LogHandler):
            handler.close()
    root.handlers[:], level = before[0], before[1]
    root.setLevel(level)
    logging.captureWarnings(False)
    for name in ("warmclaim", "warmqueue"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_record_is_one_json_object_with_its_fields() -> None:
    key = ObjectKey("team", "c1")
    values = parsed(record("adopted %s", key, extra=fields(name="s1", claim=key, tries=2)))
    assert values == {
        "level": "info",
        "ts": "2026-01-02T03:04:05.678Z",
        "logger": "warmclaim.test",
        "msg": "adopted team/c1",
        "name": "s1",
        "claim": "team/c1",
        "tries": 2,
    }
    assert list(values)[:4] == ["level", "ts", "logger", "msg"]


def test_plain_extra_keys_are_fields_too() -> None:
    assert parsed(record("x", extra={"pool": "p"}))["pool"] == "p"


def test_a_mapping_fills_named_places_and_only_those() -> None:
    assert parsed(record("%(pool)s has %(n)d", {"pool": "p", "n": 3}))["msg"] == "p has 3"
    assert parsed(record(ValueError("x")))["msg"] == "ValueError: x"


def test_g16_texts_of_users_are_escaped_and_cut() -> None:
    evil = 'a\nlevel":"panic\x1b[31m\u202e' + "x" * 5000
    values = parsed(record("bad %s", evil, extra=fields(claim=evil)))
    assert len(values["claim"]) == 256
    assert values["claim"].endswith("…")
    assert len(values["msg"]) <= 260
    assert values["level"] == "info"


def test_a_field_cannot_replace_the_message_or_the_level() -> None:
    values = parsed(record("real", extra=fields(msg="fake", level="panic", ts="0")))
    assert values["msg"] == "real"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"env": "token"}, "<dict>"),
        ([1, 2], "<list>"),
        (b"token", "<bytes>"),
        (ObjectMeta(name="n", annotations={"a": "token"}), "<ObjectMeta>"),
        (float("nan"), "nan"),
        (1.5, 1.5),
        (None, None),
        (True, True),
        (ValueError("no"), "ValueError: no"),
    ],
)
def test_objects_are_named_but_never_shown(value: object, shown: object) -> None:
    assert scalar(value) == shown
    assert "token" not in JsonFormatter().format(record("x %s", value, extra=fields(value=value)))


def test_an_error_has_its_kind_its_place_and_its_cause_but_no_source_line() -> None:
    secret = "hunter" + "2"
    made = record("failed")
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer " + "y" * 1000) from inner
    except ValueError as error:
        made.exc_info = (type(error), error, error.__traceback__)
    values = parsed(made)
    assert values["error"].startswith("ValueError: outer yyy")
    assert len(values["error"]) == 256
    assert values["cause"] == "KeyError: 'inner'"
    assert "test_logs.py:" in values["stack"]
    assert secret not in json.dumps(values)


def test_a_record_that_cannot_be_rendered_is_still_a_line() -> None:
    assert "could not be rendered: TypeError" in parsed(record("%d", "x"))["msg"]


def test_the_console_format_is_one_line_as_well() -> None:
    made = record("two\nlines", extra=fields(pool="p 1", tier="ready", n=3))
    assert ConsoleFormatter().format(made) == (
        '2026-01-02T03:04:05.678Z INFO  warmclaim.test two\\nlines pool="p 1" tier=ready n=3'
    )


def test_cut_keeps_short_texts() -> None:
    assert cut("a" * 256) == "a" * 256
    assert cut("a" * 257) == "a" * 255 + "…"


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("level", "own", "others"),
    [
        ("debug", ["debug", "info", "warn", "error", "panic"], ["warn", "error", "panic"]),
        ("info", ["info", "warn", "error", "panic"], ["warn", "error", "panic"]),
        ("error", ["error", "panic"], ["error", "panic"]),
        ("panic", ["panic"], ["panic"]),
    ],
)
def test_levels_have_the_names_of_zap(level: str, own: list[str], others: list[str]) -> None:
    lines: list[bytes] = []
    handler = setup_logs("json", level, write=lines.append)
    for name in ("warmclaim.a", "aiohttp.b"):
        log = logging.getLogger(name)
        for method in (log.debug, log.info, log.warning, log.error, log.critical):
            method("x")
    handler.close()
    found = [json.loads(line) for line in lines]
    assert [v["level"] for v in found if v["logger"] == "warmclaim.a"] == own
    assert [v["level"] for v in found if v["logger"] == "aiohttp.b"] == others


@pytest.mark.usefixtures("restored")
def test_a_second_setup_replaces_the_first() -> None:
    first: list[bytes] = []
    second: list[bytes] = []
    setup_logs("json", "info", write=first.append)
    handler = setup_logs("console", "info", write=second.append)
    logging.getLogger("warmclaim").info("x")
    handler.close()
    assert (len(first), len(second)) == (0, 1)


def test_c9_a_failing_stream_drops_lines_and_goes_on() -> None:
    written: list[bytes] = []
    drops: list[int] = []

    def write(line: bytes) -> None:
        if b"bad" in line:
            raise OSError(errno.ENOSPC, "disk full")
        written.append(line)

    handler = LogHandler(JsonFormatter(), write, on_drop=lambda: drops.append(1))
    for text in ("bad", "good", "bad", "good"):
        handler.handle(record(text))
    handler.close()
    assert len(written) == 2
    assert handler.dropped == len(drops) == 2


def test_c9_a_blocked_stream_drops_lines_and_nobody_waits() -> None:
    gate = threading.Event()
    entered = threading.Event()
    written: list[bytes] = []

    def write(line: bytes) -> None:
        entered.set()
        gate.wait()
        written.append(line)

    handler = LogHandler(JsonFormatter(), write, lines_max=10)
    handler.handle(record("first"))
    entered.wait()
    for number in range(25):
        handler.handle(record(f"line {number}"))
    assert handler.dropped == 15
    gate.set()
    handler.close()
    assert len(written) == 11
