"""What PyMC's approximations and groups have and those here do not, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from vi.foundation.arguments import unexpected

__all__ = ["OF_APPROXIMATION", "OF_OPTIONS", "RetiredOfGroup", "check_group_arguments"]

MOMENTS = "approx.layout.unflatten(approx.{}.eval()), a dict by name of unconstrained value"
DRAWS = "approx.sample_node(node), for any expression of the model's variables"
DENSITY = "approx.{}(z), for unconstrained points z of shape (..., D)"

OF_APPROXIMATION = {
    "mean_data": MOMENTS.format("mean"),
    "std_data": MOMENTS.format("std"),
    "symbolic_random": DRAWS,
    "symbolic_randoms": DRAWS,
    "symbolic_single_sample": DRAWS,
    "symbolic_sample_over_posterior": DRAWS,
    "rslice": "approx.sample_node(approx.model[name], size=size)",
    "sample_dict_fn": "approx.sample(draws, include_transformed=True)",
    "symbolic_logq": DENSITY.format("logq"),
    "logq_norm": DENSITY.format("logq"),
    "sized_symbolic_logp": DENSITY.format("logp"),
    "single_symbolic_logp": DENSITY.format("logp"),
    "logp_norm": DENSITY.format("logp"),
    "varlogp": "approx.sample_node(approx.model.varlogp, size=size).mean()",
    "datalogp": "approx.sample_node(approx.model.datalogp, size=size).mean()",
    "params_dict": "approx.shared_params",
    "has_logq": "approx.family.has_density",
    "evaluate_over_trace": "approx.sample_node(node, size=size), or the model's deterministics",
    "replacements": DRAWS,
}
"""Attributes of PyMC's approximations that are not there, and what to write instead."""


OF_OPTIONS = {
    "local_rv": (
        "Variables with an entry for every row are a group: vi.Approximation([vi.Group([z], "
        "local=True), vi.Group(None)]), fitted by vi.KLqp."
    ),
}
"""Arguments of PyMC's inference classes and approximations, and what to write instead."""


class RetiredOfGroup(TypedDict, total=False):
    """Arguments of ``pm.Group`` that are given elsewhere; a ``TypeError`` says where."""

    params: Any
    start: Any
    start_sigma: Any
    random_seed: Any
    trace: Any
    jitter: Any
    options: Any


OF_GROUP = {
    "params": (
        "the family is vfam=, and its parameters are set afterwards, approx.set_params({'x.mu': "
        "..., 'x.rho': ...}) for a group named 'x'; with frozen=True fits leave them as they are"
    ),
    "start": "give it to the approximation, vi.Approximation(groups, start={name: value})",
    "start_sigma": "give it to the approximation, vi.Approximation(groups, start_sigma=...)",
    "random_seed": "give it to the approximation, vi.Approximation(groups, random_seed=1)",
    "trace": "draws become particles of the whole model, vi.Empirical(trace)",
    "jitter": "give it to vi.Empirical(size=100, jitter=0.1), for the whole model",
    "options": "there are none; families have settings, vi.families.LowRank(rank=5)",
}
"""What ``pm.Group`` takes and a group here does not, and what to write instead."""


def check_group_arguments(given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse arguments of PyMC's groups that are given elsewhere, and unknown ones."""
    for name, value in given.items():
        if name not in OF_GROUP:
            raise unexpected("Group", name, known, OF_OPTIONS.get(name, ""))
        if value is not None:
            raise TypeError(f"Group({name}=...) is not supported: {OF_GROUP[name]}.")
