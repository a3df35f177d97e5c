"""The log density of a model with batches: every term that sees one is scaled, or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor import as_tensor

from vi.foundation.tracing_errors import first_line
from vi.graphs.interpret import interpret
from vi.graphs.lengths import without_broadcasts
from vi.graphs.replacements import like
from vi.targets.batches.factors import check_scale, factor_of, unscaled
from vi.targets.batches.local_rows import rows_of_locals
from vi.targets.batches.mixing import check_mixing, not_drawn_together
from vi.targets.batches.rows import Rows, StreamedRows
from vi.targets.batches.search import Batches, find_batches
from vi.targets.batches.setting import GraphSetting
from vi.targets.sums.term import LEAST, say_if_all_rows_are_cheaper, sum_over_few_rows

__all__ = ["in_setting"]


def in_setting(
    model: pm.Model, graphs: Sequence[Any], setting: GraphSetting
) -> tuple[Any, list[Any], tuple[Rows, ...], dict[str, Rows]]:
    """The log density of a model and other graphs of it, with batches or all rows in place.

    Parameters
    ----------
    model : pymc.Model
        The model; the number of rows of local variables' values must be open.
    graphs : sequence of Variable
        Other graphs of it.
    setting : GraphSetting
        Whether batches (training) or all rows are meant, and how terms are scaled.

    Returns
    -------
    log_prob : TensorVariable
        The scalar log density.
    graphs : list of Variable
        The other graphs.
    rows : tuple of Rows
        The batches; none unless training.
    local : dict of {str: Rows}
        With which of them each local variable goes.

    Raises
    ------
    ValueError
        If the scale of a term is not known, contradicts the data, or cannot be right because the
        term mixes rows.
    """
    variables = [*model.free_RVs, *model.observed_RVs, *model.potentials]
    terms = _terms(model, variables, setting)
    values = [
        model.rvs_to_values.get(variable, term)
        for variable, term in zip(variables, terms, strict=True)
    ]
    in_model = find_batches([*terms, *values, *graphs])
    setting = _with_row_scales(model, setting)
    exchanged = setting.replacements or setting.streamed or setting.locals
    if not (in_model.tensors or exchanged or setting.prior_weight != 1.0):
        return _of_all_rows(model, variables, terms, setting), list(graphs), (), {}

    places = _places(model, setting)
    plain = [
        without_broadcasts(term) for term in unscaled(model, variables, terms, setting.jacobian)
    ]
    every = [*plain, *values, *graphs]
    every = _fitting(lambda: clone_replace(every, replace=places)) if places else every
    batches = find_batches(every)
    _check_short(batches)
    values_of_locals = [model.rvs_to_values[model[name]] for name in setting.locals]
    also = [*values_of_locals, *(setting.streamed.marks if setting.streamed else ())]
    in_place = _fitting(lambda: batches.swapped(every, full=not setting.training, also=also))
    k = len(variables)
    local = rows_of_locals(model, every[: 2 * k], batches, setting) if setting.training else {}
    scaling = _Scaling(model, setting, batches, {rows.key for rows in in_model.rows}, local)
    total = []
    for i, variable in enumerate(variables):
        sees_rows = scaling.sees_rows(every[i])
        if sees_rows:
            term = as_tensor(in_place[i], allow_xtensor_conversion=True)
            if setting.training:
                term = scaling.scaled(variable, every[i], term, in_place[k + i], terms[i])
                _say_if_all_rows_are_cheaper(model, setting, batches, variable, every[i])
        else:
            given = clone_replace([terms[i]], replace=places)[0] if places else terms[i]
            term = as_tensor(given, allow_xtensor_conversion=True)
        weight = setting.prior_weight if variable in model.free_RVs else 1.0
        rewrite = setting.rewrite and not (sees_rows and setting.training)
        few = _over_few_rows(model, variable, term) if rewrite else None
        full = term.sum() if few is None else few
        total.append(full if weight == 1.0 else weight * full)
    if setting.prior_weight != 1.0 and getattr(model, "log_prior", None) is not None:
        # of a density, whose free variables are flat: its prior is in one of its Potentials
        prior = model.replace_rvs_by_values([model.log_prior()])[0]
        total.append((setting.prior_weight - 1.0) * prior)
    log_prob = pt.add(*total) if len(total) > 1 else total[0]
    return log_prob, in_place[2 * k :], batches.rows if setting.training else (), local


def _terms(model: pm.Model, variables: Sequence[Any], setting: GraphSetting) -> list[Any]:
    """The terms of variables, without the Jacobian determinants of point estimates."""
    terms = list(model.logp(variables, jacobian=setting.jacobian, sum=False))
    points = [variable for variable in model.free_RVs if variable.name in setting.points]
    if points and setting.jacobian:
        without = model.logp(points, jacobian=False, sum=False)
        by_variable = dict(zip(variables, terms, strict=True))
        by_variable |= dict(zip(points, without, strict=True))
        terms = [by_variable[variable] for variable in variables]
    return terms


def _of_all_rows(
    model: pm.Model, variables: Sequence[Any], terms: Sequence[Any], setting: GraphSetting
) -> Any:
    """The log density of a model without batches: the sum of its terms."""
    tensors = [as_tensor(term, allow_xtensor_conversion=True) for term in terms]
    few = [
        _over_few_rows(model, variable, term) if setting.rewrite else None
        for variable, term in zip(variables, tensors, strict=True)
    ]
    sums = [
        term.sum() if total is None else total for term, total in zip(tensors, few, strict=True)
    ]
    return pt.add(*sums) if len(sums) > 1 else sums[0]


def _over_few_rows(model: pm.Model, variable: Any, term: Any) -> Any:
    """The sum of a likelihood or Potential over fewer rows; None where there is no such sum."""
    if variable in model.free_RVs:
        return None
    return sum_over_few_rows(model, variable.name, term)


def _say_if_all_rows_are_cheaper(
    model: pm.Model, setting: GraphSetting, batches: Batches, variable: Any, graph: Any
) -> None:
    """Log it of an observed variable or Potential that sees one minibatch and nothing else."""
    above = batches.seen_by(graph)
    if variable in model.free_RVs or len(above) != 1 or setting.streamed or setting.locals:
        return
    if setting.rewrite and above[0].count() > LEAST:
        term = as_tensor(batches.swapped([graph], full=True)[0], allow_xtensor_conversion=True)
        say_if_all_rows_are_cheaper(model, variable.name, term, above[0].size)


@dataclass(frozen=True, eq=False)
class _Scaling:
    """What the terms of a model are multiplied by.

    Parameters
    ----------
    model : pymc.Model
        The model.
    setting : GraphSetting
        How terms are scaled.
    batches : Batches
        The batches of the terms.
    in_model : set of keys
        Those that the model itself has.
    local : dict of {str: Rows}
        With which rows each local variable goes.
    """

    model: pm.Model
    setting: GraphSetting
    batches: Batches
    in_model: set[Any]
    local: dict[str, Rows]

    def sees_rows(self, graph: Any) -> bool:
        """Whether batches, streamed rows or local variables reach a term."""
        return bool(self._batches_above(graph) or self._locals_above(graph))

    def scaled(self, variable: Any, graph: Any, term: Any, value: Any, whole: Any) -> Any:
        """The term that sees rows, multiplied; refused where no factor is right.

        Parameters
        ----------
        variable : TensorVariable
            Whose term it is.
        graph : TensorVariable
            The term before batches took their places: it says which of them it sees.
        term, value : TensorVariable
            The term and the variable's value, with batches in place.
        whole : TensorVariable
            The term of the full data, as the model scales it.
        """
        above = self._locals_above(graph)
        rows_above = [self.local[name] for name in self.local if name in above]
        batches = list(dict.fromkeys([*self._batches_above(graph), *rows_above]))
        in_model = any(isinstance(rows, Rows) and rows.key in self.in_model for rows in batches)
        if variable.name in self.local:
            if len(batches) > 1:
                raise ValueError(not_drawn_together(variable.name))
            factor = batches[0].factor
        else:
            factor = factor_of(self.model, variable, value, batches, self.setting, in_model)
        full = whole if self.setting.compare and not in_model else None
        rows_of = {
            self.model.rvs_to_values[self.model[name]]: rows for name, rows in self.local.items()
        }
        check_mixing(self.model, variable, term, batches, full, self.setting.scale, rows_of)
        return term * factor

    def _batches_above(self, graph: Any) -> list[Rows | StreamedRows]:
        streamed = self.setting.streamed
        above: list[Rows | StreamedRows] = list(self.batches.seen_by(graph))
        if streamed is not None and set(streamed.marks) & set(ancestors([graph])):
            above.append(streamed)
        return above

    def _locals_above(self, graph: Any) -> set[str]:
        """Names of the local variables whose values a term reads."""
        if not self.setting.locals:
            return set()
        up = set(ancestors([graph]))
        return {
            name for name in self.setting.locals if self.model.rvs_to_values[self.model[name]] in up
        }


def _with_row_scales(model: pm.Model, setting: GraphSetting) -> GraphSetting:
    """The setting, with what a model of a density says of its own terms."""
    check_scale(model, setting.scale)
    row_scales = getattr(model, "row_scales", {})
    if not row_scales:
        return setting
    by_name = setting.scale if isinstance(setting.scale, Mapping) else {}
    return replace(setting, scale={**row_scales, **by_name})


def _places(model: pm.Model, setting: GraphSetting) -> dict[Variable, Any]:
    """What takes the place of which variable: replacements and streamed rows."""
    if setting.compare:
        _check_lengths(setting.replacements)
    places: dict[Variable, Any] = {old: like(old, new) for old, new in setting.replacements.items()}
    if setting.streamed is not None:
        inputs = setting.streamed.inputs
        places |= {model[name]: like(model[name], new) for name, new in inputs.items()}
    return places


def _check_short(batches: Batches) -> None:
    """Refuse a short last batch beside other batches."""
    if len(batches.rows) > 1 and any(rows.sampling.short_last for rows in batches.rows):
        raise ValueError(
            "short_last=True: only one minibatch can have a short last batch, and no other beside "
            "it."
        )


def _check_lengths(replacements: Mapping[Variable, Variable]) -> None:
    """Refuse batches of data of another length than those they replace."""
    for old, new in replacements.items():
        for rows in find_batches([new]).rows:
            length = int(interpret([], [pt.shape(old)[0]], [])[0])
            if length != rows.count():
                raise ValueError(
                    f"more_replacements: {old} has {length} rows, and the minibatch in its place "
                    f"is one of {rows.count()}. Make it from the same data: vi.Minibatch(data, "
                    "batch_size=...)."
                )


def _fitting(make: Callable[[], list[Any]]) -> list[Any]:
    """Graphs that are made anew; if their shapes do not fit together, say so."""
    try:
        return make()
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{_UNFIT} ({first_line(error)})") from error


_UNFIT = (
    "more_replacements: the model does not fit together with the replacements. Replace all data of "
    "the same rows, by tensors of the same number of dimensions: X_batch, y_batch = "
    "vi.Minibatch(X, y, batch_size=...)."
)
