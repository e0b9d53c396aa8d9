"""`warmclaim explain claim`: asks the API server and a manager, prints what they say of it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final, TypeVar

import msgspec
from yarl import URL

from warmclaim.api.claim import Claim
from warmclaim.api.event import TOLD_EVENT, ToldEvent
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import (
    ANNOTATION_POD_NAME,
    LABEL_CLAIM_UID,
    LABEL_WARM_POOL,
    is_object_name,
    name_hash,
)
from warmclaim.api.pod import Pod
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE
from warmclaim.api.sandbox import Sandbox
from warmclaim.app.diagnostics import PATH
from warmclaim.cli import FAILED, OK
from warmclaim.cli.manager_access import Access, why_unreachable
from warmclaim.domain.claim_steps import ClaimSteps, Step
from warmclaim.domain.eligibility import claim_owner
from warmclaim.domain.explanation import Explanation, Picture, Topic, explain
from warmclaim.errors import NotFoundError, UsageError, WarmclaimError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import Connection, load_connection
from warmclaim.kube.pages import Page
from warmclaim.kube.transport import HttpTransport
from warmclaim.seams import Clock, Request, SystemClock, Transport
from warmclaim.settings import bind_address

MANAGER_S_MAX: Final = 3.0
PAGE_OBJECTS_MAX: Final = 500
EVENT_PAGES_MAX: Final = 4

T = TypeVar("T")


def explain_claim(
    name: str, *, kubeconfig: str, address: str, access: Access, as_json: bool
) -> int:
    """Explain the claim `NAMESPACE/NAME`; 0 if it is Ready, 1 if not.

    Raises UsageError for a name that is none, a claim that does not exist, an API server that
    cannot be asked for it, and a file of `access` that is of no use.
    """
    key = _key(name)
    manager = access.connection(URL(f"{access.scheme}://{_authority(address)}"))
    found = asyncio.run(_explained(key, kubeconfig, manager, access))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print(page(found))
    sys.stdout.flush()
    return OK if found.is_ready else FAILED


def _key(name: str) -> ObjectKey:
    namespace, slash, claim = name.partition("/")
    if not slash or not is_object_name(namespace) or not is_object_name(claim):
        raise UsageError(f"name the claim as NAMESPACE/NAME, not {name[:64]!r}")
    return ObjectKey(namespace, claim)


def _authority(address: str) -> str:
    try:
        where = bind_address(address)
    except ValueError as error:
        raise UsageError(f"--address {address[:64]!r}: {error}") from None
    if where is None or not where.port:
        raise UsageError(f"--address takes HOST:PORT, not {address[:64]!r}")
    host = where.host or "127.0.0.1"
    return f"{f'[{host}]' if ':' in host else host}:{where.port}"


async def _explained(
    key: ObjectKey, kubeconfig: str, to_manager: Connection, access: Access
) -> Explanation:
    clock = SystemClock()
    connection = load_connection(kubeconfig or None, environ=os.environ, clock=clock)
    server = HttpTransport(connection)
    transport = HttpTransport(to_manager)
    try:
        client = ApiClient(server, clock=clock)
        manager = Manager(transport, to_manager.server_url, access)
        return explain(await Onlooker(client, manager, clock).look(key))
    finally:
        await transport.close()
        await server.close()


class Manager:
    """The manager that is asked for its own record of a claim."""

    def __init__(self, transport: Transport, url: str, access: Access) -> None:
        self._transport = transport
        self._url = url
        self._access = access

    async def record(self, key: ObjectKey) -> ClaimSteps | str:
        """The record; where there is none to be had, why, and what to do about it."""
        path = f"{PATH}{key.namespace}/{key.name}"
        try:
            answer = await self._transport.request(Request("GET", path, timeout_s=MANAGER_S_MAX))
        except WarmclaimError as error:
            why = why_unreachable(error, is_secure=self._url.startswith("https:"))
            return self._gap(f"{why}; {_PORT_FORWARD}")
        if answer.status != 200:
            hint = self._access.why_refused(answer.status, path)
            return self._gap(f"it answered {answer.status}; {hint or _PORT_FORWARD}")
        try:
            return msgspec.json.decode(answer.body, type=ClaimSteps)
        except msgspec.DecodeError:
            return self._gap(f"what answers there is no such manager; {_PORT_FORWARD}")

    def _gap(self, why: str) -> str:
        return f"the controller's own record, from {self._url}: {why}"


_PORT_FORWARD: Final = (
    "kubectl -n agent-sandbox-system port-forward deploy/agent-sandbox-controller 8080 makes the"
    " manager answer at the default --address"
)


class Onlooker:
    """Gathers what can be known of a claim; what it may not read, or cannot, becomes a gap."""

    def __init__(self, client: ApiClient, manager: Manager, clock: Clock) -> None:
        self._client = client
        self._manager = manager
        self._clock = clock
        self._gaps: list[str] = []

    async def look(self, key: ObjectKey) -> Picture:
        """Everything, in some ten requests. Raises UsageError where there is no such claim."""
        claim = await self._claim(key)
        pool = await self._pool(claim)
        owned = await self._owned(claim)
        shown = next((s for s in owned if s.metadata.name == claim.published), None)
        return Picture(
            claim=claim,
            pool=pool,
            has_template=await self._has_template(pool),
            members=await self._members(claim) if pool else (),
            owned=owned,
            pod=await self._pod(shown or next(iter(owned), None)),
            events=await self._events(claim),
            record=await self._record(key),
            gaps=self._gaps,
            now_s=self._clock.wall(),
        )

    async def _claim(self, key: ObjectKey) -> Claim:
        try:
            return await self._client.get(CLAIM, key)
        except NotFoundError as error:
            raise UsageError(f"there is no claim {key} ({error.message})") from None
        except WarmclaimError as error:
            raise UsageError(f"claim {key} could not be read: {error}") from None

    async def _pool(self, claim: Claim) -> Pool | None:
        name = claim.spec.warm_pool_ref.name
        if not is_object_name(name):
            return None
        key = ObjectKey(claim.metadata.namespace, name)
        return await self._tried(f"pool {key}", lambda: self._client.get(POOL, key))

    async def _has_template(self, pool: Pool | None) -> bool:
        name = pool.spec.sandbox_template_ref.name if pool else ""
        if pool is None or not is_object_name(name):
            return False
        key = ObjectKey(pool.metadata.namespace, name)
        found = await self._tried(f"template {key}", lambda: self._client.get(TEMPLATE, key))
        return found is not None

    async def _owned(self, claim: Claim) -> list[Sandbox]:
        """By the claim's uid: once more by name, since a label may have been taken off."""
        uid, namespace = claim.metadata.uid, claim.metadata.namespace
        found = await self._listed("its sandboxes", namespace, f"{LABEL_CLAIM_UID}={uid}")
        if is_object_name(claim.published):
            key = ObjectKey(namespace, claim.published)
            named = await self._tried(f"sandbox {key}", lambda: self._client.get(SANDBOX, key))
            found += [named] if named else []
        by_name = {sandbox.metadata.name: sandbox for sandbox in found}
        owners = {name: claim_owner(sandbox) for name, sandbox in by_name.items()}
        return [by_name[name] for name, owner in owners.items() if owner and owner.uid == uid]

    async def _members(self, claim: Claim) -> list[Sandbox]:
        pool = claim.spec.warm_pool_ref.name
        selector = f"{LABEL_WARM_POOL}={name_hash(pool)}"
        return await self._listed(f"members of {pool}", claim.metadata.namespace, selector)

    async def _pod(self, sandbox: Sandbox | None) -> Pod | None:
        if sandbox is None:
            return None
        name = sandbox.metadata.annotations.get(ANNOTATION_POD_NAME) or sandbox.metadata.name
        if not is_object_name(name):
            return None
        key = ObjectKey(sandbox.metadata.namespace, name)
        return await self._tried(f"pod {key}", lambda: self._client.get(POD, key))

    async def _listed(self, what: str, namespace: str, selector: str) -> list[Sandbox]:
        listed = await self._tried(
            what,
            lambda: self._client.list_page(
                SANDBOX, namespace=namespace, label_selector=selector, limit=PAGE_OBJECTS_MAX
            ),
        )
        if listed is not None and listed.continue_token:
            self._gaps.append(f"{what}: only the first {PAGE_OBJECTS_MAX} were read")
        return listed.items if listed else []

    async def _events(self, claim: Claim) -> list[ToldEvent]:
        found: list[ToldEvent] = []
        token, namespace = "", claim.metadata.namespace
        for _ in range(EVENT_PAGES_MAX):
            listed = await self._tried("events", partial(self._event_page, namespace, token))
            if listed is None:
                return found
            found += [e for e in listed.items if e.regarding.uid == claim.metadata.uid]
            token = listed.continue_token
            if not token:
                return found
        self._gaps.append(f"events: only the first {EVENT_PAGES_MAX * PAGE_OBJECTS_MAX} were read")
        return found

    async def _event_page(self, namespace: str, token: str) -> Page[ToldEvent]:
        return await self._client.list_page(
            TOLD_EVENT, namespace=namespace, limit=PAGE_OBJECTS_MAX, continue_token=token
        )

    async def _record(self, key: ObjectKey) -> ClaimSteps | None:
        """What the manager says; without it the rest still stands."""
        found = await self._manager.record(key)
        if isinstance(found, str):
            self._gaps.append(found)
            return None
        return found

    async def _tried(self, what: str, read: Callable[[], Awaitable[T]]) -> T | None:
        """The answer; None where there is nothing of the kind, and where it cannot be read."""
        try:
            return await read()
        except NotFoundError:
            return None
        except WarmclaimError as error:
            self._gaps.append(f"{what}: {error}")
            return None


