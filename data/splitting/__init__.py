"""Splits by patient, and what train shares with what is held out."""
