"""Auditing: what `curation.audit` is made of: reading rows, measuring traces, finding likeness, drawing the page."""
