"""The nouns: frozen records with no behaviour beyond themselves, and the error tree. No I/O."""
