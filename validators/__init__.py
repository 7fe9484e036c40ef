"""The rules: pure functions of a study and a candidate."""
