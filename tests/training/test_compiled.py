"""The compiled loop: what there is of it, however many variables or dimensions a model has."""

import numpy as np
import pymc as pm
import pytest

import vi
from vi.families.full_rank import LARGEST_FRAME
from vi.foundation.precision import precision
from vi.training.one import runner_for
from vi.training.runner import BUFFER


def compiled(inference):
    """The compiled loop of a fit."""
    inference.fit(0, progressbar=False)
    approx = inference.approx
    target = approx.target(training=True)
    runner = runner_for(target, approx.record.algorithm)
    with precision(target.dtype):
        arguments = (approx.state, target.batch(), np.zeros(BUFFER, target.dtype), np.int32(0))
        return runner._loop.lower(*arguments).compile()


def scalars(count):
    with pm.Model() as model:
        total = sum(pm.Normal(f"x{i}") for i in range(count))
        pm.Normal("y", total, observed=1.0)
    return model


@pytest.mark.slow
def test_a_step_has_no_kernel_a_variable():
    """As many of 12 variables as of 24, each with a slope in which all the others are."""
    few, many = (
        compiled(vi.ADVI(model=scalars(count), random_seed=1)).as_text().count(" fusion(")
        for count in (12, 24)
    )
    assert many - few < 6


@pytest.mark.slow
def test_full_rank_of_many_dimensions_solves_once_a_step():
    """For the score of q at a draw; what q's density is there its noise says."""
    dim = LARGEST_FRAME + 1
    with pm.Model() as model:
        pm.Normal("x", shape=dim)
    step = compiled(vi.FullRankADVI(model=model, random_seed=1))
    assert step.as_text().count('custom_call_target="lapack_dtrsm') == 1
    # a factor, its transpose and what the gradient and the optimiser make of triangles
    assert step.memory_analysis().temp_size_in_bytes < 4 * 8 * dim**2
