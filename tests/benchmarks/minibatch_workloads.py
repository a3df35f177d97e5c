"""The models that minibatches are timed on, each for PyMC and for NumPyro, and their data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from references import Posterior, logistic, normal

__all__ = ["WORKLOADS", "Setting", "data", "numpyro_model", "pymc_model", "reference"]


@dataclass(frozen=True)
class Setting:
    """What a worker is told.

    Parameters
    ----------
    name : str
        ``"logistic"`` or ``"normal"``.
    rows, columns, batch : int
        Sizes; a batch of all rows is no minibatch.
    steps : int
        Length of the fit whose errors are reported, which a schedule of the step size may know.
    rate : float or None
        Step size of a plain Adam for every engine; ``None``: each engine's own default.
    """

    name: str
    rows: int
    columns: int
    batch: int
    steps: int
    rate: float | None = None

    @property
    def full(self) -> bool:
        return self.batch >= self.rows

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Setting:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Workload:
    """A row of the report: sizes that options may change."""

    title: str
    name: str
    rows: int
    columns: int
    batch: int | None
    epochs: int


WORKLOADS = {
    "logistic": Workload("Logistic regression", "logistic", 1_000_000, 50, 256, 5),
    "normal": Workload(
        "Normal with a mean and a deviation a column", "normal", 40_000, 100, 500, 100
    ),
    "logistic_full": Workload(
        "Logistic regression, full batch", "logistic", 1_000_000, 50, None, 1_000
    ),
}
"""The workloads by name. Five passes are 400 steps of the second: too few for any fixed step
size to get there.
"""


def data(setting: Setting) -> dict[str, np.ndarray]:
    """The rows, the same in every process."""
    rng = np.random.default_rng(2)
    shape = (setting.rows, setting.columns)
    if setting.name == "logistic":
        x = rng.standard_normal(shape)
        logits = x @ (rng.standard_normal(setting.columns) / np.sqrt(setting.columns))
        return {
            "x": x,
            "y": (rng.random(setting.rows) < 1 / (1 + np.exp(-logits))).astype(np.int32),
        }  # pm.Minibatch refuses int64
    scale, shift = rng.integers(1, 10, setting.columns), 10 * rng.random(setting.columns)
    return {"x": rng.random(shape) * scale + shift}  # the example of PyMC's documentation


def reference(setting: Setting) -> Posterior:
    """The posterior of all rows."""
    arrays = data(setting)
    return logistic(arrays["x"], arrays["y"]) if setting.name == "logistic" else normal(arrays["x"])


def pymc_model(
    setting: Setting, minibatch: Callable[..., Any] | None, total_size: Any = None
) -> Any:
    """The PyMC model, with batches made by ``minibatch``; ``total_size`` is the number of rows
    by default.
    """
    import pymc as pm

    arrays = data(setting)
    total_size = None if setting.full else total_size or setting.rows
    with pm.Model() as model:
        batch = (
            tuple(arrays.values())
            if setting.full
            else minibatch(*arrays.values(), batch_size=setting.batch)
        )
        if setting.name == "logistic":
            x, y = batch
            beta = pm.Normal("beta", 0.0, 1.0, shape=setting.columns)
            pm.Bernoulli(
                "likelihood", logit_p=pm.math.dot(x, beta), observed=y, total_size=total_size
            )
        else:
            x = batch[0] if setting.full else batch
            mu = pm.Flat("mu", shape=setting.columns)
            sd = pm.HalfNormal("sd", shape=setting.columns)
            pm.Normal("likelihood", mu, sd, observed=x, total_size=total_size)
    return model


def numpyro_model(setting: Setting) -> Callable[..., None]:
    """The NumPyro model of a batch."""
    import numpyro
    import numpyro.distributions as dist

    scale = setting.rows / min(setting.batch, setting.rows)

    def logistic_model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand([setting.columns]).to_event(1))
        with numpyro.handlers.scale(scale=scale):
            numpyro.sample("y", dist.Bernoulli(logits=x @ beta).to_event(1), obs=y)

    def normal_model(x: Any) -> None:
        shape = (setting.columns,)
        mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), shape))
        sd = numpyro.sample("sd", dist.HalfNormal(1.0).expand(shape).to_event(1))
        with numpyro.handlers.scale(scale=scale):
            numpyro.sample("y", dist.Normal(mu, sd).expand(x.shape).to_event(2), obs=x)

    return logistic_model if setting.name == "logistic" else normal_model
