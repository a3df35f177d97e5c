"""Sums over rows of data that a few weighted rows give exactly: found, checked, kept up to date."""
