"""Optional packages: imported when they are needed, and named where they are missing."""

from __future__ import annotations

import importlib
from typing import Any


def needs(module: str, what: str) -> Any:
    """An optional package; the error of a missing one says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f'{what} need the package {package}: pip install "pymc-vi[data]".'
        ) from error
