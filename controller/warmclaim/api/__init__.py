"""Typed views of API objects: only what is read, and no logic beyond reading.

A view is a frozen msgspec struct. Unread fields are dropped while decoding: a pod of 6 kB becomes
a few hundred bytes. Blobs that are passed on unread (pod templates) stay JSON, shared between
equal ones.
"""
