"""Pages of a list, read piece by piece: all of a page, or an error. B and H numbers name faults."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from tests.kube.fakes import JSON, FakeClock, Widget, a_list, a_widget, refusal
from tests.kube.reflector_rig import A, B, hanging, running

from warmclaim.api.resources import POD
from warmclaim.errors import BrokenListError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import connection_to
from warmclaim.kube.pages import PageReader
from warmclaim.kube.transport import HttpTransport, TransportSettings
from warmclaim.seams import Response
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_pod
from warmclaim.testing.http_front import serve

STATUS: Any = {"kind": "Status", "apiVersion": "v1", "message": "etcd is gone", "code": 500}
WHOLE = a_list(a_widget("a"), a_widget("b"), rv=9).body


def read(body: bytes) -> PageReader[Widget]:
    reader = PageReader(Widget)
    reader.feed(body)
    return reader


def test_views_are_gathered_from_pieces_cut_anywhere() -> None:
    reader = PageReader(Widget)
    for at in range(len(WHOLE)):
        reader.feed(WHOLE[at : at + 1])
    page = reader.end()
    assert [item.metadata.name for item in page.items] == ["a", "b"]
    assert (page.resource_version, page.continue_token, page.unreadable) == ("9", "", ())


@pytest.mark.parametrize(
    "body",
    [
        a_list(a_widget("a"), None, rv=9).body,
        a_list(a_widget("a"), STATUS, rv=9).body,
        WHOLE.replace(b'"name": "b"', b'"name" "b"'),
        WHOLE.replace(b'"9"', b'"nine"'),
        WHOLE.replace(b'"metadata": {"resourceVersion": "9"', b'"metadata": 9, "x": {"a": "9"'),
        json.dumps(STATUS).encode() + WHOLE,
        WHOLE + json.dumps(STATUS).encode(),
    ],
    ids=["null", "error", "no JSON", "no version", "no metadata", "error before", "error after"],
)
def test_a_page_with_anything_wrong_is_an_error_at_its_end(body: bytes) -> None:
    reader = read(body)
    reader.feed(b"")
    with pytest.raises(BrokenListError):
        reader.end()


def test_a_page_cut_anywhere_is_an_error() -> None:
    for end in range(len(WHOLE)):
        with pytest.raises(BrokenListError):
            read(WHOLE[:end]).end()


def test_what_is_kept_of_a_page_is_its_views_and_not_its_bytes() -> None:
    unread = {"metadata": {"name": "a", "resourceVersion": "1"}, "unread": "x" * 50_000}
    item = json.dumps(unread).encode()
    reader = PageReader(Widget)
    reader.feed(b'{"metadata":{"resourceVersion":"7"},"items":[' + item)
    tracemalloc.start()
    for _ in range(400):
        reader.feed(b"," + item)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    reader.feed(b"]}")
    assert len(reader.end().items) == 401
    assert peak < 2_000_000  # of 20 MB


async def test_an_error_in_the_middle_keeps_the_cache_as_it_was() -> None:
    broken = [a_list(A, None, rv=9), a_list(A, STATUS, rv=9), Response(200, WHOLE[:-1], JSON)]
    gone = refusal(410, "Expired")
    async with running(a_list(A, B, rv=7), gone, *broken, a_list(B, rv=9), hanging()) as rig:
        for _ in broken:
            await rig.clock.run_for(0.5)
            assert rig.names == "ab"
        await rig.clock.run_for(60)
        assert rig.names == "b"


async def test_b19_a_page_beyond_what_the_transport_would_hold_is_read() -> None:
    server = FakeApiServer()
    for number in range(300):
        pod = {**a_pod(f"p{number}"), "filler": "x" * 1_000}
        server.cluster.store.put("pods", f"default/p{number:03}", pod)
    async with serve(server) as front:
        settings = TransportSettings(body_bytes_max=10_000)
        transport = HttpTransport(connection_to(front.url, credentials=None), settings=settings)
        client = ApiClient(transport, clock=FakeClock())
        assert len((await client.list_page(POD, limit=0)).items) == 300
        await transport.close()
