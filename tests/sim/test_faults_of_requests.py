"""What the transport and the streams of a run make of a request that is struck."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.errors import ConflictError, ForbiddenError, PermanentError, TransientError
from warmclaim.kube.answers import DECODE_ERRORS, decoder_for, error_for, status_of
from warmclaim.kube.watch_decoder import Bookmark, LineTooLong, ObjectEvent, Skipped, WatchDecoder
from warmclaim.seams import Method, Request
from warmclaim.testing.builders import a_claim, a_sandbox
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import JSON_PATCH, MERGE_PATCH
from warmclaim.testing.sim.answers import mutated, of_a_proxy, refusal
from warmclaim.testing.sim.case import Fault
from warmclaim.testing.sim.stream import FaultyStream, MutedStream
from warmclaim.testing.virtual_loop import World, run_virtual
from warmclaim.testing.watch import event_line


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("A7.large", PermanentError),
        ("A12.denied", ForbiddenError),
        ("A12.invalid", ConflictError),
        ("A12.timeout", TransientError),
    ],
)
def test_a_refusal_is_read_as_the_error_that_it_is(name: str, error: type[Exception]) -> None:
    answer = refusal(Fault(name, 0.5))
    read = error_for(status_of(answer.status, answer.body), verb="json_patch")
    assert type(read) is error


@pytest.mark.parametrize("x", [0.1, 0.3, 0.6, 0.9])
def test_no_answer_of_a_proxy_is_an_object(x: float) -> None:
    answer = of_a_proxy(x)
    with pytest.raises(DECODE_ERRORS):
        decoder_for(CLAIM.view).decode(answer.body)


def _mutated(method: Method, body: object, content_type: str = "application/json") -> object:
    changed = mutated(Request(method, "/path", (), msgspec.json.encode(body), content_type))
    return None if changed is None else msgspec.json.decode(changed)


def test_a_webhook_leaves_only_the_tests_of_a_json_patch() -> None:
    test: Json = {"op": "test", "path": "/metadata/uid", "value": "u"}
    add: Json = {"op": "add", "path": "/status", "value": {}}
    assert _mutated("PATCH", [test, add], JSON_PATCH) == [test]


def test_a_webhook_leaves_only_the_identity_of_a_merge_patch() -> None:
    patch = {"metadata": {"uid": "u", "labels": {"a": "b"}}, "status": {"phase": "x"}}
    assert _mutated("PATCH", patch, MERGE_PATCH) == {"metadata": {"uid": "u"}}


def test_a_webhook_takes_the_labels_of_a_sandbox_and_labels_all_else() -> None:
    sandbox, claim = a_sandbox("w", pool="p"), a_claim("c")
    seen = {"guard.example/seen": "yes"}
    expected = {**sandbox, "metadata": {**sandbox["metadata"], "labels": seen}}
    assert _mutated("POST", sandbox) == expected
    assert _mutated("POST", claim) == {**claim, "metadata": {**claim["metadata"], "labels": seen}}


def test_a_webhook_has_nothing_to_change_in_a_deletion() -> None:
    assert _mutated("DELETE", {"preconditions": {"uid": "u"}}) is None


class _Pieces:
    """A sound stream of these pieces."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = deque(pieces)

    async def read(self) -> bytes:
        return self._pieces.popleft() if self._pieces else b""

    async def close(self) -> None:
        self._pieces.clear()


def _line(name: str) -> bytes:
    return event_line("ADDED", msgspec.json.encode(a_sandbox(name)))


def _bookmark(**annotations: str) -> bytes:
    metadata = {"resourceVersion": "7", "annotations": annotations}
    return event_line("BOOKMARK", msgspec.json.encode({"metadata": metadata}))


def _read(fault: Fault, pieces: Sequence[bytes], *, is_on: bool = True) -> list[bytes]:
    async def main(world: World) -> list[bytes]:
        stream = FaultyStream(_Pieces(pieces), fault, world.clock, lambda: is_on)
        read: list[bytes] = []
        while piece := await stream.read():
            read.append(piece)
        return read

    return run_virtual(main)


def _events(pieces: Sequence[bytes]) -> list[type]:
    decoder = WatchDecoder(SANDBOX.view)
    return [type(event) for piece in pieces for event in decoder.feed(piece)]


def test_an_event_is_too_long_for_the_reader() -> None:
    assert _events(_read(Fault("B19.long", 0.0), [_line("a")])) == [LineTooLong]


def test_an_event_is_too_deep_for_the_decoder_and_the_next_one_is_sound() -> None:
    read = _read(Fault("B19.deep", 0.0), [_line("a"), _line("b")])
    assert _events(read) == [Skipped, ObjectEvent, ObjectEvent]


def test_a_stream_drips_until_the_faults_are_over() -> None:
    lines = [_line("a"), _line("b")]
    dripped = _read(Fault("A17.watch", 0.0), lines)
    assert b"".join(dripped) == b"".join(lines)
    assert len(dripped) > 20
    assert _read(Fault("A17.watch", 0.0), lines, is_on=False) == lines


def test_a_muted_stream_has_no_bookmark_but_the_one_that_ends_a_list() -> None:
    muted: list[str] = []

    async def main(_: World) -> list[bytes]:
        end = _bookmark(**{"k8s.io/initial-events-end": "true"})
        pieces = [_line("a") + _bookmark(), _bookmark(), _line("b") + end]
        stream = MutedStream(_Pieces(pieces), lambda: muted.append("muted"))
        return [await stream.read() for _ in range(3)]

    pieces = run_virtual(main)
    assert _events(pieces) == [ObjectEvent, ObjectEvent, Bookmark]
    assert pieces[-1] == b""
    assert len(muted) == 2
