"""Runs that survive their process: when a record is written, and what may go on from it."""
