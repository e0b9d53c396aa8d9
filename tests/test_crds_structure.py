"""The CRDs as a whole: what they borrow from Kubernetes, their form, their files, their company."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.crd_schema import ATOMIC, MAP, Schema, at, facts, fields, misfits, nodes
from tests.crd_schema import structural_problems as problems

from warmclaim.api.schema import crd_files, crds, stale_crds, write_crds
from warmclaim.api.schema.core_types import CORE_TYPES, QUANTITY_PATTERN, core_type
from warmclaim.api.schema.prune import ROOTS, dump, main, prune
from warmclaim.errors import UsageError

CONFIG = Path(__file__).resolve().parent.parent / "config"
ROOT_SCHEMAS = {
    f"{crd['spec']['names']['kind']}-{version['name']}": version["schema"]["openAPIV3Schema"]
    for crd in crds().values()
    for version in crd["spec"]["versions"]
}
every_version = pytest.mark.parametrize("schema", ROOT_SCHEMAS.values(), ids=ROOT_SCHEMAS.keys())

QUANTITY = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": QUANTITY_PATTERN,
    "x-kubernetes-int-or-string": True,
}
POD = core_type("PodSpec")
EMBEDDED_DEFAULTS = {
    "ports[].protocol": "TCP", "grpc.service": "", "imagePullSecrets[].name": "",
    "configMapRef.name": "", "secretRef.name": "", "configMapKeyRef.name": "",
    "secretKeyRef.name": "", "fileKeyRef.optional": False, "configMap.name": "",
    "sources[].secret.name": "", "nodePublishSecretRef.name": "",
    "azureDisk.fsType": "ext4", "azureDisk.readOnly": False,
    "rbd.keyring": "/etc/ceph/keyring", "rbd.pool": "rbd", "rbd.user": "admin",
    "iscsi.iscsiInterface": "default",
    "scaleIO.fsType": "xfs", "scaleIO.storageMode": "ThinProvisioned",
}  # fmt: skip


def test_the_pod_has_these_defaults_and_no_others() -> None:
    unused = set(EMBEDDED_DEFAULTS)
    for place, schema in nodes(POD):
        if "default" in schema:
            (known,) = [end for end in EMBEDDED_DEFAULTS if place.endswith(f".{end}")]
            assert schema["default"] == EMBEDDED_DEFAULTS[known], place
            unused.discard(known)
    assert not unused


@pytest.mark.parametrize("name", [root.rpartition(".")[2] for root in ROOTS if "Pod" not in root])
def test_other_embedded_types_have_no_defaults(name: str) -> None:
    assert not [place for place, schema in nodes(core_type(name)) if "default" in schema]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("containers", ["name"]), ("initContainers", ["name"]), ("ephemeralContainers", ["name"]),
        ("containers[].ports", ["containerPort", "protocol"]), ("containers[].env", ["name"]),
        ("containers[].volumeMounts", ["mountPath"]), ("volumes", ["name"]),
        ("containers[].volumeDevices", ["devicePath"]), ("hostAliases", ["ip"]),
        ("containers[].resources.claims", ["name"]), ("imagePullSecrets", ["name"]),
        ("topologySpreadConstraints", ["topologyKey", "whenUnsatisfiable"]),
        ("resourceClaims", ["name"]), ("schedulingGates", ["name"]),
    ],
)  # fmt: skip
def test_keyed_lists_of_the_pod(path: str, keys: list[str]) -> None:
    schema = at(POD, path)
    assert schema["x-kubernetes-list-type"] == "map"
    assert schema["x-kubernetes-list-map-keys"] == keys


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tolerations", ATOMIC),
        ("containers[].command", ATOMIC),
        ("nodeSelector", {**MAP, "x-kubernetes-map-type": "atomic"}),
        ("overhead", {"type": "object", "additionalProperties": QUANTITY}),
        (
            "containers[].ports[].protocol",
            {"type": "string", "default": "TCP"},
        ),
        (
            "containers[].livenessProbe.httpGet.port",
            {k: v for k, v in QUANTITY.items() if k != "pattern"},
        ),
        (
            "topologySpreadConstraints[].labelSelector",
            {**fields("matchExpressions", "matchLabels"), "x-kubernetes-map-type": "atomic"},
        ),
        ("volumes[].ephemeral.volumeClaimTemplate.metadata", {"type": "object"}),
        ("volumes[].emptyDir.sizeLimit", QUANTITY),
    ],
)
def test_details_of_the_pod(path: str, expected: Schema) -> None:
    assert facts(at(POD, path)) == expected


# --- form ---


@every_version
def test_schemas_are_structural(schema: Schema) -> None:
    assert problems(schema) == []


@every_version
def test_the_root_says_nothing_about_metadata(schema: Schema) -> None:
    assert schema["properties"]["metadata"] == {"type": "object"}


@every_version
def test_own_fields_are_described_and_borrowed_ones_are_not(schema: Schema) -> None:
    borrowed = (
        ".podTemplate.spec", ".volumeClaimTemplates[].spec",
        ".networkPolicy.ingress", ".networkPolicy.egress",
    )  # fmt: skip
    for place, node in nodes(schema):
        is_inside = any(f"{top}." in place or f"{top}[" in place for top in borrowed)
        is_field = not place.endswith(("[]", "{}")) and place != ".metadata"
        if is_inside:
            assert "description" not in node, place
        elif is_field:
            assert node["description"].endswith("."), place


BROKEN: dict[str, Schema] = {
    "no type": {"properties": {"a": {"type": "string"}}},
    "unknown keyword": {"type": "string", "x-kubernetes-unions": []},
    "properties and additionalProperties": {**MAP, "properties": {"a": {"type": "string"}}},
    "array without items": {"type": "array"},
    "required field is not there": {"type": "object", "required": ["a"]},
    "default does not fit": {"type": "integer", "minimum": 1, "default": 0},
    "default is not in the enum": {"type": "string", "enum": ["A"], "default": "B"},
    "int-or-string with a type": {**QUANTITY, "type": "string"},
    "rule without message": {"type": "object", "x-kubernetes-validations": [{"rule": "true"}]},
    "map key neither required nor defaulted": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}


@pytest.mark.parametrize("schema", BROKEN.values(), ids=BROKEN.keys())
def test_the_checker_finds(schema: Schema) -> None:
    assert problems(schema) != []
    assert problems({"type": "object", "properties": {"inner": schema}}) != []


def test_schemas_are_the_callers_to_change() -> None:
    before = json.dumps(crds())
    for crd in crds().values():
        for version in crd["spec"]["versions"]:
            for _, node in nodes(version["schema"]["openAPIV3Schema"]):
                node.setdefault("required", []).append("changed")
    assert json.dumps(crds()) == before


# --- files ---


def test_the_committed_files_are_up_to_date() -> None:
    assert stale_crds(CONFIG / "crd") == [], "run `warmclaim crds --write config/crd`"
    assert {path.name for path in (CONFIG / "crd").iterdir()} == {
        "kustomization.yaml", *crd_files()
    }  # fmt: skip


def test_files_hold_the_crds_and_say_when_they_are_stale(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    paths = write_crds(folder)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # several times as fast
    read = [yaml.load(path.read_text(encoding="utf-8"), loader) for path in paths]
    assert read == [*crds().values()]
    assert stale_crds(folder) == []
    paths[0].unlink()
    paths[1].write_text("{}", encoding="utf-8")
    assert stale_crds(folder) == paths[:2]


def test_core_types_are_as_prune_writes_them() -> None:
    text = CORE_TYPES.read_text(encoding="utf-8")
    document = json.loads(text)
    assert dump(document["definitions"], document["release"]) == text


def openapi(**pod: object) -> Schema:
    definitions: Schema = {root: {"type": "object", "description": "gone"} for root in ROOTS}
    definitions["io.k8s.api.core.v1.PodSpec"] = {"type": "object", **pod}
    definitions["example.Unreached"] = {"type": "object"}
    definitions["example.Volume"] = {"type": "object", "x-kubernetes-patch-strategy": "merge"}
    return {"definitions": definitions}


def test_prune_keeps_what_is_reached_without_descriptions() -> None:
    reference = {"$ref": "#/definitions/example.Volume", "description": "gone"}
    pruned = prune(openapi(properties={"volumes": {"type": "array", "items": reference}}))
    assert "Unreached" not in pruned
    assert pruned["Volume"] == {"type": "object"}
    assert pruned["PodSpec"] == {
        "type": "object",
        "properties": {"volumes": {"type": "array", "items": {"$ref": "Volume"}}},
    }
    assert list(pruned) == sorted(pruned)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "no definition"),
        (openapi(oneOf=[]), "unknown keyword 'oneOf' at io.k8s.api.core.v1.PodSpec"),
        (
            openapi(items={"$ref": "#/definitions/example.PodSpec"}),
            "two definitions end in PodSpec",
        ),
        (openapi(items={"$ref": "#/definitions/example.Lost"}), "no definition example.Lost"),
    ],
    ids=["empty", "new keyword", "same name", "broken reference"],
)
def test_prune_refuses_what_it_does_not_know(document: Schema, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prune(document)


def test_prune_command_explains_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before = CORE_TYPES.read_bytes()
    assert main([]) == 2
    assert main([str(tmp_path / "absent.json"), "v1.0.0"]) == 2
    usage, missing = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: ")
    assert "absent.json" in missing
    assert CORE_TYPES.read_bytes() == before


# --- what is applied together with them ---


def documents(folder: Path) -> list[dict[str, Any]]:
    return [
        document
        for path in sorted(folder.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(
    "path", sorted(CONFIG.glob("**/kustomization.yaml")), ids=lambda p: p.parent.name
)
def test_a_kustomization_lists_the_files_beside_it(path: Path) -> None:
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = [*listed.get("resources", []), *(patch["path"] for patch in listed.get("patches", []))]
    files = {p.name for p in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert files <= set(names)
    assert all((path.parent / name).exists() for name in names)


@pytest.mark.parametrize("sample", documents(CONFIG / "samples"), ids=lambda d: d["kind"])
def test_samples_fit_their_schema(sample: dict[str, Any]) -> None:
    schema = ROOT_SCHEMAS[f"{sample['kind']}-{sample['apiVersion'].rpartition('/')[2]}"]
    del sample["metadata"]
    assert list(misfits(schema, sample)) == []


def test_readers_of_our_endpoints_get_paths_and_no_objects() -> None:
    paths = {path for rule in roles()["readers"] for path in rule["nonResourceURLs"]}
    assert paths == {"/metrics", "/debug/*", "/get-snapshot"}
    assert all(rule.keys() == {"nonResourceURLs", "verbs"} for rule in roles()["readers"])


def roles() -> dict[str, list[dict[str, Any]]]:
    """The rules of each role, by its file's folder. That they are those needed is in test_needs."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in (CONFIG / "rbac").rglob("*.yaml"):
        for doc in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            found.setdefault(path.parent.name, []).extend(doc.get("rules", []))
    return {folder: rules for folder, rules in found.items() if rules}


