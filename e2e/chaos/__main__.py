"""`python -m e2e.chaos`: rounds of faults on real processes, judged from etcd's own history.

Only safety, convergence, and recoveries beyond several times their goal make it fail; figures are
printed. What an engineer needs after a failure is kept in out/chaos/, and the path printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from e2e.chaos.controllers import Timing
from e2e.chaos.faults import Kind
from e2e.chaos.round import Sizes
from e2e.chaos.run import SEED, ChaosRun, Plan


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seed", type=int, default=SEED, help=f"which faults, and when ({SEED})")
    parser.add_argument("--claims", type=int, default=300, help="of a round's burst (default 300)")
    parser.add_argument("--rate", type=float, default=15.0, help="claims a second (default 15)")
    parser.add_argument("--pool", type=int, default=100, help="warm sandboxes (default 100)")
    parser.add_argument("--first-round", type=int, default=0, help="number of the first (0)")
    parser.add_argument(
        "--first-fault", type=Kind, choices=list(Kind), help="each round begins with this one"
    )
    times = Timing()
    parser.add_argument(
        "--lease",
        type=float,
        nargs=3,
        metavar=("LEASE", "RENEW", "RETRY"),
        default=(times.lease_s, times.renew_deadline_s, times.retry_s),
        help="lease duration, renew deadline and retry period in seconds (default 6 4 1)",
    )
    parser.add_argument(
        "--watch-silence",
        type=float,
        default=times.watch_silence_s,
        help=f"seconds of silence that end a watch (default {times.watch_silence_s:g})",
    )
    parser.add_argument("--nodes", type=int, default=50, help="fake nodes (default 50)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit code is 0, 1 after a failure, 130 when
    interrupted."""
    chosen = _parser().parse_args(arguments)
    lease_s, renew_deadline_s, retry_s = chosen.lease
    plan = Plan(
        seed=chosen.seed,
        rounds=chosen.rounds,
        first_round=chosen.first_round,
        first_fault=chosen.first_fault,
        sizes=Sizes(claims=chosen.claims, rate_per_s=chosen.rate, pool=chosen.pool),
        timing=Timing(lease_s, renew_deadline_s, retry_s, chosen.watch_silence),
        nodes=chosen.nodes,
    )
    is_json = chosen.output == "json"
    run = ChaosRun(
        plan, say=lambda text: print(text, file=sys.stderr if is_json else sys.stdout, flush=True)
    )
    try:
        run.play()
    except KeyboardInterrupt:
        print("interrupted; everything was ended", file=sys.stderr)
        return 130
    print(run.as_json() if is_json else run.summary())
    return int(bool(run.failures))


if __name__ == "__main__":
    sys.exit(main())
