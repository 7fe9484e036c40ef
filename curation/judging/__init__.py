"""Judging: what `curation.judge` is made of: the rubric, the recipe, and whose family a model is of."""
