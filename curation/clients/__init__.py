"""How providers are spoken to: one HTTP client, sealed answers, failures by kind, batches."""
