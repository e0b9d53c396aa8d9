"""Gathers what `warmclaim check` judges. Only reads, and reviews of one's own rights."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from warmclaim.api.crd import Conversion
from warmclaim.api.definition import DEFINITION
from warmclaim.api.lease import LEASE
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import EXTENSIONS_GROUP, SANDBOX_GROUP
from warmclaim.api.resources import CLAIM, POOL, SANDBOX, SECRET, TEMPLATE
from warmclaim.api.review import OWN_ACCESS_REVIEW
from warmclaim.app.needs import Need, Place, needs, seal_secret_of
from warmclaim.domain.preflight import (
    Facts,
    KindFacts,
    LeaseFacts,
    PermissionFacts,
    ServerFacts,
    WebhookFacts,
)
from warmclaim.errors import (
    ApiError,
    ForbiddenError,
    NotFoundError,
    PermanentError,
    StreamError,
    WarmclaimError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.lease import lease_name
from warmclaim.kube.permissions import Missing, Permission
from warmclaim.seams import Clock
from warmclaim.settings import Settings
from warmclaim.webhook.pair import AUTHORITIES, SECRET_NAME, pair_of

DOCUMENT_BYTES_MAX: Final = 512 * 1024
REVIEWS_AT_ONCE_MAX: Final = 8

_KINDS: Final = (SANDBOX, CLAIM, TEMPLATE, POOL)
_POLICIES: Final = "/apis/admissionregistration.k8s.io/v1"


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    git_version: str = ""
    minor: str = ""


class _Listed(msgspec.Struct, frozen=True):
    name: str = ""


class _Resources(msgspec.Struct, frozen=True):
    resources: tuple[_Listed, ...] = ()


class _GroupVersion(msgspec.Struct, frozen=True):
    version: str = ""


class _Group(msgspec.Struct, frozen=True):
    versions: tuple[_GroupVersion, ...] = ()


class Scout:
    """Asks one API server, as one account, for a manager with these settings.

    `namespace` is the manager's own, where its Lease is. What cannot be asked becomes a gap.
    """

    def __init__(
        self, client: ApiClient, clock: Clock, settings: Settings, namespace: str, url: str
    ) -> None:
        self._client = client
        self._clock = clock
        self._settings = settings
        self._namespace = namespace
        self._url = url
        self._watched = settings.namespaces[0] if settings.namespaces else ""
        self._gaps: list[str] = []

    async def gather(self) -> Facts:
        """Everything, in some hundred small requests. Raises WarmclaimError where the server does
        not even tell its version."""
        server = await self._server()
        served = await self._served(SANDBOX_GROUP) | await self._served(EXTENSIONS_GROUP)
        kinds = [await self._kind(name, versions) for name, versions in served.items()]
        return Facts(
            server=server,
            kinds=kinds,
            permissions=await self._permissions(),
            lease=await self._lease(),
            webhook=await self._webhook(any(kind.converter for kind in kinds)),
            gaps=self._gaps,
        )

    async def _server(self) -> ServerFacts:
        before_s = self._clock.wall()
        headers, text = await self._document("/version")
        now_s = (before_s + self._clock.wall()) / 2
        version = msgspec.json.decode(text, type=_Version)
        digits = version.minor.rstrip("+")
        return ServerFacts(
            url=self._url,
            version=version.git_version,
            minor=int(digits) if digits.isdecimal() else None,
            ahead_s=_ahead_s(headers.get("date", ""), now_s),
            has_watch_list=await self._has_watch_list(),
            has_policies=await self._has_policies(),
        )

    async def _document(self, path: str) -> tuple[Mapping[str, str], bytes]:
        stream, text = await self._client.open_document(path), bytearray()
        try:
            while piece := await stream.read():
                text += piece
                if len(text) > DOCUMENT_BYTES_MAX:
                    raise StreamError(f"{path} has more than {DOCUMENT_BYTES_MAX} bytes")
        finally:
            await stream.close()
        return stream.headers, bytes(text)

    async def _has_watch_list(self) -> bool | None:
        """By opening one: servers that know it answer, others refuse the parameter."""
        try:
            stream = await self._client.watch(
                SANDBOX, namespace=self._watched or None, timeout_s=1.0, send_initial_events=True
            )
        except ApiError as error:
            # Of a kind that is not there, or may not be read, other findings tell.
            return False if isinstance(error, PermanentError) else None
        await stream.close()
        return True

    async def _has_policies(self) -> bool | None:
        names = await self._resources(_POLICIES)
        return None if names is None else "validatingadmissionpolicies" in names

    async def _resources(self, path: str) -> frozenset[str] | None:
        """Plurals that are served at a group's version; None where that could not be asked."""
        try:
            _, text = await self._document(path)
        except WarmclaimError as error:
            if _is_absent(error):
                return frozenset()
            self._gaps.append(f"what is served at {path}: {error}")
            return None
        found = msgspec.json.decode(text, type=_Resources).resources
        return frozenset(resource.name for resource in found)

    async def _served(self, group: str) -> dict[str, frozenset[str]]:
        """In which versions each of our kinds of the group is served, by its full name."""
        try:
            _, text = await self._document(f"/apis/{group}")
            versions = [v.version for v in msgspec.json.decode(text, type=_Group).versions]
        except ApiError as error:
            if not _is_absent(error):
                raise
            versions = []
        plurals = {
            version: await self._resources(f"/apis/{group}/{version}") for version in versions
        }
        return {
            str(kind): frozenset(v for v in versions if kind.plural in (plurals[v] or ()))
            for kind in _KINDS
            if kind.group == group
        }

    async def _kind(self, name: str, served: frozenset[str]) -> KindFacts:
        if not served:
            return KindFacts(name, served)
        try:
            found = await self._client.get(DEFINITION, ObjectKey("", name))
        except ForbiddenError:
            return KindFacts(name, served)  # a manager without the webhook need not read it
        except WarmclaimError as error:
            self._gaps.append(f"the definition of {name}: {error}")
            return KindFacts(name, served)
        converter, trusts = _converter(found.spec.conversion)
        return KindFacts(name, served, found.status.stored_versions, converter, trusts)

    async def _permissions(self) -> list[PermissionFacts]:
        """One review for each permission and place, a few at a time."""
        by_question: dict[tuple[Permission, str, str, str], list[Need]] = {}
        for need in needs(self._settings):
            question = (need.permission, need.group, self._place(need.place), need.name)
            by_question.setdefault(question, []).append(need)
        turns = asyncio.Semaphore(REVIEWS_AT_ONCE_MAX)
        async with asyncio.TaskGroup() as tasks:
            asked = [
                tasks.create_task(self._permission(*question, for_whom, turns))
                for question, for_whom in by_question.items()
            ]
        return [task.result() for task in asked]

    def _place(self, place: Place) -> str:
        """The namespace; "" is the cluster as a whole."""
        seal = seal_secret_of(self._settings)
        return {
            Place.OBJECTS: self._watched,
            Place.OWN: self._namespace,
            Place.WEBHOOK: self._settings.webhook.namespace,
            Place.SEAL: seal.namespace if seal else "",
            Place.CLUSTER: "",
        }[place]

    async def _permission(
        self,
        permission: Permission,
        group: str,
        namespace: str,
        name: str,
        for_whom: list[Need],
        turns: asyncio.Semaphore,
    ) -> PermissionFacts:
        attributes = {
            "namespace": namespace,
            "verb": permission.verb,
            "group": group,
            "resource": permission.resource.removesuffix(f".{group}"),
            "subresource": permission.subresource,
            "name": name,
        }
        body = {
            "apiVersion": OWN_ACCESS_REVIEW.api_version,
            "kind": OWN_ACCESS_REVIEW.kind,
            "spec": {"resourceAttributes": attributes},
        }
        words = str(Missing(permission, namespace)) + (f' named "{name}"' if name else "")
        parts = tuple(dict.fromkeys(need.part.value for need in for_whom))
        try:
            async with turns:
                answer = await self._client.review(
                    OWN_ACCESS_REVIEW, body, timeout_s=self._settings.api.request_timeout_s
                )
        except WarmclaimError as error:
            return PermissionFacts(words, parts, False, str(error))
        return PermissionFacts(words, parts, answer.is_allowed)

    async def _lease(self) -> LeaseFacts | None:
        if not self._settings.lease.enabled:
            return None
        key = ObjectKey(self._namespace, lease_name(self._settings.controllers))
        try:
            lease = await self._client.get(LEASE, key)
        except NotFoundError:
            return LeaseFacts(str(key))
        except WarmclaimError as error:
            return LeaseFacts(str(key), problem=str(error))
        return LeaseFacts(str(key), lease.holder)

    async def _webhook(self, is_asked_for: bool) -> WebhookFacts:
        settings = self._settings.webhook
        service = f"{settings.namespace}/{settings.service_name}"
        if not settings.enabled or not is_asked_for:
            return WebhookFacts(settings.enabled, service)
        try:
            secret = await self._client.get(SECRET, ObjectKey(settings.namespace, SECRET_NAME))
        except NotFoundError:
            return WebhookFacts(True, service)
        except WarmclaimError as error:
            return WebhookFacts(True, service, problem=str(error))
        # Here, for its price: most clusters convert nothing.
        from warmclaim.webhook.certificates import why_unfit

        data = secret.decoded()
        authorities = data.get(AUTHORITIES, b"")
        names = (f"{settings.service_name}.{settings.namespace}.svc",)
        unfit = why_unfit(pair_of(data), authorities, names, self._clock.wall())
        return WebhookFacts(True, service, True, unfit, authorities=authorities)


def _is_absent(error: WarmclaimError) -> bool:
    """Nothing is served at such a path: a server says so in plain text, which is no Status."""
    return isinstance(error, ApiError) and error.status == 404


def _ahead_s(date: str, now_s: float) -> float | None:
    """How far a Date header is before `now_s`; it has whole seconds, cut off."""
    try:
        said = parsedate_to_datetime(date)
    except ValueError:
        return None
    return said.replace(tzinfo=said.tzinfo or UTC).timestamp() + 0.5 - now_s


def _converter(conversion: Conversion) -> tuple[str, bytes]:
    """The Service that is asked, and the authorities that are trusted there."""
    if conversion.strategy != "Webhook":
        return "", b""
    config = conversion.webhook.client_config if conversion.webhook else None
    if config is None or config.service is None:
        return "?", b""
    try:
        trusts = b64decode(config.ca_bundle, validate=True)
    except (Base64Error, ValueError):
        trusts = b""
    return f"{config.service.namespace}/{config.service.name}", trusts
