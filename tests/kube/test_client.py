"""The verbs: what is sent, what is believed, what is recorded. A numbers name faults."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.kube.client_rig import HTML, KEY, PATCH, WRITES, Rig
from tests.kube.fakes import (
    JSON,
    WIDGET,
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
    ApiError,
    NotSentError,
    PermanentError,
    TransientError,
    UnknownOutcomeError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.seams import Channel, Response


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


async def test_delete_tells_whether_the_object_is_gone() -> None:
    gone = Rig(ok({"kind": "Status", "status": "Success", "details": {"uid": "u"}}))
    assert await gone.client.delete(WIDGET, KEY, uid="u") is None
    kept = Rig(ok(a_widget()))
    left = await kept.client.delete(WIDGET, KEY)
    assert left is not None
    assert left.metadata.key == KEY


async def test_an_answer_to_a_delete_about_another_object_is_no_answer() -> None:
    rig = Rig(ok(a_widget()))
    with pytest.raises(UnknownOutcomeError):
        await rig.client.delete(WIDGET, KEY, uid="another")


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
