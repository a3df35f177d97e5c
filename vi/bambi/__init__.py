"""Bambi's models: fitted here, with draws as Bambi has them."""

from vi.bambi.fitted import fit, sample

__all__ = ["fit", "sample"]
