"""Shipped for tests and the demo: embedded API server, fake nodes, builders."""
