"""The only room that opens a socket: client, watches, caches, the lease."""
