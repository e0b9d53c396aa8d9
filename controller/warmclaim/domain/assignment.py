"""The sandbox that another controller of this API had chosen for a claim.

The Go controller notes its choice on the claim, and only then takes the sandbox. Here the note is a
hint and no more: whoever may write the claim may write it. It is followed where the choice is one
that this controller may make itself; this controller never writes it before the sandbox is taken.
"""

from __future__ import annotations

from warmclaim.api.claim import Claim
from warmclaim.api.names import ASSIGNED_SANDBOX, is_object_name


def assigned_name(claim: Claim) -> str:
    """The name of that sandbox; "" where none is noted. From the annotation, else from the label
    of the same key, which older versions wrote."""
    metadata = claim.metadata
    name = metadata.annotations.get(ASSIGNED_SANDBOX) or metadata.labels.get(ASSIGNED_SANDBOX, "")
    return name if name and is_object_name(name) else ""
