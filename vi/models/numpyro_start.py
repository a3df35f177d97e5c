"""Why a NumPyro model has no finite density where a fit starts: data and sites, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from vi.foundation.arrays import first_not_finite
from vi.models.numpyro_transform import import_numpyro

__all__ = ["explained_start"]


@contextmanager
def explained_start(
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    substitute: Callable[..., Any] | Mapping[str, Any],
) -> Iterator[None]:
    """Add to an error at the start which arguments and sites are not finite there.

    Parameters
    ----------
    model : callable
        The NumPyro model.
    args, kwargs
        Its arguments.
    substitute : callable or mapping
        Values of the latent sites, or what gives them.

    Raises
    ------
    ValueError
        With the names, where something is not finite; any other error as it comes.
    """
    try:
        yield
    except ValueError as error:
        causes = _causes(model, args, kwargs, substitute)
        if not causes:
            raise
        raise ValueError(
            f"The NumPyro model has no finite density at the start: {'; '.join(causes)}. ({error})"
        ) from error


def _causes(model: Any, args: Any, kwargs: Any, substitute: Any) -> list[str]:
    """What is not finite, in words; nothing where that cannot be found out."""
    causes = []
    try:
        named = dict(inspect.signature(model).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        named = {str(i): value for i, value in enumerate(args)} | dict(kwargs)
    for path, leaf in jax.tree.leaves_with_path(named):
        where = _said(leaf)
        if where:
            causes.append(
                f"the argument {jax.tree_util.keystr(path)[2:].replace("']", '')} {where}"
            )
    numpyro = import_numpyro()
    handlers = numpyro.handlers
    given = {"substitute_fn" if callable(substitute) else "data": substitute}
    try:
        with numpyro.validation_enabled(False):
            seeded = handlers.substitute(handlers.seed(model, 0), **given)
            sites = handlers.trace(seeded).get_trace(*args, **kwargs)
            for name, site in sites.items():
                if site["type"] == "sample":
                    causes += _of_site(name, site)
    except Exception:  # noqa: BLE001 - the first error is the one to show
        return causes
    return causes


def _of_site(name: str, site: Mapping[str, Any]) -> list[str]:
    """What is not finite about a site: its data, or else log p of an entry with the value there."""
    value = site["value"]
    kind = "observed" if site["is_observed"] else "latent"
    where = _said(value)
    if where:
        return [f"the {kind} site {name!r} {where}"]
    log_p = np.asarray(site["fn"].log_prob(value))
    bad = np.argwhere(~np.isfinite(log_p))
    if not len(bad):
        return []
    first = tuple(int(i) for i in bad[0])
    entry = np.asarray(value)[first] if np.ndim(value) >= len(first) else value
    what = np.array2string(np.asarray(entry), precision=4, threshold=5)
    at = f" at {list(first)}" if first else ""
    return [f"the {kind} site {name!r} has log p {log_p[first]}{at}, where its value is {what}"]


def _said(value: Any) -> str:
    """What is not finite about a value, if it is an array or a number."""
    return first_not_finite(value) if isinstance(value, float) or hasattr(value, "dtype") else ""
