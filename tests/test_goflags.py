"""Flags: the Go manager's are all here with their defaults, and the syntax is Go's."""

import re
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from warmclaim.cli.flagvalues import Kind, parse_duration, parse_value
from warmclaim.cli.goflags import FLAGS, HELP_COLUMNS, default_text, help_text, parse_settings
from warmclaim.domain.wording import duration_text
from warmclaim.errors import UsageError
from warmclaim.settings import Settings

GO_DEFAULTS = {
    "version": "false",
    "extensions": "false",
    "leader-elect": "true",
    "leader-election-namespace": "",
    "cluster-domain": "cluster.local",
    "metrics-bind-address": ":8080",
    "health-probe-bind-address": ":8081",
    "webhook-port": "9443",
    "webhook-cert-dir": "/tmp/k8s-webhook-server/serving-certs",
    "webhook-cert-name": "tls.crt",
    "webhook-key-name": "tls.key",
    "webhook-service-name": "agent-sandbox-webhook-service",
    "webhook-namespace": "agent-sandbox-system",
    "manage-webhook-certs": "true",
    "enable-webhook": "true",
    "enable-tracing": "false",
    "enable-pprof": "false",
    "enable-pprof-debug": "false",
    "pprof-block-profile-rate": "1000000",
    "pprof-mutex-profile-fraction": "10",
    "kube-api-qps": "-1",
    "kube-api-burst": "10",
    "api-connections": "1",
    "separate-watch-connection": "false",
    "sandbox-concurrent-workers": "100",
    "sandbox-claim-concurrent-workers": "50",
    "sandbox-warm-pool-concurrent-workers": "1",
    "sandbox-template-concurrent-workers": "1",
    "sandbox-warm-pool-max-batch-size": "300",
    "sandbox-warm-pool-replenish-delay": "0",
    "sandbox-warm-pool-max-refill-rate": "0",
    "sandbox-warm-pool-readiness-grace-period": "5m0s",
    "sandbox-warm-pool-unschedulable-recheck-interval": "1m0s",
    "enable-warm-pool-eviction": "true",
    "cache-label-selectors": "false",
    "disable-claim-events": "false",
    "disable-claim-observability-annotations": "false",
    "sandbox-write-behind-window": "0",
    "kubeconfig": "",
    "zap-devel": "false",
    "zap-encoder": "json",
    "zap-log-level": "info",
    "zap-stacktrace-level": "error",
    "zap-time-encoding": "rfc3339",
}
BY_NAME = {flag.name: flag for flag in FLAGS}


def setting(settings: Settings, place: str) -> Any:
    value: Any = settings
    for attribute in place.split("."):
        value = getattr(value, attribute)
    return value


def parse(*argv: str) -> Settings:
    return parse_settings(argv, dropin=False).settings


@pytest.mark.parametrize("name", GO_DEFAULTS)
def test_every_flag_of_the_go_manager_exists_with_its_default(name: str) -> None:
    assert default_text(BY_NAME[name]) == GO_DEFAULTS[name]


@pytest.mark.parametrize("flag", [f for f in FLAGS if f.place], ids=lambda f: f.name)
def test_a_flag_given_its_own_default_changes_nothing(flag: Any) -> None:
    arguments = parse_settings([f"--{flag.name}={default_text(flag)}"], dropin=False)
    assert setting(arguments.settings, flag.place) == setting(Settings(), flag.place)
    assert type(setting(arguments.settings, flag.place)) is type(setting(Settings(), flag.place))
    assert arguments.ignored_flags == (() if flag.is_used else (flag.name,))


def test_every_setting_has_precisely_one_flag() -> None:
    places: list[str] = []
    for top in fields(Settings()):
        value = getattr(Settings(), top.name)
        inner = [f.name for f in fields(value)] if is_dataclass(value) else []
        places += [f"{top.name}.{name}" for name in inner] or [top.name]
    assert sorted(flag.place for flag in FLAGS if flag.place) == sorted(places)
    assert len(BY_NAME) == len(FLAGS)


@pytest.mark.parametrize(
    "argv",
    [
        ["-sandbox-concurrent-workers=7"],
        ["--sandbox-concurrent-workers=7"],
        ["-sandbox-concurrent-workers", "7"],
        ["--sandbox-concurrent-workers", "7", "--"],
        ["--sandbox-concurrent-workers", "6", "--sandbox-concurrent-workers", "0x7"],
    ],
)
def test_one_and_two_dashes_with_equals_or_space_are_the_same(argv: list[str]) -> None:
    assert parse(*argv).sandboxes.workers == 7


def test_a_boolean_takes_its_value_only_behind_an_equals_sign() -> None:
    assert parse("--cache-label-selectors").compat.caches_by_label
    assert not parse("-leader-elect=false").lease.enabled
    assert not parse("-leader-elect=F").lease.enabled
    with pytest.raises(UsageError, match="unexpected argument 'false'"):
        parse("--leader-elect", "false")


