"""Environment variables of a claim, put into the containers of its own sandbox."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from warmclaim.api.claim import EnvVar
from warmclaim.domain.wording import shown

ALLOWED, OVERRIDES = "Allowed", "Overrides"


class EnvRejected(Exception):
    """The template does not allow it, or it names what is not there; the text is for the claim."""


def with_env(pod_spec: dict[str, Any], env: Sequence[EnvVar], policy: str) -> dict[str, Any]:
    """A copy of the pod spec with the variables in it. Raises EnvRejected.

    A variable without a container goes to the first one, after those that name it. Init
    containers get only what names them.
    """
    if not env:
        return pod_spec
    if policy not in (ALLOWED, OVERRIDES):
        raise EnvRejected(
            "environment variable injection rejected: environment variable injection is not "
            "allowed by the template policy"
        )
    spec = copy.deepcopy(pod_spec)
    _check_targets(spec, env)
    for container in _containers(spec, "initContainers"):
        _inject(container, _named(env, container), policy)
    for number, container in enumerate(_containers(spec, "containers")):
        untargeted = [var for var in env if not var.container_name] if number == 0 else []
        _inject(container, [*_named(env, container), *untargeted], policy)
    return spec


def _check_targets(spec: dict[str, Any], env: Iterable[EnvVar]) -> None:
    containers = (*_containers(spec, "initContainers"), *_containers(spec, "containers"))
    known = {container.get("name") for container in containers}
    for var in env:
        if var.container_name and var.container_name not in known:
            raise EnvRejected(
                f'target container "{shown(var.container_name)}" not found in template for '
                f'environment variable "{shown(var.name)}"'
            )


def _containers(spec: dict[str, Any], part: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec.get(part) or []
    return found


def _named(env: Iterable[EnvVar], container: dict[str, Any]) -> list[EnvVar]:
    return [var for var in env if var.container_name and var.container_name == container["name"]]


def _inject(container: dict[str, Any], env: Sequence[EnvVar], policy: str) -> None:
    if not env:
        return
    if policy == ALLOWED and container.get("envFrom"):
        # What the sources define is not known here, so nothing can be said to be new.
        raise EnvRejected(
            "environment variable injection rejected: container "
            f'"{shown(container["name"])}" uses EnvFrom sources; the policy Allowed cannot tell '
            "what would be overridden"
        )
    variables: list[dict[str, Any]] = container.setdefault("env", [])
    places = {variable.get("name"): number for number, variable in enumerate(variables)}
    for var in env:
        value = {"name": var.name, "value": var.value}
        place = places.get(var.name)
        if place is None:
            places[var.name] = len(variables)
            variables.append(value)
        elif policy == OVERRIDES:
            variables[place] = value
        else:
            raise EnvRejected(
                "environment variable override is not allowed by the template policy for "
                f'variable "{shown(var.name)}"'
            )
