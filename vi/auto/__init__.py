"""The method that chooses: a fit in stages, each checked, as far as it takes."""

from vi.auto.method import Auto

__all__ = ["Auto"]
