"""Batch and match: a full-rank normal by matched scores, without a step size."""

from __future__ import annotations

from typing import Unpack

from vi.algorithms.batch_and_match import BatchAndMatch
from vi.approximation import Approximation, FullRank
from vi.approximation.named import StartOptions, check_options, given_or_made
from vi.families import FullRank as FullRankFamily
from vi.foundation.numbers import flag
from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.inference.run_options import RunOptions

__all__ = ["BaM", "draws_a_step"]

FEWEST, PLENTY = 32, 200
"""Draws a step: twice as many as dimensions, at least 32, up to 200; beyond, as many as dimensions.

With fewer than dimensions the covariance of the scores is singular, and errors of several standard
deviations remain.
"""


@METHODS.register(name="bam")
class BaM(Inference):
    r"""Batch and match: the normal whose scores agree with those of the posterior.

    .. math:: \min_{\mu, \Sigma} E_q \bigl\| \nabla \log q(z) - \nabla \log p(z) \bigr\|^2_{\Sigma}

    in the unconstrained space, log Jacobian determinants included, step by step in closed form:
    there is no step size, and some 30 steps do what thousands of steps of a gradient do
    (:class:`vi.algorithms.BatchAndMatch` has the formula). A fit is about 60 steps of 32 draws, or
    of twice as many as dimensions, after a search for a start: a step moves the mean by about one
    standard deviation at most, so that it has to be near. The scores are compared with each other,
    so all rows are needed at each step: no minibatches, no local variables.

    The result is a :class:`vi.FullRank` approximation. Where the posterior is a normal it is exact;
    elsewhere it is the optimum of another divergence than that of ``"fullrank_advi"``. ``hist`` is
    minus the ELBO of each step, from its draws.

    Parameters
    ----------
    approx : Approximation, optional
        What is fitted, and where it starts: a :class:`vi.FullRank` approximation, as
        ``vi.fit(method="laplace")`` returns one. By default one of the model is made.
    warm_start : bool
        Whether the first step is made at the end of a search for the best independent normals over
        ten fixed draws, as of :class:`vi.KLqp`, if they have the higher ELBO.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`; not together with `approx`.

    Raises
    ------
    TypeError
        If `approx` is of another family, or both it and a model are given.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="bam", model=model, random_seed=1, progressbar=False)
    >>> approx.mean.eval().round(4).tolist()  # exact: 4 / 3
    [1.3333]

    References
    ----------
    Cai, Modi, Pillaud-Vivien, Margossian, Gower, Blei and Saul (2024). Batch and match: black-box
    variational inference with a score-based divergence. ICML.
    """

    family_name = "full_rank"
    default_n = 60

    def __init__(
        self,
        approx: Approximation | None = None,
        *,
        warm_start: bool = True,
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        super().__init__(given_or_made(approx, FullRank, options))
        if self.approx.family != FullRankFamily():
            raise TypeError(
                "BaM matches scores with those of a dense normal, vi.FullRank(); the approximation "
                f"that was given is {self.approx.family!r}."
            )
        self.warm_start = flag("warm_start", warm_start)

    def algorithm(self, options: RunOptions) -> BatchAndMatch:
        if options.n_draws == 1:
            raise ValueError("obj_n_mc=1: scores are compared with each other, at least 2 of them.")
        family = self.approx.family
        assert isinstance(family, FullRankFamily)
        enough = draws_a_step(self.approx.record.layout.dim)
        return BatchAndMatch(family, options.n_draws or enough, options.averaging)


def draws_a_step(dim: int) -> int:
    """Draws that a step takes by default, in so many dimensions."""
    return max(FEWEST, min(2 * dim, PLENTY), dim)
