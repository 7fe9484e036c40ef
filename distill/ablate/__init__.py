"""What curation is worth: students that differ in one thing, trained equally, compared on the same unseen studies."""
