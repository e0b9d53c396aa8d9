"""The claim history: rows of finished claims, spooled by the manager, archived as Parquet.

    spool.Spool             the manager's side: `append(row)`, from the event loop, never waits
    spool_bound.SpoolBound  what a spool may hold where nothing archives it
    spool_reader.spooled    every row that lies in a spool, open hours too
    convert.convert_closed  closed hours of a spool become Parquet files under a target
    retention.retain        whole files go, by age and by size in all
    target.open_target      a local directory, or any URL that `pyarrow.fs` knows

A spool is a directory that any number of processes may share. Each writer has a directory of its
own in it, locked while the writer lives; in it a directory for each hour, with a file of lines for
each node. What is complete or gone is a directory's name:

    SPOOL/<writer>/lock
    SPOOL/<writer>/2026-11-22T16.0.open/columns.json      what the values of a line are
    SPOOL/<writer>/2026-11-22T16.0.open/<node>.jsonl      being written
    SPOOL/<writer>/2026-11-22T15.0.closed/<node>.jsonl    never written again
    SPOOL/<writer>/2026-11-22T15.0.closed/rows.json       how many rows each has
    SPOOL/archive.lock, archive.journal, work/            of the one that converts
    TARGET/date=2026-11-22/claims-*.parquet

Only `schema`, `columns`, `groups`, `parquet`, `convert`, `handover`, `target`, `retention` and
`history` need pyarrow (the extra `archive`).
"""
