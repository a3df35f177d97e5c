"""A Bambi model fitted, and an approximation of one drawn from, as Bambi would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from vi.approximation import Approximation
from vi.foundation.extras import needs
from vi.inference.fit import fit as fit_model

if TYPE_CHECKING:
    import bambi

__all__ = ["fit", "sample"]


def fit(
    model: bambi.Model | bambi.Formula | str,
    data: Any = None,
    *,
    family: Any = None,
    draws: int = 1000,
    random_seed: Any = None,
    omit_offsets: bool = True,
    include_response_params: bool = False,
    **options: Any,
) -> xr.DataTree:
    r"""Fit a Bambi model, and draw what Bambi's own ``model.fit()`` draws.

    Bambi fits :math:`\alpha_c + (X - \bar X) \beta` and reports :math:`\alpha = \alpha_c - \bar X
    \beta`. So do these draws, where those of ``vi.fit(model=model.backend.model)``, and of
    ``model.fit(inference_method="vi")``, have :math:`\alpha_c` under the name of
    :math:`\alpha`. What takes ``model.fit()``'s result takes this one: ``model.predict``,
    ``bambi.interpret``, ``arviz``.

    Parameters
    ----------
    model : bambi.Model, bambi.Formula or str
        The model, which is built if it is not; or a formula, if its predictions are not needed
        afterwards.
    data : pandas.DataFrame, optional
        Of a formula: its data.
    family : str or bambi.Family, optional
        Of a formula: the family, ``"gaussian"`` by default.
    draws : int
        Number of draws.
    random_seed : int, optional
        Seed of the fit and of the draws.
    omit_offsets : bool
        Whether the standardised group effects (``1|g_offset``) are left out, as Bambi does.
    include_response_params : bool
        Whether parameters of the likelihood for every row, ``mu``, are added.
    **options
        Further arguments of :func:`vi.fit`: ``method``, ``n``, ``callbacks``, ...

    Returns
    -------
    xarray.DataTree
        As of :func:`sample`. The approximation itself is ``model.backend.vi_approx``, where Bambi
        keeps it.

    Raises
    ------
    ImportError
        If Bambi is not installed: ``pip install "pymc-vi[bambi]"``.
    TypeError, ValueError
        If the model is none, has data twice, or cannot be fitted (a prior of whole numbers, say).

    Examples
    --------
    >>> import bambi as bmb, numpy as np, pandas as pd, vi
    >>> data = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [2.1, 3.9, 6.2, 7.8]})
    >>> model = bmb.Model("y ~ x", data)
    >>> draws = vi.bambi.fit(model, random_seed=1, progressbar=False)
    >>> sorted(draws["posterior"])
    ['Intercept', 'sigma', 'x']
    >>> model.predict(draws, data=pd.DataFrame({"x": [10.0]}))
    >>> bool(18 < draws["posterior"]["mu"].median() < 21)
    True
    """
    model = _model(model, data, family)
    if not model.built:
        model.build()
    backend = model.backend
    approx = fit_model(model=backend.model, random_seed=random_seed, **options)
    backend.vi_approx, backend.fit = approx, True
    return sample(
        model,
        draws=draws,
        random_seed=random_seed,
        omit_offsets=omit_offsets,
        include_response_params=include_response_params,
    )


def sample(
    model: bambi.Model,
    approx: Approximation | None = None,
    draws: int = 1000,
    *,
    random_seed: Any = None,
    omit_offsets: bool = True,
    include_response_params: bool = False,
    **options: Any,
) -> xr.DataTree:
    """Draw from an approximation of a Bambi model what Bambi's own ``model.fit()`` draws.

    Parameters
    ----------
    model : bambi.Model
        The model.
    approx : Approximation, optional
        The approximation; by default that of the last fit by :func:`fit`, or by
        ``model.fit(inference_method="vi")`` inside :func:`vi.as_pm_fit`.
    draws, random_seed, omit_offsets, include_response_params
        As of :func:`fit`.
    **options
        Further arguments of :meth:`vi.Approximation.sample`.

    Returns
    -------
    xarray.DataTree
        The groups of :meth:`vi.Approximation.sample`, with Bambi's names, dims and intercepts in
        ``posterior``.

    Raises
    ------
    TypeError
        If there is no approximation, or it is another library's.
    ValueError
        If it is one of another model.
    """
    model = _model(model, None, None)
    approx = getattr(model.backend, "vi_approx", None) if approx is None else approx
    if not isinstance(approx, Approximation):
        raise TypeError(
            f"The model has no approximation by vi, but {approx!r}: vi.bambi.fit(model) makes one, "
            'and so does model.fit(inference_method="vi") inside vi.as_pm_fit().'
        )
    if not model.built or approx.model is not model.backend.model:
        raise ValueError(
            "The approximation is one of another model, or the model was built anew since: fit it "
            "again, vi.bambi.fit(model)."
        )
    if "var_names" not in options:
        options["var_names"] = _reported(model)
    tree = approx.sample(draws, random_seed=random_seed, **options)
    # Bambi has no public function for it, and a second one here would miss what it changes
    cleaned: xr.DataTree = model.backend._clean_results(tree, omit_offsets, include_response_params)
    return cleaned


def _model(model: Any, data: Any, family: Any) -> Any:
    """The Bambi model that is meant."""
    bmb = needs("bambi", "Bambi's models")
    if isinstance(model, bmb.Model):
        if data is not None or family is not None:
            raise TypeError("The model has its data and family already: leave out data and family.")
        return model
    if not isinstance(model, str | bmb.Formula):
        raise TypeError(
            f"model must be a bambi.Model, or a formula with data=; got {type(model).__name__}."
        )
    if data is None:
        raise TypeError(f'A formula needs its data: vi.bambi.fit("{model}", data).')
    return bmb.Model(model, data, family="gaussian" if family is None else family)


def _reported(model: Any) -> list[str]:
    """The variables that Bambi's samplers keep: without the likelihood's parameters a row."""
    pymc_model, params = model.backend.model, model.family.likelihood.params
    named = [variable.name for variable in pymc_model.free_RVs]
    return named + [v.name for v in pymc_model.deterministics if v.name not in params]
