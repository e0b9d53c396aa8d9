"""Deterministic simulation of a whole cluster: the production manager under seeded faults.

    python -m warmclaim.testing.sim --seeds 200 --jobs 2      # a campaign
    python -m warmclaim.testing.sim --seed 17                 # one run, with its schedule

The manager's reflectors, caches, queues, elector and reconcilers run unchanged; Transport, Clock
and Rng are replaced. `judge` holds the promises S1-S7 against every commit, `liveness` the
promises L1-L5 after the last fault. A run is a value (`case.Case`): options, the actions of
the people and machines around the manager, and the faults of its requests. Everything is drawn
from the seed by key and not in sequence, so that leaving one thing out leaves the others as they
were; `shrink` uses that.
"""
