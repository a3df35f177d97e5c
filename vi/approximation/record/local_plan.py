"""How variables with an entry for every row are fitted: on which rows, by which steps."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from vi.algorithms import Algorithm, Gradient, Local, LocalPart
from vi.approximation.record.fit_state import FitState
from vi.families import Params, Product
from vi.foundation.precision import precision
from vi.targets.batches.local_rows import all_rows, training_rows
from vi.targets.batches.rows import Rows
from vi.targets.batches.setting import GraphSetting

__all__ = ["encoded", "for_rows", "local_setting"]


def encoded(fit: FitState, params: Params) -> Params:
    """Parameters of all rows: what encoders make of all data, in place of their weights."""
    for group in fit.local:
        if group.encoder is None:
            continue
        arrays = all_rows(group.inputs, fit.data.all_rows.replacements)
        if {len(array) for array in arrays} != {group.rows}:
            raise ValueError(
                f"The encoder of {group.part!r} reads data of "
                f"{', '.join(str(len(array)) for array in arrays)} rows, "
                f"its variables have {group.rows}. Start a new fit after the data have changed."
            )
        with precision(fit.dtype):
            inputs = tuple(
                jax.numpy.asarray(a, fit.dtype if np.issubdtype(a.dtype, np.floating) else None)
                for a in arrays
            )
            prefix = f"{group.part}."
            weights = {
                n.removeprefix(prefix): value for n, value in params.items() if n.startswith(prefix)
            }
            rows = group.parameters(weights, inputs)
        params = {name: value for name, value in params.items() if not name.startswith(prefix)}
        params |= {f"{prefix}{name}": value for name, value in rows.items()}
    return params


def local_setting(fit: FitState, setting: GraphSetting) -> GraphSetting:
    """The setting with the rows that local variables have in it."""
    in_all = {name: group.rows for group in fit.local for name in group.variables}
    if not setting.training:
        return replace(setting, locals={name: (n, n) for name, n in in_all.items()})
    rows = _training_rows(fit, setting)
    read = {group.variables[0]: group.inputs for group in fit.local if group.encoder is not None}
    return replace(
        setting, locals={name: (rows[name].size, n) for name, n in in_all.items()}, encoded=read
    )


def for_rows(fit: FitState, algorithm: Algorithm) -> Algorithm:
    """The algorithm as one that steps on the rows of batches, where variables are local.

    Raises
    ------
    TypeError
        If it cannot.
    """
    if not fit.local:
        return algorithm
    family = fit.family
    if not isinstance(algorithm, Gradient) or not isinstance(family, Product):
        raise TypeError(
            "Local variables are fitted by vi.KLqp, not by the algorithm "
            f"{algorithm.short_name!r}: a Stein direction "
            "compares points in all coordinates, and a batch has only some. Leave local out of the "
            "groups."
        )
    rows = _training_rows(fit, fit.data.training)
    parts = []
    for group in fit.local:
        own = [rows[name] for name in group.variables]
        if any(other.key != own[0].key for other in own):
            raise ValueError(
                f"The variables {', '.join(group.variables)} of one local group go with different "
                "minibatches; give "
                "each its group."
            )
        sampling = own[0].sampling
        repeats = sampling.replace or (not sampling.drop_last and group.rows % sampling.size != 0)
        parts.append(
            LocalPart(group.part, group.variables[0], sampling.size, repeats, group.encoder)
        )
    return Local(family, algorithm, tuple(parts))


def _training_rows(fit: FitState, setting: GraphSetting) -> dict[str, Rows]:
    """The rows with which each local variable goes while training, by its name.

    Made once for the data of a fit, and anew where a length has changed since: that it no longer
    fits is then said in the words of the search.
    """
    in_all = {name: group.rows for group in fit.local for name in group.variables}

    def find() -> dict[str, Rows]:
        return training_rows(fit.model, in_all, setting.replacements)

    rows = fit.data.compiled(("training rows", *in_all.items()), find)
    if any(rows[name].count() != n for name, n in in_all.items()):
        return find()
    return rows
