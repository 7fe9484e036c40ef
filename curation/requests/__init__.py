"""How a question is asked: retries, pace, money, policy. The engine above it decides what is asked."""
