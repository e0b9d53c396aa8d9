"""Days of work in minutes: whether the manager's memory stays as large as what lives.

    python -m warmclaim.testing.endurance --days 1 --claim-every-s 10

Two managers, made of production code, run on virtual time against the embedded API server. Claims
of every sort come and go, and so do namespaces with their pools and templates; some requests fail;
the leadership changes hands each hour, by processes that live on. After each tenth of the claims
the world comes to rest, and what is kept is measured.
"""
