"""What fresh draws of q say: its ELBO, and how far its importance weights can be relied on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vi.diagnostics.importance import Weights, smoothed
from vi.diagnostics.stages import Stage

__all__ = ["NOISE", "Look"]

ARRIVED = 0.9
"""Share of draws that count under the weights, from which on there is little left to gain."""

NOISE = 3.0
"""Standard errors by which one ELBO has to be above another to count as higher."""


@dataclass(frozen=True)
class Look:
    """What fresh draws say: log p and log q at each of them, ``(S,)``."""

    log_p: np.ndarray
    log_q: np.ndarray

    @cached_property
    def ratios(self) -> np.ndarray:
        """Log p - log q."""
        with np.errstate(invalid="ignore"):  # where both are infinite there is no ratio
            ratios: np.ndarray = np.asarray(self.log_p, np.float64) - self.log_q
        return ratios

    @property
    def elbo(self) -> float:
        """Minus infinity where log p is not finite at a draw."""
        return float(self.ratios.mean()) if np.all(np.isfinite(self.ratios)) else -np.inf

    @property
    def error(self) -> float:
        """The ELBO's standard error."""
        if not np.isfinite(self.elbo):
            return np.nan
        return float(self.ratios.std() / np.sqrt(len(self.ratios)))

    @cached_property
    def weights(self) -> Weights | None:
        """The importance weights; none where log p is finite at fewer than half of the draws."""
        if np.isfinite(self.log_p).mean() < 0.5:
            return None
        return smoothed(self.log_p, self.log_q)

    @property
    def share(self) -> float:
        """The share of draws that count under the weights."""
        return 0.0 if self.weights is None else self.weights.ess / len(self.log_p)

    @property
    def arrived(self) -> bool:
        """Whether the weights are all but equal: q is the posterior, as far as its draws know."""
        return self.share >= ARRIVED

    @property
    def reliable(self) -> bool:
        """Whether the weights can be relied on."""
        return self.weights is not None and self.weights.reliable

    def row(self, gradients: int, outcome: str, *, kept: bool = True) -> Stage:
        """The row of a table of stages; its name and seconds come from the stage."""
        k = np.nan if self.weights is None else self.weights.k
        return Stage("", self.elbo, self.error, k, gradients, outcome=outcome, kept=kept)

    def below(self, other: Look) -> bool:
        """Whether it is lower, by more than the noise of the draws, which are the same ones."""
        if not np.isfinite(self.elbo):
            return bool(np.isfinite(other.elbo))
        if not np.isfinite(other.elbo):
            return False
        noise = (other.ratios - self.ratios).std() / np.sqrt(len(self.ratios))
        return bool(other.elbo - self.elbo > NOISE * noise)
