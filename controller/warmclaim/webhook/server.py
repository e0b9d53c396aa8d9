"""/convert over TLS. Only the API server calls it; what it may cost is bounded all the same."""

from __future__ import annotations

import asyncio
import logging
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web

from warmclaim.errors import UsageError
from warmclaim.runtime.endpoint import Endpoint
from warmclaim.runtime.serving_tls import Pair, context_of
from warmclaim.settings import BindAddress
from warmclaim.webhook.definitions import PATH
from warmclaim.webhook.review import MalformedReview, answer

CONNECTION_S_MAX: Final = 3600.0
"""API servers keep their connections; they close idle ones sooner than this."""

BODY_BYTES_MAX: Final = 128 * 1024 * 1024
"""The API server sends the objects of one list together: 500 of 0.2 MB fit."""

INLINE_BYTES_MAX: Final = 128 * 1024
"""Larger reviews are converted in a thread, so that they do not hold the event loop. One at a time:
the memory of two would be double."""

BODY_S_MAX: Final = 30.0
_STOPPING: Final = 503


class Observer(Protocol):
    """Is told of each request to `/convert` and of each certificate; must not raise."""

    def began(self) -> None:
        """A request came."""
        ...

    def ended(self, status: int, duration_s: float) -> None:
        """It was answered with that HTTP status; 500 means a mistake of ours."""
        ...

    def certificate_read(self, *, is_good: bool) -> None:
        """A certificate was taken into use, or could not be."""
        ...


_log = logging.getLogger(__name__)


class ConversionServer:
    """Listens as soon as it has a certificate; a later certificate serves new connections."""

    def __init__(self, port: int, *, host: str = "", observe: Observer | None = None):
        self._observer = observe or _Unobserved()
        self._tls: ssl.SSLContext | None = None
        self._endpoint = Endpoint(
            f"--webhook-port {port}",
            BindAddress(host, port),
            self._handle,
            connection_s_max=CONNECTION_S_MAX,
            answer_s_max=CONNECTION_S_MAX,
            keeps_connections=True,
            tls=lambda: self._tls,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="conversion")

    @property
    def port(self) -> int | None:
        """The port that is listened on, None before `start`."""
        return self._endpoint.port

    def use(self, pair: Pair) -> None:
        """Serve this certificate to new connections. Raises OSError (ssl.SSLError is one), and then
        keeps the one before."""
        try:
            self._tls = context_of(pair, ssl.TLSVersion.TLSv1_2)
        except OSError:
            self._observer.certificate_read(is_good=False)
            raise
        self._observer.certificate_read(is_good=True)

    def refused(self) -> None:
        """A certificate was looked at that must not be served."""
        self._observer.certificate_read(is_good=False)

    async def start(self) -> None:
        """Listen, if not yet. Raises UsageError where the port cannot be had."""
        await self._endpoint.start()

    async def close(self) -> None:
        """Stop listening. May be called twice."""
        await self._endpoint.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != PATH:
            return _text(404, "not found\n")
        clock = asyncio.get_running_loop()
        began = clock.time()
        self._observer.began()
        status = _STOPPING
        try:
            response = await self._answer(request)
            status = response.status
        finally:  # also when the server is closed in the middle of it
            self._observer.ended(status, clock.time() - began)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            return _text(405, "method not allowed\n")
        try:
            async with asyncio.timeout(BODY_S_MAX):
                raw = await _body(request)
            if raw is None:
                return _text(413, f"more than {BODY_BYTES_MAX} bytes\n")
            return web.Response(body=await self._converted(raw), content_type="application/json")
        except TimeoutError:
            return _text(408, "the review did not come\n")
        except MalformedReview as error:
            return _text(400, f"no ConversionReview: {error}\n")
        except Exception:
            _log.exception("a conversion failed")
            return _text(500, "internal error\n")

    async def _converted(self, raw: bytes) -> bytes:
        if len(raw) <= INLINE_BYTES_MAX:
            return answer(raw)
        return await asyncio.get_running_loop().run_in_executor(self._thread, answer, raw)


class CertificateFiles:
    """Where the pair lies on disk for OpenSSL, which takes it from files alone."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self._folder = folder

    def write(self, pair: Pair) -> None:
        """Put the pair there, readable by this user alone. Raises UsageError where it cannot be."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path, pem in ((self.certificate, pair.certificate), (self.key, pair.key)):
                fresh = path.with_suffix(".new")
                fresh.touch(mode=0o600)
                fresh.write_bytes(pem)
                fresh.replace(path)
        except OSError as error:
            text = error.strerror or type(error).__name__
            hint = "mount an emptyDir there"
            raise UsageError(f"--webhook-cert-dir {self._folder}: {text}; {hint}") from None


class _Unobserved:
    """For whoever does not count."""

    def began(self) -> None:
        pass

    def ended(self, status: int, duration_s: float) -> None:
        pass

    def certificate_read(self, *, is_good: bool) -> None:
        pass


async def _body(request: web.BaseRequest) -> bytes | None:
    """The whole body, None if it is too long."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > BODY_BYTES_MAX:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _text(status: int, text: str) -> web.Response:
    response = web.Response(status=status, text=text)
    response.force_close()
    return response
