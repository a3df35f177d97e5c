"""A record in one file without code."""
