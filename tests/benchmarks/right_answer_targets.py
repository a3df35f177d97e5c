"""The posteriors of which the seconds to the right answer are told, and what is right."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import references
from minibatch_workloads import WORKLOADS as BATCHES
from minibatch_workloads import Setting, pymc_model
from minibatch_workloads import data as rows_of
from workloads import WORKLOADS

sys.path.insert(0, str(Path(__file__).parent / "posteriordb"))

import data as posteriordb
import models
from measures import moment_errors

__all__ = ["TARGETS", "Right", "Target", "errors"]

WEIGHED = 20_000
"""Draws behind the reference of the smaller logistic regression."""


@dataclass(frozen=True, eq=False)
class Right:
    """Means and sds of scalars; medians and quartiles' sds where tails are heavy.

    Parameters
    ----------
    names : tuple of str
        Scalars in Stan's way: "beta[1]".
    location, scale : ndarray
        Shape ``(scalars,)``.
    robust : ndarray of bool
        Whether a scalar's tails are heavy.
    """

    names: tuple[str, ...]
    location: np.ndarray
    scale: np.ndarray
    robust: np.ndarray

    def save(self, path: Path) -> None:
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Right:
        with np.load(path) as file:
            found = {name: file[name] for name in file.files}
        return cls(**found | {"names": tuple(map(str, found["names"]))})


@dataclass(frozen=True)
class Target:
    """A model and its posterior.

    Parameters
    ----------
    title : str
        What the table calls it.
    model : callable
        Builds the PyMC model; takes the ``Minibatch`` that makes its batches, ``None`` for a
        system that has to have all rows.
    right : callable
        Takes the folder of posteriordb, returns what is right.
    batches : Setting or None
        How rows are drawn, where they are.
    """

    title: str
    model: Callable[[Any, Path], Any]
    right: Callable[[Path], Right]
    batches: Setting | None = None


def errors(right: Right, posterior: Any) -> tuple[float, float]:
    """The largest errors of a mean, in sds, and of a log sd, of draws of the model's variables."""
    scalars = models.scalars(posterior)
    draws = np.stack([scalars[name] for name in right.names])
    mean, sd = moment_errors(draws, right.robust, right.location, right.scale)
    return float(np.abs(mean).max()), float(np.abs(sd).max())


def _named(variable: str, count: int) -> tuple[str, ...]:
    return tuple(f"{variable}[{i + 1}]" for i in range(count))


def _coefficients(x: np.ndarray, y: np.ndarray) -> Right:
    """Of a logistic regression; with few rows the normal at the mode is weighed by its error."""
    found = references.logistic(x, y)
    mean, sd = found.mean, found.sd
    if len(x) <= references.BLOCK:
        mean, sd = _weighed(x, y, mean)
    return Right(_named("beta", len(mean)), mean, sd, np.zeros(len(mean), bool))


def _weighed(x: np.ndarray, y: np.ndarray, mode: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moments by importance weights of draws from the normal at the mode."""
    p = 1 / (1 + np.exp(-x @ mode))
    precision = x.T @ (x * (p * (1 - p))[:, None]) + np.eye(len(mode))
    root = np.linalg.cholesky(np.linalg.inv(precision))
    noise = np.random.default_rng(1).standard_normal((WEIGHED, len(mode)))
    draws, log_p = mode + noise @ root.T, np.empty(WEIGHED)
    for first in range(0, WEIGHED, 1_000):
        part = draws[first : first + 1_000]
        logits = x @ part.T
        log_p[first : first + 1_000] = y @ logits - np.logaddexp(0, logits).sum(axis=0)
        log_p[first : first + 1_000] -= (part**2).sum(axis=1) / 2
    ratios = log_p + (noise**2).sum(axis=1) / 2
    weights = np.exp(ratios - ratios.max())
    weights /= weights.sum()
    mean = weights @ draws
    return mean, np.sqrt(weights @ (draws - mean) ** 2)


def _columns(names: tuple[str, str], rows: np.ndarray, prior_sd: float) -> Right:
    """Means and deviations of columns, these with a half-normal prior; their logarithms are normal
    to a hundredth of an sd.
    """
    found, count = references.normal(rows / prior_sd), rows.shape[1]  # in units of that prior
    log_sd, spread = found.mean[count:], found.sd[count:]
    level = np.exp(log_sd + spread**2 / 2)
    return Right(
        (*_named(names[0], count), *_named(names[1], count)),
        prior_sd * np.concatenate([found.mean[:count], level]),
        prior_sd * np.concatenate([found.sd[:count], level * np.sqrt(np.expm1(spread**2))]),
        np.zeros(2 * count, bool),
    )


def _of_posteriordb(title: str, name: str) -> Target:
    def right(folder: Path) -> Right:
        found = posteriordb.load_reference(folder, name)
        return Right(found.names, found.location, found.scale, found.robust)

    return Target(
        title, lambda _, folder: models.build(name, posteriordb.load_data(folder, name)), right
    )


def _in_batches(name: str, right: Callable[[dict[str, np.ndarray]], Right]) -> Target:
    its = BATCHES[name]
    assert its.batch is not None
    setting = Setting(its.name, its.rows, its.columns, its.batch, 1_000)
    whole = Setting(its.name, its.rows, its.columns, its.rows, 1_000)

    def model(minibatch: Any, _: Path) -> Any:
        total = (its.rows, its.columns) if name == "normal" and _is_ours(minibatch) else None
        return pymc_model(setting if minibatch else whole, minibatch, total)

    return Target(
        f"{its.title}, {its.rows:,} x {its.columns}, batches of {its.batch}",
        model,
        lambda _: right(rows_of(setting)),
        setting,
    )


def _is_ours(minibatch: Any) -> bool:
    return str(getattr(minibatch, "__module__", "")).startswith("vi.")


def _of_workload(name: str, right: Callable[..., Right]) -> Target:
    its = WORKLOADS[name]
    return Target(its.title, lambda *_: its.pymc(), lambda _: right(*its.numpyro()[1]))


TARGETS: dict[str, Target] = {
    "eight_schools": _of_posteriordb(
        "Eight schools, non-centred (D=10)", "eight_schools-eight_schools_noncentered"
    ),
    "radon": _of_posteriordb(
        "Radon, 919 rows in 85 counties (D=90)",
        "radon_mn-radon_hierarchical_intercept_noncentered",
    ),
    "logistic": _of_workload("logistic", _coefficients),
    "normal": _of_workload("normal", partial(_columns, ("mu", "sigma"), prior_sd=5.0)),
    "normal_batches": _in_batches(
        "normal", lambda data: _columns(("mu", "sd"), data["x"], prior_sd=1.0)
    ),
    "logistic_batches": _in_batches("logistic", lambda data: _coefficients(data["x"], data["y"])),
    "arma11": _of_posteriordb("ARMA(1, 1)", "arma-arma11"),
    "gp_regr": _of_posteriordb("Gaussian process", "gp_pois_regr-gp_regr"),
    "hmm": _of_posteriordb("Hidden Markov model", "hmm_example-hmm_example"),
    "mixture": _of_posteriordb("Mixture of two normals", "low_dim_gauss_mix-low_dim_gauss_mix"),
    "nes1976": _of_posteriordb("Regression (nes1976)", "nes1976-nes"),
    "irt_2pl": _of_posteriordb("Item responses, 2PL", "irt_2pl-irt_2pl"),
}
"""The targets by name: of each kind of posteriordb's models one besides."""
