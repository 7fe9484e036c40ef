"""Report metrics: each number with its implementation, version and preprocessing; nothing is fetched from anywhere."""
