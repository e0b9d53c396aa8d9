"""A permission that is missing is told from every other no, said once, and forgotten in time."""

from __future__ import annotations

import logging

import pytest
from tests.kube.client_rig import READS, WRITES, Rig
from tests.kube.fakes import WIDGET, Answer, FakeClock, FakeStream, a_list, a_widget, ok, refusal

from warmclaim.api.meta import ObjectKey
from warmclaim.errors import (
    ApiError,
    ForbiddenError,
    NamespaceTerminatingError,
    NotPermittedError,
)
from warmclaim.kube import permissions
from warmclaim.kube.permissions import (
    FORGET_S,
    PLACES_MAX,
    QUIET_S,
    Missing,
    Permission,
    Permissions,
)
from warmclaim.seams import Response
from warmclaim.testing import refusals
from warmclaim.testing.refusals import Refusal, forbidden, not_permitted

CREATE = Permission("create", "pods")
PATCH_STATUS = Permission("patch", "sandboxes.agents.x-k8s.io", "status")

VERBS = {
    "get": "get",
    "create": "create",
    "json_patch": "patch",
    "merge_patch": "patch",
    "replace": "update",
    "delete": "delete",
    "list": "list",
    "watch": "watch",
}


def response(no: Refusal) -> Response:
    return Response(no.code, no.body, no.headers)


def a_no(verb: str) -> Response:
    return response(not_permitted(verb, str(WIDGET), "ns"))


# As kube-apiserver 1.36 words them.
OTHER_NOES: list[tuple[Refusal, type[ApiError]]] = [
    (
        forbidden(
            "pods", "p", "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"
        ),
        ForbiddenError,
    ),
    (
        forbidden("pods", "p", 'violates PodSecurity "restricted:latest": x != false'),
        ForbiddenError,
    ),
    (forbidden("pods", "p", "no PriorityClass with name zz was found"), ForbiddenError),
    (
        forbidden(
            "pods", "p", 'error looking up service account t/zz: serviceaccount "zz" not found'
        ),
        ForbiddenError,
    ),
    (
        forbidden(
            "services",
            "abc",
            "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: services is forbidden: "
            'User "a" cannot create resource "services" in API group "" in the namespace "t"',
        ),
        ForbiddenError,
    ),
    (
        Refusal(
            403,
            "Forbidden",
            'admission webhook "a.b" denied the request: pods is forbidden: User "a" cannot create '
            'resource "pods" in API group ""',
        ),
        ForbiddenError,
    ),
    (refusals.namespace_terminating("pods", "p", "t"), NamespaceTerminatingError),
]


@pytest.mark.parametrize(("no", "kind"), OTHER_NOES, ids=[no.message[:40] for no, _ in OTHER_NOES])
async def test_the_no_of_an_admission_is_no_missing_permission(
    no: Refusal, kind: type[ApiError]
) -> None:
    rig = Rig(response(no))
    with pytest.raises(ForbiddenError) as caught:
        await rig.call("create")
    assert type(caught.value) is kind
    assert rig.client.permissions.missing() == []


AUTHORIZERS = [
    'widgets.test.example is forbidden: User "u" cannot list resource "widgets" in API group '
    '"test.example" at the cluster scope',
    'pods "x" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "pods/status" '
    'in API group "" in the namespace "t": RBAC: clusterrole.rbac "r" not found',
    'pods is forbidden: User "a \\"b\\"\n" cannot list resource "pods" in API group "" in the '
    'namespace "t": requires one of ["container.pods.list"] permission(s).',
]


@pytest.mark.parametrize("message", AUTHORIZERS)
async def test_the_authorizer_is_recognised_whatever_it_adds(message: str) -> None:
    with pytest.raises(NotPermittedError):
        await Rig(response(Refusal(403, "Forbidden", message))).call("get")


@pytest.mark.parametrize("verb", READS + WRITES)
async def test_it_is_known_by_verb_kind_and_namespace_and_ended_by_a_success(verb: str) -> None:
    answers: dict[str, Answer] = {"list": a_list(a_widget()), "watch": FakeStream(["hang"])}
    rig = Rig(a_no(VERBS[verb]), answers.get(verb, ok(a_widget())))
    with pytest.raises(NotPermittedError):
        await rig.call(verb)
    namespace = "" if verb in {"list", "watch"} else "ns"
    known = Permission(VERBS[verb], str(WIDGET))
    assert rig.client.permissions.missing() == [Missing(known, namespace)]
    await rig.call(verb)
    assert rig.client.permissions.missing() == []


