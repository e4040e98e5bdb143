"""The mean-field iteration."""
