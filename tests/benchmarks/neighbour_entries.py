"""The rows of the table of neighbours: what is run of each library, and what is written for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import neighbour_cases as cases
from neighbour_cases import BAMBI, BAMBI_OWN, NUMPYRO, NUMPYRO_OWN, PATHFINDER, neighbours

__all__ = ["ENTRIES", "Entry"]

AUTO = 'as_pm_fit("auto")'


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Parameters
    ----------
    package : str
        The distribution whose version is shown.
    environment : str
        Where it is installed: one of ``make test-neighbours``, ``""`` for our own.
    what : str
        What is fitted.
    line : str
        What a user writes to have ours.
    case : callable
        Makes the model and its ways.
    ours, own : str
        Which way is ours, and the package's own VI.
    other : str or None
        Another one of its own; None is the same call with ``method="fullrank_advi"``.
    long : int
        Draws of each of the four chains that all are compared with.
    """

    package: str
    environment: str
    what: str
    line: str
    case: Callable[[], neighbours.Case]
    ours: str
    own: str
    other: str | None = None
    long: int = 4000

    def ways(self) -> dict[str, tuple[str, dict[str, str]]]:
        """The labels of the ways, with arguments, by what they are to the table."""
        full = {"method": "fullrank_advi"}
        return {
            "ours": (self.ours, {}),
            "own": (self.own, {}),
            "NUTS": ("NUTS", {}),
            "other": (self.own, full) if self.other is None else (self.other, {}),
        }


def _extras(what: str, case: Callable[[], neighbours.Case]) -> Entry:
    made = lambda: cases.with_pathfinder(case())  # noqa: E731
    return Entry(
        "pymc-extras",
        "pymc-marketing",
        what,
        "`vi.fit(model)`",
        made,
        "vi.fit()",
        PATHFINDER,
        "pm.fit()",
    )


def _marketing(what: str, case: Callable[[], neighbours.Case]) -> Entry:
    own = '.fit(method="advi"), PyMC'
    line = '`with vi.as_pm_fit("auto"):`'
    return Entry("pymc-marketing", "pymc-marketing", what, line, case, AUTO, own, None, 2000)


ENTRIES = {
    "bambi_intercepts": Entry(
        *("bambi", "", "`y ~ x + (1\\|g)`, 12 groups", "`vi.bambi.fit(model)`"),
        *(cases.bambi_intercepts, BAMBI, BAMBI_OWN),
    ),
    "bambi_slopes": Entry(
        *("bambi", "", "`y ~ x + (x\\|g)`, Bernoulli, 20 groups", "`vi.bambi.fit(model)`"),
        *(cases.bambi_slopes, BAMBI, BAMBI_OWN),
    ),
    "baseball": Entry(
        *("numpyro", "", "baseball, 18 players", "`vi.fit(from_numpyro(model, *args))`"),
        *(cases.baseball, NUMPYRO, *NUMPYRO_OWN, 40_000),
    ),
    "numpyro_lines": Entry(
        *("numpyro", "", "lines of 30 patients, centred", "`vi.fit(from_numpyro(model, *args))`"),
        *(cases.numpyro_lines, NUMPYRO, *NUMPYRO_OWN, 10_000),
    ),
    "marginal": _extras("`marginalize`d mixture", neighbours.marginal),
    "hidden_markov": _extras("`marginalize`d hidden Markov model, 200 rows", cases.hidden_markov),
    "statespace": _extras("local level by its Kalman filter, 100 rows", neighbours.statespace),
    "shrinkage": _extras("`R2D2M2CP`, 10 columns", cases.shrinkage),
    "mmm": _marketing("`MMM`, 2 channels, 120 weeks", neighbours.mmm),
    "clv": _marketing("`BetaGeoModel`, 200 customers", neighbours.clv),
    "hssm": Entry(
        *("hssm", "hssm", "DDM, 500 decisions", '`with vi.as_pm_fit("auto", backend="auto"):`'),
        *(neighbours.hssm, AUTO, '.vi("advi"), PyMC', None, 2000),
    ),
}
