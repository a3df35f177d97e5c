"""What a NumPyro model says of its observed sites: predictions and log likelihoods of draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from vi.foundation.extras import needs
from vi.foundation.precision import precision
from vi.foundation.seeds import key_from

__all__ = ["NumpyroPredictions"]


@dataclass(frozen=True)
class NumpyroPredictions:
    """A NumPyro model with its arguments.

    Parameters
    ----------
    model : callable
        The model.
    args : tuple
        Its arguments.
    kwargs : dict
        Its keyword arguments.
    dtype : numpy.dtype
        Precision of the fits, and of this.
    """

    model: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    dtype: Any = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arrays and numbers among the model's arguments, by where they are."""
        leaves = jax.tree.leaves_with_path((self.args, dict(self.kwargs)))
        return {
            f"the arguments{jax.tree_util.keystr(path)}": np.asarray(leaf)
            for path, leaf in leaves
            if hasattr(leaf, "dtype") or isinstance(leaf, int | float)
        }

    def predict(
        self,
        draws: Mapping[str, np.ndarray],
        seed: int,
        args: tuple[Any, ...] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> dict[str, np.ndarray]:
        """Draws of the observed sites, whatever their data: arrays ``(S, ...)`` by name.

        Parameters
        ----------
        draws : mapping of {str: array}
            Draws of the latent sites, ``(S, ...)``.
        seed : int
            Of the predictions.
        args, kwargs
            Other arguments of the model, for predictions elsewhere.
        """
        numpyro = needs("numpyro", "Predictions of NumPyro models")
        free = numpyro.handlers.uncondition(self.model)
        arguments = (self.args if args is None else args, self.kwargs if kwargs is None else kwargs)
        with precision(self.dtype):
            names = self._observed(numpyro, draws)
            samples, points = _split(draws)
            predictive = numpyro.infer.Predictive(
                numpyro.handlers.substitute(free, data=points), posterior_samples=samples
            )
            found = predictive(key_from(seed), *arguments[0], **arguments[1])
            return {name: np.asarray(found[name]) for name in names if name in found}

    def log_likelihood(self, draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Log likelihood of every entry of the observed sites at every draw, ``(S, ...)``."""
        numpyro = needs("numpyro", "Log likelihoods of NumPyro models")
        with precision(self.dtype):
            samples, points = _split(draws)
            model = numpyro.handlers.substitute(self.model, data=points)
            values = numpyro.infer.log_likelihood(model, samples, *self.args, **self.kwargs)
            return {name: np.asarray(value) for name, value in values.items()}

    def _observed(self, numpyro: Any, draws: Mapping[str, np.ndarray]) -> list[str]:
        """Names of the observed sites."""
        samples, points = _split(draws)
        first = {name: value[0] for name, value in samples.items()} | points
        conditioned = numpyro.handlers.substitute(
            numpyro.handlers.seed(self.model, jax.random.key(0)), data=first
        )
        sites = numpyro.handlers.trace(conditioned).get_trace(*self.args, **self.kwargs)
        return [
            name for name, site in sites.items() if site["type"] == "sample" and site["is_observed"]
        ]


def _split(draws: Mapping[str, Any]) -> tuple[dict[str, jax.Array], dict[str, Any]]:
    """Draws of arrays, and the values of networks, pytrees whose draws are all the same.

    As JAX arrays: a loop (``scan``) takes their entries by numbers that are traced.
    """
    arrays = jax.tree.map(jax.numpy.asarray, dict(draws))
    samples = {n: value for n, value in arrays.items() if isinstance(value, jax.Array)}
    points = {
        n: jax.tree.map(lambda leaf: leaf[0], value)
        for n, value in arrays.items()
        if n not in samples
    }
    return samples, points
