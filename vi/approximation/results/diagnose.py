"""Whether a fit can be trusted: fresh draws, weights, short chains, other fits, and a verdict."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.judgement import present_diagnosis
from vi.approximation.record.log_density import (
    target_of_every_row,
    target_of_row_blocks,
    target_of_some_rows,
)
from vi.approximation.record.parameters import mean_and_std, reported_params
from vi.approximation.record.points import points_of
from vi.approximation.record.training_data import lost_data
from vi.approximation.results.diagnosis_sizes import check_sizes, sizes_of
from vi.approximation.results.given_points import without_points
from vi.approximation.results.measurements import measured
from vi.approximation.results.passes import sizes_in_passes
from vi.approximation.results.points import draw
from vi.approximation.results.some_rows import measured_on_some_rows
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.verdict import judged
from vi.foundation.seeds import resolve_seed
from vi.targets.backends.streamed_target import StreamedTarget
from vi.targets.base import Target
from vi.targets.batches.row_blocks import POINTS

__all__ = ["arguments_of_diagnosis", "diagnose"]

logger = logging.getLogger("vi")


def diagnose(
    fit: FitState,
    draws: int | None = None,
    *,
    chains: int | None = None,
    starts: int | None = None,
    rows: Literal["auto", "all", "some"] = "auto",
    random_seed: Any = 0,
) -> Diagnosis:
    r"""Measure how far q is from the posterior, and say what it can be used for.

    - **Importance weights** :math:`p / q` of draws of q, Pareto-smoothed: how far they move means
      and standard deviations. They see what q covers thinly, and nothing where q never goes. As
      many draws that are 3, 10 and 100 times wider are weighed together with them: a wide component
      behind a narrow one, or a mode some way off, leaves q's own weights nearly equal.
    - **Short chains**: draws of q are moved by 25 steps of Hamiltonian Monte Carlo. Draws of the
      posterior stay what they are; of anything else, mean and standard deviation move towards it.
      How far is a lower bound of the error. 64 chains of Langevin steps come first: they end it
      if the weights are not reliable and they move a mean by clearly too much; and if half of the
      draws and more count, the weights move nothing by 0.1, and the chains agree.
    - **Other fits**: independent normals are fitted over fixed draws, from the model's initial
      point, and from both sides of it, of 0 and of q. One at another place whose ELBO is higher, or
      near, shows mass that no draw of q comes near; so do the runs of a fit with ``restarts=``, and
      the *images* of q, with entries exchanged along an axis (the components of a mixture, the
      factors of a factor model) or signs changed (a product's).
    - **The ELBO's slope** at the end, in units of q, says whether a fit has arrived.
    - **Far out**, up to 1e12 standard deviations, log p has to fall: a posterior along which it
      does not is improper, which ends the diagnosis, and one that falls slowly lacks moments.

    Of a model in batches with very many rows only the weights of some draws, 64 at least, read all
    of them. The rest reads rows that stand for all: 5,000, and 20 for each dimension, at least,
    with the slope that all have where q is.

    Variables that are point estimates (``family="point"``) have no width that could be judged: the
    verdict is on the posterior of all others given these, and names them in ``skipped``.

    The approximation keeps the result in :attr:`~vi.Approximation.diagnosis` until its parameters
    or data change, and shows it in its status, its draws and its file. In a callback of a run it is
    returned alone.

    Parameters
    ----------
    draws : int, optional
        Draws for ELBO and weights, and as many wider ones; one evaluation of log p each. By default
        2,000, and fewer where the data or the dimensions are so many that they would take minutes
        or gigabytes.
    chains : int, optional
        Chains; each takes 126 gradients. Their noise is about ``1 / sqrt(chains)`` standard
        deviations. By default up to 256, fewer in the same cases, and none where not even 64 would
        do. 0 leaves them out: a fit is good then only if the weights know it by themselves.
    starts : int, optional
        Other fits, of some 100 to 300 gradients each, and up to 4,000 more where they end
        elsewhere. By default 7 where there are chains that do not end it, none otherwise.
    rows : {"auto", "all", "some"}
        Of streamed rows, how many are read. ``"all"``: log p of all draws, their images and the
        slope come from one pass over the stream (of images with about as high a log p, another
        one). A gradient of chains and other fits takes a pass too; they are left out, unless they
        are asked for, where these passes take more than a twentieth of the fit's time and 10
        seconds. ``"some"``: twenty pieces of the rows, from anywhere (the first of a loader), whose
        posterior is another one: they can show that the ELBO still rises, and never that a fit is
        good. ``"auto"``: all, if one pass takes no more time than that.
    random_seed : int, optional
        Seed of draws and chains.

    Returns
    -------
    vi.diagnostics.Diagnosis
        Its text is a verdict of one sentence; ``table`` has the measurements.

    Raises
    ------
    ValueError
        If ``rows="some"`` and the rows are not streamed; if all variables are point estimates, or
        some are and rows are streamed.
    DataError
        If streamed rows cannot be read, or a loader not more than once.

    References
    ----------
    Yao, Vehtari, Simpson and Gelman (2018). Yes, but did it work? Evaluating variational inference.
    ICML. Vehtari, Simpson, Gelman, Yao and Gabry (2024). Pareto smoothed importance sampling. JMLR
    25.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> vi.fit(method="laplace", model=model, random_seed=1).diagnose().verdict
    'good'
    """
    check_sizes(draws, chains, starts, rows)
    known = present_diagnosis(fit)
    if "rhat_worst" in fit.notes and known is not None:
        return known  # chains are judged by how they agree: short ones from them see less
    seed = resolve_seed(random_seed)
    if fit.data.missing in [lost_data("data=", holder) for holder in ("file", "pickle")]:
        logger.warning("The verdict is on the model's present data. %s", fit.data.missing)
    streamed = target_of_every_row(fit)
    if isinstance(streamed, StreamedTarget):
        if points_of(fit):
            raise ValueError(
                f"{', '.join(points_of(fit))}: point estimates, of which a verdict on streamed "
                "rows is not made. Give data= as arrays in memory."
            )
        sizes = None
        if rows != "some":
            sizes = sizes_in_passes(fit, streamed, rows, draws, chains, starts)
        if sizes is None:
            return judged(measured_on_some_rows(fit, streamed, seed))
        return judged(measured(fit, streamed, streamed, sizes, seed))
    if rows == "some":
        raise ValueError("rows='some' is for streamed rows; these are all at hand: rows='all'.")
    of_rows = target_of_row_blocks(fit)
    target = _as_all(fit, of_rows, seed)
    sizes = sizes_of(fit, draws, chains, starts, rows=of_rows, target=target)
    points = points_of(fit)
    if points:
        fit, (of_rows, target) = without_points(fit, of_rows, target)
    found = measured(fit, of_rows, target, sizes, seed)
    if points:
        what = f"{', '.join(points)}: point estimates, and the verdict is on all others given them"
        found = replace(found, skipped=(what, *found.skipped))
    return judged(found)


def _as_all(fit: FitState, rows: Target, seed: int) -> Target:
    """Log p as chains and other fits read it: all rows, or of very many those that stand for them.

    These have the slope of all rows where q is.
    """
    some = target_of_some_rows(fit)
    if some is None:
        return rows
    points, _ = draw(fit.family, reported_params(fit), seed, POINTS // 2, fit.dtype)
    return some.as_all(rows, points, mean_and_std(fit)[0])


def arguments_of_diagnosis(given: Any) -> Mapping[str, Any] | None:
    """Arguments of :func:`diagnose` that ``diagnose=`` of a fit means, checked; None for none."""
    if isinstance(given, bool | np.bool_):
        return {} if given else None
    if not isinstance(given, Mapping):
        raise TypeError(
            f"diagnose={given!r}: use True, False or a dict of arguments of approx.diagnose()."
        )
    known = list(inspect.signature(diagnose).parameters)[1:]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(
            f"diagnose={dict(given)!r}: {', '.join(map(repr, unknown))} is no argument of "
            f"approx.diagnose(), which takes {', '.join(known)}."
        )
    draws, chains, starts = (given.get(name) for name in ("draws", "chains", "starts"))
    check_sizes(draws, chains, starts, given.get("rows", "auto"))
    resolve_seed(given.get("random_seed", 0))
    return dict(given)
