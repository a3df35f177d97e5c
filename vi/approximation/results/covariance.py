"""Covariances that a mean-field q leaves out, by linear response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.results.draws import names_from
from vi.families import Family, MeanField, Normal, Product
from vi.foundation.numbers import check_pairs
from vi.foundation.seeds import RESPONSE, generator_from, resolve_seed
from vi.search.fixed_draws import base_draws
from vi.search.linear_response import response

__all__ = ["cov_lr"]

LARGEST_WHOLE = 500
"""Dimensions up to which all covariances are computed at once."""


def cov_lr(
    fit: FitState,
    names: Sequence[str] | None = None,
    *,
    draws: int = 64,
    random_seed: Any = 0,
) -> xr.DataArray:
    r"""The covariance of the posterior by linear response: what mean field's sds leave out.

    If the posterior is tilted by :math:`e^{t^\top z}`, its mean moves by its covariance times
    :math:`t`. Mean field's own variances know nothing of correlations, but its *means* follow the
    tilt:

    .. math:: \mathrm{Cov}_{LR} = \frac{d \mu^*(t)}{d t} = \bigl[ H^{-1} \bigr]_{\mu\mu},

    where :math:`H` is the Hessian of minus the ELBO in :math:`(\mu, \log \sigma)`, over fixed
    antithetic draws. It is exact where the posterior is normal, and as good as the means of q
    elsewhere: it mends sds and gives correlations, wrong means stay wrong.

    Parameters
    ----------
    names : sequence of str, optional
        Variables whose covariances are wanted, with each other; all by default, in up to 500
        dimensions. For some, conjugate gradients take about as many products with the Hessian, each
        of some gradients for each draw, as there are different directions in it.
    draws : int
        Draws, an even number; their noise is in the result.
    random_seed : int, optional
        Seed of the draws.

    Returns
    -------
    xarray.DataArray
        Unconstrained covariances, ``(unconstrained, unconstrained_2)``, labelled.

    Raises
    ------
    TypeError
        If q is not one of independent normals, or the rows are streamed.
    ValueError
        If a name is unknown, there are more than 500 dimensions and no names, or q is not near an
        optimum of the ELBO.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     x = pm.MvNormal("x", [0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]])
    >>> approx = vi.fit(method="dadvi", model=model, random_seed=1)
    >>> bool((approx.std.eval() < 0.8).all()), approx.cov_lr().values.round(2).tolist()
    (True, [[1.0, 0.8], [0.8, 1.0]])

    References
    ----------
    Giordano, Broderick and Jordan (2018). Covariances, robustness, and variational Bayes. JMLR 19.
    """
    check_pairs("draws", draws)
    if not _independent_normals(fit.family) or fit.local:
        raise TypeError(
            f"cov_lr corrects independent normals (vi.MeanField), and this q is "
            f"{fit.family.short_name}: approx.cov has its covariance."
        )
    entries = _entries(fit, names)
    target = target_of_all_rows(fit)
    mean, std = mean_and_std(fit)
    noise = base_draws(generator_from(resolve_seed(random_seed), RESPONSE), draws, target.dim)
    at = response(target, mean, std, noise)
    if target.dim <= LARGEST_WHOLE:
        values = at.covariance()[np.ix_(entries, entries)]
    else:
        values = at.rows(entries)[:, entries]
    labels = [fit.layout.label(int(i)) for i in entries]
    return xr.DataArray(
        values,
        coords={"unconstrained": labels, "unconstrained_2": labels},
        dims=("unconstrained", "unconstrained_2"),
        name="covariance",
        attrs={"draws": int(draws)},
    )


def _independent_normals(family: Family) -> bool:
    """Whether q has a normal of its own for each coordinate."""
    if isinstance(family, Product):
        return all(_independent_normals(part.family) for part in family.parts)
    return isinstance(family, MeanField) and isinstance(family.base, Normal)


def _entries(fit: FitState, names: Sequence[str] | None) -> np.ndarray:
    """Indices into the flat vector of the variables that are meant."""
    dim = fit.layout.dim
    if names is None:
        if dim > LARGEST_WHOLE:
            raise ValueError(
                f"The covariance of all {dim:,} coordinates would be large: "
                f"cov_lr(names=[...]) has those of some variables; there are "
                f"{', '.join(fit.layout.names)}."
            )
        return np.arange(dim)
    given = names
    names = names_from(names or None, "names") or []
    known = list(fit.layout.names)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f"names={given!r}: give names of free variables; there are {', '.join(known)}."
        )
    return np.concatenate([np.arange(dim)[fit.layout[name].slice] for name in names])
