"""One student family a file."""
