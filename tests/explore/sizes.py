"""How far the exploration goes. WARMCLAIM_LOST_ANSWERS=all is a night, none a quick look."""

import os
from typing import cast

from warmclaim.testing.explore.search import LossMode

JOBS = int(os.environ.get("WARMCLAIM_JOBS", str(min(2, os.cpu_count() or 1))))
LOST_ANSWERS = cast(LossMode, os.environ.get("WARMCLAIM_LOST_ANSWERS", "drawn"))
LOST_SEED = int(os.environ.get("WARMCLAIM_LOST_SEED", "0"))
