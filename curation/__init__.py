"""Teachers, prompts, the engine, repair and review."""
