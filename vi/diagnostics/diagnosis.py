"""What was measured of a fit, and the verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
import xarray as xr

from vi.diagnostics.importance import Weights
from vi.diagnostics.nudge import Nudged

__all__ = ["Diagnosis", "Verdict", "judged", "shifts", "weighted_moments"]

SMALL = 0.2
"""Shifts, in standard deviations and of log sds, that pass.

Of 135 fits of 26 posteriors of posteriordb (2026-11-29: mean field, full rank, Laplace, DADVI, and
full rank stopped after 300 steps) none with an error above 0.3 passes, and all 29 with errors below
0.1 do; at 0.3 the first wrong one passes.
"""

ENOUGH = 0.5
"""The least share of effective draws: moments can agree where the shape does not, as those of one
normal over two modes do, a third of whose draws count."""

ALL_BUT = 0.99
"""The share of draws at which log p must be finite."""

NUMBERS = ("elbo", "elbo_error", "pareto_k", "importance_ess", "acceptance", "discrepancy")
"""The measurements that are one number each."""

type Verdict = Literal["good", "usable with importance resampling", "means only", "do not use"]


@dataclass(frozen=True)
class Diagnosis:
    """Measurements of a fit and the verdict; made by :meth:`vi.Approximation.diagnose`.

    Parameters
    ----------
    verdict : str
        ``"good"``, ``"usable with importance resampling"``, ``"means only"`` or ``"do not use"``.
    why : str
        What the verdict rests on, and which variables are the worst.
    advice : str
        What to do next.
    elbo, elbo_error : float
        The ELBO from fresh draws, and its standard error; NaN where q has no density.
    pareto_k : float
        Of the importance weights p / q; above 0.7 they cannot be relied on. NaN if not measured.
    importance_ess : float
        Effective sample size of the weights; NaN if not measured.
    table : xarray.Dataset
        By unconstrained coordinate: ``mean`` and ``sd`` of q; how far importance weights
        (``weights_mean``, ``weights_sd``) and short chains (``chains_mean``, ``chains_sd``) move
        them, means in sds of q, sds in logarithms.
    acceptance : float
        Acceptance rate of the short chains; NaN if there were none.
    gradients : int
        Gradients that the diagnosis took.
    skipped : tuple of str
        What was not measured, and why.
    discrepancy : float
        Of particles, which have no density: their squared kernelised Stein discrepancy from p,
        relative to that of as many independent draws of p; about 1 and less where they agree.
    modes : xarray.Dataset or None
        By ``mode``: what other fits found, ``mode_elbo``, ``mode_elbo_error``, ``mode_mean``,
        ``mode_sd``, and ``mode_distance`` of the means from q's in standard deviations; the first
        is q.
    """

    verdict: Verdict
    why: str
    advice: str
    elbo: float
    elbo_error: float
    pareto_k: float
    importance_ess: float
    table: xr.Dataset
    acceptance: float
    gradients: int
    skipped: tuple[str, ...] = ()
    discrepancy: float = np.nan
    modes: xr.Dataset | None = None

    @property
    def in_short(self) -> str:
        """Verdict and reason in one line."""
        return f"{self.verdict}, {self.why}" if self.why else self.verdict

    def to_dataset(self) -> xr.Dataset:
        """The tables, with all the rest as attributes that any file format can hold."""
        numbers = {name: float(getattr(self, name)) for name in NUMBERS}
        texts = {"verdict": self.verdict, "why": self.why, "advice": self.advice}
        attributes = {**texts, **numbers, "gradients": self.gradients}
        attributes["skipped"] = "; ".join(self.skipped)
        tables = self.table if self.modes is None else self.table.merge(self.modes)
        return tables.assign_attrs(attributes)

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> Self:
        """The inverse of :meth:`to_dataset`."""
        attributes = dict(dataset.attrs)
        skipped = attributes.pop("skipped")
        split = tuple(skipped.split("; ")) if skipped else ()
        of_modes = [name for name, value in dataset.items() if "mode" in value.dims]
        modes = dataset[of_modes].drop_attrs() if of_modes else None
        table = dataset.drop_vars(of_modes).drop_dims("mode", errors="ignore").drop_attrs()
        return cls(**attributes, table=table, skipped=split, modes=modes)

    def __repr__(self) -> str:
        return f"<Diagnosis: {self.verdict}>"

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.why}"]
        lines += [self.advice] if self.advice else []
        if np.isfinite(self.elbo):
            lines.append(f"ELBO {self.elbo:,.6g} +- {self.elbo_error:.2g}")
        if np.isfinite(self.pareto_k):
            lines.append(f"Pareto k {self.pareto_k:.2f}, effective draws {self.importance_ess:.0f}")
        lines += [f"not checked: {what}" for what in self.skipped]
        return "\n".join(lines)


def shifts(
    mean: np.ndarray, std: np.ndarray, other_mean: np.ndarray, other_std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far means are from others, in standard deviations, and the log ratios of sds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (other_mean - mean) / std, np.log(other_std / std)


def weighted_moments(points: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviations ``(D,)`` of weighted points ``(S, D)``."""
    w = np.exp(weights.log_weights)[:, None]
    mean = (w * points).sum(axis=0)
    return mean, np.sqrt((w * (points - mean) ** 2).sum(axis=0))


