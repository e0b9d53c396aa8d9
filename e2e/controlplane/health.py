"""The one question to a component's health endpoint."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request


def unready(url: str) -> str | None:
    """None when the URL answers 200. Loopback, and no secret is sent: the CA is not checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Without the empty handler a proxy of the environment would be asked, for loopback too.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(url, timeout=2.0):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return f"{url} answers {error.code}"
    except OSError as error:
        return f"{url}: {error}"
