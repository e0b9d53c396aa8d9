"""Whether a claim costs the same whatever the pools' size: one manager, one load, many sizes.

    python -m warmclaim.growth simulated --sizes 1000x1,100000x1,100000x100
    python -m warmclaim.growth real --sizes 300x1,10000x1,10000x100

`simulated` runs the production manager on virtual time against the embedded API server inside one
process, and counts only the processor time that the manager's own tasks take. So it goes to sizes
and rates that no API server of this machine could bear. `real` runs manager, embedded API server
and load as three processes over HTTP, and takes what a client sees.
"""
