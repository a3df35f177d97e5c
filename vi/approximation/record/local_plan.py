"""How variables with an entry for every row are fitted: on which rows, by which steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from vi.algorithms import Algorithm, Gradient, Local, LocalPart
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.local_groups import LocalGroup
from vi.families import Params, Product
from vi.foundation.precision import precision
from vi.targets.batches.local_rows import all_rows, training_rows
from vi.targets.batches.rows import Rows
from vi.targets.batches.setting import GraphSetting

__all__ = ["LocalPlan", "encoded", "for_rows", "local_setting", "plan_of"]


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


@dataclass(frozen=True, eq=False)
class LocalPlan:
    """How variables with an entry for every row are fitted on the data of one fit.

    Parameters
    ----------
    groups : tuple of LocalGroup
        The variables, their rows in all, and what encodes them.
    rows : dict of {str: Rows}
        The rows with which each variable goes while training, by its name.
    """

    groups: tuple[LocalGroup, ...]
    rows: dict[str, Rows]

    @property
    def in_all(self) -> dict[str, int]:
        """Rows in all of each variable."""
        return _in_all(self.groups)

    def setting(self, setting: GraphSetting) -> GraphSetting:
        """A setting of training, with the rows that the variables have in it."""
        sizes = {name: (self.rows[name].size, n) for name, n in self.in_all.items()}
        read = {g.variables[0]: g.inputs for g in self.groups if g.encoder is not None}
        return replace(setting, locals=sizes, encoded=read)

    def parts(self) -> tuple[LocalPart, ...]:
        """What the algorithm has to know of each group's rows.

        Raises
        ------
        ValueError
            If variables of one group go with different rows.
        """
        parts = []
        for group in self.groups:
            own = [self.rows[name] for name in group.variables]
            if any(other.key != own[0].key for other in own):
                raise ValueError(
                    f"The variables {', '.join(group.variables)} of one local group go with "
                    "different minibatches; give each its group."
                )
            sampling = own[0].sampling
            wraps = not sampling.drop_last and group.rows % sampling.size != 0
            parts.append(
                LocalPart(
                    group.part,
                    group.variables[0],
                    sampling.size,
                    sampling.replace or wraps,
                    group.encoder,
                )
            )
        return tuple(parts)


def plan_of(fit: FitState) -> LocalPlan:
    """The plan of a fit's local variables, made once for its data.

    It is made anew where a length has changed since: that it no longer fits is then said in the
    words of the search for rows.
    """
    in_all = _in_all(fit.local)

    def make() -> LocalPlan:
        rows = training_rows(fit.model, in_all, fit.data.training.replacements)
        return LocalPlan(fit.local, rows)

    plan = fit.data.compiled(("local plan", *in_all.items()), make)
    return make() if any(plan.rows[name].count() != n for name, n in in_all.items()) else plan


def local_setting(fit: FitState, setting: GraphSetting) -> GraphSetting:
    """A setting with the rows that local variables have in it: those of a batch, or all."""
    if setting.training:
        return plan_of(fit).setting(setting)
    return replace(setting, locals={name: (n, n) for name, n in _in_all(fit.local).items()})


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
            f"{algorithm.short_name!r}: it compares points in all coordinates, and a "
            "batch has only some. Leave local out of the groups."
        )
    return Local(family, algorithm, plan_of(fit).parts())


def _in_all(groups: Sequence[LocalGroup]) -> dict[str, int]:
    return {name: group.rows for group in groups for name in group.variables}
