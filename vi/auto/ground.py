"""What the stages of a fit share: the live approximation, its options, the table of stages."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms import Algorithm
from vi.approximation import Approximation
from vi.approximation.checkpoints.asked import Checkpoint
from vi.approximation.checkpoints.legs import Legs
from vi.approximation.record.begin import with_algorithm
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_row_blocks
from vi.approximation.record.parameters import reported_params
from vi.approximation.results.diagnosis_sizes import draws_of
from vi.approximation.results.points import draw
from vi.auto.deadline import Deadline
from vi.auto.look import Look
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import DivergedError, Status
from vi.families import Family, Params
from vi.foundation.precision import precision
from vi.foundation.seeds import STAGES, derived_seed, key_from
from vi.inference.run_options import RunOptions
from vi.training.loop import Callback
from vi.training.progress import in_one_place

__all__ = ["Ground"]

logger = logging.getLogger("vi")


@dataclass
class Ground:
    """A fit in stages that is going on.

    Parameters
    ----------
    approx : Approximation
        The live approximation.
    options : RunOptions
        The options of the fit, resolved.
    most : int
        Gradients after which no new stage begins.
    deadline : Deadline
        The time after which none begins, and running steps end.
    legs : Legs or None
        Where legs of chains are kept, if they are.
    """

    approx: Approximation
    options: RunOptions
    most: int
    deadline: Deadline = field(default_factory=lambda: Deadline(None))
    legs: Legs | None = None
    _looked: tuple[object, object, object, Look] | None = field(default=None, init=False)

    @property
    def fit(self) -> FitState:
        """The present record."""
        return self.approx.record

    @property
    def stopped(self) -> bool:
        """Whether the user has ended the last run."""
        ended = self.fit.status.ending in ("stopped", "interrupted")
        return ended and not self.deadline.ended

    @property
    def left(self) -> int:
        """Gradients that are left of the budget."""
        return self.most - sum(stage.gradients for stage in self.fit.stages)

    @property
    def affordable(self) -> int:
        """Gradients that budget and time leave, at the pace of the stages until now."""
        stages, seconds = self.fit.stages, self.deadline.left
        if not stages or np.isinf(seconds):
            return self.left
        pace = sum(s.gradients for s in stages) / sum(s.seconds for s in stages)
        return min(self.left, int(max(seconds, 0.0) * pace))

    def goes_on(self) -> bool:
        """Whether budget and time leave another stage."""
        return self.left > 0 and not self.deadline.passed()

    @contextmanager
    def stage(self, name: str, what: str = "") -> Iterator[Callable[[Stage], None]]:
        """A stage of the table: what is written within it gets its name and its seconds.

        Who watches is told when it begins, with ``what`` it is, as only steps have a bar.
        """
        began = time.perf_counter()
        if self.options.progressbar:
            logger.info("Stage %s begins%s.", name, f": {what}" if what else "")
        written: list[Stage] = []
        with in_one_place(name):
            yield written.append
        for row in written:
            row = replace(row, stage=name, seconds=time.perf_counter() - began)
            done = (*self.fit.stages, row)
            self.approx.change(functools.partial(replace, stages=done))
            logger.info("Stage %s, %.1f s: %s", name, row.seconds, row.outcome)

    def steps(
        self,
        family: Family,
        params: Params,
        algorithm: Algorithm,
        n: int,
        until: Callback | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        """Make up to ``n`` steps of an algorithm from parameters; how many were made.

        They end earlier where the callback ``until`` ends them, and go on from a ``checkpoint``
        that is there. Losses and the numbers of steps count on over the stages.

        Raises
        ------
        DivergedError
            If a loss or a parameter stops being finite, or such as those of no fit can be.
        """
        done = 0 if self.fit.run is None else int(self.fit.run.step)

        def planned(fit: FitState) -> FitState:
            bare = replace(fit, family=family, start=params, run=None, algorithm=None)
            new = with_algorithm(replace(bare, free_mean=None, given_std=None), algorithm)
            assert new.run is not None
            with precision(fit.dtype):
                run = new.run._replace(step=jnp.asarray(done, new.run.step.dtype))
            new = replace(new, losses=fit.losses, losses_before=len(fit.losses))
            return replace(new, run=run, warm_start=False)

        self._advance(planned, n, () if until is None else (until,), checkpoint)
        return self.fit.status.step - done

    def more_steps(self, n: int) -> int:
        """Go on with the steps that were made last, as one longer run; how many were made.

        Raises
        ------
        DivergedError
            As for :meth:`steps`.
        """
        done = self.fit.status.step
        self._advance(lambda fit: fit, n)
        return self.fit.status.step - done

    def _advance(
        self,
        plan: Callable[[FitState], FitState],
        n: int,
        until: tuple[Callback, ...] = (),
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """Make steps; what cannot be trusted counts as diverged."""

        def within(fit: FitState) -> FitState:
            running = Status("running", fit.status.step, "a fit in stages is going on.")
            return replace(plan(fit), status=running)

        callbacks: tuple[Callback, ...] = (*self.fit.callbacks, *until)
        if self.deadline.seconds is not None:
            self.deadline.begin()
            callbacks = (*callbacks, self.deadline)
        self.approx.advance(
            within,
            n,
            callbacks=callbacks,
            progressbar=self.options.progressbar,
            checkpoint=checkpoint,
        )
        if self.fit.status.ending == "unreliable":
            raise DivergedError(self.fit.status.message, self.approx)

    def at(self, family: Family, mean: np.ndarray, std: np.ndarray) -> Params:
        """The parameters with which a family begins at these independent normals."""
        dtype = self.fit.dtype
        with precision(dtype):
            key = key_from(self.fit.seed, STAGES)
            begun: Params = _begun(family, jnp.asarray(mean, dtype), jnp.asarray(std, dtype), key)
            return begun

    def back_to(self, before: FitState) -> None:
        """Hold what an earlier record reported; what is told of the stages since then stays."""

        def returned(fit: FitState) -> FitState:
            back = replace(before, losses=fit.losses, losses_before=len(fit.losses))
            return replace(back, stages=fit.stages, status=fit.status)

        self.approx.change(returned)

    def look(self) -> Look:
        """Fresh draws of the present record; their noise is the same for all stages.

        Where one stage ends and the next begins they are looked at once. They are as many as the
        check's, for which one compiled function then serves both. While steps see some rows only,
        so does this.
        """
        fit = self.fit
        known, there = self._looked, (fit.start, fit.run, fit.data.some_rows)
        if known is not None and all(a is b for a, b in zip(known, there, strict=False)):
            return known[-1]
        seed, params = derived_seed(fit.seed, STAGES), reported_params(fit)
        target = fit.data.some_rows or target_of_row_blocks(fit)
        points, log_q = draw(fit.family, params, seed, draws_of(target), fit.dtype, density=True)
        assert log_q is not None
        log_p = np.asarray(target.log_prob(points))
        with precision(fit.dtype):
            entropy = _entropy(fit.family, params)
        if entropy is not None:
            off = np.mean(log_q, dtype=np.float64) + float(entropy)
            if abs(off) > 1 + 0.1 * fit.layout.dim:
                # rounding has eaten q's density: it says nothing
                log_p = np.full_like(log_p, -np.inf)
        look = Look(log_p, np.asarray(log_q))
        self._looked = (*there, look)
        return look


@functools.partial(jax.jit, static_argnums=0)
def _begun(family: Family, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
    return family.init(mean, std, key)


@functools.partial(jax.jit, static_argnums=0)
def _entropy(family: Family, params: Params) -> jax.Array | None:
    return family.entropy(params)
