"""Objects passed on as they are: all pages, or an error. Numbers name faults."""

from __future__ import annotations

import json

import pytest
from tests.kube.client_rig import Rig
from tests.kube.fakes import WIDGET, FakeStream, a_list, a_widget, refusal

from warmclaim.errors import BrokenListError, ExpiredError, NotPermittedError, StreamError
from warmclaim.kube.raw_list import RawList, pieces_of


async def names(objects: RawList) -> list[str]:
    return [json.loads(item)["metadata"]["name"] async for item in objects.objects()]


async def test_pages_follow_each_other_by_their_token() -> None:
    first, last = a_list(a_widget("a"), a_widget("b"), rv=7, token="t"), a_list(rv=7)
    rig = Rig(first, last)
    objects = RawList(rig.client, WIDGET, namespace="ns", label_selector="x=y")
    assert await names(objects) == ["a", "b"]
    assert objects.resource_version == "7"
    asked = [dict(request.query) for request in rig.transport.requests]
    assert asked == [
        {"labelSelector": "x=y", "limit": "500"},
        {"labelSelector": "x=y", "limit": "500", "continue": "t"},
    ]


async def test_an_object_comes_when_it_is_there_and_not_with_its_page() -> None:
    body = json.dumps(json.loads(a_list(a_widget("a"), a_widget("b")).body), separators=(",", ":"))
    stream = FakeStream([body[:-40].encode(), "silence"])
    objects = RawList(Rig(stream).client, WIDGET).objects()
    assert json.loads(await anext(objects))["metadata"]["name"] == "a"
    await objects.aclose()
    assert stream.is_closed


async def test_a_token_that_has_expired_is_no_end() -> None:
    rig = Rig(a_list(a_widget("a"), rv=7, token="t"), refusal(410, "Expired"))
    with pytest.raises(ExpiredError):
        await names(RawList(rig.client, WIDGET))


async def test_a_missing_permission_is_its_error() -> None:
    why = 'widgets.example.org is forbidden: User "u" cannot list resource "widgets" in API group'
    with pytest.raises(NotPermittedError):
        await names(RawList(Rig(refusal(403, "Forbidden", why)).client, WIDGET))


async def test_a10_a_page_that_is_cut_is_an_error_wherever() -> None:
    body = a_list(a_widget("a"), rv=7).body
    for end in range(len(body)):
        stream = FakeStream([body[:end], b""] if end else [b""])
        with pytest.raises(BrokenListError):
            await names(RawList(Rig(stream).client, WIDGET))
        assert stream.is_closed


async def test_h10_a_reset_in_the_middle_is_an_error() -> None:
    stream = FakeStream([a_list(a_widget("a"), rv=7).body[:-5], StreamError("reset")])
    with pytest.raises(StreamError, match="reset"):
        await names(RawList(Rig(stream).client, WIDGET))
    assert stream.is_closed


async def test_a_server_that_falls_silent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmclaim.kube.raw_list.SILENCE_S_MAX", 0.01)
    stream = FakeStream([a_list(a_widget("a"), rv=7).body[:-5], "silence"])
    with pytest.raises(StreamError, match="silent"):
        await names(RawList(Rig(stream).client, WIDGET))
    assert stream.is_closed


async def test_who_must_not_keep_the_loop_is_let_rest_after_each_piece() -> None:
    body = a_list(a_widget("a"), a_widget("b"), rv=7).body
    pieces = [body[at : at + 40] for at in range(0, len(body), 40)]
    rests = 0

    async def rest() -> None:
        nonlocal rests
        rests += 1

    rig = Rig(FakeStream([*pieces, b""]))
    assert await names(RawList(rig.client, WIDGET, rest=rest)) == ["a", "b"]
    assert rests == len(pieces)


async def test_a_large_piece_is_worked_on_in_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmclaim.kube.raw_list.PIECE_BYTES_MAX", 16)
    stream = FakeStream([b"x" * 40, b"y", b""])
    assert [piece async for piece in pieces_of(stream)] == [b"x" * 16, b"x" * 16, b"x" * 8, b"y"]
