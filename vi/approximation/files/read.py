"""Read a record from a file, into the model built again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pymc as pm

from vi.algorithms import Algorithm, Local, LocalPart, State
from vi.approximation.files.contents import contents, refusing
from vi.approximation.files.diagnosis_arrays import diagnosis_from
from vi.approximation.files.encoding import LostError, decode, innermost
from vi.approximation.files.fingerprint import differences, fingerprint
from vi.approximation.files.tables import labels_table, layout_table
from vi.approximation.record.begin import begin
from vi.approximation.record.beginning import Beginning
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.points import judged_labels
from vi.approximation.record.training_data import TrainingData
from vi.diagnostics.agreement import compared
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import Status
from vi.families import Family
from vi.foundation.precision import precision
from vi.kernels import RBF
from vi.objectives import StickingTheLanding
from vi.targets.batches.setting import GraphSetting

__all__ = ["read"]


def read(
    path: Path,
    model: pm.Model,
    optimizer: optax.GradientTransformation | None,
    family: Any,
    *,
    check_model: bool = True,
) -> FitState:
    """The record that :func:`vi.approximation.files.save.save` wrote; :func:`vi.load` documents it.

    Parameters
    ----------
    path : Path
        The file.
    model : pymc.Model
        The model that was fitted.
    optimizer, family : optional
        In the place of ones that are code.
    check_model : bool
        Whether to refuse a model of other distributions or other data.
    """
    arrays, meta = contents(path)
    with refusing(path, MismatchError):
        if family is None:
            family = _family(meta["family"], model, check_model=check_model)
        beginning = Beginning(model, family, np.dtype(meta["dtype"]))
    fit = begin(beginning, random_seed=meta["seed"])
    with refusing(path, MismatchError):
        _check_model(fit, meta)
        if check_model and "fingerprint" in meta:  # not in those of 0.1.0
            _check_graph(fit.model, meta)
        return _filled(fit, arrays, meta, optimizer)


class MismatchError(ValueError):
    """What is given to ``load`` does not go with the file, which is sound."""


def _filled(
    fit: FitState, arrays: dict[str, np.ndarray], meta: dict[str, Any], optimizer: Any
) -> FitState:
    """The record with what the file holds."""
    lost = "lost" in (meta["algorithm"] or {})
    with precision(fit.dtype):
        start = _group(arrays, "reported" if meta.get("encoders") or lost else "start")
        if not meta.get("encoders"):
            _check_params(fit.start, start)
        fit = replace(fit, start=jax.tree.map(jax.numpy.asarray, start))
        if "step" in arrays:
            algorithm, run = _run(fit.family, arrays, meta, optimizer)
            fit = replace(fit, algorithm=algorithm, run=run)
    restarts = _group(arrays, "restarts")
    begun = _group(arrays, "begun")  # nothing where parameters were set
    return replace(
        fit,
        free_mean=begun.get("free_mean"),
        given_std=begun.get("given_std"),
        point=_group(arrays, "point"),
        backend=meta["backend"],
        keep_losses=meta["score"],
        warm_start=meta.get("warm_start", False),
        include_transformed=meta["include_transformed"],
        data=_data(meta),
        notes=meta.get("notes", {}),
        stages=tuple(Stage(**stage) for stage in meta.get("stages", ())),
        resample=meta.get("resample"),
        log_p_of_mean=meta.get("log_p_of_mean", np.nan),
        losses=np.asarray(arrays["history"], np.float64),
        losses_before=meta.get("losses_before", 0),
        status=Status(**meta["status"]),
        starts=compared(restarts, fit.layout) if restarts else None,
        diagnosis=diagnosis_from(arrays, meta.get("diagnosis"), judged_labels(fit)),
        judged_data=meta.get("judged_data", {}),
        compared_data=meta.get("compared_data", {}),
    )


def _data(meta: dict[str, Any]) -> TrainingData:
    """What the file knows of the data."""
    rewrite = meta.get("rewrite", False)  # older versions had no rewriting
    return TrainingData(
        GraphSetting(scale=meta.get("scale"), rewrite=rewrite),
        GraphSetting(training=False, rewrite=rewrite),
        missing=meta.get("missing"),
    )


def _check_params(wanted: dict[str, Any], stored: dict[str, np.ndarray]) -> None:
    """Refuse parameters of other names, shapes or kinds than those of the family."""
    for name in {**wanted, **stored}:
        one, two = (np.asarray(each[name]) if name in each else None for each in (wanted, stored))
        if one is None or two is None or one.shape != two.shape or two.dtype.kind != "f":
            shown = ["nothing" if a is None else f"{a.dtype} {a.shape}" for a in (two, one)]
            raise ValueError(f"the parameter {name!r} is {shown[0]}; the family has {shown[1]}")


def _check_model(fit: FitState, meta: dict[str, Any]) -> None:
    """Refuse a model whose variables or labels are not those of the file."""
    table = layout_table(fit.layout)
    if table != meta["layout"]:
        raise MismatchError(
            "The model's variables are not those that were fitted.\n"
            f"  file:  {_describe_layout(meta['layout'])}\n  model: {_describe_layout(table)}"
        )
    present = labels_table(fit.model, fit.layout)
    for dim, labels in meta.get("coords", {}).items():
        if present.get(dim) != labels:
            raise MismatchError(
                f"The model's labels along {dim!r} are not those that were fitted.\n"
                f"  file:  {', '.join(labels)}\n  model: {', '.join(present.get(dim, ['none']))}"
            )


def _check_graph(model: pm.Model, meta: dict[str, Any]) -> None:
    """Refuse a model of the same variables that is another one, as far as that can be seen."""
    # data that were given to the fit are not those that lie in the model
    data = meta.get("missing") is None
    differ = differences(meta["fingerprint"], fingerprint(model), data=data)
    if differ:
        more = f" and {len(differ) - 5} more" * (len(differ) > 5)
        raise MismatchError(
            f"The model is not the one that was fitted; {', '.join(differ[:5])}{more} differ. Load "
            "into the model that was fitted, with its data, and set others afterwards; or say "
            "load(..., check_model=False), which keeps what was fitted as an approximation of this "
            "model."
        )


def _run(
    family: Family, arrays: dict[str, np.ndarray], meta: dict[str, Any], optimizer: Any
) -> tuple[Algorithm, State]:
    """The algorithm and the state from which ``refine`` goes on."""
    algorithm, lost = _algorithm(meta, family, optimizer)
    reported = "averaging" in lost
    stored = _group(arrays, "reported" if reported else "params")
    if not meta.get("encoders"):  # what is stored then is what an encoder made, not its weights
        _check_params(_group(arrays, "start") or stored, stored)
    params = jax.tree.map(jax.numpy.asarray, stored)
    key = jax.random.wrap_key_data(jax.numpy.asarray(arrays["key"]))
    state = algorithm.init(params, key)._replace(step=jax.numpy.asarray(arrays["step"]))
    if not lost:
        leaves = _group(arrays, "optimizer")
        state = state._replace(optimizer=_fill(state.optimizer, leaves, "optimiser"))
    average = () if reported else _fill(state.average, _group(arrays, "average"), "average")
    return algorithm, state._replace(average=average)


def _family(spec: Any, model: pm.Model, *, check_model: bool) -> Family:
    try:
        family: Family = decode(spec, None, model, check_model=check_model)
    except LostError as error:
        raise MismatchError(
            f"The family that was fitted has {error}. Or give it: load(..., family=...)."
        ) from None
    return family


def _algorithm(meta: dict[str, Any], family: Family, optimizer: Any) -> tuple[Algorithm, set[str]]:
    """The algorithm of the run, and the names of its parts that are lost.

    In the place of a lost part there is one that says so when a step is asked for.
    """
    spec = innermost(meta["algorithm"])
    known = {"family": family} | ({} if optimizer is None else {"optimizer": optimizer})
    lost = set()
    for name in ("averaging", "kernel", "objective", "optimizer"):
        if name in spec["settings"] and name not in known:
            try:
                decode(spec["settings"][name])
            except LostError as error:
                lost.add(name)
                known |= _STAND_INS[name](f"It was fitted with the {name} {error}")
    if meta.get("encoders"):
        lost |= {"averaging", "optimizer"}
        known |= _STAND_INS["averaging"]("It was fitted with an encoder, which a file cannot hold")
    try:
        algorithm: Algorithm = decode(spec, known)
    except LostError as error:
        raise MismatchError(f"It was fitted with the algorithm {error}.") from None
    if spec is not meta["algorithm"]:
        parts = [
            part["settings"] | {"encoder": None}
            for part in meta["algorithm"]["settings"]["parts"]["tuple"]
        ]
        algorithm = Local(family, algorithm, tuple(LocalPart(**part) for part in parts))  # type: ignore[arg-type]
    return algorithm, lost


_STAND_INS: dict[str, Any] = {
    "optimizer": lambda what: {
        "optimizer": _lost_optimizer(
            f"{what}. Give it again, load(..., obj_optimizer=...); one made by a function that is "
            "registered, @OPTIMIZERS.register above @vi.optimizers.with_settings, is in the file"
        )
    },
    "averaging": lambda what: {"averaging": None, "optimizer": _lost_optimizer(what)},
    "kernel": lambda what: {"kernel": RBF(), "optimizer": _lost_optimizer(what)},
    "objective": lambda what: {
        "objective": StickingTheLanding(),
        "optimizer": _lost_optimizer(what),
    },
}


def _fill(template: Any, leaves: dict[str, np.ndarray], what: str) -> Any:
    """A pytree like ``template`` with the stored leaves."""
    old, structure = jax.tree.flatten(template)
    new = [jax.numpy.asarray(leaves[str(i)]) for i in range(len(leaves))]
    if [leaf.shape for leaf in old] != [leaf.shape for leaf in new]:
        raise MismatchError(
            f"The stored state of the {what} does not fit the {what} given; pass the one of the "
            "run."
        )
    return jax.tree.unflatten(structure, new)


def _lost_optimizer(message: str) -> optax.GradientTransformation:
    """Stands in for what could not be stored; says so when a step is asked for."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        raise ValueError(f"{message}. Fit again with it to go on.")

    return optax.GradientTransformation(lambda params: (), update)


def _describe_layout(table: list[list[Any]]) -> str:
    return ", ".join(f"{value_name}{tuple(shape)}" for _, value_name, shape, _ in table)


def _group(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    start = len(prefix) + 1
    return {name[start:]: value for name, value in arrays.items() if name.startswith(f"{prefix}/")}
