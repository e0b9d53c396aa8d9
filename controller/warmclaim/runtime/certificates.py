"""What a certificate says of itself: whom it is for, and when. Pure.

Imports the library of certificates: 10 MiB that only who serves TLS should pay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from warmclaim.runtime.serving_tls import Pair


@dataclass(frozen=True, slots=True)
class Span:
    """When a certificate is valid, in seconds since 1970."""

    begins_s: float
    ends_s: float

    def left_share(self, now_s: float) -> float:
        """How much of it is left: 1 at the beginning, 0 or less once it is over."""
        return (self.ends_s - now_s) / max(self.ends_s - self.begins_s, 1.0)


def span_of(certificate: bytes) -> Span:
    """When the first certificate in a PEM text is valid. Raises ValueError if there is none."""
    return _span(x509.load_pem_x509_certificate(certificate))


def names_of(certificate: bytes) -> frozenset[str]:
    """The names and addresses that the first certificate in a PEM text is for. Raises ValueError if
    there is none."""
    return _names(x509.load_pem_x509_certificate(certificate))


def why_unusable(pair: Pair, names: Iterable[str], now_s: float) -> str | None:
    """Why this pair must not be served now under these names, in a few words; None if it may."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = load_pem_private_key(pair.key, None)
        found = _names(certificate)
    except (ValueError, TypeError) as error:
        return f"cannot be read: {type(error).__name__}"
    if certificate.public_key() != key.public_key():
        return "the key is of another certificate"
    span = _span(certificate)
    if now_s < span.begins_s:
        return f"it is not valid before {_day(span.begins_s)}"
    if now_s >= span.ends_s:
        return f"it has expired at {_day(span.ends_s)}"
    if missing := sorted(name for name in names if not _is_for(name, found)):
        return f"it is not for {missing[0]}"
    return None


def _is_for(name: str, found: frozenset[str]) -> bool:
    return name in found or f"*.{name.partition('.')[2]}" in found


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return frozenset(extension.value.get_values_for_type(x509.DNSName)) | {
        str(address) for address in addresses
    }


def _span(certificate: x509.Certificate) -> Span:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Span(begins.timestamp(), ends.timestamp())


def _day(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
