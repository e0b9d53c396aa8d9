"""Load on a cluster in phases, and what it came to: the room behind `warmclaim loadtest`.

A profile (`profile`) is data: phases, each with conditions that end it. `run` carries it out
against any API server, `report` shows any number of runs on one page. The views and the client here
are the room's own: a field that both they and the controller read wrongly would show nowhere.
"""
