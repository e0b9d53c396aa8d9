"""The loop: work queue shell, workers, start and stop; knows no kind of object."""
