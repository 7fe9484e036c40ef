"""One family of models a file, named for the model type in its config.json (see distill/student.py)."""
