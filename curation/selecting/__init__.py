"""Selecting: a small set out of many accepted examples. Gates, quality, difficulty and diversity, one file each."""