def test_roles_grant_no_wildcard_no_secret_but_one_and_no_update_but_of_the_lease() -> None:
    by_folder = roles()
    assert [rule["verbs"] for rule in by_folder.pop("readers")] == [["get"], ["get"]]
    updating = ("owner-enforcement", "manager")
    others = ("claims", "pools", "sandboxes", "templates", "webhook", "endpoints")
    assert set(by_folder) == {*others, *updating}
    for folder, rules in by_folder.items():
        for rule in rules:
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
            if {"secrets", "customresourcedefinitions"} & set(rule["resources"]):
                # A create cannot be limited to a name.
                assert rule["verbs"] == ["create"] or rule["resourceNames"]
                assert not {"list", "watch", "delete"} & set(rule["verbs"])
            if "update" in rule["verbs"]:
                assert folder in updating
                is_of_lease = rule.get("resourceNames") == ["a3317529.agent-sandbox.x-k8s.io"]
                assert is_of_lease or all(
                    name.endswith("/finalizers") for name in rule["resources"]
                )


@pytest.mark.parametrize("folder", ["claims", "pools", "templates"])
def test_only_the_sandbox_controller_touches_pods_services_and_volumes(folder: str) -> None:
    resources = {resource for rule in roles()[folder] for resource in rule["resources"]}
    assert not resources & {"pods", "services", "persistentvolumeclaims"}
