"""Seeds that VI_TEST_SEED shifts: a test that passes with one seed alone is tuned to it (make
test-robust).
"""

from __future__ import annotations

import functools
import importlib
import os
import sys

OFFSET = int(os.environ.get("VI_TEST_SEED", "0"))
"""What is added to every seed."""


def seed(n: int) -> int:
    """The seed ``n`` of a test."""
    return n + OFFSET


def shift(module: str, name: str, position: int) -> None:
    """Add the offset to the seed that a function of the library is given, by whatever module it
    is called.
    """
    original = getattr(importlib.import_module(module), name)

    @functools.wraps(original)
    def shifted(*args, **kwargs):
        return original(*args[:position], seed(args[position]), *args[position + 1 :], **kwargs)

    for other in list(sys.modules.values()):
        if (
            getattr(other, "__name__", "").partition(".")[0] == "vi"
            and getattr(other, name, None) is original
        ):
            setattr(other, name, shifted)
