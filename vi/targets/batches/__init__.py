"""Batches of rows in a model: found, scaled, checked."""
