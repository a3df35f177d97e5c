"""Six posteriors of posteriordb: methods are right where they are known to be, and the verdict is
`good` where a fit is right and not where it is wrong.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from measures import NORMAL_IQR, moment_errors
from models import build, scalars

import vi

FOLDER = Path(__file__).parent / "posteriors"
DRAWS = 8_000
RIGHT = 0.3
"""A mean within 0.3 sds and a log sd within 0.3: what the benchmark calls B."""

pytestmark = pytest.mark.slow


class Known(NamedTuple):
    """Reference moments, each ``(parameters,)``."""

    names: list[str]
    robust: np.ndarray
    location: np.ndarray
    scale: np.ndarray
    mean_noise: np.ndarray
    log_sd_noise: np.ndarray


@cache
def posterior(model):
    """The PyMC model of a posterior and what is known about it, by the Stan model's name."""
    [path] = FOLDER.glob(f"*-{model}.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    data = {name: np.asarray(value) for name, value in content["data"].items()}
    return build(path.stem, data), known(content["reference"])


def known(rows):
    """Moments with their Monte Carlo standard errors: of the mean 1/sqrt(n) sds, of the log sd
    sqrt((kurtosis - 1) / 4n); of the median of something like a normal sqrt(pi / 2n), of its
    quartiles' distance 1.17 / sqrt(n).
    """
    draws, kurtosis = (np.array([row[k] for row in rows.values()]) for k in ("draws", "kurtosis"))
    robust = np.array(["quartiles" in row for row in rows.values()])
    location = [row.get("quartiles", [0, row["mean"]])[1] for row in rows.values()]
    quartiles = [row.get("quartiles", [0, 0, row["sd"] * NORMAL_IQR]) for row in rows.values()]
    scale = [(high - low) / NORMAL_IQR for low, _, high in quartiles]
    # of the reference's draws and of those of q
    one_over_n = 1 / draws + 1 / DRAWS
    return Known(
        list(rows),
        robust,
        np.array(location),
        np.array(scale),
        np.sqrt(np.where(robust, np.pi / 2, 1.0) * one_over_n),
        np.sqrt(np.where(robust, 1.17**2, (kurtosis - 1) / 4) * one_over_n),
    )


@pytest.mark.parametrize(
    ("model", "method", "right"),
    [
        ("gp_regr", "dadvi", True),
        ("gp_regr", "laplace", True),
        ("gp_regr", "fullrank_advi", True),
        ("logmesquite_logvash", "fullrank_advi", True),
        ("arma11", "laplace", True),
        ("arma11", "fullrank_advi", True),
        ("GLM_Poisson_model", "laplace", True),
        # strong correlations: mean field's sds are too small
        ("logmesquite_logvash", "dadvi", False),
        ("GLM_Poisson_model", "dadvi", False),
        # a funnel: no normal is right
        ("eight_schools_noncentered", "dadvi", False),
        ("eight_schools_noncentered", "laplace", False),
        ("eight_schools_noncentered", "fullrank_advi", False),
        ("irt_2pl", "dadvi", False),
    ],
)
def test_a_fit_is_right_where_it_can_be_and_the_verdict_knows(model, method, right):
    pymc_model, of = posterior(model)
    approx = vi.fit(method=method, model=pymc_model, random_seed=1, progressbar=False)
    found = scalars(approx.sample(DRAWS, random_seed=1)["posterior"].to_dataset())
    draws = np.stack([found[name] for name in of.names])
    mean, log_sd = map(np.abs, moment_errors(draws, of.robust, of.location, of.scale))
    if right:
        assert np.all(mean < RIGHT + 4 * of.mean_noise), dict(zip(of.names, mean, strict=True))
        assert np.all(log_sd < RIGHT + 4 * of.log_sd_noise), dict(
            zip(of.names, log_sd, strict=True)
        )
    worst = max(mean.max(), log_sd.max())
    verdict = approx.diagnose().verdict
    if worst < 0.1:
        assert verdict == "good"
    elif np.any(mean > RIGHT + 4 * of.mean_noise) or np.any(log_sd > RIGHT + 4 * of.log_sd_noise):
        assert verdict != "good"
