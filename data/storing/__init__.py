"""How a study store is written and found again; data/store.py is its face."""
