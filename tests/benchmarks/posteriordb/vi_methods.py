"""The methods of ``vi``, by default settings.

Seconds without compilation are those of a second fit of the same model from another seed: what is
compiled belongs to the model and is kept with it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pymc as pm
from systems import DRAWS, Fitted, System, seconds_of

import vi

__all__ = ["FITS"]

METHODS = ("advi", "fullrank_advi", "lowrank_advi", "dadvi", "laplace", "pathfinder", "bam", "auto")


def _fit(method: str, model: pm.Model, seed: int) -> Fitted:
    def run(seed: int) -> Any:
        return vi.fit(method=method, model=model, random_seed=seed, progressbar=False)

    approx, seconds = seconds_of(partial(run, seed))

    def facts() -> dict[str, Any]:
        found = approx.diagnosis or approx.diagnose()
        numbers = {"pareto_k": found.pareto_k, "elbo": found.elbo}
        known = {name: value for name, value in numbers.items() if np.isfinite(value)}
        told = {"verdict": found.verdict, "why": found.why, "ending": approx.status.ending}
        rows = approx.stages[["stage", "gradients", "outcome"]].itertuples(index=False)
        stages = [f"{row.stage} ({row.gradients:,}): {row.outcome}" for row in rows]
        return told | known | ({"stages": stages} if stages else {})

    def draw() -> Any:
        return approx.sample(DRAWS, random_seed=1)["posterior"].to_dataset()

    spent = approx.stages["gradients"]
    gradients = int(spent.sum()) if len(spent) else None
    return Fitted(draw, seconds, again=partial(run, seed + 1_000), facts=facts, gradients=gradients)


FITS: dict[str, System] = {f"vi {method}": partial(_fit, method) for method in METHODS}
