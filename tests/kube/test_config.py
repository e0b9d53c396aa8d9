"""Finding the API server: order, files, and a line that says what to do for each bad input."""

from __future__ import annotations

import base64
import ssl
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.kube.connection_files import CA, POD, a_kubeconfig, a_pod
from tests.kube.fakes import FakeClock

from warmclaim.errors import UsageError
from warmclaim.kube.config import Connection, load_connection


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def load(
    flag: str | None = None, environ: Mapping[str, str] | None = None, pod: Path | None = None
) -> Connection:
    folder = pod or Path("/nonexistent")
    return load_connection(flag, environ=environ or {}, clock=FakeClock(), service_account=folder)


def test_flag_wins_over_pod_and_environment(tmp_path: Path) -> None:
    pod = a_pod(tmp_path)
    config = a_kubeconfig(tmp_path)
    assert load(config, {**POD, "KUBECONFIG": "/x"}, pod).server_url == "https://one:6443"


def test_pod_wins_over_environment(tmp_path: Path) -> None:
    connection = load(None, {**POD, "KUBECONFIG": "/x"}, a_pod(tmp_path))
    assert connection.server_url == "https://10.0.0.1:443"
    assert connection.credentials.authorization() == "Bearer first"


def test_environment_wins_over_home(tmp_path: Path) -> None:
    a_kubeconfig(tmp_path / ".kube", cluster={"server": "https://home"})
    assert load().server_url == "https://home"
    other = a_kubeconfig(tmp_path, cluster={"server": "https://env/prefix/"})
    assert load(None, {"KUBECONFIG": other}).server_url == "https://env/prefix"


def test_pod_variables_without_a_token_are_no_pod(tmp_path: Path) -> None:
    a_kubeconfig(tmp_path / ".kube")
    assert load(None, POD, tmp_path).server_url == "https://one:6443"


def test_ipv6_address_of_the_service_gets_brackets(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert load(None, environ, a_pod(tmp_path)).server_url == "https://[fd00::1]:443"


def test_nothing_found_says_what_to_pass() -> None:
    with pytest.raises(UsageError, match="pass --kubeconfig or set KUBECONFIG"):
        load()


async def test_token_file_that_vanishes_leaves_the_old_token(tmp_path: Path) -> None:
    pod = a_pod(tmp_path)
    credentials = load(None, POD, pod).credentials
    (pod / "token").unlink()
    await credentials.refresh("Bearer first")
    assert credentials.authorization() == "Bearer first"


def test_several_files_are_merged_and_missing_ones_passed_over(tmp_path: Path) -> None:
    one = a_kubeconfig(tmp_path, name="one")
    two = a_kubeconfig(tmp_path, name="two", cluster={"server": "https://two"})
    assert load(None, {"KUBECONFIG": f"/none:{two}:{one}"}).server_url == "https://two"


def test_relative_ca_path_is_that_of_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CA)
    connection = load(a_kubeconfig(tmp_path, cluster={"certificate-authority": "ca.pem"}))
    assert connection.ssl_context is not None
    assert len(connection.ssl_context.get_ca_certs()) == 1
    assert connection.ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_inline_ca_and_server_name(tmp_path: Path) -> None:
    data = base64.b64encode(CA.encode()).decode()
    cluster = {"certificate-authority-data": data, "tls-server-name": "kubernetes"}
    connection = load(a_kubeconfig(tmp_path, cluster=cluster))
    assert connection.ssl_context is not None
    assert len(connection.ssl_context.get_ca_certs()) == 1
    assert connection.tls_server_name == "kubernetes"


def test_insecure_skip_tls_verify(tmp_path: Path) -> None:
    connection = load(a_kubeconfig(tmp_path, cluster={"insecure-skip-tls-verify": True}))
    assert connection.ssl_context is not None
    assert connection.ssl_context.verify_mode is ssl.CERT_NONE


def test_plain_http_has_no_tls(tmp_path: Path) -> None:
    connection = load(a_kubeconfig(tmp_path, cluster={"server": "http://localhost:8080"}))
    assert connection.ssl_context is None


def test_user_and_password(tmp_path: Path) -> None:
    connection = load(a_kubeconfig(tmp_path, user={"username": "me", "password": "x"}))
    assert connection.credentials.authorization() == "Basic bWU6eA=="


def test_user_without_credentials_is_anonymous(tmp_path: Path) -> None:
    config = a_kubeconfig(tmp_path, users=[{"name": "u", "user": dict[str, str]()}])
    assert load(config).credentials.authorization() is None


async def test_token_file_of_a_user_is_read_again_after_a_refusal(tmp_path: Path) -> None:
    clock = FakeClock()
    (tmp_path / "tok").write_text("one\n")
    config = a_kubeconfig(tmp_path, user={"tokenFile": "tok"})
    credentials = load_connection(config, environ={}, clock=clock).credentials
    assert credentials.authorization() == "Bearer one"
    (tmp_path / "tok").write_text("two")
    await credentials.refresh("Bearer one")
    assert credentials.authorization() == "Bearer one", "a revoked user must not cause a storm"
    clock.now += 10
    await credentials.refresh("Bearer one")
    assert credentials.authorization() == "Bearer two"
    (tmp_path / "tok").unlink()
    clock.now += 10
    await credentials.refresh("Bearer two")
    assert credentials.authorization() == "Bearer two"


def a_plugin(folder: Path, script: str) -> dict[str, object]:
    path = folder / "plugin"
    path.write_text(f"#!{sys.executable}\nimport json, pathlib\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(path),
            "interactiveMode": "Never",
        }
    }


