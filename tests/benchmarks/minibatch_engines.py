"""The libraries that minibatches are timed in: mean-field normal, one draw a step, rows drawn
anew at every step.
"""

from __future__ import annotations

import abc
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from minibatch_workloads import Setting, data, numpyro_model, pymc_model

__all__ = ["ENGINES", "Engine", "make", "missing"]

SEED = 1


class Engine(abc.ABC):
    """One library; made from a :class:`Setting`, with the rows in memory.

    ``first`` compiles (and does ``done`` steps), ``advance`` goes on, ``posterior`` is what was
    found: means and deviations of the unconstrained parameters, in the order in which the model
    defines them.
    """

    title: str
    needs: tuple[str, ...]
    on_gpu = False
    dtype = "float64"
    unit = 1
    done = 1

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._prepare()

    @abc.abstractmethod
    def _prepare(self) -> None: ...

    @abc.abstractmethod
    def first(self) -> None: ...

    @abc.abstractmethod
    def advance(self, n: int, progressbar: bool = False) -> None: ...

    @abc.abstractmethod
    def posterior(self) -> tuple[Any, Any]: ...

    def device(self) -> str:
        """What it runs on."""
        return "cpu"


def _jax_device() -> str:
    import jax

    return str(jax.devices()[0].device_kind)


class _Vi(Engine):
    needs = ("vi",)
    backend: str

    def _prepare(self) -> None:
        import vi

        self._fit = vi.fit
        whole = (
            (self._setting.rows, self._setting.columns) if self._setting.name == "normal" else None
        )
        self._model = pymc_model(
            self._setting, None if self._setting.full else vi.Minibatch, total_size=whole
        )

    def first(self) -> None:
        self._approx = self._fit(
            1,
            "advi",
            self._model,
            SEED,
            obj_optimizer=self._optimizer(),
            backend=self.backend,
            dtype=self.dtype,
            progressbar=False,
        )

    def _optimizer(self) -> Any:
        if self._setting.rate is None:
            return None
        import optax

        return optax.adam(self._setting.rate)

    def advance(self, n: int, progressbar: bool = False) -> None:
        self._approx.refine(n, progressbar=progressbar)

    def posterior(self) -> tuple[Any, Any]:
        return self._approx.mean.eval(), self._approx.std.eval()


class ViJax(_Vi):
    title = "vi, jax"
    backend = "jax"
    on_gpu = True

    def device(self) -> str:
        return _jax_device()


class ViJaxSingle(ViJax):
    title = "vi, jax, float32"
    dtype = "float32"


class ViPytensor(_Vi):
    title = "vi, pytensor"
    backend = "pytensor"


class PymcFit(Engine):
    """``pm.Minibatch`` in ``pm.fit``; ``total_size=data.shape``, as its documentation has it,
    raises an IndexError.
    """

    title = "pm.fit"
    needs = ("pymc",)

    def _prepare(self) -> None:
        import pymc as pm

        self._model = pymc_model(self._setting, pm.Minibatch)

    def first(self) -> None:
        import pymc as pm

        rate = self._setting.rate
        with self._model:
            self._inference = pm.ADVI(random_seed=SEED)
            optimizer = {} if rate is None else {"obj_optimizer": pm.adam(learning_rate=rate)}
            self._inference.fit(1, progressbar=False, **optimizer)

    def advance(self, n: int, progressbar: bool = False) -> None:
        with self._model:
            self._inference.refine(n, progressbar=progressbar)

    def posterior(self) -> tuple[Any, Any]:
        return self._inference.approx.mean.eval(), self._inference.approx.std.eval()


class PymcExtras(Engine):
    """pymc-extras' trainer on a ``pm.Minibatch`` model: rows are drawn inside the compiled step."""

    title = "pymc-extras (numba), pm.Minibatch"
    needs = ("pymc_extras",)

    def _prepare(self) -> None:
        import pymc as pm

        self._model = pymc_model(self._setting, pm.Minibatch)

    def first(self) -> None:
        from pymc_extras.inference.advi.optimizers import adam
        from pymc_extras.inference.advi.training import Trainer

        rate = self._setting.rate
        optimizer = {} if rate is None else {"optimizer": adam(rate)}
        self._trainer = Trainer(backend="numba", random_seed=SEED, **optimizer)
        self._trainer.fit(1, self._data(), model=self._model, random_seed=SEED)

    def advance(self, n: int, progressbar: bool = False) -> None:
        self._trainer.fit(n, self._data(), model=self._model)

    def posterior(self) -> tuple[Any, Any]:
        parameters = self._trainer.state.params
        names = [variable.name for variable in self._model.free_RVs]
        mean = np.concatenate([np.ravel(parameters[f"{name}_loc"]) for name in names])
        return mean, np.exp(
            np.concatenate([np.ravel(parameters[f"{name}_scale"]) for name in names])
        )

    def _data(self) -> Any:
        return None


