"""The student: preflight, training, sampling."""
