"""Which permissions a manager needs, for which of its parts, and where: the only such list.

The roles of `config` grant exactly this, `warmclaim check` asks for it, and the events about a
missing permission say by it what is held up. Verbs are those of the requests that the parts send.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from warmclaim.api.event import EVENT
from warmclaim.api.lease import LEASE
from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import (
    CLAIM,
    CUSTOM_RESOURCE,
    NETWORK_POLICY,
    POD,
    POOL,
    SANDBOX,
    SECRET,
    SERVICE,
    TEMPLATE,
    VOLUME_CLAIM,
    Resource,
)
from warmclaim.api.review import ACCESS_REVIEW, TOKEN_REVIEW
from warmclaim.kube.lease import lease_name
from warmclaim.kube.permissions import Permission
from warmclaim.settings import CONTROLLERS, Settings
from warmclaim.webhook.definitions import CORE_DEFINITIONS, EXTENSION_DEFINITIONS
from warmclaim.webhook.pair import SECRET_NAME


class Part(StrEnum):
    """What of the manager needs a permission; a role of its own in `config` for each."""

    CLAIMS = "claim controller"
    POOLS = "pool controller"
    SANDBOXES = "sandbox controller"
    TEMPLATES = "template controller"
    MANAGER = "manager"
    WEBHOOK = "conversion webhook"
    SNAPSHOT = "snapshot"
    ENDPOINTS = "guard of the endpoints"
    """Asks who bears a token, and what he may read of ours."""
    SEAL = "seal"
    OWNERS = "owner references"
    """Only with the plug-in OwnerReferencesPermissionEnforcement, which cannot be seen."""


class Place(StrEnum):
    """Where a permission is needed."""

    OBJECTS = "objects"
    """In each namespace whose objects are looked after."""
    OWN = "own"
    """Where the Lease is."""
    WEBHOOK = "webhook"
    """Where the webhook's certificate is."""
    SEAL = "seal"
    """Where the keys of the seal are."""
    CLUSTER = "cluster"
    """Of an object that belongs to no namespace."""


class Need(NamedTuple):
    """A permission, and for what. `name`: the only object that it is needed for, "" for any."""

    part: Part
    place: Place
    permission: Permission
    group: str
    """The API group of `permission.resource`, which names it as well."""
    name: str = ""


class _Row(NamedTuple):
    part: Part
    resource: Resource[Any]
    verbs: str
    subresource: str = ""
    place: Place = Place.OBJECTS
    names: tuple[str, ...] = ("",)


_OF_CONTROLLER: Final[Mapping[str, Part]] = {
    "claim": Part.CLAIMS,
    "pool": Part.POOLS,
    "sandbox": Part.SANDBOXES,
    "template": Part.TEMPLATES,
}

_MADE_SANDBOXES: Final = "get list watch create patch delete"

