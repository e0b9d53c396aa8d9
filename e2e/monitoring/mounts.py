"""A pod's files without a kubelet: what the StatefulSet of the operator mounts, below a folder.

The paths stay as they are but for the folder in front of them, in the configuration and in the
arguments alike. It is all that is changed, but for what the operator leaves to its sidecar.
"""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

from e2e.controlplane.api import ApiSession, Object
from e2e.monitoring.operator import ACCOUNT_MOUNT

_CONTAINERS = ("prometheus", "config-reloader")
_DATA = "/prometheus"
_CONFIGURATION = "/etc/prometheus/config/prometheus.yaml.gz"
_COMPLETED = "/etc/prometheus/config_out/prometheus.env.yaml"


class Mounts:
    """The files of the only pod of a StatefulSet of the operator."""

    def __init__(self, api: ApiSession, stateful_set: Object, root: Path) -> None:
        self._api = api
        self._namespace: str = stateful_set["metadata"]["namespace"]
        self._pod = f"{stateful_set['metadata']['name']}-0"
        self._spec: Object = stateful_set["spec"]["template"]["spec"]
        self._root = root
        self._mounts: list[Object] = [
            mount
            for container in self._spec["containers"]
            if container["name"] in _CONTAINERS
            for mount in container["volumeMounts"]
        ]

    def write(self, token: str, authority: str) -> None:
        """All of them, and the account's token, which the kubelet adds."""
        volumes = {volume["name"]: volume for volume in self._spec["volumes"]}
        for mount in self._mounts:
            point, content = self._below(mount["mountPath"]), self._content(volumes[mount["name"]])
            if "subPath" in mount:
                point.parent.mkdir(parents=True, exist_ok=True)
                point.write_bytes(content[mount["subPath"]])
                continue
            point.mkdir(parents=True, exist_ok=True)
            for file, data in content.items():
                (point / file).write_bytes(data)
        self._below(ACCOUNT_MOUNT).mkdir(parents=True, exist_ok=True)
        (self._below(ACCOUNT_MOUNT) / "ca.crt").write_text(authority)
        self.write_token(token)
        self._below(_COMPLETED).write_text(self._completed())

    def write_token(self, token: str) -> None:
        """Another token of the account, which is read again for each request."""
        (self._below(ACCOUNT_MOUNT) / "token").write_text(token)

    def arguments(self) -> list[str]:
        """What the operator starts Prometheus with."""
        (server,) = [one for one in self._spec["containers"] if one["name"] == "prometheus"]
        return [self._moved(argument) for argument in server["args"]]

    def _completed(self) -> str:
        """The configuration as the sidecar hands it over: unpacked, and with the pod's name."""
        text = gzip.decompress(self._below(_CONFIGURATION).read_bytes()).decode()
        return self._moved(text.replace("$(POD_NAME)", self._pod).replace("$(SHARD)", "0"))

    def _content(self, volume: Object) -> dict[str, bytes]:
        """Files of a Secret or a ConfigMap, or of several; none where the pod itself writes."""
        if "secret" in volume:
            data = self._data("secrets", volume["secret"]["secretName"], volume["secret"])
            return {key: base64.b64decode(value) for key, value in data.items()}
        if "configMap" in volume:
            data = self._data("configmaps", volume["configMap"]["name"], volume["configMap"])
            return {key: value.encode() for key, value in data.items()}
        found: dict[str, bytes] = {}
        for source in volume.get("projected", {}).get("sources", []):
            secret = source["secret"]
            found |= self._content({"secret": secret | {"secretName": secret["name"]}})
        return found

    def _data(self, plural: str, name: str, source: Object) -> dict[str, str]:
        path = f"/api/v1/namespaces/{self._namespace}/{plural}/{name}"
        # The operator mounts more ConfigMaps than it has rules for, ahead of need.
        if source.get("optional") and self._api.status(path) == 404:
            return {}
        found: dict[str, str] = self._api.get(path).get("data", {})
        return found

    def _below(self, path: str) -> Path:
        return self._root / path.removeprefix("/")

    def _moved(self, text: str) -> str:
        """With the folder in front of each path that is mounted."""
        for prefix in ("/etc/prometheus", ACCOUNT_MOUNT, f"={_DATA}"):
            start = "=" if prefix.startswith("=") else ""
            text = text.replace(prefix, f"{start}{self._below(prefix.removeprefix(start))}")
        return text
