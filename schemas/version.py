"""The version of tenstep, which every record of a run names."""

__version__ = "0.2.0"
