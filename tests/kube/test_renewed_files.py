"""Tokens and CAs that are renewed while the manager runs."""

from __future__ import annotations

import base64
import ssl
import tempfile
import time
from pathlib import Path

import pytest
from tests.kube.connection_files import CA, POD, a_kubeconfig, a_pod
from tests.kube.fakes import FakeClock

from warmclaim.kube.config import load_connection
from warmclaim.runtime.serving_tls import context_of
from warmclaim.webhook.certificates import Issued, issue


async def test_token_file_is_read_again_each_minute_and_after_a_refusal(tmp_path: Path) -> None:
    clock = FakeClock()
    pod = a_pod(tmp_path)
    connection = load_connection(None, environ=POD, clock=clock, service_account=pod)
    credentials = connection.credentials
    (pod / "token").write_text("second")
    assert credentials.authorization() == "Bearer first"
    clock.now += 60
    assert credentials.authorization() == "Bearer second"
    (pod / "token").write_text("third")
    await credentials.refresh("Bearer first")
    assert credentials.authorization() == "Bearer second", "that one was not refused"
    await credentials.refresh("Bearer second")
    assert credentials.authorization() == "Bearer third"


def is_trusted(context: ssl.SSLContext, served: Issued) -> bool:
    """Whether a handshake with that server comes off; in memory, as there is nobody else."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname="api.test")
    server = context_of(served.pair, ssl.TLSVersion.TLSv1_2).wrap_bio(
        to_server, to_client, server_side=True
    )
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError:
            return False
    return client.version() is not None


@pytest.mark.parametrize("whose", ["pod", "kubeconfig"])
async def test_a_renewed_ca_is_trusted_within_a_minute_and_rubbish_changes_nothing(
    whose: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older, newer = (issue(("api.test",), now_s=time.time()) for _ in range(2))
    clock, pod = FakeClock(), a_pod(tmp_path)
    file = pod / "ca.crt"
    file.write_bytes(older.authority)
    cluster, user = {"certificate-authority": "ca.crt"}, {"token": "first"}
    config = a_kubeconfig(tmp_path, cluster=cluster, user=user) if whose == "kubeconfig" else None
    connection = load_connection(config, environ=POD, clock=clock, service_account=pod)
    context = connection.ssl_context
    assert context is not None
    assert (is_trusted(context, older), is_trusted(context, newer)) == (True, False)

    def looks(later_s: float) -> tuple[bool, bool]:
        clock.now += later_s
        assert connection.credentials.authorization() == "Bearer first"
        return is_trusted(context, older), is_trusted(context, newer)

    file.unlink()
    assert looks(60) == (True, False)
    for broken in (b"rubbish", b"", newer.authority[: len(newer.authority) // 2]):
        caplog.clear()
        file.write_bytes(broken)
        assert looks(60) == (True, False)
        assert f"the CAs of before are kept, {file} cannot be read" in caplog.text
    file.write_bytes(older.authority + newer.authority)
    assert looks(59) == (True, False), "a file is read once a minute"
    assert looks(1) == (True, True)
    file.write_bytes(newer.authority)
    assert looks(60) == (True, True), "nothing is taken back"


async def test_a_refusal_has_a_kubeconfig_read_again_though_its_ca_is_attended_to(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    (tmp_path / "ca.pem").write_text(CA)
    (tmp_path / "tok").write_text("one")
    cluster, user = {"certificate-authority": "ca.pem"}, {"tokenFile": "tok"}
    config = a_kubeconfig(tmp_path, cluster=cluster, user=user)
    credentials = load_connection(config, environ={}, clock=clock).credentials
    (tmp_path / "tok").write_text("two")
    clock.now += 10
    await credentials.refresh("Bearer one")
    assert credentials.authorization() == "Bearer two"


def test_an_inline_ca_needs_no_file_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy of it, in the temporary folder, may be swept away while the manager runs."""
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    # One of its own: of a text that it has seen the `kubernetes` package keeps the copy.
    data = base64.b64encode(issue(("api.test",), now_s=time.time()).authority).decode()
    clock = FakeClock()
    config = a_kubeconfig(tmp_path, cluster={"certificate-authority-data": data})
    connection = load_connection(config, environ={}, clock=clock)
    (copy,) = copies.iterdir()
    copy.unlink()
    clock.now += 60
    assert connection.credentials.authorization() == "Bearer abc"
    assert not caplog.records
