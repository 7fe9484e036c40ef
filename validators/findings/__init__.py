"""What a sentence asserts."""
