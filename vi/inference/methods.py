"""Inference classes by the name that ``method=`` takes: a live table."""

from __future__ import annotations

from vi.foundation.registry import Registry
from vi.inference.contract import check_declared
from vi.inference.inference import Inference

__all__ = ["METHODS"]

METHODS: Registry[type[Inference]] = Registry(
    "method", of=Inference, frozen=False, check=check_declared
)
"""Inference classes by the name that ``method=`` takes; ``METHODS.register`` adds one."""
