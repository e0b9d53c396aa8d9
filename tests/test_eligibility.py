"""Which sandboxes may be handed out: by owner uid, never by what a tenant can set."""

from __future__ import annotations

import msgspec
import pytest
from tests.views import NOW, a_claim, a_pool, a_sandbox, owned_by_pool

from warmclaim.api import names
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.eligibility import Refusal, why_not_adoptable

IN_POOL = {names.LABEL_WARM_POOL: names.name_hash("pool")}
MEMBER = {**IN_POOL, names.LABEL_TEMPLATE_REF: names.name_hash("template")}


def test_a_member_of_the_live_pool_may_be_handed_out() -> None:
    assert why_not_adoptable(a_sandbox(labels=MEMBER), a_pool()) is None


def test_an_owner_reference_of_another_version_is_the_same_owner() -> None:
    owner = msgspec.structs.replace(
        owned_by_pool(), api_version="extensions.agents.x-k8s.io/v1alpha1"
    )
    assert why_not_adoptable(a_sandbox(owner=owner, labels=MEMBER), a_pool()) is None


@pytest.mark.parametrize(
    ("sandbox", "pool", "refusal"),
    [
        (a_sandbox(deletion_timestamp=NOW), a_pool(), Refusal.DELETING),
        (a_sandbox(owner_references=()), a_pool(), Refusal.NO_POOL_OWNER),
        (a_sandbox(owner=a_claim()), a_pool(), Refusal.NO_POOL_OWNER),
        (
            a_sandbox(owner=msgspec.structs.replace(owned_by_pool(), controller=None)),
            a_pool(),
            Refusal.NO_POOL_OWNER,
        ),
        (
            a_sandbox(owner=msgspec.structs.replace(owned_by_pool(), api_version="apps/v1")),
            a_pool(),
            Refusal.NO_POOL_OWNER,
        ),
        (a_sandbox(), None, Refusal.POOL_GONE),
        (a_sandbox(owner=owned_by_pool(uid="older")), a_pool(), Refusal.OTHER_POOL_UID),
        (a_sandbox(owner=owned_by_pool("b", "uid-pool")), a_pool(), Refusal.OTHER_POOL_UID),
        (a_sandbox(labels={}), a_pool(), Refusal.LABEL_MISMATCH),
        (a_sandbox(labels=IN_POOL), a_pool(), Refusal.LABEL_MISMATCH),
        (
            a_sandbox(labels={**MEMBER, names.LABEL_WARM_POOL: names.name_hash("b")}),
            a_pool(),
            Refusal.LABEL_MISMATCH,
        ),
        (
            a_sandbox(owner_references=(owned_by_pool(), owned_by_pool("b"))),
            a_pool(),
            Refusal.MANY_CONTROLLERS,
        ),
    ],
    ids=str,
)
def test_what_only_looks_like_a_member_is_refused(
    sandbox: Sandbox, pool: Pool | None, refusal: Refusal
) -> None:
    assert why_not_adoptable(sandbox, pool) is refusal