async def test_exec_plugin_is_run_at_start_and_after_a_refusal(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("")
    script = (
        f"p = pathlib.Path({str(count)!r}); p.write_text(p.read_text() + 'x')\n"
        "status = {'token': 'token-' + p.read_text()}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1',"
        " 'kind': 'ExecCredential', 'status': status}))"
    )
    clock = FakeClock()
    config = a_kubeconfig(tmp_path, user=a_plugin(tmp_path, script))
    credentials = load_connection(config, environ={}, clock=clock).credentials
    assert credentials.authorization() == "Bearer token-x"
    clock.now += 60
    await credentials.refresh("Bearer token-x")
    assert credentials.authorization() == "Bearer token-xx"


def test_exec_plugin_that_fails_is_said(tmp_path: Path) -> None:
    user = a_plugin(tmp_path, "raise SystemExit('no session')")
    with pytest.raises(UsageError, match=r"exec plugin .*plugin gave no credentials; run it by"):
        load(a_kubeconfig(tmp_path, user=user))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no current-context": ({"current-context": ""}, "no current-context; name"),
    "context that is not there": ({"current-context": "else"}, "no 'else' among the contexts"),
    "cluster that is not there": ({"clusters": []}, "no 'c' among the clusters"),
    "user that is not there": ({"users": []}, "no 'u' among the users"),
    "clusters is no list": ({"clusters": {"a": 1}}, "shape|Expected"),
    "cluster without server": ({"cluster": {"server": None}}, "server"),
    "server is no URL": ({"cluster": {"server": "one:6443"}}, "http or https URL.*one:6443"),
    "server with password": ({"cluster": {"server": "https://a:b@c"}}, "host, port and path only"),
    "CA file missing": ({"cluster": {"certificate-authority": "/no/ca.pem"}}, "/no/ca.pem"),
    "CA data not base64": (
        {"cluster": {"certificate-authority-data": "%%%"}},
        r"clusters\[name=c\].cluster.certificate-authority-data is not base64",
    ),
    "CA data no certificate": (
        {"cluster": {"certificate-authority-data": "aGVsbG8="}},
        r"certificate-authority-data holds no PEM certificate",
    ),
    "key not base64": (
        {"user": {"client-certificate-data": "aGVsbG8=", "client-key-data": "a"}},
        r"users\[name=u\].user.client-key-data is not base64",
    ),
    "certificate no PEM": (
        {"user": {"client-certificate-data": "aGVsbG8=", "client-key-data": "aGVsbG8="}},
        "no PEM",
    ),
    "token file missing": ({"user": {"tokenFile": "/no/token"}}, "cannot read /no/token"),
    "user is no mapping": ({"users": [{"name": "u", "user": "secret"}]}, "must be a mapping"),
    "contexts without names": ({"contexts": [{"token": "secret"}]}, "no 'here'"),
    "exec without command": ({"user": {"exec": {"token": "secret"}}}, "gave no credentials"),
    "proxy": ({"cluster": {"proxy-url": "http://p"}}, "proxy-url: proxies are not used"),
    "auth-provider": ({"user": {"auth-provider": {"name": "gcp"}}}, "auth-provider: .*use exec"),
    "impersonation": ({"user": {"token": "x", "as": "admin"}}, "user.as: impersonation"),
}


@pytest.mark.parametrize(("fields", "says"), BAD.values(), ids=BAD.keys())
def test_bad_kubeconfig_ends_in_one_line(tmp_path: Path, fields: Any, says: str) -> None:
    path = a_kubeconfig(tmp_path, **fields)
    with pytest.raises(UsageError, match=says) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "no PEM" in says or path in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [1\nb: 2", "not YAML at line 2"),
        ("", "empty"),
        ("- 1", "shape"),
        ("just text", "shape"),
        ("\x00", "not YAML"),
        ("contexts: 5\nclusters: 7\nusers: 1\ncurrent-context: x", "shape"),
    ],
)
def test_file_that_is_no_kubeconfig_ends_in_one_line(
    tmp_path: Path, content: str, says: str
) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(UsageError, match=says) as caught:
        load(str(path))
    assert str(caught.value).startswith(f"--kubeconfig {path}: ")
    assert "\n" not in str(caught.value)


def test_missing_file_says_where_it_was_named() -> None:
    with pytest.raises(UsageError, match=r"^\$KUBECONFIG /no/config: no such file$"):
        load(None, {"KUBECONFIG": "/no/config"})


def test_file_that_is_not_utf_8_ends_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(UsageError, match=r"^--kubeconfig "):
        load(str(path))


@pytest.mark.parametrize(
    ("token", "says"), [("", "is empty"), ("a b", "more than one"), ("t\u00f6ken", "not ASCII")]
)
def test_bad_service_account_token_says_which_file(tmp_path: Path, token: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load(None, POD, a_pod(tmp_path, token))


def test_bad_port_of_the_service_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="KUBERNETES_SERVICE_PORT must be a number"):
        load(None, {**POD, "KUBERNETES_SERVICE_PORT": "tcp://1"}, a_pod(tmp_path))


def test_pod_without_a_ca_file_says_so(tmp_path: Path) -> None:
    pod = a_pod(tmp_path)
    (pod / "ca.crt").unlink()
    with pytest.raises(UsageError, match=r"cannot read the CA file .*ca\.crt: No such file"):
        load(None, POD, pod)
