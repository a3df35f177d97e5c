"""What was measured of a fit, and the verdict on it: a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import xarray as xr

from vi.diagnostics.html import checked_html, colour_of, paragraph, worst_html
from vi.diagnostics.importance import Weights
from vi.foundation.arguments import instance
from vi.foundation.html import card

__all__ = [
    "Diagnosis",
    "Verdict",
    "by_coordinate",
    "shifts",
    "weighted_errors",
    "weighted_moments",
]

NUMBERS = (
    *("elbo", "elbo_error", "pareto_k", "importance_ess", "acceptance", "discrepancy"),
    "wide_ess",
)
"""The measurements that are one number each."""

TEXTS = ("verdict", "why", "advice", "rival", "improper", "tails")
"""What is said in words."""

REQUIRED = (*TEXTS[:3], *NUMBERS[:5], "gradients", "skipped")
"""What no dataset of a diagnosis lacks, of 0.1.0 too."""

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
        Gradients that the diagnosis took, but for those of a Hessian at the fit.
    skipped : tuple of str
        What was not measured, and why.
    discrepancy : float
        Of particles, which have no density: their squared kernelised Stein discrepancy from p,
        relative to that of as many independent draws of p; about 1 and less where they agree.
    modes : xarray.Dataset or None
        By ``mode``: what other fits found, ``mode_elbo``, ``mode_elbo_error``, ``mode_mean``,
        ``mode_sd``, and ``mode_distance`` of the means from q's in standard deviations; the first
        is q.
    rival : str
        The name of the one among them that speaks against this fit, being better or having mass of
        its own; empty if none does.
    improper : str
        The variables along which log p does not fall, so that it has no integral; empty if none.
    tails : str
        Which moments there are not; empty if nothing is known to lack one.
    wide_ess : float
        Effective sample size of draws that are wider than q, by weights of q's draws and these
        together; NaN where the weights cannot be relied on, or were not measured.
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
    rival: str = ""
    improper: str = ""
    tails: str = ""
    wide_ess: float = np.nan

    @property
    def in_short(self) -> str:
        """Verdict and reason in one line."""
        return f"{self.verdict}, {self.why}" if self.why else self.verdict

    def to_dataset(self) -> xr.Dataset:
        """The tables, with all the rest as attributes that any file format can hold."""
        numbers = {name: float(getattr(self, name)) for name in NUMBERS}
        texts = {name: getattr(self, name) for name in TEXTS}
        attributes = {**texts, **numbers, "gradients": self.gradients}
        attributes["skipped"] = "; ".join(self.skipped)
        tables = self.table if self.modes is None else self.table.merge(self.modes)
        return tables.assign_attrs(attributes)

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> Self:
        """The inverse of :meth:`to_dataset`.

        Raises
        ------
        TypeError, ValueError
            If it is no dataset, or one that :meth:`to_dataset` has not made.
        """
        instance("dataset", dataset, xr.Dataset, "what to_dataset() of a diagnosis returned")
        lacking = [name for name in REQUIRED if name not in dataset.attrs]
        if lacking:
            raise ValueError(
                f"dataset is no diagnosis, {type(dataset).__name__} lacks {', '.join(lacking)}: "
                "give what to_dataset() returned, or the group 'diagnosis' of draws."
            )
        attributes = dict(dataset.attrs)
        skipped = attributes.pop("skipped")
        split = tuple(skipped.split("; ")) if skipped else ()
        of_modes = [name for name, value in dataset.items() if "mode" in value.dims]
        modes = dataset[of_modes].drop_attrs() if of_modes else None
        table = dataset.drop_vars(of_modes).drop_dims("mode", errors="ignore").drop_attrs()
        return cls(**attributes, table=table, skipped=split, modes=modes)

    def _repr_html_(self) -> str:
        numbers = checked_html(
            self.elbo, self.elbo_error, self.pareto_k, self.importance_ess, self.discrepancy
        )
        open_questions = [paragraph(f"not checked: {what}", faint=True) for what in self.skipped]
        return card(
            self.verdict,
            colour_of(self.verdict),
            paragraph(self.why),
            paragraph(self.advice),
            numbers,
            worst_html(self.table),
            *open_questions,
        )

    def __repr__(self) -> str:
        return f"<Diagnosis: {self.verdict}>"

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.why}"]
        lines += [text for text in (self.advice, self.tails) if text]
        if np.isfinite(self.elbo):
            lines.append(f"ELBO {self.elbo:,.6g} +- {self.elbo_error:.2g}")
        if np.isfinite(self.pareto_k):
            lines.append(f"Pareto k {self.pareto_k:.2f}, effective draws {self.importance_ess:.0f}")
        lines += [f"not checked: {what}" for what in self.skipped]
        return "\n".join(lines)


def by_coordinate(columns: Mapping[str, np.ndarray], labels: Sequence[str]) -> xr.Dataset:
    """The table of a diagnosis: columns ``(D,)`` by name, along the coordinates' names."""
    return xr.Dataset(
        {name: ("unconstrained", values) for name, values in columns.items()},
        coords={"unconstrained": list(labels)},
    )


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


def weighted_errors(points: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of these means, and of the logarithms of these deviations, ``(D,)`` each.

    Where a few points far off have much of the weight they are larger than effective draws say.
    """
    w = np.exp(weights.log_weights)[:, None]
    mean, std = weighted_moments(points, weights)
    off = points - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        of_mean = np.sqrt((w**2 * off**2).sum(axis=0))
        of_std = np.sqrt((w**2 * (off**2 - std**2) ** 2).sum(axis=0)) / (2 * std**2)
    return of_mean, of_std
