"""Families made of families: products, one a row, encoders."""
