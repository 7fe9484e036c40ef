"""Pages that open from disk: hostile text made inert, one file, no network."""
