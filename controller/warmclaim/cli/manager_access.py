"""How a manager is reached that wants to know who asks: a token for it, and trust in its
certificate; and what to do where that was not enough."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from warmclaim.errors import UsageError
from warmclaim.kube.config import Connection, trusting
from warmclaim.kube.credentials import Anonymous, Credentials, TokenFileCredentials
from warmclaim.seams import SystemClock

READER: Final = "agent-sandbox-diagnostics-reader"


@dataclass(frozen=True, slots=True)
class Access:
    """What the user said of it, "" and False for nothing. Whoever says any of it wants TLS."""

    token_file: str = ""
    ca_file: str = ""
    tls_server_name: str = ""
    skips_verification: bool = False

    @property
    def scheme(self) -> str:
        """That of a URL which names none."""
        return "http" if self == Access() else "https"

    def connection(self, url: URL) -> Connection:
        """To the manager at `url`. Reads the files; raises UsageError for what is in them, and for
        what would give the token away."""
        if url.scheme != self.scheme == "https":
            raise UsageError(
                f"{url} is plain HTTP: a token is not sent in the open, and there is no"
                " certificate to check; say https://"
            )
        return Connection(
            str(url.origin()),
            self._context(url) if url.scheme == "https" else None,
            self._credentials(),
            self.tls_server_name or None,
        )

    def _credentials(self) -> Credentials:
        if not self.token_file:
            return Anonymous()
        return TokenFileCredentials(Path(self.token_file), SystemClock())

    def _context(self, url: URL) -> ssl.SSLContext:
        if not self.skips_verification:
            return trusting(Path(self.ca_file) if self.ca_file else None)
        if self.ca_file:
            raise UsageError("--ca-file and --insecure-skip-tls-verify cannot both be meant")
        if not _is_loopback(url.host or ""):
            raise UsageError(
                f"--insecure-skip-tls-verify would give the token to whoever answers at {url.host};"
                " it is for loopback: use kubectl port-forward, or --ca-file"
            )
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def why_refused(self, status: int, path: str) -> str:
        """What to do about an answer with this status, "" where that is not known."""
        if not self.token_file:
            takes = f"--token-file takes the token of an account with the ClusterRole {READER}"
            return takes if status == 401 else ""
        return {
            401: "the token is no good there: kubectl create token makes a new one",
            403: f"the token's account may not get {path}: bind it to the ClusterRole {READER}",
            503: "the API server did not tell it who bears the token: try again",
        }.get(status, "")


def why_unreachable(error: BaseException, *, is_secure: bool) -> str:
    """What stood in the way, and what to do about it, in one line without an end."""
    for one in _causes(error):
        if isinstance(one, aiohttp.ClientConnectorCertificateError):
            said = getattr(one.certificate_error, "verify_message", "") or "it proves nothing"
            return (
                f"its certificate cannot be trusted ({said}): --ca-file names who vouches for it,"
                " --tls-server-name the name in it, and over kubectl port-forward"
                " --insecure-skip-tls-verify takes any"
            )
        if isinstance(one, aiohttp.ClientConnectorSSLError):
            return "it speaks no TLS, or none that is good: is it started with secure endpoints?"
        if isinstance(one, aiohttp.ClientConnectorError):
            return "no manager answers there"
        if isinstance(one, TimeoutError):
            return "it gives no answer"
    hint = "" if is_secure else "; one with secure endpoints takes no plain HTTP: --token-file"
    return f"it closed the connection{hint}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
