"""What a method says of itself, and the approximation that it holds."""

from __future__ import annotations

import abc
from collections.abc import Collection

import numpy as np

from vi.algorithms import Algorithm, State
from vi.approximation import Approximation
from vi.foundation.html import card
from vi.foundation.unset import Unset
from vi.inference.contract import check_made
from vi.inference.one_shot import OneShot, refuse_steps
from vi.inference.run_options import RunOptions, check_run
from vi.models.density_model import own_groups
from vi.training import Status

__all__ = ["Declared"]


class Declared(abc.ABC):
    """An approximation, and what tests and refusals read of the method that improves it.

    :class:`vi.Inference` is what methods are made from; it adds how they are called.
    """

    family_name: str | None = None
    """Name in ``vi.families.FAMILIES`` of what it fits where it makes the approximation itself."""

    estimators: Collection[str] = ()
    """What ``estimator=`` takes; empty where there is nothing to choose."""

    averages: bool = True
    """Whether the iterates' average can be reported."""

    default_n: int = 10_000
    """Steps, or the most iterations, of a fit that is not told how many."""

    stepwise: bool = True
    """Whether a fit is a run of steps, with an optimiser, callbacks and ``refine``; otherwise it is
    found in one go.
    """

    staged: bool = False
    """Whether a fit is made of stages, of several methods one after the other."""

    fits_any_model: bool = True
    """Whether there is no model that it refuses for the kinds of its variables."""

    takes_groups: bool = False
    """Whether it fits a q made of groups, as a NumPyro model with ``numpyro.param`` needs."""

    warm_start: bool = False
    """Whether, with the default optimiser, a search over fixed draws comes before the first step
    where it can (:func:`vi.approximation.steps.warm_start.can_warm_start`).
    """

    approx: Approximation = Unset(  # type: ignore[assignment]
        "has no approximation: its __init__ must call super().__init__(approx), with "
        "vi.MeanField(**options) or another vi.Approximation"
    )
    """What is fitted."""

    def __init__(self, approx: Approximation) -> None:
        if not isinstance(approx, Approximation):
            raise TypeError(
                f"approx must be a vi.Approximation (vi.MeanField(), vi.FullRank()), got "
                f"{approx!r}."
            )
        own = own_groups(approx.model)
        if own and not self.takes_groups:
            raise TypeError(
                f"{own}: {type(self).__name__} fits one family of all variables. Use "
                "method='advi', 'fullrank_advi' or 'lowrank_advi', or vi.KLqp of groups."
            )
        self.approx = approx

    @abc.abstractmethod
    def algorithm(self, options: RunOptions) -> Algorithm | OneShot:
        """The algorithm of a run, or what finds the approximation in one go."""

    @property
    def hist(self) -> np.ndarray:
        """The loss of every step so far; ``approx.settings()["loss"]`` says what it is."""
        return self.approx.hist

    @property
    def state(self) -> State | None:
        """The run's whole state, a pytree; ``None`` before the first fit."""
        return self.approx.state

    @property
    def status(self) -> Status:
        """How the last run ended."""
        return self.approx.status

    def __repr__(self) -> str:
        if "approx" not in vars(self):  # in a debugger, within an __init__
            return f"<{type(self).__name__} without an approximation>"
        return f"<{type(self).__name__} of {self.approx!r}>"

    def _repr_html_(self) -> str:
        return card(type(self).__name__, None, self.approx._repr_html_())

    @classmethod
    def check_options(cls, options: RunOptions) -> None:
        """Refuse options of a run that no fit by this method takes, whatever the model.

        Raises
        ------
        TypeError
            With the names of those options.
        """
        check_run(options, None)
        if not cls.stepwise:
            refuse_steps(cls.__name__, options)

    def _made(self, options: RunOptions) -> Algorithm | OneShot:
        """What :meth:`algorithm` returns, looked at."""
        return check_made(type(self), self.algorithm(options), stepwise=self.stepwise)
