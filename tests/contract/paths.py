"""Cases of paths, methods, formats and the documents about the server itself."""

from __future__ import annotations

from tests.contract.bodies import config_map, pool
from tests.contract.steps import ANY, Call, Case, case, delete, get, merge, post, put

GROUP = "extensions.agents.x-k8s.io"
VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]

PATHS = (
    case(
        "a path that leads nowhere is 404 in plain text",
        get("/nowhere", 404, reason="", has={}),
        get("/apis/ghost.example/v1/things", 404, text="404 page not found"),
        get(f"/apis/{GROUP}/v9/namespaces/{{ns}}/sandboxwarmpools", 404, text="404 page not found"),
    ),
    case(
        "an unknown resource of a group that is served is 404",
        get(f"/apis/{GROUP}/v1beta1/namespaces/{{ns}}/ghosts", 404, text="404 page not found"),
        get("/api/v1/namespaces/{ns}/ghosts", 404, reason="NotFound", has={"details": {}}),
    ),
    case(
        "an unknown subresource is 404",
        post("pools", pool()),
        get("pools/pool/ghost", 404, reason="NotFound"),
        get("pods/p/ghost", 404, reason="NotFound"),
    ),
    case(
        "a collection cannot be replaced",
        put("configmaps", {}, 405, reason="MethodNotAllowed"),
        merge("configmaps", {}, 405, reason="MethodNotAllowed"),
    ),
    case(
        "a custom collection wants a name to be replaced",
        put("pools", pool(), 400, reason="BadRequest", text="name must be provided"),
        merge("pools", {}, 400, reason="BadRequest", text="name must be provided"),
    ),
    case(
        "an object cannot be posted to",
        post("configmaps", {"metadata": {"name": "a"}}),
        post("configmaps/a", {}, 405, reason="MethodNotAllowed"),
    ),
    case(
        "a post to the path of a custom object is a create",
        post("pools/pool", pool(), has={"metadata": {"name": "pool"}}),
        post("pools/pool", pool(), 409, reason="AlreadyExists"),
    ),
    case(
        "a subresource cannot be deleted",
        post("pools", pool()),
        delete("pools/pool/status", 405, reason="MethodNotAllowed"),
    ),
    case(
        "a name in the path may be escaped",
        post("pools", pool("a.b")),
        get("pools/a%2Eb", has={"metadata": {"name": "a.b"}}),
    ),
)

FORMATS = (
    case(
        "a body that is no JSON is refused",
        post("pools", b"{", 400, reason="BadRequest"),
        post("pools", b"[]", 400, reason="BadRequest"),
        post("pools", b"", 400, reason="BadRequest"),
        post("configmaps", b"{", 400, reason="BadRequest"),
    ),
    case(
        "a body in a format that is not served is refused",
        Call(
            method="POST",
            path="pools",
            body=b"<a/>",
            content_type="application/xml",
            code=415,
            reason="UnsupportedMediaType",
        ),
    ),
    case(
        "a body of another kind is refused",
        post(
            "pools",
            {**pool(), "kind": "SandboxClaim"},
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "kind"),),
        ),
        post("pools", {**pool(), "apiVersion": "v1"}, 400, reason="BadRequest"),
        post("configmaps", {**config_map(), "kind": "Secret"}, 400, reason="BadRequest"),
    ),
    case(
        "a body without kind and version is refused",
        post("pools", {"metadata": {"name": "a"}, "spec": {}}, 400, reason="BadRequest"),
    ),
    case(
        "a body of a built-in kind may leave out kind and version",
        post(
            "configmaps",
            {"metadata": {"name": "a"}, "data": {"k": "v"}},
            has={"kind": "ConfigMap", "apiVersion": "v1", "data": {"k": "v"}},
        ),
    ),
)

DOCUMENTS = (
    case(
        "the core versions are told",
        get("/api", has={"kind": "APIVersions", "versions": ["v1"]}),
    ),
    case(
        "the groups are told",
        get("/apis", has={"kind": "APIGroupList", "groups": ANY}, text=f'"name":"{GROUP}"'),
        get(
            f"/apis/{GROUP}",
            has={
                "kind": "APIGroup",
                "apiVersion": "v1",
                "name": GROUP,
                "versions": [{"groupVersion": f"{GROUP}/v1beta1", "version": "v1beta1"}],
                "preferredVersion": {"groupVersion": f"{GROUP}/v1beta1", "version": "v1beta1"},
            },
        ),
    ),
    case(
        "the resources of a group are told",
        get(
            "/apis/agents.x-k8s.io/v1beta1",
            has={
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": "agents.x-k8s.io/v1beta1",
                "resources": [
                    {
                        "name": "sandboxes",
                        "singularName": "sandbox",
                        "namespaced": True,
                        "kind": "Sandbox",
                        "verbs": VERBS,
                    },
                    {
                        "name": "sandboxes/status",
                        "singularName": "",
                        "namespaced": True,
                        "kind": "Sandbox",
                        "verbs": ["get", "patch", "update"],
                    },
                ],
            },
        ),
        get(f"/apis/{GROUP}/v1beta1", text='"name":"sandboxwarmpools/scale"'),
    ),
    case(
        "a group that is not served has no document",
        get("/apis/ghost.example", 404, text="404 page not found"),
        get("/apis/ghost.example/v1", 404, text="404 page not found"),
    ),
    case(
        "health is told in plain text",
        get("/readyz", text="ok", headers={"content-type": "text/plain"}),
        get("/livez", text="ok"),
        get("/healthz", text="ok"),
    ),
    case("the version is told", get("/version", has={"major": "1", "minor": "36"})),
)

REVIEWS = (
    case(
        "a token that nobody has is not authenticated",
        post(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "spec": {"token": "nobody-has-it"},
            },
            has={
                "kind": "TokenReview",
                "apiVersion": "authentication.k8s.io/v1",
                "spec": {"token": "nobody-has-it"},
                "status": {"error": ANY},
            },
            lacks=("status.authenticated", "status.user.username"),
        ),
    ),
    case(
        "what somebody may do is told",
        post(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": "someone",
                    "groups": ["system:masters"],
                    "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
                },
            },
            has={
                "kind": "SubjectAccessReview",
                "spec": {"user": "someone"},
                "status": {"allowed": True},
            },
        ),
        post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}},
            },
            has={"status": {"allowed": True}},
        ),
    ),
)

CASES: tuple[Case, ...] = PATHS + FORMATS + DOCUMENTS + REVIEWS
