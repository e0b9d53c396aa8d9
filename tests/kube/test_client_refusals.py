"""Which error each refusal is, and how long it makes the client wait. A numbers name faults."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest
from tests.kube.client_rig import KEY, READS, WRITES, Rig
from tests.kube.fakes import (
    WIDGET,
    FakeClock,
    FakeStream,
    a_widget,
    ok,
    refusal,
)

from warmclaim.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NotFoundError,
    PermanentError,
    StreamError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)
from warmclaim.kube.answers import is_version_too_large
from warmclaim.seams import Channel, Response

# Refusals.

REFUSALS: list[tuple[str, Response, type[Exception]]] = [
    ("create", refusal(409, "AlreadyExists"), AlreadyExistsError),
    ("create", refusal(409, "Conflict"), ConflictError),
    ("json_patch", refusal(409, "Conflict"), ConflictError),
    ("json_patch", refusal(422, "Invalid"), ConflictError),
    ("merge_patch", refusal(422, "Invalid"), PermanentError),
    ("create", refusal(422, "Invalid"), PermanentError),
    ("create", refusal(400, "BadRequest"), PermanentError),
    ("create", refusal(413, "RequestEntityTooLarge"), PermanentError),
    ("create", refusal(405, "MethodNotAllowed"), PermanentError),
    ("create", refusal(415, "UnsupportedMediaType"), PermanentError),
    ("get", refusal(404, "NotFound"), NotFoundError),
    ("get", Response(404, b"404 page not found"), TransientError),
    ("get", Response(404, b"<html>"), TransientError),
    ("list", refusal(410, "Expired"), ExpiredError),
    ("watch", refusal(410, "Expired"), ExpiredError),
    ("get", refusal(401, "Unauthorized"), UnauthorizedError),
    ("create", refusal(403, "Forbidden"), ForbiddenError),
    ("create", refusal(429, "TooManyRequests"), ThrottledError),
    ("create", refusal(500, "InternalError"), TransientError),
    ("create", refusal(503, "ServiceUnavailable"), TransientError),
    ("create", refusal(599), TransientError),
    ("create", refusal(408), TransientError),
    ("watch", refusal(500), TransientError),
]


@pytest.mark.parametrize(
    ("verb", "answer", "kind"),
    REFUSALS,
    ids=[f"{verb} {answer.status} {kind.__name__}" for verb, answer, kind in REFUSALS],
)
async def test_refusal_is_the_error_of_its_status(
    verb: str, answer: Response, kind: type[Exception]
) -> None:
    with pytest.raises(ApiError) as caught:
        await Rig(answer).call(verb)
    assert type(caught.value) is kind
    assert caught.value.status == answer.status


async def test_merge_patch_to_another_uid_is_a_conflict() -> None:
    with pytest.raises(ConflictError):
        await Rig(refusal(422)).client.merge_patch(WIDGET, KEY, {"metadata": {"uid": "u"}})


@pytest.mark.parametrize("verb", ["create", "json_patch", "replace"])
async def test_a7_request_too_large_is_permanent_although_it_is_a_500(verb: str) -> None:
    with pytest.raises(PermanentError):
        await Rig(refusal(500, "", "etcdserver: request is too large")).call(verb)


async def test_version_too_large_is_told_apart() -> None:
    for answer in (
        refusal(504, "Timeout", "Too large resource version: 9", cause="ResourceVersionTooLarge"),
        refusal(504, "Timeout", "Timeout: Too large resource version: 9, current: 2"),
    ):
        with pytest.raises(TransientError) as caught:
            await Rig(answer).call("list")
        assert is_version_too_large(caught.value)
    with pytest.raises(TransientError) as other:
        await Rig(refusal(504, "Timeout")).call("list")
    assert not is_version_too_large(other.value)


async def test_h8_429_on_a_watch_is_an_error_with_its_wait_not_an_event() -> None:
    answer = Response(429, b"Too many requests, please try again later.\n", {"retry-after": "3"})
    with pytest.raises(ThrottledError, match="Too many requests") as caught:
        await Rig(answer).call("watch")
    assert caught.value.retry_after_s == 3


async def test_watch_refused_by_a_body_that_never_ends_is_refused_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warmclaim.kube.client._REFUSAL_READ_S_MAX", 0.01)
    stream = FakeStream([b"no ", StreamError("cut")], 503)
    with pytest.raises(TransientError, match="no"):
        await Rig(stream).call("watch")
    assert stream.is_closed
    with pytest.raises(TransientError, match="wait"):
        await Rig(FakeStream([b"wait", "hang"], 503)).call("watch")


async def test_message_is_one_printable_line_of_256_at_most() -> None:
    with pytest.raises(PermanentError) as caught:
        await Rig(refusal(400, "BadRequest", "x\n\x1b[31m" + "y" * 5000)).call("get")
    assert len(caught.value.message) <= 256
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("verb", READS)
async def test_read_without_an_answer_is_transient(verb: str) -> None:
    rig = Rig(UnknownOutcomeError("timeout"))
    with pytest.raises(TransientError) as caught:
        await rig.call(verb)
    assert caught.value.status == 0


@pytest.mark.parametrize("verb", WRITES)
async def test_a9_write_without_an_answer_is_an_unknown_outcome(verb: str) -> None:
    rig = Rig(UnknownOutcomeError("reset"))
    with pytest.raises(UnknownOutcomeError):
        await rig.call(verb)
    assert len(rig.transport.requests) == 1


# Retry-After.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("99999", 300.0),
        ("-3", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("1e999", None),
        ("Thu, 99 Foo 2025 00:00:00 GMT", None),
    ],
)
async def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    with pytest.raises(ThrottledError) as caught:
        await Rig(Response(429, b"", {"retry-after": value})).call("get")
    assert caught.value.retry_after_s == seconds


async def test_retry_after_as_a_date() -> None:
    date = formatdate(FakeClock().wall() + 7, usegmt=True)
    with pytest.raises(ThrottledError) as caught:
        await Rig(Response(429, b"", {"retry-after": date})).call("get")
    assert caught.value.retry_after_s == pytest.approx(7, abs=1)


async def test_retry_after_in_the_body() -> None:
    body = {"kind": "Status", "details": {"retryAfterSeconds": 2}}
    with pytest.raises(TransientError) as caught:
        await Rig(ok(body, 503)).call("get")
    assert caught.value.retry_after_s == 2


THROTTLED = Response(429, b"slow down", {"retry-after": "2"})


async def test_a5_throttled_write_holds_the_writes_of_its_channel_until_the_pause_ends() -> None:
    rig = Rig(THROTTLED, ok(a_widget()))
    with pytest.raises(ThrottledError):
        await rig.call("create")
    later = asyncio.create_task(rig.call("json_patch"))
    await rig.clock.run_for(1.9)
    assert len(rig.transport.requests) == 1
    await rig.clock.run_for(0.2)
    assert (await later).metadata.name == "a"
    assert rig.sent.timeout_s == pytest.approx(8), "the pause counts against the time limit"


async def test_a5_pause_leaves_reads_and_other_channels_alone() -> None:
    rig = Rig(THROTTLED, ok(a_widget()))
    with pytest.raises(ThrottledError):
        await rig.call("create")
    await rig.call("get")
    await rig.client.create(WIDGET, "ns", a_widget(), channel=Channel.REFILL)
    assert len(rig.transport.requests) == 3


async def test_a5_create_that_is_not_patient_is_decided_anew_after_the_pause() -> None:
    rig = Rig(THROTTLED, ok(a_widget()))
    with pytest.raises(ThrottledError):
        await rig.call("create")
    with pytest.raises(ThrottledError) as caught:
        await rig.client.create(WIDGET, "ns", a_widget(), is_patient=False)
    assert caught.value.retry_after_s == pytest.approx(2)
    assert len(rig.transport.requests) == 1


async def test_a5_request_that_would_wait_too_long_is_refused_unsent() -> None:
    rig = Rig(Response(429, b"", {"retry-after": "6"}), ok(a_widget()))
    with pytest.raises(ThrottledError):
        await rig.call("create")
    with pytest.raises(ThrottledError) as caught:
        await rig.call("create")
    assert caught.value.retry_after_s == pytest.approx(6)
    assert len(rig.transport.requests) == 1


async def test_a5_pause_is_bounded_and_429_without_a_wish_makes_none() -> None:
    rig = Rig(Response(429, b"", {"retry-after": "9999"}), ok(a_widget()))
    with pytest.raises(ThrottledError):
        await rig.call("create")
    await rig.clock.run_for(30)
    await rig.call("create")
    rig = Rig(Response(429, b""), ok(a_widget()))
    with pytest.raises(ThrottledError):
        await rig.call("create")
    await rig.call("create")
