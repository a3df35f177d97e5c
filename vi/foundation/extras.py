"""Optional packages: imported when they are needed, and named where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["EXTRAS", "needs"]

EXTRAS = {
    "arviz_plots": "plots",
    "bambi": "bambi",
    "blackjax": "mcmc",
    "dask": "data",
    "equinox": "flows",
    "flowjax": "flows",
    "matplotlib": "plots",
    "netCDF4": "data",
    "numpyro": "numpyro",
    "paramax": "flows",
    "pyarrow": "data",
    "zarr": "data",
}
"""The extra of ``pyproject.toml`` that brings each optional package."""


def needs(module: str, what: str) -> Any:
    """An optional package's module; the error of a missing one says how to get it.

    Parameters
    ----------
    module : str
        What is imported, ``"pyarrow.parquet"`` for example; its package is in :data:`EXTRAS`.
    what : str
        What it is needed for, as the plural that begins the message: ``"Parquet files"``.

    Raises
    ------
    ImportError
        If it cannot be imported; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f'{what} need the package {package}: pip install "pymc-vi[{EXTRAS[package]}]".'
        ) from error
