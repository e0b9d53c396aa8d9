"""The table of permissions: the roles of `config` grant exactly it, and the manager asks for no
more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from tests.controllers.app_world import AppWorld, virtual

from warmclaim.api.meta import ObjectKey
from warmclaim.app.needs import Need, Part, Place, needed_by, needs, seal_secret_of, table
from warmclaim.kube.permissions import Permission
from warmclaim.settings import (
    CONTROLLERS,
    LeaseSettings,
    PoolSettings,
    ServingSettings,
    Settings,
    WebhookSettings,
)
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.virtual_loop import World, run_virtual

CONFIG = Path(__file__).resolve().parents[2] / "config"
FOLDERS = {
    Part.CLAIMS: "rbac/claims",
    Part.POOLS: "rbac/pools",
    Part.SANDBOXES: "rbac/sandboxes",
    Part.TEMPLATES: "rbac/templates",
    Part.MANAGER: "rbac/manager",
    Part.WEBHOOK: "rbac/webhook",
    Part.SNAPSHOT: "components/snapshot",
    Part.ENDPOINTS: "rbac/endpoints",
    Part.SEAL: "components/seal",
    Part.OWNERS: "rbac/owner-enforcement",
}
Granted = tuple[str, Permission, str]
"""The kind of role, what it grants, and the only object for which ("": any)."""


def roles(folder: str) -> Iterator[dict[str, Any]]:
    for file in sorted((CONFIG / folder).glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            if isinstance(document, dict) and "rules" in document:
                yield cast("dict[str, Any]", document)


def granted(role: dict[str, Any]) -> Iterator[Granted]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for word in rule["resources"]:
                plural, _, subresource = word.partition("/")
                resource = f"{plural}.{group}" if group else plural
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames", [""]):
                        yield role["kind"], Permission(verb, resource, subresource), name


def wanted(part: Part) -> set[Granted]:
    kinds = {Place.OBJECTS: "ClusterRole", Place.CLUSTER: "ClusterRole"}
    return {
        (kinds.get(need.place, "Role"), need.permission, need.name)
        for need in table()
        if need.part is part
    }


def all_needs() -> list[Need]:
    return list(table())


@pytest.mark.parametrize("part", Part)
def test_the_role_of_a_part_grants_what_the_table_says_and_nothing_else(part: Part) -> None:
    found = [one for role in roles(FOLDERS[part]) for one in granted(role)]
    assert len(found) == len(set(found)), "a permission that stands there twice survives one's loss"
    assert set(found) == wanted(part)


def test_no_role_has_a_wildcard_and_secrets_are_read_by_name_alone() -> None:
    files = [file for file in CONFIG.rglob("*.yaml") if "chart/templates" not in str(file)]
    folders = {str(file.parent.relative_to(CONFIG)) for file in files if "role" in file.name}
    assert folders >= set(FOLDERS.values())
    for folder in folders:
        for role in roles(folder):
            assert "*" not in str(role["rules"])
            for _, permission, name in granted(role):
                if permission.resource == "secrets" and permission.verb != "create":
                    assert name


@pytest.mark.parametrize(
    "controllers", [{name} for name in CONTROLLERS] + [{"claim", "pool"}, CONTROLLERS], ids=str
)
def test_what_a_manager_watches_is_what_it_may_list_and_watch(controllers: set[str]) -> None:
    async def scenario(world: World) -> None:
        app = AppWorld(world, controllers=frozenset(controllers)).app
        settings = Settings(
            controllers=frozenset(controllers),
            lease=LeaseSettings(enabled=False),
            webhook=WebhookSettings(enabled=False),
        )
        for verb in ("list", "watch"):
            may = {n.permission.resource for n in needs(settings) if n.permission.verb == verb}
            assert may == set(app.caches.informers)

    run_virtual(scenario)


@pytest.mark.parametrize(
    "controllers", [{"claim", "pool"}, {"sandbox"}, {"template"}, CONTROLLERS], ids=str
)
def test_a_manager_that_is_kept_busy_asks_for_nothing_else(controllers: set[str]) -> None:
    settings: dict[str, Any] = {
        "controllers": frozenset(controllers),
        "lease": LeaseSettings(namespace="default"),
        "serving": ServingSettings(metrics_address="0", probe_address="0"),
    }

    async def scenario(world: AppWorld) -> None:
        world.put(a_template("python"), a_pool("pool", template="python", replicas=3))
        world.put(*(a_sandbox(f"w{n}", pool="pool", node=f"n{n}") for n in range(5)))
        world.put(a_claim("warm", pool="pool"), a_claim("cold", pool="none"))
        await world.run_for(30)
        world.put(a_template("late"), a_claim("late", pool="pool"))
        await world.run_for(600)
        asked = {
            Permission(entry.verb, entry.resource, entry.subresource)
            for entry in world.server.requests.last
            if entry.user_agent == "controller" and entry.resource
        }
        may = {need.permission for need in needs(Settings(**settings))}
        assert asked <= may
        assert {one.verb for one in asked} >= {"watch", "create", "update", "patch"}

    virtual(scenario, **settings)


def test_what_is_not_switched_on_needs_nothing() -> None:
    bare = Settings(
        controllers=frozenset({"claim", "pool"}),
        lease=LeaseSettings(enabled=False),
        webhook=WebhookSettings(enabled=False),
    )
    assert {need.part for need in needs(bare)} == {Part.CLAIMS, Part.POOLS, Part.MANAGER}
    kinds = {need.permission.resource.partition(".")[0] for need in needs(bare)}
    assert kinds == {"sandboxclaims", "sandboxwarmpools", "sandboxtemplates", "sandboxes", "events"}
    given = Settings(
        webhook=WebhookSettings(manages_certs=False),
        serving=ServingSettings(diagnostics_address=":8082"),
    )
    parts = {need.part for need in needs(given)}
    assert Part.WEBHOOK not in parts
    assert Part.SNAPSHOT in parts


@pytest.mark.parametrize(
    "serving",
    [
        ServingSettings(metrics_secure=True),
        ServingSettings(diagnostics_address=":8082", diagnostics_secure=True),
    ],
)
def test_who_asks_for_tokens_may_have_them_reviewed(serving: ServingSettings) -> None:
    plain = replace(serving, metrics_secure=False, diagnostics_secure=False)
    more = set(needs(Settings(serving=serving))) - set(needs(Settings(serving=plain)))
    assert {(need.place, str(need.permission)) for need in more} == {
        (Place.CLUSTER, "create tokenreviews.authentication.k8s.io"),
        (Place.CLUSTER, "create subjectaccessreviews.authorization.k8s.io"),
    }


def test_the_seal_needs_one_secret_by_the_name_that_the_flag_gives() -> None:
    sealed = Settings(pools=PoolSettings(seal_secret="keys/mine"))
    (need,) = [need for need in needs(sealed) if need.part is Part.SEAL]
    assert need == Need(Part.SEAL, Place.SEAL, Permission("get", "secrets"), "", "mine")
    assert seal_secret_of(sealed) == ObjectKey("keys", "mine")
    assert seal_secret_of(Settings()) is None


def test_each_set_of_controllers_has_the_name_of_its_own_lease() -> None:
    pair = Settings(controllers=frozenset({"pool", "claim"}))
    names = {need.name for need in needs(pair) if need.permission.resource.startswith("leases")}
    assert names == {"", "a3317529.agent-sandbox.x-k8s.io-claim-pool"}


def test_a_permission_names_the_parts_that_need_it() -> None:
    delete = Permission("delete", "sandboxes.agents.x-k8s.io")
    assert needed_by(delete, all_needs()) == [Part.CLAIMS, Part.POOLS, Part.SANDBOXES]
    assert needed_by(Permission("delete", "nodes"), all_needs()) == []