def page(found: Explanation) -> str:
    """The explanation for people; what users wrote cannot move the cursor or colour the rest."""
    lines = [f"Claim {found.claim}", ""]
    for finding in found.findings:
        head = "" if finding.topic is Topic.VERDICT else f"{_WORDS[finding.topic]:<14}"
        lines.append(head + finding.text)
        if finding.hint:
            lines.append(" " * len(head) + f"-> {finding.hint}")
    if found.steps:
        lines += ["", "Steps of the controller:", *map(_step_line, found.steps)]
    if found.events:
        lines += ["", "Events:", *(f"  {event}" for event in found.events)]
    return "\n".join(map(_printable, lines))


_WORDS: Final = {
    Topic.PICK: "why this one",
    Topic.CLAIM: "claim",
    Topic.POOL: "pool",
    Topic.SANDBOX: "sandbox",
    Topic.POD: "pod",
    Topic.RECORD: "controller",
    Topic.GAP: "not known",
}


def _step_line(step: Step) -> str:
    times = f" (x{step.count}, last {step.last_at})" if step.count > 1 else ""
    return f"  {step.at}  {step.step:<12} {_facts(step)}{times}".rstrip()


def _facts(step: Step) -> str:
    return " ".join(_pairs(step.facts.items()))


def _pairs(facts: Iterable[tuple[str, object]]) -> Iterable[str]:
    return (f"{name}={value}" for name, value in facts)


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in line)
