"""Demo studies, made here: phantoms whose pixels decide the report."""
