"""Averages of the iterates: much of the noise of a constant step is gone from their average."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from vi.families.family import Params
from vi.foundation.numbers import number
from vi.foundation.registry import Registry

__all__ = ["AVERAGINGS", "Averaging", "PolynomialAverage"]


class Averaging(abc.ABC):
    """A running average of the parameters, as pure functions of its state; a frozen dataclass.

    To write one, subclass this in one file under ``@AVERAGINGS.register``.
    """

    short_name: str
    """Name of the average in arguments and files."""

    @abc.abstractmethod
    def init(self, params: Params) -> Any:
        """State of an average that has seen nothing yet; its value is ``params``."""

    @abc.abstractmethod
    def update(self, state: Any, params: Params) -> Any:
        """State after one more iterate."""

    @abc.abstractmethod
    def value(self, state: Any) -> Params:
        """The average."""


AVERAGINGS: Registry[type[Averaging]] = Registry("average", of=Averaging)
"""The averages by name: ``averaging=`` takes the names, files hold them, contract tests run over
all that are registered."""


@AVERAGINGS.register
@dataclass(frozen=True)
class PolynomialAverage(Averaging):
    r"""Polynomial-decay averaging.

    .. math:: \bar\lambda_t = (1 - w_t) \bar\lambda_{t-1} + w_t \lambda_t,\qquad
              w_t = \frac{\eta + 1}{t + \eta}

    Iterate ``t`` gets a final weight of about :math:`t^\eta`: the beginning of a run is forgotten
    at a rate that does not depend on its length, so that a run that goes on is one longer run. The
    noise is that of about :math:`n (2\eta + 1) / (\eta + 1)^2` independent iterates, 0.21 n for
    the default.

    Parameters
    ----------
    eta : float
        0 weights all iterates alike; larger values forget faster.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> average = PolynomialAverage(eta=0.0)
    >>> state = average.init({"mu": jnp.array(0.0)})
    >>> for value in (1.0, 2.0, 6.0):
    ...     state = average.update(state, {"mu": jnp.array(value)})
    >>> round(float(average.value(state)["mu"]), 5)
    3.0

    References
    ----------
    Shamir and Zhang (2013). Stochastic gradient descent for non-smooth optimization. ICML, section
    4.
    """

    eta: float = 8.0
    short_name = "polynomial"

    def __post_init__(self) -> None:
        # below 0 the first weight is negative or above 1, and the average leaves the iterates' hull
        object.__setattr__(self, "eta", number("PolynomialAverage(eta", self.eta, least=0.0))

    def init(self, params: Params) -> Any:
        return jnp.zeros((), jnp.uint32), params

    def update(self, state: Any, params: Params) -> Any:
        count, average = state
        count = count + 1
        weight = (self.eta + 1.0) / (count + self.eta)
        return count, jax.tree.map(
            lambda old, new: old + weight.astype(new.dtype) * (new - old), average, params
        )

    def value(self, state: Any) -> Params:
        average: Params = state[1]
        return average
