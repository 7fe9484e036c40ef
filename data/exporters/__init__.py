"""Exporters: one trainer's form a file. `data/exporter.py` says what a file must have."""
