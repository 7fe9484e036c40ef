"""A rule and an exporter for tenstep, as another package brings them."""
