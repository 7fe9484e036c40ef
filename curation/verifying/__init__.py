"""Verifying: another model reads a trace claim by claim; code checks its quotations, and its labels decide."""
