"""What leaves: merged weights, model cards, the checks before publishing."""
