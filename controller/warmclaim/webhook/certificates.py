"""The webhook's serving certificates: made, read and judged. Pure but for the keys' randomness.

The authority of a certificate is made for it alone, and its key forgotten at once: nobody can
issue another one with it. So a renewal changes the authority, too, and for a while both are
trusted (webhook.rotation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from warmclaim.runtime.certificates import why_unusable
from warmclaim.runtime.serving_tls import Pair

LIFETIME_S: Final = 365 * 86_400.0
BACKDATED_S: Final = 300.0
"""Certificates begin that long before they are made: clocks of API servers differ a little."""

_AUTHORITY_NAME: Final = "agent-sandbox-conversion-webhook-ca"
_NAME_CHARS_MAX: Final = 64  # of a common name; the alternative names hold longer ones


@dataclass(frozen=True, slots=True)
class Issued:
    """A new pair, and the PEM certificate of the authority that vouches for it."""

    pair: Pair
    authority: bytes


def issue(names: Sequence[str], *, now_s: float, lifetime_s: float = LIFETIME_S) -> Issued:
    """A new authority and a serving certificate for these DNS names, the first its common name.
    ECDSA P-256."""
    begins = datetime.fromtimestamp(now_s - BACKDATED_S, UTC)
    ends = begins + timedelta(seconds=BACKDATED_S + lifetime_s)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = _name(_AUTHORITY_NAME)
    base = x509.CertificateBuilder().not_valid_before(begins).not_valid_after(ends)
    authority = (
        base.subject_name(authority_name)
        .issuer_name(authority_name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        base.subject_name(_name(names[0]))
        .issuer_name(authority_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    return Issued(
        Pair(
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ),
        authority.public_bytes(Encoding.PEM),
    )


def why_unfit(pair: Pair, authorities: bytes, names: Sequence[str], now_s: float) -> str | None:
    """Why this pair must not be served any longer, in a few words; None if it is fit."""
    if why := why_unusable(pair, names, now_s):
        return why
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    try:
        trusted = x509.load_pem_x509_certificates(authorities)
    except ValueError as error:
        return f"cannot be read: {type(error).__name__}"
    if not any(_has_issued(authority, certificate) for authority in trusted):
        return "its authority is not the one that is told"
    return None


def bundle(newest: bytes, older: bytes, now_s: float) -> bytes:
    """The authorities to trust: the newest one, then those of `older` that are still valid."""
    try:
        found = x509.load_pem_x509_certificates(older) if older.strip() else []
    except ValueError:
        found = []
    valid = [authority for authority in found if now_s < authority.not_valid_after_utc.timestamp()]
    kept = [authority.public_bytes(Encoding.PEM) for authority in valid]
    return b"".join(dict.fromkeys([newest, *kept]))


def _has_issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # the library has an error of its own kind for each reason
        return False
    return True


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_NAME_CHARS_MAX])])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
