"""Batches of rows as tensors in a model."""