_ROWS: Final = (
    _Row(Part.CLAIMS, CLAIM, "get list watch patch delete"),
    _Row(Part.CLAIMS, CLAIM, "patch", "status"),
    _Row(Part.CLAIMS, POOL, "list watch"),
    _Row(Part.CLAIMS, TEMPLATE, "list watch"),
    _Row(Part.CLAIMS, SANDBOX, _MADE_SANDBOXES),
    _Row(Part.CLAIMS, EVENT, "create patch"),
    _Row(Part.POOLS, POOL, "get list watch patch"),
    _Row(Part.POOLS, POOL, "patch", "status"),
    _Row(Part.POOLS, TEMPLATE, "list watch"),
    _Row(Part.POOLS, SANDBOX, _MADE_SANDBOXES),
    _Row(Part.POOLS, EVENT, "create patch"),
    _Row(Part.SANDBOXES, SANDBOX, "get list watch patch delete"),
    _Row(Part.SANDBOXES, SANDBOX, "patch", "status"),
    _Row(Part.SANDBOXES, POD, "get list watch create patch delete"),
    _Row(Part.SANDBOXES, SERVICE, "get list watch create patch delete"),
    _Row(Part.SANDBOXES, VOLUME_CLAIM, "get list watch create patch"),
    _Row(Part.SANDBOXES, EVENT, "create patch"),
    _Row(Part.TEMPLATES, TEMPLATE, "list watch patch"),
    _Row(Part.TEMPLATES, NETWORK_POLICY, "get list watch create patch delete"),
    _Row(Part.TEMPLATES, EVENT, "create patch"),
    _Row(Part.MANAGER, EVENT, "create patch", place=Place.OWN),
    # A create cannot be limited to a name: the server does not know the name when it authorizes.
    _Row(Part.MANAGER, LEASE, "create", place=Place.OWN),
    _Row(
        Part.WEBHOOK,
        CUSTOM_RESOURCE,
        "get patch",
        place=Place.CLUSTER,
        names=CORE_DEFINITIONS + EXTENSION_DEFINITIONS,
    ),
    _Row(Part.WEBHOOK, SECRET, "create", place=Place.WEBHOOK),
    _Row(Part.WEBHOOK, SECRET, "get patch", place=Place.WEBHOOK, names=(SECRET_NAME,)),
    *(_Row(Part.SNAPSHOT, of, "list") for of in (SANDBOX, CLAIM, POOL, TEMPLATE, POD, EVENT)),
    *(
        _Row(Part.ENDPOINTS, of, "create", place=Place.CLUSTER)
        for of in (TOKEN_REVIEW, ACCESS_REVIEW)
    ),
    *(_Row(Part.OWNERS, of, "update", "finalizers") for of in (SANDBOX, CLAIM, POOL, TEMPLATE)),
)


SEAL_SECRET: Final = "agent-sandbox-seal"
"""The name that `config` gives to the Secret with the keys of the seal."""


def table(
    controllers: frozenset[str] = CONTROLLERS, seal_secret: str = SEAL_SECRET
) -> Iterator[Need]:
    """Every need there is. `controllers` decide on the Lease's name alone."""
    seal = _Row(Part.SEAL, SECRET, "get", "", Place.SEAL, (seal_secret,))
    lease = _Row(Part.MANAGER, LEASE, "get update watch", "", Place.OWN, (lease_name(controllers),))
    for row in (*_ROWS, seal, lease):
        for verb in row.verbs.split():
            permission = Permission(verb, str(row.resource), row.subresource)
            for name in row.names:
                yield Need(row.part, row.place, permission, row.resource.group, name)


def needs(settings: Settings) -> list[Need]:
    """Those of a manager with these settings. Several parts may need the same."""
    parts = parts_of(settings)
    seal = seal_secret_of(settings)
    rows = table(settings.controllers, seal.name if seal else SEAL_SECRET)
    found = [need for need in rows if need.part in parts]
    if settings.lease.enabled:
        return found
    return [need for need in found if not need.permission.resource.startswith("leases.")]


def parts_of(settings: Settings) -> frozenset[Part]:
    """What runs with these settings."""
    parts = {_OF_CONTROLLER[name] for name in settings.controllers} | {Part.MANAGER}
    if settings.webhook.enabled and settings.webhook.manages_certs:
        parts.add(Part.WEBHOOK)
    if settings.serving.diagnostics_address not in {"", "0"}:
        parts.add(Part.SNAPSHOT)
    if settings.serving.metrics_secure or settings.serving.diagnostics_secure:
        parts.add(Part.ENDPOINTS)
    if settings.pools.seal_secret:
        parts.add(Part.SEAL)
    return frozenset(parts)


def seal_secret_of(settings: Settings) -> ObjectKey | None:
    """The Secret with the keys of the seal; None where nothing is sealed."""
    namespace, slash, name = settings.pools.seal_secret.partition("/")
    return ObjectKey(namespace, name) if slash else None


def needed_by(permission: Permission, among: Iterable[Need]) -> list[Part]:
    """The parts that need it, in the order of the table."""
    return list(dict.fromkeys(need.part for need in among if need.permission == permission))
