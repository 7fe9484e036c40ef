"""What trains a student: preflight, rows, loop, checkpoints, the run card."""