def judged(
    table: xr.Dataset,
    *,
    elbo: float,
    elbo_error: float,
    weights: Weights | None,
    nudged: Nudged | None,
    finite: float,
    skipped: Sequence[str],
) -> Diagnosis:
    """The diagnosis that measurements give.

    Parameters
    ----------
    table : xarray.Dataset
        As in :class:`Diagnosis`.
    elbo, elbo_error : float
        The ELBO and its standard error.
    weights : Weights, optional
        Importance weights, where there are some.
    nudged : Nudged, optional
        Short chains, where there were some.
    finite : float
        Share of the draws at which log p is finite.
    skipped : sequence of str
        What was not measured.
    """
    reliable = weights is not None and weights.reliable
    sources = [kind for kind, there in (("weights", reliable), ("chains", nudged)) if there]
    share = weights.ess / len(weights.log_weights) if weights is not None and reliable else 1.0
    means = _largest(table, [f"{kind}_mean" for kind in sources])
    sds = _largest(table, [f"{kind}_sd" for kind in sources])
    verdict: Verdict
    if finite < ALL_BUT:
        verdict = "do not use"
        why = f"log p is not finite at {1 - finite:.1%} of the draws of q"
        advice = "Fit on, or from another start; method='laplace' finds one."
    elif nudged is None:
        verdict = "means only" if reliable and means.size < SMALL else "do not use"
        why = "no short chains have looked at it"
        advice = "diagnose(chains=64) does, with the noise of so many."
    elif means.size < SMALL and sds.size < SMALL and share >= ENOUGH:
        verdict = "good"
        who = "chains and weights" if reliable else "chains"
        why = f"{who} move no mean or sd by more than {max(means.size, sds.size):.2f}"
        if weights is not None and not reliable:
            why += f"; the weights are not reliable (k = {weights.k:.2g}), tails are not checked"
        advice = ""
    elif reliable and _agree(table):
        verdict = "usable with importance resampling"
        what = _worst(means, sds) or f"the shape, {1 - share:.0%} of the draws have no weight"
        why = f"weights and chains agree on what is wrong: {what}"
        advice = "sample(draws, resample='psis') draws by the weights."
    elif means.size < SMALL:
        verdict = "means only"
        why = _worst(means, sds) or "weights and chains disagree"
        advice = "A richer family: 'fullrank_advi' after mean field, 'nfvi' after a normal."
    else:
        verdict = "do not use"
        why = _worst(means, sds)
        advice = (
            "More steps, several starts (restarts=8), a richer family ('fullrank_advi' after mean "
            "field, 'nfvi' after a normal), or another parametrisation of what is named."
        )
    return Diagnosis(
        verdict,
        why,
        advice,
        elbo,
        elbo_error,
        np.nan if weights is None else weights.k,
        np.nan if weights is None else weights.ess,
        table,
        np.nan if nudged is None else nudged.accepted,
        0 if nudged is None else nudged.gradients,
        tuple(skipped),
    )


class _Shift(NamedTuple):
    """The largest shift, and where it is."""

    size: float
    where: str


def _largest(table: xr.Dataset, names: Sequence[str]) -> _Shift:
    """The largest of some shifts; one that is not a number counts as infinite."""
    if not names:
        return _Shift(np.inf, "all")
    sizes = np.max([np.abs(table[name].to_numpy()) for name in names], axis=0)
    sizes = np.where(np.isnan(sizes), np.inf, sizes)
    worst = int(np.argmax(sizes))
    return _Shift(float(sizes[worst]), str(table["unconstrained"].to_numpy()[worst]))


def _agree(table: xr.Dataset) -> bool:
    """Whether chains go where the weights say: what is left between them is small."""
    mean, sd = (table[f"weights_{what}"] - table[f"chains_{what}"] for what in ("mean", "sd"))
    # in units of the sds that the weights give
    left = max(float(np.abs(mean / np.exp(table["weights_sd"])).max()), float(np.abs(sd).max()))
    return bool(left < SMALL)


def _worst(means: _Shift, sds: _Shift) -> str:
    """The worst shifts in words."""
    words = []
    if means.size >= SMALL:
        words.append(f"the mean of {means.where} is off by {means.size:.2g} sds of q")
    if sds.size >= SMALL:
        verb = "" if words else "is off "
        factor = np.exp(min(sds.size, 20.0))
        words.append(f"the sd of {sds.where} {verb}by a factor of {factor:.2g}")
    return ", ".join(words)
