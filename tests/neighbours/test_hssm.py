"""HSSM on our `pm.fit`: its own call, what it does to the result, and the page's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from pages import check_program
from pymc.variational.callbacks import Tracker

import vi

hssm = pytest.importorskip("hssm")
pytestmark = pytest.mark.neighbour


@pytest.mark.parametrize("backend", [None, "numba", "jax"])
def test_its_own_call_runs(backend):
    data = hssm.simulate_data(
        model="ddm", theta={"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}, size=100, random_state=1
    )
    model, tracker = hssm.HSSM(data=data, model="ddm"), Tracker(i=lambda approx, losses, i: i)
    with vi.as_pm_fit(random_seed=1) as fits:
        draws = model.vi(
            niter=20, draws=30, backend=backend, callbacks=[tracker], progressbar=False
        )
    (approx,) = fits
    assert approx is model.vi_approx
    assert tracker["i"] == list(range(1, 21))
    assert len(approx.hist) == 20
    assert draws is model.vi_idata
    assert set(draws["posterior"].data_vars) == {"v", "a", "z", "t"}
    assert draws["posterior"].sizes["draw"] == 30
    assert np.isfinite(approx.mean.eval()).all()


@pytest.mark.slow
def test_the_page():
    check_program("hssm", "HSSM")
