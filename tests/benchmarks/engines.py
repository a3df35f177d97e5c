"""The libraries that are timed: how each makes its first step, and how it goes on."""

from __future__ import annotations

import abc
import importlib.util
from typing import Any

from workloads import WORKLOADS, Workload

__all__ = ["END_TO_END_STEPS", "ENGINES", "Engine", "make", "missing"]

END_TO_END_STEPS = 10_000
SEED = 1


class Engine(abc.ABC):
    """Mean-field ADVI with one draw a step, in one library.

    An engine is made from a built model. ``first`` is what a user waits for before the first step
    is done, ``advance`` the steps after it: neither builds nor compiles anything twice.
    """

    title: str
    needs: tuple[str, ...]
    """Modules that have to be installed."""

    dtype = "float64"
    cached = True
    """Whether compiled code is kept on disk, so that a cold and a warm cache differ."""

    unit = 1
    """``advance`` takes multiples of it."""

    @abc.abstractmethod
    def __init__(self, workload: Workload) -> None: ...

    @abc.abstractmethod
    def first(self) -> None:
        """From the model to the first step: conversion, compilation and the step."""

    @abc.abstractmethod
    def advance(self, n: int, progressbar: bool = False) -> None:
        """Do ``n`` more steps."""

    def finish(self) -> None:
        """From the first step to the end of a run of ``END_TO_END_STEPS``."""
        self.advance(END_TO_END_STEPS - 1)


class _Vi(Engine):
    needs = ("vi",)
    backend: str
    rewrite = True
    method = "advi"

    def __init__(self, workload: Workload) -> None:
        import vi

        self._fit = vi.fit  # the import is not timed
        self._model = workload.pymc()

    def first(self) -> None:
        self._approx = self._fit(
            1,
            self.method,
            self._model,
            SEED,
            backend=self.backend,
            dtype=self.dtype,
            rewrite=self.rewrite,
            progressbar=False,
        )

    def advance(self, n: int, progressbar: bool = False) -> None:
        self._approx.refine(n, progressbar=progressbar)


class ViJax(_Vi):
    title = "vi, jax"
    backend = "jax"


class ViJaxSingle(ViJax):
    title = "vi, jax, float32"
    dtype = "float32"


class ViJaxAllRows(ViJax):
    title = "vi, jax, rewrite=False"
    rewrite = False


class ViPytensor(_Vi):
    title = "vi, pytensor"
    backend = "pytensor"


class ViFullRank(ViJax):
    title = "vi, jax, full rank"
    method = "fullrank_advi"


class PymcFit(Engine):
    """PyMC's ADVI with its default optimiser, what ``pm.fit`` runs."""

    title = "pm.fit"
    needs = ("pymc",)
    method = "ADVI"

    def __init__(self, workload: Workload) -> None:
        self._model = workload.pymc()

    def first(self) -> None:
        import pymc as pm

        with self._model:
            self._inference = getattr(pm, self.method)(random_seed=SEED)
            self._inference.fit(1, progressbar=False)

    def advance(self, n: int, progressbar: bool = False) -> None:
        with self._model:
            self._inference.refine(n, progressbar=progressbar)


class PymcFullRank(PymcFit):
    title = "pm.fit, full rank"
    method = "FullRankADVI"


class PymcExtras(Engine):
    """The trainer inside pymc-extras' ``fit_advi``, without the draws at its end.

    Its progress bar has no switch.
    """

    title = "pymc-extras fit_advi (numba)"
    needs = ("pymc_extras",)

    def __init__(self, workload: Workload) -> None:
        from pymc_extras.inference.advi.training import Trainer

        self._trainer = Trainer(backend="numba", random_seed=SEED)
        self._model = workload.pymc()

    def first(self) -> None:
        self._trainer.fit(1, model=self._model, random_seed=SEED)

    def advance(self, n: int, progressbar: bool = False) -> None:
        self._trainer.fit(n, model=self._model)


class Numpyro(Engine):
    """``svi.update`` in a ``lax.scan`` of many steps, compiled once.

    The first step of a compiled scan cannot be timed alone: ``first`` compiles.
    """

    title = "NumPyro AutoDiagonalNormal"
    needs = ("numpyro",)
    cached = False
    guide, rate = "AutoDiagonalNormal", 1e-2

    def __init__(self, workload: Workload) -> None:
        import jax
        import numpyro
        from numpyro.infer import SVI, Trace_ELBO, autoguide

        numpyro.enable_x64(self.dtype == "float64")
        model, arguments = workload.numpyro()
        self.unit = workload.unit
        self._arguments = jax.tree.map(jax.numpy.asarray, arguments)
        guide = getattr(autoguide, self.guide)(model)
        self._svi = SVI(model, guide, numpyro.optim.Adam(self.rate), Trace_ELBO())

    def first(self) -> None:
        import jax

        def run(state: Any, arguments: Any) -> Any:
            return jax.lax.scan(
                lambda state, _: self._svi.update(state, *arguments), state, length=self.unit
            )

        self._state = self._svi.init(jax.random.PRNGKey(SEED), *self._arguments)
        self._scan = jax.jit(run).lower(self._state, self._arguments).compile()

    def advance(self, n: int, progressbar: bool = False) -> None:
        for _ in range(n // self.unit):
            self._state, losses = self._scan(self._state, self._arguments)
        losses.block_until_ready()

    def finish(self) -> None:
        self.advance(END_TO_END_STEPS)


class NumpyroFullRank(Numpyro):
    """A step size at which its covariance does not leave the positive definite ones."""

    title = "NumPyro AutoMultivariateNormal"
    guide, rate = "AutoMultivariateNormal", 1e-3


class NumpyroSingle(Numpyro):
    title = "NumPyro AutoDiagonalNormal, float32"
    dtype = "float32"


ENGINES: dict[str, type[Engine]] = {
    "vi_jax": ViJax,
    "vi_jax_all_rows": ViJaxAllRows,
    "vi_pytensor": ViPytensor,
    "pm_fit": PymcFit,
    "pymc_extras": PymcExtras,
    "numpyro": Numpyro,
    "vi_jax_float32": ViJaxSingle,
    "numpyro_float32": NumpyroSingle,
    "vi_full_rank": ViFullRank,
    "pm_fit_full_rank": PymcFullRank,
    "numpyro_full_rank": NumpyroFullRank,
}
"""The engines by name, in the order in which a round runs them."""


def make(engine: str, workload: str) -> Engine:
    """What a worker holds."""
    return ENGINES[engine](WORKLOADS[workload])


def missing(engine: type[Engine]) -> list[str]:
    """Modules that an engine needs and that are not installed."""
    return [name for name in engine.needs if importlib.util.find_spec(name) is None]
