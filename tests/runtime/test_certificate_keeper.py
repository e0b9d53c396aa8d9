"""Certificates of the endpoints: which are taken, and what is said of those that are not."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from tests.runtime.endpoint_rig import HOST

from warmclaim.errors import UsageError
from warmclaim.runtime.certificate_keeper import LOOK_S, CertificateKeeper
from warmclaim.runtime.serving_tls import Pair, context_of, read_pair
from warmclaim.testing.virtual_loop import START_WALL_S, World, run_virtual
from warmclaim.webhook.certificates import issue

NOW_S = START_WALL_S
DAY_S = 86_400.0


class StillClock:
    """Time stands where it is put."""

    wall_s = NOW_S

    def monotonic(self) -> float:
        return self.wall_s

    def wall(self) -> float:
        return self.wall_s

    async def sleep(self, delay_s: float) -> None:
        self.wall_s += delay_s


class Place:
    """What lies in the files."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.error: OSError | None = None

    def __call__(self) -> Pair:
        if self.error is not None:
            raise self.error
        return self.pair


def pair(names: Sequence[str] = (HOST,), *, now_s: float = NOW_S) -> Pair:
    return issue(names, now_s=now_s, lifetime_s=DAY_S).pair


def rsa_pair(password: bytes | None = None) -> Pair:
    """Another kind of key."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([])
    begins = datetime.fromtimestamp(NOW_S, UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return Pair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden),
    )


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (pair(now_s=NOW_S - 2 * DAY_S), "it has expired at 2025-12-31"),
        (pair(now_s=NOW_S + DAY_S), "it is not valid before 2026-01-01 23:55"),
        (pair(("other.test",)), f"it is not for {HOST}"),
        (Pair(pair().certificate, pair().key), "the key is of another certificate"),
        (rsa_pair(b"secret-word"), "cannot be read"),
        (Pair(pair().certificate, b"junk"), "cannot be read"),
    ],
    ids=["expired", "not yet valid", "another name", "another key", "password", "no key"],
)
def test_a_bad_one_is_said_once_and_the_one_before_stays(
    bad: Pair, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    read: list[bool] = []
    place = Place(pair())
    keeper = CertificateKeeper("--metrics-cert-path /c", place, StillClock(), on_read=read.append)
    keeper.start()
    before = keeper.context()
    place.pair = bad
    for _ in range(5):
        keeper.look()
    assert keeper.context() is before
    (note,) = keeper.notes()
    assert note.startswith("--metrics-cert-path /c: ")
    assert words in note
    assert caplog.text.count(words) == 1
    place.pair = pair()
    keeper.look()
    assert keeper.notes() == []
    assert keeper.context() is not before
    assert caplog.text.count("good again") == 1
    assert read == [True, False, True]


def test_files_that_go_away_are_said_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> list[list[str]]:
        place = Place(pair())
        keeper = CertificateKeeper("--metrics-cert-path /c", place, world.clock)
        keeper.start()
        running = asyncio.create_task(keeper.run())
        said: list[list[str]] = []
        for error, content in (
            (FileNotFoundError(2, "No such file or directory", "/c/tls.crt"), place.pair),
            (None, Pair(b"junk", b"junk")),
            (None, pair(now_s=NOW_S)),
        ):
            place.error, place.pair = error, content
            await world.clock.sleep(LOOK_S + 1.0)
            said.append(keeper.notes())
        running.cancel()
        return said

    missing, junk, good = run_virtual(scenario, seed=1)
    assert missing == ["--metrics-cert-path /c: No such file or directory: /c/tls.crt"]
    assert junk == ["--metrics-cert-path /c: cannot be read: ValueError"]
    assert good == []


def test_one_that_expires_in_use_is_said_and_goes_on_serving() -> None:
    clock = StillClock()
    keeper = CertificateKeeper("f", Place(pair()), clock)
    keeper.start()
    clock.wall_s += DAY_S + 1.0
    keeper.look()
    assert keeper.context() is not None
    assert "has expired" in keeper.notes()[0]


def test_one_that_may_not_be_served_yet_is_waited_for_at_the_start() -> None:
    clock = StillClock()
    keeper = CertificateKeeper("f", Place(pair(now_s=NOW_S + 3600.0)), clock)
    keeper.start()
    assert keeper.context() is None
    assert "not valid before" in keeper.notes()[0]
    clock.wall_s += 3600.0
    keeper.look()
    assert keeper.context() is not None
    assert keeper.notes() == []


@pytest.mark.parametrize("content", [None, b"junk"])
def test_a_wrong_path_is_the_users_mistake(tmp_path: Path, content: bytes | None) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    if content is not None:
        certificate.write_bytes(content)
        key.write_bytes(content)
    keeper = CertificateKeeper(
        f"--metrics-cert-path {tmp_path}", lambda: read_pair(certificate, key), StillClock()
    )
    with pytest.raises(UsageError, match=f"^--metrics-cert-path {tmp_path}: "):
        keeper.start()


@pytest.mark.parametrize(
    ("wanted", "given", "is_good"),
    [
        ((), ("a.test",), True),
        (("a.test",), ("a.test", "b.test"), True),
        (("a.test", "b.test"), ("a.test",), False),
        (("a.test",), ("*.test",), True),
        (("x.a.test",), ("*.test",), False),
    ],
)
def test_the_names_that_are_wanted_must_be_in_it(
    wanted: Sequence[str], given: Sequence[str], is_good: bool
) -> None:
    keeper = CertificateKeeper("f", Place(pair(given)), StillClock(), names=wanted)
    keeper.start()
    assert (keeper.context() is not None) == is_good


async def test_one_of_another_kind_of_key_replaces_the_one_before() -> None:
    place = Place(pair())
    keeper = CertificateKeeper("f", place, StillClock())
    keeper.start()
    place.pair = rsa_pair()
    keeper.look()
    assert await _served(keeper.context()) == ssl.PEM_cert_to_DER_cert(
        place.pair.certificate.decode()
    )


async def _served(context: ssl.SSLContext | None) -> bytes | None:
    """What a client gets that would rather have an elliptic curve."""
    server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=context)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        served: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    return served


def test_a_pair_is_loaded_without_a_file_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    context = context_of(pair(), ssl.TLSVersion.TLSv1_3)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.num_tickets == 0
