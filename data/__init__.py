"""What comes in and what goes out: sources, images, splits, the run folder and its journal."""
