"""What of a NumPyro model cannot be fitted: refused with what is accepted, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from vi.models.numpyro_transform import import_numpyro

__all__ = ["check_supports", "refuse_sites", "sound_plates"]


@contextmanager
def sound_plates(numpyro: Any) -> Iterator[None]:
    """Refuse plates that take impossible numbers of rows, and those of one name and two sizes.

    A trace knows the last size alone, and NumPyro takes any number of rows, all of them with a
    warning where it is above the size.
    """
    sizes: dict[str, set[int]] = {}

    class Watch(numpyro.primitives.Messenger):
        def process_message(self, msg: dict[str, Any]) -> None:
            if msg["type"] == "plate":
                sizes.setdefault(msg["name"], set()).add(int(msg["args"][0]))
                _check_rows(msg["name"], *msg["args"])

    with Watch():
        yield
    for name, found in sizes.items():
        if len(found) > 1:
            each = " and ".join(map(str, sorted(found)))
            raise ValueError(
                f"The plate {name!r} has {len(found)} sizes, {each}: give each a name of its own."
            )


def _check_rows(name: str, size: int, few: Any) -> None:
    """Refuse a plate that takes no rows, a part of one, or more than there are."""
    if few is None:
        return
    at_most = f"a whole number from 1 to its size, {int(size):,}, or leave it out"
    if isinstance(few, bool | np.bool_) or not isinstance(few, int | np.integer):
        raise TypeError(f"The plate {name!r} has subsample_size={few!r}: give {at_most}.")
    if not 1 <= few <= size:
        raise ValueError(f"The plate {name!r} has subsample_size={few}: give {at_most}.")


def refuse_sites(sites: Mapping[str, Any]) -> None:
    """Refuse what is not a fixed density of continuous variables."""
    latent = {
        name: site["fn"]
        for name, site in sites.items()
        if site["type"] == "sample" and not site["is_observed"]
    }
    discrete = [name for name, fn in latent.items() if fn.support.is_discrete]
    if discrete:
        name = discrete[0]
        raise ValueError(
            "Discrete latent sites cannot be fitted by variational inference: "
            f"{', '.join(discrete)}. Sum over their values. In the model: in place of {name!r} and "
            "what depends on it, numpyro.sample('y', dist.MixtureSameFamily(dist.Categorical("
            "probs), dist.Normal(means, sds)), obs=y). Or by enumeration (pip install funsor): "
            "from numpyro.contrib.funsor import config_enumerate, enum, log_density; "
            "vi.fit(lambda p: log_density(enum(config_enumerate(model), first_available_dim=-2), "
            "args, kwargs, p)[0], init=..., constraints=...), where -2 is one left of the plates."
        )
    for name, fn in latent.items():
        _refuse_without_density(name, fn, sites)


def _refuse_without_density(name: str, fn: Any, sites: Mapping[str, Any]) -> None:
    """Refuse variables that cannot move, and those that have entries without a density."""
    layers = [fn]
    while hasattr(layers[-1], "base_dist"):
        layers.append(layers[-1].base_dist)
    if any(isinstance(layer, import_numpyro().distributions.Delta) for layer in layers):
        raise ValueError(
            f"The site {name!r} is sampled from a Delta, which has no density. Compute it: "
            f"numpyro.deterministic({name!r}, value)."
        )
    whole = re.sub("_(un)?observed$", "", name)  # obs_mask= makes these two of one
    if whole == name or sites.get(whole, {}).get("type") != "deterministic":
        return  # a mask on any other site is the user's own flat prior
    if not all(np.all(getattr(layer, "_mask", True)) for layer in layers):
        raise ValueError(
            f"The site {whole!r} has obs_mask=, which makes a latent site {name!r} of all its "
            "entries, also of those that have no density there: the ELBO has no bound. Give the "
            "site the rows that were seen alone (dist.Normal(mu[seen], sd), obs=y[seen]); missing "
            f"ones that you want are a site of their own: numpyro.sample('{whole}_missing', "
            "dist.Normal(mu[~seen], sd))."
        )


def check_supports(
    sites: Callable[[Any], dict[str, Any]], init: dict[str, Any], supports: dict[str, Any]
) -> None:
    """Refuse supports that depend on another site: the transform of a variable is fixed."""
    biject_to = import_numpyro().distributions.biject_to
    moved = dict(init)
    for name, value in init.items():
        if name in supports:
            transform = biject_to(supports[name])
            moved[name] = transform(transform._inverse(value) + 0.3)
        else:
            moved[name] = jax.tree.map(lambda leaf: leaf + 0.3, value)
    for name, site in sites(moved).items():
        if name in supports:
            here, there = (jax.tree.leaves(s) for s in (supports[name], site["fn"].support))
            same = type(supports[name]) is type(site["fn"].support) and len(here) == len(there)
            if not (same and all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))):
                raise ValueError(
                    f"The support of {name!r} depends on other latent sites. Sample it on a fixed "
                    "support and compute it: u = numpyro.sample('u', dist.Uniform(0.0, 1.0)); "
                    f"numpyro.deterministic({name!r}, upper * u)."
                )
