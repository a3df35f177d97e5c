"""An approximation in one file: arrays and plain settings, no code, nothing that is executed on reading."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import optax
import pymc as pm

from vi.algorithms import Algorithm, Gradient, Local, LocalPart, State, Stein
from vi.algorithms.descent import Descent
from vi.approximation.binding import lost_data
from vi.approximation.restarts import compared
from vi.approximation.specs import LostError, decode, encode, name_of
from vi.families import Family
from vi.kernels import RBF
from vi.objectives import StickingTheLanding
from vi.precision import precision
from vi.targets.checks import model_in_context
from vi.targets.scaling import Setting
from vi.training.history import History
from vi.training.status import Status
from vi.version import __version__

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["describe_settings", "load", "save", "state_from_numpy", "state_to_numpy"]

FORMAT = 2


def state_to_numpy(state: State) -> State:
    """The state with NumPy leaves and the key as its raw data."""
    return jax.tree.map(np.array, state._replace(key=jax.random.key_data(state.key)))  # type: ignore[no-any-return]


def state_from_numpy(state: State) -> State:
    """The inverse of :func:`state_to_numpy`."""
    return state._replace(key=jax.random.wrap_key_data(jax.numpy.asarray(state.key)))


def describe_settings(approx: Approximation) -> dict[str, Any]:
    """How an approximation was fitted, as values that any file format can hold as attributes."""
    settings: dict[str, Any] = {
        "family": approx.family.short_name,
        "backend": approx.target().backend,
        "dtype": approx.dtype.name,
        "random_seed": approx.random_seed,
        "steps": len(approx.hist) if approx.state is None else int(approx.state.step),
        "status": approx.status.ending,
        "status_message": approx.status.message,
        "pymc_vi_version": __version__,
        "pymc_version": pm.__version__,
        "jax_version": jax.__version__,
    }
    settings |= approx._notes
    algorithm = approx._algorithm
    if algorithm is not None:
        settings |= {"algorithm": algorithm.short_name, "loss": algorithm.loss_name}
    if isinstance(algorithm, Local):
        algorithm = algorithm.inner
    if isinstance(algorithm, Descent):
        settings |= {
            "optimizer": name_of(algorithm.optimizer),
            "averaging": repr(algorithm.averaging),
            "draws_per_step": algorithm.n_draws,
        }
    if isinstance(algorithm, Gradient):
        settings["objective"] = repr(algorithm.objective)
    if isinstance(algorithm, Stein):
        settings |= {"kernel": repr(algorithm.kernel), "temperature": algorithm.temperature}
    return settings


def save(approx: Approximation, path: str | os.PathLike[str]) -> None:
    """Write an approximation to ``path``: a zip of ``.npy`` arrays and one JSON text (NumPy's ``.npz``)."""
    arrays: dict[str, np.ndarray] = {"history": np.array(approx.hist)}
    arrays |= {f"start/{name}": np.array(value) for name, value in approx._start.items()}
    if approx._state is not None:
        state = state_to_numpy(approx._state)
        arrays |= {f"params/{name}": np.asarray(value) for name, value in state.params.items()}
        arrays |= {f"optimizer/{i}": leaf for i, leaf in enumerate(jax.tree.leaves(state.optimizer))}
        arrays |= {f"average/{i}": leaf for i, leaf in enumerate(jax.tree.leaves(state.average))}
        arrays |= {"key": np.asarray(state.key), "step": np.asarray(state.step)}
    arrays |= {f"point/{name}": np.asarray(value) for name, value in approx._point.items()}
    if approx._restarts is not None:
        found = ("elbo", "elbo_error", "mean", "std")
        arrays |= {f"restarts/{name}": approx._restarts[f"restart_{name}"].to_numpy() for name in found}
    algorithm = encode(approx._algorithm)
    encoders = any(group.encoder is not None for group in approx._local)
    own = _inner(algorithm or {"settings": {}})
    if encoders or "lost" in (own["settings"].get("averaging") or {}):  # the average cannot be read back
        arrays |= {f"reported/{name}": np.array(value) for name, value in approx.reported.items()}
    meta = {
        "format": FORMAT,
        "version": __version__,
        "family": encode(approx.family),
        "dtype": approx.dtype.name,
        "layout": _layout_table(approx),
        "coords": _labels(approx),
        "seed": approx.random_seed,
        "backend": approx.backend,
        "status": asdict(approx.status_of_a_copy()),
        "score": approx._score,
        "include_transformed": approx.include_transformed,
        "missing": approx._missing or _left_behind(approx),
        "scale": approx._setting.scale,
        "algorithm": algorithm,
        "encoders": encoders,
        "notes": approx._notes,
    }
    arrays["meta"] = np.array(json.dumps(meta))
    _write_atomically(Path(path), arrays)


def _left_behind(approx: Approximation) -> str | None:
    """What a fit needs to go on that a file cannot hold, if anything."""
    if approx._stream is not None or approx._full.replacements:
        return lost_data("data=", "file")
    return lost_data("more_replacements=", "file") if approx._setting.replacements else None


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
        The optimiser of the run, needed to ``refine`` only if it was not one of ``vi``'s named ones (a file holds no
        code).
    family : Family, optional
        The family that was fitted, needed only if it is not one of ``vi``'s.

    Returns
    -------
    Approximation
        Equal to the one that was saved: parameters, loss trace, and the state from which ``refine`` goes on.

    Raises
    ------
    ValueError
        If the file is not one of an approximation, or the model's variables are not those that were fitted.
    """
    from vi.approximation.kinds import kind_of

    model = model_in_context(model)
    path = Path(path).expanduser()
    cause: Exception | None = None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(str(arrays.pop("meta")))
        complete = meta.keys() >= {"format", "version", "family", "layout", "status"} and "history" in arrays
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as error:
        complete, cause = False, error
    if not complete:
        raise ValueError(f"{str(path)!r} is not a file written by Approximation.save, or it is damaged.") from cause
    if meta["format"] > FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} was written by pymc-vi {meta['version']}; this is {__version__}. Update."
        )
    if meta["format"] < FORMAT:
        raise ValueError(f"{os.fspath(path)!r} was written by a development version of pymc-vi; fit again.")
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
    optimizer = template.optimizer if lost else _fill(template.optimizer, _group(arrays, "optimizer"), "optimiser")
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
    """The algorithm of the run; where a part of it is lost, one that says so when a step is asked for."""
    spec = _inner(meta["algorithm"])
    known = {"family": family} | ({} if optimizer is None else {"optimizer": optimizer})
    lost = set()
    for name in ("averaging", "kernel", "objective", "optimizer"):
        if name in spec["settings"] and name not in known:
            try:
                decode(spec["settings"][name])
            except LostError as error:
                lost.add(name)
                known |= _STAND_INS[name](f"It was fitted with the {name} {error}, which a file cannot hold")
    if meta.get("encoders"):
        lost |= {"averaging", "optimizer"}
        known |= _STAND_INS["averaging"]("It was fitted with an encoder, which a file cannot hold")
    algorithm: Algorithm = decode(spec, known)
    if spec is not meta["algorithm"]:
        parts = [part["settings"] | {"encoder": None} for part in meta["algorithm"]["settings"]["parts"]["tuple"]]
        algorithm = Local(family, algorithm, tuple(LocalPart(**part) for part in parts))  # type: ignore[arg-type]
    return algorithm, lost


def _inner(spec: dict[str, Any]) -> dict[str, Any]:
    """The algorithm that makes the steps of one with local variables; any other one as it is."""
    inner: dict[str, Any] = spec["settings"].get("inner", spec)
    return inner


_STAND_INS: dict[str, Any] = {
    "optimizer": lambda what: {"optimizer": _lost_optimizer(f"{what}: load(..., obj_optimizer=...)")},
    "averaging": lambda what: {"averaging": None, "optimizer": _lost_optimizer(what)},
    "kernel": lambda what: {"kernel": RBF(), "optimizer": _lost_optimizer(what)},
    "objective": lambda what: {"objective": StickingTheLanding(), "optimizer": _lost_optimizer(what)},
}


def _fill(template: Any, leaves: dict[str, np.ndarray], what: str) -> Any:
    """A pytree like ``template`` with the stored leaves."""
    old, structure = jax.tree.flatten(template)
    new = [jax.numpy.asarray(leaves[str(i)]) for i in range(len(leaves))]
    if [leaf.shape for leaf in old] != [leaf.shape for leaf in new]:
        raise ValueError(f"The stored state of the {what} does not fit the {what} given; pass the one of the run.")
    return jax.tree.unflatten(structure, new)


def _lost_optimizer(message: str) -> optax.GradientTransformation:
    """Stands in for what could not be stored; says so when a step is asked for."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        raise ValueError(f"{message}. Fit again with it to go on.")

    return optax.GradientTransformation(lambda params: (), update)


def _layout_table(approx: Approximation) -> list[list[Any]]:
    return [[slot.name, slot.value_name, list(slot.shape), slot.transform] for slot in approx.layout]


def _labels(approx: Approximation) -> dict[str, list[str]]:
    """The labels of the dims that the fitted variables have, as texts."""
    dims = {dim for slot in approx.layout for dim in slot.dims if dim is not None}
    coords = approx.model.coords
    return {dim: [str(label) for label in coords[dim]] for dim in sorted(dims) if coords.get(dim) is not None}


def _describe_layout(table: list[list[Any]]) -> str:
    return ", ".join(f"{value_name}{tuple(shape)}" for _, value_name, shape, _ in table)


def _group(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    start = len(prefix) + 1
    return {name[start:]: value for name, value in arrays.items() if name.startswith(f"{prefix}/")}


def _write_atomically(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write beside the target and rename, so that a crash leaves the old file."""
    path = path.expanduser().resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {str(path.parent)!r} does not exist; make it first.")
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
