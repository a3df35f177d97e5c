"""The mode of a log density, and what is known there."""