@pytest.mark.parametrize(
    ("answer", "is_ended"),
    [
        (refusal(404, "NotFound"), True),
        (refusal(409, "AlreadyExists"), True),
        (refusal(409, "Conflict"), True),
        (response(forbidden("widgets", "a", "exceeded quota")), True),
        (Response(404, b"404 page not found"), False),
        (Response(403, b"<html>Sign in</html>"), False),
        (refusal(401, "Unauthorized"), False),
        (refusal(429), False),
        (refusal(500), False),
    ],
    ids=lambda value: getattr(value, "body", b"")[:60].decode() or str(value),
)
async def test_an_answer_that_is_not_the_authorizers_ends_it(
    answer: Response, is_ended: bool
) -> None:
    rig = Rig(a_no("create"), answer)
    for _ in range(2):
        with pytest.raises(ApiError):
            await rig.call("create")
    assert (rig.client.permissions.missing() == []) == is_ended


async def test_a_subresource_has_a_permission_of_its_own() -> None:
    no = response(not_permitted("patch", f"{WIDGET}/status", "ns"))
    rig = Rig(no, ok(a_widget()), ok(a_widget()))
    key = ObjectKey("ns", "a")
    with pytest.raises(NotPermittedError):
        await rig.client.merge_patch(WIDGET, key, {}, subresource="status")
    (missing,) = rig.client.permissions.missing()
    assert str(missing) == f'patch {WIDGET}/status in namespace "ns"'
    await rig.client.merge_patch(WIDGET, key, {})
    assert rig.client.permissions.missing() == [missing]
    await rig.client.merge_patch(WIDGET, key, {}, subresource="status")
    assert rig.client.permissions.missing() == []


async def test_p1_each_is_said_once_and_again_after_it_was_granted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    registry = Permissions(clock)
    heard: list[Missing] = []
    granted: list[str] = []
    registry.on_missing(heard.append)
    registry.on_granted(lambda: granted.append("granted"))
    with caplog.at_level(logging.INFO, permissions.__name__):
        for _ in range(100):
            registry.refused(CREATE, "a")
        registry.worked(*CREATE, "b")
        registry.worked(*PATCH_STATUS, "a")
        assert granted == []
        registry.worked(*CREATE, "a")
        registry.worked(*CREATE, "a")
        await clock.run_for(QUIET_S)
        registry.refused(CREATE, "a")
    assert heard == [Missing(CREATE, "a")] * 2
    assert granted == ["granted"]
    assert [record.message for record in caplog.records] == [
        'permission missing: create pods in namespace "a"; the rest goes on',
        'permission granted: create pods in namespace "a"',
        'permission missing: create pods in namespace "a"; the rest goes on',
    ]


async def test_p1_servers_that_disagree_are_said_once_a_minute() -> None:
    clock = FakeClock()
    registry = Permissions(clock)
    heard: list[Missing] = []
    granted: list[str] = []
    registry.on_missing(heard.append)
    registry.on_granted(lambda: granted.append("granted"))
    for _ in range(100):
        registry.refused(CREATE, "a")
        assert registry.missing() == [Missing(CREATE, "a")], "which readiness says at once"
        registry.worked(*CREATE, "a")
        assert registry.missing() == []
    assert (len(heard), len(granted)) == (1, 1)
    registry.refused(CREATE, "a")
    await clock.run_for(QUIET_S)
    registry.refused(CREATE, "a")
    registry.worked(*CREATE, "a")
    assert (len(heard), len(granted)) == (2, 2)


def test_p2_a_bounded_number_of_namespaces_is_told_of_for_each() -> None:
    registry = Permissions(FakeClock())
    heard: list[Missing] = []
    registry.on_missing(heard.append)
    for number in range(1000):
        registry.refused(CREATE, f"n{number}")
        registry.refused(PATCH_STATUS, f"n{number}")
    assert len(heard) == len(registry.missing()) == 2 * PLACES_MAX


async def test_p3_what_is_not_asked_for_any_more_is_forgotten() -> None:
    clock = FakeClock()
    registry = Permissions(clock)
    registry.refused(CREATE, "a")
    await clock.run_for(FORGET_S - 1)
    registry.refused(PATCH_STATUS, "a")
    assert len(registry.missing()) == 2
    await clock.run_for(2)
    assert registry.missing() == [Missing(PATCH_STATUS, "a")]
