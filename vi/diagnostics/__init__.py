"""Diagnostics: whether it worked."""

from vi.diagnostics.change import change

__all__ = ["change"]
