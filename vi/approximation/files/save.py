"""An approximation in one file: arrays and plain settings, no code, nothing that is executed on
reading.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pymc as pm

from vi.algorithms import Gradient, Local, State, Stein
from vi.algorithms.descent import Descent
from vi.approximation.files.encoding import encode, innermost
from vi.approximation.steps.training_data import lost_data
from vi.foundation.version import __version__
from vi.optimizers.named import name_of

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["describe_settings", "save", "state_from_numpy", "state_to_numpy"]

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
    """Write an approximation to ``path``: a zip of ``.npy`` arrays and one JSON text (NumPy's
    ``.npz``).
    """
    arrays: dict[str, np.ndarray] = {"history": np.array(approx.hist)}
    arrays |= {f"start/{name}": np.array(value) for name, value in approx._start.items()}
    if approx._state is not None:
        state = state_to_numpy(approx._state)
        arrays |= {f"params/{name}": np.asarray(value) for name, value in state.params.items()}
        arrays |= {
            f"optimizer/{i}": leaf for i, leaf in enumerate(jax.tree.leaves(state.optimizer))
        }
        arrays |= {f"average/{i}": leaf for i, leaf in enumerate(jax.tree.leaves(state.average))}
        arrays |= {"key": np.asarray(state.key), "step": np.asarray(state.step)}
    arrays |= {f"point/{name}": np.asarray(value) for name, value in approx._point.items()}
    if approx._restarts is not None:
        found = ("elbo", "elbo_error", "mean", "std")
        arrays |= {
            f"restarts/{name}": approx._restarts[f"restart_{name}"].to_numpy() for name in found
        }
    algorithm = encode(approx._algorithm)
    encoders = any(group.encoder is not None for group in approx._local)
    own = innermost(algorithm or {"settings": {}})
    if encoders or "lost" in (
        own["settings"].get("averaging") or {}
    ):  # the average cannot be read back
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


def _layout_table(approx: Approximation) -> list[list[Any]]:
    return [
        [slot.name, slot.value_name, list(slot.shape), slot.transform] for slot in approx.layout
    ]


def _labels(approx: Approximation) -> dict[str, list[str]]:
    """The labels of the dims that the fitted variables have, as texts."""
    dims = {dim for slot in approx.layout for dim in slot.dims if dim is not None}
    coords = approx.model.coords
    return {
        dim: [str(label) for label in coords[dim]]
        for dim in sorted(dims)
        if coords.get(dim) is not None
    }


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
