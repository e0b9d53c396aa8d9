"""The demo: the real manager against an embedded API server, measured from outside.

scenario   what is asked for: pool, burst, rate, nodes; the objects (pure)
ledger     what the demo's own watches saw, and whether a promise was broken (pure)
lifetime   the same of the one claim that expires during the demo (pure)
figures    percentiles and distributions (pure)
result     all that a run found, also as JSON (pure)
report     the result as a page of text
progress   what is shown meanwhile
process    the manager as a process of its own
load       the client: sends claims, watches, tells the ledger
engine     puts a run together
"""
