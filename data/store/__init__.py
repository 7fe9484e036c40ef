"""Studies on disk: written once, in shards, and read again in constant memory."""

from .studies import StudyStore

__all__ = ["StudyStore"]
