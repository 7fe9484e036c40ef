"""Every figure we state, measured beside what it is compared with: `python -m benchmarks.<name>`."""
