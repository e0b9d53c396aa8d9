"""What the server itself writes into a new object of a built-in kind. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from warmclaim.testing import refusals
from warmclaim.testing.json_values import Json, is_object
from warmclaim.testing.refusals import cause
from warmclaim.testing.resources import (
    CRD,
    NAMESPACE,
    POD,
    PVC,
    SERVICE,
    kind_from_crd,
)

_TOLERATED = ("not-ready", "unreachable")
_POD_SPEC: Json = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "tolerations": [
        {
            "key": f"node.kubernetes.io/{trouble}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        }
        for trouble in _TOLERATED
    ],
    "priority": 0,
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
}
_CONTAINER: Json = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_SERVICE_SPEC: Json = {
    "type": "ClusterIP",
    "sessionAffinity": "None",
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "internalTrafficPolicy": "Cluster",
}
# Go's MicroTime takes six digits, no fewer and no more.
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)\Z")


def completed(resource: str, value: Json, now: str) -> Json:
    """A new object with the server's own fields; `value` itself for kinds without any.

    `now` is the time as RFC 3339 text. Refuses (422) a CustomResourceDefinition that cannot be
    served.
    """
    complete = _BY_RESOURCE.get(resource)
    return complete(value, now) if complete else value


def _namespace(value: Json, now: str) -> Json:
    del now
    metadata = value["metadata"]
    labels = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": metadata["name"]}
    return {
        **value,
        "metadata": {**metadata, "labels": labels},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _pod(value: Json, now: str) -> Json:
    del now
    spec = value.get("spec")
    if not is_object(spec) or not spec.get("containers"):
        found = cause("FieldValueRequired", "Required value", "spec.containers")
        raise refusals.invalid("Pod", "", value["metadata"]["name"], [found])
    listed: Any = spec["containers"]
    if not isinstance(listed, list) or not all(map(is_object, cast("Sequence[Any]", listed))):
        why = "json: cannot unmarshal into Go struct field PodSpec.spec.containers"
        raise refusals.undecodable("Pod", "Pod", "v1", why)
    containers = [
        {**_CONTAINER, "imagePullPolicy": _pull_policy(container), **container}
        for container in cast("list[Json]", listed)
    ]
    spec = {**_POD_SPEC, **spec, "containers": containers}
    return {**value, "spec": spec, "status": {"phase": "Pending", "qosClass": "BestEffort"}}


def _pull_policy(container: Json) -> str:
    _, _, tag = str(container.get("image", "")).rpartition("/")[2].partition(":")
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _service(value: Json, now: str) -> Json:
    del now
    spec: Json = {**_SERVICE_SPEC, **value.get("spec", {})}
    if spec.get("clusterIP") == "None":
        spec["clusterIPs"] = ["None"]
    elif not spec.get("ports"):
        found = cause("FieldValueRequired", "Required value", "spec.ports")
        raise refusals.invalid("Service", "", value["metadata"]["name"], [found])
    return {**value, "spec": spec, "status": {"loadBalancer": {}}}


def require_micro_times(lease: Json) -> None:
    """Refuses (400) a Lease whose times have not exactly six digits after the second."""
    spec: Json = lease.get("spec") or {}
    for name in ("acquireTime", "renewTime"):
        text = spec.get(name)
        if text is not None and not _MICRO_TIME.match(str(text)):
            why = f'parsing time "{text}" as "2006-01-02T15:04:05.000000Z07:00"'
            raise refusals.undecodable("Lease", "Lease", "v1", why)


def _claim(value: Json, now: str) -> Json:
    del now
    spec = {"volumeMode": "Filesystem", **value.get("spec", {})}
    return {**value, "spec": spec, "status": {"phase": "Pending"}}


def _crd(value: Json, now: str) -> Json:
    try:
        kind = kind_from_crd(value)
    except (KeyError, ValueError, TypeError, StopIteration) as error:
        found = cause("FieldValueInvalid", f"Invalid value: {error!r}", "spec")
        raise refusals.invalid(CRD.kind, CRD.group, value["metadata"]["name"], [found]) from error
    if value["metadata"]["name"] != kind.resource:
        said = f'Invalid value: "{value["metadata"]["name"]}": must be spec.names.plural+"."+group'
        found = cause("FieldValueInvalid", said, "metadata.name")
        raise refusals.invalid(CRD.kind, CRD.group, value["metadata"]["name"], [found])
    conditions = [
        {
            "type": type_,
            "status": "True",
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        for type_, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    status = {
        "conditions": conditions,
        "acceptedNames": value["spec"]["names"],
        "storedVersions": [kind.version],
    }
    return {**value, "status": status}


_BY_RESOURCE: Mapping[str, Callable[[Json, str], Json]] = {
    NAMESPACE.resource: _namespace,
    POD.resource: _pod,
    SERVICE.resource: _service,
    PVC.resource: _claim,
    CRD.resource: _crd,
}
