"""What good calls are made of: one small model, fitted once, and things that go with it."""

from __future__ import annotations

import copy
import functools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import xarray as xr

import vi
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.stages import Stage
from vi.inference.profile import Profile
from vi.targets.model.conditionals import ModelConditionals, conditionals_of

ROWS = 12
CHANGED = (
    "approx",
    "unfitted",
    "inference",
    "groups",
    "particles",
    "stream",
    "started",
    "batch",
    "tracker",
)


class World:
    """A fit with two parameters. What a call may change is given out as a copy."""

    def __init__(self) -> None:
        self.x = np.random.default_rng(3).normal(1.0, 1.0, ROWS)
        with pm.Model() as self.model:
            data = pm.Data("x", self.x)
            mu = pm.Normal("mu", 0.0, 10.0)
            sigma = pm.HalfNormal("sigma", 2.0)
            pm.Normal("y", mu, sigma, observed=data, shape=data.shape)
        with pm.Model() as self.hierarchy:
            sigma = pm.HalfNormal("sigma", 2.0)
            pm.Normal("mu", 0.0, sigma)
        with pm.Model() as self.other_model:
            pm.Normal("elsewhere")
        with pm.Model() as self.empty_model:
            pass
        self._kept = tempfile.TemporaryDirectory(prefix="bad_input_")  # removed at the end
        self.folder = Path(self._kept.name)
        self.empty_folder = self.folder / "empty"
        self.empty_folder.mkdir()
        self._fitted = vi.fit(3, method="advi", model=self.model, random_seed=1, progressbar=False)
        self.path = self.folder / "fit.vi"
        self._fitted.save(self.path)
        self.idata = self._fitted.sample(4, random_seed=1)
        content = self.path.read_bytes()
        self._file("cut.vi", content[: len(content) // 2])
        self._file(
            "turned.vi", content[:200] + bytes(b ^ 255 for b in content[200:300]) + content[300:]
        )
        self._file("empty.vi", b"")
        self._file("words.vi", b"this is no fit\n")
        np.savez(self.folder / "arrays.npz", x=self.x)

    def _file(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def file(self, name: str) -> Path:
        """A file by its name."""
        return self.folder / name

    @functools.cached_property
    def approx(self) -> vi.Approximation:
        """The fit; `renew` gives a fresh copy."""
        return copy.deepcopy(self._fitted)

    def renew(self) -> None:
        """Forget what a call has changed."""
        pm.set_data({"x": self.x}, model=self.model)
        for stream in (vars(self).get("started"), vars(self).get("stream")):
            if stream is not None:
                stream.close()
        for name in CHANGED:
            vars(self).pop(name, None)

    @functools.cached_property
    def conditionals(self) -> ModelConditionals:
        return conditionals_of(self.hierarchy)

    @functools.cached_property
    def inference(self) -> vi.Inference:
        return vi.KLqp(self.approx)

    @functools.cached_property
    def unfitted(self) -> vi.Approximation:
        return vi.MeanField(model=self.model, random_seed=1)

    @functools.cached_property
    def stranger(self) -> vi.Approximation:
        """An approximation of another model."""
        return vi.MeanField(model=self.other_model, random_seed=1)

    @functools.cached_property
    def groups(self) -> vi.Approximation:
        return vi.Approximation(
            [vi.Group(["mu"]), vi.Group(["sigma"])], model=self.model, random_seed=1
        )

    @functools.cached_property
    def particles(self) -> vi.Approximation:
        return vi.Empirical.from_noise(5, model=self.model, random_seed=1)

    @functools.cached_property
    def starts(self) -> vi.Approximation:
        """A fit from two starts."""
        fresh = vi.MeanField(model=self.model, random_seed=1)
        return vi.KLqp(fresh, warm_start=False).fit(2, restarts=2, progressbar=False)

    @functools.cached_property
    def staged(self) -> vi.Approximation:
        """A fit that has had a stage."""
        stage = Stage("search", -4.0, 0.2, 0.9, gradients=100, seconds=1.0)
        return vi.Approximation.of_record(replace(self._fitted.record, stages=(stage,)))

    @functools.cached_property
    def mixture(self) -> vi.Approximation:
        return vi.Mixture(2, model=self.model, random_seed=1)

    @functools.cached_property
    def source(self) -> vi.data.Source:
        return vi.data.ArraySource({"x": self.x})

    @functools.cached_property
    def stream(self) -> vi.data.Stream:
        return vi.data.Stream(self.source, 4)

    @functools.cached_property
    def started(self) -> vi.data.Stream:
        """A stream that is being read."""
        stream = vi.data.Stream(self.source, 4)
        stream.start((1, 2), 0)
        return stream

    @functools.cached_property
    def batch(self) -> Any:
        return vi.Minibatch(self.x, batch_size=4, update_shared_f=lambda: self.x)

    @functools.cached_property
    def tracker(self) -> vi.callbacks.Tracker:
        return vi.callbacks.Tracker(mean=lambda approx, losses, i: i)

    @functools.cached_property
    def tracked(self) -> vi.callbacks.Tracker:
        """A tracker that has recorded something."""
        tracker = vi.callbacks.Tracker(mean=lambda approx, losses, i: np.zeros(2))
        for step in (1, 2):
            tracker(None, np.ones(step), step)
        return tracker

    @functools.cached_property
    def on_batches(self) -> vi.Approximation:
        """A fit on minibatches."""
        fresh = vi.MeanField(model=self.model, random_seed=1)
        options = {"data": {"x": self.x}, "batch_size": 4, "scale": "rows"}
        return vi.KLqp(fresh, warm_start=False).fit(2, progressbar=False, **options)

    @functools.cached_property
    def profile(self) -> Profile:
        return Profile(1.0, 0.1, 3)

    @functools.cached_property
    def diagnosis(self) -> Diagnosis:
        """A verdict by hand: a real one takes seconds."""
        numbers = {
            name: ("unconstrained", np.array([0.1, 0.2]))
            for name in (*("mean", "sd", "weights_mean", "weights_sd", "chains_mean", "chains_sd"),)
        }
        table = xr.Dataset(numbers, coords={"unconstrained": ["mu", "sigma_log__"]})
        return Diagnosis("good", "", "", -1.0, 0.1, 0.1, 4.0, table, 0.8, 10)

    @functools.cached_property
    def map(self) -> vi.MapPoint:
        return vi.find_map(self.model, n=3, random_seed=1)

    @functools.cached_property
    def density(self) -> Any:
        return vi.targets.from_function(self.log_density, {"a": jnp.zeros(2)})

    @functools.cached_property
    def density_in_batches(self) -> Any:
        return vi.targets.from_function(
            self.log_density_in_parts, {"a": jnp.zeros(2)}, data={"x": self.x}, batch_size=4
        )

    @staticmethod
    def log_density_in_parts(point: dict[str, Any], data: Any) -> Any:
        likelihood = -0.5 * jnp.sum((jnp.sum(point["a"]) - data["x"]) ** 2)
        return -0.5 * jnp.sum(point["a"] ** 2), likelihood

    @staticmethod
    def log_density(point: dict[str, Any]) -> Any:
        return -0.5 * jnp.sum(point["a"] ** 2)

    @staticmethod
    def log_density_of_data(point: dict[str, Any], data: Any) -> Any:
        return -0.5 * jnp.sum((point["a"] - jnp.mean(data)) ** 2)

    @staticmethod
    def numpyro_model() -> None:
        import numpyro

        numpyro.sample("a", numpyro.distributions.Normal(0.0, 1.0))

    @functools.cached_property
    def dataset(self) -> xr.Dataset:
        return xr.Dataset({"x": ("row", self.x)})

    @functools.cached_property
    def frame(self) -> Any:
        import pandas as pd

        return pd.DataFrame({"x": self.x})

    @functools.cached_property
    def parquet(self) -> Path:
        path = self.folder / "rows.parquet"
        self.frame.to_parquet(path)
        return path

    @functools.cached_property
    def sgd(self) -> optax.GradientTransformation:
        return optax.sgd(1e-3)


@functools.cache
def world() -> World:
    """The one world of a process."""
    return World()
