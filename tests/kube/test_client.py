"""The verbs: what is sent, what is believed, and which error each refusal is. A numbers name
faults."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate
from typing import Any

import pytest
from tests.kube.fakes import (
    JSON,
    WIDGET,
    Answer,
    FakeClock,
    FakeStream,
    ScriptedTransport,
    Widget,
    a_list,
    a_widget,
    ok,
    refusal,
    settle,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NotFoundError,
    NotSentError,
    PermanentError,
    StreamError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)
from warmclaim.kube.answers import is_version_too_large
from warmclaim.kube.client import ApiClient
from warmclaim.kube.exchange import RequestRecord
from warmclaim.seams import Channel, Response

KEY = ObjectKey("ns", "a")
PATCH = [{"op": "test", "path": "/metadata/uid", "value": "uid-a"}]


class Rig:
    def __init__(self, *script: Answer) -> None:
        self.clock = FakeClock()
        self.transport = ScriptedTransport(*script)
        self.records: list[RequestRecord] = []
        self.client = ApiClient(
            self.transport, clock=self.clock, observer=self.records.append, timeout_s=10
        )

    @property
    def sent(self) -> Any:
        return self.transport.requests[-1]

    def body(self) -> Any:
        return json.loads(self.sent.body)

    async def call(self, verb: str) -> Any:
        match verb:
            case "get":
                return await self.client.get(WIDGET, KEY)
            case "create":
                return await self.client.create(WIDGET, "ns", a_widget())
            case "json_patch":
                return await self.client.json_patch(WIDGET, KEY, PATCH)
            case "merge_patch":
                return await self.client.merge_patch(WIDGET, KEY, {"spec": {"x": "y"}})
            case "replace":
                return await self.client.replace(WIDGET, KEY, a_widget())
            case "delete":
                return await self.client.delete(WIDGET, KEY)
            case "list":
                return await self.client.list_page(WIDGET)
            case _:
                return await self.client.watch(WIDGET, resource_version="5")


WRITES = ("create", "json_patch", "merge_patch", "replace", "delete")
READS = ("get", "list", "watch")


async def test_get_reads_consistently() -> None:
    rig = Rig(ok(a_widget(rv=4)))
    widget = await rig.client.get(WIDGET, KEY, channel=Channel.REFILL, timeout_s=3)
    assert widget.metadata.version == 4
    assert (rig.sent.method, rig.sent.path) == (
        "GET",
        "/apis/example.org/v1/namespaces/ns/widgets/a",
    )
    assert (rig.sent.query, rig.sent.channel, rig.sent.timeout_s) == ((), Channel.REFILL, 3)


async def test_create_posts_to_the_collection() -> None:
    rig = Rig(ok(a_widget(rv=4), 201))
    await rig.client.create(WIDGET, "ns", a_widget(x="y"), field_manager="me")
    assert (rig.sent.method, rig.sent.path) == (
        "POST",
        "/apis/example.org/v1/namespaces/ns/widgets",
    )
    assert rig.sent.query == (("fieldManager", "me"),)
    assert rig.body()["spec"] == {"x": "y"}


async def test_create_takes_bytes_as_they_are() -> None:
    rig = Rig(ok(a_widget()))
    raw = json.dumps(a_widget()).encode()
    await rig.client.create(WIDGET, "ns", raw)
    assert rig.sent.body is raw


async def test_patches_go_to_the_subresource_in_their_own_type() -> None:
    rig = Rig(ok(a_widget()))
    await rig.client.json_patch(WIDGET, KEY, PATCH, subresource="status")
    assert rig.sent.path.endswith("/widgets/a/status")
    assert (rig.sent.method, rig.sent.content_type) == ("PATCH", "application/json-patch+json")
    assert rig.body() == PATCH
    await rig.client.merge_patch(WIDGET, KEY, {"spec": None})
    assert rig.sent.content_type == "application/merge-patch+json"
    assert rig.body() == {"spec": None}


async def test_replace_puts() -> None:
    rig = Rig(ok(a_widget()))
    await rig.client.replace(WIDGET, KEY, a_widget(), channel=Channel.LEASE)
    assert (rig.sent.method, rig.sent.channel) == ("PUT", Channel.LEASE)


async def test_delete_names_its_preconditions() -> None:
    rig = Rig(ok({"kind": "Status", "status": "Success"}))
    await rig.client.delete(WIDGET, KEY, uid="u", resource_version="7", propagation="Background")
    assert rig.body()["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert rig.body()["propagationPolicy"] == "Background"
    await rig.client.delete(WIDGET, KEY)
    assert "preconditions" not in rig.body()


async def test_list_page_asks_with_version_only_on_the_first_page() -> None:
    rig = Rig(a_list(a_widget(), rv=7, token="next"))
    page = await rig.client.list_page(
        WIDGET, label_selector="a=b", limit=2, resource_version="6", match="NotOlderThan"
    )
    assert (page.resource_version, page.continue_token, len(page.items)) == ("7", "next", 1)
    assert dict(rig.sent.query) == {
        "labelSelector": "a=b",
        "limit": "2",
        "resourceVersion": "6",
        "resourceVersionMatch": "NotOlderThan",
    }
    await rig.client.list_page(WIDGET, limit=2, resource_version="6", continue_token="next")
    assert dict(rig.sent.query) == {"limit": "2", "continue": "next"}


async def test_watch_asks_for_bookmarks() -> None:
    rig = Rig(FakeStream())
    await rig.client.watch(WIDGET, namespace="ns", resource_version="7", timeout_s=300.4)
    assert dict(rig.sent.query) == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "300",
        "resourceVersion": "7",
    }
    await rig.client.watch(WIDGET, send_initial_events=True)
    assert ("sendInitialEvents", "true") in rig.sent.query
    assert ("resourceVersionMatch", "NotOlderThan") in rig.sent.query


# What is believed.


async def test_one_bad_item_is_left_out_of_a_page_and_named() -> None:
    bad = {"metadata": {"name": "bad", "namespace": "ns", "resourceVersion": "3", "labels": 5}}
    rig = Rig(a_list(a_widget("a"), bad, a_widget("b"), {"metadata": 4}, rv=7))
    page = await rig.client.list_page(WIDGET)
    assert [item.metadata.name for item in page.items] == ["a", "b"]
    assert page.unreadable == (ObjectKey("ns", "bad"), None)


async def test_item_without_a_numeric_version_is_left_out() -> None:
    rig = Rig(a_list(a_widget("a", rv=""), a_widget("b", rv="x1"), a_widget("c"), rv=7))
    page = await rig.client.list_page(WIDGET)
    assert [item.metadata.name for item in page.items] == ["c"]
    assert len(page.unreadable) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"kind":"WidgetList"', b'{"kind":"Status"}', b'{"items":[]}', b"[]"],
)
async def test_a10_list_that_makes_no_sense_is_never_an_empty_list(body: bytes) -> None:
    with pytest.raises(TransientError):
        await Rig(Response(200, body, JSON)).client.list_page(WIDGET)


async def test_list_of_no_items_may_be_null() -> None:
    rig = Rig(ok({"metadata": {"resourceVersion": "7"}, "items": None}))
    assert (await rig.client.list_page(WIDGET)).items == []


HTML = Response(200, b"<html>login</html>", {"content-type": "text/html"})
NO_ANSWERS: list[Response] = [
    HTML,
    Response(302, b"", {"location": "/elsewhere"}),
    Response(304, b""),
    Response(101, b""),
    Response(200, b'{"metadata":{"name":"a"'),
    Response(200, b""),
    Response(200, b"[]"),
]


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("answer", NO_ANSWERS, ids=lambda r: f"{r.status} {r.body[:6]!r}")
async def test_a16_a10_answer_to_a_write_that_is_no_object_is_an_unknown_outcome(
    answer: Response, verb: str
) -> None:
    rig = Rig(answer)
    with pytest.raises(UnknownOutcomeError):
        await rig.call(verb)
    assert len(rig.transport.requests) == 1


@pytest.mark.parametrize("verb", ["get", "list"])
@pytest.mark.parametrize("answer", NO_ANSWERS, ids=lambda r: f"{r.status} {r.body[:6]!r}")
async def test_a16_a10_answer_to_a_read_that_is_no_object_is_transient(
    answer: Response, verb: str
) -> None:
    with pytest.raises(TransientError):
        await Rig(answer).call(verb)


@pytest.mark.parametrize("answer", [HTML, Response(302, b""), Response(204, b"")])
async def test_a16_watch_that_is_none_is_transient(answer: Response) -> None:
    with pytest.raises(TransientError):
        await Rig(answer).call("watch")


@pytest.mark.parametrize(
    "answer",
    [
        a_widget("other"),
        a_widget("a", namespace="elsewhere"),
        {"kind": "Status", "metadata": {}},
    ],
)
@pytest.mark.parametrize("verb", ["json_patch", "merge_patch", "replace", "create"])
async def test_a11_answer_about_another_object_is_an_unknown_outcome(
    answer: dict[str, Any], verb: str
) -> None:
    with pytest.raises(UnknownOutcomeError):
        await Rig(ok(answer)).call(verb)


async def test_a11_answer_is_held_against_the_uid_that_was_asked_for() -> None:
    rig = Rig(ok(a_widget("a", uid="another")))
    with pytest.raises(UnknownOutcomeError):
        await rig.client.json_patch(WIDGET, KEY, PATCH)
    with pytest.raises(UnknownOutcomeError):
        await rig.client.merge_patch(WIDGET, KEY, {"metadata": {"uid": "uid-a"}})
    with pytest.raises(UnknownOutcomeError):
        await rig.client.replace(WIDGET, KEY, a_widget("a"))


async def test_create_with_a_generated_name_believes_the_server() -> None:
    rig = Rig(ok(a_widget("a-x7")))
    created = await rig.client.create(WIDGET, "ns", {"metadata": {"generateName": "a-"}})
    assert created.metadata.name == "a-x7"


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


# Records.


async def test_each_request_is_recorded_once_with_its_outcome() -> None:
    rig = Rig(
        ok(a_widget()),
        refusal(409, "Conflict"),
        NotSentError("refused"),
        UnknownOutcomeError("reset"),
        HTML,
        Response(302, b""),
        FakeStream(),
        PermanentError(200, "AnswerTooLarge", ""),
    )
    await rig.client.json_patch(WIDGET, KEY, PATCH, subresource="status", channel=Channel.REFILL)
    for verb in ("replace", "get", "create", "list", "delete"):
        with pytest.raises((ApiError, NotSentError, UnknownOutcomeError)):
            await rig.call(verb)
    await rig.call("watch")
    with pytest.raises(PermanentError):
        await rig.call("list")
    assert [(r.verb, r.outcome) for r in rig.records] == [
        ("patch", "200"),
        ("update", "409"),
        ("get", "not_sent"),
        ("create", "no_answer"),
        ("list", "200"),
        ("delete", "bad_answer"),
        ("watch", "200"),
        ("list", "bad_answer"),
    ]
    first = rig.records[0]
    assert (first.resource, first.subresource) == ("widgets.example.org", "status")
    assert first.channel is Channel.REFILL


async def test_cancelled_request_is_recorded() -> None:
    class Hanging(ScriptedTransport):
        async def request(self, request: object) -> Response:
            await asyncio.Event().wait()
            raise AssertionError

    rig = Rig()
    rig.client = ApiClient(Hanging(), clock=rig.clock, observer=rig.records.append)
    task = asyncio.create_task(rig.call("get"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [r.outcome for r in rig.records] == ["cancelled"]


async def test_answer_typed_as_the_view() -> None:
    widget: Widget = await Rig(ok(a_widget(x="y"))).client.get(WIDGET, KEY)
    assert widget.spec == {"x": "y"}
