"""One reader a format, with one set of limits, for ingest and audit alike; what is gzipped is read as it is."""
