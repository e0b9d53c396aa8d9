"""Names, labels and buckets of what is measured, and the log format."""
