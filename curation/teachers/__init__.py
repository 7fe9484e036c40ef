"""One teacher a file."""
