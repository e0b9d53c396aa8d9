"""Which interleavings are explored: the scopes of every run, and larger ones.

What a leader that hears nothing does not see cannot matter to it: while both are deaf, a write and
its answer apart give the same orders again. So only scopes with a hearing leader are split.

Sizes are orders without a lost answer. Each is complete for its scope; what no scope has is in
`race`: timers end before a held call goes on if they are short, and after it if they are long.
"""

from __future__ import annotations

from typing import Final

from warmclaim.testing.explore.race import Scope

PROMPT: Final = (False, False)
DEAF: Final = (True, True)
SECOND_DEAF: Final = (False, True)
FIRST_DEAF: Final = (True, False)

CORE: Final = (
    Scope("claims", PROMPT, is_split=True),  # 14,220: eight steps each and what conflicts cost
    Scope("claims", PROMPT, "claims"),
    Scope("claims", PROMPT, "sandboxes"),  # 1,548: one claim may get both sandboxes
    Scope("claims", DEAF),
    Scope("claims", DEAF, "claims"),
    Scope("claims", DEAF, "sandboxes"),  # 10,936: the same with old views, and cold starts
    Scope("pool", PROMPT),
    Scope("pool", DEAF),
)

LARGE: Final = (
    Scope("claims", PROMPT, "claims", is_split=True),
    Scope("claims", SECOND_DEAF, "sandboxes"),
    Scope("claims", FIRST_DEAF, "sandboxes"),
    Scope("claims", PROMPT, workers=2),
    Scope("claims", SECOND_DEAF, is_split=True),
    Scope("claims", DEAF, workers=2),
    Scope("claims", PROMPT, "sandboxes", is_split=True),  # 440,000
    Scope("pool", SECOND_DEAF),
    # Two leaders may take a batch from each other over and over: orders of 60 calls, and more of
    # them than a night has seconds. Whoever counts with an old view is found in the first few.
    Scope("batches", DEAF),
    Scope("batches", PROMPT),
    Scope("batches", SECOND_DEAF),
    Scope("pool", PROMPT, is_split=True),  # 370,000
)

BY_NAME: Final = {str(scope): scope for scope in (*CORE, *LARGE)}
