"""Certificates by the eyes of OpenSSL, and the two steps of a renewal."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from warmclaim.runtime.certificates import span_of
from warmclaim.runtime.serving_tls import Pair
from warmclaim.webhook.certificates import (
    LIFETIME_S,
    bundle,
    issue,
    why_unfit,
)
from warmclaim.webhook.pair import AUTHORITIES, CERTIFICATE, KEY, Data, pair_of
from warmclaim.webhook.rotation import (
    ANNOUNCE_S,
    NEXT_CERTIFICATE,
    Keep,
    Store,
    next_step,
)

NAMES = ("hook.team.svc", "hook.team.svc.cluster.local")
NOW_S = 1_800_000_000.0
DAY_S = 86_400.0


def stored(data: Data, now_s: float, names: tuple[str, ...] = NAMES) -> Store:
    step = next_step(data, names, now_s)
    assert isinstance(step, Store)
    return step


def handshake(served: Pair, authorities: bytes, name: str, folder: Path) -> str:
    """The outcome of a TLS handshake in memory: "" or OpenSSL's complaint."""
    for text, file in ((served.certificate, "crt"), (served.key, "key")):
        (folder / file).write_bytes(text)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(folder / "crt", folder / "key")
    client_context = ssl.create_default_context(cadata=authorities.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return str(error)
    return ""


class TestCertificate:
    @pytest.mark.parametrize("name", NAMES)
    def test_openssl_accepts_it_for_each_of_its_names(self, name: str, tmp_path: Path) -> None:
        import time

        issued = issue(NAMES, now_s=time.time())
        assert handshake(issued.pair, issued.authority, name, tmp_path) == ""

    def test_openssl_refuses_it_for_another_name_or_authority(self, tmp_path: Path) -> None:
        import time

        first, second = (issue(NAMES, now_s=time.time()) for _ in range(2))
        assert handshake(first.pair, first.authority, "other.svc", tmp_path) != ""
        assert handshake(first.pair, second.authority, NAMES[0], tmp_path) != ""
        both = bundle(second.authority, first.authority, time.time())
        assert handshake(first.pair, both, NAMES[0], tmp_path) == ""

    def test_a_long_name_fits(self) -> None:
        name = f"{'a' * 63}.{'b' * 63}.svc"
        issued = issue([name], now_s=NOW_S)
        assert why_unfit(issued.pair, issued.authority, [name], NOW_S) is None

    def test_it_is_valid_from_a_little_before_now_for_a_year(self) -> None:
        span = span_of(issue(NAMES, now_s=NOW_S).pair.certificate)
        assert span.begins_s == NOW_S - 300
        assert span.ends_s == NOW_S + LIFETIME_S

    def test_the_key_is_not_in_its_text(self) -> None:
        issued = issue(NAMES, now_s=NOW_S)
        assert "PRIVATE" not in repr(issued)

    def test_why_one_is_unfit(self) -> None:
        first, second = (issue(NAMES, now_s=NOW_S) for _ in range(2))
        pair, told = first.pair, first.authority

        def why(pair: Pair, told: bytes = told, now_s: float = NOW_S) -> str | None:
            return why_unfit(pair, told, NAMES, now_s)

        assert why(pair) is None
        assert "cannot be read" in str(why(Pair(b"", b"")))
        assert "cannot be read" in str(why(Pair(pair.certificate, b"x")))
        assert "cannot be read" in str(why(pair, b"junk"))
        assert "another certificate" in str(why(Pair(pair.certificate, second.pair.key)))
        assert "it has expired at 20" in str(why(pair, now_s=NOW_S + LIFETIME_S))
        assert "it is not valid before 20" in str(why(pair, now_s=NOW_S - 400))
        assert "authority" in str(why(pair, second.authority))
        assert "not for new.svc" in str(why_unfit(pair, told, ["new.svc"], NOW_S))


class TestRotation:
    def test_an_empty_secret_gets_everything(self) -> None:
        step = stored({}, NOW_S)
        assert why_unfit(pair_of(step.data), step.data[AUTHORITIES], NAMES, NOW_S) is None
        assert next_step(step.data, NAMES, NOW_S) == Keep()

    def test_it_is_kept_until_a_third_of_its_life_is_left(self) -> None:
        data = stored({}, NOW_S).data
        assert next_step(data, NAMES, NOW_S + 243 * DAY_S) == Keep()
        assert isinstance(next_step(data, NAMES, NOW_S + 244 * DAY_S), Store)

    def test_a_renewal_is_announced_first_and_no_client_ever_meets_a_stranger(self) -> None:
        then_s = NOW_S + 250 * DAY_S
        old = stored({}, NOW_S).data
        announced = stored(old, then_s).data
        assert pair_of(announced) == pair_of(old)
        assert next_step(announced, NAMES, then_s + ANNOUNCE_S - 1) == Keep()
        renewed = stored(announced, then_s + ANNOUNCE_S).data
        assert renewed[CERTIFICATE] == announced[NEXT_CERTIFICATE]
        assert NEXT_CERTIFICATE not in renewed
        for served, told in ((old, announced), (announced, renewed), (renewed, announced)):
            # Who was told one state may be served the next one, or the one before.
            assert why_unfit(pair_of(served), told[AUTHORITIES], NAMES, then_s + 700) is None

    def test_an_authority_is_forgotten_when_it_is_over(self) -> None:
        data, now_s = stored({}, NOW_S).data, NOW_S
        for _ in range(12):
            now_s += 250 * DAY_S
            data = stored(stored(data, now_s).data, now_s + ANNOUNCE_S).data
            assert data[AUTHORITIES].count(b"BEGIN CERTIFICATE") <= 3

    @pytest.mark.parametrize("broken", [CERTIFICATE, KEY, AUTHORITIES])
    @pytest.mark.parametrize("text", [b"", b"junk"])
    def test_a_broken_secret_is_mended_at_once(self, broken: str, text: bytes) -> None:
        step = stored({**stored({}, NOW_S).data, broken: text}, NOW_S)
        assert why_unfit(pair_of(step.data), step.data[AUTHORITIES], NAMES, NOW_S) is None
        assert "cannot be read" in step.why

    def test_a_broken_announcement_is_made_again(self) -> None:
        then_s = NOW_S + 250 * DAY_S
        announced = stored(stored({}, NOW_S).data, then_s).data
        again = stored({**announced, NEXT_CERTIFICATE: b"junk"}, then_s + ANNOUNCE_S)
        assert again.why == "renewal announced"

    def test_another_name_is_a_reason_for_a_new_one(self) -> None:
        step = stored(stored({}, NOW_S).data, NOW_S, ("other.team.svc",))
        assert "not for other.team.svc" in step.why
