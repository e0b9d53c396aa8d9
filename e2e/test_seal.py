"""The seal on a real API server: what is stored is what was sealed, what is forged is not given."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.burst.process import ControllerProcess, warmclaim_command
from e2e.burst.rights import grant_account
from e2e.burst.tenant import Tenant, ready_status
from e2e.cluster import ControlPlane
from e2e.controlplane.api import ApiSession, Object
from e2e.controlplane.failures import wait_until

from warmclaim.api.names import ANNOTATION_SEAL
from warmclaim.api.secret import encoded
from warmclaim.loadtest.objects import POOLS, SANDBOXES, TEMPLATES, template_body

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SIZE, CLAIMS = 20, 8
ACCOUNT, NAME = "default", "agent-sandbox-seal"
FIRST, SECOND = b"1" * 32, b"2" * 32
EVIL: Object = {"spec": {"podTemplate": {"metadata": {"labels": {"open": "yes"}}}}}


def put_keys(api: ApiSession, namespace: str, current: bytes, previous: bytes = b"") -> None:
    """The Secret holds these from now on."""
    path = f"/api/v1/namespaces/{namespace}/secrets/{NAME}"
    data = encoded({"current": current, "previous": previous})
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "data": data}
    api.apply(path, body)


def may_read_the_secret(api: ApiSession, namespace: str) -> None:
    """What config/components/seal grants, here."""
    group = "rbac.authorization.k8s.io"
    folder = f"/apis/{group}/v1/namespaces/{namespace}"
    meta = {"name": "seal"}
    rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [NAME],
              "verbs": ["get"]}]  # fmt: skip
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": rules}
    api.apply(f"{folder}/roles/seal", role)
    binding: dict[str, Any] = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "seal"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
    }
    api.apply(f"{folder}/rolebindings/seal", binding)


def manager(cluster: ControlPlane, namespace: str, folder: Path) -> ControllerProcess:
    """One with the seal on, which has the rights of its roles and no others."""

    def command(kubeconfig: Path, probe_port: int) -> list[str]:
        return [
            *warmclaim_command(kubeconfig, probe_port),
            f"--leader-election-namespace={namespace}",
            "--enable-webhook=false",
            f"--sandbox-warm-pool-seal-secret={namespace}/{NAME}",
        ]

    return ControllerProcess(cluster.account_kubeconfig(namespace, ACCOUNT), folder, command)


@pytest.fixture
def tenant(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Tenant]:
    """In a namespace with a sealed pool that is Ready, all of whose members were defaulted by the
    server: the template's port has no protocol, its volume no mode."""
    api = control_plane.api
    grant_account(api, namespace, ACCOUNT)
    may_read_the_secret(api, namespace)
    put_keys(api, namespace, FIRST)
    with manager(control_plane, namespace, tmp_path) as controller:
        controller.wait_ready()
        found = Tenant(api, namespace, controller)
        template = template_body()
        container = template["spec"]["podTemplate"]["spec"]["containers"][0]
        container |= {
            "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "0.50", "memory": "1024Mi"}},
            "env": [{"name": "EMPTY", "value": ""}],
        }
        api.create(found.path(TEMPLATES), template)
        found.pool(SIZE)
        found.wait_pool(SIZE)
        yield found
        assert controller.stop() == []


def members(tenant: Tenant) -> dict[str, Object]:
    """The pool's, by name."""
    uid = tenant.get(POOLS, "burst")["metadata"]["uid"]
    return {
        one["metadata"]["name"]: one
        for one in tenant.api.get(tenant.path(SANDBOXES))["items"]
        if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences", []))
    }


def seal(sandbox: Object) -> str:
    return str(sandbox["metadata"].get("annotations", {}).get(ANNOTATION_SEAL, ""))


def test_a_sealed_pool_is_made_once_and_serves_warm_with_two_writes(
    control_plane: ControlPlane, tenant: Tenant
) -> None:
    before = members(tenant)
    assert len({seal(one) for one in before.values()} - {""}) == SIZE
    user = f"system:serviceaccount:{tenant.namespace}:{ACCOUNT}"
    control_plane.audit_settle()
    made = requests(control_plane, 0, user)
    assert made["create", "sandboxes", ""] == SIZE
    assert not any(verb in ("list", "watch") for verb, kind, _ in made if kind == "secrets")

    mark = control_plane.audit_mark()
    for number in range(CLAIMS):
        tenant.claim(f"claim-{number}")
    taken = {tenant.wait_served(f"claim-{number}") for number in range(CLAIMS)}
    assert len(taken) == CLAIMS
    assert taken <= before.keys()
    control_plane.audit_settle()
    sent = requests(control_plane, mark, user, names=taken)
    assert sent["patch", "sandboxes", ""] == CLAIMS
    assert not any(verb == "get" for verb, kind, _ in sent if kind != "secrets")
    claims = requests(control_plane, mark, user)
    assert claims["patch", "sandboxclaims", "status"] == CLAIMS
    tenant.wait_pool(SIZE)
    assert before.keys() - taken <= members(tenant).keys(), "no genuine member was replaced"


