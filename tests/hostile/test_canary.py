"""G16: what an object may hold in secret is in no line of the log, at any level, in either form."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from tests.hostile.inputs import SECRET, Ground, Line, Send, claim_spec, thing
from tests.hostile.world import HostileWorld

from warmclaim.api.names import ANNOTATION_TRACE_CONTEXT
from warmclaim.api.resources import CLAIM, SANDBOX, TEMPLATE
from warmclaim.telemetry.logs import ConsoleFormatter, JsonFormatter
from warmclaim.testing.json_values import Json
from warmclaim.testing.virtual_loop import World, run_virtual

ENV = [{"name": "TOKEN", "value": SECRET}]
NOTES = {"note": SECRET, ANNOTATION_TRACE_CONTEXT: SECRET}
KEPT: Json = {"metadata": {"annotations": {"note": SECRET}}}
POD: Json = {"spec": {"containers": [{"name": "sandbox", "image": "i", "env": ENV}]}}
CLAIMS: dict[str, Json] = {
    "plain": claim_spec(),
    "refused-env": claim_spec(env=ENV),
    "refused-volume": claim_spec(
        volumeClaimTemplates=[{"metadata": {"name": "v", **KEPT["metadata"]}, "spec": {}}]
    ),
    "refused-metadata": claim_spec(
        additionalPodMetadata={"annotations": {"kubernetes.io/token": SECRET}}
    ),
    "with-metadata": claim_spec(additionalPodMetadata=KEPT["metadata"]),
    "no-pool": claim_spec("none"),
}


class Heard(logging.Handler):
    """Every record, as both formatters render it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        forms = (JsonFormatter(), ConsoleFormatter())
        self.lines += [form.format(record) for form in forms]


@contextmanager
def hearing() -> Generator[Heard]:
    """Whatever any logger says, down to DEBUG."""
    root, heard = logging.getLogger(), Heard()
    own = logging.getLogger("warmclaim")
    levels = root.level, own.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    own.setLevel(logging.DEBUG)
    try:
        yield heard
    finally:
        root.removeHandler(heard)
        root.setLevel(levels[0])
        own.setLevel(levels[1])


async def everything_that_is_told(world: HostileWorld) -> None:
    """A pool of sandboxes with secrets, claims that are served and refused, odd objects."""
    ground = Ground("team", "team-pool", "good", "good-pool")
    world.ground("team", replicas=2)
    (template,) = world.objects(TEMPLATE, "team")
    world.cluster.put(template | {"spec": {"podTemplate": POD | KEPT}})
    await world.run_for(5)
    for name, spec in CLAIMS.items():
        body = thing(ground, CLAIM, spec, name=name, annotations=NOTES)
        await world.do(ground, [Send(CLAIM, body)])
        await world.run_for(3)
    broken = f'{{"type": "ADDED", "object": {{"metadata": "{SECRET}"}}}}\n'.encode()
    for resource in (CLAIM, SANDBOX):
        await world.do(ground, [Line(resource, lambda _: broken)])
    await world.run_for(60)


def test_g16_no_secret_of_an_object_is_in_any_line() -> None:
    async def main(loop: World) -> list[str]:
        async with HostileWorld(loop) as world:
            with hearing() as heard:
                await everything_that_is_told(world)
            assert world.is_up
            assert SECRET in str(world.objects(SANDBOX, "team")), "it went through the manager"
            return heard.lines

    lines = run_virtual(main)
    for word in ("published", "claim refused", "skipped ADDED", "an event that makes no sense"):
        assert any(word in line for line in lines), word
    assert [line for line in lines if SECRET in line] == []


def test_g16_a_line_that_told_one_would_be_seen() -> None:
    with hearing() as heard:
        logging.getLogger("warmclaim.claim").debug("given %s", SECRET)
    assert [SECRET in line for line in heard.lines] == [True, True]
