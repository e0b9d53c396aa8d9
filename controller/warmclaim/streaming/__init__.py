"""Lists element by element: memory is bounded by one element and one buffer, whatever the size."""
