"""The write side: an append-only log of commits, the single source of truth.

Follow a command through `decisions.EventStore.decide`; `commits` is the stored form,
`log` puts and reads it. Nothing outside this package writes to the event table.
"""
