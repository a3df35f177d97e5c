"""Marginals of q beside those that importance weights correct."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import xarray as xr

from vi.approximation import Approximation
from vi.diagnostics.diagnosis import Diagnosis
from vi.families.point import point_entries
from vi.foundation.extras import needs
from vi.foundation.layout import Layout
from vi.foundation.numbers import check_count
from vi.foundation.seeds import resolve_seed
from vi.plots.drawing import approximation, as_written, palette

__all__ = ["marginals", "measured", "moved"]

PANEL = (2.9, 2.3)
"""Size of a panel in inches."""

KINDS = ("kde", "hist", "ecdf")


def marginals(
    approx: Approximation,
    diagnosis: Diagnosis | None = None,
    *,
    draws: int = 2000,
    most: int = 6,
    var_names: Sequence[str] | None = None,
    kind: str = "kde",
    columns: int = 3,
    random_seed: Any = 0,
) -> Any:
    """Draw marginals of q, and of draws of q that are resampled by their importance weights.

    Where the two differ q is wrong, and where Pareto k is below 0.7 the resampled ones are right
    but for modes that q does not see. The worst come first: those that the diagnosis moves the
    furthest, or without one those that resampling does. Particles, and the chains that a fit by
    ``"auto"`` can end in, have no weights: their draws are shown alone.

    Parameters
    ----------
    approx : vi.Approximation
        A fit.
    diagnosis : vi.diagnostics.Diagnosis, optional
        What ``approx.diagnose()`` gave, for the order; by default that of a fit by ``"auto"``.
    draws : int
        Draws behind each marginal; ten times as many are weighed.
    most : int
        The largest number of panels.
    var_names : sequence of str, optional
        Variables and deterministics to choose from; by default all variables that have a width.
    kind : {"kde", "hist", "ecdf"}
        How marginals are drawn: smooth densities, histograms or distribution functions.
    columns : int
        Panels beside each other.
    random_seed : int, optional
        Seed of the draws.

    Returns
    -------
    arviz_plots.PlotCollection
        With the figure as ``viz["figure"]``, and ``savefig``.

    Raises
    ------
    TypeError
        If this is no approximation.
    ValueError
        If ``kind`` or a variable is unknown, or the diagnosis is that of another model.
    ImportError
        If arviz-plots or matplotlib is missing (the extra ``plots``).

    Examples
    --------
    >>> import matplotlib, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(2_000, method="advi", model=model, random_seed=1, progressbar=False)
    >>> list(vi.plots.marginals(approx).viz["plot"].data_vars)
    ['mu']
    """
    approximation(approx, "marginals")
    check_count("most", most)
    check_count("columns", columns)
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is unknown; use {', '.join(map(repr, KINDS))}.")
    points = set(point_entries(approx.family, approx.ndim).tolist())
    diagnosis = approx.diagnosis if diagnosis is None else diagnosis
    sizes = {} if diagnosis is None else measured(diagnosis, approx.layout, points)
    arviz = needs("arviz_plots", "Plots")
    needs("matplotlib", "Plots")
    seed = resolve_seed(random_seed)
    spread = [slot.name for slot in approx.layout if slot.start not in points]
    if not spread and var_names is None:
        raise ValueError("All variables are point estimates, which have no marginals to draw.")
    names = spread if var_names is None else var_names
    options: dict[str, Any] = {
        "random_seed": seed,
        "log_prob": False,
        "store_data": False,
        "var_names": names,
    }
    raw = approx.sample(draws, resample=None, **options)["posterior"].to_dataset()
    shown = {"q" if approx.family.has_density else "draws": raw}
    distances = {str(name): np.zeros(raw[name].shape[2:]) for name in raw.data_vars}
    if approx.family.has_density:
        weighed = approx.sample(draws, resample="psis", **options)["posterior"].to_dataset()
        distances = {name: moved(raw[name], weighed[name]) for name in distances}
        shown[f"resampled by p / q (k = {float(weighed.attrs['pareto_k']):.2f})"] = weighed
    distances |= {name: values for name, values in sizes.items() if name in distances}
    chosen = _worst(distances, most)
    count, colors = len(chosen), palette()
    across = min(columns, count)
    collection = arviz.plot_dist(
        {label: _scalars(values, chosen) for label, values in shown.items()},
        kind=kind,
        backend="matplotlib",
        aes={"color": ["model"]},
        color=[colors.blue, colors.red][: len(shown)],
        col_wrap=across,
        visuals={
            "point_estimate": False,
            "point_estimate_text": False,
            "credible_interval": False,
            "title": {"fontsize": "medium"},
        },
        figure_kwargs={
            "figsize": (PANEL[0] * max(across, 2), PANEL[1] * -(-count // across) + 0.7),
            "layout": "constrained",
        },
    )
    _describe(collection, list(shown))
    return collection


def moved(raw: xr.DataArray, weighed: xr.DataArray) -> np.ndarray:
    """How far resampling moves each entry: means in sds of q, or sds in logarithms if that is more.

    Parameters
    ----------
    raw, weighed : xarray.DataArray
        Draws ``(chain, draw, *shape)``.
    """
    one, two = (
        np.asarray(values, float).reshape(-1, *values.shape[2:]) for values in (raw, weighed)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.abs(two.mean(axis=0) - one.mean(axis=0)) / one.std(axis=0)
        sd = np.abs(np.log(two.std(axis=0) / one.std(axis=0)))
    return np.nan_to_num(np.fmax(mean, sd), nan=0.0, posinf=np.inf)


def measured(
    diagnosis: Diagnosis, layout: Layout, points: Collection[int] = ()
) -> dict[str, np.ndarray]:
    """How far a diagnosis moves each entry of each variable; the worst of all, if they are others.

    A simplex has more entries than unconstrained coordinates.
    """
    if not isinstance(diagnosis, Diagnosis):
        raise TypeError(
            f"diagnosis must be what approx.diagnose() gives; this is {type(diagnosis).__name__}."
        )
    judged = list(map(str, diagnosis.table["unconstrained"].to_numpy()))
    where = [i for i in range(layout.dim) if i not in points]
    if [layout.label(i) for i in where] != judged:
        raise ValueError("The diagnosis is one of another model: give approx.diagnose().")
    columns = [
        np.abs(diagnosis.table[name].to_numpy())
        for name in map(str, diagnosis.table.data_vars)
        if name.startswith(("weights_", "chains_"))
    ]
    sizes = np.zeros(layout.dim)  # of points, on which a verdict is not, 0
    if columns:
        sizes[where] = np.nan_to_num(np.max(columns, axis=0), nan=np.inf)
    found = {}
    for slot in layout:
        own = sizes[slot.slice]
        same = slot.shape == slot.constrained_shape
        found[slot.name] = (
            own.reshape(slot.shape) if same else np.full(slot.constrained_shape, own.max())
        )
    return found


def _worst(distances: dict[str, np.ndarray], most: int) -> list[tuple[str, tuple[int, ...]]]:
    """The entries that are the furthest off, as names and indices."""
    found = []
    for name, values in distances.items():
        order = np.argsort(-values, axis=None, kind="stable")[:most]
        found += [
            (float(values.ravel()[i]), name, np.unravel_index(i, values.shape)) for i in order
        ]
    found.sort(key=lambda one: -one[0])
    return [(name, tuple(int(i) for i in index)) for _, name, index in found[:most]]


def _scalars(posterior: xr.Dataset, chosen: Sequence[tuple[str, tuple[int, ...]]]) -> xr.DataTree:
    """Some entries of variables as variables of their own, with labels for names."""
    entries = {}
    for name, index in chosen:
        values = posterior[name]
        where = zip(values.dims[2:], index, strict=True)
        labels = [str(values[dim].to_numpy()[i]) for dim, i in where]
        label = f"{name}[{', '.join(labels)}]" if labels else name
        # a slash is a group of the table; labels may be equal, and those of other variables
        label = label.replace("/", "∕")
        if label in entries:
            which = f"entry {', '.join(map(str, index))}" if labels else "the variable"
            label = f"{label}, {which}"
        entries[label] = (("chain", "draw"), values[(..., *index)].to_numpy())
    return xr.DataTree.from_dict({"/posterior": xr.Dataset(entries)})


def _describe(collection: Any, labels: list[str]) -> None:
    """The legend, below all panels."""
    figure = collection.viz["figure"].item()
    as_written(text for axes in figure.axes for text in (axes.title, axes.xaxis.label))
    first = next(iter(collection.viz["dist"].data_vars.values())).to_numpy().ravel()
    figure.legend(
        list(first),
        labels,
        loc="outside lower center",
        ncols=2,
        fontsize="small",
        frameon=False,
    )
