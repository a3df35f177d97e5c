"""Rows in which order, read ahead, batch by batch."""
