"""What was measured of a fit, and what it says together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr

from vi.diagnostics.gradient import Slope
from vi.diagnostics.importance import EQUAL, Weights
from vi.diagnostics.modes import Rival
from vi.diagnostics.nudge import Nudged

__all__ = ["ENOUGH", "SMALL", "Evidence", "Shift"]

SMALL = 0.2
"""Shifts, in standard deviations and of log sds, that pass.

Of 135 fits of 26 posteriors of posteriordb (2026-11-29: mean field, full rank, Laplace, DADVI, and
full rank stopped after 300 steps) none with an error above 0.3 passes, and all 29 with errors below
0.1 do; at 0.3 the first wrong one passes.
"""

ENOUGH = 0.5
"""The least share of effective draws: moments can agree where the shape does not, as those of one
normal over two modes do, a third of whose draws count."""

FINITE = 0.5
"""Pareto k up to which the weights have a variance."""


class Shift(NamedTuple):
    """The largest shift, and where it is."""

    size: float
    where: str


@dataclass(frozen=True)
class Evidence:
    """What was measured of a fit.

    Parameters
    ----------
    table : xarray.Dataset
        As in :class:`Diagnosis`.
    finite : float
        Share of the draws at which log p is finite.
    elbo, elbo_error : float
        The ELBO and its standard error.
    weights : Weights, optional
        Importance weights, where there are some.
    wide : Weights, optional
        Those of q's draws together with wider ones.
    beyond : float
        Effective draws among the wider ones: in many dimensions none of these has a weight.
    nudged : Nudged, optional
        Short chains, where there were some.
    brief : bool
        Whether these were few and short, and only had to agree with the weights within their noise.
    slope : Slope, optional
        The ELBO's gradient, of a fit that follows it.
    rival : Rival, optional
        Another fit that says something against this one.
    modes : xarray.Dataset, optional
        The other fits.
    shape : str
        What chains show of p that q has not.
    discrepancy : float
        Of particles.
    improper, tails : str
        As in :class:`Diagnosis`.
    turns : str
        Angles in which q is wider than a turn.
    some_rows : bool
        Whether it was measured on some of the rows only.
    gradients : int
        Gradients that it took.
    skipped : sequence of str
        What was not measured.
    """

    table: xr.Dataset
    finite: float = 1.0
    elbo: float = np.nan
    elbo_error: float = np.nan
    weights: Weights | None = None
    wide: Weights | None = None
    beyond: float = 0.0
    nudged: Nudged | None = None
    brief: bool = False
    slope: Slope | None = None
    rival: Rival | None = None
    modes: xr.Dataset | None = None
    shape: str = ""
    discrepancy: float = np.nan
    improper: str = ""
    tails: str = ""
    turns: str = ""
    some_rows: bool = False
    gradients: int = 0
    skipped: Sequence[str] = ()

    @property
    def reliable(self) -> bool:
        """Whether there are weights that can be relied on."""
        return self.weights is not None and self.weights.reliable

    @property
    def reaches(self) -> bool:
        """Whether wider draws have weights that can be relied on."""
        return self.wide is not None and self.wide.reliable

    @property
    def share(self) -> float:
        """The share of draws that count under the weights, 1 where these say nothing."""
        if self.weights is None or not self.reliable:
            return 1.0
        return self.weights.ess / len(self.weights.log_weights)

    @property
    def nearly_equal(self) -> bool:
        """Whether the weights say that all is well, and know it better than short chains can.

        They have a variance or are all but equal, half of the draws and more count, and neither
        they nor those of wider draws move anything by half of what passes.
        """
        if self.weights is None or not self.reliable or self.share < ENOUGH:
            return False
        equal = self.weights.k <= FINITE or self.share >= EQUAL
        return equal and self._moved_by("weights", "wide") < SMALL / 2

    @property
    def covered(self) -> bool:
        """Whether nothing speaks for mass that q's draws hardly reach.

        Weights that can be relied on, those of wider draws among them, are counted with chains.
        Others can at least speak against a fit: what chains do not reach may have most of the mass.
        """
        if self.weights is None or self.reaches:
            return True
        if self._moved_by("wide") >= SMALL:
            return False
        share = self.weights.ess / len(self.weights.log_weights)
        return self.reliable or (share >= ENOUGH and self._moved_by("weights") < SMALL)

    def _moved_by(self, *sources: str) -> float:
        """The largest shift of a mean or an sd by what was measured of these."""
        columns = [f"{source}_{what}" for source in sources for what in ("mean", "sd")]
        known = [column for column in columns if column in self.table]
        return _largest(self.table, known).size if known else 0.0

    def largest(self, what: str) -> Shift:
        """The largest shift of ``"mean"`` or ``"sd"`` that weights or chains see."""
        chains = self.nudged is not None and not self.brief
        there = {"weights": self.reliable, "wide": self.reaches, "chains": chains}
        sources = [kind for kind, is_there in there.items() if is_there]
        return _largest(self.table, [f"{kind}_{what}" for kind in sources])

    @property
    def agrees(self) -> bool:
        """Whether chains and wider draws say what the weights say: little is left between them."""
        table, left = self.table, 0.0
        for other, there in (("chains", self.nudged is not None), ("wide", self.reaches)):
            if there:
                mean, sd = (table[f"weights_{w}"] - table[f"{other}_{w}"] for w in ("mean", "sd"))
                # in units of the sds that the weights give
                left = max(left, float(np.abs(mean / np.exp(table["weights_sd"])).max()))
                left = max(left, float(np.abs(sd).max()))
        return left < SMALL

    @property
    def unfinished(self) -> str:
        """Where the ELBO still has a slope, if it has."""
        if self.slope is None or self.slope.certain.max() < SMALL:
            return ""
        worst = int(np.argmax(self.slope.certain))
        return str(self.table["unconstrained"].to_numpy()[worst])


def _largest(table: xr.Dataset, names: Sequence[str]) -> Shift:
    """The largest of some shifts; one that is not a number counts as infinite."""
    if not names:
        return Shift(np.inf, "all")
    sizes = np.max([np.abs(table[name].to_numpy()) for name in names], axis=0)
    sizes = np.where(np.isnan(sizes), np.inf, sizes)
    worst = int(np.argmax(sizes))
    return Shift(float(sizes[worst]), str(table["unconstrained"].to_numpy()[worst]))
