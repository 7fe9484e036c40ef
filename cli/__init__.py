"""The command line: one file a command, and what they share: arguments, progress, tables."""