def test_a_text_may_look_like_a_flag_or_hold_an_equals_sign() -> None:
    assert parse("--kubeconfig", "--x=1").api.kubeconfig == "--x=1"
    assert parse("--kubeconfig=a=b").api.kubeconfig == "a=b"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--sandbox-concurent-workers=1"], "did you mean --sandbox-concurrent-workers?"),
        (["--qqqqqqqqqqqq"], "see --help"),
        (["--sandbox-concurrent-workers"], "needs a value: a whole number"),
        (["--sandbox-concurrent-workers=ten"], "takes a whole number, not 'ten'"),
        (["--sandbox-concurrent-workers=1.5"], "takes a whole number"),
        (["--sandbox-concurrent-workers=0"], "must be at least 1, not 0"),
        (["--claim-wait=2"], "takes a duration such as"),
        (["--claim-wait=-1s"], "must be 0 or more"),
        (["--leader-elect=yes"], "takes true or false"),
        (["--zap-log-level=loud"], "takes a level"),
        (["--zap-log-level=0"], "takes a level"),
        (["---x"], "is no flag"),
        (["--=x"], "is no flag"),
        (["-"], "unexpected argument '-'"),
        (["run"], "unexpected argument 'run'"),
        (["--", "run"], "unexpected argument 'run'"),
        (["--namespaces=a,,b"], "must be a namespace name, not ''"),
    ],
)
def test_bad_input_is_refused_in_one_line(argv: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*argv)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argv", [["-h"], ["--help"], ["-version", "-help"]])
def test_help_is_asked_for_in_the_usual_ways(argv: list[str]) -> None:
    assert parse_settings(argv, dropin=True).show_help


def test_version_does_not_need_the_rest_to_hold() -> None:
    arguments = parse_settings(["--version", "--kube-api-burst=0"], dropin=True)
    assert arguments.show_version
    assert not arguments.show_help


@pytest.mark.parametrize(
    ("argv", "dropin", "controllers"),
    [
        ([], True, {"sandbox"}),
        (["--extensions=false"], True, {"sandbox"}),
        (["--extensions"], True, {"claim", "pool", "sandbox", "template"}),
        (["--controllers=claim,pool"], True, {"claim", "pool"}),
        (["--extensions=false", "--controllers=claim"], True, {"claim"}),
        ([], False, {"claim", "pool", "sandbox", "template"}),
        (["--extensions"], False, {"claim", "pool", "sandbox", "template"}),
        (["--extensions=false"], False, {"sandbox"}),
    ],
)
def test_which_controllers_run(argv: list[str], dropin: bool, controllers: set[str]) -> None:
    assert parse_settings(argv, dropin=dropin).settings.controllers == controllers


def test_the_drop_in_says_what_it_does_not_run() -> None:
    (alone,) = parse_settings([], dropin=True).notes
    assert "only the sandbox controller runs" in alone
    assert parse_settings(["--extensions"], dropin=True).notes == ()
    assert parse_settings([], dropin=False).notes == ()


def test_arguments_of_the_stock_deployment_are_accepted() -> None:
    arguments = parse_settings(
        [
            "--leader-elect=true",
            "--extensions=true",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            "--sandbox-claim-concurrent-workers=50",
            "--enable-pprof-debug",
            "--webhook-service-name=agent-sandbox-webhook-service",
            "--zap-log-level=5",
        ],
        dropin=True,
    )
    assert arguments.ignored_flags == (
        "kube-api-qps",
        "kube-api-burst",
        "enable-pprof-debug",
    )
    assert arguments.settings.logs.level == "debug"
    assert arguments.settings.compat.api_qps == 1000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("-0", 0.0),
        ("5m0s", 300.0),
        ("1h30m", 5400.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("-2s", -2.0),
        ("+2s", 2.0),
        ("7us", 7e-6),
        ("7µs", 7e-6),
        ("1ns", 1e-9),
        ("1s1s", 2.0),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "-", "5", "5 s", " 5s", "s", "1d", "1e3s", "5mm", "3000000h", "٣s"]
)
def test_what_go_refuses_as_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "500ms", "2s", "1m10s", "5m0s", "1h0m0s", "1h30m1.5s"])
def test_durations_are_written_as_go_writes_them(text: str) -> None:
    assert duration_text(parse_duration(text)) == text


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.INT, "0x10", 16),
        (Kind.INT, "010", 8),
        (Kind.INT, "0b11", 3),
        (Kind.INT, "1_000", 1000),
        (Kind.INT, "-3", -3),
        (Kind.INT, "0", 0),
        (Kind.FLOAT, "1e3", 1000.0),
        (Kind.FLOAT, "-inf", float("-inf")),
        (Kind.BOOL, "T", True),
        (Kind.BOOL, "0", False),
        (Kind.NAMES, "b,a", ("b", "a")),
        (Kind.NAMES, "", ()),
        (Kind.SET, "b,a,b", frozenset({"a", "b"})),
        (Kind.LEVEL, "WARN", "warn"),
    ],
)
def test_values_are_read_as_go_reads_them(kind: Kind, text: str, value: Any) -> None:
    assert parse_value(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.INT, "9223372036854775808"),
        (Kind.INT, "٣"),
        (Kind.INT, " 1"),
        (Kind.INT, "1_"),
        (Kind.INT, "08"),
        (Kind.FLOAT, "1,5"),
        (Kind.FLOAT, "infinit"),
        (Kind.BOOL, "yes"),
        (Kind.LEVEL, "-1"),
    ],
)
def test_values_that_go_refuses_are_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_value(kind, text)


def test_the_help_names_every_flag_and_fits_its_width() -> None:
    lines = help_text("warmclaim run").splitlines()
    assert max(map(len, lines)) <= HELP_COLUMNS
    for flag in FLAGS:
        assert any(line.startswith(f"  --{flag.name}") for line in lines), flag.name
        assert flag.help.endswith(".")
