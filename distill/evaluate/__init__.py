"""Report metrics, each with its implementation and version, and the evaluation that puts them in one table."""
