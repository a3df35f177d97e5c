"""Diagnostics: whether it worked."""

from vi.diagnostics.change import change
from vi.diagnostics.diagnosis import Diagnosis

__all__ = ["Diagnosis", "change"]
