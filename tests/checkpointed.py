"""Fits that are cut somewhere while they write checkpoints."""

from __future__ import annotations

import functools

import numpy as np
import optax
import pymc as pm
from problems import conjugate_regression

import vi

ROWS = 60


class Killed(BaseException):
    """Passes through everything, as the end of the process would."""


class KilledAt(vi.callbacks.Callback):
    """Ends the run after a step, and writes nothing: what follows the cut is lost."""

    def __init__(self, step: int) -> None:
        super().__init__(step)

    def __call__(self, approx, losses, i):
        raise Killed


def cut(monkeypatch, fit, step, **options):
    """Make a fit that ends at a step as if the process were killed there."""
    from vi.approximation.checkpoints.keeper import Keeper

    callbacks = [*options.pop("callbacks", []), KilledAt(step)]
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "end", lambda self, fit: None)
        try:
            fit(callbacks=callbacks, **options)
        except Killed:
            return
    raise AssertionError(f"the fit has ended before step {step}")


def rows(seed=1):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(ROWS, 2))
    return {"x": x, "y": x @ [1.0, -1.0] + generator.normal(size=ROWS)}


@functools.cache
def with_containers(seed=1):
    data = rows(seed)
    with pm.Model() as model:
        x, y = pm.Data("x", data["x"]), pm.Data("y", data["y"])
        beta = pm.Normal("beta", 0.0, 2.0, shape=2)
        pm.Normal("obs", x @ beta, 1.0, observed=y)
    return model


@functools.cache
def in_batches():
    data = rows()
    x, y = vi.Minibatch(data["x"], data["y"], batch_size=10)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 2.0, shape=2)
        pm.Normal("obs", x @ beta, 1.0, observed=y, total_size=ROWS)
    return model


@functools.cache
def with_local_variables():
    batch = vi.Minibatch(rows()["y"], batch_size=10)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        z = pm.Normal("z", mu, 1.0, shape=batch.shape)
        pm.Normal("obs", z, 1.0, observed=batch, total_size=ROWS)
    return model


def local_variables():
    groups = [vi.Group(["z"], local=True), vi.Group(["mu"])]
    return vi.Approximation(groups, model=with_local_variables(), random_seed=1)


def named(method, n=300, **options):
    """A fit by a method's name, of a conjugate regression."""

    def fit(**more):
        model = conjugate_regression().model
        settings = {"random_seed": 4, "progressbar": False, "model": model, "method": method}
        return vi.fit(**({"n": n} | settings | options | more))

    return fit


def of_model(make, **options):
    """A fit of a model that is built anew each time."""

    def fit(**more):
        settings = {"random_seed": 4, "progressbar": False, "method": "advi"}
        return vi.fit(300, model=make(), **(settings | options | more))

    return fit


def of_local(**more):
    return vi.KLqp(local_variables()).fit(300, progressbar=False, **more)


def streamed(**more):
    stream = vi.data.Stream(vi.data.ArraySource(rows(2)), 10, block_batches=4)
    return of_model(with_containers, data=stream)(**more)


def refined(**more):
    approx = named("advi", n=50)()
    return approx.refine(300, progressbar=False, **more)


def refined_steps(fit):
    """How many steps a fit has behind it when it begins."""
    return 50 if fit is refined else 0


FITS = {
    "advi": named("advi"),
    "full rank": named("fullrank_advi"),
    "low rank": named("lowrank_advi"),
    "host": named("advi", backend="pytensor"),
    "svgd": named("svgd", inf_kwargs={"n_particles": 20}),
    "asvgd": named("asvgd"),
    "restarts": named("advi", restarts=3),
    "restarts on the host": named("advi", restarts=3, backend="pytensor"),
    "float32": named("advi", dtype="float32"),
    "schedule": named("advi", obj_optimizer=optax.adam(optax.exponential_decay(0.1, 50, 0.9))),
    "no losses": named("advi", score=False),
    "minibatches": of_model(in_batches),
    "data": of_model(with_containers, data=rows(2), batch_size=10),
    "stream": streamed,
    "local": of_local,
    "refine": refined,
}
