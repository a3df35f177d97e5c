"""Diagnostics: did it work?"""

from vi.diagnostics.change import change

__all__ = ["change"]
