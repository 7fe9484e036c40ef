"""The review application: a person reads film, steps and report, and decides; decisions go into the run's journal."""