def requests(
    cluster: ControlPlane, mark: int, user: str, names: set[str] | None = None
) -> Counter[tuple[str, str, str]]:
    """How often the manager sent what, where it was carried out."""
    return Counter(
        (event.verb, event.resource, event.subresource)
        for event in cluster.audit_events(mark, user=user)
        if event.code < 300 and (names is None or event.name in names)
    )


def _forge(tenant: Tenant) -> str:
    """G2: somebody's own, with the true uid of the pool."""
    genuine = next(iter(members(tenant).values()))
    return _create(tenant, genuine, annotations={})


def _copy(tenant: Tenant) -> str:
    """The same, with another member's seal."""
    genuine = next(iter(members(tenant).values()))
    return _create(tenant, genuine, annotations={ANNOTATION_SEAL: seal(genuine)})


def _create(tenant: Tenant, genuine: Object, *, annotations: dict[str, str]) -> str:
    metadata = genuine["metadata"]
    body = {name: copy.deepcopy(genuine[name]) for name in ("apiVersion", "kind", "spec")}
    kept = {name: metadata[name] for name in ("labels", "ownerReferences")}
    body["metadata"] = {"name": "forged", "annotations": annotations, **kept}
    tenant.api.create(tenant.path(SANDBOXES), body)
    tenant.api.merge(tenant.path(SANDBOXES, "forged", "status"), {"status": ready_status()})
    return "forged"


def _edit(tenant: Tenant) -> str:
    """G3: a genuine member runs another image."""
    name, genuine = next(iter(members(tenant).items()))
    container = genuine["spec"]["podTemplate"]["spec"]["containers"][0]
    evil = [{**container, "image": "registry.example/evil:1"}]
    spec = {"podTemplate": {"spec": {"containers": evil}}}
    tenant.api.merge(tenant.path(SANDBOXES, name), {"spec": spec})
    return name


def _edit_and_put_back(tenant: Tenant) -> str:
    """The same, and its spec is what it was."""
    name, genuine = next(iter(members(tenant).items()))
    _edit(tenant)
    spec = {"podTemplate": genuine["spec"]["podTemplate"]}
    tenant.api.merge(tenant.path(SANDBOXES, name), {"spec": spec})
    assert tenant.get(SANDBOXES, name)["spec"] == genuine["spec"]
    return name


@pytest.mark.parametrize("attack", [_forge, _copy, _edit, _edit_and_put_back])
def test_what_nobody_with_the_key_made_so_is_never_given(
    tenant: Tenant, attack: Callable[[Tenant], str]
) -> None:
    name = attack(tenant)
    uid = tenant.get(SANDBOXES, name)["metadata"]["uid"]
    for number in range(SIZE):
        tenant.claim(f"claim-{number}")
    taken = {tenant.wait_served(f"claim-{number}") for number in range(SIZE)}
    things = tenant.api.get(tenant.path(SANDBOXES))["items"]
    found = {one["metadata"]["name"]: one for one in things}
    assert uid not in {found[one]["metadata"]["uid"] for one in taken}
    images = {found[one]["spec"]["podTemplate"]["spec"]["containers"][0]["image"] for one in taken}
    assert len(images) == 1

    def there() -> str | None:
        things = tenant.api.get(tenant.path(SANDBOXES))["items"]
        return "there" if any(one["metadata"]["uid"] == uid for one in things) else None

    wait_until(f"{name} replaced", there, timeout_s=30)
    tenant.wait_pool(SIZE)


def test_keys_are_rotated_without_a_restart_and_without_a_replacement(tenant: Tenant) -> None:
    before = {name: seal(one) for name, one in members(tenant).items()}
    put_keys(tenant.api, tenant.namespace, SECOND, previous=FIRST)
    # What an unknown seal brings about: the Secret is read within a second.
    tenant.api.merge(tenant.path(SANDBOXES, next(iter(before))), EVIL)
    gone = next(iter(before))

    def renewed() -> str | None:
        now = members(tenant)
        is_new = len(now) == SIZE and (gone not in now or seal(now[gone]) != before[gone])
        return None if is_new else "not yet"

    wait_until("one is made with the new key", renewed, timeout_s=60)
    now = {name: seal(one) for name, one in members(tenant).items()}
    assert sum(now.get(name) == text for name, text in before.items()) == SIZE - 1
    tenant.claim("after")
    assert tenant.wait_served("after") in now


def test_without_the_right_to_read_its_key_it_is_not_ready_and_claims_start_cold(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    api = control_plane.api
    grant_account(api, namespace, ACCOUNT)
    put_keys(api, namespace, FIRST)
    with manager(control_plane, namespace, tmp_path) as controller:
        tenant = Tenant(api, namespace, controller)
        tenant.pool(2)
        tenant.claim("early")
        assert tenant.wait_served("early") == "early"

        def unready() -> str | None:
            probe = controller.probe()
            said = f"[-]seal: Secret {namespace}/{NAME} cannot be read: 403 Forbidden"
            return None if probe.code == 503 and said in probe.text else probe.text

        wait_until("not ready", unready, timeout_s=20, log=controller.log)
        assert members(tenant) == {}
        may_read_the_secret(api, namespace)
        controller.wait_ready(60)
        tenant.wait_pool(2)
        assert all(map(seal, members(tenant).values()))
        assert controller.stop() == []
