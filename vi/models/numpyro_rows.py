"""The plate of a NumPyro model that takes some of its rows: which ones, and what the rows add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.models.numpyro_transform import import_numpyro

__all__ = [
    "Plate",
    "check_local",
    "check_shared",
    "in_plate",
    "plate_of",
    "rows_of_any_length",
    "with_rows",
]


@dataclass(frozen=True)
class Plate:
    """A plate with ``subsample_size``.

    Parameters
    ----------
    name : str
        Its name.
    size : int
        Rows in all, N.
    few : int
        Rows of a batch, B.
    """

    name: str
    size: int
    few: int


def plate_of(sites: Mapping[str, Any]) -> Plate | None:
    """The plate that takes some of its rows, of the sites of a trace.

    Raises
    ------
    ValueError
        If there are two.
    """
    found = [
        Plate(name, int(site["args"][0]), int(site["args"][1]))
        for name, site in sites.items()
        if site["type"] == "plate"
        and site["args"][1] is not None
        and site["args"][1] < site["args"][0]
    ]
    if len(found) > 1:
        first, second = found[:2]
        raise ValueError(
            f"The plates {first.name!r} and {second.name!r} both have subsample_size=: one plate "
            "can take some of its rows, whose N / B then scales the likelihood. Leave it out of "
            f"{second.name!r}."
        )
    return found[0] if found else None


def with_rows(model: Callable[..., Any], rows: Any = None) -> Callable[..., Any]:
    """The model with these rows in the plate that takes some, or with all of them.

    Parameters
    ----------
    model : callable
        A NumPyro model.
    rows : array of int, optional
        Row numbers, traced perhaps; all rows by default.
    """
    messenger: Any = import_numpyro().primitives.Messenger

    class Rows(messenger):
        def process_message(self, msg: dict[str, Any]) -> None:
            if msg["type"] != "plate":
                return
            size, few = msg["args"]
            if few is not None and few < size:
                chosen = jnp.arange(size) if rows is None else jnp.asarray(rows)
                msg["value"], msg["args"] = chosen, (size, len(chosen))

    wrapped: Callable[..., Any] = Rows(model)
    return wrapped


def in_plate(site: Mapping[str, Any], plate: Plate | None) -> bool:
    """Whether a site has an entry for every row of the plate."""
    return plate is not None and any(f.name == plate.name for f in site["cond_indep_stack"])


def check_local(name: str, site: Mapping[str, Any], plate: Plate) -> None:
    """Refuse a latent site of the plate that is not laid out row by row.

    Raises
    ------
    ValueError
        With the names of site and plate, and what to do.
    """
    (frame,) = [f for f in site["cond_indep_stack"] if f.name == plate.name]
    value, event = site["value"], site["fn"].event_dim
    if jnp.ndim(value) != event - frame.dim or jnp.shape(value)[0] != plate.few:
        raise ValueError(
            f"The latent site {name!r} has its rows of the plate {plate.name!r} along another axis "
            f"than the first. Give that plate the leftmost dim (numpyro.plate({plate.name!r}, ..., "
            "dim=-2) beside a plate of dim=-1), or leave subsample_size out."
        )
    transform = import_numpyro().distributions.biject_to(site["fn"].support)
    while hasattr(transform, "base_transform"):
        transform = transform.base_transform
    if not isinstance(transform, import_numpyro().distributions.transforms.IdentityTransform):
        raise ValueError(  # noqa: TRY004 (nothing is of a wrong type)
            f"The latent site {name!r} of the plate {plate.name!r}, which takes some of its rows, "
            "has a constrained support. Sample an unconstrained one and compute it: "
            f"z = numpyro.sample('{name}_z', dist.Normal(m, s)); "
            f"numpyro.deterministic({name!r}, jnp.exp(z)). Or leave subsample_size out."
        )


def rows_of_any_length(params: Mapping[str, Any], local: tuple[str, ...], rows: Any) -> Any:
    """Parameters whose local ones have so many rows: those that there are, repeated."""
    repeated = {
        name: jnp.asarray(params[name])[rows % params[name].shape[0]]
        for name in local
        if name in params
    }
    return {**params, **repeated}


def check_shared(
    prior: Callable[[Any], Any], init: Mapping[str, Any], local: tuple[str, ...]
) -> None:
    """Refuse terms outside of the plate that depend on local sites.

    Parameters
    ----------
    prior : callable
        The log density of the terms outside, of all sites.
    init : mapping
        Where the fit starts.
    local : tuple of str
        Names of the local sites.
    """
    noise = np.random.default_rng(0)
    own = {
        name: jnp.asarray(init[name] + noise.uniform(0.1, 1.0, np.shape(init[name])))
        for name in local
    }
    slopes = jax.grad(lambda own: prior({**init, **own}))(own)
    mixed = [name for name, slope in slopes.items() if np.any(np.asarray(slope) != 0)]
    if mixed:
        raise ValueError(
            f"A site outside of the plate depends on the latent site {mixed[0]!r} inside, of which "
            "a step sees some rows. Put the site into the plate too, or leave subsample_size out."
        )
