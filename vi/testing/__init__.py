"""Contracts as public checks, for those who write a part of their own."""

from vi.testing.families import check_family

__all__ = ["check_family"]
