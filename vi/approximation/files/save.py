"""A record in one file: arrays and plain settings, no code, nothing that is executed on reading."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vi.algorithms import Algorithm
from vi.approximation.files.atomic import write_archive
from vi.approximation.files.diagnosis_arrays import diagnosis_arrays
from vi.approximation.files.encoding import encode, innermost
from vi.approximation.files.fingerprint import fingerprint
from vi.approximation.files.tables import FORMAT, labels_table, layout_table
from vi.approximation.record.copies import copied, state_to_numpy
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import reported_params
from vi.approximation.record.training_data import lost_data
from vi.foundation.version import __version__

__all__ = ["path_of_file", "save", "stored"]


def save(fit: FitState, path: str | os.PathLike[str]) -> None:
    """Write the approximation, its run and its loss trace to one file without code in it.

    The file is a zip of ``.npy`` arrays and one JSON text, NumPy's ``.npz``. Read it back with
    :func:`vi.load`. The model is not stored: it is code.

    Parameters
    ----------
    path : path
        The file; it is written beside, to the disk, and renamed: a crash leaves the old one or
        the new one. One that was there keeps its rights.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    target = path_of_file("save", path)
    arrays, meta = stored(copied(fit), fingerprint(fit.model))
    arrays["meta"] = np.array(json.dumps(meta))
    write_archive(target, arrays)


def stored(fit: FitState, of_model: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What a file holds of a record: its arrays, and the table that becomes its text.

    Parameters
    ----------
    fit : FitState
        The record.
    of_model : dict
        The :func:`~vi.approximation.files.fingerprint.fingerprint` of its model.
    """
    algorithm = encode(fit.algorithm)
    lost = _is_lost(algorithm)
    encoders = any(group.encoder is not None for group in fit.local)
    arrays: dict[str, np.ndarray] = {"history": np.array(fit.losses)}
    arrays |= {f"start/{name}": np.array(value) for name, value in fit.start.items()}
    if fit.run is not None and not lost:
        state = state_to_numpy(fit.run)
        arrays |= {f"params/{name}": np.asarray(value) for name, value in state.params.items()}
        optimizer, average = jax.tree.leaves(state.optimizer), jax.tree.leaves(state.average)
        arrays |= {f"optimizer/{i}": leaf for i, leaf in enumerate(optimizer)}
        arrays |= {f"average/{i}": leaf for i, leaf in enumerate(average)}
        arrays |= {"key": np.asarray(state.key), "step": np.asarray(state.step)}
    arrays |= {f"point/{name}": np.asarray(value) for name, value in fit.point.items()}
    for name, given in (("free_mean", fit.free_mean), ("given_std", fit.given_std)):
        if given is not None:
            arrays[f"begun/{name}"] = given
    if fit.starts is not None:
        for name in ("elbo", "elbo_error", "mean", "std"):
            arrays[f"restarts/{name}"] = fit.starts[f"restart_{name}"].to_numpy()
    if fit.diagnosis is not None:
        arrays |= diagnosis_arrays(fit.diagnosis)
    if encoders or lost or _loses_average(algorithm):  # what is reported cannot be read back
        reported = reported_params(fit).items()
        arrays |= {f"reported/{name}": np.array(value) for name, value in reported}
    meta = {
        "format": FORMAT,
        "version": __version__,
        "family": encode(fit.family),
        "dtype": fit.dtype.name,
        "layout": layout_table(fit.layout),
        "fingerprint": of_model,
        "coords": labels_table(fit.model, fit.layout),
        "seed": fit.seed,
        "backend": fit.backend,
        "status": asdict(fit.status),
        "losses": len(fit.losses),
        "losses_before": fit.losses_before,
        "score": fit.keep_losses,
        "warm_start": fit.warm_start,
        "include_transformed": fit.include_transformed,
        "missing": fit.data.missing or _left_behind(fit, lost),
        "scale": fit.data.training.scale,
        "rewrite": fit.data.training.rewrite,
        "algorithm": algorithm,
        "encoders": encoders,
        "notes": dict(fit.notes),
        "stages": [asdict(stage) for stage in fit.stages],
        "resample": fit.resample,
        "log_p_of_mean": fit.log_p_of_mean,
        "slopes": "by globals",
        "diagnosis": None if fit.diagnosis is None else dict(fit.diagnosis.to_dataset().attrs),
        "judged_data": dict(fit.judged_data),
        "compared_data": dict(fit.compared_data),
    }
    return arrays, meta


def _is_lost(algorithm: Any) -> bool:
    """Whether the algorithm is one that a file cannot name."""
    return isinstance(algorithm, dict) and "lost" in algorithm


def _loses_average(algorithm: Any) -> bool:
    """Whether the average of iterates is made by code, so that it cannot be read back."""
    if algorithm is None:
        return False
    return "lost" in (innermost(algorithm)["settings"].get("averaging") or {})


def _left_behind(fit: FitState, lost: bool) -> str | None:
    """What a fit needs to go on that a file cannot hold, if anything, as a sentence."""
    if lost:
        return lost_algorithm(fit.algorithm)
    if fit.data.stream is not None or fit.data.all_rows.replacements:
        return lost_data("data=", "file")
    if fit.data.training.replacements:
        return lost_data("more_replacements=", "file")
    return None


def lost_algorithm(algorithm: Algorithm | None) -> str:
    """What is said where a run cannot go on because its algorithm is not registered."""
    return (
        f"It was fitted with the algorithm {type(algorithm).__name__}, which is not registered "
        "(vi.algorithms.ALGORITHMS.register) and which a file cannot hold: fit() begins again from "
        "what it reported."
    )


def path_of_file(function: str, path: Any) -> Path:
    """The path of a file; refuse what is none, and folders."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"{function}() takes the path of a file, a text or pathlib.Path; got {path!r}."
        )
    file = Path(path).expanduser()
    if file.is_dir():
        raise IsADirectoryError(
            f"{function}() takes the path of a file, and {str(file)!r} is a folder: add a name, "
            f"{str(file / 'fit.npz')!r}."
        )
    return file
