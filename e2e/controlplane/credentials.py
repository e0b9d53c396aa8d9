"""Users, tokens, keys and kubeconfig files of one control plane. All are made up at each start."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

ADMIN = "admin"
WARMCLAIM = "warmclaim"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
KWOK = "kwok"

# The controller manager would need one service account per controller to live with what RBAC
# grants it, KWOK plays every kubelet: both stand outside what is tested, so they may do anything.
_MASTERS = ("system:masters",)
BUILT_IN_USERS: Mapping[str, Sequence[str]] = {
    ADMIN: _MASTERS,
    WARMCLAIM: (),
    CONTROLLER_MANAGER: _MASTERS,
    SCHEDULER: (),
    KWOK: _MASTERS,
}

# RFC 5915: version 1, a 32 byte scalar, curve prime256v1. The public key is optional and Go
# derives it, so the file needs no arithmetic on curves.
_EC_KEY_HEAD = bytes.fromhex("30310201010420")
_EC_KEY_CURVE = bytes.fromhex("a00a06082a8648ce3d030107")


def private_key_pem() -> str:
    """A fresh P-256 private key, to sign service account tokens with.

    The scalar has 255 random bits, below the order of the curve (just under 2**256), never zero
    for practical purposes.
    """
    scalar = bytearray(secrets.token_bytes(32))
    scalar[0] &= 0x7F
    encoded = base64.encodebytes(_EC_KEY_HEAD + bytes(scalar) + _EC_KEY_CURVE).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{encoded}-----END EC PRIVATE KEY-----\n"


def last_certificate(pem: str) -> str:
    """The last certificate of a PEM bundle; the API server writes its own, then the CA's."""
    begin = "-----BEGIN CERTIFICATE-----"
    return begin + pem.rpartition(begin)[2]


class Credentials:
    """Tokens by user, and the files the components and the tests read them from."""

    def __init__(self, folder: Path, users: Mapping[str, Sequence[str]]) -> None:
        """Draw tokens for the built-in users and `users` (name to groups); write the files."""
        self._folder = folder
        self.groups = dict(BUILT_IN_USERS) | dict(users)
        self._tokens = {user: secrets.token_urlsafe(24) for user in self.groups}
        self.token_file = self._write("tokens.csv", self._token_lines())
        self.service_account_key = self._write("service-account.key", private_key_pem())

    def token(self, user: str) -> str:
        """Bearer token of a user. Raises KeyError for an unknown one."""
        return self._tokens[user]

    def kubeconfig_path(self, user: str) -> Path:
        """Where the kubeconfig of this user is, once `write_kubeconfigs` ran."""
        if user not in self._tokens:
            raise KeyError(user)
        return self._folder / f"kubeconfig-{user.replace(':', '-')}"

    def write_kubeconfigs(self, server: str, ca_pem: str) -> None:
        """One self-contained file per user. JSON, which every YAML reader takes."""
        for user in self._tokens:
            self.write_kubeconfig(self.kubeconfig_path(user), server, ca_pem, self._tokens[user])

    def write_kubeconfig(self, path: Path, server: str, ca_pem: str, token: str) -> None:
        """Write one kubeconfig with the CA and the token inside."""
        ca_data = base64.b64encode(ca_pem.encode()).decode()
        cluster = {"server": server, "certificate-authority-data": ca_data}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        self._write(path.name, json.dumps(content, indent=1))

    def _token_lines(self) -> str:
        """The static token file: token, user, uid, "group,group"."""
        return "".join(
            f'{self._tokens[user]},"{user}",{user},"{",".join(groups)}"\n'
            for user, groups in self.groups.items()
        )

    def _write(self, name: str, content: str) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(content)
        return path
