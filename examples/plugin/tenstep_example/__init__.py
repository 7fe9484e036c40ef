"""A plugin of each kind for tenstep, as another package brings them."""
