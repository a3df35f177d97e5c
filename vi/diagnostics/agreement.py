"""Whether several runs of one fit agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from vi.foundation.layout import Layout

__all__ = ["compared", "describe"]


NEAR = 0.5
"""ELBOs that differ by less, beyond noise, count as the same."""


def compared(found: Mapping[str, np.ndarray], layout: Layout) -> xr.Dataset:
    """What several runs found, and whether they agree.

    Parameters
    ----------
    found : mapping of {str: array}
        ``elbo`` and its Monte-Carlo error ``elbo_error``, both ``(runs,)``, from the losses of the
        last steps; ``mean`` and ``std`` of q in the unconstrained space, both ``(runs, D)``.
    layout : Layout
        Names for the entries of the unconstrained space.

    Returns
    -------
    xarray.Dataset
        By run (dimension ``restart``) the same as ``restart_elbo`` and so on, and
        ``restart_distance``, the largest difference of a run's means from those of the best run, in
        standard deviations of the best run's q (of point estimates in unconstrained units). NaN for
        runs that diverged. The attributes ``restart_best`` and ``restarts_near_best`` say which run
        is the best, and how many have its ELBO within 0.5 and three standard errors.
    """
    elbo, error = found["elbo"], found["elbo_error"]
    finite = np.isfinite(elbo)
    best = int(np.argmax(np.where(finite, elbo, -np.inf)))
    means, stds = (np.where(finite[:, None], found[name], np.nan) for name in ("mean", "std"))
    unit = np.where(stds[best] == 0, 1.0, stds[best])  # of a point estimate
    distance = np.abs((means - means[best]) / unit).max(axis=1)
    near = elbo[best] - elbo < NEAR + 3 * np.hypot(error, error[best])
    return xr.Dataset(
        {
            "restart_elbo": ("restart", elbo),
            "restart_elbo_error": ("restart", error),
            "restart_distance": ("restart", distance),
            "restart_mean": (("restart", "unconstrained"), means),
            "restart_std": (("restart", "unconstrained"), stds),
        },
        coords={
            "restart": np.arange(len(elbo)),
            "unconstrained": layout.labels,
        },
        attrs={"restart_best": best, "restarts_near_best": int(near.sum())},
    )


def describe(record: xr.Dataset) -> str:
    """One line on whether the runs agree."""
    elbo, distance = record["restart_elbo"].to_numpy(), record["restart_distance"].to_numpy()
    best, near = record.attrs["restart_best"], record.attrs["restarts_near_best"]
    finite = np.isfinite(elbo)
    failed = f", {int((~finite).sum())} diverged" if not finite.all() else ""
    order = np.argsort(-np.where(finite, elbo, -np.inf))[:near]
    return (
        f"{len(elbo)} restarts{failed}: run {best} is the best, ELBO {elbo[best]:,.5g} (lowest "
        f"{elbo[finite].min():,.5g}); {near} reach it, their means at most "
        f"{distance[order].max():.2g} sd apart"
    )
