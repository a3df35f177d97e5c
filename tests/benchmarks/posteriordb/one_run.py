"""The process of one run: a system fits a posterior.

It answers by lines of JSON on a descriptor of its own, each as soon as it is known: the model is
built; the seconds; the errors; the seconds of a second fit. Whoever started it may kill it.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np
import pymc as pm
from data import load_data, load_reference
from measures import errors
from models import build, scalars
from systems import SYSTEMS, Time, seconds_of

ANOTHER_MODEL = "another model"
"""In a posterior's place: a fit that only leaves compiled code on disk."""

COMPILING = ("seconds", "processor")
"""The names of the seconds with compilation, by both clocks."""

RUNNING = ("running", "running_processor")
"""The names of the seconds without it."""

LIBRARIES = (
    *("pymc-vi", "pymc", "pytensor", "numba", "jax", "numpy"),
    *("numpyro", "pymc-extras", "blackjax", "nutpie"),
)


def main(system: str, posterior: str, folder: str, seed: int, answers: IO[str]) -> None:
    """Make the run."""

    def answer(**known: Any) -> None:
        print(json.dumps(known), file=answers, flush=True)

    fit = importlib.import_module(SYSTEMS[system]).FITS[system]
    if posterior == ANOTHER_MODEL:
        fitted = fit(_another_model(), seed)
        fitted.draw()
        return
    model = build(posterior, load_data(Path(folder), posterior))
    answer(versions=versions(), load=round(os.getloadavg()[0], 2))
    began = Time.now()
    try:
        fitted = fit(model, seed)
    except Exception:
        answer(**clocks(*COMPILING, Time.now() - began))
        raise
    answer(gradients=fitted.gradients, **clocks(*COMPILING, fitted.seconds))
    if fitted.running is not None:
        answer(**clocks(*RUNNING, fitted.running))
    found = errors(load_reference(Path(folder), posterior), scalars(fitted.draw()))
    answer(**{name: float(f"{value:.4g}") for name, value in found.items()})
    answer(**fitted.facts())
    if fitted.again is not None:
        answer(**clocks(*RUNNING, seconds_of(fitted.again)[1]))


def clocks(wall: str, processor: str, time: Time) -> dict[str, float]:
    return {wall: round(time.wall, 3), processor: round(time.processor, 2)}


def _another_model() -> pm.Model:
    with pm.Model() as model:
        mean = pm.Normal("mean", 0, 10)
        pm.Normal("y", mean, pm.HalfNormal("sd", 1), observed=np.linspace(-1, 1, 10))
    return model


def versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    name, posterior, folder, seed, descriptor = sys.argv[1:]
    with os.fdopen(int(descriptor), "w") as answers:
        try:
            main(name, posterior, folder, int(seed), answers)
        except Exception as error:  # noqa: BLE001 (a failure is a result)
            text = f"{type(error).__name__}: {error}"[:300]
            print(json.dumps({"error": text}), file=answers, flush=True)
