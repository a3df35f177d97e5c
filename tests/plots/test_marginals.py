"""The plot of marginals: which panels, in which order, of which draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import vi
from vi.diagnostics import Diagnosis
from vi.plots.marginals import measured, moved

DRAWS = 200


@pytest.fixture(scope="module")
def three():
    """A start that is wrong for some: sd 0.693 where 1, 0.7 and 0.1 are right, and a simplex."""
    with pm.Model(coords={"place": ["here", "there", "beyond"]}) as model:
        pm.Normal("x", 0.0, [1.0, 0.7, 0.1], dims="place")
        share = pm.Dirichlet("share", [5.0, 5.0, 5.0])
        pm.Deterministic("first", share[0])
    return vi.Approximation("mean_field", model=model, random_seed=1)


def diagnosis(approx, sizes):
    labels = [approx.layout.label(i) for i in range(approx.ndim)]
    columns = {
        "mean": ("unconstrained", np.full(len(labels), 99.0)),
        "chains_mean": ("unconstrained", np.array(sizes)),
    }
    table = xr.Dataset(columns, coords={"unconstrained": labels})
    return Diagnosis("means only", "", "", -1.0, 0.1, 0.3, 900.0, table, 0.8, 1_000)


def panels(collection):
    return list(map(str, collection.viz["plot"].data_vars))


def test_sizes_by_entry_and_of_a_simplex_by_variable(three):
    sizes = measured(diagnosis(three, [0.1, -0.5, 0.2, 0.3, -0.4]), three.layout)
    assert sizes["x"].tolist() == [0.1, 0.5, 0.2]
    assert sizes["share"].tolist() == [0.4, 0.4, 0.4]  # two coordinates, three entries


def test_moved_is_in_sds(rng):
    draws = rng.normal(size=(1, 4_000, 2))
    other = xr.DataArray(draws * [1.0, np.e] + [3.0, 0.0])
    sd = draws[..., 0].std()
    np.testing.assert_allclose(moved(xr.DataArray(draws), other)[0], 3 / sd, rtol=1e-9)
    assert abs(moved(xr.DataArray(draws), other)[1] - 1.0) < 1e-9


@pytest.mark.parametrize("kind", ["kde", "ecdf"])
def test_the_worst_of_a_diagnosis_come_first(three, kind):
    found = diagnosis(three, [0.1, -0.5, 0.2, 0.3, -0.4])
    collection = vi.plots.marginals(three, found, draws=DRAWS, most=2, kind=kind, columns=2)
    assert panels(collection) == ["x[there]", "share[0]"]
    assert collection.viz["dist"]["x[there]"].sizes == {"model": 2}  # two lines a panel


def test_without_a_diagnosis_the_order_is_that_of_resampling(three):
    """sd 0.693 in place of 0.1 moves the most: log 7 = 1.9."""
    collection = vi.plots.marginals(three, draws=DRAWS, most=1)
    assert panels(collection) == ["x[beyond]"]


def test_the_distribution_functions_are_those_of_the_draws(three):
    collection = vi.plots.marginals(
        three, draws=DRAWS, most=1, kind="ecdf", var_names=["first"], random_seed=4
    )
    assert panels(collection) == ["first"]
    options = {"random_seed": 4, "log_prob": False, "var_names": ["first"]}
    lines = collection.viz["dist"]["first"].to_numpy().ravel()
    for line, resample in zip(lines, (None, "psis"), strict=True):
        draws = three.sample(DRAWS, resample=resample, **options)["posterior"]["first"]
        # the steps of the line are within the range of the draws, and half-way at their median
        x, y = (np.asarray(values) for values in line.get_data())
        middle = x[np.searchsorted(y, 0.5)]
        assert abs(np.mean(draws.to_numpy() <= middle) - 0.5) < 0.02


def test_the_legend_has_k(conjugate):
    collection = vi.plots.marginals(conjugate, draws=DRAWS)
    figure = collection.viz["figure"].item()
    (legend,) = figure.legends
    one, two = (text.get_text() for text in legend.get_texts())
    assert one == "q"
    assert two.startswith("resampled by p / q (k = ")


def test_refusals(three, conjugate, no_package):
    found = diagnosis(three, np.zeros(5))
    with pytest.raises(TypeError, match="takes an approximation"):
        vi.plots.marginals(found)
    with pytest.raises(ValueError, match="kind='dot' is unknown; use 'kde', 'hist', 'ecdf'"):
        vi.plots.marginals(three, kind="dot")
    with pytest.raises(ValueError, match="diagnosis is one of another model"):
        vi.plots.marginals(conjugate, found)
    with pytest.raises(TypeError, match="diagnosis must be"):
        vi.plots.marginals(three, "good")
    with pytest.raises(ValueError, match="most=0"):
        vi.plots.marginals(three, most=0)
    with pytest.raises(ValueError, match="'nobody'"):
        vi.plots.marginals(three, var_names=["nobody"])
    no_package("arviz_plots")
    with pytest.raises(ImportError, match=r"pymc-vi\[plots\]"):
        vi.plots.marginals(three)


def test_points_have_no_panel(three):
    """A verdict is on the others: of a diagnosis of these the worst come first as ever."""
    groups = [vi.Group(["share"], family="point"), vi.Group(None)]
    approx = vi.Approximation(groups, model=three.model, random_seed=1)
    found = diagnosis(three, [0.1, 0.9, 0.2, 0.0, 0.0])
    table = found.table.isel(unconstrained=slice(0, 3))
    sizes = measured(replace(found, table=table), approx.layout, points={3, 4})
    np.testing.assert_array_equal(sizes["x"], [0.1, 0.9, 0.2])
    np.testing.assert_array_equal(sizes["share"], 0.0)
    with pytest.raises(ValueError, match="another model"):
        measured(found, approx.layout, points={3, 4})
    shown = panels(vi.plots.marginals(approx, draws=DRAWS))
    assert len(shown) == 3
    assert all(name.startswith("x") for name in shown)


def test_particles_are_drawn_alone(three):
    """Also those of a fit by ``"auto"`` that ended in chains, whose verdict gives the order."""
    particles = vi.Empirical(size=10, model=three.model)
    collection = vi.plots.marginals(particles, draws=DRAWS)
    assert panels(collection)[:3] == ["x[here]", "x[there]", "x[beyond]"]
    legend = collection.viz["figure"].item().legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["draws"]
    found = diagnosis(three, [0.1, -0.5, 0.2, 0.3, -0.4])
    judged = vi.Approximation.of_record(replace(particles.record, diagnosis=found))
    assert panels(vi.plots.marginals(judged, draws=DRAWS, most=1)) == ["x[there]"]


def test_labels_of_any_kind_have_a_panel_each():
    """Slashes, dollars, and the name of another variable."""
    with pm.Model(coords={"place": ["N/A", r"$\frac$", "b"]}) as model:
        pm.Normal("x", 0.0, [1.0, 0.7, 0.1], dims="place")
        pm.Normal("x[b]")
    approx = vi.Approximation("mean_field", model=model, random_seed=1)
    found = vi.plots.marginals(approx)
    found.viz["figure"].item().canvas.draw()
    assert set(panels(found)) == {"x[N∕A]", r"x[$\frac$]", "x[b]", "x[b], the variable"}
