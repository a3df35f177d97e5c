"""Approximations from files, and draws of them as a function."""

from __future__ import annotations

import os
from typing import Any

import optax
import pymc as pm
import xarray as xr

from vi.approximation.approximation import Approximation
from vi.approximation.checkpoints.stage_ends import newest_file
from vi.approximation.empirical import Empirical
from vi.approximation.files.read import read
from vi.approximation.files.save import path_of_file
from vi.families import Family, Particles
from vi.foundation.arguments import instance
from vi.foundation.numbers import flag
from vi.optimizers.named import is_optimizer
from vi.targets.model.checks import check_variables, model_in_context

__all__ = ["load", "sample_approx"]


def load(
    path: str | os.PathLike[str],
    model: pm.Model | None = None,
    *,
    obj_optimizer: optax.GradientTransformation | None = None,
    family: Family | None = None,
    check_model: bool = True,
) -> Approximation:
    """Read an approximation that :meth:`Approximation.save` wrote.

    Parameters
    ----------
    path : path
        The file. Of a checkpoint of ``method="auto"`` the newest of its files is read: the steps
        that are going on, or what the stages have come to.
    model : pymc.Model, optional
        The model that was fitted, built again; the one in context by default.
    obj_optimizer : optax.GradientTransformation, optional
        The optimiser of the run, needed to ``refine`` only if it was not one of ``vi``'s named ones
        (a file holds no code).
    family : Family, optional
        The family that was fitted, needed only if it is not one of ``vi``'s.
    check_model : bool
        Whether to refuse a model whose variables are those that were fitted and whose
        distributions, potentials or data are others. Functions behind operations are not looked
        into, and models built by another version of PyMC are not compared, nor files of 0.1.0.

    Returns
    -------
    Approximation
        Equal to the one that was saved: parameters, loss trace, and the state from which ``refine``
        goes on.

    Raises
    ------
    ValueError
        If the file is not one of an approximation, or the model is not the one that was fitted.
    """
    model = model_in_context(model)
    check_variables(model)
    flag("check_model", check_model)
    if family is not None:
        instance("family", family, Family, "the family that was fitted, an instance")
    if obj_optimizer is not None and (
        isinstance(obj_optimizer, type) or not is_optimizer(obj_optimizer)
    ):
        raise TypeError(f"obj_optimizer={obj_optimizer!r}: give an optax transformation.")
    record = read(
        newest_file(path_of_file("load", path)),
        model,
        obj_optimizer,
        family,
        check_model=check_model,
    )
    kind = Empirical if isinstance(record.family, Particles) else Approximation
    return kind.of_record(record)


def sample_approx(
    approx: Approximation,
    draws: int = 100,
    include_transformed: bool = False,
    *,
    random_seed: Any = None,
) -> xr.DataTree:
    """Draw from an approximation: ``approx.sample`` as a function, as in PyMC.

    Parameters
    ----------
    approx : Approximation
        What to draw from.
    draws : int
        Number of draws.
    include_transformed : bool
        Whether to add the unconstrained values.
    random_seed : int, optional
        Seed of the draws; new ones at every call by default.

    Returns
    -------
    xarray.DataTree
        See :meth:`vi.Approximation.sample`.

    Raises
    ------
    TypeError
        If `approx` is not an approximation.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu")
    >>> vi.sample_approx(vi.MeanField(model=model), draws=10)["posterior"]["mu"].shape
    (1, 10)
    """
    if not isinstance(approx, Approximation):
        raise TypeError(
            f"approx must be a vi.Approximation (what vi.fit returns), got {type(approx).__name__}."
        )
    flag("include_transformed", include_transformed)
    return approx.sample(draws, include_transformed=include_transformed, random_seed=random_seed)
