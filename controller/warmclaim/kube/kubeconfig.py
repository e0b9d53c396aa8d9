"""Kubeconfig files through the `kubernetes` package; import this module only when there is one.

The package does the reading (merged files, contexts, relative paths, token files, exec plugins)
and keeps the keys it had to decode in temporary files of mode 0600 until exit. Added here: its
errors say which file and field, and what it answers with silence is an error: an exec plugin that
fails, a field that is not base64, and settings it would ignore, under which this program would go
to another server or act as somebody else.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast
from urllib.parse import urlsplit

import yaml
from kubernetes.config import ConfigException, kube_config

from warmclaim.errors import UsageError
from warmclaim.kube.answers import plain

_BASE64_FIELDS: Final = (
    "certificate-authority-data",
    "client-certificate-data",
    "client-key-data",
)
_REFUSED_FIELDS: Final = {
    "proxy-url": "proxies are not used; remove it",
    "auth-provider": "Kubernetes removed it in 1.26; use exec",
    "as": "impersonation is not supported; use credentials of that user",
    "as-uid": "impersonation is not supported; use credentials of that user",
    "as-groups": "impersonation is not supported; use credentials of that user",
}

_Fields = Mapping[str, Any]
_package: Any = kube_config  # it has no types


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a kubeconfig says about its current context. Files are absolute paths; with
    `is_ca_inline` the CA's is a copy of what stands in the kubeconfig."""

    server_url: str
    authorization: str | None = field(repr=False)
    ca_file: str | None
    is_ca_inline: bool
    cert_file: str | None
    key_file: str | None
    tls_server_name: str | None
    is_verified: bool


class Kubeconfig:
    """`paths` is one file, or several as in $KUBECONFIG; `origin` says where they were given."""

    def __init__(self, paths: str, origin: str) -> None:
        self._paths = paths
        self._where = f"{origin} {plain(paths)}"

    def load(self) -> Loaded:
        """Read all of it again. Blocks; may run an exec plugin. Raises UsageError."""
        files = [Path(path).expanduser() for path in self._paths.split(os.pathsep) if path]
        if not any(path.exists() for path in files):
            raise UsageError(f"{self._where}: no such file")
        try:
            return self._load()
        except yaml.YAMLError as error:
            raise UsageError(f"{self._where}: not YAML{_place(error)}") from error
        except ConfigException as error:
            # Its texts may quote a whole user, token included.
            text = re.sub(r"\{.*\}", "{...}", str(error), flags=re.DOTALL)
            raise UsageError(f"{self._where}: {plain(text)}") from error
        except OSError as error:
            raise UsageError(
                f"{self._where}: cannot read {error.filename}: {error.strerror}"
            ) from error
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            # The package's way to say that a list is a mapping or the other way round.
            raise UsageError(
                f"{self._where}: not the shape of a kubeconfig ({type(error).__name__})"
            ) from error

    def _load(self) -> Loaded:
        merged: Any = _package.KubeConfigMerger(self._paths).config
        current = merged.value.get("current-context")
        if not current:
            raise UsageError(f"{self._where}: no current-context; name one of its contexts there")
        context = self._entry(merged, "contexts", "context", current)
        cluster = self._entry(merged, "clusters", "cluster", context.get("cluster"))
        user = self._entry(merged, "users", "user", context.get("user"))
        self._check(f"clusters[name={context.get('cluster')}].cluster", cluster)
        self._check(f"users[name={context.get('user')}].user", user)
        loader: Any = _package.KubeConfigLoader(merged, config_base_path=None)
        settings: Any = SimpleNamespace(api_key={})
        loader.load_and_set(settings)
        found = cast("dict[str, Any]", vars(settings))
        authorization = cast("str | None", found["api_key"].get("BearerToken"))
        if "exec" in user and not authorization and not found.get("cert_file"):
            command = plain(str(user["exec"].get("command")))
            raise UsageError(
                f"{self._where}: the exec plugin {command} gave no credentials;"
                " run it by hand to see why"
            )
        return Loaded(
            self._server(found.get("host")),
            authorization.strip() if authorization else None,
            found.get("ssl_ca_cert"),
            "certificate-authority-data" in cluster,
            found.get("cert_file"),
            found.get("key_file"),
            found.get("tls_server_name"),
            found.get("verify_ssl", True) is not False,
        )

    def _entry(self, merged: Any, kind: str, field: str, name: str | None) -> _Fields:
        if kind == "users" and not name:
            return {}
        for node in merged.value[kind]:
            if node.value.get("name") != name:
                continue
            fields: Any = node.value.get(field) or {}
            if isinstance(fields, dict):
                return cast("_Fields", fields)
            raise UsageError(f"{self._where}: {kind}[name={name}].{field} must be a mapping")
        raise UsageError(f"{self._where}: there is no {name!r} among the {kind}")

    def _check(self, where: str, fields: _Fields) -> None:
        for name, advice in _REFUSED_FIELDS.items():
            if fields.get(name):
                raise UsageError(f"{self._where}: {where}.{name}: {advice}")
        for name in _BASE64_FIELDS:
            try:
                text = "".join(str(fields.get(name, "")).split())
                content = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as error:
                raise UsageError(f"{self._where}: {where}.{name} is not base64") from error
            is_ca = name == "certificate-authority-data"
            if is_ca and content and b"-----BEGIN " not in content:
                # The package puts it into a temporary file, whose name would tell nobody anything.
                raise UsageError(f"{self._where}: {where}.{name} holds no PEM certificate")

    def _server(self, url: str | None) -> str:
        parts = urlsplit(url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{self._where}: server must be an http or https URL, it is {url!r}")
        if parts.username or parts.query or parts.fragment:
            raise UsageError(f"{self._where}: server must be scheme, host, port and path only")
        return (url or "").rstrip("/")


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" at line {mark.line + 1}" if mark is not None else ""
