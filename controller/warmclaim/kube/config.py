"""Where the API server is, and how this program proves who it is.

Order: the --kubeconfig flag; the service account of the pod; $KUBECONFIG, else ~/.kube/config.

The service account is read here, in a few lines. Kubeconfig files, with their contexts, relative
paths and exec plugins, are read by the `kubernetes` package. Importing it costs 0.6 s and 35 MiB
(measured: 37.0.2 on CPython 3.11), a third of the memory goal, so it is imported only then; in a
pod never.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warmclaim.errors import UsageError
from warmclaim.kube.credentials import (
    Anonymous,
    AttendedCredentials,
    Credentials,
    ReloadedCredentials,
    TokenFileCredentials,
)
from warmclaim.seams import Clock

_log = logging.getLogger(__name__)

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_KUBECONFIG: Final = "~/.kube/config"


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server. `server_url` has no slash at its end; `ssl_context` is None for http;
    `tls_server_name` is the name its certificate must bear, where that is not the URL's host."""

    server_url: str
    ssl_context: ssl.SSLContext | None
    credentials: Credentials
    tls_server_name: str | None = None


def load_connection(
    kubeconfig: str | None,
    *,
    environ: Mapping[str, str],
    clock: Clock,
    service_account: Path = SERVICE_ACCOUNT,
) -> Connection:
    """Find the API server; `kubeconfig` is the flag's value.

    Blocks: reads files, may run an exec plugin; call it at start. Every problem is a UsageError
    of one line.
    """
    if kubeconfig:
        return _from_kubeconfig(kubeconfig, "--kubeconfig", clock)
    if environ.get("KUBERNETES_SERVICE_HOST") and (service_account / "token").exists():
        return _from_service_account(environ, service_account, clock)
    if environ.get("KUBECONFIG"):
        return _from_kubeconfig(environ["KUBECONFIG"], "$KUBECONFIG", clock)
    if Path(DEFAULT_KUBECONFIG).expanduser().exists():
        return _from_kubeconfig(DEFAULT_KUBECONFIG, "the default kubeconfig", clock)
    raise UsageError(
        "no API server: this is not a pod with a service account, and there is no"
        f" {DEFAULT_KUBECONFIG}; pass --kubeconfig or set KUBECONFIG"
    )


def connection_to(
    server_url: str, *, ssl_context: ssl.SSLContext | None = None, credentials: Credentials | None
) -> Connection:
    """A connection that needs no file, for tests and embedded servers."""
    return Connection(server_url.rstrip("/"), ssl_context, credentials or Anonymous())


def _from_service_account(environ: Mapping[str, str], folder: Path, clock: Clock) -> Connection:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not port.isdecimal():
        raise UsageError(f"KUBERNETES_SERVICE_PORT must be a number, it is {port[:64]!r}")
    host = f"[{host}]" if ":" in host else host
    authorities = _Authorities(folder / "ca.crt")
    token = TokenFileCredentials(folder / "token", clock)
    credentials = AttendedCredentials(token, clock, look=authorities.look_again)
    return Connection(f"https://{host}:{port}", authorities.context, credentials)


class _Authorities:
    """A CA file, which somebody changes when the CA is renewed: the cluster that of a pod, who
    wrote the kubeconfig the one that it names.

    What the file has newly is trusted from the next connection on. What was trusted before stays
    so until the process ends: OpenSSL takes no CA back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Before it is trusted, so that what is written between the two counts as a change.
        try:
            self._read = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error) from error
        self.context = trusting(path)

    def look_again(self) -> None:
        """Trust what is new. Blocks for a read of 2 kB; a file that is no good is said."""
        try:
            found = self._path.read_bytes()
            if found == self._read:
                return
            self.context.load_verify_locations(self._path)
        except (OSError, ssl.SSLError) as error:
            _log.warning("the CAs of before are kept, %s cannot be read: %s", self._path, error)
        else:
            self._read = found
            _log.info("%s has changed, and is trusted from now on", self._path)


def _from_kubeconfig(paths: str, origin: str, clock: Clock) -> Connection:
    # Here, for its price: it imports the `kubernetes` package.
    from warmclaim.kube.kubeconfig import Kubeconfig

    source = Kubeconfig(paths, origin)
    found = source.load()
    context, authorities = None, None
    if found.server_url.startswith("https://"):
        authorities = _Authorities(Path(found.ca_file)) if found.ca_file else None
        context = authorities.context if authorities else trusting(None)
        if not found.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE

    def reload() -> str | None:
        fresh = source.load()
        if context is not None:
            _identify(context, fresh.cert_file, fresh.key_file)
        return fresh.authorization

    if context is not None:
        _identify(context, found.cert_file, found.key_file)
    credentials: Credentials = ReloadedCredentials(reload, clock, first=found.authorization)
    if authorities and not found.is_ca_inline:
        credentials = AttendedCredentials(credentials, clock, look=authorities.look_again)
    return Connection(found.server_url, context, credentials, found.tls_server_name)


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """A TLS context (1.2 or newer) that trusts this CA only, or the system's if None."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise UsageError(f"the CA file {ca_file} holds no PEM certificate") from error
    except OSError as error:
        raise _unreadable(ca_file, error) from error


def _unreadable(ca_file: Path | None, error: OSError) -> UsageError:
    return UsageError(f"cannot read the CA file {ca_file}: {error.strerror}")


def _identify(context: ssl.SSLContext, cert_file: str | None, key_file: str | None) -> None:
    """Use a client certificate on connections made from now on."""
    if not cert_file:
        return
    try:
        context.load_cert_chain(cert_file, key_file)
    except (ssl.SSLError, OSError) as error:
        why = "the two do not match or are no PEM" if isinstance(error, ssl.SSLError) else error
        raise UsageError(f"client certificate {cert_file}, key {key_file}: {why}") from error
