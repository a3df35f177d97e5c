"""Inference along the Stein direction: particles (SVGD), or any family's draws (amortised SVGD)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Unpack

import numpy as np
import pymc as pm

from vi import algorithms
from vi.approximation import Approximation, Empirical, FullRank
from vi.approximation.named import StartOptions, check_options, given_or_made
from vi.foundation.numbers import check_count, number, whole
from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.inference.run_options import RunOptions
from vi.kernels import Kernel, RadialKernel, kernel_from

__all__ = ["ASVGD", "SVGD", "Stein"]


class Stein(Inference):
    r"""Move any approximation along the kernelised Stein direction.

    ``hist`` is the squared kernelised Stein discrepancy of each step's points (V-statistic, the
    run's own kernel).

    Parameters
    ----------
    approx : Approximation
        Particles (:class:`vi.Empirical`), or an approximation with a density, whose parameters then
        follow its draws' Stein directions.
    kernel : str, Kernel or callable
        ``"rbf"``, ``"imq"``, a kernel object, or a JAX function ``k(x, y)`` of two points.
    temperature : float
        ``T``: the stationary distribution is :math:`p^{1/T}`.
    n_particles : int
        Draws a step, where the approximation has a density; ``fit(obj_n_mc=...)`` takes its place.

    Raises
    ------
    ValueError
        If the kernel is unknown or a number is not positive.

    References
    ----------
    Liu and Wang (2016). Stein variational gradient descent. NeurIPS.
    """

    def __init__(
        self,
        approx: Approximation,
        kernel: str | Kernel | Callable[..., Any] = "rbf",
        temperature: float = 1.0,
        *,
        n_particles: int = 100,
    ) -> None:
        super().__init__(approx)
        self.kernel = kernel_from(kernel)
        self.temperature = number("temperature", temperature, above=0.0)
        check_count("n_particles", n_particles)
        if n_particles < 2:
            raise ValueError(f"n_particles={n_particles}: must be at least 2.")
        self.n_particles = int(n_particles)
        self.averages = approx.family.has_density

    def algorithm(self, options: RunOptions) -> algorithms.Stein:
        if (options.n_draws or 1) > 1 and not self.approx.family.has_density:
            raise TypeError(
                f"obj_n_mc={options.n_draws}: every particle is evaluated once a step; choose "
                "n_particles instead."
            )
        if options.n_draws == 1 and self.approx.family.has_density:
            raise ValueError("obj_n_mc=1: a Stein direction needs at least 2 draws a step.")
        n_points = self.n_particles if options.n_draws is None else options.n_draws
        n_points = getattr(self.approx.family, "n_particles", n_points)
        _check_memory(self.kernel, n_points, self.approx.dtype.itemsize)
        return algorithms.Stein(
            family=self.approx.family,
            optimizer=options.optimizer,
            averaging=options.averaging,
            n_draws=self.n_particles if options.n_draws is None else options.n_draws,
            max_gradient_norm=options.max_gradient_norm,
            kernel=self.kernel,
            temperature=float(self.temperature or 1.0),
        )


def _check_memory(kernel: Kernel, n_points: int, itemsize: int) -> None:
    """Refuse so many points that the kernel of all pairs cannot be held by the machine."""
    memory = _memory()
    needed = n_points**2 * itemsize
    if isinstance(kernel, RadialKernel) and memory is not None and needed > 2 * memory:
        fitting = int((memory / 4 / itemsize) ** 0.5)
        raise MemoryError(
            f"{n_points:,} particles: the kernel of all pairs takes {needed / 1e9:,.0f} GB, and "
            f"this machine has {memory / 1e9:,.0f} GB. At most about {fitting:,} fit "
            "(n_particles); a few hundred are usual."
        )


def _memory() -> int | None:
    """Bytes of memory, where the system says so."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


@METHODS.register(name="svgd")
class SVGD(Stein):
    r"""Stein variational gradient descent: particles that share their scores and keep apart.

    The particles start at ``start + jitter * N(0, 1)`` in the unconstrained space. They find modes
    that are near some particle; **the share of particles in well separated modes is inherited from
    the start**, because the force between modes vanishes with their distance (that of ``"imq"``
    slowly: there the first steps decide). *How to choose* in the documentation shows what gets such
    weights right.

    Parameters
    ----------
    n_particles : int
        Number of particles, at least 2.
    jitter : float
        Standard deviation of the particles around the start, unconstrained; ``start_sigma`` says it
        by variable.
    model, start, start_sigma, random_seed, dtype
        See :class:`Approximation`. The seed governs the jitter too.
    temperature, kernel
        See :class:`Stein`.

    Raises
    ------
    ValueError
        If there are fewer than 2 particles, or the jitter is not positive (equal particles would
        never part).

    References
    ----------
    Liu and Wang (2016). Stein variational gradient descent. NeurIPS.
    """

    family_name = "particles"

    def __init__(
        self,
        n_particles: int = 100,
        jitter: float = 1.0,
        model: pm.Model | None = None,
        start: Mapping[str, Any] | None = None,
        random_seed: Any = None,
        *,
        temperature: float = 1.0,
        kernel: str | Kernel | Callable[..., Any] = "rbf",
        start_sigma: Mapping[str, Any] | None = None,
        dtype: str | np.dtype | None = None,
        scale_cost_to_minibatch: bool = True,
    ) -> None:
        whole("n_particles", n_particles, 2)
        approx = Empirical(
            size=n_particles,
            jitter=jitter,
            model=model,
            start=start,
            start_sigma=start_sigma,
            random_seed=random_seed,
            dtype=dtype,
            scale_cost_to_minibatch=scale_cost_to_minibatch,
        )
        super().__init__(approx, kernel, temperature)


@METHODS.register(name="asvgd")
class ASVGD(Stein):
    r"""Amortised Stein variational gradient descent: a family's draws follow the direction.

    Parameters
    ----------
    approx : Approximation, optional
        What is fitted; a full-rank normal of the model by default.
    n_particles : int
        Draws a step; ``fit(obj_n_mc=...)`` takes its place.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`; not together with `approx`.
    temperature, kernel
        See :class:`Stein`.

    Raises
    ------
    TypeError
        If the approximation consists of particles (that is :class:`SVGD`), or both it and a model
        are given.

    References
    ----------
    Feng, Wang and Liu (2017). Learning to draw samples with amortized Stein variational gradient
    descent. UAI.
    """

    family_name = "full_rank"

    def __init__(
        self,
        approx: Approximation | None = None,
        *,
        n_particles: int = 100,
        temperature: float = 1.0,
        kernel: str | Kernel | Callable[..., Any] = "rbf",
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        approx = given_or_made(approx, FullRank, options)
        super().__init__(approx, kernel, temperature, n_particles=n_particles)
        if not approx.family.has_density:
            raise TypeError(
                "ASVGD fits an approximation with a density; particles are moved by vi.SVGD or "
                "vi.Stein."
            )
