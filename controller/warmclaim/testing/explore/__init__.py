"""Exhaustive exploration: what a seeded run meets by chance, met here one by one.

`crash_points` ends the manager at every write, `hidden_events` keeps every event from it,
`frozen_servers` has it come back to an API server that stands still at every version; each does
so in fixed `scenarios`, with the simulator's world and judge. `interleavings` tries the orders of
API calls at a small scope.
"""
