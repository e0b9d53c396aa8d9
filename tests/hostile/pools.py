"""Pools and templates: sizes at every edge, templates that are missing, huge or of no shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from tests.hostile.inputs import (
    BAD,
    IGNORED,
    REFUSED,
    SECRET,
    SKIPPED_POOL,
    SKIPPED_TEMPLATE,
    Answer,
    Build,
    Change,
    Effect,
    Ground,
    Input,
    Remove,
    Send,
    Step,
    Store,
    event,
    pod_template,
    sent,
    stored,
    table,
    thing,
)

from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.resources import POOL, TEMPLATE
from warmclaim.seams import Response

REFUSED_CREATES = event("SandboxCreateFailed")
NO_TEMPLATE = event("TemplateNotFound")
QUOTA_RETRIES = 25
"""A full quota is tried again every 30 s at most: it may be free at any moment."""


def pool_spec(
    replicas: object = 0, template: object = "python", **more: object
) -> dict[str, object]:
    """What an ordinary pool is."""
    return {"replicas": replicas, "sandboxTemplateRef": {"name": template}, **more}


_REFUSED_SIZES: dict[str, object] = {
    "-1": -1,
    "-2^31": -(2**31),
    "2^31": 2**31,
    "2^63": 2**63,
    "10^30": 10**30,
    "1.5": 1.5,
    "text": "3",
    "true": True,
    "list": [3],
    "object": {"count": 3},
}


def sizes() -> list[Input]:
    """`replicas` at every edge, by both ways in."""
    by_api = {
        f"api {name}": (REFUSED, sent(POOL, pool_spec(value)))
        for name, value in _REFUSED_SIZES.items()
    }
    past = {
        f"past {name}": (SKIPPED_POOL, stored(POOL, pool_spec(value)))
        for name, value in _REFUSED_SIZES.items()
        if not isinstance(value, int) or isinstance(value, bool)
    }
    rows: dict[str, tuple[Effect, Build]] = {
        "api 0": (IGNORED, sent(POOL, pool_spec(0))),
        "past -1": (IGNORED, stored(POOL, pool_spec(-1))),
        "past -2^31": (IGNORED, stored(POOL, pool_spec(-(2**31)))),
        "past null": (SKIPPED_POOL, stored(POOL, pool_spec(None))),
        "a member, then -1": (IGNORED, _shrunk_below_nothing),
    }
    huge = [
        Input("pool sizes", f"quota of 40 under {name}", REFUSED_CREATES, _under_quota(value),
              retries_max=QUOTA_RETRIES)
        for name, value in (("2^31-1", 2**31 - 1), ("past 2^31", 2**31), ("past 2^53", 2**53),
                            ("past 10^30", 10**30))
    ]  # fmt: skip
    return [*table("pool sizes", by_api | past | rows), *huge]


def _shrunk_below_nothing(ground: Ground) -> Sequence[Step]:
    meta = {"uid": f"{ground.namespace}-shrunk"}
    return [
        Store(thing(ground, POOL, pool_spec(1), **meta)),
        Store(thing(ground, POOL, pool_spec(-1), generation=2, **meta)),
    ]


def _under_quota(replicas: int) -> Build:
    """The namespace has room for 40 sandboxes; the pool wants all that an int can say."""

    def build(ground: Ground) -> Sequence[Step]:
        spec = pool_spec(replicas)
        is_sound = replicas < 2**31
        body = thing(ground, POOL, spec)
        full: dict[str, object] = {"kind": "Status", "code": 403, "reason": "Forbidden"}
        full["message"] = 'sandboxes "x" is forbidden: exceeded quota: count/sandboxes=40'
        refusal = Response(403, msgspec.json.encode(full), {"content-type": "application/json"})
        quota = Answer(("POST", "/sandboxes"), refusal, skip=40, times=1_000_000, is_instead=True)
        return [quota, Send(POOL, body) if is_sound else Store(body)]

    return build


def references() -> list[Input]:
    """Templates that are not there, or not what a reference says."""
    names: dict[str, object] = {
        "missing": "ghost",
        "empty": "",
        "elsewhere": "good/python",
        "above": "../python",
        "of 1 MB": "t" * 1_000_000,
        "with control characters": "\u001b[2J\u202e\n",
    }
    asked = {
        name: (NO_TEMPLATE, sent(POOL, pool_spec(5, template=value)))
        for name, value in names.items()
    }
    types: dict[str, object] = {"null": None, "number": 7, "list": ["python"], "object": {}}
    refused = {
        f"api {name}": (REFUSED, sent(POOL, pool_spec(5, template=value)))
        for name, value in types.items()
    }
    past = {
        f"past {name}": (SKIPPED_POOL, stored(POOL, pool_spec(5, template=value)))
        for name, value in types.items()
    }
    rows: dict[str, tuple[Effect, Build]] = {
        "no reference": (REFUSED, sent(POOL, {"replicas": 5})),
        "past no reference": (NO_TEMPLATE, stored(POOL, {"replicas": 5})),
        "past reference a text": (SKIPPED_POOL, stored(POOL, {"sandboxTemplateRef": "python"})),
        "past strategy unknown": (
            IGNORED,
            stored(POOL, pool_spec(1, updateStrategy={"type": "Sometimes"})),
        ),
        "past strategy a text": (SKIPPED_POOL, stored(POOL, pool_spec(1, updateStrategy="R"))),
        "template taken away": (NO_TEMPLATE, _template_taken_away),
        "template made again": (IGNORED, _template_made_again),
    }
    return table("pool templates", asked | refused | past | rows)


def _template_taken_away(ground: Ground) -> Sequence[Step]:
    return [Send(POOL, thing(ground, POOL, pool_spec(2))), Remove(TEMPLATE, "python")]


def _template_made_again(ground: Ground) -> Sequence[Step]:
    again = thing(ground, TEMPLATE, {"podTemplate": pod_template()}, name="python")
    return [*_template_taken_away(ground), Send(TEMPLATE, again)]


def _used(spec: object, *, past: bool = True, replicas: int = 2) -> Build:
    """A template of that spec, and a pool that is to be made from it."""

    def build(ground: Ground) -> Sequence[Step]:
        template = thing(ground, TEMPLATE, spec)
        first: Step = Store(template) if past else Send(TEMPLATE, template)
        return [first, Send(POOL, thing(ground, POOL, pool_spec(replicas, BAD), name="of-it"))]

    return build


def _alone(spec: object) -> Build:
    """A template that nobody reads: a pool of it would have a word of its own to say."""
    return stored(TEMPLATE, spec)


def templates() -> list[Input]:
    """Templates too large to be made of, and of every wrong shape."""
    return table("templates", _full_templates() | _misshapen_templates() | _misshapen_metadata())


def _full_templates() -> dict[str, tuple[Effect, Build]]:
    """Of the right shape, with too much in them or what nobody may see."""
    container = {"name": "c", "image": "i", "env": [{"name": "TOKEN", "value": SECRET}]}
    note = {"podTemplate": _with_metadata({"annotations": {"note": "n" * 200_000}})}
    return {
        "just small enough": (IGNORED, _used(note, past=False)),
        "1.4 MB": (IGNORED, _used(_of_env(1_400_000), past=False)),
        "no room for a sandbox": (REFUSED_CREATES, _used(_of_env(1_572_000))),
        "2 MB": (REFUSED, sent(TEMPLATE, _of_env(2_000_000))),
        "env of 5,000": (IGNORED, _used(_of_container(_env_of(5_000)), past=False)),
        "secret in env": (IGNORED, _used(_of_container(container), past=False)),
    }


def _misshapen_templates() -> dict[str, tuple[Effect, Build]]:
    pod = pod_template()
    return {
        "spec missing": (REFUSED_CREATES, _used({})),
        "spec a list": (SKIPPED_TEMPLATE, _alone([])),
        "pod template a text": (SKIPPED_TEMPLATE, _alone({"podTemplate": "x"})),
        "pod template null": (SKIPPED_TEMPLATE, _alone({"podTemplate": None})),
        "pod template a list": (SKIPPED_TEMPLATE, _alone({"podTemplate": []})),
        "pod template empty": (REFUSED_CREATES, _used({"podTemplate": {}})),
        "pod spec null": (SKIPPED_TEMPLATE, _alone({"podTemplate": {"spec": None}})),
        "pod spec a list": (SKIPPED_TEMPLATE, _alone({"podTemplate": {"spec": []}})),
        "pod spec a text": (SKIPPED_TEMPLATE, _alone({"podTemplate": {"spec": SECRET}})),
        "containers a text": (
            REFUSED_CREATES,
            _used({"podTemplate": {"spec": {"containers": "x"}}}),
        ),
        "volumes a text": (
            SKIPPED_TEMPLATE,
            _alone({"podTemplate": pod, "volumeClaimTemplates": "x"}),
        ),
        "service a text": (SKIPPED_TEMPLATE, _alone({"podTemplate": pod, "service": "y"})),
    }


def _misshapen_metadata() -> dict[str, tuple[Effect, Build]]:
    metadata: dict[str, object] = {
        "pod metadata null": None,
        "pod metadata a list": [],
        "pod labels a list": {"labels": []},
        "pod annotations null": {"annotations": None},
        "pod labels of numbers": {"labels": {"a": 1}},
    }
    return {
        name: (SKIPPED_TEMPLATE, _alone({"podTemplate": _with_metadata(value)}))
        for name, value in metadata.items()
    }


def _with_metadata(metadata: object) -> dict[str, object]:
    """A sound pod template but for its metadata."""
    return {**pod_template(), "metadata": metadata}


def _of_container(container: Mapping[str, object]) -> dict[str, object]:
    return {"podTemplate": {"spec": {"containers": [container]}}}


def _of_env(size: int) -> dict[str, object]:
    env = [{"name": f"V{n}", "value": "v" * 100_000} for n in range(size // 100_000)]
    env.append({"name": "REST", "value": "v" * (size % 100_000)})
    return _of_container({"name": "c", "image": "i", "env": env})


def _env_of(count: int) -> dict[str, object]:
    env = [{"name": f"V{number}", "value": "v"} for number in range(count)]
    return {"name": "c", "image": "i", "env": env}


_RESERVATIONS = (
    '{"first":-1,"end":1,"replicas":3}', '{"first":9,"end":1,"replicas":3}',
    '{"first":0,"end":1e9,"replicas":3}', '{"first":0,"end":2176782336,"replicas":3}',
    '{"first":2176782335,"end":2176782336,"replicas":3}', '{"first":null,"end":1,"replicas":3}',
    '{"first":0,"end":1,"replicas":3,"more":1}', '{"first":0,"end":1}', "[]", "null", "", "\u0000",
    '{"first":0,"end":99999999999999999999999999,"replicas":3}', "{" * 128, '"' * 200_000,
    '{"first":0,"end":300,"replicas":2147483647}', '{"first":5,"end":5,"replicas":0}',
)  # fmt: skip


def games() -> list[Input]:
    """Selectors, counts and reservations that somebody else has written."""
    selectors = ("", "!x", "a in (", "app=sandbox,,", "s" * 100_000, "\u202e")
    shown = [
        Input("pool games", f"selector-{n}", IGNORED, _status({"selector": text}))
        for n, text in enumerate(selectors, 1)
    ]
    counts = [
        Input("pool games", f"counts-{n}", IGNORED, _status(status))
        for n, status in enumerate(
            (
                {"replicas": 2**31 - 1, "readyReplicas": 2**31 - 1},
                {"observedGeneration": 2**62},
            ),
            1,
        )
    ]
    reservations = [
        Input("pool games", f"reservation-{n}", IGNORED, _reserved(text))
        for n, text in enumerate(_RESERVATIONS, 1)
    ]
    past: dict[str, tuple[Effect, Build]] = {
        "past selector a number": (SKIPPED_POOL, _past_status({"selector": 7})),
        "past counts below nothing": (IGNORED, _past_status({"replicas": -5, "readyReplicas": -5})),
        "past counts a text": (SKIPPED_POOL, _past_status({"replicas": "7"})),
        "past status a list": (SKIPPED_POOL, _past_status([])),
        "past reservation a number": (
            SKIPPED_POOL,
            stored(POOL, pool_spec(1), annotations={ANNOTATION_RESERVATION: 7}),
        ),
        "rewritten again and again": (IGNORED, _rewritten),
    }
    return [*shown, *counts, *reservations, *table("pool games", past)]


def _status(status: Mapping[str, object]) -> Build:
    return lambda ground: [Send(POOL, thing(ground, POOL, pool_spec(1)), dict(status))]


def _past_status(status: object) -> Build:
    return stored(POOL, pool_spec(1), status=status)


def _reserved(text: str) -> Build:
    return sent(POOL, pool_spec(3), annotations={ANNOTATION_RESERVATION: text})


def _rewritten(ground: Ground) -> Sequence[Step]:
    patches = [
        Change(POOL, BAD, {"metadata": {"annotations": {ANNOTATION_RESERVATION: text}}})
        for text in ('{"first":0,"end":3,"replicas":3}', '{"first":100,"end":103,"replicas":3}')
    ]
    return [Send(POOL, thing(ground, POOL, pool_spec(3))), *(patches * 5)]


def inputs() -> list[Input]:
    """All of them."""
    return [*sizes(), *references(), *templates(), *games()]
