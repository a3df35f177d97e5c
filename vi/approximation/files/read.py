"""Read an approximation from a file."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import optax
import pymc as pm

from vi.algorithms import Algorithm, Local, LocalPart, State
from vi.approximation.files.encoding import LostError, decode, innermost
from vi.approximation.files.save import FORMAT, _labels, _layout_table
from vi.diagnostics.agreement import compared
from vi.diagnostics.status import Status
from vi.families import Family
from vi.foundation.precision import precision
from vi.foundation.version import __version__
from vi.kernels import RBF
from vi.objectives import StickingTheLanding
from vi.targets.batches.setting import Setting
from vi.targets.model.checks import model_in_context
from vi.training.history import History

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["load"]


def load(
    path: str | os.PathLike[str],
    model: pm.Model | None = None,
    *,
    obj_optimizer: optax.GradientTransformation | None = None,
    family: Family | None = None,
) -> Approximation:
    """Read an approximation that :meth:`Approximation.save` wrote.

    Parameters
    ----------
    path : path
        The file.
    model : pymc.Model, optional
        The model that was fitted, built again; the one in context by default.
    obj_optimizer : optax.GradientTransformation, optional
        The optimiser of the run, needed to ``refine`` only if it was not one of ``vi``'s named ones
        (a file holds no code).
    family : Family, optional
        The family that was fitted, needed only if it is not one of ``vi``'s.

    Returns
    -------
    Approximation
        Equal to the one that was saved: parameters, loss trace, and the state from which ``refine``
        goes on.

    Raises
    ------
    ValueError
        If the file is not one of an approximation, or the model's variables are not those that were
        fitted.
    """
    from vi.approximation.named import kind_of

    model = model_in_context(model)
    path = Path(path).expanduser()
    cause: Exception | None = None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(str(arrays.pop("meta")))
        complete = (
            meta.keys() >= {"format", "version", "family", "layout", "status"}
            and "history" in arrays
        )
    except FileNotFoundError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
    ) as error:
        complete, cause = False, error
    if not complete:
        raise ValueError(
            f"{str(path)!r} is not a file written by Approximation.save, or it is damaged."
        ) from cause
    if meta["format"] > FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} was written by pymc-vi {meta['version']}; this is {__version__}. Update."
        )
    if meta["format"] < FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} was written by a development version of pymc-vi; fit again."
        )
    family = _family(meta["family"]) if family is None else family
    point = _group(arrays, "point")
    approx = kind_of(family)(model, meta["seed"], meta["dtype"])
    approx._seed = meta["seed"]
    if _layout_table(approx) != meta["layout"]:
        raise ValueError(
            "The model's variables are not those that were fitted.\n"
            f"  file:  {_describe_layout(meta['layout'])}\n  model: {_describe_layout(_layout_table(approx))}"
        )
    for dim, labels in meta.get("coords", {}).items():
        if _labels(approx).get(dim) != labels:
            raise ValueError(
                f"The model's labels along {dim!r} are not those that were fitted.\n"
                f"  file:  {', '.join(labels)}\n  model: {', '.join(_labels(approx).get(dim, ['none']))}"
            )
    approx._point = point
    approx.backend, approx._score = meta["backend"], meta["score"]
    approx.include_transformed = meta["include_transformed"]
    approx._missing = meta.get("missing")
    approx._notes = meta.get("notes", {})
    approx._setting = Setting(scale=meta.get("scale"))
    approx._history = History(arrays["history"])
    approx._status = Status(**meta["status"])
    if restarts := _group(arrays, "restarts"):
        approx._restarts = compared(restarts, approx.layout)
    with precision(approx.dtype):
        start = _group(arrays, "reported" if meta.get("encoders") else "start")
        approx._start = jax.tree.map(jax.numpy.asarray, start)
        if "step" in arrays:
            _restore_run(approx, arrays, meta, obj_optimizer)
    approx.publish()
    return approx


def _restore_run(
    approx: Approximation,
    arrays: dict[str, np.ndarray],
    meta: dict[str, Any],
    obj_optimizer: optax.GradientTransformation | None,
) -> None:
    algorithm, lost = _algorithm(meta, approx.family, obj_optimizer)
    reported = "averaging" in lost
    params = jax.tree.map(jax.numpy.asarray, _group(arrays, "reported" if reported else "params"))
    key = jax.random.wrap_key_data(jax.numpy.asarray(arrays["key"]))
    template = algorithm.init(params, key)
    optimizer = (
        template.optimizer
        if lost
        else _fill(template.optimizer, _group(arrays, "optimizer"), "optimiser")
    )
    average = () if reported else _fill(template.average, _group(arrays, "average"), "average")
    approx._algorithm = algorithm
    approx._state = State(params, optimizer, average, key, jax.numpy.asarray(arrays["step"]))


def _family(spec: Any) -> Family:
    try:
        family: Family = decode(spec)
    except LostError as error:
        raise ValueError(
            f"{error} in the family is not one of vi's: load(..., family=...) with the one fitted."
        ) from None
    return family


def _algorithm(meta: dict[str, Any], family: Family, optimizer: Any) -> tuple[Algorithm, set[str]]:
    """The algorithm of the run; where a part of it is lost, one that says so when a step is
    asked for.
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
                known |= _STAND_INS[name](
                    f"It was fitted with the {name} {error}, which a file cannot hold"
                )
    if meta.get("encoders"):
        lost |= {"averaging", "optimizer"}
        known |= _STAND_INS["averaging"]("It was fitted with an encoder, which a file cannot hold")
    algorithm: Algorithm = decode(spec, known)
    if spec is not meta["algorithm"]:
        parts = [
            part["settings"] | {"encoder": None}
            for part in meta["algorithm"]["settings"]["parts"]["tuple"]
        ]
        algorithm = Local(family, algorithm, tuple(LocalPart(**part) for part in parts))  # type: ignore[arg-type]
    return algorithm, lost


_STAND_INS: dict[str, Any] = {
    "optimizer": lambda what: {
        "optimizer": _lost_optimizer(f"{what}: load(..., obj_optimizer=...)")
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
        raise ValueError(
            f"The stored state of the {what} does not fit the {what} given; pass the one of the run."
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