class PymcExtrasStream(PymcExtras):
    """The same trainer with ``data=``, an iterator of batches that are put into ``pm.Data`` step
    by step.
    """

    title = "pymc-extras (numba), data="

    def _prepare(self) -> None:
        self._arrays = data(self._setting)
        self._generator = np.random.default_rng(SEED)
        self._model = pymc_model(self._setting, self._containers)

    def _containers(self, *arrays: np.ndarray, batch_size: int) -> Any:
        import pymc as pm

        made = [
            pm.Data(name, array[:batch_size])
            for name, array in zip(self._arrays, arrays, strict=True)
        ]
        return made if len(made) > 1 else made[0]

    def _data(self) -> Iterator[dict[str, np.ndarray]]:
        while True:
            rows = self._generator.integers(self._setting.rows, size=self._setting.batch)
            yield {name: array[rows] for name, array in self._arrays.items()}


class Numpyro(Engine):
    """``svi.update`` in a ``lax.scan``, row numbers drawn in it.

    ``numpyro.plate(subsample_size=...)`` draws without replacement from an array of all row
    numbers, which costs time in proportion to the rows.
    """

    title = "NumPyro AutoNormal, Adam(0.01)"
    needs = ("numpyro",)
    on_gpu = True
    done = 0

    def _prepare(self) -> None:
        import jax
        import numpyro
        from numpyro.infer import SVI, Trace_ELBO
        from numpyro.infer.autoguide import AutoNormal

        numpyro.enable_x64(self.dtype == "float64")
        setting = self._setting
        self.unit = 10 if setting.full else 1_000
        self._arrays = tuple(
            jax.numpy.asarray(a, None if a.dtype.kind == "i" else self.dtype)
            for a in data(setting).values()
        )
        model = numpyro_model(setting)
        self._svi = SVI(model, AutoNormal(model), self._optimizer(), Trace_ELBO())

    def _optimizer(self) -> Any:
        import numpyro

        return numpyro.optim.Adam(self._setting.rate or 1e-2)

    def first(self) -> None:
        import jax

        setting = self._setting

        def step(carry: Any, arrays: Any) -> Any:
            state, key = carry
            if setting.full:
                batch = arrays
            else:
                key, own = jax.random.split(key)
                rows = jax.random.randint(own, (setting.batch,), 0, setting.rows)
                batch = tuple(array[rows] for array in arrays)
            state, loss = self._svi.update(state, *batch)
            return (state, key), loss

        def run(carry: Any, arrays: Any) -> Any:
            return jax.lax.scan(lambda carry, _: step(carry, arrays), carry, length=self.unit)

        key = jax.random.PRNGKey(SEED)
        state = self._svi.init(key, *(array[: setting.batch] for array in self._arrays))
        self._carry = state, jax.random.fold_in(key, 1)
        self._scan = jax.jit(run).lower(self._carry, self._arrays).compile()

    def advance(self, n: int, progressbar: bool = False) -> None:
        for _ in range(n // self.unit):
            self._carry, losses = self._scan(self._carry, self._arrays)
        losses.block_until_ready()

    def posterior(self) -> tuple[Any, Any]:
        found = self._svi.get_params(self._carry[0])
        names = ["beta"] if self._setting.name == "logistic" else ["mu", "sd"]
        mean = np.concatenate([np.ravel(found[f"{name}_auto_loc"]) for name in names])
        return mean, np.concatenate([np.ravel(found[f"{name}_auto_scale"]) for name in names])

    def device(self) -> str:
        return _jax_device()


class NumpyroSingle(Numpyro):
    title = "NumPyro AutoNormal, Adam(0.01), float32"
    dtype = "float32"


class NumpyroCosine(Numpyro):
    """The step size falls to 0 over the fit, whose length it has to know."""

    title = "NumPyro AutoNormal, Adam, cosine from 0.01"
    needs = ("numpyro", "optax")

    def _optimizer(self) -> Any:
        import numpyro
        import optax

        schedule = optax.cosine_decay_schedule(self._setting.rate or 1e-2, self._setting.steps)
        return numpyro.optim.optax_to_numpyro(optax.adam(schedule))


ENGINES: dict[str, type[Engine]] = {
    "vi_jax": ViJax,
    "vi_pytensor": ViPytensor,
    "pm_fit": PymcFit,
    "pymc_extras": PymcExtras,
    "pymc_extras_data": PymcExtrasStream,
    "numpyro": Numpyro,
    "numpyro_cosine": NumpyroCosine,
    "vi_jax_float32": ViJaxSingle,
    "numpyro_float32": NumpyroSingle,
}
"""The engines by name, in the order in which a round runs them."""


def make(engine: str, workload: str) -> Engine:
    """What a worker holds."""
    return ENGINES[engine](Setting.loads(workload))


def missing(engine: type[Engine]) -> str:
    """Why an engine cannot run here; empty where it can."""
    absent = [name for name in engine.needs if importlib.util.find_spec(name) is None]
    if absent:
        return f"absent: {', '.join(absent)}"
    on_cpu = os.environ.get("JAX_PLATFORMS", "cpu") == "cpu"
    return "" if on_cpu or engine.on_gpu else "runs on the CPU alone"
