"""Inference by maximising the evidence lower bound: ADVI with one family or another."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Unpack

from vi.algorithms import Gradient
from vi.approximation import Approximation, FullRank, LowRank, MeanField, NormalizingFlow
from vi.approximation.named import StartOptions, check_options
from vi.families import Base, Elliptical, Normal
from vi.foundation.numbers import flag
from vi.inference.gradient_steps import gradient_steps
from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.inference.options import check_entropy, check_prior, objective_from
from vi.inference.run_options import RunOptions
from vi.objectives import ESTIMATORS, Objective
from vi.optimizers.named import knows_frames

__all__ = ["ADVI", "NFVI", "FullRankADVI", "KLqp", "LowRankADVI"]


class KLqp(Inference):
    r"""Minimise :math:`KL(q \| p)`, that is, maximise the ELBO.

    .. math:: \mathrm{ELBO}_\beta = E_q[\log p(y \mid z)] - \beta\, KL(q \| p(z))

    Parameters
    ----------
    approx : Approximation
        What is fitted.
    beta : float
        Weight of the divergence from the prior, as in PyMC (1: the ELBO). With more than 1 the
        likelihood counts less, its power :math:`1 / \beta` (tempering, the beta-VAE); with less
        than 1, more. Observed variables and Potentials are the likelihood, free variables with the
        log Jacobians of their transforms the prior. The entropy alone is weighed by an estimator's
        own ``entropy_weight``: ``estimator=vi.objectives.MonteCarlo(entropy_weight=0.5)``.
    estimator : {"closed_form", "sticking_the_landing", "monte_carlo"} or Objective, optional
        How the gradient is estimated; these three have the same expectation, and
        ``"importance_weighted"`` is for another bound
        (:class:`vi.objectives.ImportanceWeighted`). An objective, its class, or the name of one in
        ``vi.objectives.ESTIMATORS``. By default the one that suits
        the family: ``"closed_form"`` for mean field, whose noise does not grow with the
        correlations that mean field leaves out; ``"sticking_the_landing"`` for full rank and low
        rank, whose noise vanishes as the posterior becomes normal (``"closed_form"`` with an
        optimiser of your own, see below); ``"monte_carlo"`` for flows, which know the density of
        their own draws only.

        Sticking-the-landing multiplies the noise of a draw by the inverse of q's factor. Steps of
        one length in the entries of that factor, as those of Adam, make its inverse large, so that
        they lead away faster and faster; without that term they are pulled back.
    warm_start : bool
        Whether steps of the default optimiser start at the end of a search: the best independent
        normals over ten fixed draws, by L-BFGS (as :class:`vi.DADVI` finds them), some 1,000
        gradients. It travels ridges, on which steps stay behind for long, and is taken only if
        fresh draws give it the higher ELBO. There is none for flows (one that starts within a mode
        never leaves it), where a step sees a batch of the rows, with local variables, on several
        devices, with an optimiser of your own, and from parameters that were set or found by
        another method.

    Raises
    ------
    TypeError
        If the approximation has no density (particles), or no entropy in closed form and the
        estimator needs one.
    ValueError
        If `beta` is not 1, and the model a log density whose prior is not known.
    """

    estimators: Collection[str] = ESTIMATORS
    takes_groups = True

    def __init__(
        self,
        approx: Approximation,
        beta: float = 1.0,
        *,
        estimator: str | type[Objective] | Objective | None = None,
        warm_start: bool = True,
    ) -> None:
        super().__init__(approx)
        if not approx.family.has_density:
            raise TypeError(
                f"{type(self).__name__} needs a density, and {approx.family.short_name} have none: "
                "move them with "
                "vi.Stein(approx)."
            )
        family = approx.family
        self.objective = objective_from(
            family.default_estimator if estimator is None else estimator, beta
        )
        self._of_plain_steps = self.objective
        if estimator is None and family.estimator_of_plain_steps:
            self._of_plain_steps = objective_from(family.estimator_of_plain_steps, beta)
        check_prior(approx.model, self.objective)
        check_entropy(approx, self.objective)
        self.warm_start = flag("warm_start", warm_start)

    def algorithm(self, options: RunOptions) -> Gradient:
        in_frame = knows_frames(options.optimizer)
        objective = self.objective if in_frame else self._of_plain_steps
        return gradient_steps(self.approx.family, objective, options, self.approx.model)


@METHODS.register(name="advi")
class ADVI(KLqp):
    r"""Automatic differentiation variational inference with independent coordinates.

    On a posterior with several modes it finds one of them, and its standard deviations are too
    small where coordinates are correlated: both follow from minimising :math:`KL(q \| p)` over
    independent coordinates. Where the shape of one coordinate depends on another, as those of
    effects on their scale or of states on their persistence, its means are off too, by many of its
    standard deviations: :meth:`vi.Approximation.diagnose` says whether.

    Parameters
    ----------
    base : vi.families.Base
        Distribution of each coordinate; ``vi.families.StudentT()`` for heavy tails of locations
        (the ELBO of logarithms of scales does not exist under it).
    beta, estimator, warm_start
        See :class:`KLqp`.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`.

    References
    ----------
    Kucukelbir, Tran, Ranganath, Gelman and Blei (2017). Automatic differentiation variational
    inference. JMLR 18.
    """

    family_name = "mean_field"

    def __init__(
        self,
        *,
        base: Base | None = None,
        beta: float = 1.0,
        estimator: str | type[Objective] | Objective | None = None,
        warm_start: bool = True,
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        approx = MeanField(
            Normal() if base is None else base,
            **options,
        )
        super().__init__(approx, beta, estimator=estimator, warm_start=warm_start)


@METHODS.register(name="fullrank_advi")
class FullRankADVI(KLqp):
    """Automatic differentiation variational inference with a dense covariance.

    Parameters
    ----------
    base : vi.families.Base
        Distribution behind the covariance; ``vi.families.MultivariateT()`` for heavy tails of
        locations.
    beta, estimator, warm_start
        See :class:`KLqp`.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`.
    """

    family_name = "full_rank"

    def __init__(
        self,
        *,
        base: Base | None = None,
        beta: float = 1.0,
        estimator: str | type[Objective] | Objective | None = None,
        warm_start: bool = True,
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        approx = FullRank(
            Normal() if base is None else base,
            **options,
        )
        super().__init__(approx, beta, estimator=estimator, warm_start=warm_start)


@METHODS.register(name="lowrank_advi")
class LowRankADVI(KLqp):
    """Variational inference with a covariance of a diagonal plus ``rank`` directions.

    For dimensions in which a dense covariance does not fit: memory ``O(D rank)``, time ``O(D
    rank^2)`` a step.

    Parameters
    ----------
    rank : int, optional
        Number of directions; by default ``min(ceil(sqrt(D)), 32)``.
    base : vi.families.Elliptical
        ``vi.families.MultivariateT()`` for heavy tails of locations.
    beta, estimator, warm_start
        See :class:`KLqp`.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`.

    References
    ----------
    Ong, Nott and Smith (2018). Gaussian variational approximation with a factor covariance
    structure. Journal of Computational and Graphical Statistics 27.
    """

    family_name = "low_rank"

    def __init__(
        self,
        rank: int | None = None,
        *,
        base: Elliptical | None = None,
        beta: float = 1.0,
        estimator: str | type[Objective] | Objective | None = None,
        warm_start: bool = True,
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        approx = LowRank(
            rank,
            Normal() if base is None else base,
            **options,
        )
        super().__init__(approx, beta, estimator=estimator, warm_start=warm_start)


class _WithoutEntropy(Collection[str]):
    """Names of the objectives that need no entropy: a live view, as ``ESTIMATORS`` is a table."""

    def __iter__(self) -> Iterator[str]:
        return (name for name, kind in ESTIMATORS.items() if not kind.needs_entropy)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)

    def __repr__(self) -> str:
        return repr(tuple(self))


@METHODS.register(name="nfvi")
class NFVI(KLqp):
    """Variational inference with a normalizing flow: any shape, for many more steps.

    Parameters
    ----------
    flow : optional
        A flowjax flow, or a function that makes one; see :class:`vi.families.Flow`, which also
        names the default.
    beta, estimator
        See :class:`KLqp`. There is no closed-form entropy.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`.

    Raises
    ------
    ImportError
        If flowjax is not installed (extra ``flows``).

    References
    ----------
    Rezende and Mohamed (2015). Variational inference with normalizing flows. ICML.
    """

    family_name = "flow"
    # the density of a flow is known at its own draws: there is no entropy in closed form
    estimators: Collection[str] = _WithoutEntropy()

    def __init__(
        self,
        flow: Any = None,
        *,
        beta: float = 1.0,
        estimator: str | type[Objective] | Objective | None = None,
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        approx = NormalizingFlow(
            flow,
            **options,
        )
        super().__init__(approx, beta, estimator=estimator, warm_start=False)
