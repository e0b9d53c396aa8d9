"""Plays seeds with the package that PYTHONPATH names; one line of JSON for each.

Run as a program of its own, `python -P play.py SEED_S_MAX SEED...`: the package that it imports may
have a bug that keeps a seed from ever ending. Then the process ends itself, and the seeds after
the last line are those that got no answer.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import traceback
from collections.abc import Sequence

from warmclaim.testing.sim.simulation import drawn_case, run_case


def main(arguments: Sequence[str]) -> None:
    """The first argument is a time limit in seconds for each seed, the others are the seeds."""
    limit_s, *seeds = map(int, arguments)
    for seed in seeds:
        faulthandler.dump_traceback_later(limit_s, exit=True)
        promise, text = _played(seed)
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps({"seed": seed, "promise": promise, "text": text}), flush=True)


def _played(seed: int) -> tuple[str, str]:
    """What broke, two empty texts if nothing did."""
    try:
        breach = run_case(drawn_case(seed)).breach
    except Exception:
        return "simulator", traceback.format_exc(limit=-3)
    return (breach.promise, breach.text) if breach else ("", "")


if __name__ == "__main__":
    main(sys.argv[1:])
