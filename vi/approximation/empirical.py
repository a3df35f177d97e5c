"""Particles as an approximation: from noise, from draws of a posterior, from arrays."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pymc as pm
import xarray as xr
from pymc.backends.base import MultiTrace

from vi.approximation.approximation import Approximation
from vi.approximation.record.begin import begin
from vi.approximation.record.beginning import Beginning, precision_of
from vi.families import Particles
from vi.foundation.arguments import unexpected
from vi.foundation.arrays import refuse_masked
from vi.foundation.numbers import flag, number, whole
from vi.targets.model.checks import check_variables, model_in_context

__all__ = ["Empirical"]


class Empirical(Approximation):
    """Points of equal weight in the unconstrained space: :class:`vi.families.Particles`.

    Parameters
    ----------
    trace : DataTree, InferenceData, Dataset, MultiTrace or dict of arrays, optional
        Draws that become the particles: a posterior with chains and draws (brought into the order
        of the model's dims and coords), or arrays ``(n, *shape)`` by name, of constrained values
        (or of unconstrained ones under the value's name, ``"sigma_log__"``). What else it holds
        (deterministics) is ignored. Without it, particles are noise around the start.
    size : int, optional
        Number of particles: of the noise (100 by default), or of the draws, evenly thinned (all by
        default).
    jitter : float
        Standard deviation of the noise, unconstrained.
    model, start, start_sigma, random_seed, dtype
        See :class:`Approximation`.

    Raises
    ------
    ValueError
        If a free variable is missing from the trace, has a wrong shape or values outside its
        support, or if there are fewer than 2 particles.

    Examples
    --------
    >>> import numpy as np, pymc as pm, vi
    >>> with pm.Model():
    ...     sigma = pm.HalfNormal("sigma")
    ...     approx = vi.Empirical({"sigma": np.array([1.0, 2.0, 3.0])})
    >>> approx.particles.round(3).ravel().tolist()  # log sigma
    [0.0, 0.693, 1.099]
    """

    def __init__(
        self,
        trace: Any = None,
        size: int | None = None,
        *,
        jitter: float = 1.0,
        model: pm.Model | None = None,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        random_seed: Any = None,
        dtype: str | np.dtype | None = None,
        scale_cost_to_minibatch: bool = True,
    ) -> None:
        std = number("jitter", jitter, above=0.0)
        if size is not None:
            whole("size", size, 2)
        flag("scale_cost_to_minibatch", scale_cost_to_minibatch)
        model = model_in_context(model)
        check_variables(model)
        draws: dict[str, np.ndarray] | None = None
        if trace is not None:
            if start is not None or start_sigma is not None:
                raise TypeError(
                    "start and start_sigma say where noise is; with a trace there is none."
                )
            draws = _thinned(_arrays(trace, model), size)
            size = len(next(iter(draws.values())))
        family = Particles(100 if size is None else size)
        beginning = Beginning(model, family, precision_of(model, dtype), std, draws)
        self.scale_cost_to_minibatch = scale_cost_to_minibatch
        self._open(begin(beginning, start, start_sigma, random_seed))

    @classmethod
    def from_noise(cls, size: int, jitter: float = 0.01, **options: Any) -> Self:
        """PyMC's name for ``Empirical(size=size, jitter=jitter)``: noise around the start."""
        known = inspect.signature(cls).parameters
        for name in options:
            if name not in known:
                raise unexpected("from_noise", name, known)
        whole("size", size, 2)
        return cls(size=size, jitter=jitter, **options)

    @property
    def particles(self) -> np.ndarray:
        """The particles, unconstrained, shape ``(n, D)``."""
        return np.array(self.reported["particles"])

    @property
    def histogram(self) -> Any:
        """The particles as a PyTensor shared variable, PyMC's name."""
        return self.shared_params["particles"]


def _arrays(trace: Any, model: pm.Model) -> dict[str, np.ndarray]:
    """Draws by variable name, each ``(n, *shape)``, chains one after the other."""
    if isinstance(trace, MultiTrace):
        return {name: np.asarray(trace.get_values(name)) for name in trace.varnames}
    if isinstance(trace, xr.DataTree):
        if "posterior" not in trace.children and "chain" not in trace.dims:
            raise ValueError(
                "trace is a DataTree without a group 'posterior'; it has "
                f"{', '.join(trace.children) or 'none'}."
            )
        trace = (trace["posterior"] if "posterior" in trace.children else trace).to_dataset()
    elif hasattr(trace, "posterior"):
        trace = trace.posterior
    if isinstance(trace, xr.Dataset):
        missing = {"chain", "draw"} - set(trace.dims)
        if missing:
            raise ValueError(
                f"The posterior of trace has no dimension {' and '.join(sorted(missing))}."
            )
        aligned = {
            str(name): _aligned(model, str(name), value) for name, value in trace.data_vars.items()
        }
        return {name: value.reshape(-1, *value.shape[2:]) for name, value in aligned.items()}
    if not isinstance(trace, Mapping):
        raise TypeError(
            f"trace must be a DataTree, a Dataset or a dict of arrays, got {type(trace).__name__}."
        )
    for name, value in trace.items():
        refuse_masked(value, f"trace[{getattr(name, 'name', name)!r}]")
    arrays = {str(getattr(name, "name", name)): np.asarray(value) for name, value in trace.items()}
    lengths = {name: len(value) if value.ndim else 0 for name, value in arrays.items()}
    if not arrays or len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(
            f"Arrays of draws need one common leading length, at least 2; got {lengths}."
        )
    return arrays


def _aligned(model: pm.Model, name: str, value: xr.DataArray) -> np.ndarray:
    """Draws ``(chain, draw, *shape)``, in the order of the model's dims and labels if named."""
    own = [dim for dim in value.dims if dim not in ("chain", "draw")]
    dims = list(model.named_vars_to_dims.get(name, ()) or ())
    if not dims or set(dims) != set(own):
        return value.transpose("chain", "draw", ...).to_numpy()
    for dim in dims:
        wanted = model.coords.get(dim)
        if wanted is None or dim not in value.coords:
            continue
        have = list(value[dim].to_numpy())
        if set(have) != set(wanted) or len(have) != len(wanted):
            raise ValueError(
                f"{name!r} has the labels {have} along {dim!r}, the model's are {list(wanted)}. "
                "Select or rename them."
            )
        value = value.sel({dim: list(wanted)})
    return value.transpose("chain", "draw", *dims).to_numpy()


def _thinned(values: dict[str, np.ndarray], size: int | None) -> dict[str, np.ndarray]:
    n = len(next(iter(values.values()), ()))
    if size is None:
        return values
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 2 <= size <= n:
        raise ValueError(
            f"size={size!r}: must be a whole number from 2 to the number of draws, {n}."
        )
    chosen = np.linspace(0, n - 1, int(size)).round().astype(int)
    return {name: value[chosen] for name, value in values.items()}
